"""Nested sampling against analytic truth, and its behaviour when things go wrong."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dynesty
import numpy as np
import pytest
from numpy.typing import NDArray
from plane_likelihoods import PLANE, PLANE_LOGZ, Point, gaussian, slow_gaussian
from scipy.special import ndtr
from simulated_evidence import simulate_logz

from astropipe.inference.evaluations import EvaluationLog, shards
from astropipe.inference.fingerprint import identify
from astropipe.inference.nested import sample
from astropipe.inference.priors import Constraint, Prior
from astropipe.inference.problems import problem
from astropipe.inference.results import NestedResult
from astropipe.inference.summaries import insertion_rank_pvalue, weighted_covariance, weighted_mean
from astropipe.runtime.errors import ArtifactError, InputError, InterruptedRunError, UsageError


def shifted_gaussian(x: Point) -> float:
    return gaussian(x - 0.1)


def right_half(x: Point) -> float:
    return gaussian(x) if x[0] > 0.0 else -math.inf


def nan_in_the_corner(x: Point) -> float:
    return math.nan if x[0] > 4.0 and x[1] > 4.0 else gaussian(x)


def infinite_in_the_corner(x: Point) -> float:
    return math.inf if x[0] > 4.0 and x[1] > 4.0 else gaussian(x)


def raises_in_the_corner(x: Point) -> float:
    if x[0] > 4.0 and x[1] > 4.0:
        raise ZeroDivisionError("no distance there")
    return gaussian(x)


def two_values(x: Point) -> Point:
    return x


def impossible(x: Point) -> float:
    return -math.inf


def flat(x: Point) -> float:
    return 1.25


def right_of_minus_one(x: Point) -> float:
    return gaussian(x) if x[0] > -1.0 else -math.inf


def flat_in_a_strip(x: Point) -> float:
    return 1.25 if abs(x[0]) < 0.5 else -math.inf


def changes_its_argument(x: Point) -> float:
    value = gaussian(x)
    x[:] = 0.0
    return value


def dies_in_the_corner(x: Point) -> float:
    if x[0] > 4.0 and x[1] > 4.0:
        os.kill(os.getpid(), signal.SIGKILL)
    return gaussian(x)


def terminates_its_worker_in_the_corner(x: Point) -> float:
    if x[0] > 4.0 and x[1] > 4.0 and multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGTERM)
    return gaussian(x)


def lower_left(values: dict[str, Point]) -> NDArray[np.bool_]:
    return values["x"] + values["y"] < 0.0


class Stop:
    """Asks for a stop at the n-th question."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


class InOrder:
    """The least that a user's executor has to offer."""

    def map(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        return map(function, [pickle.loads(pickle.dumps(task)) for task in tasks])


def assert_same(one: NestedResult, other: NestedResult) -> None:
    """Bit for bit, but for the count of values that came from an earlier session, and the time."""
    for field in dataclasses.fields(NestedResult):
        if field.name not in ("n_reused_calls", "overhead_seconds"):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


@pytest.fixture(scope="module")
def plain() -> NestedResult:
    return sample(gaussian, PLANE, n_live=50, seed=3)


@pytest.mark.parametrize(
    ("name", "options", "n_live"),
    [
        ("gaussian", {"n_parameters": 3}, 200),
        ("correlated-gaussian", {"n_parameters": 4}, 200),
        ("himmelblau", {}, 200),
        ("rosenbrock", {}, 200),
        ("loggamma", {"n_parameters": 2}, 300),
    ],
)
def test_evidence_of_the_toys(name: str, options: dict[str, Any], n_live: int) -> None:
    toy = problem(name, **options)
    result = sample(toy.log_likelihood, toy.prior, vectorized=True, n_live=n_live, seed=11)
    assert result.converged
    assert toy.log_evidence is not None
    assert abs(result.logz - toy.log_evidence) < 3.5 * result.logz_err
    # The quoted error is sqrt(H / n) by another route.
    assert result.logz_err == pytest.approx(math.sqrt(result.information / n_live), rel=0.25)
    assert insertion_rank_pvalue(result.insertion_ranks, n_live) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "n_live"),
    [
        ("eggbox", {}, 1000),
        ("loggamma", {"n_parameters": 10}, 500),
        ("rosenbrock", {"n_parameters": 4}, 500),
    ],
)
def test_evidence_of_the_harder_toys(name: str, options: dict[str, Any], n_live: int) -> None:
    test_evidence_of_the_toys(name, options, n_live)


