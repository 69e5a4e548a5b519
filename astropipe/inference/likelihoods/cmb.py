r"""The cosmic microwave background, compressed to the few numbers that fix the background.

Two compressions. (θ*, Ω_b h², Ω_bc h²) of DESI 2025 (arXiv:2503.14738, appendix A) is to be preferred: it
holds for any late expansion, and z*, r_s and D_M are those of CAMB to 1e-5.

(R, l_A, Ω_b h²) of Chen, Huang and Wang 2019 (arXiv:1808.05724) needs their conventions, followed here:
z* of Hu and Sugiyama, and radiation Ω_r = Ω_m / (1 + z_eq) with z_eq = 2.5e4 Ω_m h² (T/2.7 K)⁻⁴. With them
Planck's best fit has l_A = 301.8 where the paper publishes 301.47 ± 0.09, a difference that we cannot trace;
its effect on H0 in flat ΛCDM is 0.2 km/s/Mpc, a third of the error.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import SPEED_OF_LIGHT, Cosmology, Radiation
from astropipe.inference.datasets import Dataset
from astropipe.inference.likelihoods.gaussian import DataLikelihood, Parameters
from astropipe.inference.sound_horizon import (
    sound_horizon,
    transverse_distance_to,
    z_star,
    z_star_hu_sugiyama,
)

Array = NDArray[np.float64]

_SHIFT_QUANTITIES = frozenset({"R", "l_A"})


def _shift_radiation() -> Radiation:
    """Return massless radiation with the total of the z_eq convention, at Ω_m h² = 0.143.

    1/(1 + z_eq) makes it depend on Ω_m h², by 3e-5 of itself over Planck's whole posterior: neglected.
    """
    total = 1.0 / (2.5e4 * (Radiation.t_cmb / 2.7) ** -4 + 1.0 / 0.143)
    plain = Radiation(neutrino_mass=0.0)
    neutrinos = float(plain.density(np.zeros(1))[0]) - plain.photons
    return Radiation(n_eff=plain.n_eff * (total - plain.photons) / neutrinos, neutrino_mass=0.0)


SHIFT_RADIATION = _shift_radiation()


def acoustic_scale(universe: Cosmology, omega_b_h2: Array) -> Array:
    """Return θ* = r_s(z*) / D_M(z*) in radians, shape [n]."""
    z = z_star(omega_b_h2, universe.omega_m_h2[:, 0] - universe.radiation.massive_today)
    return sound_horizon(universe, omega_b_h2, z) / transverse_distance_to(universe, z)


def shift_parameters(universe: Cosmology, omega_b_h2: Array) -> tuple[Array, Array]:
    """Return R = √Ω_m H0 D_M(z*)/c and l_A = π D_M(z*)/r_s(z*) in the convention of the priors, [n] each."""
    universe = universe.with_radiation(SHIFT_RADIATION)
    z = z_star_hu_sugiyama(omega_b_h2, universe.omega_m_h2[:, 0])
    distance = transverse_distance_to(universe, z)
    shift = np.sqrt(universe.omega_m[:, 0]) * universe.h0[:, 0] / SPEED_OF_LIGHT * distance
    return shift, math.pi * distance / sound_horizon(universe, omega_b_h2, z)


class CompressedCmb(DataLikelihood):
    """Gaussian ln L of a compression; needs ``omega_b_h2`` and H0 as parameters."""

    needs = (("h0",), ("omega_b_h2",))

    def __init__(self, data: Dataset) -> None:
        super().__init__(data)
        self._shift = not _SHIFT_QUANTITIES.isdisjoint(data.quantity)

    def predict(self, universe: Cosmology, parameters: Parameters) -> Array:
        """Return the compressed observables in the order of the data, shape [n, m]."""
        baryons = parameters["omega_b_h2"]
        known = {
            "omega_b_h2": baryons,
            "omega_bc_h2": universe.omega_m_h2[:, 0] - universe.radiation.massive_today,
        }
        if self._shift:
            known["R"], known["l_A"] = shift_parameters(universe, baryons)
        if "theta_star" in self.data.quantity:
            known["theta_star"] = acoustic_scale(universe, baryons)
        return np.stack([known[name] for name in self.data.quantity], axis=1)
