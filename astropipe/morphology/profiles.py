"""Light in rings about the centre: what a view of the middle does not show, and a stretch hides.

The view of the network ends at a few half-light radii, where spheroids and disks begin to differ, and its brightness is
in units that depend on the noise. Rings know both: the mean of a wide ring reaches deep below the noise of a pixel. All
numbers are such that no turn or reflection of the galaxy changes them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

EDGES = np.array([0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.25, 1.5, 1.8, 2.2, 2.7, 3.3, 4.0, 5.0, 6.5])
"""Radii in half-light radii that bound the rings."""
HARMONICS = (1, 2, 3, 4)
"""Harmonics over the angle that are measured in each ring."""
N_PROFILE = (len(EDGES) - 1) * (3 + len(HARMONICS)) + (len(EDGES) - 2) + 2
"""Numbers that `ring_profiles` gives for a galaxy."""
_FAINT = 0.01
_WHOLE = 1.0


@lru_cache(maxsize=8)
def _by_radius(size: int) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float32]]:
    """Return the order of the pixels by radius, their radii in it, and cosine and sine of each harmonic there."""
    axis = np.arange(size) - (size - 1) / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    radius, angle = np.hypot(x, y).ravel(), np.arctan2(y, x).ravel()
    order = np.argsort(radius, kind="stable")
    waves = np.exp(1j * np.array(HARMONICS)[:, None] * angle[order])
    return order, radius[order], np.concatenate((waves.real, waves.imag)).astype(np.float32)


def ring_profiles(
    images: NDArray[np.float32],
    masks: NDArray[np.bool_],
    sky_rms: NDArray[np.floating],
    r50_px: NDArray[np.floating],
    psf_fwhm_px: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Measure rings.

    Parameters
    ----------
    images : ndarray, shape (n, size, size)
        Less the sky, the galaxy in the middle.
    masks : ndarray of bool, shape (n, size, size)
        Pixels that do not count.
    sky_rms, r50_px, psf_fwhm_px : ndarray, shape (n,)
        Noise of a pixel, half-light radius, and full width of the point spread function, which may be NaN.

    Returns
    -------
    ndarray of float32, shape (n, N_PROFILE)
        Of each ring the mean brightness in units of that inside the half-light radius (arcsinh of a hundred times it),
        its signal-to-noise ratio (arcsinh), the scatter of its pixels beyond the noise, and the strength of each
        harmonic, both over the mean; how well the phase of the second harmonic goes on in the next ring; the logarithm
        of the half-light radius in pixels, and the width of the point spread function over it. Rings outside the stamp
        and what is not known are 0.
    """
    order, radius, waves = _by_radius(images.shape[-1])
    result = np.zeros((len(images), N_PROFILE), dtype=np.float32)
    for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
        ends = np.searchsorted(radius, EDGES * r50_px[i])
        last = int(ends[-1])
        seen = (~mask.ravel()[order[:last]]).astype(np.float32)
        light = image.ravel()[order[:last]] * seen
        rows = np.concatenate((np.stack((seen, light, light * light)), light * waves[:, :last]))
        sums = np.zeros((len(rows), last + 1))
        np.cumsum(rows, axis=1, out=sums[:, 1:])
        result[i] = _numbers(np.diff(sums[:, ends], axis=1), sky_rms[i], r50_px[i], psf_fwhm_px[i])
    return result


def _numbers(sums: NDArray[np.float64], sky_rms: float, r50_px: float, psf_fwhm_px: float) -> NDArray[np.float64]:
    pixels = np.maximum(sums[0], 1.0)
    mean = sums[1] / pixels
    noise = sky_rms / np.sqrt(pixels)
    inside = EDGES[1:] <= _WHOLE
    level = max(float(sums[1, inside].sum() / max(sums[0, inside].sum(), 1.0)), sky_rms / 100)
    scale = np.maximum(np.abs(mean), noise)
    scatter = np.sqrt(np.maximum(sums[2] / pixels - mean**2 - sky_rms**2, 0.0)) / scale
    n = len(HARMONICS)
    waves = (sums[3 : 3 + n] + 1j * sums[3 + n :]) / pixels
    strength = 2 * np.abs(waves) / scale
    second = waves[HARMONICS.index(2)]
    going_on = np.real(second[1:] * np.conj(second[:-1])) / (np.abs(second[1:]) * np.abs(second[:-1]) + 1e-30)
    known = sums[0] > 0
    rings = np.concatenate(
        (
            [np.arcsinh(mean / level / _FAINT), np.arcsinh(mean / noise), np.minimum(scatter, 3.0)],
            np.minimum(strength, 3.0),
        )
    )
    width = psf_fwhm_px / r50_px if np.isfinite(psf_fwhm_px) else 0.0
    return np.concatenate(((rings * known).ravel(), going_on * (known[1:] & known[:-1]), [np.log(r50_px), width]))
