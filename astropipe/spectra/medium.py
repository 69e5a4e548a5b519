"""Are wavelengths in vacuum, as they should be, or in air? Telluric oxygen tells.

Air shifts all wavelengths by 83 km/s, and the arms of a spectrum against each other by 0.8 km/s only, so that the star
itself hardly shows it. Lines of the Earth's atmosphere do: but for the motion of the Earth they stand still.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from astropipe.spectra.pairs import SIZES
from astropipe.spectra.pixels import OBSERVED, PIXEL_KM_S, SPEED_OF_LIGHT_KM_S
from astropipe.spectra.telluric import EARTH_KM_S, depth_at
from astropipe.spectra.wavelengths import refractive_index

# Steps of velocity, and how much more than the Earth's velocity is allowed for errors of the wavelengths.
_STEP_KM_S, _TOLERANCE_KM_S = PIXEL_KM_S, 8.0
_MIDDLE_A = float(OBSERVED[1].wavelength_a.mean())
AIR_SHIFT_KM_S = -SPEED_OF_LIGHT_KM_S * (float(refractive_index(_MIDDLE_A)) - 1.0)
"""Velocity by which the lines of the red arm seem to move where wavelengths in air are taken for such in vacuum."""
# Oxygen takes less than this elsewhere.
_LEAST_DEPTH = 0.003


class MediumTest:
    """Looks for the lines of telluric oxygen where they are in vacuum, and where they are in air.

    Attributes
    ----------
    used : Tensor, shape (m,)
        The pairs in which these lines lie, at any velocity of the Earth.
    bank : Tensor, shape (k, m)
        Depth of the lines in them, at velocities in vacuum and then as many in air.
    """

    def __init__(self) -> None:
        reach = EARTH_KM_S + _TOLERANCE_KM_S
        around = np.arange(-reach, reach + 0.5 * _STEP_KM_S, _STEP_KM_S)
        banks = []
        for centre in (0.0, AIR_SHIFT_KM_S):
            depths = np.stack([depth_at(centre + velocity) for velocity in around])
            banks.append(depths.reshape(len(depths), SIZES[1], 2).mean(axis=2))
        both = np.concatenate(banks)
        seen = np.flatnonzero(both.max(axis=0) > _LEAST_DEPTH)
        self.used = torch.from_numpy(SIZES[0] + seen)
        self.bank = torch.from_numpy(both[:, seen]).float()

    def __call__(self, ratio: Tensor, weights: Tensor) -> Tensor:
        """Return by how much air describes spectra better than vacuum, shape (n,).

        Parameters
        ----------
        ratio : Tensor, shape (n, m)
            Flux over model, less 1, of the pairs that are ``used``.
        weights : Tensor, shape (n, m)
            Inverse variance of it; 0 where not used.

        Returns
        -------
        Tensor, shape (n,)
            Fall of chi² with oxygen at the best velocity if wavelengths are in air, less that if they are in vacuum; 0
            where the bands are not covered.
        """
        absorbed = (-(weights * ratio) @ self.bank.T).clamp_min(0.0)
        gain = absorbed**2 / (weights @ (self.bank**2).T).clamp_min(1e-12)
        vacuum, air = gain.chunk(2, dim=1)
        return air.amax(1) - vacuum.amax(1)
