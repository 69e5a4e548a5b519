"""Groups of objects that many partitions agree on: the normalised cut of their co-association graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

# Directions weaker than this carry rounding only.
_SMALLEST = 1e-6


def cut(memberships: NDArray[np.float32], n_runs: int, n_groups: int, seed: int) -> NDArray[np.int64]:
    """Cut objects into groups so that objects which often share a cluster share a group.

    The co-association of two objects is the share of runs in which they share a cluster (Fred & Jain 2005, IEEE Trans.
    Pattern Anal. 27, 835), S = H Hᵀ / R. Its normalised cut (Strehl & Ghosh 2002, J. Mach. Learn. Res. 3, 583; Ng,
    Jordan & Weiss 2002) needs the first eigenvectors of D^(-1/2) S D^(-1/2), which are the left singular vectors of
    D^(-1/2) H: they come from a matrix of clusters by clusters, and S itself is never made (Huang et al. 2020, IEEE
    Trans. Knowl. Data Eng. 32, 1212).

    Parameters
    ----------
    memberships : ndarray of float32, shape (m, c)
        H: 1 where an object is in a cluster; each row has R ones.
    n_runs : int
        R.
    n_groups : int
        Groups wanted.
    seed : int
        Of the k-means in the space of eigenvectors.

    Returns
    -------
    ndarray of int, shape (m,)
        Group of each object; fewer groups where the partitions tell no more apart.
    """
    degree = memberships @ memberships.sum(axis=0) / n_runs
    scaled = memberships / np.sqrt(degree * n_runs)[:, np.newaxis]
    squares, right = np.linalg.eigh((scaled.T @ scaled).astype(np.float64))
    wanted = np.flatnonzero(squares > _SMALLEST)[-n_groups:]
    place = scaled @ (right[:, wanted] / np.sqrt(squares[wanted])).astype(np.float32)
    place /= np.linalg.norm(place, axis=1, keepdims=True)
    # Objects of the same clusters differ by rounding only, which is no place for a cut.
    n = min(n_groups, len(np.unique(np.round(place, 4), axis=0)))
    return KMeans(n, n_init=10, random_state=seed).fit_predict(place).astype(np.int64)
