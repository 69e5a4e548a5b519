"""The three clusterings whose votes are compared: k-means, Ward's agglomeration and BIRCH."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering, Birch, KMeans

from astropipe.runtime.errors import InputError, UsageError

MAX_GALAXIES = 20_000
"""Ward's method keeps the distances of all pairs: 1.6 GB for so many galaxies, four times that for twice as many."""
BIRCH_THRESHOLD = 0.1
"""Radius of a sub-cluster in the authors' code. Features lie farther apart, so that each galaxy is one of its own and
BIRCH, which joins sub-clusters by Ward's method, has no voice of its own."""
# The default of the scikit-learn that the authors name (1.2.2).
_STARTS = 10


@dataclass(frozen=True)
class Clusterings:
    """Cluster of each galaxy, 0 to n_groups - 1, by each method; each shape (n,)."""

    k_means: NDArray[np.int64]
    ward: NDArray[np.int64]
    birch: NDArray[np.int64]


def cluster(values: NDArray[np.float64], n_groups: int, rng: np.random.Generator) -> Clusterings:
    """Cluster galaxies three times, with the settings of the authors' code.

    Parameters
    ----------
    values : ndarray, shape (n, n_components)
        Reduced features.
    n_groups : int
        Clusters of each method.
    rng : Generator
        Draws the starts of k-means.

    Raises
    ------
    UsageError
        If the groups are fewer than 1.
    InputError
        If the galaxies are fewer than the groups, or more than `MAX_GALAXIES`.
    """
    if n_groups < 1:
        raise UsageError(f"n_groups={n_groups}: at least 1 group is needed")
    if len(values) < n_groups:
        raise InputError(f"{len(values)} galaxies cannot make {n_groups} groups; lower n_groups or give more galaxies")
    if len(values) > MAX_GALAXIES:
        raise InputError(
            f"{len(values)} galaxies: the paper's clustering keeps the distances of all pairs and takes at most "
            f"{MAX_GALAXIES}; give it a random sample, or use astropipe's own vote, which has no such limit"
        )
    seed = int(rng.integers(2**32))
    return Clusterings(
        *(
            method.fit(values).labels_.astype(np.int64)
            for method in (
                KMeans(n_groups, n_init=_STARTS, random_state=seed),
                AgglomerativeClustering(n_groups, linkage="ward"),
                Birch(n_clusters=n_groups, threshold=BIRCH_THRESHOLD),
            )
        )
    )
