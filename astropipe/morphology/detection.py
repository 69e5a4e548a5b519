"""Sources on a picture: its sky, and the pixels of each source, found with SEP (Barbary 2016, JOSS 1, 58).

SEP is the library form of SExtractor (Bertin & Arnouts 1996, A&AS 117, 393). What it takes apart too eagerly, as clumps
and merging galaxies, is put together again by `astropipe.morphology.pieces`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import sep
from numpy.typing import NDArray
from scipy import ndimage

from astropipe.morphology.cut_options import CutOptions
from astropipe.morphology.pieces import Sources, join_pieces, keep, sources_of

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Below this area a source is noise, and so it is if its peak, in standard deviations of the smoothed sky, is below
# this value at the least area and below less, as the square root, at larger areas.
_LEAST_AREA_PX = 12
_LEAST_PEAK_SIGMA = 5.0
# Faint wings beyond the isophote are no sky.
_GROWTH_PX = 6
_MAP_GROWTH_PX = 2
# Thresholds of the rounds in which the sky is found: only the brightest sources stand out from a first guess.
_SKY_SIGMAS = (5.0, 3.0, 2.0, 2.0)
# A picture without noise, such as a model, counts as having this share of its range.
_LEAST_RMS = 1e-4
_DEBLEND_LEVELS = 32
_CLIP_SIGMA = 3.0
# Cutting a Gaussian at three standard deviations narrows it by this factor.
_CLIPPED_WIDTH = 1.0136
# Enlarged pictures have a correlation of about three.
_MOST_CORRELATION = 3.5
# Pictures are smoothed with a Gaussian of this standard deviation, in pixels, before sources are looked for.
_SMOOTHING_PX = 1.5


def _gaussian_kernel() -> Image:
    line = np.exp(-0.5 * (np.arange(-4, 5) / _SMOOTHING_PX) ** 2)
    kernel = np.outer(line, line)
    return (kernel / kernel.sum()).astype(np.float32)


_KERNEL = _gaussian_kernel()
_WHITE = float(np.sqrt(np.sum(_KERNEL**2)))


@dataclass(frozen=True)
class Sky:
    """Level and noise of the sky.

    Attributes
    ----------
    level, rms : ndarray of float32, or a number
        Level and standard deviation per pixel: numbers, or arrays of the shape of the picture.
    correlation : float
        Standard deviation of the sky after smoothing, in units of that which independent pixels would have left.
        Resampled pictures have above 1, and at one threshold more noise in connected pixels.
    """

    level: Image | np.float32
    rms: Image | np.float32
    correlation: float = 1.0


def constant_sky(image: Image, bad: Mask) -> Sky:
    """Measure one level of the sky for a small picture, most of which may be covered by a galaxy.

    Starts from a low one of the regions along the border and the spread of the pixels below it, which sources do not
    reach, then takes the clipped median and standard deviation of all pixels outside of sources.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns)
        The picture; at least one pixel is good.
    bad : ndarray of bool, same shape
        Pixels without a value.

    Returns
    -------
    Sky
        With two numbers. A picture without noise is given an rms of 1e-4 of its range, so that it is never 0.
    """
    values = image[~bad]
    floor = max(_LEAST_RMS * float(np.ptp(values)), float(np.finfo(np.float32).tiny))
    least = max(60, values.size // 50)
    growth = min(_GROWTH_PX, min(image.shape) // 12)
    sky = _sky_of(image, ~bad, _low_border(image, bad), floor, _spread_below)
    for sigma in _SKY_SIGMAS:
        free = ~(_covered(image - sky.level, sky, bad, sigma, growth) | bad)
        if np.count_nonzero(free) < least:
            break
        sky = _sky_of(image, free, float(np.median(image[free])), floor, clipped_rms)
    return sky


def mapped_sky(image: Image, bad: Mask, box_px: int) -> Sky:
    """Measure the sky of a large picture in meshes, the second time without the sources that the first one shows.

    Parameters
    ----------
    image, bad : ndarray, shape (rows, columns)
        The picture, and its pixels without a value.
    box_px : int
        Width of a mesh.

    Returns
    -------
    Sky
        With two arrays of the shape of the picture.
    """
    shape = {"bw": min(box_px, image.shape[1]), "bh": min(box_px, image.shape[0])}
    filled = np.where(bad, np.float32(0.0), image)
    good = filled[~bad]
    floor = np.float32(max(_LEAST_RMS * float(np.ptp(good)), float(np.finfo(np.float32).tiny)))
    taken, correlation = bad, 1.0
    for sigma in _SKY_SIGMAS[:3]:
        background = sep.Background(filled, mask=taken, **shape)
        rms = background.rms()
        # A mesh of black in a picture of grey levels has no noise of its own.
        sky = Sky(background.back(), np.maximum(rms, max(floor, np.float32(0.5) * np.median(rms))), correlation)
        covered = _covered(filled - sky.level, sky, bad, sigma, _MAP_GROWTH_PX) | bad
        # The library takes meshes of which half is covered from their neighbours; there must be some left.
        if np.count_nonzero(~covered) < 0.5 * good.size:
            break
        taken = covered
        if np.count_nonzero(~taken) >= 60:
            correlation = _sky_of((filled - sky.level) / sky.rms, ~taken, 0.0, 0.0, clipped_rms).correlation
    return replace(sky, correlation=correlation)


def detect(image: Image, sky: Sky, bad: Mask, options: CutOptions) -> Sources:
    """Find the sources of a picture.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns)
        The picture less the sky.
    sky : Sky
        Its noise.
    bad : ndarray of bool, shape (rows, columns)
        Pixels without a value.
    options : CutOptions
        Of which ``detect_sigma``, ``deblend_contrast``, ``bridge`` and ``min_separation_px`` count.

    Returns
    -------
    Sources
        All that cover more than noise does, whatever their area.
    """
    smooth, noise = _smoothed(np.where(bad, np.float32(0.0), image)), _smooth_noise(sky)
    labels = _segment(smooth, noise, bad, options.detect_sigma, contrast=options.deblend_contrast)
    peak = np.asarray(ndimage.maximum(smooth / noise, labels, np.arange(1, labels.max() + 1)))
    area = np.bincount(labels.ravel(), minlength=len(peak) + 1)[1:]
    labels = keep(labels, peak * np.sqrt(area / _LEAST_AREA_PX) >= _LEAST_PEAK_SIGMA)
    threshold = options.detect_sigma * float(np.median(noise))
    labels = join_pieces(labels, smooth, threshold, options.bridge, options.min_separation_px)
    return sources_of(labels, image)


def clipped_rms(values: NDArray[np.floating]) -> float:
    """Return the standard deviation of values without outliers, corrected for their clipping."""
    kept, level = values, float(np.median(values))
    for _ in range(4):
        rms = float(np.std(kept, dtype=np.float64))
        inside = values[np.abs(values - level) <= _CLIP_SIGMA * rms]
        if len(inside) in (0, len(kept)):
            break
        kept, level = inside, float(np.mean(inside, dtype=np.float64))
    return float(np.std(kept, dtype=np.float64)) * (_CLIPPED_WIDTH if len(kept) < len(values) else 1.0)


def _smooth_noise(sky: Sky) -> NDArray[np.float32]:
    """Return the standard deviation of the sky of the smoothed picture."""
    return np.asarray(np.float32(sky.correlation * _WHITE) * sky.rms)


def _covered(image: Image, sky: Sky, bad: Mask, sigma: float, growth_px: int) -> Mask:
    """Pixels of sources and around them."""
    labels = _segment(_smoothed(np.where(bad, np.float32(0.0), image)), _smooth_noise(sky), bad, sigma, contrast=1.0)
    return _grown(labels > 0, growth_px)


def _segment(
    smooth: Image, noise: NDArray[np.float32], bad: Mask, sigma: float, *, contrast: float
) -> NDArray[np.int32]:
    """Label the pixels of each source of a smoothed picture, 0 outside."""
    # Two limits of the library that a bright picture reaches: pixels above the threshold, and peaks of a blend.
    sep.set_extract_pixstack(max(300_000, smooth.size + 1))
    sep.set_sub_object_limit(4096)
    settings = {
        "err": noise if noise.ndim else float(noise),
        "mask": bad,
        "minarea": _LEAST_AREA_PX,
        "filter_kernel": None,
        "deblend_nthresh": _DEBLEND_LEVELS,
        "segmentation_map": True,
    }
    try:
        _, labels = sep.extract(smooth, sigma, deblend_cont=contrast, **settings)
    except Exception:  # the library raises Exception itself where a blend has too many peaks
        _, labels = sep.extract(smooth, sigma, deblend_cont=1.0, **settings)
    return np.asarray(labels, dtype=np.int32)


def _sky_of(image: Image, free: Mask, level: float, floor: float, spread: Callable[[Image], float]) -> Sky:
    """Measure the noise about a level on pixels free of sources, before and after smoothing."""
    step = np.where(free, image - np.float32(level), np.float32(0.0))
    # Pixels that are not free count as 0 and take their share of the noise with them.
    share = np.sqrt(np.maximum(ndimage.convolve(free.astype(np.float64), _KERNEL**2) / _WHITE**2, 1e-6))
    rms, smooth_rms = (spread(each[free]) for each in (step, _smoothed(step) / share))
    correlation = smooth_rms / (rms * _WHITE) if rms > floor else 1.0
    return Sky(np.float32(level), np.float32(max(rms, floor)), min(max(1.0, correlation), _MOST_CORRELATION))


def _spread_below(values: NDArray[np.floating]) -> float:
    """Return the standard deviation about zero of the negative values, without outliers."""
    below = np.square(values[values < 0.0], dtype=np.float64)
    for _ in range(3):
        below = below[below <= _CLIP_SIGMA**2 * np.mean(below)] if len(below) else below
    return float(np.sqrt(np.mean(below)) * _CLIPPED_WIDTH) if len(below) else 0.0


def _smoothed(image: NDArray[np.floating]) -> Image:
    return np.asarray(ndimage.gaussian_filter(image, _SMOOTHING_PX, truncate=4 / _SMOOTHING_PX), dtype=np.float32)


def _grown(mask: Mask, pixels: int) -> Mask:
    """Grow a mask by so many pixels to all sides."""
    return np.asarray(ndimage.maximum_filter(mask, size=2 * pixels + 1))


def _low_border(image: Image, bad: Mask) -> float:
    """Return a low one of the medians of the eight regions along the border, or that of the picture without them."""
    rows, columns = (max(4, side // 6) for side in image.shape)
    places = [
        (slice(None, rows), slice(None, columns)),
        (slice(None, rows), slice(-columns, None)),
        (slice(-rows, None), slice(None, columns)),
        (slice(-rows, None), slice(-columns, None)),
        (slice(None, rows), slice(columns, -columns)),
        (slice(-rows, None), slice(columns, -columns)),
        (slice(rows, -rows), slice(None, columns)),
        (slice(rows, -rows), slice(-columns, None)),
    ]
    medians = [float(np.median(image[place][~bad[place]])) for place in places if not bad[place].all()]
    return float(np.percentile(medians, 25)) if medians else float(np.median(image[~bad]))
