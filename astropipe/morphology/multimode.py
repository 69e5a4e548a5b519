"""Multimode, intensity and deviation: how many clumps a galaxy has, and how far the brightest is from the middle.

After Freeman et al. (2013, MNRAS 434, 282), with the choices of Peth et al. (2016) and of statmorph where cheap: the
area ratio of M is taken where A2^2 / A1 is largest over a grid of levels, without the search in between.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from astropipe.morphology.gini_m20 import connected

Array = NDArray[np.float64]
Images = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Brightness of the faintest pixels of the segment over their mean.
_FAINTEST = 0.2
# Shares of the pixels that are fainter.
_LEVELS = np.arange(0.0, 1.0, 0.02)
_SMOOTHING_PX = 1.0
_MARGIN_PX = 4


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
    brightest = np.array([np.argmax(light)])
    own = connected((light >= level)[None], brightest)[0]
    # Less ragged: at least five of the nine pixels around each.
    own = ndimage.uniform_filter(own.astype(np.float32), 3, mode="constant") > 0.5
    own.flat[brightest] = True
    return connected(own[None], brightest)[0]


def _multimode(light: Images, own: Mask) -> float:
    """Return the area ratio of the two largest clumps, at the level where A2^2 / A1 is largest."""
    pixels = np.flatnonzero(own)
    downwards = pixels[np.argsort(-light.flat[pixels])]
    values = light.flat[downwards[::-1]]
    levels = values[(_LEVELS * (len(values) - 1)).astype(int)]
    areas = np.zeros((len(levels), 2))
    _largest_clumps(light, downwards, levels, areas)
    first, second = areas[areas[:, 1] > 0].T
    return float((second / first)[np.argmax(second**2 / first)]) if len(first) else 0.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _largest_clumps(light: Images, downwards: NDArray[np.intp], levels: Images, areas: Array) -> None:
    """Fill in the areas of the two largest clumps of pixels that are at least as bright as each level.

    From the highest level downwards pixels are added, and clumps grow together: each pixel leads to the one with which
    its clump began, in the end.
    """
    rows, columns = light.shape
    pixels = light.ravel()
    leads_to, area = np.full(light.size, -1), np.zeros(light.size)
    beginnings = np.empty(len(downwards), dtype=np.int64)
    added = n_clumps = 0
    for at in range(len(levels) - 1, -1, -1):
        while added < len(downwards) and pixels[downwards[added]] >= levels[at]:
            own = downwards[added]
            y, x = divmod(own, columns)
            leads_to[own], area[own] = own, 1.0
            beginnings[n_clumps] = own
            for row in range(max(y - 1, 0), min(y + 2, rows)):
                for column in range(max(x - 1, 0), min(x + 2, columns)):
                    other = row * columns + column
                    if leads_to[other] < 0:
                        continue
                    while leads_to[other] != other:
                        leads_to[other] = leads_to[leads_to[other]]
                        other = leads_to[other]
                    if other != own:
                        area[other] += area[own]
                        leads_to[own], own = other, other
            added += 1
            n_clumps += 1
        left = 0
        for i in range(n_clumps):
            if leads_to[beginnings[i]] == beginnings[i]:
                beginnings[left] = beginnings[i]
                left += 1
                size = area[beginnings[i]]
                areas[at, 1] = max(areas[at, 1], min(size, areas[at, 0]))
                areas[at, 0] = max(areas[at, 0], size)
        n_clumps = left


def _intensity_deviation(light: Images, area: int) -> tuple[float, float]:
    """Return I and D of one galaxy: each pixel belongs to the peak to which the way uphill leads."""
    padded = np.pad(light, _MARGIN_PX)
    smooth = ndimage.gaussian_filter(padded, _SMOOTHING_PX, mode="constant")
    flux = np.zeros(smooth.shape)
    _run_uphill(smooth, flux)
    peaks = np.flatnonzero(flux)
    peaks = peaks[np.argsort(-flux.flat[peaks])]
    y, x = divmod(int(peaks[0]), smooth.shape[1])
    total = float(padded.sum(dtype=np.float64))
    pixel_y, pixel_x = (np.arange(length) for length in padded.shape)
    away_y = y - float(padded.sum(axis=1, dtype=np.float64) @ pixel_y) / total
    away_x = x - float(padded.sum(axis=0, dtype=np.float64) @ pixel_x) / total
    intensity = float(flux.flat[peaks[1]] / flux.flat[peaks[0]]) if len(peaks) > 1 else 0.0
    return intensity, float(np.hypot(away_y, away_x) * np.sqrt(np.pi / area))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _run_uphill(smooth: Images, flux: Array) -> None:
    """Add the light of each pixel inside of the edge to that of the peak to which the way uphill leads."""
    rows, columns = smooth.shape
    light, total = smooth.ravel(), flux.ravel()
    uphill = np.arange(light.size)
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            own = y * columns + x
            if light[own] <= 0.0:
                continue
            # The first of equal pixels wins for all of them, so that no flat top has two peaks.
            best = own - columns - 1
            for row in range(y - 1, y + 2):
                for other in range(row * columns + x - 1, row * columns + x + 2):
                    if light[other] > light[best]:
                        best = other
            uphill[own] = best
    for y in range(1, rows - 1):
        for own in range(y * columns + 1, (y + 1) * columns - 1):
            if light[own] > 0.0:
                while uphill[uphill[own]] != uphill[own]:
                    uphill[own] = uphill[uphill[own]]
                total[uphill[own]] += light[own]
