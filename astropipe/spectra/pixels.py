"""The pixels on which spectra are compared: steps of 1e-5 in log10 wavelength, as in the coadds of LAMOST.

Wavelengths are named by the whole number ``n = 1e5 log10(wavelength / Angstrom)``, so that a coadd needs no
interpolation: its
pixels are these pixels. A Doppler shift by one pixel is 6.90 km/s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.runtime.errors import UsageError

LOG10_STEP = 1e-5
SPEED_OF_LIGHT_KM_S = 299_792.458
PIXEL_KM_S = SPEED_OF_LIGHT_KM_S * np.log(10.0) * LOG10_STEP
# A pixel farther than this from a whole number of steps is no coadd pixel; float32 rounds LOGLAM to 0.024 of a step.
_ALIGNED = 0.05


@dataclass(frozen=True)
class PixelRange:
    """A run of pixels of one arm.

    Attributes
    ----------
    name : str
        ``blue`` or ``red``.
    first : int
        ``1e5 log10`` of the wavelength of the first pixel in Angstrom.
    size : int
        Number of pixels.
    """

    name: str
    first: int
    size: int

    @property
    def wavelength_a(self) -> NDArray[np.float64]:
        """Vacuum wavelengths of the pixel centres, shape (size,), in Angstrom."""
        return np.asarray(10.0 ** (LOG10_STEP * (self.first + np.arange(self.size))), dtype=np.float64)


# What LAMOST's medium-resolution spectrographs record: 4898-5395 and 6270-6877 Angstrom.
OBSERVED = (PixelRange("blue", 369_000, 4_200), PixelRange("red", 379_725, 4_012))
N_PIXELS = sum(arm.size for arm in OBSERVED)


def arm_slices() -> dict[str, slice]:
    """Where each arm lies in an array of ``N_PIXELS`` pixels."""
    slices, start = {}, 0
    for arm in OBSERVED:
        slices[arm.name] = slice(start, start + arm.size)
        start += arm.size
    return slices


def wavelengths_a() -> NDArray[np.float64]:
    """Vacuum wavelengths of all pixels, blue then red, shape (N_PIXELS,), in Angstrom."""
    return np.concatenate([arm.wavelength_a for arm in OBSERVED])


def to_pixels(
    wavelength_a: NDArray[np.floating],
    flux: NDArray[np.floating],
    ivar: NDArray[np.floating],
    mask: NDArray[np.bool_],
    arm: PixelRange,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Put a spectrum on the pixels of an arm.

    Pixels that lie on the common steps are copied. Others (single exposures, other instruments) are interpolated
    linearly in
    log wavelength. The variance of an interpolated pixel is that of the linear combination; what neighbours then share
    is not
    recorded, so that up to a third of the noise of interpolated spectra is correlated from pixel to pixel.

    Parameters
    ----------
    wavelength_a : ndarray, shape (n,)
        Vacuum wavelengths in Angstrom, strictly increasing.
    flux, ivar : ndarray, shape (n,)
        Flux and inverse variance.
    mask : ndarray, shape (n,)
        True where a pixel must not be used.
    arm : PixelRange
        The target.

    Returns
    -------
    flux, ivar : ndarray of float32, shape (arm.size,)
        0 where masked.
    mask : ndarray of bool, shape (arm.size,)
        True where no usable input lies.

    Raises
    ------
    UsageError
        If the wavelengths do not increase.
    """
    position = np.log10(np.asarray(wavelength_a, dtype=np.float64)) / LOG10_STEP - arm.first
    if not np.all(np.diff(position) > 0.0):
        raise UsageError(f"wavelengths of the {arm.name} arm do not increase; sort them and drop duplicates")
    usable = ~np.asarray(mask, dtype=bool) & np.isfinite(flux) & np.isfinite(ivar) & (np.asarray(ivar) > 0.0)
    values = np.where(usable, flux, 0.0).astype(np.float64)
    variance = np.divide(1.0, ivar, out=np.zeros(len(values)), where=usable)

    out_flux, out_ivar = np.zeros(arm.size), np.zeros(arm.size)
    if len(position) == 0:
        return out_flux.astype(np.float32), out_ivar.astype(np.float32), np.ones(arm.size, dtype=bool)
    whole = np.rint(position)
    if np.max(np.abs(position - whole)) < _ALIGNED and len(np.unique(whole)) == len(whole):
        inside = (whole >= 0) & (whole < arm.size) & usable
        target = whole[inside].astype(np.intp)
        out_flux[target], out_ivar[target] = values[inside], 1.0 / variance[inside]
    elif len(position) > 1:
        pixel = np.arange(arm.size, dtype=np.float64)
        left = np.clip(np.searchsorted(position, pixel, side="right") - 1, 0, len(position) - 2)
        step = position[left + 1] - position[left]
        share = (pixel - position[left]) / step
        # A gap in the input stays a gap: nothing is interpolated over more than two native pixels.
        good = (
            usable[left]
            & usable[left + 1]
            & (share >= 0.0)
            & (share <= 1.0)
            & (step < 2.5 * np.median(np.diff(position)))
        )
        out_flux[good] = ((1.0 - share) * values[left] + share * values[left + 1])[good]
        combined = (1.0 - share) ** 2 * variance[left] + share**2 * variance[left + 1]
        out_ivar[good] = 1.0 / combined[good]
    return out_flux.astype(np.float32), out_ivar.astype(np.float32), out_ivar <= 0.0
