r"""How loud an inspiral is in Cosmic Explorer and the Einstein Telescope.

The signal-to-noise ratio of an inspiral of redshifted chirp mass M_z at luminosity distance d is (Finn and Chernoff
1993; Cutler and Flanagan 1994)

.. math::

    \rho = 8 w \frac{d_{horizon}}{d} \left( \frac{M_z}{1.2 M_\odot} \right)^{5/6} \sqrt{\zeta(f_{ISCO})},

with d_horizon the distance at which a face-on binary overhead has ρ = 8 in one L-shaped detector, ζ the share of ρ²
below the frequency of the innermost stable orbit of the redshifted total mass, where the inspiral ends, and
w² = F₊² ((1 + cos²ι)/2)² + F×² cos²ι the geometry. Only the inspiral counts, the antenna does not turn while it lasts,
and the sites see independent directions: an approximation, the noise curves themselves being forecasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import constants

Array = NDArray[np.float64]

SOLAR_MASS = 1.98841e30
"""In kg."""

LOWEST_FREQUENCY = 5.0
"""In Hz, from where signals are heard."""

FREQUENCIES = (10.0, 15.0, 20.0, 30.0, 50.0, 80.0, 120.0, 200.0, 400.0, 800.0, 1600.0)
"""In Hz, at which the shares of ρ² are tabulated."""


@dataclass(frozen=True)
class Detector:
    """A detector by its noise curve, as ``benchmarks/siren_ranges.py`` sums it up.

    Attributes
    ----------
    horizon
        d_horizon of one L-shaped detector in Mpc.
    shares
        ζ at `FREQUENCIES`.
    triangle
        Whether it is three detectors with arms at 60 degrees in one place, as the Einstein Telescope, or one with
        arms at 90.
    """

    horizon: float
    shares: tuple[float, ...]
    triangle: bool = False


EINSTEIN_TELESCOPE = Detector(
    6276.0,
    (0.2967, 0.4354, 0.5125, 0.6104, 0.6931, 0.7922, 0.8670, 0.9349, 0.9836, 0.9975, 0.9997),
    triangle=True,
)
"""ET-D (Hild et al. 2011), 10 km."""

COSMIC_EXPLORER = Detector(
    18668.0, (0.0221, 0.1477, 0.3256, 0.5707, 0.7794, 0.8882, 0.9414, 0.9768, 0.9951, 0.9993, 0.9999)
)
"""Cosmic Explorer (Abbott et al. 2017, CQG 34, 044001), 40 km."""

NETWORK = (COSMIC_EXPLORER, EINSTEIN_TELESCOPE)


def chirp_mass(first: Array, second: Array) -> Array:
    """Return (m1 m2)^(3/5) / (m1 + m2)^(1/5)."""
    return np.asarray((first * second) ** 0.6 / (first + second) ** 0.2)


def innermost_frequency(total_mass: Array) -> Array:
    """Return the frequency in Hz of gravitational waves from the innermost stable orbit, c³ / (6^(3/2) π G M)."""
    return np.asarray(constants.c**3 / (6.0**1.5 * np.pi * constants.G * SOLAR_MASS * total_mass))


def antenna_power(detector: Detector, cos_theta: Array, phi: Array, psi: Array) -> tuple[Array, Array]:
    """Return F₊² and F×² for directions (θ, φ) in the frame of the detector and polarisation angle ψ.

    Of a triangle those of its three detectors together, which do not depend on φ (Regimbau et al. 2012).
    """
    plus, cross = 0.5 * (1.0 + cos_theta**2), cos_theta
    if detector.triangle:
        c, s = np.cos(2.0 * psi) ** 2, np.sin(2.0 * psi) ** 2
        return 1.125 * (plus**2 * c + cross**2 * s), 1.125 * (plus**2 * s + cross**2 * c)
    a, b = plus * np.cos(2.0 * phi), cross * np.sin(2.0 * phi)
    c, s = np.cos(2.0 * psi), np.sin(2.0 * psi)
    return (a * c - b * s) ** 2, (a * s + b * c) ** 2


def signal_to_noise(
    masses: tuple[Array, Array], z: Array, distance: Array, cos_inclination: Array, rng: np.random.Generator
) -> Array:
    """Return ρ in the network of mergers in isotropic directions, shape [n].

    Parameters
    ----------
    masses
        Of the two bodies in solar masses, each [n].
    z, distance
        Redshift and luminosity distance in Mpc, shape [n].
    cos_inclination
        cos ι, shape [n].
    rng
        Draws direction and polarisation.
    """
    loudness = 8.0 / distance * ((1.0 + z) * chirp_mass(*masses) / 1.2) ** (5.0 / 6.0)
    end = innermost_frequency((1.0 + z) * (masses[0] + masses[1]))
    squared = np.zeros(len(z))
    for detector in NETWORK:
        cos_theta, phi, psi = (rng.uniform(low, high, len(z)) for low, high in ((-1, 1), (0, 2 * np.pi), (0, np.pi)))
        plus, cross = antenna_power(detector, cos_theta, phi, psi)
        geometry = plus * (0.5 * (1.0 + cos_inclination**2)) ** 2 + cross * cos_inclination**2
        share = np.interp(np.log(end), np.log(FREQUENCIES), detector.shares)
        squared += geometry * share * (detector.horizon * loudness) ** 2
    return np.sqrt(squared)
