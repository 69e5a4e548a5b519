"""Light in rings about the centre: what a view of the middle does not show, and a stretch hides.

The view of the network ends at a few half-light radii, where spheroids and disks begin to differ, and its brightness is
in units that depend on the noise. Rings know both: the mean of a wide ring reaches deep below the noise of a pixel. All
numbers are such that no turn or reflection of the galaxy changes them.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

EDGES = np.array([0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.25, 1.5, 1.8, 2.2, 2.7, 3.3, 4.0, 5.0, 6.5])
"""Radii in half-light radii that bound the rings."""
HARMONICS = (1, 2, 3, 4)
"""Harmonics over the angle that are measured in each ring."""
N_PROFILE = (len(EDGES) - 1) * (3 + len(HARMONICS)) + (len(EDGES) - 2) + 2
"""Numbers that `ring_profiles` gives for a galaxy."""
# The edges are multiples of this; which ring each of its multiples begins.
_STEP = 0.05
_RING_OF = np.searchsorted(EDGES, _STEP * (np.arange(round(EDGES[-1] / _STEP)) + 0.5), side="right") - 1
_FAINT = 0.01
_POLE_PX = 1e-6
_WHOLE = 1.0


def ring_profiles(
    images: NDArray[np.float32],
    masks: NDArray[np.bool_],
    sky_rms: NDArray[np.floating],
    r50_px: NDArray[np.floating],
    centre_px: NDArray[np.floating],
    psf_fwhm_px: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Measure rings.

    Parameters
    ----------
    images : ndarray, shape (n, size, size)
        Less the sky.
    masks : ndarray of bool, shape (n, size, size)
        Pixels that do not count.
    sky_rms, r50_px : ndarray, shape (n,)
        Noise of a pixel, and half-light radius.
    centre_px : ndarray, shape (n, 2)
        Column and row of the centre of the rings, from 0.
    psf_fwhm_px : ndarray, shape (n,)
        Full width of the point spread function, which may be NaN.

    Returns
    -------
    ndarray of float32, shape (n, N_PROFILE)
        Of each ring the mean brightness in units of that inside the half-light radius (arcsinh of a hundred times it),
        its signal-to-noise ratio (arcsinh), the scatter of its pixels beyond the noise, and the strength of each
        harmonic, both over the mean; how well the phase of the second harmonic goes on in the next ring; the logarithm
        of the half-light radius in pixels, and the width of the point spread function over it. Rings outside the stamp
        and what is not known are 0.
    """
    result = np.zeros((len(images), N_PROFILE), dtype=np.float32)
    sums = np.zeros((3 + 2 * len(HARMONICS), len(EDGES) - 1))
    for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
        _add_up(image, mask, float(centre_px[i, 0]), float(centre_px[i, 1]), _RING_OF, float(r50_px[i]) * _STEP, sums)
        result[i] = _numbers(sums, float(sky_rms[i]), float(r50_px[i]), float(psf_fwhm_px[i]))
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_up(
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    x0: float,
    y0: float,
    ring_of: NDArray[np.int64],
    step_px: float,
    sums: NDArray[np.float64],
) -> None:
    """Sum pixels, light, its square, and light times cosine and sine of each harmonic in each ring."""
    sums[:] = 0.0
    n_harmonics = (len(sums) - 3) // 2
    for row in range(image.shape[0]):
        dy = row - y0
        for column in range(image.shape[1]):
            dx = column - x0
            radius = np.sqrt(dx * dx + dy * dy)
            at = int(radius / step_px)
            if at >= len(ring_of) or mask[row, column]:
                continue
            ring, light = ring_of[at], float(image[row, column])
            sums[0, ring] += 1.0
            sums[1, ring] += light
            sums[2, ring] += light * light
            if radius < _POLE_PX:
                continue  # it has no angle
            cos, sin = dx / radius, dy / radius
            real, imaginary = light, 0.0
            for m in range(n_harmonics):
                real, imaginary = real * cos - imaginary * sin, real * sin + imaginary * cos
                sums[3 + m, ring] += real
                sums[3 + n_harmonics + m, ring] += imaginary


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
    size = np.abs(second)
    # Where there is no second harmonic its phase is that of the noise.
    going_on = np.real(second[1:] * np.conj(second[:-1])) / (size[1:] * size[:-1] + noise[1:] * noise[:-1])
    known = sums[0] > 0
    rings = np.concatenate(
        (
            [np.arcsinh(mean / level / _FAINT), np.arcsinh(mean / noise), np.minimum(scatter, 3.0)],
            np.minimum(strength, 3.0),
        )
    )
    width = psf_fwhm_px / r50_px if np.isfinite(psf_fwhm_px) else 0.0
    return np.concatenate(((rings * known).ravel(), going_on * (known[1:] & known[:-1]), [np.log(r50_px), width]))
