"""The vote of the paper: k-means gives the groups, and only galaxies on which the other clusterings agree are kept.

Each cluster of another clustering takes the reference group that most of its members have. Three rules say what it
means to agree:

``overwrite``
    The published code (``get_final_result.py``). It keeps one cluster for each group: where two clusters take the same
    group, the later one overwrites the earlier, whose members are rejected without a word. And a group that no cluster
    takes is not tested at all: all its members pass. The code meets the clusters in the order of a folder; here it is
    that of their numbers.
``union``
    What the text describes: all clusters that took the group count, and members of a group that no cluster took are
    rejected.
``hungarian``
    Clusters and groups are paired one to one, so that as many members as possible agree (Kuhn 1955).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from astropipe.runtime.errors import UsageError

VoteRule = Literal["overwrite", "union", "hungarian"]


@dataclass(frozen=True)
class Vote:
    """What the clusterings say together.

    Attributes
    ----------
    groups : ndarray of int64, shape (n,)
        The reference group of each galaxy, of the rejected too.
    kept : ndarray of bool, shape (n,)
        Whether all other clusterings agree.
    """

    groups: NDArray[np.int64]
    kept: NDArray[np.bool_]


def vote(
    reference: NDArray[np.int64], others: Sequence[NDArray[np.int64]], n_groups: int, rule: VoteRule = "overwrite"
) -> Vote:
    """Compare clusterings with a reference.

    Parameters
    ----------
    reference : ndarray of int, shape (n,)
        Group of each galaxy, 0 to n_groups - 1.
    others : sequence of ndarray of int, each shape (n,)
        Other clusterings, with clusters of the same numbers.
    n_groups : int
        Groups of the reference, and clusters of each other.
    rule : str
        ``overwrite``, ``union`` or ``hungarian``, see above.

    Raises
    ------
    UsageError
        If the rule is not known, or the arrays do not fit.
    """
    if rule not in get_args(VoteRule):
        raise UsageError(f"rule={rule!r} is not known; choose from {', '.join(get_args(VoteRule))}")
    for labels in (reference, *others):
        if labels.shape != reference.shape or (labels.size and not 0 <= labels.min() <= labels.max() < n_groups):
            raise UsageError(f"each clustering needs {reference.size} labels from 0 to {n_groups - 1}")
    kept = np.ones(reference.shape, dtype=bool)
    for labels in others:
        kept &= _agreeing(contingency(reference, labels, n_groups), rule)[reference, labels]
    return Vote(reference, kept)


def contingency(reference: NDArray[np.int64], labels: NDArray[np.int64], n_groups: int) -> NDArray[np.int64]:
    """Count the members of each pair of reference group (row) and cluster (column)."""
    return np.bincount(reference * n_groups + labels, minlength=n_groups**2).reshape(n_groups, n_groups)


def _agreeing(table: NDArray[np.int64], rule: VoteRule) -> NDArray[np.bool_]:
    """Return for each pair of group and cluster whether its members agree."""
    agreeing = np.zeros(table.shape, dtype=bool)
    if rule == "hungarian":
        agreeing[linear_sum_assignment(table, maximize=True)] = True
        return agreeing
    filled = np.flatnonzero(table.sum(axis=0))
    # Of groups with as many members the first; in the published code it is that of the first file.
    taken = table.argmax(axis=0)[filled]
    if rule == "union":
        agreeing[taken, filled] = True
        return agreeing
    last = dict(zip(taken.tolist(), filled.tolist(), strict=True))
    agreeing[list(last), list(last.values())] = True
    agreeing[np.setdiff1d(np.arange(len(table)), taken)] = True
    return agreeing
