"""What a vote says of classes: votes and agreement of each object, which objects to keep, and how pure they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.classes import CLASSES, UNCLASSIFIED
from astropipe.runtime.errors import InputError, UsageError


def class_votes(
    votes: NDArray[np.floating], names: Sequence[str], classes: Sequence[str] = CLASSES
) -> NDArray[np.float32]:
    """Sum votes for groups to votes for classes.

    Parameters
    ----------
    votes : ndarray, shape (n, n_groups)
        `Consensus.votes`.
    names : sequence of str
        Class of each group; `UNCLASSIFIED` has none.
    classes : sequence of str
        The classes.

    Returns
    -------
    ndarray of float32, shape (n, n_classes)
        Rows sum to 1 less the votes for groups without a class.

    Raises
    ------
    InputError
        If there are more or fewer names than groups, or a name is not a class.
    """
    if len(names) != votes.shape[1]:
        raise InputError(f"{len(names)} names for {votes.shape[1]} groups; give each group one")
    unknown = sorted(set(names) - set(classes) - {UNCLASSIFIED})
    if unknown:
        raise InputError(f"groups are named {', '.join(unknown)}; the names are {', '.join(classes)}, {UNCLASSIFIED}")
    of_class = np.array([[name == each for each in classes] for name in names], dtype=np.float32)
    return np.asarray(votes @ of_class.reshape(len(names), len(classes)), dtype=np.float32)


def classify(
    votes: NDArray[np.floating], names: Sequence[str], classes: Sequence[str] = CLASSES
) -> tuple[NDArray[np.str_], NDArray[np.float32]]:
    """Give each object the class with most votes.

    Parameters
    ----------
    votes, names, classes
        See `class_votes`.

    Returns
    -------
    labels : ndarray of str, shape (n,)
        Class; `UNCLASSIFIED` where the group with most votes has none.
    agreement : ndarray of float32, shape (n,)
        The largest vote for a class. It is higher than that for a group, as objects between two groups of one class
        are sure of their class.

    Raises
    ------
    InputError
        See `class_votes`.
    """
    by_class = class_votes(votes, names, classes)
    labels = np.array(classes, dtype=object)[by_class.argmax(axis=1)]
    no_class = np.array([name == UNCLASSIFIED for name in names])
    labels[no_class[votes.argmax(axis=1)]] = UNCLASSIFIED
    return labels.astype(str), by_class.max(axis=1)


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
