"""One clustering of a sample of objects, kept as prototypes by which any other object is put in a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import Birch, KMeans
from sklearn.mixture import GaussianMixture

from astropipe.runtime.errors import UsageError

# Ward's tree needs memory with the square of the objects; the other clusterers gain nothing from more.
_TREE_OBJECTS = 1500
_SAMPLE_OBJECTS = 5000
# Added to the variances of a mixture's components, as a share of the mean variance: a component of few objects in many
# dimensions would else collapse.
_REGULARISATION = 0.06
# Radius of BIRCH's sub-clusters in units of the spread of the objects.
_BIRCH_RADIUS = 0.35
# Rows times prototypes that are compared at a time.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Partition:
    """A partition of feature space: an object belongs to the cluster of the prototype that fits it best.

    The fit of object x to prototype j is ``offsets[j] - |x @ whitening[j] - centres[j]|² / 2``.

    Attributes
    ----------
    features : ndarray of int, shape (d_run,)
        Columns used.
    centres : ndarray of float32, shape (p, d_run)
        Prototypes, whitened where there is a whitening.
    whitening : ndarray of float32, shape (p, d_run, d_run) or (0, d_run, d_run)
        Whitening matrix of each prototype; none means the identity.
    offsets : ndarray of float32, shape (p,)
        Logarithm of weight and volume of each prototype; 0 for the nearest prototype.
    clusters : ndarray of int, shape (p,)
        Cluster of each prototype, from 0.
    """

    features: NDArray[np.int64]
    centres: NDArray[np.float32]
    whitening: NDArray[np.float32]
    offsets: NDArray[np.float32]
    clusters: NDArray[np.int64]

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.clusters.max()) + 1

    def assign(self, features: NDArray[np.float32]) -> NDArray[np.int16]:
        """Return the cluster of each object, shape (n,), from features of shape (n, d)."""
        labels = np.empty(len(features), dtype=np.int16)
        n_rows = max(_BLOCK // (self.centres.size if len(self.whitening) else len(self.centres)), 1)
        clusters = self.clusters.astype(np.int16)
        for first in range(0, len(features), n_rows):
            fit = self._fit(features[first : first + n_rows, self.features])
            labels[first : first + n_rows] = clusters[fit.argmax(axis=1)]
        return labels

    def _fit(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fit of objects to prototypes, shape (n, p), up to a term of the object alone."""
        if len(self.whitening) == 0:
            fit: NDArray[np.float32] = x @ self.centres.T
            fit += self.offsets - 0.5 * (self.centres**2).sum(axis=1)
            return fit
        p, d = self.centres.shape
        white = (x @ self.whitening.transpose(1, 0, 2).reshape(d, p * d)).reshape(len(x), p, d)
        white -= self.centres
        return np.asarray(self.offsets - 0.5 * np.einsum("npd,npd->np", white, white))


def _nearest(centres: NDArray[np.floating], clusters: NDArray[np.int64]) -> Partition:
    """Partition by the nearest prototype."""
    p, d = centres.shape
    return Partition(
        np.arange(d), centres.astype(np.float32), np.empty((0, d, d), np.float32), np.zeros(p, np.float32), clusters
    )


def _tree(x: NDArray[np.floating], n_clusters: int) -> NDArray[np.int64]:
    """Cut the tree of Ward (1963, J. Am. Stat. Assoc. 58, 236)."""
    if len(x) < 2:
        return np.zeros(len(x), dtype=np.int64)
    return fcluster(linkage(x.astype(np.float64), "ward"), n_clusters, "maxclust").astype(np.int64) - 1


def _k_means(x: NDArray[np.float32], n_clusters: int, seed: int) -> Partition:
    centres = KMeans(n_clusters, n_init=1, random_state=seed).fit(x).cluster_centers_
    return _nearest(centres, np.arange(n_clusters, dtype=np.int64))