@pytest.mark.slow
def test_evidence_errors_are_honest_over_seeds() -> None:
    pulls = []
    for seed in range(30):
        result = sample(gaussian, PLANE, n_live=100, seed=seed)
        pulls.append((result.logz - PLANE_LOGZ) / result.logz_err)
    assert abs(np.mean(pulls)) < 3.0 / math.sqrt(30)
    assert 0.7 < np.std(pulls) < 1.4


@pytest.mark.slow
def test_evidence_is_unbiased_where_part_of_the_prior_is_impossible() -> None:
    # With fewer than 200 live points dynesty's own start takes the volume of the right 60 % for 50 %.
    truth = PLANE_LOGZ + math.log(ndtr(1.0))
    results = [sample(right_of_minus_one, PLANE, n_live=150, seed=seed) for seed in range(30)]
    pulls = [(result.logz - truth) / result.logz_err for result in results]
    assert abs(np.mean(pulls)) < 3.0 / math.sqrt(30)
    assert 0.7 < np.std(pulls) < 1.4


@pytest.mark.slow
def test_overhead_over_bare_dynesty() -> None:
    """CPU time a call beyond dynesty's own, checks and log included; run with -s to see it."""
    toy = problem("correlated-gaussian")
    low, high = toy.prior.bounds.T

    def one(x: Point) -> float:
        return float(toy.log_likelihood(x[None])[0])

    bare = dynesty.NestedSampler(one, lambda u: low + u * (high - low), 5, nlive=500, rstate=np.random.default_rng(1))
    start = time.process_time()
    bare.run_nested(dlogz=0.01, print_progress=False)
    per_call = (time.process_time() - start) / np.sum(bare.results.ncall)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        result = sample(one, toy.prior, n_live=500, seed=1, checkpoint=Path(folder))
        ours = (time.process_time() - start) / result.n_calls
    print(f"CPU a call: dynesty {1e6 * per_call:.0f} us, here {1e6 * ours:.0f} us")
    assert ours - per_call < 40e-6


@pytest.mark.parametrize("name", ["shells", "ring"])
def test_evidence_of_thin_curved_shells_by_random_walks(name: str) -> None:
    toy = problem(name)
    result = sample(toy.log_likelihood, toy.prior, vectorized=True, n_live=120, sampling="rwalk", seed=1)
    assert toy.log_evidence is not None
    assert abs(result.logz - toy.log_evidence) < 3.5 * result.logz_err


def test_posterior_of_a_gaussian() -> None:
    toy = problem("correlated-gaussian", n_parameters=3)
    result = sample(toy.log_likelihood, toy.prior, vectorized=True, n_live=300, seed=5)
    error = 4.0 / math.sqrt(result.ess)
    np.testing.assert_allclose(weighted_mean(result.samples, result.weights), 0.0, atol=error)
    covariance = 0.5 * np.eye(3) + 0.5
    found = weighted_covariance(result.samples, result.weights)
    np.testing.assert_allclose(found, covariance, atol=math.sqrt(2.0) * error)
    # H = ln(V_prior) - entropy of the posterior, for ln L normalised.
    entropy = 1.5 * (1.0 + math.log(2.0 * math.pi)) + 0.5 * math.log(np.linalg.det(covariance))
    assert result.information == pytest.approx(3.0 * math.log(20.0) - entropy, abs=4.0 * result.logz_err)
    draws = result.equal_weight_draws(seed=1)
    assert len(draws) == int(result.ess)
    np.testing.assert_allclose(draws.mean(axis=0), 0.0, atol=2.0 * error)


def test_simulated_error_agrees_with_the_quoted_one(plain: NestedResult) -> None:
    simulated = simulate_logz(plain.log_likelihoods, plain.log_volumes, 0.0, 300, np.random.default_rng(0))
    assert np.std(simulated) == pytest.approx(plain.logz_err, rel=0.25)
    assert np.mean(simulated) == pytest.approx(plain.logz, abs=plain.logz_err)


def test_dynamic_run_reaches_the_effective_sample_size() -> None:
    result = sample(gaussian, PLANE, n_live=60, dynamic=True, target_ess=1500, seed=2)
    assert result.converged
    assert result.ess >= 1500
    assert abs(result.logz - PLANE_LOGZ) < 3.5 * result.logz_err
    assert np.all(np.diff(result.log_likelihoods) >= 0.0)


@pytest.mark.parametrize("sampling", ["rwalk", "rslice", "slice"])
def test_other_ways_to_draw(sampling: Any) -> None:
    result = sample(gaussian, PLANE, n_live=60, sampling=sampling, seed=4)
    assert abs(result.logz - PLANE_LOGZ) < 3.5 * result.logz_err


