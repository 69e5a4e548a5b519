"""Fewer features: standardise and project them on their principal axes, or on a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from astropipe.runtime.errors import InputError, MissingDependencyError


@dataclass(frozen=True)
class Reduction:
    """Standardised features on their principal axes.

    Attributes
    ----------
    mean, scale : ndarray, shape (d,)
        Mean and standard deviation of each feature; the scale of a constant feature is 1.
    axes : ndarray, shape (k, d)
        Principal axes, divided by the deviation along them if whitened.
    variance : ndarray, shape (k,)
        Share of the variance along each axis.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    axes: NDArray[np.float64]
    variance: NDArray[np.float64]

    def apply(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the reduced features, shape (n, k).

        Raises
        ------
        InputError
            If the number of features is another.
        """
        if features.shape[1] != len(self.mean):
            raise InputError(f"the reduction was made for {len(self.mean)} features, not {features.shape[1]}")
        return np.asarray(((features - self.mean) / self.scale) @ self.axes.T, dtype=np.float32)


def fit_reduction(
    features: NDArray[np.floating], n_components: int | None = None, *, whiten: bool = False
) -> Reduction:
    """Find the principal axes of standardised features.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Finite numbers.
    n_components : int, optional
        Axes to keep; no more than there are objects and features. All if not given.
    whiten : bool
        Whether every axis is given unit variance.

    Returns
    -------
    Reduction
        Deterministic: the axes come from the covariance matrix and their signs from the largest entry.

    Raises
    ------
    InputError
        If there are fewer than two objects, a feature is not finite, or all objects are the same.
    """
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise InputError("a reduction needs the finite features of two objects or more; leave out objects without")
    mean, scale = x.mean(axis=0), x.std(axis=0)
    # The deviation of a constant is rounding, not zero.
    scale = np.where(scale > 1e-12 * np.abs(mean), scale, np.inf)
    if not np.isfinite(scale).any():
        raise InputError(f"the {len(x)} objects all have the same features; check how the features were made")
    k = min(n_components or x.shape[1], *x.shape)
    pca = PCA(k, svd_solver="covariance_eigh").fit((x - mean) / scale)
    axes = pca.components_
    if whiten:
        # Axes without variance stay as they are.
        deviation = np.sqrt(pca.explained_variance_)
        axes = axes / np.where(deviation > 1e-6 * deviation[0], deviation, 1.0)[:, np.newaxis]
    scale = np.where(np.isfinite(scale), scale, 1.0)
    return Reduction(mean, scale, axes, pca.explained_variance_ratio_)


def umap_map(
    features: NDArray[np.floating], *, n_components: int = 2, n_neighbors: int = 12, seed: int = 0
) -> NDArray[np.float32]:
    """Lay objects out on a map that keeps neighbours together (McInnes et al. 2018, arXiv:1802.03426).

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Reduced features.
    n_components : int
        Dimensions of the map.
    n_neighbors : int
        Neighbours that are kept; 12 as in Fang et al. 2026 (arXiv:2512.15137).
    seed : int
        Fixes the map; it is then made on one thread.

    Returns
    -------
    ndarray of float32, shape (n, n_components)
        Places on the map.

    Raises
    ------
    MissingDependencyError
        If umap-learn is not installed.
    """
    try:
        from umap import UMAP
    except ImportError:
        raise MissingDependencyError("a map needs umap-learn; install it with pip install 'astropipe[umap]'") from None
    layout = UMAP(n_components=n_components, n_neighbors=n_neighbors, random_state=seed, n_jobs=1)
    return np.asarray(layout.fit_transform(features), dtype=np.float32)
