"""How galaxies are found on pictures and cut out of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from astropipe.runtime.errors import UsageError

Kind = Literal["auto", "cutouts", "mosaic"]
Positions = Literal["auto", "pixels", "sky"]

SMALLEST_PX = 16
"""Sides of pictures and stamps below this many pixels show no shape."""
PIXEL_SCALE_LIMITS_ARCSEC = (1e-4, 60.0)
"""From the longest baselines to all-sky cameras; what lies beyond is a wrong unit."""


@dataclass(frozen=True)
class CutOptions:
    """How galaxies are found and cut out.

    Attributes
    ----------
    size : int
        Rows, and columns, of a stamp in pixels.
    kind : str
        What a picture shows: ``cutouts`` one galaxy in its middle, ``mosaic`` many. ``auto`` decides by the size of the
        picture and what it shows, and refuses what is not certain.
    pixel_scale_arcsec, psf_fwhm_arcsec : float
        Instead of what the headers say; NaN leaves it to them.
    saturation : float
        Level of the picture, sky included, from which a pixel counts as saturated; NaN takes the keyword SATURATE.
    detect_sigma : float
        The pixels of a source, smoothed to about the resolution, lie so many standard deviations of the equally
        smoothed sky above it.
    min_area_px : int
        Smallest area of a galaxy that is listed where a mosaic has no catalog.
    deblend_contrast : float
        Share of the light of a blend, above the saddle, that makes a peak a source of its own (SExtractor's
        DEBLEND_MINCONT). Mild, as clumps are part of their galaxy.
    bridge : float
        Two touching peaks are one galaxy if the saddle between them reaches this share of the lower peak.
    min_separation_px : float
        Touching peaks that are closer than this are one galaxy.
    size_factor : float
        The stamp reaches at least so many half-light radii from its centre to each side; a larger galaxy is averaged
        to larger pixels.
    background_box_px : int
        Width of the meshes in which the sky of a mosaic is measured.
    positions : str
        Columns of a catalog that count: ``pixels`` (x, y), ``sky`` (ra, dec), or ``auto``: the first of these there is.
    first_pixel : int
        Coordinate of the centre of the first pixel in the columns x and y, 0 or 1. X_IMAGE and Y_IMAGE always
        count from 1, as SExtractor writes them.

    Raises
    ------
    UsageError
        If a value makes no sense; the message names it.
    """

    size: int = 128
    kind: Kind = "auto"
    pixel_scale_arcsec: float = math.nan
    psf_fwhm_arcsec: float = math.nan
    saturation: float = math.nan
    detect_sigma: float = 2.5
    min_area_px: int = 50
    deblend_contrast: float = 0.03
    bridge: float = 0.3
    min_separation_px: float = 3.0
    size_factor: float = 4.0
    background_box_px: int = 128
    positions: Positions = "auto"
    first_pixel: int = 0

    def __post_init__(self) -> None:
        if self.size < SMALLEST_PX:
            raise UsageError(f"size={self.size}: a stamp needs at least {SMALLEST_PX} pixels")
        for name, choices in (("kind", Kind), ("positions", Positions)):
            if getattr(self, name) not in get_args(choices):
                raise UsageError(f"{name}={getattr(self, name)!r} is not known; choose from {get_args(choices)}")
        if self.first_pixel not in (0, 1):
            raise UsageError(f"first_pixel={self.first_pixel}: give 0 or 1")
        if not math.isnan(self.pixel_scale_arcsec):
            fault = pixel_scale_fault(self.pixel_scale_arcsec)
            if fault:
                raise UsageError(f"pixel_scale_arcsec={self.pixel_scale_arcsec:g} {fault}")
        if not math.isnan(self.psf_fwhm_arcsec) and not 0.0 < self.psf_fwhm_arcsec < math.inf:
            raise UsageError(f"psf_fwhm_arcsec={self.psf_fwhm_arcsec:g} must be positive, or NaN if unknown")
        for name in ("detect_sigma", "size_factor"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name}={getattr(self, name):g} must be positive")
        for name, low in (("min_area_px", 1), ("background_box_px", SMALLEST_PX), ("min_separation_px", 0)):
            if not getattr(self, name) >= low:
                raise UsageError(f"{name}={getattr(self, name):g} must be at least {low}")
        for name in ("deblend_contrast", "bridge"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise UsageError(f"{name}={getattr(self, name):g} must lie between 0 and 1")


def pixel_scale_fault(value: float) -> str:
    """Return why a pixel scale in arcsec cannot be right, or nothing if it can."""
    low, high = PIXEL_SCALE_LIMITS_ARCSEC
    if low <= value <= high:
        return ""
    return f"is no pixel scale in arcsec: it must lie between {low:g} and {high:g}"
