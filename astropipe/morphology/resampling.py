"""Pictures on other pixels: shifted by parts of a pixel, and averaged to larger ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Lobes of the kernel on each side, as is usual for co-added surveys.
_LOBES = 3


def resampling_matrix(centre: float, factor: float, size: int, first: int, stop: int) -> Array:
    """Weights that bring a line of pixels to another line, whose middle stands on a point of the first.

    Lanczos interpolation with three lobes (Duchon 1979), its kernel stretched by the factor for larger pixels, so that
    these average what they cover. A line of equal values keeps its value.

    Parameters
    ----------
    centre : float
        Coordinate, in old pixels, that comes to the middle (size - 1) / 2.
    factor : float
        Width of a new pixel in old ones, at least 1.
    size : int
        Number of new pixels.
    first, stop : int
        The old pixels that are at hand, which must reach over the ends by three new pixels; what lies beyond counts as
        absent.

    Returns
    -------
    ndarray, shape (size, stop - first)
    """
    middle = centre + factor * (np.arange(size) - (size - 1) / 2)
    taps = int(np.ceil(_LOBES * factor))
    old = np.floor(middle).astype(np.intp)[:, None] + np.arange(1 - taps, taps + 1)
    distance = (old - middle[:, None]) / factor
    kernel = np.where(np.abs(distance) < _LOBES, np.sinc(distance) * np.sinc(distance / _LOBES), 0.0)
    new, tap = np.nonzero((old >= first) & (old < stop))
    weights = np.zeros((size, stop - first))
    weights[new, old[new, tap] - first] = kernel[new, tap]
    total = weights.sum(axis=1, keepdims=True)
    # A pixel of which the picture holds next to nothing has no value; its weights would blow up the noise.
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0.25 * factor)


def overlap_matrix(centre: float, factor: float, size: int, first: int, stop: int) -> Array:
    """Share of each new pixel that the old ones cover; arguments as of `resampling_matrix`.

    Returns
    -------
    ndarray, shape (size, stop - first)
        Rows add up to 1 where old pixels are at hand.
    """
    middle = centre + factor * (np.arange(size) - (size - 1) / 2)
    old = np.arange(first, stop)
    low = np.maximum(old[None, :] - 0.5, middle[:, None] - factor / 2)
    high = np.minimum(old[None, :] + 0.5, middle[:, None] + factor / 2)
    return np.maximum(high - low, 0.0) / factor


def reach_px(factor: float, size: int) -> int:
    """How many old pixels from its centre a line of new ones needs, with what the kernel reaches over its ends."""
    return int(np.ceil(factor * (size / 2 + _LOBES))) + 1
