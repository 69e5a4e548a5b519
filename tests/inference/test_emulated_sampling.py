"""Sampling with an emulated likelihood: against analytic evidences, with good and bad emulators, and bad input."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from astropipe.inference.emulated import EmulatedResult, correction, sample_emulated
from astropipe.inference.emulated.candidates import Candidates
from astropipe.inference.emulated.correction import combine, draw_pool, draw_round, thin
from astropipe.inference.emulated.design import uphill_points
from astropipe.inference.emulated.emulator import Emulator, compress, decompress
from astropipe.inference.emulated.feasibility import Feasibility
from astropipe.inference.emulated.gaussian_process import GaussianProcess, Hyperparameters, fit_hyperparameters
from astropipe.inference.emulated.knowledge import Knowledge
from astropipe.inference.emulated.mixture import Mixture, fit_mixture
from astropipe.inference.emulated.run import _Counted, _lost, _Rounds
from astropipe.inference.priors import Constraint, Prior, Uniform
from astropipe.inference.problems import problem
from astropipe.runtime.errors import InputError, UsageError

Array = NDArray[np.float64]

PLANE = Prior({"x": Uniform(-5.0, 5.0), "y": Uniform(-5.0, 5.0)})
PLANE_LOGZ = -2.0 * math.log(10.0)


def gaussian(x: Array) -> Array:
    return np.asarray(-0.5 * np.sum(x * x, axis=1) - math.log(2.0 * math.pi))


def below_the_diagonal(values: dict[str, Array]) -> NDArray[np.bool_]:
    return np.asarray(values["x"] + values["y"] < 0.0)


@pytest.fixture(scope="module")
def plain() -> EmulatedResult:
    return sample_emulated(gaussian, PLANE, precision=0.05, min_ess=100, seed=1)


def test_evidence_and_moments_of_a_gaussian(plain: EmulatedResult) -> None:
    assert plain.converged, plain.diagnostics.reasons
    assert abs(plain.logz - PLANE_LOGZ) < 4.0 * plain.logz_err
    assert plain.logz_err < 0.05
    weights = np.exp(plain.log_weights - plain.logz)
    assert np.sum(weights) == pytest.approx(1.0)
    assert np.allclose(weights @ plain.samples, 0.0, atol=0.4)
    assert np.allclose(weights @ plain.samples**2, 1.0, atol=0.5)


def test_every_likelihood_in_the_result_is_true(plain: EmulatedResult) -> None:
    np.testing.assert_allclose(plain.log_likelihoods, gaussian(plain.samples), rtol=1e-12)


def test_same_seed_same_result(plain: EmulatedResult) -> None:
    again = sample_emulated(gaussian, PLANE, precision=0.05, min_ess=100, seed=1)
    assert again.logz == plain.logz
    np.testing.assert_array_equal(again.samples, plain.samples)


@pytest.mark.slow
def test_five_dimensions_cost_few_calls() -> None:
    task = problem("correlated-gaussian")
    calls = 0

    def counted(x: Array) -> Array:
        nonlocal calls
        calls += len(x)
        return task.log_likelihood(x)

    result = sample_emulated(counted, task.prior, precision=0.03, min_ess=100, seed=2)
    assert task.log_evidence is not None
    assert result.converged, result.diagnostics.reasons
    assert result.n_true_calls == calls < 700
    assert abs(result.logz - task.log_evidence) < 4.0 * result.logz_err


@pytest.mark.parametrize("name", [pytest.param("himmelblau", marks=pytest.mark.slow), "ring"])
def test_several_modes_and_curved_ones_are_right_or_flagged(name: str) -> None:
    task = problem(name)
    result = sample_emulated(task.log_likelihood, task.prior, precision=0.05, min_ess=100, max_calls=400, seed=3)
    assert task.log_evidence is not None
    assert not result.converged or abs(result.logz - task.log_evidence) < 4.0 * result.logz_err


@pytest.mark.slow
def test_the_end_of_a_narrow_valley_is_found() -> None:
    """Of this seed the emulator once cut off a fifth of the evidence: its coarse process took the valley to be far."""
    task = problem("rosenbrock")
    result = sample_emulated(task.log_likelihood, task.prior, precision=0.02, min_ess=100, seed=7020)
    assert task.log_evidence is not None
    assert result.converged, result.diagnostics.reasons
    assert abs(result.logz - task.log_evidence) < 0.02


def _says(surface: Array, log_feasible: Array, optimistic: Array) -> Emulator:
    """Return an emulator that says so at 1000 places."""
    says = SimpleNamespace(
        surface=lambda u: surface,
        log_feasible=lambda u, surface, optimism=0.0: optimistic if optimism else log_feasible,
    )
    return cast("Emulator", says)


@pytest.mark.parametrize(
    ("share_missed", "surface", "log_feasible", "optimistic", "kept"),
    [
        (0.0, -2.0, 0.0, 0.0, 1),
        (0.02, -2.0, 0.0, 0.0, 0),
        # Thought to be beyond an edge; where that was not sure, the round had points there.
        (0.02, 0.0, -8.0, -4.0, 0),
        (0.02, 0.0, -8.0, -1.0, 1),
    ],
)
def test_a_round_that_was_blind_to_a_part_of_the_posterior_is_dropped(
    share_missed: float, surface: float, log_feasible: float, optimistic: float, kept: int
) -> None:
    now, missed = np.zeros(1000), np.arange(1000) < 1000 * share_missed
    earlier = _says(
        np.where(missed, surface, -0.5), np.where(missed, log_feasible, 0.0), np.where(missed, optimistic, 0.0)
    )
    rounds = _Rounds(explore_until=0)
    rounds.counted = [_Counted(cast("correction.Round", None), now, now, earlier)]
    particles = SimpleNamespace(u=np.zeros((1000, 2)))
    rounds.drop_blind(cast("Candidates", SimpleNamespace(particles=particles, emulator=_says(now, now, now))))
    assert len(rounds.counted) == kept


@pytest.mark.parametrize("seed", [5, 1002])
def test_many_narrow_modes_are_flagged(seed: int) -> None:
    task = problem("eggbox")
    result = sample_emulated(task.log_likelihood, task.prior, precision=0.02, seed=seed)
    assert not result.converged
    assert "do not resolve" in result.diagnostics.reasons[0]


def test_points_outside_a_constraint_are_never_evaluated() -> None:
    prior = Prior(PLANE.parameters, [Constraint("x + y < 0", below_the_diagonal)])

    def guarded(x: Array) -> Array:
        assert np.all(x[:, 0] + x[:, 1] < 0.0)
        return gaussian(x)

    result = sample_emulated(guarded, prior, precision=0.05, min_ess=100, seed=4)
    assert result.converged, result.diagnostics.reasons
    assert abs(result.logz - (PLANE_LOGZ - math.log(2.0))) < 4.0 * result.logz_err


def test_an_edge_through_the_posterior_is_learned() -> None:
    def right_of_minus_one(x: Array) -> Array:
        return np.where(x[:, 0] > -1.0, gaussian(x), -np.inf)

    result = sample_emulated(right_of_minus_one, PLANE, min_ess=100, max_calls=600, seed=5)
    assert result.converged, result.diagnostics.reasons
    assert abs(result.logz - (PLANE_LOGZ + math.log(ndtr(1.0)))) < 4.0 * result.logz_err
    assert result.logz_err < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0.0, -2.0])
def test_beyond_an_edge_few_points_are_spent(cut: float) -> None:
    # Below 0 the Gaussian rises towards the edge, and goes on rising beyond for whoever does not know of it.
    toy = problem("cut-gaussian", n_parameters=3, cut=cut)
    result = sample_emulated(toy.log_likelihood, toy.prior, precision=0.05, min_ess=150, seed=2)
    assert result.converged, result.diagnostics.reasons
    assert toy.log_evidence is not None
    assert abs(result.logz - toy.log_evidence) < 4.0 * result.logz_err
    assert np.mean(np.isinf(result.log_likelihoods)) < 0.35
    assert result.n_true_calls < 900


def test_the_edge_of_a_ball_is_where_it_is() -> None:
    # In three dimensions, from 300 points: right but for places nearer to the edge than points are to each other.
    rng = np.random.default_rng(1)
    known, asked = rng.normal(size=(300, 3)), rng.normal(size=(4000, 3))
    edge = Feasibility(known, np.linalg.norm(known, axis=1) < 1.5, None, 30)
    inside = np.linalg.norm(asked, axis=1) < 1.5
    probability = np.exp(edge.log_probability(asked))
    assert np.mean((probability > 0.5) == inside) > 0.93
    sure = np.abs(probability - 0.5) > 0.45
    assert np.mean(sure) > 0.6
    assert np.mean((probability > 0.5)[sure] == inside[sure]) > 0.99
    assert np.all(edge.log_probability(asked, 2.0) >= edge.log_probability(asked))


def test_flat_likelihood() -> None:
    result = sample_emulated(lambda x: np.full(len(x), 1.25), PLANE, min_ess=100, seed=6)
    assert abs(result.logz - 1.25) < 4.0 * result.logz_err + 1e-9


@pytest.mark.parametrize("thinned", [False, True])
@pytest.mark.parametrize("quality", ["good", "shifted", "none"])
def test_the_correction_is_right_for_any_emulator(quality: str, thinned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean of many independent rounds against the analytic evidence, with pulls of unit scatter."""
    monkeypatch.setattr(correction, "THINNED", 1000)
    rng = np.random.default_rng(7)
    truth = PLANE_LOGZ

    def true(u: Array) -> Array:
        return gaussian(10.0 * u - 5.0)

    def emulated(u: Array) -> Array:
        if quality == "none":
            return np.zeros(len(u))
        return true(u + 0.05) if quality == "shifted" else true(u)

    mixture = fit_mixture(0.5 + 0.1 * rng.standard_normal((500, 2)), rng)
    rounds = []
    for _ in range(300):
        pool = draw_pool(mixture, lambda u: np.ones(len(u), dtype=np.bool_), 2000, rng)
        expected = emulated(pool.u)
        if thinned:
            pool, expected = thin(pool, expected, rng)
        rounds.append(draw_round(pool, expected, expected + 1.0, np.zeros(len(pool.u)), 64, rng))
    values = [true(one.u) for one in rounds]
    estimate = combine(rounds, values)
    assert abs(estimate.logz - truth) < 3.5 * estimate.logz_err
    each = [combine([one], [value]) for one, value in zip(rounds, values, strict=True)]
    z = np.exp([one.logz - truth for one in each])
    errors = z * np.array([one.logz_err for one in each])
    assert 0.75 < np.std(z) / np.sqrt(np.mean(errors**2)) < 1.15


