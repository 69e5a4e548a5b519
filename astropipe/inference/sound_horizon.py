r"""Recombination and the sound horizon: z*, z_drag, r_s and what the CMB compressions measure.

.. math::

    r_s(z) = \int_0^{a} \frac{c\, da'}{a'^2 H(a') \sqrt{3 (1 + R_b a')}}, \quad
    R_b = \frac{3 \Omega_b h^2}{4 \Omega_\gamma h^2}, \quad a = 1 / (1 + z)

(Eisenstein and Hu 1998, eqs. 5–6), integrated here for every universe on its own nodes a' = a t.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import SPEED_OF_LIGHT, Cosmology, epochs, expansion_squared
from astropipe.inference.distances import Redshifts, curved, gauss_legendre, inverse_root

Array = NDArray[np.float64]

PIVOT_BARYONS = 0.0224
PIVOT_MATTER = 0.1424
_STAR = (6.9938129, -0.0277038, 0.0114227, 0.0117087, -0.0089299, 0.0028896)

_ANCHOR = Redshifts([1000.0])


def z_star(omega_b_h2: Array, omega_bc_h2: Array) -> Array:
    """Return the redshift of last scattering, optical depth 1, of baryon and baryon + CDM densities.

    ln z* is a quadratic in b = ln(Ω_b h²/0.0224) and m = ln(Ω_bc h²/0.1424), fitted to CAMB 2.0.5 over
    0.019 ≤ Ω_b h² ≤ 0.026 and 0.10 ≤ Ω_bc h² ≤ 0.19 by ``benchmarks/recombination_fit.py``, which prints its
    largest error. The published fits (Hu and Sugiyama 1996; Aizpuru et al. 2021, eq. A4) are 1 to 2 off in
    z*, that is 2 to 5 standard errors of the measured θ*.
    """
    b, m = np.log(omega_b_h2 / PIVOT_BARYONS), np.log(omega_bc_h2 / PIVOT_MATTER)
    c = _STAR
    return np.asarray(np.exp(c[0] + c[1] * b + c[2] * m + c[3] * b * b + c[4] * b * m + c[5] * m * m))


def z_star_hu_sugiyama(omega_b_h2: Array, omega_m_h2: Array) -> Array:
    """Return z* by Hu and Sugiyama 1996 (ApJ 471, 542), eq. E-1: the definition in (R, l_A) compressions."""
    g1 = 0.0783 * omega_b_h2**-0.238 / (1.0 + 39.5 * omega_b_h2**0.763)
    g2 = 0.560 / (1.0 + 21.1 * omega_b_h2**1.81)
    return np.asarray(1048.0 * (1.0 + 0.00124 * omega_b_h2**-0.738) * (1.0 + g1 * omega_m_h2**g2))


def z_drag(omega_b_h2: Array, omega_m_h2: Array) -> Array:
    """Return the redshift of the drag epoch by Aizpuru, Arjona and Nesseris 2021 (arXiv:2106.00428), eq. A2."""
    numerator = 1.0 + 428.169 * omega_b_h2**0.256459 * omega_m_h2**0.616388 + 925.56 * omega_m_h2**0.751615
    return np.asarray(numerator * omega_m_h2**-0.714129)


def sound_horizon(universe: Cosmology, omega_b_h2: Array, z: Array) -> Array:
    """Return the comoving sound horizon r_s(z) in Mpc, shape [n].

    Parameters
    ----------
    universe
        n universes.
    omega_b_h2
        Physical baryon density, shape [n].
    z
        One redshift for each universe, shape [n].
    """
    t, weights = gauss_legendre(16)
    a = t / (1.0 + z[:, None])
    # (a² E)² is finite as a goes to 0, where E² alone diverges.
    a4_e2 = a**4 * expansion_squared(universe, epochs(-np.log(a), universe.radiation, universe.dark_energy))
    loading = 0.75 * omega_b_h2[:, None] / universe.radiation.photons * a
    integral = (inverse_root(a4_e2) / np.sqrt(3.0 * (1.0 + loading))) @ weights / (1.0 + z)
    return np.asarray(SPEED_OF_LIGHT / universe.h0[:, 0] * integral)


def drag_horizon(universe: Cosmology, omega_b_h2: Array) -> Array:
    """Return r_d = r_s(z_drag) in Mpc, the standard ruler of BAO, shape [n]."""
    return sound_horizon(universe, omega_b_h2, z_drag(omega_b_h2, universe.omega_m_h2[:, 0]))


def transverse_distance_to(universe: Cosmology, z: Array) -> Array:
    """Return D_M in Mpc from each universe to its own redshift near recombination (500 < z < 2500), [n]."""
    t, weights = gauss_legendre(8)
    start = float(_ANCHOR.x[0])
    width = np.log1p(z)[:, None] - start
    x = start + width * t
    e2 = expansion_squared(universe, epochs(x, universe.radiation, universe.dark_energy))
    rest = (width * np.exp(x) * inverse_root(e2)) @ weights
    distance = _ANCHOR.dimensionless_distance(universe) + rest[:, None]
    return np.asarray(SPEED_OF_LIGHT / universe.h0[:, 0] * curved(universe, distance)[:, 0])
