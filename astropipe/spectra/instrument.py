"""From the light of a star to a recorded spectrum: what LAMOST's medium-resolution spectrographs add to it.

Functions on batches of spectra on the pixels of `astropipe.spectra.pixels.OBSERVED`; `observe` applies all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.constants import c, h, k

from astropipe.spectra.pixels import N_PIXELS, OBSERVED, arm_slices, wavelengths_a
from astropipe.spectra.sky import RESIDUAL, residual_at
from astropipe.spectra.telluric import EARTH_KM_S, depth_at

Floats = NDArray[np.floating]

# Legendre polynomials 1 to this shape the response of an arm.
_TILT_ORDER = 4
_ANGSTROM_PER_PIXEL = 0.13


@dataclass(frozen=True)
class Damage:
    """How often things go wrong.

    Attributes
    ----------
    masked_fraction : float
        Largest share of single pixels that are flagged; the share of a spectrum is drawn between 0 and this.
    gap_rate, gap_width_a : float
        Mean number of gaps in a spectrum, and their mean width in Angstrom.
    missing_arm_rate : float
        Share of spectra without one of the arms.
    cosmic_ray_rate : float
        Mean number of cosmic rays in a spectrum that were not found.
    sky_residual : float
        Standard deviation of what is left of [O I] 6300, in units of the noise of the continuum at S/N 20.
    tilt : float
        Standard deviation of the coefficients of the logarithm of the response.
    air_mass : tuple of float
        Lowest and highest path through the oxygen of the Earth's atmosphere; 0 and 0 for none.
    """

    masked_fraction: float = 0.01
    gap_rate: float = 0.05
    gap_width_a: float = 20.0
    missing_arm_rate: float = 0.01
    cosmic_ray_rate: float = 0.2
    sky_residual: float = 1.0
    tilt: float = 0.05
    air_mass: tuple[float, float] = (1.0, 1.8)


@dataclass(frozen=True)
class Recorded:
    """Recorded spectra, shape (n, N_PIXELS) each: flux in units of about the continuum, inverse variance, mask."""

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    mask: NDArray[np.bool_]


def observe(
    spectra: Floats,
    valid: NDArray[np.bool_],
    t_eff_k: Floats,
    snr: Floats,
    damage: Damage,
    rng: np.random.Generator,
    *,
    telluric_shift_km_s: float = 0.0,
) -> Recorded:
    """Record spectra.

    Parameters
    ----------
    spectra : ndarray, shape (n, N_PIXELS)
        Broadened and shifted spectra in units of the continuum.
    valid : ndarray of bool, shape (n, N_PIXELS)
        Where they are known; the rest is masked.
    t_eff_k : ndarray, shape (n,)
        Effective temperatures, for the slope of the continuum.
    snr : ndarray, shape (n, 2)
        Wanted median signal-to-noise ratio per pixel of the blue and the red arm.
    damage : Damage
        What goes wrong.
    rng : Generator
        Source of randomness.
    telluric_shift_km_s : float
        What lines of the Earth's atmosphere, dark and bright, are shifted by beyond the velocity of the Earth.
    """
    n = len(spectra)
    tilt = rng.normal(0.0, damage.tilt, (n, len(OBSERVED), _TILT_ORDER))
    flux = (spectra * continuum(t_eff_k, tilt)).astype(np.float32)
    earth = telluric_shift_km_s + rng.uniform(-EARTH_KM_S, EARTH_KM_S, n)
    _absorb(flux, damage.air_mass, earth, rng)
    variance = np.empty_like(flux)
    for i, place in enumerate(arm_slices().values()):
        variance[:, place] = noise_variance(flux[:, place], snr[:, i], rng.uniform(0.1, 0.6, n))
    sigma = np.sqrt(variance)
    flux += sigma * rng.standard_normal(flux.shape, dtype=np.float32)
    _add_sky(flux, rng.normal(0.0, damage.sky_residual * RESIDUAL, n), earth)
    _add_cosmic_rays(flux, damage.cosmic_ray_rate, rng)
    mask = ~valid | (rng.random(flux.shape, dtype=np.float32) < rng.uniform(0.0, damage.masked_fraction, (n, 1)))
    _add_gaps(mask, damage, rng)
    return Recorded(np.where(mask, 0.0, flux), np.where(mask, 0.0, 1.0 / variance).astype(np.float32), mask)


@lru_cache(maxsize=1)
def _legendre() -> tuple[Floats, ...]:
    return tuple(
        np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, arm.size), _TILT_ORDER)[:, 1:].T.astype(np.float32)
        for arm in OBSERVED
    )


def continuum(t_eff_k: Floats, tilt: Floats) -> Floats:
    """Shape of the recorded continuum: a black body times a smooth response, 1 at the middle of each arm.

    Parameters
    ----------
    t_eff_k : ndarray, shape (n,)
        Temperature of the black body in K.
    tilt : ndarray, shape (n, 2, 4)
        Coefficients of the Legendre polynomials 1 to 4 of the logarithm of the response, per arm.

    Returns
    -------
    ndarray, shape (n, N_PIXELS)
    """
    exponent = (h * c / (k * 1e-10)) / (np.asarray(t_eff_k)[:, None] * wavelengths_a())
    log_shape = (-5.0 * np.log(wavelengths_a()) - np.log(np.expm1(exponent))).astype(np.float32)
    for i, (place, legendre) in enumerate(zip(arm_slices().values(), _legendre(), strict=True)):
        log_shape[:, place] += tilt[:, i].astype(np.float32) @ legendre
        middle = (place.start + place.stop) // 2
        log_shape[:, place] -= log_shape[:, middle : middle + 1].copy()
    return np.asarray(np.exp(log_shape))


def noise_variance(flux: Floats, snr: Floats, background: Floats) -> Floats:
    """Variance of each pixel for a wanted signal-to-noise ratio.

    Photon noise grows with the flux, sky and read-out do not: ``(1 - b) f + b`` in units of the variance at the median,
    where b is the share of the background.

    Parameters
    ----------
    flux : ndarray, shape (n, pixels)
        Flux of one arm.
    snr : ndarray, shape (n,)
        Wanted median of flux / sigma, which is what LAMOST's SNR keyword holds.
    background : ndarray, shape (n,)
        Share of the variance at the median flux that does not come from the star.

    Returns
    -------
    ndarray, shape (n, pixels)
    """
    # Flux / sigma rises with the flux, so that its median is its value at the median flux.
    signal = np.median(flux, axis=1, keepdims=True)
    share = np.asarray(background, dtype=np.float32)[:, None]
    relative = (1.0 - share) * np.clip(flux / signal, 0.0, None) + share
    return np.asarray(relative * (signal / np.asarray(snr, dtype=np.float32)[:, None]) ** 2)


def _absorb(flux: Floats, air_mass: tuple[float, float], earth_km_s: Floats, rng: np.random.Generator) -> None:
    """Let telluric oxygen absorb, at the velocity of the Earth of each day."""
    if air_mass[1] == 0.0:
        return
    red = arm_slices()["red"]
    for row, path in enumerate(rng.uniform(*air_mass, len(flux))):
        depth = depth_at(earth_km_s[row], air_mass=round(path, 1))
        flux[row, red] *= (1.0 - depth).astype(np.float32)


def _add_sky(flux: Floats, sizes: Floats, earth_km_s: Floats) -> None:
    """Add what is left of the lines of the night sky, at the velocity of the Earth of each day."""
    if not sizes.any():
        return
    red = arm_slices()["red"]
    for row, size in enumerate(sizes):
        flux[row, red] += (size * residual_at(earth_km_s[row])).astype(np.float32)


def _add_cosmic_rays(flux: Floats, rate: float, rng: np.random.Generator) -> None:
    """Add hits of one to four pixels, a tenth to three times the continuum high."""
    for row in np.repeat(np.arange(len(flux)), rng.poisson(rate, len(flux))):
        first, width = rng.integers(N_PIXELS - 4), rng.integers(1, 5)
        flux[row, first : first + width] += 10.0 ** rng.uniform(-1.0, 0.5) * rng.uniform(0.3, 1.0, width)


def _add_gaps(mask: NDArray[np.bool_], damage: Damage, rng: np.random.Generator) -> None:
    for row in np.repeat(np.arange(len(mask)), rng.poisson(damage.gap_rate, len(mask))):
        first, width = rng.integers(N_PIXELS), rng.exponential(damage.gap_width_a / _ANGSTROM_PER_PIXEL)
        mask[row, first : first + 1 + int(width)] = True
    places = list(arm_slices().values())
    for row in np.flatnonzero(rng.random(len(mask)) < damage.missing_arm_rate):
        mask[row, places[rng.integers(len(places))]] = True