def test_a_round_that_missed_the_posterior_is_noticed() -> None:
    rng = np.random.default_rng(8)
    mixture = fit_mixture(0.5 + 0.1 * rng.standard_normal((500, 2)), rng)
    rounds, values = [], []
    for i in range(5):
        pool = draw_pool(mixture, lambda u: np.ones(len(u), dtype=np.bool_), 2000, rng)
        centre = 0.9 if i == 4 else 0.5
        emulated = -0.5 * np.sum((pool.u - centre) ** 2, axis=1) / 0.1**2
        rounds.append(draw_round(pool, emulated, emulated, np.zeros(len(pool.u)), 64, rng))
        values.append(-0.5 * np.sum((rounds[-1].u - 0.5) ** 2, axis=1) / 0.1**2)
    assert combine(rounds[:4], values[:4]).disagreement < 4.0
    assert combine(rounds, values).ess < combine(rounds[:4], values[:4]).ess + 40.0


def test_gaussian_process_against_the_textbook_formula() -> None:
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((12, 2)), rng.standard_normal(12)
    h = Hyperparameters(np.array([1.0, 2.0]), 1.5, 0.1)
    process = GaussianProcess(x, y, np.zeros(12), h)
    new = rng.standard_normal((5, 2))
    spread = y.std()

    def covariance(a: Array, b: Array) -> Array:
        squares = np.sum(((a[:, None] - b) / h.lengths) ** 2, axis=2)
        features = [np.column_stack([np.ones(len(p)), p, p * p]) for p in (a, b)]
        return np.asarray(h.amplitude**2 * np.exp(-0.5 * squares) + 100.0 * features[0] @ features[1].T)

    inverse = np.linalg.inv(covariance(x, x) + h.noise**2 * np.eye(12))
    cross = covariance(new, x)
    np.testing.assert_allclose(process.mean(new), y.mean() + cross @ inverse @ (y - y.mean()), rtol=1e-6, atol=1e-8)
    variance = np.diag(covariance(new, new) - cross @ inverse @ cross.T) * spread**2
    np.testing.assert_allclose(process.deviation(new) ** 2, variance, rtol=1e-5)


