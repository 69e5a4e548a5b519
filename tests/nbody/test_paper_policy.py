from __future__ import annotations

import numpy as np
import pytest

from astropipe.nbody.paper.environment import TripleEnv
from astropipe.nbody.paper.policy import Network, choose_mu, evaluate, network_of, q_values
from astropipe.nbody.paper.task import AS_PUBLISHED, MENDED, Defects, TaskConfig
from astropipe.runtime.errors import InputError, UsageError


def random_network(width: int = 32, n_hidden: int = 9) -> Network:
    rng = np.random.default_rng(5)
    shapes = {"first": (13, width), "first_bias": (width,), "hidden": (width, width), "hidden_bias": (width,)}
    shapes |= {"last": (width, 10), "last_bias": (10,)}
    return network_of({name: rng.normal(0, 0.25, shape) for name, shape in shapes.items()}, n_hidden)


# Replayed once in another implementation: p50 of the error, mean log10 error, p50 and mean of the evaluations.
@pytest.mark.parametrize(
    ("action", "error", "log10_error", "evaluations", "mean_evaluations"),
    [
        (9, 9.8e-4, -3.01, 1.28e3, 1.65e3),
        (7, 5.5e-7, -6.15, 3.1e3, 4.6e3),
        (6, 1.2e-8, -7.75, 5.9e3, 9.1e3),
        (5, 3.3e-10, -9.26, 1.18e4, 1.87e4),
        (4, 1.3e-11, -10.31, 2.5e4, 3.9e4),
    ],
)
def test_each_mu_gives_the_replayed_error_and_cost(
    action: int, error: float, log10_error: float, evaluations: float, mean_evaluations: float
) -> None:
    found = evaluate(action, range(100)).summary()
    # Two digits were published; near round-off (the last row) errors are noise.
    assert found["error_p50"] == pytest.approx(error, rel=0.05 if action > 4 else 0.5)
    assert found["error_log10_mean"] == pytest.approx(log10_error, abs=0.03 if action > 4 else 0.2)
    assert found["evaluations_p50"] == pytest.approx(evaluations, rel=0.03)
    assert found["evaluations_mean"] == pytest.approx(mean_evaluations, rel=0.03)


def test_values_are_those_of_the_layers() -> None:
    network = random_network()
    state = np.random.default_rng(1).normal(size=13)
    values = np.maximum(state @ network.first + network.first_bias, 0)
    for _ in range(9):
        values = np.maximum(values @ network.hidden + network.hidden_bias, 0)
    expected = values @ network.last + network.last_bias
    np.testing.assert_allclose(q_values(network, state), expected, rtol=1e-4, atol=1e-4)
    assert choose_mu(network, state) == TripleEnv().mu[np.argmax(expected)]


@pytest.mark.parametrize("defects", [AS_PUBLISHED, MENDED])
def test_an_evaluation_is_the_greedy_episode_of_the_environment(defects: Defects) -> None:
    network, config = random_network(), TaskConfig(decisions=30, defects=defects)
    env = TripleEnv(config)
    state, _ = env.reset(options={"system": 21})
    # The environment hands out float32, so a network must not stand on the edge between two actions.
    while env.finished is None:
        state = env.step(np.int64(np.argmax(q_values(network, state.astype(np.float64)))))[0]
    found = evaluate(network, [21], config, decisions=30)
    assert found.error[0] == env.finished.energy_error
    assert found.evaluations[0] == env.finished.force_evaluations
    assert found.reward[0] == pytest.approx(env.finished.reward)
    assert found.actions.sum() == 30


def test_weights_that_do_not_fit_are_refused() -> None:
    arrays = random_network().arrays()
    with pytest.raises(InputError, match="no weights last"):
        network_of({name: array for name, array in arrays.items() if name != "last"}, 9)
    with pytest.raises(InputError, match="hidden of the policy"):
        network_of(arrays | {"hidden": arrays["hidden"][1:]}, 9)
    with pytest.raises(InputError, match="finite"):
        network_of(arrays | {"last_bias": np.full(10, np.nan)}, 9)


def test_actions_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="10 actions"):
        evaluate(10, [0])
    with pytest.raises(UsageError, match="4 actions"):
        evaluate(random_network(), [0], TaskConfig(n_actions=4))
