"""From features to classes: votes of many clusterings, names of groups, and a second step where the votes disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.agreement import keep
from astropipe.morphology.classes import CLASSES, UNCLASSIFIED
from astropipe.morphology.encoder_artifact import Reference
from astropipe.morphology.labelling import Head, calibrated, fit_head
from astropipe.morphology.naming import GroupNames, group_medians, make_prototypes, name_groups, overridden
from astropipe.morphology.paper.pipeline import PaperSettings, group_features
from astropipe.morphology.paper.vote import VoteRule
from astropipe.morphology.reduction import Reduction, fit_reduction, umap_map
from astropipe.morphology.voting import Consensus, consensus, members, votes_by_cluster
from astropipe.runtime.errors import InputError

_PRIOR_GALAXIES = 10.0


@dataclass(frozen=True)
class Settings:
    """How galaxies are classified; see `astropipe.config.morphology.ClassifyConfig`."""

    vote: Literal["consensus", "overwrite", "union", "hungarian"] = "consensus"
    n_groups: int = 12
    n_runs: int = 60
    n_components: int = 20
    sample_fraction: float = 0.7
    feature_fraction: float = 0.85
    min_agreement: float = 0.6
    keep_fraction: float | None = None
    min_probability: float = 0.5
    map: Literal["pca", "umap"] = "pca"


@dataclass(frozen=True)
class Classified:
    """Classes of n galaxies.

    Attributes
    ----------
    groups : ndarray of int64, shape (n,)
        Unsupervised group; -1 for galaxies that cannot be used.
    named : GroupNames
        Names of the groups.
    morphology : ndarray of str, shape (n,)
        Class: of kept galaxies by the votes, of others by the second step.
    by_votes : ndarray of str, shape (n,)
        Class by the votes alone, of all.
    agreement : ndarray of float64, shape (n,)
        Share of the votes for the class; 0 for galaxies that cannot be used.
    kept : ndarray of bool, shape (n,)
        Whether the agreement is enough.
    step : ndarray of int64, shape (n,)
        1: class by the votes, 2: by the second step, 0: none.
    probabilities : ndarray of float64, shape (n, len(CLASSES))
        By the second step, of all; NaN where there is none.
    map : ndarray of float32, shape (n, 2)
        Place on the first two principal components, or by UMAP; NaN for galaxies that cannot be used.
    """

    groups: NDArray[np.int64]
    named: GroupNames
    morphology: NDArray[np.str_]
    by_votes: NDArray[np.str_]
    agreement: NDArray[np.float64]
    kept: NDArray[np.bool_]
    step: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    map: NDArray[np.float32]


def classify(
    embedding: NDArray[np.floating],
    values: NDArray[np.floating],
    reference: Reference,
    settings: Settings,
    *,
    seed: int = 0,
    threads: int = 1,
    names: Mapping[int, str] | None = None,
) -> Classified:
    """Classify galaxies.

    Parameters
    ----------
    embedding : ndarray, shape (n, d)
        What is clustered; rows that are not finite get no class.
    values : ndarray, shape (n, q)
        What groups are named by, the quantities of the reference; NaN where not known.
    reference : Reference
        Rendered galaxies of known class.
    settings : Settings
        How it is done.
    seed, threads : int
        Root seed, and clusterings that are made at a time.
    names : mapping, optional
        Names that a user gives to groups.

    Raises
    ------
    InputError
        If there are fewer galaxies that can be used than groups, or a name is given to a group that is not.
    MissingDependencyError
        If UMAP is asked for and not installed.
    """
    usable = np.isfinite(embedding).all(axis=1)
    n_usable = int(usable.sum())
    if n_usable < 2 * settings.n_groups:
        raise InputError(
            f"{n_usable} of {len(embedding)} galaxies can be used, too few for {settings.n_groups} groups; give at "
            f"least {2 * settings.n_groups}, or ask for fewer groups with --set morphology.classify.n_groups=..."
        )
    reduction = fit_reduction(embedding[usable], settings.n_components)
    reduced = reduction.apply(embedding[usable])
    if settings.vote == "consensus":
        found = consensus(
            reduced,
            n_groups=settings.n_groups,
            n_runs=settings.n_runs,
            sample_fraction=settings.sample_fraction,
            feature_fraction=settings.feature_fraction,
            seed=seed,
            threads=threads,
        )
        groups = found.groups
        named, for_class = by_clusters(found, reduced, values[usable], reduction, reference, threads)
    else:
        groups, agreed = _published(embedding[usable], settings.vote, settings, seed)
        named = _named(values[usable], groups, settings.n_groups, reference)
        # As published: the three clusterings agree on the group, or they do not.
        for_class = _one_hot(named)[groups] * agreed[:, None]
    named = overridden(named, names or {})
    for group in names or {}:
        # What a user calls a group its galaxies are, as surely as they are of some class.
        own = groups == group
        for_class[own] = _one_hot(named)[group] * for_class[own].max(axis=1, keepdims=True)
    told = np.array(named.names)[groups] != UNCLASSIFIED
    labels = np.array(CLASSES)[for_class.argmax(axis=1)]
    if settings.vote != "consensus":
        labels = np.array(named.names)[groups]
    labels, agreement = np.where(told, labels, UNCLASSIFIED), np.where(told, for_class.max(axis=1), 0.0)
    if settings.keep_fraction is None:
        kept = keep(agreement, threshold=max(settings.min_agreement, 1e-9))
    else:
        kept = keep(agreement, fraction=settings.keep_fraction) & told
    head = _second_step(embedding[usable], labels, agreement, reference)
    probabilities = np.full((n_usable, len(CLASSES)), np.nan)
    morphology, step = np.where(kept, labels, UNCLASSIFIED), np.where(kept, 1, 0)
    if head is not None:
        probabilities = head.probabilities(embedding[usable])
        sure = ~kept & (probabilities.max(axis=1) >= settings.min_probability)
        morphology = np.where(sure, np.array(CLASSES)[probabilities.argmax(axis=1)], morphology)
        step = np.where(sure, 2, step)
    return Classified(
        groups=_spread(groups, usable, -1),
        named=named,
        morphology=_spread(morphology.astype("U8"), usable, UNCLASSIFIED),
        by_votes=_spread(labels.astype("U8"), usable, UNCLASSIFIED),
        agreement=_spread(agreement.astype(np.float64), usable, 0.0),
        kept=_spread(kept, usable, False),
        step=_spread(step.astype(np.int64), usable, 0),
        probabilities=_spread(probabilities, usable, np.nan),
        map=_spread(_map(reduced, settings, seed), usable, np.nan),
    )


def _map(reduced: NDArray[np.floating], settings: Settings, seed: int) -> NDArray[np.floating]:
    if settings.map == "umap":
        return umap_map(reduced, seed=seed)
    return reduced[:, :2] if reduced.shape[1] > 1 else np.repeat(reduced, 2, axis=1)


def _one_hot(named: GroupNames) -> NDArray[np.float64]:
    return np.array([[float(name == each) for each in CLASSES] for name in named.names])


def by_clusters(
    found: Consensus,
    reduced: NDArray[np.floating],
    values: NDArray[np.floating],
    reduction: Reduction,
    reference: Reference,
    threads: int,
) -> tuple[GroupNames, NDArray[np.float64]]:
    """Name groups, and let each cluster of each run vote for classes by the rendered galaxies that fall into it.

    Without a reference of the same embedding, it votes for those of the groups to which its members belong.

    Parameters
    ----------
    found : Consensus
        The vote, of n galaxies.
    reduced : ndarray, shape (m, d)
        Components of the galaxies that get a class: those n, or with a reference any.
    values : ndarray, shape (n, q)
        Quantities by which groups are named.
    reduction : Reduction
        From embedding to components.
    reference : Reference
        Rendered galaxies of known class.
    threads : int
        Runs that are worked on at a time.

    Returns
    -------
    named : GroupNames
        Names of the groups.
    votes : ndarray, shape (m, len(CLASSES))
        Shares of the vote.
    """
    n_groups = found.votes.shape[1]
    if reference.embedding.shape[1] != len(reduction.mean):
        named = _named(values, found.groups, n_groups, reference)
        return named, found.votes @ named.probabilities
    inside = reduction.apply(reference.embedding)
    kinds = np.array([CLASSES.index(name) for name in reference.classes])
    number = np.bincount(kinds, minlength=len(CLASSES))
    counts = members(found.fitted, inside, kinds, len(CLASSES)) * (number.mean() / np.maximum(number, 1))
    shares = votes_by_cluster(found.fitted, inside, found.fitted.shares)
    named = _named(values, found.groups, n_groups, reference, shares)
    # The groups of its members count as much as a few rendered galaxies: some clusters have hardly any.
    counts += _PRIOR_GALAXIES * (found.fitted.shares @ named.probabilities)
    counts += 1e-9
    return named, votes_by_cluster(found.fitted, reduced, counts / counts.sum(axis=1, keepdims=True), threads=threads)


def _published(
    embedding: NDArray[np.floating], rule: VoteRule, settings: Settings, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return groups of the published vote, and 1 where its three clusterings agree, else 0."""
    published = PaperSettings(
        n_groups=settings.n_groups, n_components=settings.n_components, rule=rule, denoiser_steps=0, seed=seed
    )
    groups, kept, _, _ = group_features(np.asarray(embedding, dtype=np.float64), published)
    return groups, kept.astype(np.float64)


