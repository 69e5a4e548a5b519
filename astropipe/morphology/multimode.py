"""Multimode, intensity and deviation: how many clumps a galaxy has, and how far the brightest is from the middle.

After Freeman et al. (2013, MNRAS 434, 282), with the choices of Peth et al. (2016) and of statmorph where cheap: the
area ratio of M is taken where A2^2 / A1 is largest over a grid of levels, without the search in between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Images = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Brightness of the faintest pixels of the segment over their mean.
_FAINTEST = 0.2
# Shares of the pixels that are fainter.
_LEVELS = np.arange(0.0, 1.0, 0.02)
_SMOOTHING_PX = 1.0
_MARGIN_PX = 4
_IN_PLANE = np.array([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))], dtype=bool)


def multimode_intensity_deviation(images: Images, segment: Mask) -> tuple[Array, Array, Array]:
    """Measure M, I and D.

    Parameters
    ----------
    images : ndarray, shape (n, size, size)
    segment : ndarray of bool, shape (n, size, size)
        Pixels of each galaxy.

    Returns
    -------
    multimode : ndarray, shape (n,)
        Area of the second clump over that of the first, at the level where the second is most important; 0 if there
        is only one at any level.
    intensity : ndarray, shape (n,)
        Flux uphill of which is the second peak over that of the first; 0 if there is one peak.
    deviation : ndarray, shape (n,)
        Distance of the first peak from the centroid over the radius of a circle of the area of the segment.

    All are NaN where the segment has no positive pixel.
    """
    result = np.full((3, len(images)), np.nan)
    for i, whole in enumerate(segment):
        if not whole.any():
            continue
        (box,) = ndimage.find_objects(whole.view(np.uint8))
        light = np.where(whole[box], np.maximum(images[i][box], 0.0), np.float32(0.0))
        if light.any():
            own = _main_segment(light)
            light *= own
            result[:, i] = _multimode(light, own), *_intensity_deviation(light, int(own.sum()))
    return result[0], result[1], result[2]


def _main_segment(light: Images) -> Mask:
    """Return the pixels down to the level that is a fifth of the mean of all above, connected with the brightest."""
    downwards = np.sort(light[light > 0.0])[::-1]
    faint = downwards <= _FAINTEST * np.cumsum(downwards, dtype=np.float64) / np.arange(1, len(downwards) + 1)
    level = downwards[np.argmax(faint) - 1] if faint.any() else downwards[-1]
    brightest = np.unravel_index(np.argmax(light), light.shape)
    labels, _ = ndimage.label(light >= level, structure=np.ones((3, 3)))
    # Less ragged: at least five of the nine pixels around each.
    own = ndimage.uniform_filter((labels == labels[brightest]).astype(np.float32), 3, mode="constant") > 0.5
    own[brightest] = True
    labels, _ = ndimage.label(own, structure=np.ones((3, 3)))
    return np.asarray(labels == labels[brightest])


def _multimode(light: Images, own: Mask) -> float:
    """Return the area ratio of the two largest clumps, at the level where A2^2 / A1 is largest."""
    values = np.sort(light[own])
    levels = values[(_LEVELS * (len(values) - 1)).astype(int)]
    labels, count = ndimage.label((light >= levels[:, None, None]) & own, structure=_IN_PLANE)
    if count <= len(levels):
        return 0.0
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    # Labels are given level by level.
    until = np.maximum.accumulate(labels.reshape(len(levels), -1).max(axis=1))
    level = np.searchsorted(until, np.arange(1, count + 1))
    order = np.lexsort((-area, level))
    start = np.searchsorted(level[order], np.arange(len(levels)))
    several = np.diff(np.append(start, count)) > 1
    first, second = (area[order[start[several] + i]].astype(float) for i in (0, 1))
    return float((second / first)[np.argmax(second**2 / first)])


def _intensity_deviation(light: Images, area: int) -> tuple[float, float]:
    """Return I and D of one galaxy: each pixel belongs to the peak to which the way uphill leads."""
    padded = np.pad(light, _MARGIN_PX)
    smooth = ndimage.gaussian_filter(padded, _SMOOTHING_PX, mode="constant")
    size = smooth.shape[1]
    flat = smooth.ravel()
    # In this order the first of equal pixels wins for all of them, so that no flat top has two peaks.
    steps = np.array([dy * size + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    inner = np.zeros(smooth.shape, dtype=bool)
    inner[1:-1, 1:-1] = smooth[1:-1, 1:-1] > 0.0
    pixels = np.flatnonzero(inner)
    uphill = np.arange(flat.size)
    uphill[pixels] = pixels + steps[np.argmax(flat[pixels[:, None] + steps], axis=1)]
    while True:
        further = uphill[uphill]
        if np.array_equal(further, uphill):
            break
        uphill = further
    flux = np.bincount(uphill[pixels], flat[pixels], minlength=flat.size)
    peaks = pixels[uphill[pixels] == pixels]
    peaks = peaks[np.argsort(-flux[peaks])]
    y, x = divmod(int(peaks[0]), size)
    total = float(padded.sum(dtype=np.float64))
    pixel_y, pixel_x = (np.arange(length) for length in padded.shape)
    away_y = y - float(padded.sum(axis=1, dtype=np.float64) @ pixel_y) / total
    away_x = x - float(padded.sum(axis=0, dtype=np.float64) @ pixel_x) / total
    intensity = float(flux[peaks[1]] / flux[peaks[0]]) if len(peaks) > 1 else 0.0
    return intensity, float(np.hypot(away_y, away_x) * np.sqrt(np.pi / area))
