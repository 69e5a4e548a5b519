"""Sersic profiles drawn by astropy, as stamps."""

from __future__ import annotations

import numpy as np
from astropy.modeling.models import Sersic2D
from scipy.ndimage import gaussian_filter
from scipy.special import gamma, gammaincinv

from astropipe.morphology.stamps import Stamps

SIZE = 128
SCALE_ARCSEC = 0.03
_OVER = 5
_FINER = 9


def sersic_image(
    n: float,
    r_e: float,
    axis_ratio: float = 1.0,
    angle_rad: float = 0.0,
    *,
    fwhm_px: float = 0.0,
    x: float = 63.5,
    y: float = 63.5,
    flux: float = 1000.0,
    size: int = SIZE,
) -> np.ndarray:
    """Draw a profile of a given flux out to infinity, averaged over pixels of the stamp, after a Gaussian blur."""
    model = Sersic2D(1.0, r_e, n, x, y, 1.0 - axis_ratio, angle_rad)
    fine = (np.arange(size * _OVER) + 0.5) / _OVER - 0.5
    columns, rows = np.meshgrid(fine, fine)
    image = model(columns, rows)
    # The cusp in the middle takes still finer steps.
    core = tuple(slice(int((c + 0.5) * _OVER) - 20, int((c + 0.5) * _OVER) + 20) for c in (y, x))
    steps = (np.arange(_FINER) - (_FINER - 1) / 2) / _FINER / _OVER
    image[core] = np.mean([[model(columns[core] + a, rows[core] + b) for a in steps] for b in steps], axis=(0, 1))
    if fwhm_px:
        image = gaussian_filter(image, fwhm_px / np.sqrt(8 * np.log(2)) * _OVER, mode="nearest", truncate=6)
    image = image.reshape(size, _OVER, size, _OVER).mean(axis=(1, 3))
    b_n = gammaincinv(2 * n, 0.5)
    total = 2 * np.pi * r_e**2 * axis_ratio * n * np.exp(b_n) * b_n ** (-2 * n) * gamma(2 * n)
    return image * flux / total


def clumpy_image() -> np.ndarray:
    """Draw a disk with six knots."""
    rng = np.random.default_rng(5)
    image = sersic_image(1.0, 8.0, 0.7, 0.5, fwhm_px=3.0, flux=600.0)
    for _ in range(6):
        x, y = 63.5 + rng.normal(0.0, 7.0, 2)
        image += sersic_image(0.5, 1.5, x=x, y=y, fwhm_px=3.0, flux=70.0)
    return image


def stamps_of(
    images: np.ndarray, sky_rms: float, *, fwhm_px: float = np.nan, masks: np.ndarray | None = None
) -> Stamps:
    images = np.asarray(images, dtype=np.float32)
    n = len(images)
    return Stamps(
        ids=[str(i) for i in range(n)],
        images=images,
        masks=np.zeros(images.shape, dtype=bool) if masks is None else masks,
        sky_rms=np.full(n, sky_rms),
        pixel_scale_arcsec=np.full(n, SCALE_ARCSEC),
        psf_fwhm_arcsec=np.full(n, fwhm_px * SCALE_ARCSEC),
        flags=np.zeros(n, dtype=np.int64),
    )
