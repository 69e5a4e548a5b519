"""Priors against scipy.stats, and the refusal of what is no prior."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from astropipe.inference.priors import (
    Constraint,
    LogUniform,
    Normal,
    Prior,
    TruncatedNormal,
    Uniform,
    parse_prior,
)
from astropipe.runtime.errors import UsageError

Columns = dict[str, NDArray[np.float64]]

PAIRS = [
    (Uniform(-3.0, 1.0), stats.uniform(-3.0, 4.0)),
    (LogUniform(1e-3, 20.0), stats.loguniform(1e-3, 20.0)),
    (Normal(67.0, 3.0), stats.norm(67.0, 3.0)),
    (TruncatedNormal(0.0, 2.0, -1.0, 3.0), stats.truncnorm(-0.5, 1.5, 0.0, 2.0)),
    (TruncatedNormal(0.0, 1.0, 8.0, 9.0), stats.truncnorm(8.0, 9.0)),
    (TruncatedNormal(0.0, 1.0, -9.0, -8.0), stats.truncnorm(-9.0, -8.0)),
    (TruncatedNormal(1.0, 2.0, 0.0, np.inf), stats.truncnorm(-0.5, np.inf, 1.0, 2.0)),
]


def phantom_excluded(values: Columns) -> NDArray[np.bool_]:
    return values["w0"] + values["wa"] < 0.0


def unknown_parameter(values: Columns) -> NDArray[np.bool_]:
    return values["w1"] < 0.0


def not_boolean(values: Columns) -> Any:
    return values["w0"]


PHANTOM = Constraint("w0 + wa < 0", phantom_excluded)
DARK_ENERGY = {"w0": Uniform(-3.0, 1.0), "wa": Uniform(-3.0, 2.0)}


@pytest.mark.parametrize(("ours", "scipys"), PAIRS)
def test_distributions_agree_with_scipy(ours: Any, scipys: Any) -> None:
    q = np.array([1e-9, 1e-3, 0.1, 0.5, 0.9, 0.999, 1.0 - 1e-9])
    x = scipys.ppf(q)
    np.testing.assert_allclose(ours.ppf(q), x, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(ours.logpdf(x), scipys.logpdf(x), rtol=1e-9, atol=1e-9)
    assert ours.support() == pytest.approx(scipys.support())
    outside = [edge + step for edge, step in zip(ours.support(), (-1.0, 1.0), strict=True) if np.isfinite(edge)]
    assert np.all(ours.logpdf(outside) == -np.inf)


@pytest.mark.parametrize("ours", [pair[0] for pair in PAIRS])
def test_densities_integrate_to_one(ours: Any) -> None:
    low, middle, high = ours.ppf(np.array([1e-12, 0.5, 1.0 - 1e-12]))
    halves = [integrate.quad(lambda x: np.exp(ours.logpdf(x)), *ends)[0] for ends in ((low, middle), (middle, high))]
    assert halves == pytest.approx([0.5, 0.5], abs=1e-7)


def test_transform_keeps_shape_and_order_and_stays_inside() -> None:
    prior = Prior({"a": Uniform(2.0, 3.0), "b": stats.expon(scale=4.0), "c": "loguniform(0.1, 10)"})
    u = np.random.default_rng(0).random((50, 3))
    x = prior.transform(u)
    assert x.shape == (50, 3)
    np.testing.assert_array_equal(prior.transform(u[7]), x[7])
    np.testing.assert_allclose(x[:, 1], stats.expon.ppf(u[:, 1], scale=4.0))
    assert np.all((x >= prior.bounds[:, 0]) & (x <= prior.bounds[:, 1]))
    assert prior.names == ("a", "b", "c")


def test_log_prob_is_the_sum_and_obeys_constraints() -> None:
    prior = Prior(DARK_ENERGY, [PHANTOM])
    x = np.array([[-1.0, 0.5], [0.9, 1.5], [-4.0, 0.0]])
    np.testing.assert_allclose(prior.log_prob(x), [-np.log(20.0), -np.inf, -np.inf])
    assert float(prior.log_prob(x[0])) == pytest.approx(-np.log(20.0))
    np.testing.assert_array_equal(prior.allowed(x), [True, False, True])


def test_masked_fraction_is_the_excluded_area() -> None:
    # The corner w0 + wa >= 0 of [-3, 1] x [-3, 2] is a triangle of legs 3: 4.5 of 20.
    assert Prior(DARK_ENERGY, [PHANTOM]).masked_fraction() == pytest.approx(4.5 / 20.0, abs=2e-4)
    assert Prior(DARK_ENERGY).masked_fraction() == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uniform(0.01, 0.99)", Uniform(0.01, 0.99)),
        (" LogUniform( 1e-3 , 1e2 ) ", LogUniform(1e-3, 100.0)),
        ("normal(0.02236, 0.00015)", Normal(0.02236, 0.00015)),
        ("truncnormal(0, 1, -inf, 2)", TruncatedNormal(0.0, 1.0, -np.inf, 2.0)),
    ],
)
def test_grammar(text: str, expected: object) -> None:
    assert parse_prior(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("uniform(1, 0)", "low = 1 must be less than high = 0"),
        ("uniform(0)", "has 1 numbers, needs 2"),
        ("uniform(0, one)", "could not convert"),
        ("cauchy(0, 1)", "uniform\\(low, high\\)"),
        ("0.3", "cannot read"),
        ("normal(0, -1)", "sd = -1 must be > 0"),
        ("uniform(0, inf)", "finite"),
    ],
)
def test_bad_text_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_prior(text)
    with pytest.raises(UsageError, match=f"'h0'.*{says}"):
        Prior({"h0": text})


@pytest.mark.parametrize(
    ("distribution", "says"),
    [
        (Uniform(90.0, 50.0), "low = 90 must be less than high = 50"),
        (Uniform(0.0, np.nan), "finite"),
        (LogUniform(0.0, 1.0), "low = 0 must be > 0"),
        (Normal(0.0, 0.0), "sd = 0 must be > 0"),
        (Normal(np.inf, 1.0), "finite"),
        (TruncatedNormal(0.0, 1.0, 2.0, 1.0), "must be less"),
        (TruncatedNormal(0.0, 1.0, 50.0, 51.0), "holds no probability"),
        (TruncatedNormal(0.0, 1.0, np.nan, 51.0), "NaN"),
        (stats.norm(0.0, -1.0), "not proper"),
        (stats.poisson(3.0), "not a continuous distribution"),
        (stats.multivariate_normal([0.0, 0.0]), "not a continuous distribution"),
        (0.3, "float"),
    ],
)
def test_improper_distributions_are_refused_by_name(distribution: Any, says: str) -> None:
    with pytest.raises(UsageError, match=f"'omega_m'.*{says}"):
        Prior({"h0": Uniform(50.0, 90.0), "omega_m": distribution})


@pytest.mark.parametrize("names", [(), ("",), ("w 0",), ("w0", "W0"), ("2x",)])
def test_bad_names_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="parameter"):
        Prior({name: Uniform(0.0, 1.0) for name in names})


def test_constraints_that_do_not_fit_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'typo' asks for parameter 'w1'"):
        Prior(DARK_ENERGY, [Constraint("typo", unknown_parameter)])
    with pytest.raises(UsageError, match="'values' returned float64"):
        Prior(DARK_ENERGY, [Constraint("values", not_boolean)])


def test_wrong_width_names_the_parameters() -> None:
    with pytest.raises(UsageError, match=r"2 parameters \(w0, wa\)"):
        Prior(DARK_ENERGY).log_prob(np.zeros((4, 3)))


def test_survives_pickling() -> None:
    prior = Prior({**DARK_ENERGY, "m": stats.norm(1.0, 2.0)}, [PHANTOM])
    copy = pickle.loads(pickle.dumps(prior))
    u = np.random.default_rng(1).random((5, 3))
    np.testing.assert_array_equal(copy.transform(u), prior.transform(u))
    np.testing.assert_array_equal(copy.allowed(prior.transform(u)), prior.allowed(prior.transform(u)))
