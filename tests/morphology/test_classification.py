import numpy as np
import pytest

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.classification import Settings, classify
from astropipe.morphology.encoder_artifact import Reference
from astropipe.runtime.errors import InputError


def _galaxies(n, seed, overlap=0.6, share=(0.25, 0.25, 0.25, 0.25)):
    """Clusters of an embedding, two of each class, with two measured quantities."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(len(CLASSES), size=n, p=share)
    middle = np.random.default_rng(99).normal(0, 2.0, (len(CLASSES), 2, 12))
    embedding = middle[classes, rng.integers(2, size=n)] + rng.normal(0, overlap, (n, 12))
    values = np.column_stack([classes, -classes]) + rng.normal(0, 0.5, (n, 2))
    return embedding.astype(np.float32), values, np.array(CLASSES)[classes]


def _reference(overlap=0.6):
    embedding, values, classes = _galaxies(800, 1, overlap)
    return Reference(classes, embedding, ("a", "b"), values.astype(np.float32))


def test_classes_are_found_and_the_kept_are_purer():
    embedding, values, true = _galaxies(1200, 2, overlap=2.2)
    result = classify(embedding, values, _reference(2.2), Settings(n_runs=20, keep_fraction=0.5))
    right = result.by_votes == true
    assert right.mean() > 0.7
    assert right[result.kept].mean() > right[~result.kept].mean() + 0.1
    assert set(np.unique(result.step)) <= {0, 1, 2}
    assert (result.morphology[result.kept] == result.by_votes[result.kept]).all()


def test_what_cannot_be_used_has_no_class_and_changes_nothing():
    embedding, values, _ = _galaxies(600, 3)
    spoiled = np.insert(embedding, [10, 300], np.nan, axis=0)
    more = np.insert(values, [10, 300], 1e9, axis=0)
    one = classify(embedding, values, _reference(), Settings(n_runs=10))
    other = classify(spoiled, more, _reference(), Settings(n_runs=10))
    lost = ~np.isfinite(spoiled).all(axis=1)
    assert (other.morphology[lost] == "UNC").all() and (other.groups[lost] == -1).all() and not other.kept[lost].any()
    np.testing.assert_array_equal(one.morphology, other.morphology[~lost])


def test_the_fraction_kept_is_a_dial():
    embedding, values, _ = _galaxies(500, 4, overlap=1.0)
    kept = [
        classify(embedding, values, _reference(), Settings(n_runs=10, keep_fraction=share)).kept.mean()
        for share in (0.3, 0.6)
    ]
    assert kept == pytest.approx([0.3, 0.6], abs=0.01)


def test_names_of_a_user_hold():
    embedding, values, _ = _galaxies(500, 5)
    settings = Settings(n_runs=10)
    result = classify(embedding, values, _reference(), settings, names={0: "IRR"})
    assert result.named.names[0] == "IRR"
    assert (result.by_votes[(result.groups == 0) & (result.agreement > 0.9)] == "IRR").all()


def test_galaxies_of_a_group_without_a_class_are_not_kept():
    embedding, values, _ = _galaxies(500, 5)
    result = classify(embedding, values, _reference(), Settings(n_runs=10), names={0: "UNC"})
    members = result.groups == 0
    assert (result.by_votes[members] == "UNC").all() and not result.kept[members].any()
    assert (result.agreement[members] == 0.0).all()


def test_a_reference_of_another_encoder_names_by_measurements_alone():
    embedding, values, true = _galaxies(600, 6)
    known = _reference()
    other = Reference(known.classes, known.embedding[:, :5], known.quantities, known.values)
    result = classify(embedding, values, other, Settings(n_runs=10))
    assert np.mean(result.by_votes == true) > 0.9


def test_too_few_galaxies_are_refused_with_the_remedy():
    embedding, values, _ = _galaxies(20, 7)
    with pytest.raises(InputError, match=r"20 of 20 galaxies can be used.*n_groups"):
        classify(embedding, values, _reference(), Settings())


@pytest.mark.parametrize("vote", ["overwrite", "union", "hungarian"])
def test_the_published_vote_keeps_what_three_clusterings_agree_on(vote):
    embedding, values, true = _galaxies(600, 9)
    settings = Settings(vote=vote, n_groups=8, n_components=10)
    result = classify(embedding, values, _reference(), settings)
    assert set(np.unique(result.agreement)) <= {0.0, 1.0}
    np.testing.assert_array_equal(result.kept, result.agreement == 1.0)
    assert np.mean((result.by_votes == true)[result.kept]) > 0.9


def test_threads_change_nothing():
    embedding, values, _ = _galaxies(400, 8)
    one, two = (classify(embedding, values, _reference(), Settings(n_runs=8), threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one.groups, two.groups)
    np.testing.assert_array_equal(one.agreement, two.agreement)
