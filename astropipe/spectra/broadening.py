"""Rotation, macroturbulence, resolving power and Doppler shift, as factors in Fourier space.

On pixels of equal steps in log wavelength each of these is a convolution with a kernel in velocity that is the same at
every
pixel, so that all four together are one multiplication of the Fourier transform.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import j1

from astropipe.spectra.pixels import PIXEL_KM_S, SPEED_OF_LIGHT_KM_S

# Linear limb darkening of FGK stars in the visible (Gray 2005, section 18.2, uses the same).
LIMB_DARKENING = 0.6
_FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


def frequencies_s_km(n_pixels: int) -> NDArray[np.float64]:
    """Frequencies of ``numpy.fft.rfft`` over pixels, shape (n_pixels // 2 + 1,), in cycles per km/s."""
    return np.asarray(np.fft.rfftfreq(n_pixels, d=PIXEL_KM_S), dtype=np.float64)


def rotation(frequency_s_km: ArrayLike, v_sin_i_km_s: ArrayLike) -> NDArray[np.float64]:
    """Fourier transform of the rotation profile with linear limb darkening.

    Parameters
    ----------
    frequency_s_km : array_like
        Cycles per km/s.
    v_sin_i_km_s : array_like
        Projected rotation velocity in km/s, broadcast against the frequencies.

    Returns
    -------
    ndarray
        The factor, 1 at frequency 0.

    Notes
    -----
    Transform of the profile of Gray (2005), "The Observation and Analysis of Stellar Photospheres", equation 18.14.
    """
    x = 2.0 * np.pi * np.abs(np.asarray(frequency_s_km, dtype=np.float64) * np.asarray(v_sin_i_km_s, dtype=np.float64))
    small = x < 1e-2
    safe = np.where(small, 1.0, x)
    uniform = np.where(small, 0.5 - x**2 / 16.0, j1(safe) / safe)
    darkened = np.where(small, 1.0 / 3.0 - x**2 / 30.0, (np.sin(safe) - safe * np.cos(safe)) / safe**3)
    epsilon = LIMB_DARKENING
    return np.asarray((2.0 * (1.0 - epsilon) * uniform + 2.0 * epsilon * darkened) / (1.0 - epsilon / 3.0))


def macroturbulence(frequency_s_km: ArrayLike, v_macro_km_s: ArrayLike) -> NDArray[np.float64]:
    """Fourier transform of Gaussian macroturbulence, ``exp(-(v / v_macro)^2)``, arguments as in `rotation`."""
    return np.exp(-((np.pi * np.asarray(frequency_s_km) * np.asarray(v_macro_km_s)) ** 2))


def line_spread(frequency_s_km: ArrayLike, resolution: ArrayLike) -> NDArray[np.float64]:
    """Fourier transform of a Gaussian line-spread function of FWHM c / resolution, arguments as in `rotation`."""
    sigma_km_s = SPEED_OF_LIGHT_KM_S / np.asarray(resolution, dtype=np.float64) / _FWHM_PER_SIGMA
    return np.exp(-2.0 * (np.pi * np.asarray(frequency_s_km) * sigma_km_s) ** 2)


def sharper(resolution: ArrayLike, than: ArrayLike) -> NDArray[np.float64]:
    """Return the resolving power of the Gaussian that takes spectra from resolving power `than` to `resolution`."""
    wanted, present = np.asarray(resolution, dtype=np.float64), np.asarray(than, dtype=np.float64)
    return np.asarray((wanted**-2.0 - present**-2.0) ** -0.5)


def doppler(frequency_s_km: ArrayLike, rv_km_s: ArrayLike) -> NDArray[np.complex128]:
    """Phase of a shift to the red by a radial velocity.

    The shift in log wavelength is ``ln(1 + v / c)``, which is not quite v / c: at 300 km/s the difference is 0.15 km/s.
    """
    shift_km_s = SPEED_OF_LIGHT_KM_S * np.log1p(np.asarray(rv_km_s, dtype=np.float64) / SPEED_OF_LIGHT_KM_S)
    return np.asarray(np.exp(-2j * np.pi * np.asarray(frequency_s_km) * shift_km_s))
