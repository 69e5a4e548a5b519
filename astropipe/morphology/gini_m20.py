"""Petrosian segment, Gini coefficient, M20 and second moments of many galaxies at once (Lotz et al. 2004)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astropipe.morphology.apertures import Ellipses

Array = NDArray[np.float64]
Images = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Pixels touch also at corners, but only within their own image.
_NEIGHBOURS = np.array([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))], dtype=bool)
_BRIGHTEST = 0.2
_STEPS = 4
_THINNEST = 0.05


def connected(above: Mask, seeds: NDArray[np.intp]) -> Mask:
    """Keep of each mask only what is connected with one pixel of it, also over corners.

    Parameters
    ----------
    above : ndarray of bool, shape (n, size, size)
    seeds : ndarray of int, shape (n,)
        Place of the pixel in the flattened image.
    """
    labels, _ = ndimage.label(above, structure=_NEIGHBOURS)
    flat = labels.reshape(len(above), -1)
    own = flat[np.arange(len(flat)), seeds][:, None]
    return ((flat == own) & (own > 0)).reshape(above.shape)


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
    values, count, outside = _sorted(np.abs(images), segment)
    total = values.sum(axis=1)
    known = (count > 1) & (total > 0.0)
    total, spread = np.where(known, total, np.nan), np.maximum(count - 1, 1)[:, None]
    rank = np.arange(1, values.shape[1] + 1) - outside[:, None]
    weights = np.where(rank > 0, (2.0 * rank - count[:, None] - 1.0) / spread, 0.0)
    value = np.einsum("nk,nk->n", weights, values) / total
    steps = np.where(rank > 0, weights - value[:, None], 0.0)
    return value, sky_rms * np.sqrt(np.einsum("nk,nk->n", steps, steps)) / total


def _sorted(images: Images, segment: Mask) -> tuple[Array, NDArray[np.intp], NDArray[np.intp]]:
    """Sort the pixels of segments upwards, after zeros for all others, cut to as many as the largest one needs."""
    n = len(images)
    count = segment.sum(axis=(1, 2))
    most = max(int(count.max(initial=0)), 1)
    pixels = np.full((n, most), -np.inf, dtype=np.float32)
    pixels[np.arange(most) < count[:, None]] = images[segment]
    pixels.sort(axis=1)
    outside = most - count
    return np.where(np.arange(most) < outside[:, None], 0.0, pixels).astype(np.float64), count, outside


def m20(images: Images, segment: Mask, sky_rms: Array) -> tuple[Array, Array]:
    """Return M20 = log10(sum of f r^2 of the brightest pixels with 20 % of the flux / that of all), and its error.

    Lotz et al. (2004, eq. 8); r is the distance from the centroid of the segment. The error is that of sky noise with
    the segment as it is, with the change of the 20 % threshold.
    """
    n, size, _ = images.shape
    values, _, _ = _sorted(images, segment)
    total = values.sum(axis=1)
    known = total > 0.0
    total = np.where(known, total, np.nan)
    from_top = np.cumsum(values[:, ::-1], axis=1)
    last = np.argmax(from_top >= _BRIGHTEST * np.where(known, total, np.inf)[:, None], axis=1)
    threshold = values[:, ::-1][np.arange(n), last]
    light = images * segment
    x, y = _centroid(light)
    squared = (np.arange(size) - y[:, None])[:, :, None] ** 2 + (np.arange(size) - x[:, None])[:, None, :] ** 2
    squared = squared.astype(np.float32)
    bright = (images >= threshold.astype(np.float32)[:, None, None]) & segment
    spread = light * squared
    whole = spread.sum(axis=(1, 2), dtype=np.float64)
    top = np.sum(spread * bright, axis=(1, 2), dtype=np.float64)
    known &= (whole > 0.0) & (top > 0.0)
    whole, top = np.where(known, whole, np.nan), np.where(known, top, np.nan)
    value = np.log10(top / whole)
    # A change of a pixel moves the threshold, where pixels of mean squared distance `edge` enter or leave.
    near = segment & (np.abs(images - threshold.astype(np.float32)[:, None, None]) <= 0.1 * _column(threshold))
    edge = np.sum(squared * near, axis=(1, 2), dtype=np.float64) / np.maximum(near.sum(axis=(1, 2)), 1)
    steps = (bright * (squared - _column(edge)) + _BRIGHTEST * _column(edge)) / _column(top) - squared / _column(whole)
    steps *= segment
    error = sky_rms * np.sqrt(np.einsum("nij,nij->n", steps, steps, dtype=np.float64)) / np.log(10.0)
    return value, error


def _column(values: Array) -> Images:
    return values.astype(np.float32)[:, None, None]


def _centroid(light: Images) -> tuple[Array, Array]:
    columns, rows = (light.sum(axis=axis, dtype=np.float64) for axis in (1, 2))
    total = columns.sum(axis=1)
    total = np.where(total > 0.0, total, np.nan)
    pixels = np.arange(light.shape[1])
    return columns @ pixels / total, rows @ pixels / total


def second_moments(images: Images, x: Array, y: Array, petrosian_px: Array) -> tuple[Array, Array, Array]:
    """Measure the ellipse of second moments within the ellipse of its own shape, of the Petrosian radius.

    The mean radius of the aperture is the Petrosian one. Its shape starts as a circle and follows the moments: of a
    galaxy with elliptical isophotes that shape is exact, while a circle makes it rounder.

    Returns
    -------
    major, minor : ndarray, shape (n,)
        Root of the second moments along the axes, in pixels; NaN where they are not positive.
    angle : ndarray, shape (n,)
        Angle of the major axis from the x axis towards the y axis in rad, -pi/2 to pi/2.
    """
    ratio, angle = np.ones_like(x), np.zeros_like(x)
    dx, dy = Ellipses(x, y, ratio, angle).offsets(images.shape[1])
    wide, high = dx[:, 0, :].astype(np.float64), dy[:, :, 0].astype(np.float64)
    major = minor = np.full_like(x, np.nan)
    for _ in range(_STEPS):
        radii = Ellipses(x, y, ratio, angle).radii(dx, dy)
        light = images * (radii <= _column(petrosian_px / np.sqrt(ratio)))
        columns, rows = light.sum(axis=1, dtype=np.float64), light.sum(axis=2, dtype=np.float64)
        total = columns.sum(axis=1)
        total = np.where(total > 0.0, total, np.nan)
        xx = np.einsum("nk,nk->n", columns, wide**2) / total
        yy = np.einsum("nk,nk->n", rows, high**2) / total
        xy = np.einsum("nk,nk->n", (light @ dx.transpose(0, 2, 1))[:, :, 0].astype(np.float64), high) / total
        mean, split = (xx + yy) / 2.0, np.hypot((xx - yy) / 2.0, xy)
        major, minor = (np.sqrt(np.where(each > 0.0, each, np.nan)) for each in (mean + split, mean - split))
        angle = np.nan_to_num(0.5 * np.arctan2(2.0 * xy, xx - yy))
        ratio = np.clip(np.nan_to_num(minor / major, nan=1.0), _THINNEST, 1.0)
    return major, minor, angle