def _ward(x: NDArray[np.float32], n_clusters: int, seed: int) -> Partition:
    x = x[:_TREE_OBJECTS]
    return _nearest(x, _tree(x, n_clusters))


def _birch(x: NDArray[np.float32], n_clusters: int, seed: int) -> Partition:
    radius = _BIRCH_RADIUS * float(np.sqrt(x.var(axis=0).sum()))
    centres = Birch(threshold=radius, n_clusters=None).fit(x).subcluster_centers_[:_TREE_OBJECTS]
    return _nearest(centres, _tree(centres, n_clusters))


def _gaussian_mixture(x: NDArray[np.float32], n_clusters: int, seed: int) -> Partition:
    mixture = GaussianMixture(
        n_clusters,
        reg_covar=_REGULARISATION * float(x.var(axis=0).mean()),
        max_iter=30,
        # A few steps do: the vote lives of differing partitions, not of the best one.
        tol=1e-2,
        random_state=seed,
    ).fit(x.astype(np.float64))
    whitening = mixture.precisions_cholesky_
    volume = np.log(np.diagonal(whitening, axis1=1, axis2=2)).sum(axis=1)
    return Partition(
        np.arange(x.shape[1]),
        np.einsum("pd,pde->pe", mixture.means_, whitening).astype(np.float32),
        whitening.astype(np.float32),
        (np.log(mixture.weights_) + volume).astype(np.float32),
        np.arange(n_clusters),
    )


_CLUSTERERS: dict[str, Callable[[NDArray[np.float32], int, int], Partition]] = {
    "k-means": _k_means,
    "ward": _ward,
    "birch": _birch,
    "gaussian-mixture": _gaussian_mixture,
}
CLUSTERERS = tuple(_CLUSTERERS)
"""Names of the clusterers."""


def check_clusterers(names: tuple[str, ...]) -> None:
    """See that clusterers are known.

    Raises
    ------
    UsageError
        If one is not, or there is none.
    """
    unknown = [name for name in names if name not in _CLUSTERERS]
    if unknown or not names:
        raise UsageError(f"the clusterers must be of {', '.join(CLUSTERERS)}, not {', '.join(unknown) or 'none'}")


def partition(
    features: NDArray[np.float32],
    order: NDArray[np.intp],
    columns: NDArray[np.intp],
    *,
    clusterer: str,
    n_clusters: tuple[int, int],
    sample_fraction: float,
    feature_fraction: float,
    rng: np.random.Generator,
) -> Partition:
    """Cluster a random part of the objects in a random part of the features.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
        Of all objects.
    order : ndarray of int, shape (n,)
        Order of the objects in which the sample is drawn.
    columns : ndarray of int
        Columns to draw from.
    clusterer : str
        One of `CLUSTERERS`.
    n_clusters : tuple of int
        Smallest and largest number of clusters; fewer where the sample has too few different objects.
    sample_fraction, feature_fraction : float
        Share of objects and of features drawn. The sample is no larger than 5000 objects, 1500 for Ward's tree.
    rng : Generator
        Draws all.

    Returns
    -------
    Partition
        Of the whole feature space.
    """
    n_columns = max(round(feature_fraction * len(columns)), 1)
    chosen = np.sort(rng.choice(columns, n_columns, replace=False))
    n_sample = min(max(round(sample_fraction * len(order)), 2), _SAMPLE_OBJECTS)
    sample = features[np.ix_(order[rng.choice(len(order), n_sample, replace=False)], chosen)]
    wanted = round(float(np.exp(rng.uniform(*np.log(n_clusters)))))
    # A sample of a few objects is not cut into single ones, and equal objects not at all.
    n = max(min(wanted, len(sample) // 2, len(np.unique(sample, axis=0))), 1)
    found = _CLUSTERERS[clusterer](sample, n, int(rng.integers(2**31)))
    return Partition(chosen.astype(np.int64), found.centres, found.whitening, found.offsets, found.clusters)
