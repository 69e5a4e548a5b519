"""The published method: its network, its genetic algorithms, its guards, what it saves, and where it is wrong."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from plane_likelihoods import PLANE, PLANE_LOGZ, gaussian

from astropipe.artifacts import open_artifact
from astropipe.config.inference import EvaluateConfig, NeuralikeConfig, SampleConfig
from astropipe.inference import NestedResult, NeuralikeResult, sample, stage
from astropipe.inference.neuralike import Architecture, run
from astropipe.inference.neuralike.genetic import evolved_points, search_architecture
from astropipe.inference.neuralike.network import Network, Scaler, train
from astropipe.inference.priors import Constraint, Prior
from astropipe.runtime.errors import InputError, InterruptedRunError, MissingDependencyError, UsageError
from astropipe.runtime.run import Run

Array = NDArray[np.float64]

ONE = {"depths": (2,), "widths": (50,), "batch_sizes": (32,), "learning_rates": (1e-2,)}
QUICK = NeuralikeConfig(n_train_start=300, epochs=150, update_interval=50, **ONE)
NEVER = NeuralikeConfig(n_train_start=10**9, dlogz_start=0.0, **ONE)
SETTINGS: dict[str, Any] = {"n_live": 200, "dlogz": 0.1}


def neuralike(settings: NeuralikeConfig, *, seed: int, **changes: Any) -> NeuralikeResult:
    result = sample(gaussian, PLANE, method="neuralike", neuralike=settings, seed=seed, **SETTINGS | changes)
    assert isinstance(result, NeuralikeResult)
    return result


def exact(seed: int, **changes: Any) -> NestedResult:
    result = sample(gaussian, PLANE, method="exact", seed=seed, **SETTINGS | changes)
    assert isinstance(result, NestedResult)
    return result


@pytest.fixture(scope="module")
def quick() -> NeuralikeResult:
    return neuralike(QUICK, seed=1)


def smooth(x: Array) -> Array:
    return np.asarray(-10.0 * (x[:, 0] - 0.3) ** 2 - 5.0 * np.sin(2.0 * x[:, 1]) - 500.0)


def test_the_network_learns_a_smooth_function() -> None:
    rng = np.random.default_rng(1)
    x, new = rng.random((300, 2)), rng.random((500, 2))
    network = train(x, smooth(x), Architecture(2, 50, 32, 3e-3), epochs=150, rng=rng)
    error = np.sqrt(np.mean((network(new) - smooth(new)) ** 2))
    assert error < 0.15 * np.std(smooth(new))
    # What it says of itself, from points that it did not learn, is no better than what it is.
    assert 0.4 < network.rmse / error < 2.0
    assert network.loss == pytest.approx((0.9 * network.rmse / np.ptp(smooth(x))) ** 2)


def test_the_learning_rate_is_used_and_all_layers_are_learned() -> None:
    x = np.random.default_rng(2).random((200, 2))
    still, quick = (
        train(x, smooth(x), Architecture(3, 20, 32, rate), epochs=20, rng=np.random.default_rng(3))
        for rate in (1e-12, 3e-3)
    )
    assert len(quick.layers) == 4
    for (before, _), (after, _) in zip(still.layers, quick.layers, strict=True):
        assert np.max(np.abs(after - before)) > 1e-3
    assert quick.loss < 0.5 * still.loss
    assert not np.allclose(quick.layers[1][0], quick.layers[2][0]), "each layer has weights of its own"


def test_training_is_reproducible_and_leaves_torch_as_it_was() -> None:
    x = np.random.default_rng(4).random((100, 2))
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    one, two = (
        train(x, smooth(x), Architecture(2, 20, 16, 1e-3), epochs=5, rng=np.random.default_rng(5)) for _ in range(2)
    )
    np.testing.assert_array_equal(one(x), two(x))
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


def test_scaling_is_that_of_the_method_and_undone() -> None:
    values = np.array([[-3.0, 1.0], [5.0, 1.0], [1.0, 1.0]])
    scaler = Scaler.of(values)
    np.testing.assert_allclose(scaler.scaled(values)[:, 0], [0.1, 1.0, 0.55])
    np.testing.assert_allclose(scaler.unscaled(scaler.scaled(values)), values)


CHOICES = ((2, 3, 4), (50, 100, 200), (16, 32, 64), (1e-2, 1e-3, 1e-4))


def test_genetic_search_finds_the_best_of_a_known_landscape() -> None:
    best, asked = Architecture(3, 200, 32, 1e-3), []

    def loss(a: Architecture) -> float:
        asked.append(a)
        return (
            (a.depth - 3) ** 2
            + abs(np.log2(a.width / 200))
            + abs(np.log2(a.batch_size / 32))
            + abs(np.log10(a.learning_rate / 1e-3))
        )

    state = random.getstate()
    for seed in range(5):
        found = search_architecture(loss, CHOICES, population=12, generations=12, rng=np.random.default_rng(seed))
        assert found == best, seed
        assert len(asked) == len(set(asked)) < 81, "each candidate is trained once, and not all are"
        asked.clear()
    assert random.getstate() == state
    for rng in (np.random.default_rng(7), np.random.default_rng(7)):
        search_architecture(loss, CHOICES, population=5, generations=2, rng=rng)
    half = len(asked) // 2
    assert asked[:half] == asked[half:], "a seed decides the search"


def test_nothing_to_choose_is_not_searched() -> None:
    def loss(candidate: Architecture) -> float:
        raise AssertionError("trained in vain")

    found = search_architecture(
        loss, ((2,), (50,), (32,), (1e-3,)), population=5, generations=2, rng=np.random.default_rng(1)
    )
    assert found == Architecture(2, 50, 32, 1e-3)


def test_bred_points_crowd_where_the_likelihood_is_high() -> None:
    def of_unit(u: Array) -> Array:
        return np.where(u[:, 0] > 0.9, -np.inf, -50.0 * np.sum((u - 0.5) ** 2, axis=1))

    u, values = evolved_points(of_unit, 2, 100, np.random.default_rng(1))
    assert u.shape == (100, 2) and np.all((u >= 0.0) & (u <= 1.0)) and np.all(np.isfinite(values))
    np.testing.assert_allclose(values, of_unit(u))
    # Of the prior a disk of this size would hold a fifth.
    assert np.mean(np.sum((u - 0.5) ** 2, axis=1) < 0.2 / np.pi) > 0.5
    with pytest.raises(InputError, match="genetic_start=False"):
        evolved_points(lambda u: np.full(len(u), -np.inf), 2, 30, np.random.default_rng(1))


def test_true_calls_are_saved_on_an_easy_problem(quick: NeuralikeResult) -> None:
    alone = exact(1)
    assert quick.converged and quick.n_accepted >= 1
    assert quick.n_true_calls < 0.5 * alone.n_true_calls
    assert abs(quick.logz - PLANE_LOGZ) < 1.0
    assert quick.n_emulated_calls > 0 and 0.0 < quick.emulated_weight < 1.0
    assert quick.n_calls == quick.n_true_calls + quick.n_emulated_calls
    # Values that are not the network's are true ones; both kinds are told apart.
    true = np.array([gaussian(x) for x in quick.samples])
    np.testing.assert_array_equal(quick.log_likelihoods[~quick.emulated], true[~quick.emulated])
    assert np.all(quick.log_likelihoods[quick.emulated] != true[quick.emulated])
    first = quick.trainings[0]
    assert first.iteration >= 1 and first.loss < QUICK.valid_loss and first.rmse > 0.0
    assert first.architecture == Architecture(2, 50, 32, 1e-2)
    assert len(quick.trainings) == quick.n_accepted + quick.n_rejected


def test_without_an_accepted_network_the_run_is_the_exact_one() -> None:
    rejecting = QUICK.model_copy(update={"valid_loss": 1e-12, "epochs": 2, "update_interval": 100})
    rejected = neuralike(rejecting, seed=2)
    assert rejected.n_rejected == len(rejected.trainings) > 1 and rejected.n_emulated_calls == 0
    rates = [training.architecture.learning_rate for training in rejected.trainings]
    assert rates[0] == 1e-2 and set(rates[1:]) == {5e-3}
    gaps = np.diff([training.iteration for training in rejected.trainings])
    assert np.all(gaps == 100)
    np.testing.assert_array_equal(rejected.samples, exact(2).samples)
    assert rejected.logz == exact(2).logz


def test_genetic_start_makes_the_evidence_too_high() -> None:
    """Over seeds, without a network: points that are bred are not the prior, whose volume they are taken to fill."""
    bred = NEVER.model_copy(update={"genetic_start": True})
    plain, started = ([neuralike(settings, seed=seed) for seed in range(4)] for settings in (NEVER, bred))
    quoted = started[0].logz_err
    assert abs(np.mean([result.logz for result in plain]) - PLANE_LOGZ) < 3.0 * quoted / np.sqrt(4)
    excess = np.array([result.logz for result in started]) - PLANE_LOGZ
    assert np.all(excess > 0.0) and np.mean(excess) > 4.0 * quoted
    assert all(result.genetic_start and not result.trainings for result in started)


def inventing(by: Callable[[Array], Array]) -> Callable[..., Network]:
    class Inventor(Network):
        def __call__(self, x: Array) -> Array:
            return by(x)

    def trained(x: Array, values: Array, *_: Any, **__: Any) -> Network:
        return Inventor((), Scaler.of(x), Scaler.of(values[:, None]), 0.0, 0.0)

    return trained


def test_a_network_that_invents_likelihood_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "train", inventing(lambda x: np.full(len(x), 50.0)))
    result = neuralike(QUICK, seed=3)
    assert {training.end for training in result.trainings} == {"range"}
    assert result.n_switched_off == result.n_accepted == result.n_emulated_calls > 0
    assert not result.emulated.any() and abs(result.logz - PLANE_LOGZ) < 4.0 * result.logz_err


def test_a_network_that_finds_no_point_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "train", inventing(lambda x: np.full(len(x), -1e6)))
    result = neuralike(QUICK, seed=3)
    assert {training.end for training in result.trainings} == {"calls"}
    assert result.n_emulated_calls == run.MOST_CALLS * result.n_switched_off
    assert not result.emulated.any() and abs(result.logz - PLANE_LOGZ) < 4.0 * result.logz_err


def test_what_the_guard_does_not_see_is_wrong_without_a_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that never exceeds the true maximum, but is much too flat, passes both guards and is believed."""
    highest = gaussian(np.zeros(2))
    monkeypatch.setattr(run, "train", inventing(lambda x: highest - 0.01 * np.sum(x * x, axis=1)))
    result = neuralike(QUICK, seed=3, max_calls=20_000)
    assert result.n_switched_off == 0 and result.converged
    assert abs(result.logz - PLANE_LOGZ) > 3.0 * result.logz_err


