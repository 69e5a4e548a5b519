"""Groups by the vote of many clusterings, against mixtures of known groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.mixture import GaussianMixture

from astropipe.morphology.clustering import CLUSTERERS, partition
from astropipe.morphology.co_association import cut
from astropipe.morphology.voting import consensus, members, votes_by_cluster
from astropipe.runtime.errors import InputError, UsageError

N_GROUPS = 5


def mixture(n=900, d=8, separation=9.0, bridges=0, seed=3):
    """Gaussians of unequal numbers and shapes at the corners of a simplex, and objects halfway between two of them."""
    rng = np.random.default_rng(seed)
    centres = separation / np.sqrt(2.0) * np.eye(N_GROUPS, d)
    truth = rng.choice(N_GROUPS, n, p=[0.35, 0.25, 0.2, 0.12, 0.08])
    spread = rng.uniform(0.4, 1.3, (N_GROUPS, d))
    x = centres[truth] + spread[truth] * rng.normal(size=(n, d))
    halfway = 0.5 * (centres[0] + centres[1]) + 0.3 * rng.normal(size=(bridges, d))
    return np.concatenate([x, halfway]).astype(np.float32), truth


@pytest.fixture(scope="module")
def separated():
    x, truth = mixture()
    return x, truth, consensus(x, n_groups=N_GROUPS, n_runs=12, seed=1)


def test_separated_gaussians_are_recovered_and_numbered_by_size(separated):
    _, truth, found = separated
    assert adjusted_rand_score(truth, found.groups) > 0.95
    size = np.bincount(found.groups)
    assert len(size) == N_GROUPS
    assert np.all(np.diff(size) <= 0)


def test_votes_are_shares_and_the_group_has_the_most(separated):
    _, _, found = separated
    np.testing.assert_allclose(found.votes.sum(axis=1), 1.0, atol=1e-5)
    assert found.votes.min() >= 0.0
    np.testing.assert_array_equal(found.groups, found.votes.argmax(axis=1))
    np.testing.assert_array_equal(found.agreement, found.votes.max(axis=1))


def test_objects_between_two_groups_have_low_agreement():
    x, truth = mixture(bridges=60)
    found = consensus(x, n_groups=N_GROUPS, n_runs=15, seed=2)
    between = np.arange(len(x)) >= len(truth)
    assert roc_auc_score(between, -found.agreement) > 0.9


def test_agreement_ranks_errors_where_groups_overlap():
    x, truth = mixture(separation=3.5)
    found = consensus(x, n_groups=N_GROUPS, n_runs=15, seed=2)
    names = np.array([np.bincount(truth[found.groups == k]).argmax() for k in range(found.votes.shape[1])])
    right = names[found.groups] == truth
    assert 0.7 < right.mean() < 0.999
    assert roc_auc_score(right, found.agreement) > 0.75


@pytest.mark.parametrize("clusterer", CLUSTERERS)
def test_each_clusterer_alone_finds_the_groups(clusterer):
    x, truth = mixture(n=500)
    found = consensus(x, n_groups=N_GROUPS, n_runs=6, clusterers=[clusterer], seed=4)
    assert adjusted_rand_score(truth, found.groups) > 0.9


def test_the_seed_fixes_the_result_and_another_seed_changes_it(separated):
    x, _, found = separated
    np.testing.assert_array_equal(consensus(x, n_groups=N_GROUPS, n_runs=12, seed=1).votes, found.votes)
    assert not np.array_equal(consensus(x, n_groups=N_GROUPS, n_runs=12, seed=2).votes, found.votes)


def test_threads_do_not_change_the_result(separated):
    x, _, found = separated
    np.testing.assert_array_equal(consensus(x, n_groups=N_GROUPS, n_runs=12, seed=1, threads=3).votes, found.votes)


def test_the_order_of_objects_does_not_change_the_result(separated):
    x, _, found = separated
    order = np.random.default_rng(0).permutation(len(x))
    shuffled = consensus(x[order], n_groups=N_GROUPS, n_runs=12, seed=1)
    np.testing.assert_array_equal(shuffled.groups, found.groups[order])
    np.testing.assert_allclose(shuffled.votes, found.votes[order], atol=1e-5)


def test_votes_by_clusters_equal_the_fit_on_its_objects_and_serve_others(separated):
    x, _, found = separated
    again = votes_by_cluster(found.fitted, x, found.fitted.shares, threads=2)
    np.testing.assert_allclose(again, found.votes, atol=1e-6)
    others, truth = mixture(n=300)
    others = others + np.random.default_rng(9).normal(0.0, 0.1, others.shape)
    votes = votes_by_cluster(found.fitted, others, found.fitted.shares)
    assert adjusted_rand_score(truth, votes.argmax(axis=1)) > 0.95


def test_clusters_that_know_the_kinds_of_some_objects_vote_for_those_of_others(separated):
    x, truth, found = separated
    known = np.arange(len(x)) % 3 == 0
    counts = members(found.fitted, x[known], truth[known], N_GROUPS)
    n_runs = len(found.fitted.partitions)
    assert counts.sum() == n_runs * known.sum(), "each object is in one cluster of each run"
    shares = (counts + 0.1) / (counts + 0.1).sum(axis=1, keepdims=True)
    votes = votes_by_cluster(found.fitted, x[~known], shares)
    np.testing.assert_allclose(votes.sum(axis=1), 1.0)
    assert np.mean(votes.argmax(axis=1) == truth[~known]) > 0.95
    with pytest.raises(InputError, match="fitted on 8 features, not 3"):
        members(found.fitted, x[:, :3], truth, N_GROUPS)


def test_constant_features_play_no_part(separated):
    x, _, found = separated
    wide = np.concatenate([x, np.full((len(x), 3), 7.0, dtype=np.float32)], axis=1)
    np.testing.assert_array_equal(consensus(wide, n_groups=N_GROUPS, n_runs=12, seed=1).groups, found.groups)


def test_groups_without_members_are_dropped():
    x = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    found = consensus(x, n_groups=6, n_runs=5, seed=0)
    assert found.votes.shape == (60, 3)
    assert adjusted_rand_score(np.repeat(np.arange(3), 20), found.groups) == 1.0
    np.testing.assert_allclose(found.agreement, 1.0, atol=1e-6)


def test_the_cut_follows_the_normalised_cut_of_the_full_graph():
    """Eigenvectors of the small matrix against those of the co-association matrix itself."""
    rng = np.random.default_rng(5)
    truth = np.repeat(np.arange(3), [30, 20, 10])
    runs = []
    for _ in range(8):
        labels = np.where(rng.random(60) < 0.15, rng.integers(0, 3, 60), truth)
        runs.append(np.eye(3, dtype=np.float32)[labels])
    memberships = np.concatenate(runs, axis=1)
    similarity = memberships @ memberships.T / 8
    degree = similarity.sum(axis=1)
    vectors = np.linalg.eigh(similarity / np.sqrt(np.outer(degree, degree)))[1][:, -3:]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = cut(memberships, 8, 3, seed=0)
    expected = KMeans(3, n_init=10, random_state=0).fit_predict(vectors)
    assert adjusted_rand_score(expected, groups) == 1.0
    assert adjusted_rand_score(truth, groups) > 0.9


def test_fits_to_gaussians_are_those_of_the_mixture():
    """A partition by a mixture against scikit-learn's own prediction for the same sample."""
    x, truth = mixture(n=400, d=6)
    drawn = partition(
        x,
        np.arange(len(x)),
        np.arange(6),
        clusterer="gaussian-mixture",
        n_clusters=(5, 5),
        sample_fraction=1.0,
        feature_fraction=1.0,
        rng=np.random.default_rng(0),
    )
    mixed = GaussianMixture(5)
    mixed.weights_, mixed.precisions_cholesky_ = np.full(5, 0.2), drawn.whitening.astype(np.float64)
    mixed.means_ = np.stack(
        [np.linalg.solve(w.T.astype(np.float64), c) for w, c in zip(drawn.whitening, drawn.centres, strict=True)]
    )
    volume = np.log(np.diagonal(drawn.whitening, axis1=1, axis2=2)).sum(axis=1)
    even = replace(drawn, offsets=volume.astype(np.float32))
    np.testing.assert_array_equal(even.assign(x), mixed.predict(x.astype(np.float64)))
    assert adjusted_rand_score(truth, drawn.assign(x)) > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusterers": ["dbscan"]}, "not dbscan"),
        ({"clusterers": []}, "not none"),
        ({"n_groups": 1}, "n_groups >= 2"),
        ({"sample_fraction": 0.0}, "fractions over 0 to 1"),
        ({"feature_fraction": 1.5}, "fractions over 0 to 1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        consensus(mixture(n=50)[0], **settings)


def test_bad_features_are_refused(separated):
    x = mixture(n=50)[0]
    with pytest.raises(InputError, match="lower n_groups"):
        consensus(x, n_groups=51)
    with pytest.raises(InputError, match="all have the same features"):
        consensus(np.ones((50, 3), dtype=np.float32), n_groups=5)
    x[7, 2] = np.nan
    with pytest.raises(InputError, match="first row 7"):
        consensus(x, n_groups=5)
    with pytest.raises(InputError, match="fitted on 8 features, not 5"):
        votes_by_cluster(separated[2].fitted, x[:5, :5], separated[2].fitted.shares)