def test_a_process_survives_rounding() -> None:
    """Far points make the trend's part of the covariance so large that the noise is lost in its last digits."""
    x = np.concatenate([np.linspace(-1.0, 1.0, 30), np.linspace(1e4, 1e4 + 1.0, 30)])[:, None]
    y = -np.log1p(x[:, 0] ** 2)
    process = GaussianProcess(x, y, np.zeros(60), Hyperparameters(np.array([50.0]), 1.0, 1e-3))
    assert np.all(np.isfinite(process.mean(x)))


def test_fitted_process_predicts_a_smooth_function() -> None:
    rng = np.random.default_rng(10)
    x = rng.uniform(-2.0, 2.0, (60, 2))

    def function(x: Array) -> Array:
        return np.asarray(np.sin(x[:, 0]) * np.cos(0.5 * x[:, 1]) - x[:, 0] ** 2)

    process = GaussianProcess(x, function(x), np.zeros(60), fit_hyperparameters(x, function(x), np.zeros(60)))
    new = rng.uniform(-1.8, 1.8, (200, 2))
    assert np.max(np.abs(process.mean(new) - function(new))) < 0.05


def test_emulator_of_a_quadratic_from_few_points() -> None:
    rng = np.random.default_rng(11)
    u = rng.random((80, 3))
    emulator = Emulator(u, -20.0 * np.sum((u - 0.4) ** 2, axis=1))
    new = 0.4 + 0.1 * rng.standard_normal((50, 3))
    assert np.max(np.abs(emulator.log_likelihood(new) + 20.0 * np.sum((new - 0.4) ** 2, axis=1))) < 0.3


