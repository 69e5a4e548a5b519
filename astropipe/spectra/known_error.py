"""What is known of the errors of model spectra before a spectrum is fitted, and where a model says nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from astropipe.spectra.emulator import REST, Emulator, rest_slices
from astropipe.spectra.pairs import SIZES
from astropipe.spectra.pixels import OBSERVED, PIXEL_KM_S, SPEED_OF_LIGHT_KM_S, wavelengths_a
from astropipe.spectra.rendering import Renderer
from astropipe.spectra.sky import mean_square_residual
from astropipe.spectra.telluric import mean_square_depth

# The B band of telluric oxygen begins at 6869 Angstrom in vacuum; before it, the Earth's velocity and the resolution.
_TELLURIC_A = 6_864.0
# The core of H alpha forms in chromospheres and far from local equilibrium, its wings do not.
_H_ALPHA_A, _H_ALPHA_CORE_KM_S = 6_564.61, 80.0
# Step from pair to pair in the natural logarithm of the wavelength.
_PAIR_LOG = 2.0 * PIXEL_KM_S / SPEED_OF_LIGHT_KM_S


@dataclass(frozen=True)
class KnownError:
    """Error variances of the model, in units of the continuum, and where it says nothing at all.

    Attributes
    ----------
    table : Tensor, shape (t, N_PAIRS)
        Variance at some effective temperatures.
    row, share, factor : Tensor, shape (n,)
        For each spectrum, ``factor`` times the table between ``row`` and the next one, ``share`` of the way.
    always : Tensor, shape (N_PAIRS,)
        What comes on top for every star.
    ends : Tensor, shape (n, 2, 2)
        First pair of each arm in which the model is known, and the one after the last.
    core : Tensor, shape (n, 2)
        The same of the core of H alpha, which is not used.
    """

    table: Tensor
    row: Tensor
    share: Tensor
    factor: Tensor
    always: Tensor
    ends: Tensor
    core: Tensor

    def variance(self, columns: Tensor | slice = slice(None), *, always: bool = True) -> Tensor:
        """Return the variances of some pairs, shape (n, columns); without what comes on top if that is not wanted."""
        table = self.table[:, columns]
        variance = torch.lerp(table[self.row], table[self.row + 1], self.share[:, None]) * self.factor[:, None]
        return variance + self.always[columns] if always else variance


class KnownErrors:
    """The errors of an emulator on pairs of pixels, by star.

    Parameters
    ----------
    view : Renderer
        Of the emulator, in pairs of pixels.

    Attributes
    ----------
    sky : Tensor, shape (N_PAIRS,)
        Mean square of residuals of night-sky lines.
    """

    def __init__(self, view: Renderer) -> None:
        self._view = view
        middle = np.log(wavelengths_a()).reshape(-1, 2).mean(axis=1)
        self._before_telluric = int(np.searchsorted(middle[SIZES[0] :], math.log(_TELLURIC_A)))
        self._h_alpha = (math.log(_H_ALPHA_A) - float(middle[SIZES[0]])) / _PAIR_LOG
        self._table = _error_on_pairs(view.emulator)
        self.sky = _on_pairs(mean_square_residual())
        # Lines of telluric oxygen and of the night sky are not in the model: they count as errors of known size.
        self._always = _on_pairs(mean_square_depth()) + self.sky

    def __call__(self, stellar: Tensor, rv_km_s: Tensor) -> KnownError:
        """Return the errors of model spectra, and where a photosphere is seen that the emulator describes.

        Features of 5 Angstrom matter in these errors, shifts by a velocity do not. Nothing is seen in telluric oxygen,
        and nothing of use in the core of H alpha.

        Parameters
        ----------
        stellar : Tensor, shape (n, 3)
            t_eff in K, log_g and fe_h.
        rv_km_s : Tensor, shape (n,)
            Radial velocities.
        """
        ends = self._view.ends(rv_km_s)
        ends[:, 1] = ends[:, 1].clamp(max=self._before_telluric)
        middle = self._h_alpha + torch.log1p(rv_km_s / SPEED_OF_LIGHT_KM_S) / _PAIR_LOG
        half = _H_ALPHA_CORE_KM_S / SPEED_OF_LIGHT_KM_S / _PAIR_LOG
        core = torch.stack([torch.floor(middle - half) + 1.0, torch.ceil(middle + half)], dim=1)
        row, share = self._view.emulator.between(stellar[:, 0])
        return KnownError(
            table=self._table,
            row=row,
            share=share,
            factor=self._view.emulator.error_factor(stellar),
            always=self._always,
            ends=ends,
            core=SIZES[0] + core.clamp(0, SIZES[1]).long(),
        )


def _on_pairs(red: NDArray[np.float64]) -> Tensor:
    """Return values on the pixels of the red arm as means of pairs, and none in the blue arm."""
    return torch.cat([torch.zeros(SIZES[0]), torch.from_numpy(red.reshape(-1, 2).mean(1)).float()])


def _error_on_pairs(emulator: Emulator) -> Tensor:
    parts = []
    for place, rest, observed, size in zip(rest_slices(), REST, OBSERVED, SIZES, strict=True):
        error = emulator.error_variance[:, place]
        first = observed.first - rest.first
        error = error[:, first : first + 2 * size].reshape(len(error), size, 2).mean(2)
        # Wide enough that the velocity of the star does not matter.
        parts.append(torch.nn.functional.avg_pool1d(error[:, None], 61, 1, 30, count_include_pad=False)[:, 0])
    return torch.cat(parts, dim=1)
