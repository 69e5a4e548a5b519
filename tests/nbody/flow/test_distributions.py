"""The X and the logistic distribution: against scipy, their moments, and parameters that are recovered from draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from astropipe.nbody.flow.distributions import (
    fit,
    logistic_log_density,
    x_log_density,
    x_variance,
)
from astropipe.runtime.errors import InputError


def hyperbolic(v0: float, alpha: float) -> stats.rv_continuous:
    """The symmetric hyperbolic distribution, which X is by another name."""
    return stats.genhyperbolic(p=1, a=alpha, b=0, scale=alpha * v0)


@pytest.mark.parametrize("alpha", [0.05, 0.7, 1.33, 8.0, 60.0])
def test_x_is_the_symmetric_hyperbolic_distribution(alpha: float) -> None:
    v = np.linspace(-9, 9, 31)
    np.testing.assert_allclose(np.exp(x_log_density(v, 0.0, 1.7, alpha)), hyperbolic(1.7, alpha).pdf(v), rtol=1e-9)
    assert x_variance(1.7, alpha) == pytest.approx(hyperbolic(1.7, alpha).var(), rel=1e-6)


def test_x_goes_from_laplace_to_gauss() -> None:
    v = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(x_log_density(v, 0.0, 1.0, 1e-6), stats.laplace.logpdf(v), atol=1e-4)
    v0 = 1.0 / np.sqrt(x_variance(1.0, 1e4))
    np.testing.assert_allclose(x_log_density(v, 0.0, v0, 1e4), stats.norm.logpdf(v), atol=2e-3)


def test_logistic_is_that_of_scipy() -> None:
    v = np.linspace(-900, 900, 41)
    np.testing.assert_allclose(logistic_log_density(v, 1.0, 2.0), stats.logistic.logpdf(v, 1.0, 2.0), rtol=1e-12)


@pytest.mark.parametrize(("v0", "alpha", "unit"), [(1.0, 1.33, 300.0), (2.0, 0.4, 1.0), (0.5, 5.0, 1.0)])
def test_parameters_of_x_are_recovered_from_draws_and_errors_are_their_scatter(
    v0: float, alpha: float, unit: float
) -> None:
    found = [
        fit(unit * hyperbolic(v0, alpha).rvs(4000, random_state=np.random.default_rng(seed)), "x") for seed in range(25)
    ]
    assert found[0].scale / unit == pytest.approx(v0, rel=0.4)
    for name, truth in (("location", 0.0), ("scale", v0 * unit), ("alpha", alpha)):
        # In logarithms, in which the likelihood of shape and scale is nearly even.
        values = np.array([getattr(one, name) for one in found])
        errors = np.array([getattr(one, f"{name}_error") for one in found])
        if name != "location":
            values, errors, truth = np.log(values), errors / values, np.log(truth)
        pulls = (values - truth) / errors
        assert abs(pulls.mean()) < 4.5 / np.sqrt(25), name
        assert 0.6 < pulls.std(ddof=1) < 1.5, name


def test_parameters_of_the_logistic_distribution_are_recovered() -> None:
    values = stats.logistic.rvs(-0.5, 2.0, size=20_000, random_state=np.random.default_rng(1))
    found = fit(values, "logistic")
    assert abs(found.location + 0.5) < 4 * found.location_error
    assert abs(found.scale - 2.0) < 4 * found.scale_error
    # Fisher's information: 1 / (3 s^2) for the location, (3 + pi^2) / (9 s^2) for the scale.
    assert found.location_error == pytest.approx(2.0 * np.sqrt(3 / 20_000), rel=0.05)
    assert found.scale_error == pytest.approx(2.0 * 3 / np.sqrt((3 + np.pi**2) * 20_000), rel=0.05)
    assert found.distance < 1.63 / np.sqrt(20_000)
    assert np.isnan(found.alpha) and np.isnan(found.alpha_error)


def test_values_that_come_in_clumps_have_larger_errors() -> None:
    rng = np.random.default_rng(2)
    values = np.repeat(stats.logistic.rvs(size=500, random_state=rng), 10)
    clumps = np.repeat(np.arange(500), 10)
    ratio = fit(values, "logistic", clumps).scale_error / fit(values, "logistic").scale_error
    assert ratio == pytest.approx(np.sqrt(10), rel=0.02)


def test_gaussian_values_have_no_shape_that_is_known() -> None:
    found = fit(np.random.default_rng(3).standard_normal(3000), "x")
    assert found.alpha > 3
    assert np.isnan(found.alpha_error) or found.alpha_error > 1


def test_values_that_cannot_be_fitted() -> None:
    assert np.isnan(fit(np.ones(100), "x").scale)
    assert np.isnan(fit(np.arange(3.0), "logistic").scale)
    with pytest.raises(InputError, match="not finite"):
        fit(np.array([1.0, np.nan] * 10), "x")