def test_compression_is_undone() -> None:
    drop = np.array([0.0, 3.0, 15.9, 16.1, 100.0, 800.0])
    np.testing.assert_allclose(decompress(compress(drop, 16.0), 16.0), drop)


def test_blas_has_its_threads_in_the_likelihood_and_one_beside_it() -> None:
    blas = ThreadpoolController().select(user_api="blas")
    called: set[int] = set()
    beside: set[int] = set()

    def threads() -> set[int]:
        return {library["num_threads"] for library in blas.info()}

    def log_likelihood(x: Array) -> Array:
        called.update(threads())
        return gaussian(x)

    def anywhere(values: dict[str, Array]) -> NDArray[np.bool_]:
        # The share that constraints exclude is taken from this many points before and after the run.
        if len(values["x"]) != 2**16:
            beside.update(threads())
        return np.ones(len(values["x"]), dtype=np.bool_)

    prior = Prior(PLANE.parameters, [Constraint("anywhere", anywhere)])
    results = []
    for n in (2, 1):
        with blas.limit(limits=n):
            allowed = threads()
            called.clear()
            beside.clear()
            results.append(sample_emulated(log_likelihood, prior, precision=0.5, min_ess=30, seed=1))
            assert called == threads() == allowed, "and they are given back"
            assert beside <= {1}
    np.testing.assert_array_equal(results[0].samples, results[1].samples)


def test_components_of_a_mixture_are_found() -> None:
    """Location and scale of three t distributions, one of them narrow, from draws of each."""
    rng = np.random.default_rng(22)
    factor = np.array([[0.02, 0.0], [0.015, 0.004]])
    known = Mixture(np.array([0.5, 0.3, 0.2]), np.array([[0.2, 0.3], [0.7, 0.3], [0.5, 0.8]]), np.stack([factor] * 3))
    x = known.draw(6000, rng)
    found = fit_mixture(x, rng)
    # The divergence from what they were drawn from: 32 components of six numbers from 3000 points make 0.03.
    assert abs(np.mean(found.log_density(x) - known.log_density(x))) < 0.03


