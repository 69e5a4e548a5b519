"""Which objects to keep by the agreement of their votes, and how pure they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.runtime.errors import UsageError


def keep(
    agreement: NDArray[np.floating], *, fraction: float | None = None, threshold: float | None = None
) -> NDArray[np.bool_]:
    """Say which objects to keep: those of highest agreement.

    Parameters
    ----------
    agreement : ndarray, shape (n,)
        Of each object.
    fraction : float, optional
        Share to keep, 0 to 1; of equal agreements, those that stand first.
    threshold : float, optional
        Smallest agreement to keep. Give this or the fraction.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where kept.

    Raises
    ------
    UsageError
        If both or none are given, or the fraction is out of range.
    """
    if (fraction is None) == (threshold is None):
        raise UsageError("give either the fraction of objects to keep or the smallest agreement")
    if threshold is not None:
        return np.asarray(agreement >= threshold)
    if fraction is None or not 0.0 <= fraction <= 1.0:
        raise UsageError(f"the fraction of objects to keep must be 0 to 1, not {fraction}")
    kept = np.zeros(len(agreement), dtype=bool)
    kept[np.argsort(-agreement, kind="stable")[: round(fraction * len(agreement))]] = True
    return kept


def agreement_curve(
    agreement: NDArray[np.floating], right: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return how pure the kept objects are at each smallest agreement.

    Parameters
    ----------
    agreement : ndarray, shape (n,)
        Of each object.
    right : ndarray of bool, shape (n,)
        Whether its class is the true one.

    Returns
    -------
    threshold, kept, purity : ndarray
        Each agreement that occurs, falling; the share of objects at or above it; the share of those that are right.
    """
    order = np.argsort(-agreement, kind="stable")
    threshold = np.asarray(agreement, dtype=np.float64)[order]
    number = np.arange(1, len(order) + 1)
    last = np.append(threshold[:-1] != threshold[1:], True)[: len(order)]
    n_right = np.cumsum(np.asarray(right)[order])
    return threshold[last], (number / max(len(order), 1))[last], (n_right / number)[last]
