"""The three rules of the vote on tables that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.morphology.paper.vote import contingency, vote
from astropipe.runtime.errors import UsageError

# Reference groups are rows, clusters of the other method columns. Clusters 0 and 1 both take group 0, cluster 2 takes
# group 1, and nobody takes group 2.
TABLE = np.array([[5, 4, 0], [1, 0, 6], [0, 2, 1]])


def _labels(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices(table.shape)
    return np.repeat(rows.ravel(), table.ravel()), np.repeat(columns.ravel(), table.ravel())


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        # Cluster 1 overwrites cluster 0, and the group that nobody takes passes untested.
        ("overwrite", [[0, 4, 0], [0, 0, 6], [0, 2, 1]]),
        ("union", [[5, 4, 0], [0, 0, 6], [0, 0, 0]]),
        # Pairs 0-0, 1-2 and 2-1 agree on 13 galaxies, the next best on 10.
        ("hungarian", [[5, 0, 0], [0, 0, 6], [0, 2, 0]]),
    ],
)
def test_rules_keep_what_was_worked_out_by_hand(rule: str, kept: list[list[int]]) -> None:
    reference, labels = _labels(TABLE)
    result = vote(reference, [labels], 3, rule)  # type: ignore[arg-type]
    found = contingency(reference[result.kept], labels[result.kept], 3)
    np.testing.assert_array_equal(found, kept)
    np.testing.assert_array_equal(result.groups, reference)


@pytest.mark.parametrize("rule", ["overwrite", "union", "hungarian"])
def test_same_clusters_under_other_numbers_agree_everywhere(rule: str) -> None:
    reference = np.random.default_rng(0).integers(0, 7, 300)
    others = [np.random.default_rng(seed).permutation(7)[reference] for seed in (1, 2)]
    assert vote(reference, others, 7, rule).kept.all()  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", ["overwrite", "union", "hungarian"])
def test_one_clustering_that_disagrees_is_enough(rule: str) -> None:
    reference, labels = _labels(TABLE)
    alone = vote(reference, [labels], 3, rule).kept  # type: ignore[arg-type]
    both = vote(reference, [reference, labels, reference], 3, rule).kept  # type: ignore[arg-type]
    np.testing.assert_array_equal(both, alone)


def test_of_groups_with_as_many_members_the_first_is_taken() -> None:
    reference, labels = _labels(np.array([[3, 0], [3, 2]]))
    np.testing.assert_array_equal(vote(reference, [labels], 2, "union").kept, [True] * 3 + [False] * 3 + [True] * 2)


def test_empty_cluster_takes_nothing() -> None:
    reference, labels = _labels(np.array([[3, 0], [1, 0]]))
    # Group 1 is taken by no cluster: the published code lets it pass.
    assert vote(reference, [labels], 2, "overwrite").kept.all()
    assert vote(reference, [labels], 2, "union").kept.sum() == 3


def test_wrong_calls_are_refused() -> None:
    labels = np.array([0, 1, 2])
    with pytest.raises(UsageError, match="choose from overwrite, union, hungarian"):
        vote(labels, [labels], 3, "plurality")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="3 labels from 0 to 1"):
        vote(labels, [labels], 2)
    with pytest.raises(UsageError, match="3 labels"):
        vote(labels, [labels[:2]], 3)