def test_mixture_is_normalised_and_has_the_tails_it_draws() -> None:
    rng = np.random.default_rng(12)
    x = np.concatenate([rng.normal(0.3, 0.02, (400, 2)), rng.normal(0.7, 0.05, (400, 2))])
    mixture = fit_mixture(x, rng)
    grid = (np.arange(400) + 0.5) / 200.0 - 0.5
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    assert np.sum(np.exp(mixture.log_density(points))) / 200.0**2 == pytest.approx(1.0, abs=0.01)
    draws = mixture.draw(20_000, rng)
    assert np.mean(draws, axis=0) == pytest.approx(np.mean(x, axis=0), abs=0.01)


def test_nan_names_the_parameters() -> None:
    with pytest.raises(InputError, match=r"nan at x=.*y="):
        sample_emulated(lambda x: np.where(x[:, 0] > 1.0, np.nan, 0.0), PLANE)


def test_impossible_everywhere() -> None:
    with pytest.raises(InputError, match="-inf at each"):
        sample_emulated(lambda x: np.full(len(x), -np.inf), PLANE)


def test_wrong_shape_and_settings() -> None:
    with pytest.raises(InputError, match="shape"):
        sample_emulated(lambda x: x, PLANE)
    with pytest.raises(UsageError, match="precision"):
        sample_emulated(gaussian, PLANE, precision=0.0)
    with pytest.raises(UsageError, match="max_calls"):
        sample_emulated(gaussian, PLANE, max_calls=150)


def test_a_budget_that_is_too_small_is_flagged() -> None:
    result = sample_emulated(gaussian, PLANE, precision=0.001, max_calls=300, seed=1)
    assert not result.converged
    assert "error of ln Z" in " ".join(result.diagnostics.reasons)
    assert result.n_true_calls <= 300


def test_a_run_that_gave_up_says_so_whatever_it_is_asked() -> None:
    task = problem("eggbox")
    result = sample_emulated(task.log_likelihood, task.prior, seed=1)
    assert not result.converged and result.diagnostics.n_rounds == 0
    assert result.weights.shape == (0,) and result.ess == 0.0 == result.ess_per_call
    with pytest.raises(InputError, match=r"no posterior samples.*diagnostics\.reasons"):
        result.equal_weight_draws()


def test_points_along_a_wall_show_a_way_from_it() -> None:
    # The best known points have x = 1 while ln L rises towards smaller x: their differences never leave the wall.
    rng = np.random.default_rng(11)
    u = np.column_stack([1.0 - 1e-6 * rng.random(60), rng.random((60, 2))])

    def height(points: Array) -> Array:
        return -np.asarray(points[:, 0])

    found = uphill_points(u, -np.sum((u[:, 1:] - 0.5) ** 2, axis=1), height, lambda x: x[:, 1] < 0.9, 8, rng)
    assert found.shape == (8, 3)
    assert np.all(found[:, 0] < 0.99), "a step across the wall is among those of which one is chosen"
    assert np.all((found > 0.0) & (found < 1.0)) and np.all(found[:, 1] < 0.9)
    assert uphill_points(u, u[:, 0], height, lambda x: x[:, 1] < 0.9, 0, rng).shape == (0, 3)


def test_proposals_that_are_all_far_below_the_best_show_that_the_emulator_leads_astray() -> None:
    prior = Prior({name: Uniform(0.0, 1.0) for name in "abcd"})
    run = Knowledge(lambda x: np.zeros(len(x)), prior, 1)
    run.u, proposals = np.zeros((76 + 48, 4)), np.full(48, -100.0)
    run.values = np.concatenate([np.linspace(-300.0, 0.0, 76), proposals])
    assert _lost(run)
    proposals[-1] = -5.0
    run.values = np.concatenate([np.linspace(-300.0, 0.0, 76), proposals])
    assert not _lost(run), "one of them is near the best"
    run.values = run.values[:-2]
    assert not _lost(run), "too few to tell"