def below_the_diagonal(values: dict[str, Array]) -> NDArray[np.bool_]:
    return np.asarray(values["x"] + values["y"] < 0.0)


def test_a_constraint_holds_for_the_network_too() -> None:
    prior = Prior(PLANE.parameters, [Constraint("x + y < 0", below_the_diagonal)])
    result = sample(gaussian, prior, method="neuralike", neuralike=QUICK, seed=4, **SETTINGS)
    assert isinstance(result, NeuralikeResult) and result.emulated.any()
    assert np.all(result.samples.sum(axis=1) < 0.0)


def test_an_interrupted_run_ends_as_if_it_was_not(tmp_path: Path, quick: NeuralikeResult) -> None:
    asked = iter(range(10**6))
    with pytest.raises(InterruptedRunError, match="resume=True"):
        neuralike(QUICK, seed=1, checkpoint=tmp_path, stop_requested=lambda: next(asked) >= 1500)
    resumed = neuralike(QUICK, seed=1, checkpoint=tmp_path, resume=True)
    assert resumed.n_reused_calls > 0 and resumed.n_true_calls == quick.n_true_calls
    assert (resumed.logz, resumed.trainings) == (quick.logz, quick.trainings)
    np.testing.assert_array_equal(resumed.samples, quick.samples)


