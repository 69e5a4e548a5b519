"""Classes and kept objects from votes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.morphology.agreement import agreement_curve, keep
from astropipe.runtime.errors import UsageError

VOTES = np.array([[0.6, 0.1, 0.3, 0.0], [0.3, 0.1, 0.25, 0.35], [0.0, 0.4, 0.35, 0.25]], dtype=np.float32)
NAMES = ["SPH", "LTD", "SPH", "UNC"]


@pytest.mark.parametrize("fraction", [0.0, 0.53, 0.75, 1.0])
def test_the_kept_fraction_is_exact_also_with_ties(fraction):
    agreement = np.random.default_rng(0).integers(0, 4, 200) / 4.0
    kept = keep(agreement, fraction=fraction)
    assert kept.sum() == round(fraction * 200)
    assert agreement[kept].min(initial=1.0) >= agreement[~kept].max(initial=0.0)


def test_objects_at_the_threshold_are_kept():
    np.testing.assert_array_equal(keep(np.array([0.2, 0.5, 0.9]), threshold=0.5), [False, True, True])


@pytest.mark.parametrize("settings", [{}, {"fraction": 0.5, "threshold": 0.5}, {"fraction": 1.1}])
def test_the_dial_must_be_one_number_in_range(settings):
    with pytest.raises(UsageError):
        keep(np.ones(3), **settings)


def test_the_curve_counts_objects_at_or_above_each_agreement():
    threshold, kept, purity = agreement_curve(np.array([0.5, 0.9, 0.5, 0.7]), np.array([True, True, False, False]))
    np.testing.assert_array_equal(threshold, [0.9, 0.7, 0.5])
    np.testing.assert_array_equal(kept, [0.25, 0.5, 1.0])
    np.testing.assert_array_equal(purity, [1.0, 0.5, 0.5])


def test_the_curve_of_nothing_is_empty():
    assert [len(each) for each in agreement_curve(np.empty(0), np.empty(0, dtype=bool))] == [0, 0, 0]
