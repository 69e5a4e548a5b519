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
from astropipe.morphology.voting import consensus, predict
from astropipe.runtime.errors import InputError


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
        Share of the votes for the class, as far as the groups have it; 0 for galaxies that cannot be used.
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
        groups, votes, inside = _consensus(reduced, reduction, reference, settings, seed, threads)
    else:
        groups, votes, inside = _published(embedding[usable], settings.vote, settings, seed)
    named = overridden(_named(values[usable], groups, votes.shape[1], reference, inside), names or {})
    told = np.array(named.names)[groups] != UNCLASSIFIED
    # A vote for a group is a vote for its classes, as far as the group has them: mixed groups make nobody sure.
    for_class = votes @ named.probabilities
    labels, agreement = np.array(CLASSES)[for_class.argmax(axis=1)], for_class.max(axis=1)
    if settings.vote != "consensus":
        # As published: the three clusterings agree on the group, or they do not.
        labels, agreement = np.array(named.names)[groups], votes.max(axis=1)
    labels, agreement = np.where(told, labels, UNCLASSIFIED), np.where(told, agreement, 0.0)
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


def _consensus(
    reduced: NDArray[np.floating],
    reduction: Reduction,
    reference: Reference,
    settings: Settings,
    seed: int,
    threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.floating], NDArray[np.floating] | None]:
    """Return groups, votes for them, and the votes of the reference where it has the same embedding."""
    vote = consensus(
        reduced,
        n_groups=settings.n_groups,
        n_runs=settings.n_runs,
        sample_fraction=settings.sample_fraction,
        feature_fraction=settings.feature_fraction,
        seed=seed,
        threads=threads,
    )
    inside = None
    if reference.embedding.shape[1] == len(reduction.mean):
        inside = predict(vote.fitted, reduction.apply(reference.embedding)).votes
    return vote.groups, vote.votes, inside


def _published(
    embedding: NDArray[np.floating], rule: VoteRule, settings: Settings, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.floating], None]:
    """Return groups of the published vote, and votes of 1 where its three clusterings agree, else of 0."""
    published = PaperSettings(
        n_groups=settings.n_groups, n_components=settings.n_components, rule=rule, denoiser_steps=0, seed=seed
    )
    groups, kept, _, _ = group_features(np.asarray(embedding, dtype=np.float64), published)
    votes = np.zeros((len(groups), settings.n_groups))
    votes[np.arange(len(groups)), groups] = kept
    return groups, votes, None


def _named(
    values: NDArray[np.floating],
    groups: NDArray[np.int64],
    n_groups: int,
    reference: Reference,
    inside: NDArray[np.floating] | None,
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
        members = np.flatnonzero(labels == name)
        taught[members[np.argsort(-agreement[members], kind="stable")][: -(-len(members) // 2)]] = True
    head = fit_head(embedding[taught], labels[taught])
    if head is None or reference.embedding.shape[1] != embedding.shape[1]:
        return head
    return calibrated(head, reference.embedding, reference.classes)


def _spread(values: NDArray[Any], usable: NDArray[np.bool_], blank: object) -> NDArray[Any]:
    result = np.full((len(usable), *values.shape[1:]), blank, dtype=values.dtype)
    result[usable] = values
    return result
