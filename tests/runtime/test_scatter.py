"""Scatter against quoted errors: by hand, and over many sets of normal numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from astropipe.runtime.errors import InputError
from astropipe.runtime.scatter import scatter


def test_two_values_by_hand() -> None:
    found = scatter(np.array([0.0, 3.0]), np.array([1.0, 2.0]))
    # Weights 1 and 1/4: mean 0.6; chi² = 0.36 + 1.44; sd = 3/√2 over √2.5.
    assert found.mean == pytest.approx(0.6) and found.chi_squared == pytest.approx(1.8)
    assert found.ratio == pytest.approx(3.0 / np.sqrt(5.0)) and found.ratio_err == pytest.approx(np.sqrt(0.5))
    # One degree of freedom: P(|normal| > √1.8).
    assert found.p_value == pytest.approx(0.17971, abs=1e-5)


def test_right_errors_give_uniform_p_values_and_small_ones_do_not() -> None:
    rng = np.random.default_rng(1)
    errors = rng.uniform(0.5, 2.0, (400, 10))
    values = errors * rng.standard_normal((400, 10))
    right = [scatter(*pair) for pair in zip(values, errors, strict=True)]
    assert kstest([one.p_value for one in right], "uniform").pvalue > 0.01
    assert np.mean([one.ratio for one in right]) == pytest.approx(1.0, abs=0.06)
    small = [scatter(*pair) for pair in zip(values, errors / 2.0, strict=True)]
    assert np.median([one.p_value for one in small]) < 1e-3


def test_equal_errors_scatter_by_the_quoted_error_of_the_ratio() -> None:
    rng = np.random.default_rng(2)
    found = [scatter(rng.standard_normal(20), np.ones(20)) for _ in range(500)]
    assert np.std([one.ratio for one in found]) == pytest.approx(found[0].ratio_err, rel=0.1)


@pytest.mark.parametrize("errors", [[1.0], [1.0, 0.0], [1.0, np.inf]])
def test_what_says_nothing_is_refused(errors: list[float]) -> None:
    with pytest.raises(InputError, match="two or more"):
        scatter(np.zeros(len(errors)), np.array(errors))
