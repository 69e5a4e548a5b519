"""Pieces of one galaxy put together: clumps, nuclei of mergers, and what lies apart within the galaxy's outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Array = NDArray[np.float64]
Labels = NDArray[np.int32]

# A bridge of so many times the threshold is no noise.
_SURE_BRIDGE = 2.0
# Two peaks within so many standard deviations, added up, overlap.
_OVERLAP = 0.8


@dataclass(frozen=True)
class Sources:
    """Sources of a picture, n of them; coordinates count from 0 at the centre of the first pixel.

    Attributes
    ----------
    labels : ndarray of int32, shape (rows, columns)
        Number of the source that a pixel belongs to, from 1; 0 outside.
    x, y : ndarray, shape (n,)
        Flux-weighted mean position.
    peak : ndarray of int, shape (n, 2)
        Row and column of the brightest pixel.
    area_px : ndarray of int, shape (n,)
        Number of pixels.
    flux : ndarray, shape (n,)
        Sum over the pixels.
    a, b : ndarray, shape (n,)
        Standard deviations along the principal axes, in pixels.
    covariance : ndarray, shape (n, 2, 2)
        Second moments of x and y about the position, in square pixels.
    boxes : list of tuple of slice
        Rows and columns that hold the source.
    """

    labels: Labels
    x: Array
    y: Array
    peak: NDArray[np.intp]
    area_px: NDArray[np.intp]
    flux: Array
    a: Array
    b: Array
    covariance: Array
    boxes: list[tuple[slice, slice]]

    def __len__(self) -> int:
        return len(self.x)


def sources_of(labels: Labels, image: NDArray[np.floating]) -> Sources:
    """Measure the sources that labels 1 to n stand for, each of which has a pixel.

    Parameters
    ----------
    labels : ndarray of int32, shape (rows, columns)
        Number of the source of each pixel, 0 outside.
    image : ndarray, same shape
        The picture less the sky.
    """
    n = int(labels.max(initial=0))
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns] - 1
    values = np.asarray(image[rows, columns], dtype=np.float64)
    weights = np.maximum(values, 0.0)
    total = np.maximum(np.bincount(owner, weights, n), np.finfo(float).tiny)
    x, y = (np.bincount(owner, weights * each, n) / total for each in (columns, rows))
    dx, dy = columns - x[owner], rows - y[owner]
    moments = [np.bincount(owner, weights * each, n) / total for each in (dx * dx, dx * dy, dy * dy)]
    # The variance of a pixel itself keeps a source of one row from having no width.
    covariance = np.stack([moments[0] + 1 / 12, moments[1], moments[1], moments[2] + 1 / 12], axis=1).reshape(n, 2, 2)
    axes = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance), 1 / 12)) if n else np.zeros((0, 2))
    # The last in the order of brightness is the peak.
    order = np.lexsort((values, owner))
    last = np.cumsum(np.bincount(owner, minlength=n)) - 1
    peak = np.stack([rows[order][last], columns[order][last]], axis=1) if n else np.zeros((0, 2), dtype=np.intp)
    return Sources(
        labels=labels,
        x=x,
        y=y,
        peak=peak,
        area_px=np.bincount(owner, minlength=n),
        flux=np.bincount(owner, values, n).astype(np.float64),
        a=axes[:, 1],
        b=axes[:, 0],
        covariance=covariance,
        boxes=ndimage.find_objects(labels, max_label=n),
    )


def join_pieces(
    labels: Labels, smooth: NDArray[np.floating], threshold: float, bridge: float, min_separation_px: float
) -> Labels:
    """Give one label to what belongs to one galaxy.

    Two touching sources are one galaxy if the saddle between them is well above the threshold and reaches the share
    `bridge` of the lower peak, if they are closer than about the sum of their widths, or than `min_separation_px`.
    A fainter source that lies apart, but inside the ellipse that has the area of the brighter one, belongs to that.

    Parameters
    ----------
    labels : ndarray of int32, shape (rows, columns)
        Number of the source of each pixel, from 1 to n; 0 outside.
    smooth : ndarray, same shape
        The picture less the sky, smoothed to the resolution.
    threshold : float
        Level above which the sources were found.
    bridge, min_separation_px : float
        See `CutOptions`.

    Returns
    -------
    ndarray of int32
        Labels from 1 without gaps.
    """
    if labels.max(initial=0) < 2:
        return labels
    first, second, saddle = _saddles(labels, smooth)
    pieces = sources_of(labels, smooth)
    top = np.asarray(ndimage.maximum(smooth, labels, np.arange(1, len(pieces) + 1)))
    apart = np.hypot(*(pieces.peak[first] - pieces.peak[second]).T)
    radius = _OVERLAP * np.sqrt(pieces.a * pieces.b)
    joined = (saddle >= bridge * np.minimum(top[first], top[second])) & (saddle >= _SURE_BRIDGE * threshold)
    joined |= (apart <= radius[first] + radius[second]) | (apart < min_separation_px)
    labels = _joined(labels, first[joined], second[joined])
    return _joined(labels, *_inside(sources_of(labels, smooth)))


def keep(labels: Labels, wanted: NDArray[np.bool_]) -> Labels:
    """Keep the wanted sources, of labels 1 to n, and number them without gaps."""
    return np.concatenate([[0], np.where(wanted, np.cumsum(wanted), 0)]).astype(np.int32)[labels]


def _joined(labels: Labels, first: NDArray[np.intp], second: NDArray[np.intp]) -> Labels:
    """Give one label to the sources that pairs, counting from 0, connect."""
    n = int(labels.max(initial=0))
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    new = connected_components(graph, directed=False)[1] + 1
    return np.concatenate([[0], new]).astype(np.int32)[labels]


def _saddles(
    labels: Labels, smooth: NDArray[np.floating]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating]]:
    """Return the pairs of sources that touch, counting from 0, and the highest level at which they do."""
    n = int(labels.max(initial=0))
    keys, levels = [], []
    for here, there in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1], np.s_[1:]),
        (np.s_[:-1, :-1], np.s_[1:, 1:]),
        (np.s_[:-1, 1:], np.s_[1:, :-1]),
    ):
        touching = (labels[here] != labels[there]) & (labels[here] > 0) & (labels[there] > 0)
        one, other = (labels[place][touching].astype(np.intp) - 1 for place in (here, there))
        keys.append(np.minimum(one, other) * n + np.maximum(one, other))
        levels.append(np.minimum(smooth[here][touching], smooth[there][touching]))
    key, level = np.concatenate(keys), np.concatenate(levels)
    order = np.lexsort((level, key))
    key, level = key[order], level[order]
    last = np.flatnonzero(np.diff(key, append=-1) != 0)
    return key[last] // n, key[last] % n, level[last]


def _inside(sources: Sources) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return pairs of a source and a fainter one whose middle lies inside its outline."""
    places = np.stack([sources.x, sources.y], axis=1)
    # Radius, in standard deviations, of the ellipse that covers the area of the source.
    reach = np.sqrt(sources.area_px / (np.pi * sources.a * sources.b))
    near = cKDTree(places).query_ball_point(places, reach * sources.a)
    owner = np.repeat(np.arange(len(places)), [len(each) for each in near])
    other = np.concatenate([np.asarray(each, dtype=np.intp) for each in near])
    step = places[other] - places[owner]
    distance = np.sqrt(np.einsum("ni,nij,nj->n", step, np.linalg.inv(sources.covariance)[owner], step))
    kept = (distance <= reach[owner]) & (sources.flux[other] < sources.flux[owner])
    return owner[kept], other[kept]
