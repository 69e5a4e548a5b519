"""Petrosian segment, Gini coefficient, M20 and second moments of many galaxies at once (Lotz et al. 2004)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr

from astropipe.morphology.apertures import Ellipses

Array = NDArray[np.float64]
Images = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BRIGHTEST = 0.2
_STEPS = 3
_FOLLOWS = 0.7
_THINNEST = 0.05


def connected(above: Mask, seeds: NDArray[np.intp]) -> Mask:
    """Keep of each mask only what is connected with one pixel of it, also over corners.

    Parameters
    ----------
    above : ndarray of bool, shape (n, size, size)
    seeds : ndarray of int, shape (n,)
        Place of the pixel in the flattened image.
    """
    result = np.zeros_like(above)
    _flood(above, seeds, result)
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _flood(above: Mask, seeds: NDArray[np.intp], result: Mask) -> None:
    """Mark, in each image, the pixels that a way over neighbours and corners leads to from a seed."""
    n, rows, columns = above.shape
    waiting = np.empty(rows * columns, dtype=np.int64)
    for i in range(n):
        count = 0
        y, x = divmod(seeds[i], columns)
        if above[i, y, x]:
            result[i, y, x] = True
            waiting[0], count = seeds[i], 1
        while count > 0:
            count -= 1
            y, x = divmod(waiting[count], columns)
            for row in range(max(y - 1, 0), min(y + 2, rows)):
                for column in range(max(x - 1, 0), min(x + 2, columns)):
                    if above[i, row, column] and not result[i, row, column]:
                        result[i, row, column] = True
                        waiting[count] = row * columns + column
                        count += 1


def petrosian_segment(smooth: Images, valid: Mask, radii: Images, petrosian_px: Array) -> Mask:
    """Return the pixels that belong to each galaxy.

    They are at least as bright, in the image smoothed with a fifth of the Petrosian radius, as the mean there at that
    radius, and connected with the brightest pixel inside of it (Lotz et al. 2004, section 2.1).

    Parameters
    ----------
    smooth : ndarray, shape (n, size, size)
    valid : ndarray of bool, shape (n, size, size)
    radii : ndarray, shape (n, size, size)
        Major axis of the ellipse through each pixel.
    petrosian_px : ndarray, shape (n,)
        Major axis of the Petrosian ellipse.
    """
    at = petrosian_px.astype(np.float32)[:, None, None]
    inside = radii < at
    ring = np.abs(radii - at) < 0.5
    count = np.maximum(ring.sum(axis=(1, 2)), 1)
    threshold = np.sum(smooth * ring, axis=(1, 2), dtype=np.float64) / count
    above = smooth >= threshold.astype(np.float32)[:, None, None]
    seeds = np.argmax(np.where(inside, smooth, -np.inf).reshape(len(smooth), -1), axis=1)
    return connected(above, seeds) & valid


def gini(images: Images, segment: Mask, sky_rms: Array) -> tuple[Array, Array]:
    """Return the Gini coefficient of the sizes of the pixels of a segment, and its error (Lotz et al. 2004, eq. 6).

    G = sum (2 i - n - 1) |x_i| / ((n - 1) sum |x|), sorted. The error is that of sky noise with the segment as it is.
    """
    values, count = _sorted(np.abs(images), segment)
    total = values.sum(axis=1)
    known = (count > 1) & (total > 0.0)
    total, spread = np.where(known, total, np.nan), np.maximum(count - 1, 1)[:, None]
    rank = np.arange(1, values.shape[1] + 1)
    inside = rank <= count[:, None]
    # Sorted downwards: the first has the rank n.
    weights = np.where(inside, (count[:, None] + 1.0 - 2.0 * rank) / spread, 0.0)
    value = np.einsum("nk,nk->n", weights, values) / total
    # The size of a pixel that is only noise varies by (1 - 2 / pi) sigma^2.
    steps = np.where(inside, weights - value[:, None], 0.0)
    steps *= np.where(values < 2.0 * sky_rms[:, None], np.sqrt(1.0 - 2.0 / np.pi), 1.0)
    return value, sky_rms * np.sqrt(np.einsum("nk,nk->n", steps, steps)) / total


def _sorted(images: Images, segment: Mask) -> tuple[Array, NDArray[np.intp]]:
    """Sort the pixels of segments downwards, with zeros to the length of the largest; return their number too."""
    count = segment.sum(axis=(1, 2))
    columns = np.arange(max(int(count.max(initial=0)), 1))
    inside = columns < count[:, None]
    pixels = np.full(inside.shape, np.inf, dtype=np.float32)
    pixels[inside] = -images[segment]
    pixels.sort(axis=1)
    return np.where(inside, -pixels, 0.0).astype(np.float64), count


def m20(images: Images, segment: Mask, sky_rms: Array) -> tuple[Array, Array]:
    """Return M20 = log10(sum of f r^2 of the brightest pixels with 20 % of the flux / that of all), and its error.

    Lotz et al. (2004, eq. 8); r is the distance from the centroid of the segment. The error is that of sky noise with
    the segment as it is, with the change of the 20 % threshold.
    """
    n = len(images)
    values, _ = _sorted(images, segment)
    total = values.sum(axis=1)
    total = np.where(total > 0.0, total, np.nan)
    last = np.argmax(np.cumsum(values, axis=1) >= _BRIGHTEST * np.nan_to_num(total, nan=np.inf)[:, None], axis=1)
    threshold = values[np.arange(n), last]

    row, i, j = np.nonzero(segment)
    light = images[segment].astype(np.float64)

    def sums(of: Array) -> Array:
        return np.asarray(np.bincount(row, of, minlength=n), dtype=np.float64)

    squared = (i - (sums(light * i) / total)[row]) ** 2 + (j - (sums(light * j) / total)[row]) ** 2
    bright = light >= threshold[row]
    whole, top = sums(light * squared), sums(light * squared * bright)
    known = (whole > 0.0) & (top > 0.0)
    whole, top = np.where(known, whole, np.nan), np.where(known, top, np.nan)
    # A change of a pixel moves the threshold, where pixels of the mean squared distance `edge` enter or leave.
    near = np.abs(light - threshold[row]) <= 0.1 * threshold[row]
    edge = sums(squared * near) / np.maximum(sums(near), 1)
    steps = (bright * (squared - edge[row]) + _BRIGHTEST * edge[row]) / top[row] - squared / whole[row]
    # The share is met to one pixel, and noise decides on which side of the threshold pixels near it are: each then
    # changes the sum by its distance against the mean.
    at = (threshold / top)[row] * (squared - edge[row])
    chance = ndtr((light - threshold[row]) / np.where(sky_rms > 0.0, sky_rms, np.inf)[row])
    chance = np.where(sky_rms[row] > 0.0, chance * (1.0 - chance), 0.0)
    variance = sky_rms**2 * sums(steps**2) + sums(at**2 * chance) + (edge * threshold / top) ** 2 / 12.0
    return np.log10(top / whole), np.sqrt(variance) / np.log(10.0)


def second_moments(
    images: Images, x: Array, y: Array, petrosian_px: Array, sky_rms: Array
) -> tuple[Array, Array, Array, Array]:
    """Measure the ellipse of second moments within the ellipse of its own shape, of the Petrosian radius.

    The mean radius of the aperture is the Petrosian one. Its shape starts as a circle and follows the moments: of a
    galaxy with elliptical isophotes that shape is exact, while a circle makes it rounder.

    Returns
    -------
    major, minor : ndarray, shape (n,)
        Root of the second moments along the axes, in pixels; NaN where they are not positive.
    angle : ndarray, shape (n,)
        Angle of the major axis from the x axis towards the y axis in rad, -pi/2 to pi/2.
    ratio_error : ndarray, shape (n,)
        Standard error of ln(minor / major) from sky noise.
    """
    angle = np.zeros_like(x)
    dx, dy = Ellipses(x, y, np.ones_like(x), angle).offsets(images.shape[1])
    wide, high = dx[:, 0, :].astype(np.float64), dy[:, :, 0].astype(np.float64)
    aperture, before = np.zeros_like(x), (np.zeros_like(x), np.zeros_like(x))
    mean = total = share = np.full_like(x, np.nan)
    for _ in range(_STEPS):
        ratio = np.exp(aperture)
        radii = Ellipses(x, y, ratio, angle).radii(dx, dy)
        # Pixels at the edge count in part: a hard edge is noise of its own at high signal-to-noise ratio.
        light = images * np.clip(_column(petrosian_px / np.sqrt(ratio) + 0.5) - radii, 0.0, 1.0)
        columns, rows = light.sum(axis=1, dtype=np.float64), light.sum(axis=2, dtype=np.float64)
        total = columns.sum(axis=1)
        total = np.where(total > 0.0, total, np.nan)
        xx = np.einsum("nk,nk->n", columns, wide**2) / total
        yy = np.einsum("nk,nk->n", rows, high**2) / total
        xy = np.einsum("nk,nk->n", (light @ dx.transpose(0, 2, 1))[:, :, 0].astype(np.float64), high) / total
        mean, split = (xx + yy) / 2.0, np.hypot((xx - yy) / 2.0, xy)
        squared_ratio = (mean - split) / np.where(mean > 0.0, mean + split, np.nan)
        measured = 0.5 * np.log(np.clip(np.nan_to_num(squared_ratio, nan=1.0), _THINNEST**2, 1.0))
        angle = np.nan_to_num(0.5 * np.arctan2(2.0 * xy, xx - yy))
        # The measured shape follows that of the aperture by some share, which a secant finds.
        moved = aperture - before[0]
        share = np.clip((measured - before[1]) / np.where(np.abs(moved) > 0.02, moved, np.inf), 0.0, _FOLLOWS)
        before = (aperture, measured)
        aperture = np.clip(aperture + (measured - aperture) / (1.0 - share), np.log(_THINNEST), 0.0)
    ratio = np.exp(aperture)
    major = np.sqrt(2.0 * np.where(mean > 0.0, mean, np.nan) / (1.0 + ratio**2))
    # Noise n changes ln(b / a) by sum n (v^2 / b^2 - u^2 / a^2) / 2 F; the mean square of the bracket over an ellipse
    # of the same shape is k^2 / 6, with k its squared size over that of the moments.
    k = petrosian_px**2 / (major**2 * ratio)
    error = sky_rms * np.sqrt(np.pi / 6.0) * petrosian_px * k / (2.0 * total) / (1.0 - share)
    return major, major * ratio, angle, error


def _column(values: Array) -> Images:
    return values.astype(np.float32)[:, None, None]