def _named(
    values: NDArray[np.floating],
    groups: NDArray[np.int64],
    n_groups: int,
    reference: Reference,
    inside: NDArray[np.floating] | None = None,
) -> GroupNames:
    """Name groups; `inside` are the votes of the reference for them."""
    prototypes = make_prototypes(reference.quantities, reference.values, reference.classes)
    medians = group_medians(values, groups, n_groups)
    shares = None
    if inside is not None:
        shares = np.array([inside[reference.classes == name].mean(axis=0) for name in CLASSES]).T
    return name_groups(medians, prototypes, shares)


def _second_step(
    embedding: NDArray[np.floating],
    labels: NDArray[np.str_],
    agreement: NDArray[np.floating],
    reference: Reference,
) -> Head | None:
    """Return a classifier that learned from the half of each class on which most votes agree.

    Of each class: where one is mixed up with another, none of its galaxies may be kept, and yet it is there.
    """
    taught = np.zeros(len(labels), dtype=bool)
    for name in CLASSES:
        of_class = np.flatnonzero(labels == name)
        taught[of_class[np.argsort(-agreement[of_class], kind="stable")][: -(-len(of_class) // 2)]] = True
    head = fit_head(embedding[taught], labels[taught])
    if head is None or reference.embedding.shape[1] != embedding.shape[1]:
        return head
    return calibrated(head, reference.embedding, reference.classes)


def _spread(values: NDArray[Any], usable: NDArray[np.bool_], blank: object) -> NDArray[Any]:
    result = np.full((len(usable), *values.shape[1:]), blank, dtype=values.dtype)
    result[usable] = values
    return result
