"""Principal components of the features, and the ratios by which the authors choose how many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from astropipe.runtime.errors import UsageError


@dataclass(frozen=True)
class Reduced:
    """Features in few dimensions.

    Attributes
    ----------
    values : ndarray, shape (n, n_components)
        Along the principal axes, the widest first; the sign of an axis means nothing.
    singular_values : ndarray
        Of the covariance of the features, falling, of all axes along which the data have a width. The covariance is
        that of the authors, divided by n.
    """

    values: NDArray[np.float64]
    singular_values: NDArray[np.float64]


def reduce_features(features: NDArray[np.float64], n_components: int) -> Reduced:
    """Project features on their principal axes.

    The authors take the singular values of the covariance of the centred features. scikit-learn gives the same but for
    the signs of the axes.

    Parameters
    ----------
    features : ndarray, shape (n, n_features)
        Not standardised, as in the authors' code.
    n_components : int
        Wanted axes; see `most_components`.

    Raises
    ------
    UsageError
        If more axes are wanted than the data have, or fewer than 1.
    """
    most = most_components(*features.shape)
    if not 1 <= n_components <= most:
        raise UsageError(
            f"n_components={n_components}: {len(features)} galaxies with {features.shape[1]} features have {most}"
        )
    pca = PCA(most, svd_solver="full").fit(features)
    values = pca.transform(features)[:, :n_components]
    return Reduced(values, pca.explained_variance_ * ((len(features) - 1) / len(features)))


def most_components(n_galaxies: int, n_features: int) -> int:
    """Return the number of axes along which so many centred features can have a width."""
    return min(n_galaxies - 1, n_features)


def singular_value_ratios(singular_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each singular value over the one before it; the authors plot this and take the dimension at its jump."""
    return np.divide(
        singular_values[1:],
        singular_values[:-1],
        out=np.zeros(len(singular_values) - 1),
        where=singular_values[:-1] > 0,
    )


def suggested_components(singular_values: NDArray[np.float64]) -> int:
    """Return the dimension before the lowest ratio: behind it the singular values fall most steeply.

    An aid only: the authors choose by eye.
    """
    return int(singular_value_ratios(singular_values).argmin()) + 1
