"""Pictures as users have them: FITS images, and PNG, JPEG or TIFF files, with what their headers say."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_scales
from numpy.typing import NDArray
from scipy import ndimage

from astropipe.morphology.cut_options import SMALLEST_PX, CutOptions, pixel_scale_fault
from astropipe.morphology.flags import GalaxyFlag
from astropipe.runtime.errors import InputError

FITS_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

_SCALE_KEYWORDS = ("PIXSCALE", "PIXELSCL", "PIXSCAL1", "SECPIX", "SECPIX1")
_PSF_KEYWORDS = ("PSF_FWHM", "PSFFWHM", "SEEING")
_ARCSEC_PER_DEG = 3600.0
# The profile of a point spread function is looked at this many times finer.
_PSF_ZOOM = 8


class Pixels(Protocol):
    """A two-dimensional array, or the section of a file that is read as it is asked for."""

    def __getitem__(self, place: tuple[slice, slice], /) -> Any:
        """Return a rectangle of pixels."""


@dataclass(frozen=True)
class Picture:
    """A picture of which rectangles can be read.

    Attributes
    ----------
    name : str
        Its file.
    shape : tuple of int
        Rows and columns.
    pixels : Pixels
        The values; the row with index 0 is the first of the file (FITS: the lowest, PNG and JPEG: the highest).
    pixel_scale_arcsec, psf_fwhm_arcsec, saturation : float
        NaN if unknown.
    flags : int
        What holds for all galaxies on it.
    wcs : WCS or None
        Celestial coordinates.
    """

    name: str
    shape: tuple[int, int]
    pixels: Pixels
    pixel_scale_arcsec: float = math.nan
    psf_fwhm_arcsec: float = math.nan
    saturation: float = math.nan
    flags: int = 0
    wcs: WCS | None = None

    def rectangle(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the values of a rectangle in native byte order, NaN where saturated.

        Raises
        ------
        InputError
            If the file is damaged there.
        """
        try:
            values = np.array(self.pixels[rows, columns], dtype=np.float32)
        except Exception as error:  # many kinds, by what is broken
            raise InputError(f"{self.name}: damaged, its pixels cannot be read ({_reason(error)})") from error
        if not math.isnan(self.saturation):
            values[values >= self.saturation] = np.nan
        return values


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name and, for FITS, its content."""
    if path.name.lower().endswith(PICTURE_ENDINGS):
        return True
    if not path.name.lower().endswith(FITS_ENDINGS):
        return False
    try:
        with fits.open(path) as hdus:
            tables = any(isinstance(hdu, fits.BinTableHDU | fits.TableHDU) for hdu in hdus)
            return _image_hdu(hdus) is not None or not tables
    except Exception:  # astropy raises many kinds for damaged files; `open_picture` says what is wrong
        return True


@contextmanager
def open_picture(path: Path, options: CutOptions) -> Iterator[Picture]:
    """Open a picture; FITS images are read piece by piece.

    Raises
    ------
    InputError
        If the file is no picture, damaged or too small, or its header gives an impossible pixel scale.
    """
    if path.name.lower().endswith(PICTURE_ENDINGS):
        yield _checked(_read_picture(path, options))
        return
    try:
        hdus = fits.open(path)
    except Exception as error:  # many kinds, by what is broken
        raise InputError(f"{path}: not a readable FITS file ({_reason(error)})") from error
    with hdus:
        try:
            picture = _fits_picture(path, hdus, options)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{path}: damaged FITS file ({_reason(error)})") from error
        yield _checked(picture)


def _checked(picture: Picture) -> Picture:
    if min(picture.shape) < SMALLEST_PX:
        size = " x ".join(str(each) for each in picture.shape)
        raise InputError(f"{picture.name}: {size} pixels show no shape; give at least {SMALLEST_PX} x {SMALLEST_PX}")
    return picture


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# FITS


def _fits_picture(path: Path, hdus: fits.HDUList, options: CutOptions) -> Picture:
    hdu = _image_hdu(hdus)
    if hdu is None:
        shapes = [hdu.shape for hdu in hdus if isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU) and hdu.shape]
        raise InputError(f"{path}: no image of two dimensions among its extensions (found {shapes or 'none'})")
    # Keywords of instruments stand in the primary header as often as beside the image.
    headers = [hdu.header, hdus[0].header]
    wcs = _wcs(hdu.header)
    scale = options.pixel_scale_arcsec
    if math.isnan(scale):
        scale = _pixel_scale(path, headers, wcs)
    seeing = options.psf_fwhm_arcsec
    if math.isnan(seeing):
        seeing = _keyword(headers, _PSF_KEYWORDS)
        seeing = seeing if seeing > 0.0 else math.nan
    if math.isnan(seeing):
        seeing = _psf_extension(hdus, scale)
    saturation = options.saturation
    if math.isnan(saturation):
        saturation = _keyword(headers, ("SATURATE",))
        saturation = saturation if saturation > 0.0 else math.nan
    shape = tuple(hdu.shape[-2:])
    return Picture(str(path), shape, _Section(hdu), scale, seeing, saturation, 0, wcs)


@dataclass(frozen=True)
class _Section:
    """The last two axes of an image extension, whose other axes have one plane."""

    hdu: Any

    def __getitem__(self, place: tuple[slice, slice], /) -> Any:
        return self.hdu.section[(0,) * (len(self.hdu.shape) - 2) + place]


def _image_hdu(hdus: fits.HDUList) -> Any:
    """Return the first extension with an image that is no point spread function, weight or mask."""
    for hdu in hdus:
        if isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU):
            shape = hdu.shape
            two = len(shape) >= 2 and all(each == 1 for each in shape[:-2])
            if two and hdu.name.upper() not in ("PSF", "WHT", "WEIGHT", "ERR", "ERROR", "RMS", "MASK", "DQ", "SEG"):
                return hdu
    return None


def _wcs(header: fits.Header) -> WCS | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header, naxis=2)
        except Exception:  # a wrong WCS is as none: the picture itself can be used
            return None
    return wcs if wcs.has_celestial else None


def _pixel_scale(path: Path, headers: list[fits.Header], wcs: WCS | None) -> float:
    """Read the pixel scale from coordinates or keywords; NaN if there is none."""
    scale, where = math.nan, ""
    if wcs is not None:
        scale, where = float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs)))) * _ARCSEC_PER_DEG, "its coordinates give"
    elif not math.isnan(_keyword(headers, _SCALE_KEYWORDS)):
        scale, where = _keyword(headers, _SCALE_KEYWORDS), "its header gives"
    elif "CD1_1" in headers[0]:
        cd = np.array([[float(headers[0].get(f"CD{i}_{j}", 0.0)) for j in (1, 2)] for i in (1, 2)])
        scale, where = math.sqrt(abs(float(np.linalg.det(cd)))) * _ARCSEC_PER_DEG, "its CD matrix gives"
    elif "CDELT1" in headers[0] and abs(float(headers[0]["CDELT1"])) != 1.0:
        # 1 is what writers put where they know nothing.
        scale, where = abs(float(headers[0]["CDELT1"])) * _ARCSEC_PER_DEG, "its CDELT1 gives"
    fault = "" if math.isnan(scale) else pixel_scale_fault(scale)
    if fault:
        raise InputError(f"{path}: {where} {scale:g}, which {fault}; set pixel_scale_arcsec")
    return scale


def _keyword(headers: list[fits.Header], names: tuple[str, ...]) -> float:
    """Return the first of the keywords that holds a number; NaN without one."""
    for header in headers:
        for name in names:
            value = header.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
    return math.nan


def _psf_extension(hdus: fits.HDUList, pixel_scale_arcsec: float) -> float:
    """Return the FWHM of the image in the extension PSF: the diameter of the area above half of its maximum."""
    if "PSF" not in hdus or hdus["PSF"].shape == () or len(hdus["PSF"].shape) != 2:
        return math.nan
    scale = _keyword([hdus["PSF"].header], _SCALE_KEYWORDS)
    fine = ndimage.zoom(
        np.nan_to_num(np.array(hdus["PSF"].data, dtype=np.float64)), _PSF_ZOOM, order=3, grid_mode=True, mode="nearest"
    )
    area = np.count_nonzero(fine >= 0.5 * fine.max()) / _PSF_ZOOM**2 if fine.max() > 0.0 else math.nan
    return 2.0 * math.sqrt(area / math.pi) * (pixel_scale_arcsec if math.isnan(scale) else scale)


# PNG, JPEG, TIFF


def _read_picture(path: Path, options: CutOptions) -> Picture:
    from PIL import Image  # a library of plots, which many runs do not need

    flags = GalaxyFlag(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                indirect = opened.mode in ("1", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
                image = opened.convert("RGB") if indirect else opened
                values, mode = np.asarray(image), image.mode
    except Exception as error:  # pillow raises OSError, SyntaxError, ValueError and its own, by what is broken
        raise InputError(f"{path}: not a readable picture ({_reason(error)})") from error
    if mode in ("RGB", "RGBA", "LA", "RGBX"):
        channels = values[..., : 1 if mode == "LA" else 3]
        if np.any(channels != channels[..., :1]):
            flags |= GalaxyFlag.COLOUR
        values = channels.mean(axis=2, dtype=np.float32)
    if mode != "F":
        flags |= GalaxyFlag.STRETCHED
    scale, seeing = options.pixel_scale_arcsec, options.psf_fwhm_arcsec
    return Picture(str(path), values.shape, values, scale, seeing, options.saturation, int(flags))
