"""Groups of galaxies by the vote of many clusterings, each of other objects, features, clusterer and number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController, threadpool_limits

from astropipe.morphology.clustering import Partition, check_clusterers, partition
from astropipe.morphology.co_association import cut
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.seeds import stream

DEFAULT_CLUSTERERS = ("k-means", "ward", "gaussian-mixture")
"""Clusterers that take turns."""

# The cut looks at no more objects than this; a group is then known from hundreds of them.
_CUT_OBJECTS = 20_000
# Numbers of clusters of the runs, in units of the number of groups.
_SPREAD = (1.0, 1.5)


@dataclass(frozen=True)
class FittedVote:
    """What is needed to give votes to other objects.

    Attributes
    ----------
    partitions : tuple of Partition
        Each run, R of them.
    shares : ndarray of float32, shape (c, n_groups)
        Share of the members of each cluster that are in each group; the clusters of the runs one after the other.
    n_features : int
        Features of an object.
    """

    partitions: tuple[Partition, ...]
    shares: NDArray[np.float32]
    n_features: int

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.shares.shape[1])


@dataclass(frozen=True)
class Consensus:
    """Groups of n objects on which many clusterings agree.

    Attributes
    ----------
    groups : ndarray of int, shape (n,)
        Group of each object: the one with most votes. Group 0 is the largest.
    votes : ndarray of float32, shape (n, n_groups)
        Share of the vote for each group; rows sum to 1.
    agreement : ndarray of float32, shape (n,)
        Share of the vote for the object's own group.
    fitted : FittedVote
        Gives groups to other objects.
    """

    groups: NDArray[np.int64]
    votes: NDArray[np.float32]
    agreement: NDArray[np.float32]
    fitted: FittedVote


def consensus(
    features: NDArray[np.floating],
    *,
    n_groups: int = 20,
    n_runs: int = 40,
    sample_fraction: float = 0.7,
    feature_fraction: float = 0.85,
    clusterers: Sequence[str] = DEFAULT_CLUSTERERS,
    seed: int = 0,
    threads: int = 1,
) -> Consensus:
    """Group objects by the vote of many clusterings.

    Bagging (Fern & Brodley 2003, Proc. ICML 20, 186) in place of the vote of three clusterings of Fang et al. 2025
    (A&A 693, A141): every run draws objects and features, clusters them with the next of the clusterers into
    `n_groups` to 1.5 times as many clusters, and puts all objects in its clusters. The groups are those that share
    clusters most often, see `cut`. Each cluster then votes for the groups by the share of its members in each, and an
    object's vote is the mean of those of its clusters: where two clusters of a run lie in one group both count for it
    (the union rule).

    The result depends on the seed but not on threads nor, up to rounding, on the order of the objects. Memory and time
    grow linearly with the number of objects.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Features on a common scale, see `astropipe.morphology.reduction`. Objects without features are for the caller
        to leave out. Constant features are not used.
    n_groups : int
        Number of groups; those without members are dropped.
    n_runs : int
        Number of clusterings.
    sample_fraction, feature_fraction : float
        Share of objects and features that a run draws, over 0 to 1.
    clusterers : sequence of str
        Of `CLUSTERERS`; the runs take them in turn.
    seed : int
        Root seed.
    threads : int
        Runs that are worked on at a time; each needs some 50 MB besides the features.

    Returns
    -------
    Consensus
        Groups, votes, agreement, and what is needed to go on with other objects.

    Raises
    ------
    UsageError
        If a setting is out of range.
    InputError
        If there are fewer objects than groups, a feature is not finite, or all objects are the same.
    """
    clusterers = tuple(clusterers)
    check_clusterers(clusterers)
    if n_groups < 2 or n_runs < 1 or not 0.0 < sample_fraction <= 1.0 or not 0.0 < feature_fraction <= 1.0:
        raise UsageError(
            "the vote needs n_groups >= 2, n_runs >= 1 and fractions over 0 to 1, not "
            f"{n_groups}, {n_runs}, {sample_fraction} and {feature_fraction}"
        )
    x = _checked(features)
    if len(x) < n_groups:
        raise InputError(f"{len(x)} objects make no {n_groups} groups; lower n_groups or give more objects")
    columns = np.flatnonzero(x.min(axis=0) < x.max(axis=0))
    if len(columns) == 0:
        raise InputError(f"the {len(x)} objects all have the same features; check how the features were made")
    # Samples are drawn in an order of the features' own, so that the order of the rows plays no part.
    order = np.lexsort(x[:, columns].T[::-1])
    spread = (round(_SPREAD[0] * n_groups), round(_SPREAD[1] * n_groups))

    def run(i: int) -> Partition:
        return partition(
            x,
            order,
            columns,
            clusterer=clusterers[i % len(clusterers)],
            n_clusters=spread,
            sample_fraction=sample_fraction,
            feature_fraction=feature_fraction,
            rng=stream(seed, "morphology.vote", i),
        )

    partitions = tuple(_each(run, n_runs, threads))
    labels = _labels(partitions, x, threads)
    rng = stream(seed, "morphology.vote.cut")
    if len(x) > _CUT_OBJECTS:
        order = order[np.sort(rng.choice(len(x), _CUT_OBJECTS, replace=False))]
    with threadpool_limits(1):
        memberships = _memberships(labels[:, order], partitions)
        groups = cut(memberships, n_runs, n_groups, int(rng.integers(2**31)))
        fitted = FittedVote(partitions, _shares(memberships, groups), x.shape[1])
    size = np.bincount(_votes(fitted, labels).argmax(axis=1), minlength=fitted.n_groups)
    by_size = np.argsort(-size, kind="stable")[: np.count_nonzero(size)]
    fitted = FittedVote(partitions, fitted.shares[:, by_size], x.shape[1])
    return _consensus(fitted, labels)


def members(
    fitted: FittedVote, features: NDArray[np.floating], kinds: NDArray[np.integer], n_kinds: int
) -> NDArray[np.float64]:
    """Count the objects of each kind in each cluster of a vote.

    Parameters
    ----------
    fitted : FittedVote
        `Consensus.fitted`, c clusters in all.
    features : ndarray, shape (m, d)
        Objects of known kind.
    kinds : ndarray of int, shape (m,)
        Their kinds, from 0.
    n_kinds : int
        Number of kinds.

    Returns
    -------
    ndarray, shape (c, n_kinds)
        The clusters of the runs one after the other, as in `FittedVote.shares`.

    Raises
    ------
    InputError
        If the number of features is another or a feature is not finite.
    """
    labels = _labels(fitted.partitions, _fitting(fitted, features), 1)
    counts = np.zeros((len(fitted.shares), n_kinds))
    for start, run in zip(_starts(fitted.partitions), labels, strict=False):
        np.add.at(counts, (start + run, kinds), 1.0)
    return counts


def votes_by_cluster(
    fitted: FittedVote, features: NDArray[np.floating], shares: NDArray[np.floating], *, threads: int = 1
) -> NDArray[np.float64]:
    """Return the votes of objects for kinds, if each cluster votes for kinds by given shares.

    Parameters
    ----------
    fitted : FittedVote
        `Consensus.fitted`, c clusters in all.
    features : ndarray, shape (n, d)
        The objects.
    shares : ndarray, shape (c, k)
        Of the kinds in each cluster; rows sum to 1.
    threads : int
        Runs that are worked on at a time.

    Returns
    -------
    ndarray, shape (n, k)
        Means over the runs.

    Raises
    ------
    InputError
        If the number of features is another or a feature is not finite.
    """
    labels = _labels(fitted.partitions, _fitting(fitted, features), threads)
    votes = np.zeros((labels.shape[1], shares.shape[1]))
    for start, run in zip(_starts(fitted.partitions), labels, strict=False):
        votes += shares[start + run]
    return votes / len(labels)


def _fitting(fitted: FittedVote, features: NDArray[np.floating]) -> NDArray[np.float32]:
    x = _checked(features)
    if x.shape[1] != fitted.n_features:
        raise InputError(f"the vote was fitted on {fitted.n_features} features, not {x.shape[1]}; reduce them alike")
    return x


def _checked(features: NDArray[np.floating]) -> NDArray[np.float32]:
    x = np.ascontiguousarray(features, dtype=np.float32)
    if x.ndim != 2:
        raise InputError(f"features must have the shape (objects, features), not {x.shape}")
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise InputError(f"{len(bad)} objects, first row {bad[0]}, have features that are not finite; leave them out")
    return x


def _each(task: Callable[[int], Any], n: int, threads: int) -> list[Any]:
    """Do n tasks on threads, each with single-threaded libraries: their sums would else depend on the threads."""
    libraries = ThreadpoolController()  # To find them takes longer than many a task.

    def alone(i: int) -> Any:
        with libraries.limit(limits=1, user_api="openmp"):  # OpenMP counts for each thread of ours by itself.
            return task(i)

    with libraries.limit(limits=1, user_api="blas"), ThreadPoolExecutor(max(threads, 1)) as pool:
        return list(pool.map(alone, range(n)))


def _labels(partitions: tuple[Partition, ...], x: NDArray[np.float32], threads: int) -> NDArray[np.int16]:
    """Cluster of each object in each run, shape (n_runs, n)."""
    labels = np.empty((len(partitions), len(x)), dtype=np.int16)

    def assign(i: int) -> None:
        labels[i] = partitions[i].assign(x)

    _each(assign, len(partitions), threads)
    return labels


def _starts(partitions: tuple[Partition, ...]) -> NDArray[np.int64]:
    """Where the clusters of each run begin among those of all runs, shape (n_runs + 1,)."""
    return np.concatenate([[0], np.cumsum([each.n_clusters for each in partitions])])


def _memberships(labels: NDArray[np.int16], partitions: tuple[Partition, ...]) -> NDArray[np.float32]:
    starts = _starts(partitions)
    result = np.zeros((labels.shape[1], starts[-1]), dtype=np.float32)
    for start, run in zip(starts, labels, strict=False):
        result[np.arange(len(run)), start + run] = 1.0
    return result


def _shares(memberships: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.float32]:
    """Share of each cluster's members in each group; of a cluster without members, equal shares."""
    counts = memberships.T @ np.eye(groups.max() + 1, dtype=np.float32)[groups]
    counts[counts.sum(axis=1) == 0.0] = 1.0
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _votes(fitted: FittedVote, labels: NDArray[np.int16]) -> NDArray[np.float32]:
    votes = np.zeros((labels.shape[1], fitted.n_groups), dtype=np.float32)
    for start, run in zip(_starts(fitted.partitions), labels, strict=False):
        votes += fitted.shares[start + run]
    votes /= votes.sum(axis=1, keepdims=True)
    return votes


def _consensus(fitted: FittedVote, labels: NDArray[np.int16]) -> Consensus:
    votes = _votes(fitted, labels)
    return Consensus(votes.argmax(axis=1), votes, votes.max(axis=1, initial=0.0), fitted)