def test_wrapping_changes_nothing_that_dynesty_computes(plain: NestedResult) -> None:
    class Serial:
        size = 16

        def map(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
            return [function(argument) for argument in arguments]

    bare = dynesty.NestedSampler(
        gaussian,
        lambda u: -5.0 + 10.0 * u,
        2,
        nlive=50,
        rstate=np.random.default_rng(3),
        pool=Serial(),
        queue_size=16,
        use_pool={"prior_transform": False, "update_bound": False},
    )
    bare.run_nested(dlogz=0.01, print_progress=False)
    np.testing.assert_array_equal(plain.samples, bare.results.samples)
    assert plain.logz == bare.results.logz[-1]


def test_seed_decides_and_a_generator_serves(plain: NestedResult) -> None:
    assert_same(sample(gaussian, PLANE, n_live=50, seed=np.random.default_rng(3)), plain)
    assert sample(gaussian, PLANE, n_live=50, seed=4).logz != plain.logz


def test_prior_may_be_a_plain_mapping(plain: NestedResult) -> None:
    mapping = {"x": "uniform(-5, 5)", "y": "uniform(-5, 5)"}
    assert_same(sample(gaussian, mapping, n_live=50, seed=3), plain)


def test_weights_and_counts_are_consistent(plain: NestedResult) -> None:
    assert plain.weights.sum() == pytest.approx(1.0)
    assert np.logaddexp.reduce(plain.log_weights) == pytest.approx(plain.logz)
    assert len(plain.samples) == plain.n_iterations + plain.n_live
    assert plain.n_calls == plain.n_true_calls >= len(plain.samples)
    assert plain.n_reused_calls == 0
    assert plain.efficiency == plain.n_iterations / plain.n_calls
    with pytest.raises(UsageError, match="n_draws"):
        plain.equal_weight_draws(0)


def test_likelihood_may_change_its_argument(plain: NestedResult) -> None:
    assert_same(sample(changes_its_argument, PLANE, n_live=50, seed=3), plain)


def test_constraint_excludes_without_calling() -> None:
    seen = []

    def recording(x: Point) -> float:
        seen.append(x.copy())
        return gaussian(x)

    prior = Prior(PLANE.parameters, [Constraint("x + y < 0", lower_left)])
    result = sample(recording, prior, n_live=150, seed=6)
    assert np.all(np.sum(seen, axis=1) < 0.0)
    assert len(seen) == result.n_true_calls < result.n_calls
    # Half of a symmetric posterior: Z halves; with respect to the allowed half of the prior it stays.
    assert abs(result.logz - (PLANE_LOGZ - math.log(2.0))) < 3.5 * result.logz_err
    assert result.masked_fraction == pytest.approx(0.5, abs=1e-3)
    assert abs(result.logz_allowed - PLANE_LOGZ) < 3.5 * result.logz_err
    assert np.all(np.sum(result.samples[result.weights > 0.0], axis=1) < 0.0)


def test_minus_infinity_over_half_the_prior_survives() -> None:
    told = []
    result = sample(right_half, PLANE, n_live=150, seed=6, progress=lambda *state: told.append(state[2]))
    assert abs(result.logz - (PLANE_LOGZ - math.log(2.0))) < 3.5 * result.logz_err
    assert told[-1] == pytest.approx(result.logz, abs=0.1)
    assert result.log_support == pytest.approx(-math.log(2.0), abs=3.5 * math.sqrt(0.5 / 150))
    assert np.all(result.samples[:, 0] > 0.0)
    assert result.n_true_calls == result.n_calls
    simulated = simulate_logz(
        result.log_likelihoods, result.log_volumes, result.log_support, 200, np.random.default_rng(0)
    )
    assert np.mean(simulated) == pytest.approx(result.logz, abs=result.logz_err)


def test_flat_likelihood_on_a_tenth_of_the_prior() -> None:
    result = sample(flat_in_a_strip, PLANE, n_live=400, seed=2)
    # Z is L times the area; here the error of the area is all there is.
    assert abs(result.logz - (1.25 + math.log(0.1))) < 3.5 * result.logz_err
    assert result.logz_err == pytest.approx(math.sqrt(0.9 / 400), rel=0.1)
    assert result.information == pytest.approx(math.log(10.0), abs=4.0 * result.logz_err)


def test_dynamic_run_over_half_the_prior() -> None:
    with pytest.raises(InputError, match="too few for a dynamic run"):
        sample(right_half, PLANE, n_live=60, dynamic=True)
    result = sample(right_half, PLANE, n_live=350, dynamic=True, target_ess=2000, seed=6)
    assert abs(result.logz - (PLANE_LOGZ - math.log(2.0))) < 3.5 * result.logz_err
    outside = ~np.isfinite(result.log_likelihoods)
    assert np.count_nonzero(outside) > 100
    assert np.all(result.weights[outside] == 0.0)


def test_flat_likelihood() -> None:
    result = sample(flat, PLANE, n_live=50, seed=1)
    assert result.logz == pytest.approx(1.25, abs=0.05)
    assert result.information == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(
    ("likelihood", "says"),
    [
        (nan_in_the_corner, r"returned nan at x=4\.\d+, y=4\.\d+"),
        (infinite_in_the_corner, r"returned inf at x=4\.\d+, y=4\.\d+"),
        (raises_in_the_corner, r"raised ZeroDivisionError: no distance there; at x=4\.\d+, y=4\.\d+"),
        (two_values, r"shape \(2,\), expected one number; at x=-?\d"),
        (impossible, "-inf at each of 10000 points"),
    ],
)
def test_bad_likelihoods_are_named_with_the_point(
    likelihood: Callable[..., Any], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=says):
        sample(likelihood, PLANE, n_live=10 if likelihood is impossible else 500, seed=0)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_vectorised_likelihood_of_the_wrong_shape() -> None:
    with pytest.raises(InputError, match=r"shape \(\), expected one value a point, shape \(1,\)"):
        sample(lambda x: 0.0, PLANE, vectorized=True, n_live=50)


def test_cause_of_a_failure_is_kept() -> None:
    with pytest.raises(InputError) as caught:
        sample(raises_in_the_corner, PLANE, n_live=500, seed=0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_budget_ends_the_run_unconverged(capfd: pytest.CaptureFixture[str]) -> None:
    for dynamic in (False, True):
        result = sample(gaussian, PLANE, n_live=50, max_calls=300, dynamic=dynamic, seed=1)
        assert not result.converged
        assert result.n_calls < 600
    assert capfd.readouterr() == ("", "")


def test_progress_is_told_the_state() -> None:
    reports: list[tuple[int, int, float, float, float]] = []
    result = sample(gaussian, PLANE, n_live=50, seed=3, progress=lambda *state: reports.append(state))
    iterations, calls, logz, remaining, efficiency = np.array(reports).T
    np.testing.assert_array_equal(iterations, np.arange(1, result.n_iterations + 1))
    assert np.all(np.diff(calls) >= 0)
    assert calls[-1] == result.n_calls
    assert logz[-1] == pytest.approx(result.logz, abs=0.2)
    assert remaining[-1] < 0.012
    np.testing.assert_allclose(efficiency, iterations / calls)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"n_live": 4}, "n_live = 4 is too few"),
        ({"dlogz": 0.0}, "dlogz"),
        ({"queue_size": 1}, "queue_size"),
        ({"max_calls": 0}, "max_calls"),
        ({"target_ess": 0}, "target_ess"),
        ({"bound": "ball"}, "bound = 'ball' is not one of none"),
        ({"sampling": "hmc"}, "sampling = 'hmc'"),
        ({"resume": True}, "needs the checkpoint folder"),
        ({"pool": 0}, "give 1 or more"),
        ({"pool": "two"}, "pool is a str"),
        ({"pool": ThreadPoolExecutor(1)}, "threads cannot"),
    ],
)
def test_wrong_calls_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sample(gaussian, PLANE, **arguments)


