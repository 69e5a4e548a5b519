import numpy as np
import pytest

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.labelling import calibrated, fit_head


def _features(n, overlap, seed):
    rng = np.random.default_rng(seed)
    classes = rng.integers(len(CLASSES), size=n)
    values = np.eye(len(CLASSES), 6)[classes] * 3 + rng.normal(0, overlap, (n, 6))
    return values, np.array(CLASSES)[classes]


def test_a_head_learns_the_classes():
    head = fit_head(*_features(400, 0.7, 0))
    values, classes = _features(400, 0.7, 1)
    assert np.mean(np.array(CLASSES)[head.probabilities(values).argmax(axis=1)] == classes) > 0.95


@pytest.mark.parametrize("overlap", [1.5, 2.5])
def test_the_temperature_makes_probabilities_those_that_come_true(overlap):
    # Learned from easy galaxies, asked about hard ones, as the second step is.
    head = fit_head(*_features(600, 0.4, 0))
    head = calibrated(head, *_features(3000, overlap, 1))
    values, classes = _features(4000, overlap, 2)
    probabilities = head.probabilities(values)
    right = np.array(CLASSES)[probabilities.argmax(axis=1)] == classes
    for low, high in ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        inside = (probabilities.max(axis=1) > low) & (probabilities.max(axis=1) <= high)
        if inside.sum() > 200:
            assert right[inside].mean() == pytest.approx(probabilities.max(axis=1)[inside].mean(), abs=0.06)


def test_classes_without_examples_have_no_probability():
    values, classes = _features(300, 0.5, 3)
    two = np.isin(classes, ("SPH", "IRR"))
    head = fit_head(values[two], classes[two])
    probabilities = head.probabilities(values)
    assert probabilities[:, 1:3].max() == 0.0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert (np.array(CLASSES)[probabilities[two].argmax(axis=1)] == classes[two]).mean() > 0.98
    assert np.isfinite(calibrated(head, values, classes).temperature)


def test_one_class_teaches_nothing():
    values, classes = _features(300, 0.5, 3)
    assert fit_head(values[classes == "SPH"], classes[classes == "SPH"]) is None
