"""The three clusterings: known groups are found, BIRCH is Ward's method again, and too many galaxies are refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from astropipe.morphology.paper.clustering import MAX_GALAXIES, cluster
from astropipe.runtime.errors import InputError


def test_separate_groups_are_found_by_all() -> None:
    truth = np.repeat(np.arange(4), 30)
    values = 50.0 * np.eye(4)[truth] + np.random.default_rng(0).normal(size=(120, 4))
    found = cluster(values, 4, np.random.default_rng(1))
    for labels in (found.k_means, found.ward, found.birch):
        assert adjusted_rand_score(truth, labels) == 1.0


def test_birch_with_the_published_threshold_is_ward_again() -> None:
    values = np.random.default_rng(0).normal(size=(200, 10))
    found = cluster(values, 8, np.random.default_rng(1))
    assert adjusted_rand_score(found.ward, found.birch) == pytest.approx(1.0)
    assert adjusted_rand_score(found.ward, found.k_means) < 0.9


def test_too_many_and_too_few_galaxies_are_refused() -> None:
    with pytest.raises(InputError, match="random sample"):
        cluster(np.zeros((MAX_GALAXIES + 1, 1)), 5, np.random.default_rng(0))
    with pytest.raises(InputError, match="3 galaxies cannot make 5 groups"):
        cluster(np.zeros((3, 1)), 5, np.random.default_rng(0))
