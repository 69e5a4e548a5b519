import numpy as np
import pytest

from astropipe.morphology import naming
from astropipe.morphology.classes import CLASSES
from astropipe.runtime.errors import InputError


def _galaxies(n=200, seed=0):
    rng = np.random.default_rng(seed)
    classes = np.repeat(CLASSES, n)
    middle = np.array([[4.0, 0.0], [2.0, 0.0], [1.0, 0.1], [1.0, 0.4]])
    values = np.repeat(middle, n, axis=0) + rng.normal(0, (0.3, 0.05), (4 * n, 2))
    return values, classes


def _prototypes():
    values, classes = _galaxies()
    return naming.make_prototypes(("n", "a"), values, classes)


def test_groups_get_the_class_that_they_are_like():
    named = naming.name_groups(np.array([[3.9, 0.0], [1.0, 0.38], [2.1, 0.02], [0.9, 0.1]]), _prototypes())
    assert named.names == ["SPH", "IRR", "ETD", "LTD"]
    np.testing.assert_allclose(named.probabilities.sum(axis=1), 1.0)


def test_what_is_not_known_does_not_count():
    named = naming.name_groups(np.array([[4.0, np.nan], [np.nan, 0.4], [np.nan, np.nan]]), _prototypes())
    assert named.names == ["SPH", "IRR", "UNC"]


def test_a_group_like_no_class_has_no_name():
    assert naming.name_groups(np.array([[9.0, 3.0]]), _prototypes()).names == ["UNC"]


def test_the_classifier_behind_the_names_is_that_of_gaussians_with_one_covariance():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    values, classes = _galaxies(2000, seed=1)
    prototypes = naming.make_prototypes(("n", "a"), values, classes)
    trial = np.random.default_rng(2).uniform((0.5, -0.1), (4.5, 0.5), (50, 2))
    named = naming.name_groups(trial, prototypes)
    like_one = np.array([name != "UNC" for name in named.names])
    assert 10 < like_one.sum() < 50
    other = LinearDiscriminantAnalysis().fit(values, classes)
    order = [list(other.classes_).index(name) for name in CLASSES]
    np.testing.assert_allclose(named.probabilities[like_one], other.predict_proba(trial[like_one])[:, order], atol=0.1)


def test_failed_measurements_do_not_move_a_prototype():
    values, classes = _galaxies()
    spoiled = values.copy()
    spoiled[::20, 0] = 50.0
    spoiled[5, 1] = np.nan
    one, other = (naming.make_prototypes(("n", "a"), each, classes) for each in (values, spoiled))
    np.testing.assert_allclose(one.mean, other.mean, atol=0.1)


def test_too_few_galaxies_make_no_prototype():
    values, classes = _galaxies()
    with pytest.raises(InputError, match="IRR"):
        naming.make_prototypes(("n", "a"), values[:605], classes[:605])


def test_medians_leave_out_what_is_not_known():
    values = np.array([[1.0, np.nan], [3.0, 2.0], [5.0, np.nan], [7.0, np.nan]])
    medians = naming.group_medians(values, np.array([0, 0, 0, 1]), 2)
    np.testing.assert_array_equal(medians, [[3.0, 2.0], [7.0, np.nan]])


def test_a_user_may_name_groups(tmp_path):
    table = tmp_path / "names.yaml"
    table.write_text("1: LTD\n", encoding="utf-8")
    named = naming.name_groups(np.array([[3.9, 0.0], [1.0, 0.38]]), _prototypes())
    changed = naming.overridden(named, naming.read_names(table))
    assert changed.names == ["SPH", "LTD"]
    np.testing.assert_array_equal(changed.probabilities[1], [0, 0, 1, 0])
    with pytest.raises(InputError, match="group 7"):
        naming.overridden(named, {7: "LTD"})
    with pytest.raises(InputError, match="spiral"):
        naming.overridden(named, {1: "spiral"})


def test_rendered_galaxies_tell_how_mixed_a_group_is():
    medians = np.array([[3.0, 0.0], [3.0, 0.0]])
    shares = np.array([[0.3, 0.3, 0.0, 0.0], [0.5, 0.02, 0.0, 0.0]])
    named = naming.name_groups(medians, _prototypes(), shares)
    assert named.probabilities[1].max() > 0.9 > 0.8 > named.probabilities[0].max()
    assert named.names[1] == "SPH"


@pytest.mark.parametrize("text", ["- SPH\n", "a: b\n", "1: [\n", ""])
def test_tables_of_names_that_are_none_are_refused(tmp_path, text):
    table = tmp_path / "names.yaml"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"names\.yaml"):
        naming.read_names(table)