@pytest.mark.parametrize("dynamic", [False, True])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, dynamic: bool) -> None:
    settings: dict[str, Any] = {"n_live": 50, "seed": 3, "dynamic": dynamic, "target_ess": 600}
    whole = sample(gaussian, PLANE, **settings)
    folder = tmp_path / "log"
    for session, stop_after in enumerate((30, 200, 400)):
        with pytest.raises(InterruptedRunError, match="resume=True"):
            sample(
                gaussian,
                PLANE,
                **settings,
                checkpoint=folder,
                resume=session > 0,
                stop_requested=Stop(stop_after),
            )
    resumed = sample(gaussian, PLANE, **settings, checkpoint=folder, resume=True)
    assert_same(resumed, whole)
    assert resumed.n_reused_calls == 400
    again = sample(gaussian, PLANE, **settings, checkpoint=folder, resume=True)
    assert_same(again, whole)
    assert again.n_reused_calls == again.n_true_calls


def test_stop_without_checkpoint_says_that_nothing_was_kept() -> None:
    with pytest.raises(InterruptedRunError, match="nothing was kept"):
        sample(gaussian, PLANE, n_live=50, stop_requested=Stop(10))


def test_earlier_evaluations_are_never_taken_unasked(tmp_path: Path) -> None:
    sample(gaussian, PLANE, n_live=50, max_calls=100, checkpoint=tmp_path)
    with pytest.raises(UsageError, match="resume=True, or delete it"):
        sample(gaussian, PLANE, n_live=50, checkpoint=tmp_path)


