"""One spectrum as all readers return it: up to two arms with errors, masks and flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astropipe.runtime.errors import InputError
from astropipe.spectra.flags import LOW_SNR_LIMIT, MIN_USABLE_PIXELS, SpectrumFlag

ArmName = Literal["blue", "red"]
ARM_NAMES: tuple[ArmName, ...] = ("blue", "red")
COADD = "coadd"

_MISSING: Mapping[ArmName, SpectrumFlag] = {"blue": SpectrumFlag.MISSING_BLUE, "red": SpectrumFlag.MISSING_RED}


@dataclass(frozen=True)
class Arm:
    """The pixels of one arm.

    Attributes
    ----------
    name : str
        ``blue`` or ``red``.
    wavelength_a : ndarray of float64, shape (pixels,)
        Vacuum heliocentric wavelengths in Angstrom, strictly increasing (flags tell where a file says otherwise).
    flux : ndarray of float64, shape (pixels,)
        Flux in the units of the file; 0 where it was not finite.
    ivar : ndarray of float64, shape (pixels,)
        Inverse variance of the flux; 0 where unusable.
    mask : ndarray of bool, shape (pixels,)
        True where a pixel must not be used.
    snr : float
        Median S/N per pixel: what the file says, otherwise computed from usable pixels.
    hdu : str
        Where in the file the arm was found.
    """

    name: ArmName
    wavelength_a: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    mask: NDArray[np.bool_]
    snr: float
    hdu: str

    @property
    def n_usable(self) -> int:
        """Number of pixels that are not masked."""
        return int(np.count_nonzero(~self.mask))


@dataclass(frozen=True)
class Observation:
    """A spectrum of one target, from one exposure or from the sum of several.

    Attributes
    ----------
    id : str
        Name of the observation, unique within its file.
    file : str
        Path as it was given.
    exposure : str
        ``coadd``, or the local modified Julian minute at which a single exposure began.
    arms : dict
        The arms by name; one that was not observed is absent.
    meta : dict
        What the headers say: obsid, ra, dec, lmjd, mjd, planid, ... where given.
    flags : int
        Bits of `SpectrumFlag`; 0 is clean.
    """

    id: str
    file: str
    exposure: str
    arms: dict[ArmName, Arm]
    meta: dict[str, str | int | float]
    flags: int


def make_arm(
    name: ArmName,
    wavelength_a: ArrayLike,
    flux: ArrayLike,
    ivar: ArrayLike,
    mask: ArrayLike,
    *,
    snr: float | None = None,
    hdu: str = "",
) -> Arm:
    """Check the pixels of an arm and bring them into the order and form of `Arm`.

    Falling wavelengths are turned round (LAMOST writes the red single exposures so). A pixel is masked, with inverse
    variance 0, if the mask says so, its flux or inverse variance is not finite, or its inverse variance is not > 0.

    Parameters
    ----------
    name : str
        ``blue`` or ``red``.
    wavelength_a, flux, ivar, mask : array_like, shape (pixels,)
        As in `Arm`; the mask may hold numbers, where 0 is good.
    snr : float, optional
        Median S/N per pixel; computed if not given.
    hdu : str
        Where the arm comes from.

    Raises
    ------
    InputError
        If there are no pixels, lengths differ, or wavelengths are not finite, not positive, unsorted or double.
    """
    wavelength, values, weight = (np.asarray(part, dtype=np.float64) for part in (wavelength_a, flux, ivar))
    flagged = np.asarray(mask) != 0
    shapes = {part.shape for part in (wavelength, values, weight, flagged)}
    if len(shapes) != 1 or wavelength.ndim != 1:
        sizes = ", ".join(str(part.shape) for part in (wavelength, values, weight, flagged))
        raise InputError(
            f"wavelength, flux, inverse variance and mask have shapes {sizes}; give each one value a pixel"
        )
    if wavelength.size == 0:
        raise InputError("there are no pixels")
    order = _order(wavelength)
    wavelength, values, weight, flagged = (part[order] for part in (wavelength, values, weight, flagged))
    finite = np.isfinite(values)
    bad = flagged | ~finite | ~np.isfinite(weight) | ~(weight > 0.0)
    values, weight = np.where(finite, values, 0.0), np.where(bad, 0.0, weight)
    return Arm(name, wavelength, values, weight, bad, _median_snr(values, weight, bad) if snr is None else snr, hdu)


def _order(wavelength: NDArray[np.float64]) -> slice:
    """How to read the pixels in rising order."""
    wrong = np.flatnonzero(~(np.isfinite(wavelength) & (wavelength > 0.0)))
    if wrong.size:
        raise InputError(f"wavelength {wavelength[wrong[0]]:g} at pixel {wrong[0]} is not a positive number")
    step = np.diff(wavelength)
    falling = bool(step.size) and wavelength[-1] < wavelength[0]
    wrong = np.flatnonzero(step >= 0.0 if falling else step <= 0.0)
    if wrong.size:
        pixel = int(wrong[0])
        what = "twice the same" if step[pixel] == 0.0 else "not in order"
        raise InputError(
            f"wavelengths {wavelength[pixel]:.4f} and {wavelength[pixel + 1]:.4f} at pixels {pixel} and {pixel + 1} "
            f"are {what}; sort the pixels by wavelength and keep one of each"
        )
    return slice(None, None, -1 if falling else 1)


def _median_snr(flux: NDArray[np.float64], ivar: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    return float(np.median((flux * np.sqrt(ivar))[~mask])) if not mask.all() else 0.0


def pixel_flags(arms: Mapping[ArmName, Arm]) -> SpectrumFlag:
    """Return the flags that follow from the arms alone: MISSING_BLUE, MISSING_RED, FEW_PIXELS and LOW_SNR."""
    flags = SpectrumFlag(0)
    for name, flag in _MISSING.items():
        if name not in arms or arms[name].n_usable == 0:
            flags |= flag
    if sum(arm.n_usable for arm in arms.values()) < MIN_USABLE_PIXELS:
        flags |= SpectrumFlag.FEW_PIXELS
    # Not >=: a S/N that is not a number is low.
    if not any(arm.snr >= LOW_SNR_LIMIT for arm in arms.values()):
        flags |= SpectrumFlag.LOW_SNR
    return flags
