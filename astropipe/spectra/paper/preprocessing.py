"""Spectra as RRNet wants them: rest frame, 3,600 pixels in each arm, divided by a fifth-order pseudo-continuum.

After section 3 of Xiong, Li & Liao (2022, ApJS 261, 36) and their public code. Inverse variance and masks are not used
there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import medfilt

from astropipe.runtime.errors import UsageError
from astropipe.spectra.pixels import SPEED_OF_LIGHT_KM_S

# Vacuum wavelength of the first pixel of each arm [Angstrom]; 3,600 pixels of 0.1 Angstrom follow.
STARTS_A = (4968.0, 6339.0)
STEP_A = 0.1
ARM_PIXELS = 3_600
N_PIXELS = 2 * ARM_PIXELS

_ORDER = 5
_MEDIAN_WIDTH = 3
_LOW_SIGMA, _HIGH_SIGMA = 3.0, 4.0
# Networks never see values outside this range.
_CLIP = (-0.5, 2.5)
_MAX_ITERATIONS = 100


def arm_wavelengths_a(arm: int) -> NDArray[np.float64]:
    """Rest-frame vacuum wavelengths of arm 0 (blue) or 1 (red), shape (3600,), in Angstrom."""
    return np.asarray(STARTS_A[arm] + STEP_A * np.arange(ARM_PIXELS), dtype=np.float64)


def rest_frame(
    wavelength_a: NDArray[np.float64], flux: NDArray[np.floating], rv_km_s: float, arm: int
) -> NDArray[np.float64]:
    """Interpolate the flux of one arm linearly on RRNet's pixels in the rest frame.

    Parameters
    ----------
    wavelength_a : ndarray, shape (n,)
        Vacuum wavelengths in Angstrom, increasing.
    flux : ndarray, shape (n,)
        The flux.
    rv_km_s : float
        Radial velocity; wavelengths are divided by ``1 + rv / c``.
    arm : int
        0 for blue, 1 for red.

    Returns
    -------
    ndarray, shape (3600,)

    Raises
    ------
    UsageError
        If the spectrum does not reach over the arm, or holds a flux that is not finite.
    """
    wanted = arm_wavelengths_a(arm)
    present = np.asarray(wavelength_a) / (1.0 + rv_km_s / SPEED_OF_LIGHT_KM_S)
    if present[0] > wanted[0] or present[-1] < wanted[-1]:
        raise UsageError(
            f"RRNet needs {wanted[0]:.0f}-{wanted[-1]:.0f} Angstrom in the rest frame; this spectrum covers "
            f"{present[0]:.1f}-{present[-1]:.1f}. The network of astropipe takes spectra with missing pieces"
        )
    if not np.all(np.isfinite(flux)):
        raise UsageError("RRNet takes no masked or missing pixels, and this flux is not finite everywhere")
    return np.asarray(np.interp(wanted, present, flux), dtype=np.float64)


def without_spikes(flux: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace pixels that stick out of a running median of width 3 by the median, shape (pixels,)."""
    median = medfilt(flux, _MEDIAN_WIDTH)
    below = median - flux
    sigma = np.std(below)
    outlying = (below >= _LOW_SIGMA * sigma) | (below <= -_HIGH_SIGMA * sigma)
    return np.where(outlying, median, flux)


def pseudo_continuum(flux: NDArray[np.float64], wavelength_a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a polynomial of order 5 in log10 wavelength, replacing outliers by the fit until none is left.

    Parameters
    ----------
    flux, wavelength_a : ndarray, shape (pixels,)
        Flux without spikes; wavelengths.

    Returns
    -------
    ndarray, shape (pixels,)
    """
    x = np.log10(wavelength_a)
    x = (x - x.mean()) / x.std()
    level, scale = flux.mean(), flux.std()
    if not scale > 0.0:
        return np.full(len(flux), level)
    y = (flux - level) / scale
    fit = np.zeros(len(y))
    for _ in range(_MAX_ITERATIONS):
        fit = np.polynomial.polynomial.polyval(x, np.polynomial.polynomial.polyfit(x, y, _ORDER))
        below = fit - y
        sigma = np.std(below)
        outlying = (below <= -_HIGH_SIGMA * sigma) | (below >= _LOW_SIGMA * sigma)
        if not outlying.any():
            break
        y = np.where(outlying, fit, y)
    return np.asarray(fit * scale + level, dtype=np.float64)


def normalise(flux: NDArray[np.floating]) -> NDArray[np.float32]:
    """Divide spectra by their pseudo-continua and clip them.

    Parameters
    ----------
    flux : ndarray, shape (n, 7200)
        Rest-frame fluxes, blue then red.

    Returns
    -------
    ndarray of float32, shape (n, 7200)
    """
    out = np.empty(flux.shape, dtype=np.float32)
    for i, spectrum in enumerate(np.asarray(flux, dtype=np.float64)):
        for arm in range(2):
            part = slice(arm * ARM_PIXELS, (arm + 1) * ARM_PIXELS)
            clean = without_spikes(spectrum[part])
            out[i, part] = clean / pseudo_continuum(clean, arm_wavelengths_a(arm))
    return np.clip(out, *_CLIP)