def test_log_of_another_likelihood_is_refused(tmp_path: Path) -> None:
    sample(gaussian, PLANE, n_live=50, max_calls=100, checkpoint=tmp_path)
    with pytest.raises(ArtifactError, match=r"gaussian of \(x, y\).*shifted_gaussian of \(x, y\)"):
        sample(shifted_gaussian, PLANE, n_live=50, checkpoint=tmp_path, resume=True)


def test_changed_code_under_the_same_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample(gaussian, PLANE, n_live=50, max_calls=100, checkpoint=tmp_path)
    monkeypatch.setattr(gaussian, "__code__", (lambda x: float(-0.4 * x @ x)).__code__)
    with pytest.raises(ArtifactError, match="its code or data have changed"):
        sample(gaussian, PLANE, n_live=50, checkpoint=tmp_path, resume=True)


def test_evaluations_serve_another_prior_and_seed(tmp_path: Path) -> None:
    whole = sample(gaussian, PLANE, n_live=50, seed=3, checkpoint=tmp_path)
    other = sample(
        gaussian, {"x": "uniform(-4, 5)", "y": "uniform(-5, 5)"}, n_live=50, checkpoint=tmp_path, resume=True
    )
    assert other.logz != whole.logz
    assert_same(sample(gaussian, PLANE, n_live=50, seed=3, checkpoint=tmp_path, resume=True), whole)


def test_killed_process_leaves_a_log_from_which_the_run_goes_on(tmp_path: Path) -> None:
    here = Path(__file__).parent
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, plane_likelihoods as it; it.run_until_killed(sys.argv[1])",
            str(tmp_path),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])},
    )
    deadline = time.monotonic() + 60.0
    while sum(shard.stat().st_size for shard in shards(tmp_path)) < 2000 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    known = len(EvaluationLog(tmp_path, identify(slow_gaussian, PLANE.names)))
    assert known >= 50
    resumed = sample(slow_gaussian, PLANE, n_live=30, seed=3, checkpoint=tmp_path, resume=True)
    assert resumed.n_reused_calls == known < resumed.n_true_calls
    assert_same(resumed, sample(gaussian, PLANE, n_live=30, seed=3))


def test_two_processes_give_what_one_gives_and_resume_each_other(tmp_path: Path, plain: NestedResult) -> None:
    stop_at = time.monotonic() + 3600.0

    def stop() -> bool:
        # After the workers have written something.
        return any(shard.stat().st_size > 2000 for shard in shards(tmp_path)) or time.monotonic() > stop_at

    with pytest.raises(InterruptedRunError, match="resume=True"):
        sample(gaussian, PLANE, n_live=50, seed=3, pool=2, checkpoint=tmp_path, stop_requested=stop)
    parallel = sample(gaussian, PLANE, n_live=50, seed=3, pool=2, checkpoint=tmp_path, resume=True)
    assert_same(parallel, plain)
    assert 0 < parallel.n_reused_calls < parallel.n_true_calls


def test_failure_in_a_worker_names_the_point(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"returned nan at x=4\.\d+, y=4\.\d+"):
        sample(nan_in_the_corner, PLANE, n_live=500, pool=2, seed=0)
    assert capfd.readouterr() == ("", "")


def test_dead_worker_is_an_error_not_a_hang() -> None:
    with pytest.raises(InputError, match="worker process died"):
        sample(dies_in_the_corner, PLANE, n_live=500, pool=2, seed=0)


def test_workers_leave_signals_to_their_parent() -> None:
    # Live points cover the prior, so some are in the corner.
    expected = sample(gaussian, PLANE, n_live=200, dlogz=3.0, seed=3)
    assert_same(sample(terminates_its_worker_in_the_corner, PLANE, n_live=200, dlogz=3.0, pool=2, seed=3), expected)


def test_executors_of_the_user(tmp_path: Path, plain: NestedResult) -> None:
    assert_same(sample(gaussian, PLANE, n_live=50, seed=3, pool=InOrder(), checkpoint=tmp_path), plain)
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as executor:
        assert_same(sample(gaussian, PLANE, n_live=50, seed=3, pool=executor), plain)
    with pytest.raises(InterruptedRunError):
        sample(gaussian, PLANE, n_live=50, seed=3, pool=InOrder(), stop_requested=Stop(3))


def test_likelihood_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(UsageError, match="module level"):
        sample(lambda x: 0.0, PLANE, n_live=50, pool=2)
