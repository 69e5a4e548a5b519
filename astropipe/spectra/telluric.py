"""Telluric oxygen in the red arm: the gamma band from 6278 Angstrom and the head of the B band from 6869.

Its lines stand still in the frame of the telescope, so that they tell whether wavelengths are what they are said to be.
Positions follow from the constants of the two electronic states, strengths from the Boltzmann distribution and the
Hoenl-London factors of Hund's case (b); for spectra of resolving power 7500 neither needs more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from astropipe.spectra.pixels import LOG10_STEP, OBSERVED, PIXEL_KM_S, SPEED_OF_LIGHT_KM_S

# X 3Sigma-g, v = 0, in 1/cm: rotation, its distortion, spin-spin and spin-rotation coupling (Krupenie 1972, J. Phys.
# Chem. Ref. Data 1, 423).
_B, _D, _LAMBDA, _GAMMA = 1.43768, 4.84e-6, 1.98475, -0.00843
_SECOND_RADIATION_CM_K = 1.438777
_TEMPERATURE_K = 260.0
_LARGEST_N = 41
# Half width of a line at half of its maximum, by pressure, in 1/cm: half way up the atmosphere.
_HALF_WIDTH_PER_CM = 0.035
_RESOLUTION = 7_500.0
_FINE = 20
_SIGMA_PER_FWHM = 1.0 / (2.0 * np.sqrt(2.0 * np.log(2.0)))
EARTH_KM_S = 30.0
"""Largest velocity of an observer on Earth towards a star."""
MARGIN_PIXELS = 30
"""Pixels beyond each end of the red arm, for shifts of up to 207 km/s."""


@dataclass(frozen=True)
class Band:
    """A band of the atmospheric system b 1Sigma+g - X 3Sigma-g.

    Attributes
    ----------
    origin, rotation, distortion : float
        Of the upper level, in 1/cm (Krupenie 1972).
    strength : float
        Integrated optical depth of the band at air mass 1, in 1/cm: intensity in cm per molecule (HITRAN; Rothman et
        al. 2013, J. Quant. Spectrosc. Radiat. Transf. 130, 4) times 4.0e24 molecules of oxygen per cm² above 1 km.
    """

    origin: float
    rotation: float
    distortion: float
    strength: float


GAMMA_BAND = Band(15_902.42, 1.35487, 5.4e-6, 7.0e-25 * 4.0e24)
B_BAND = Band(14_525.66, 1.37295, 5.4e-6, 1.5e-23 * 4.0e24)


def _lower(n: NDArray[np.float64], component: int) -> NDArray[np.float64]:
    """Term values of the ground state in 1/cm: J = N + 1, N, N - 1 for components 1, 2, 3 (Schlapp 1937)."""
    middle = _B * n * (n + 1) - _D * (n * (n + 1)) ** 2
    if component == 1:
        x = (2 * n + 3) * _B
        return np.asarray(middle + x - _LAMBDA - np.sqrt(x**2 + _LAMBDA**2 - 2 * _LAMBDA * _B) + _GAMMA * (n + 1))
    if component == 3:
        x = (2 * n - 1) * _B
        return np.asarray(middle - x - _LAMBDA + np.sqrt(x**2 + _LAMBDA**2 - 2 * _LAMBDA * _B) - _GAMMA * n)
    return np.asarray(middle)


def lines(band: Band) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return wavenumbers in 1/cm and integrated optical depths at air mass 1 in 1/cm of the lines of a band."""
    n = np.arange(1.0, _LARGEST_N, 2.0)
    wavenumbers, strengths = [], []
    # Of each branch: component of the lower level, change of J from N, upper J, strength.
    for component, upper, factor in ((2, n - 1, n), (3, n - 1, n - 1), (2, n + 1, n + 1), (1, n + 1, n + 2)):
        lower = _lower(n, component)
        term = band.origin + band.rotation * upper * (upper + 1) - band.distortion * (upper * (upper + 1)) ** 2
        wavenumbers.append(term - lower)
        strengths.append(factor * np.exp(-_SECOND_RADIATION_CM_K * lower / _TEMPERATURE_K))
    strength = np.concatenate(strengths)
    return np.concatenate(wavenumbers), band.strength * strength / strength.sum()


@lru_cache(maxsize=64)
def transmission(air_mass: float = 1.2) -> NDArray[np.float64]:
    """Transmission of the oxygen above the telescope on the pixels of the red arm and a margin at both ends.

    Parameters
    ----------
    air_mass : float
        Path through the atmosphere, 1 at the zenith.

    Returns
    -------
    ndarray, shape (OBSERVED[1].size + 2 * MARGIN_PIXELS,)
        At resolving power 7500, at rest.
    """
    red = OBSERVED[1]
    size = red.size + 2 * MARGIN_PIXELS
    fine = red.first - MARGIN_PIXELS - 0.5 + (np.arange(size * _FINE) + 0.5) / _FINE
    wavenumber = 1e8 / 10.0 ** (fine * LOG10_STEP)
    depth = np.zeros(len(fine))
    for band in (GAMMA_BAND, B_BAND):
        for centre, strength in zip(*lines(band), strict=True):
            near = slice(*np.searchsorted(-wavenumber, [-centre - 20.0, -centre + 20.0]))
            lorentz = _HALF_WIDTH_PER_CM / np.pi / ((wavenumber[near] - centre) ** 2 + _HALF_WIDTH_PER_CM**2)
            depth[near] += strength * lorentz
    sigma = SPEED_OF_LIGHT_KM_S / _RESOLUTION * _SIGMA_PER_FWHM / PIXEL_KM_S * _FINE
    smooth = gaussian_filter1d(np.exp(-air_mass * depth), sigma)
    return np.asarray(smooth.reshape(size, _FINE).mean(axis=1))


def depth_at(velocity_km_s: float, air_mass: float = 1.2) -> NDArray[np.float64]:
    """Return how much light oxygen takes at each pixel of the red arm, shape (OBSERVED[1].size,).

    Parameters
    ----------
    velocity_km_s : float
        Of the telescope's frame against that of the wavelengths: positive if lines are shifted to the red.
    air_mass : float
        See `transmission`.
    """
    size = OBSERVED[1].size
    place = np.arange(size) + MARGIN_PIXELS - velocity_km_s / PIXEL_KM_S
    return 1.0 - np.interp(place, np.arange(size + 2 * MARGIN_PIXELS), transmission(air_mass))


@lru_cache(maxsize=1)
def mean_square_depth() -> NDArray[np.float64]:
    """Return the mean square of `depth_at` over the velocities that the Earth has, shape (OBSERVED[1].size,)."""
    return np.asarray(np.mean([depth_at(v) ** 2 for v in np.linspace(-EARTH_KM_S, EARTH_KM_S, 13)], axis=0))
