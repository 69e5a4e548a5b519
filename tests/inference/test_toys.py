"""Toy problems: likelihoods against scipy.stats, evidences against published numbers and other integrations."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from scipy import integrate, stats

from astropipe.inference.priors import Prior, Uniform
from astropipe.inference.problems import problem, problem_names
from astropipe.inference.problems.base import Problem, register
from astropipe.runtime.errors import UsageError

TOYS = (
    "correlated-gaussian",
    "cut-gaussian",
    "eggbox",
    "gaussian",
    "himmelblau",
    "loggamma",
    "ring",
    "rosenbrock",
    "shells",
)


def integrated(toy: Problem) -> float:
    """Adaptive two-dimensional integration, another method than the one that the toys use."""
    (x_low, x_high), (y_low, y_high) = toy.prior.bounds

    def density(y: float, x: float) -> float:
        return float(np.exp(toy.log_likelihood(np.array([[x, y]]))[0]))

    # Cells, so that the adaptive rule cannot overlook a narrow peak.
    x_edges, y_edges = np.linspace(x_low, x_high, 13), np.linspace(y_low, y_high, 13)
    total = 0.0
    for a, b in itertools.pairwise(x_edges):
        for c, d in itertools.pairwise(y_edges):
            total += integrate.dblquad(density, a, b, c, d, epsabs=1e-7, epsrel=1e-5)[0]
    return math.log(total / (x_high - x_low) / (y_high - y_low))


def test_all_are_registered_and_vectorised() -> None:
    assert set(TOYS) <= set(problem_names())
    for name in TOYS:
        toy = problem(name)
        x = toy.prior.transform(np.random.default_rng(0).random((6, len(toy.prior))))
        values = toy.log_likelihood(x)
        assert values.shape == (6,)
        assert toy.log_likelihood(x[2:3])[0] == pytest.approx(values[2], rel=1e-13)
        copy = pickle.loads(pickle.dumps(toy))
        np.testing.assert_array_equal(copy.log_likelihood(x), values)


@pytest.mark.parametrize(("n", "rho"), [(2, 0.5), (5, 0.5), (4, -0.2), (3, 0.0)])
def test_gaussians_agree_with_scipy(n: int, rho: float) -> None:
    toy = problem("correlated-gaussian", n_parameters=n, rho=rho)
    x = np.random.default_rng(1).normal(size=(20, n))
    covariance = np.full((n, n), rho) + (1.0 - rho) * np.eye(n)
    expected = stats.multivariate_normal(np.zeros(n), covariance).logpdf(x)
    np.testing.assert_allclose(toy.log_likelihood(x), expected, rtol=1e-12)


@pytest.mark.parametrize("cut", [-1.0, 0.5])
def test_what_a_cut_leaves_of_a_gaussian_is_what_draws_have(cut: float) -> None:
    toy = problem("cut-gaussian", n_parameters=3, cut=cut)
    draws = np.random.default_rng(2).normal(size=(200_000, 3))
    values = toy.log_likelihood(draws)
    left = np.isfinite(values)
    np.testing.assert_allclose(values[left], stats.multivariate_normal(np.zeros(3)).logpdf(draws[left]), rtol=1e-12)
    assert toy.log_evidence is not None
    assert np.mean(left) == pytest.approx(math.exp(toy.log_evidence) * 20.0**3, abs=0.005)


def test_loggamma_agrees_with_scipy() -> None:
    toy = problem("loggamma", n_parameters=5)
    x = np.random.default_rng(2).uniform(0.2, 0.8, size=(20, 5))
    skewed = [stats.loggamma(1.0, loc, 1 / 30) for loc in (1 / 3, 2 / 3)]
    normal = [stats.norm(loc, 1 / 30) for loc in (1 / 3, 2 / 3)]
    expected = (
        np.log(sum(0.5 * d.pdf(x[:, 0]) for d in skewed))
        + np.log(sum(0.5 * d.pdf(x[:, 1]) for d in normal))
        + skewed[1].logpdf(x[:, 2])
        + normal[1].logpdf(x[:, 3])
        + normal[1].logpdf(x[:, 4])
    )
    np.testing.assert_allclose(toy.log_likelihood(x), expected, rtol=1e-10)


@pytest.mark.parametrize(("n", "published"), [(2, -1.75), (5, -5.67), (10, -14.59)])
def test_shells_have_the_published_evidence(n: int, published: float) -> None:
    # Feroz, Hobson & Bridges 2009, table 1.
    assert problem("shells", n_parameters=n).log_evidence == pytest.approx(published, abs=0.006)


def test_gaussian_evidence_is_the_inverse_prior_volume() -> None:
    for n in (2, 5, 10, 20):
        for name in ("gaussian", "correlated-gaussian"):
            assert problem(name, n_parameters=n).log_evidence == pytest.approx(-n * math.log(20.0), abs=1e-12)


def test_ring_evidence_is_analytic() -> None:
    # With s = r^2 the integral is pi times a Gaussian of sd 0.5 in s about 4, from s = 0.
    expected = math.log(math.pi * 0.5 * math.sqrt(2.0 * math.pi) * stats.norm.cdf(8.0) / 100.0)
    assert problem("ring").log_evidence == pytest.approx(expected, abs=1e-9)


def test_eggbox_evidence_by_the_periodic_trapezoid_rule() -> None:
    a = np.linspace(0.0, 2.0 * np.pi, 2000, endpoint=False)
    log_l = (2.0 + np.cos(a)[:, None] * np.cos(a)) ** 5
    expected = np.log(np.mean(np.exp(log_l - 243.0))) + 243.0
    assert problem("eggbox").log_evidence == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["himmelblau", "rosenbrock"])
def test_evidence_by_adaptive_integration(name: str) -> None:
    toy = problem(name)
    assert toy.log_evidence == pytest.approx(integrated(toy), abs=1e-4)


def test_rosenbrock_chain_agrees_with_importance_sampling() -> None:
    # Exact ancestral draws: x1 ~ N(1, 1/2), x2 ~ N(x1^2, 1/200); weight for x3 as in the function.
    rng = np.random.default_rng(3)
    n = 400_000
    x1 = rng.normal(1.0, math.sqrt(0.5), n)
    x2 = rng.normal(x1**2, math.sqrt(1 / 200))
    x3 = rng.normal(x2**2, math.sqrt(1 / 200))
    inside = (np.abs(x1) < 5) & (np.abs(x2) < 5) & (np.abs(x3) < 5)
    values = np.where(inside, np.exp(-((1.0 - x2) ** 2)), 0.0)
    norm = math.sqrt(math.pi) * (math.pi / 100.0) / 1000.0
    estimate, error = np.mean(values) * norm, np.std(values) / math.sqrt(n) * norm
    truth = math.exp(problem("rosenbrock", n_parameters=3).log_evidence or 0.0)
    assert abs(truth - estimate) < 4.0 * error


def test_maxima_are_where_they_are_known_to_be() -> None:
    himmelblau = problem("himmelblau").log_likelihood
    known = np.array([[3.0, 2.0], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]])
    np.testing.assert_allclose(himmelblau(known), 0.0, atol=1e-9)
    assert problem("rosenbrock", n_parameters=4).log_likelihood(np.ones((1, 4)))[0] == 0.0
    assert problem("ring").log_likelihood(np.array([[1.2, 1.6]]))[0] == pytest.approx(0.0)
    assert problem("eggbox").log_likelihood(np.zeros((1, 2)))[0] == pytest.approx(243.0)


def test_unknown_names_and_options_are_refused_helpfully() -> None:
    with pytest.raises(UsageError, match="did you mean gaussian"):
        problem("gaussian-3d")
    with pytest.raises(UsageError, match="valid here: n_parameters"):
        problem("gaussian", dimensions=3)
    with pytest.raises(UsageError, match=r"n_parameters = 1 .* from 2"):
        problem("gaussian", n_parameters=1)
    with pytest.raises(UsageError, match="rho"):
        problem("correlated-gaussian", n_parameters=3, rho=-0.6)


def test_registry_refuses_a_second_owner_of_a_name() -> None:
    def another() -> Problem:
        return problem("ring")

    with pytest.raises(UsageError, match="already registered"):
        register("ring")(another)


def test_problem_refuses_labels_of_strangers() -> None:
    with pytest.raises(UsageError, match="units given for y"):
        Problem("p", "p", Prior({"x": Uniform(0.0, 1.0)}), problem("ring").log_likelihood, units={"y": "Mpc"})