@pytest.mark.slow
def test_processes_do_not_change_the_result(quick: NeuralikeResult) -> None:
    shared = neuralike(QUICK, seed=1, pool=2)
    np.testing.assert_array_equal(shared.samples, quick.samples)


def test_it_is_called_approximate_wherever_it_appears(tmp_path: Path) -> None:
    assert NeuralikeResult.approximate and not NestedResult.approximate
    config = SampleConfig(
        problem="gaussian", options={"n_parameters": 2}, method="neuralike", n_live=100, dlogz=0.5, neuralike=QUICK
    )
    report = stage.sample([], tmp_path / "p.h5", config, Run(seed=1))
    assert "APPROXIMATE" in report and "of a network" in report
    with open_artifact(tmp_path / "p.h5", "posterior") as artifact:
        about = artifact.attributes("nested")
        assert artifact.title.endswith("(neuralike, approximate)")
    assert about["approximate"] and about["method"] == "neuralike" and about["n_emulated_calls"] > 0
    assert '"loss"' in about["trainings"] and about["n_accepted"] >= 1
    stage.evaluate([tmp_path / "p.h5"], tmp_path / "m.h5", EvaluateConfig(), Run())
    with open_artifact(tmp_path / "m.h5", "metrics") as artifact:
        assert set(artifact.table()["subject"]) == {"gaussian (neuralike, approximate)"}


def test_what_it_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="dynamic=False"):
        neuralike(QUICK, seed=1, dynamic=True)
    for name in [name for name in sys.modules if name.startswith("astropipe.inference.neuralike.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "deap", None)
    with pytest.raises(
        MissingDependencyError, match=r"needs deap; install it with pip install 'astropipe\[inference\]'"
    ):
        neuralike(QUICK, seed=1)
