"""Principal axes against a singular value decomposition."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from astropipe.morphology.reduction import fit_reduction, umap_map
from astropipe.runtime.errors import InputError, MissingDependencyError


@pytest.fixture
def features():
    rng = np.random.default_rng(1)
    return rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) + 5.0


def test_axes_are_those_of_the_singular_value_decomposition(features):
    reduction = fit_reduction(features, 3)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    left, values, _ = np.linalg.svd(standard, full_matrices=False)
    np.testing.assert_allclose(np.abs(reduction.apply(features)), np.abs(left * values)[:, :3], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(reduction.variance, (values**2 / np.sum(values**2))[:3])


def test_whitened_features_have_unit_covariance(features):
    white = fit_reduction(features, whiten=True).apply(features)
    np.testing.assert_allclose(np.cov(white.T), np.eye(6), atol=1e-4)


def test_constant_features_and_empty_axes_do_no_harm(features):
    wide = np.concatenate([features, np.full((200, 1), 0.1), features[:, :1]], axis=1)
    reduced = fit_reduction(wide, whiten=True).apply(wide)
    assert reduced.shape == (200, 8)
    np.testing.assert_allclose(reduced.std(axis=0), [1.0] * 6 + [0.0] * 2, atol=0.01)


def test_no_more_components_than_objects(features):
    assert fit_reduction(features[:4], 6).apply(features).shape == (200, 4)


def test_features_that_cannot_be_reduced_are_refused(features):
    with pytest.raises(InputError, match="all have the same features"):
        fit_reduction(np.full((5, 3), 0.1))
    with pytest.raises(InputError, match="two objects or more"):
        fit_reduction(features[:1])
    with pytest.raises(InputError, match="leave out"):
        fit_reduction(np.where(features > 9.0, np.nan, features))
    with pytest.raises(InputError, match="made for 6 features, not 5"):
        fit_reduction(features).apply(features[:, :5])


def test_a_map_without_umap_says_what_to_install(features, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingDependencyError, match=r"astropipe\[umap\]"):
        umap_map(features)


@pytest.mark.slow  # The library compiles itself.
def test_a_map_keeps_groups_apart_and_is_fixed_by_its_seed(features):
    pytest.importorskip("umap")
    two = np.concatenate([features[:60], features[60:120] + 100.0])
    places = umap_map(two, seed=1)
    np.testing.assert_array_equal(places, umap_map(two, seed=1))
    gap = np.linalg.norm(places[:60].mean(axis=0) - places[60:].mean(axis=0))
    assert gap > 2.0 * max(places[:60].std(), places[60:].std()) or gap > 5.0
