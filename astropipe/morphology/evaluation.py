"""Classes against the truth of simulated galaxies: purity, agreement, names of groups, physical order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, roc_auc_score

from astropipe.morphology.agreement import agreement_curve
from astropipe.morphology.classes import CLASSES, UNCLASSIFIED
from astropipe.runtime.errors import InputError

SIMULATED = "simulated galaxies"
_KEPT_BY_PAPER = 0.53
_NO = float("nan")

Measure = tuple[str, float, float, str, float, float, str]
"""Measure, value, its standard error, unit, expected value, its error, source of the expectation."""


def matched(truth: Table, found: Table) -> NDArray[np.str_]:
    """Return the true classes of the galaxies of a catalog.

    Raises
    ------
    InputError
        If the stamps have no true classes, or the ids differ.
    """
    if "morphology" not in truth.colnames:
        raise InputError("the stamps have no true classes: only simulated galaxies can be evaluated")
    ids = (np.asarray(truth["id"]).astype(str), np.asarray(found["id"]).astype(str))
    if ids[0].shape != ids[1].shape or (ids[0] != ids[1]).any():
        raise InputError("the ids differ: the catalog was not made of these stamps, or of a part of them only")
    return np.asarray(truth["morphology"]).astype(str)


def purity_at(agreement: NDArray[np.floating], right: NDArray[np.bool_], share: float) -> float:
    """Return the share of right classes among the given share of galaxies on which most votes agree."""
    order = np.argsort(-agreement, kind="stable")[: max(1, round(share * len(right)))]
    return float(np.mean(right[order]))


def kept_at(agreement: NDArray[np.floating], right: NDArray[np.bool_], purity: float) -> float:
    """Return the largest share of galaxies that can be kept by a threshold with at least this purity."""
    _, kept, pure = agreement_curve(agreement, right)
    enough = kept[pure >= purity]
    return float(enough.max()) if len(enough) else 0.0


def quality(truth: Table, found: Table, groups: Sequence[dict[str, Any]], min_purity: float) -> list[Measure]:
    """Measure a catalog against the truth.

    Parameters
    ----------
    truth : Table
        Catalog of the ``stamps`` artifact.
    found : Table
        ``morphology-catalog`` of the same galaxies.
    groups : sequence of dict
        Summary of the groups, with their names.
    min_purity : float
        Purity for which the share that can be kept is told.

    Returns
    -------
    list of tuple
        Rows of a ``metrics`` artifact.
    """
    true = matched(truth, found)
    group = np.asarray(found["group"])
    names = np.array([*(each["name"] for each in groups), UNCLASSIFIED])
    by_group = names[np.where(group >= 0, group, len(names) - 1)]
    final = np.asarray(found["morphology"]).astype(str)
    agreement, kept = np.asarray(found["agreement"], dtype=float), np.asarray(found["kept"], dtype=bool)
    right = by_group == true
    second = ~kept & (final != UNCLASSIFIED)
    rows = [
        ("kept", float(kept.mean()), ""),
        ("purity of the kept", float(np.mean(right[kept])) if kept.any() else _NO, ""),
        ("purity of all", float(right.mean()), ""),
        (f"purity at {100 * _KEPT_BY_PAPER:.0f} % kept", purity_at(agreement, right, _KEPT_BY_PAPER), ""),
        (f"can be kept at {100 * min_purity:g} % purity", kept_at(agreement, right, min_purity), ""),
        ("ARI", float(adjusted_rand_score(true, by_group)), ""),
        ("NMI", float(normalized_mutual_info_score(true, by_group)), ""),
        ("ARI with the second step", float(adjusted_rand_score(true, final)), ""),
        ("unclassified", float(np.mean(final == UNCLASSIFIED)), ""),
        (
            "purity of the second step",
            _mean((final == true)[second]),
            "",
        ),
        ("groups named right", named_right(group, true, [each["name"] for each in groups]), ""),
    ]
    if 0 < right.sum() < len(right):
        rows.append(("AUROC of the agreement", float(roc_auc_score(right, agreement)), ""))
    measures: list[Measure] = [
        (name, value, _binomial_error(value, len(true)), unit, _NO, _NO, SIMULATED) for name, value, unit in rows
    ]
    return measures + physical_order(found)


def _binomial_error(share: float, n: int) -> float:
    return float(np.sqrt(share * (1 - share) / n)) if 0 <= share <= 1 else _NO


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else _NO


def named_right(group: NDArray[np.integer], true: NDArray[np.str_], names: Sequence[str]) -> float:
    """Return the share of groups whose name is the class of most of their members."""
    right = []
    for number, name in enumerate(names):
        members = true[group == number]
        if len(members):
            kinds, counts = np.unique(members, return_counts=True)
            right.append(name == kinds[counts.argmax()])
    return float(np.mean(right)) if right else _NO


def physical_order(found: Table) -> list[Measure]:
    """Return the median Sersic index and radii of each class, and whether neighbours in the order differ (KS)."""
    rows: list[Measure] = []
    for column, unit in (("sersic_index", ""), ("r_e_pixels", "pix"), ("r50", "pix")):
        if column not in found.colnames:
            continue
        values = np.asarray(getattr(found[column], "value", found[column]), dtype=float)
        classes = np.asarray(found["morphology"]).astype(str)
        of_class = {name: values[(classes == name) & np.isfinite(values)] for name in CLASSES}
        for name, inside in of_class.items():
            if len(inside):
                error = 1.2533 * float(np.std(inside)) / np.sqrt(len(inside))
                rows.append((f"median {column} of {name}", float(np.median(inside)), error, unit, _NO, _NO, SIMULATED))
        for one, other in pairwise(CLASSES):
            if len(of_class[one]) and len(of_class[other]):
                p = float(ks_2samp(of_class[one], of_class[other]).pvalue)
                rows.append((f"KS p-value of {column}, {one} and {other}", p, _NO, "", _NO, _NO, SIMULATED))
    return rows
