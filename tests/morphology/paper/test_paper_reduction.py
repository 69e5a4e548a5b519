"""Principal components against the covariance and its singular value decomposition, as the authors compute them."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.morphology.paper.reduction import (
    most_components,
    reduce_features,
    singular_value_ratios,
    suggested_components,
)
from astropipe.runtime.errors import UsageError


@pytest.mark.parametrize("shape", [(200, 12), (30, 50)])
def test_axes_are_those_of_the_covariance(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=shape) @ rng.normal(size=(shape[1], shape[1])) + 5.0
    most = most_components(*shape)
    centred = features - features.mean(axis=0)
    axes, singular, _ = np.linalg.svd(centred.T @ centred / len(centred))
    reduced = reduce_features(features, 6)
    np.testing.assert_allclose(reduced.singular_values, singular[:most], rtol=1e-8)
    expected = centred @ axes[:, :6]
    signs = np.sign(np.sum(expected * reduced.values, axis=0))
    np.testing.assert_allclose(reduced.values * signs, expected, atol=1e-8 * np.abs(expected).max())


def test_jump_is_behind_the_true_dimension() -> None:
    rng = np.random.default_rng(2)
    features = 3.0 * rng.normal(size=(400, 4)) @ rng.normal(size=(4, 20)) + 0.01 * rng.normal(size=(400, 20))
    singular = reduce_features(features, 4).singular_values
    assert suggested_components(singular) == 4
    assert singular_value_ratios(singular)[3] < 1e-3


def test_more_axes_than_there_are_is_refused() -> None:
    with pytest.raises(UsageError, match="have 9"):
        reduce_features(np.eye(10), 10)
