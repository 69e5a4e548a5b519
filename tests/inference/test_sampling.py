"""One way to a posterior: which method is taken, resume, processes, and what happens where emulation fails."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from plane_likelihoods import PLANE, PLANE_LOGZ, gaussian

from astropipe.inference import EmulatedResult, NestedResult, sample
from astropipe.inference.evaluations import read_shard, shards
from astropipe.inference.fingerprint import identify
from astropipe.inference.priors import Constraint, Prior
from astropipe.runtime.errors import InputError, InterruptedRunError, UsageError

Array = NDArray[np.float64]


def expensive(x: Array) -> float:
    time.sleep(0.002)
    return gaussian(x)


def test_expensive_likelihoods_are_emulated_and_cheap_ones_not() -> None:
    emulated = sample(expensive, PLANE, min_ess=50, seed=1)
    assert isinstance(emulated, EmulatedResult) and emulated.method == "emulated"
    assert "ms: emulated" in emulated.remark
    assert emulated.n_true_calls < 400 < 10_000 < emulated.n_emulated_calls
    assert abs(emulated.logz - PLANE_LOGZ) < 4 * emulated.logz_err
    # A sleep is no work of ours.
    assert emulated.overhead_seconds > 0.0
    exact = sample(gaussian, PLANE, n_live=50, dlogz=0.5, seed=1)
    assert isinstance(exact, NestedResult) and "too little to emulate it" in exact.remark
    assert exact.n_emulated_calls == 0 and exact.diagnostics.reasons == ()
    np.testing.assert_allclose([emulated.weights.sum(), exact.weights.sum()], 1.0)


def test_the_choice_is_kept_with_the_checkpoint(tmp_path: Path) -> None:
    first = sample(expensive, PLANE, min_ess=50, checkpoint=tmp_path, seed=1)
    # All values come from the checkpoint now, in no time.
    again = sample(expensive, PLANE, min_ess=50, checkpoint=tmp_path, resume=True, seed=1)
    assert (again.method, again.logz, again.remark) == (first.method, first.logz, first.remark)


def test_many_parameters_are_not_emulated() -> None:
    prior = {f"x{i}": "uniform(-1, 1)" for i in range(13)}
    result = sample(lambda x: 0.0, prior, n_live=30, dlogz=1.0)
    assert result.method == "exact" and "13 parameters" in result.remark


def test_an_interrupted_emulated_run_ends_as_if_it_was_not(tmp_path: Path) -> None:
    settings = {"method": "emulated", "min_ess": 50, "seed": 2}
    whole = sample(gaussian, PLANE, **settings)
    asked = iter(range(1000))
    with pytest.raises(InterruptedRunError, match="resume=True"):
        sample(gaussian, PLANE, checkpoint=tmp_path, stop_requested=lambda: next(asked) >= 150, **settings)
    with pytest.raises(UsageError, match="resume=True"):
        sample(gaussian, PLANE, checkpoint=tmp_path, **settings)
    resumed = sample(gaussian, PLANE, checkpoint=tmp_path, resume=True, **settings)
    assert resumed.logz == whole.logz and resumed.n_true_calls == whole.n_true_calls
    np.testing.assert_array_equal(resumed.samples, whole.samples)
    identity = identify(gaussian, PLANE.names)
    known = [x for shard in shards(tmp_path) for x, _ in read_shard(shard, identity)]
    assert len(known) == len(set(known)) == whole.n_true_calls, "no call was made twice"


def test_processes_do_not_change_an_emulated_result() -> None:
    alone, shared = (sample(gaussian, PLANE, method="emulated", min_ess=50, seed=3, pool=pool) for pool in (None, 2))
    assert alone.logz == shared.logz
    np.testing.assert_array_equal(alone.samples, shared.samples)


@pytest.mark.slow
def test_volumes_and_information_are_those_of_a_gaussian() -> None:
    result = sample(gaussian, PLANE, method="emulated", min_ess=300, seed=4)
    # The prior volume above ln L is that of a disk, pi r^2 / 100.
    drop = result.log_likelihoods.max() - result.log_likelihoods
    inner = (drop > 0.5) & (drop < 4.0)
    wanted = np.log(2 * np.pi * (-result.log_likelihoods[inner] - math.log(2 * math.pi)) / 100.0)
    np.testing.assert_allclose(result.log_volumes[inner], wanted, atol=0.3)
    assert np.all(np.diff(result.log_volumes) <= 0.0)
    assert result.information == pytest.approx(math.log(100.0 / (2 * math.pi * math.e)), abs=0.1)


def test_what_cannot_be_emulated_is_sampled_exactly_if_asked() -> None:
    def rough(x: Array) -> float:
        return float(5.0 * np.sum(np.sin(40.0 * x)))

    refused = sample(rough, PLANE, method="emulated", seed=5)
    assert not refused.converged and len(refused.samples) == 0
    assert "do not resolve" in refused.diagnostics.reasons[0]
    assert refused.n_true_calls <= 500, "it is given up soon"
    exact = sample(rough, PLANE, method="emulated", fallback=True, n_live=40, dlogz=1.0, seed=5)
    assert exact.method == "exact" and "did not converge: ln L varies" in exact.remark and exact.converged


def test_bad_input_is_named() -> None:
    with pytest.raises(UsageError, match="method = 'nested'"):
        sample(gaussian, PLANE, method="nested")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="ValueError: no such star; at x="):

        def failing(x: Array) -> float:
            raise ValueError("no such star")

        sample(failing, PLANE, method="emulated")
    empty = Prior(PLANE.parameters, [Constraint("x > 9", lambda values: values["x"] > 9)])
    with pytest.raises(InputError, match="leave none of it"):
        sample(gaussian, empty, method="emulated")
    with pytest.raises(InputError, match="vectorized=True"):
        sample(lambda x: x, PLANE, method="emulated")
