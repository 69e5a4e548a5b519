from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from astropipe.nbody.paper import training
from astropipe.nbody.paper.agent import Agent, AgentConfig, Learned, learn, nothing_learned
from astropipe.nbody.paper.policy import q_values
from astropipe.nbody.paper.task import AS_PUBLISHED, MENDED, TaskConfig
from astropipe.nbody.paper.training import train
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InterruptedRunError, UsageError

SMALL = AgentConfig(TaskConfig(decisions=20, mu_range=(1e-2, 1e-1)), width=16, n_hidden=2, batch_size=16, test_every=2)


def assert_equal(one: Learned, other: Learned) -> None:
    assert one.network is not None and other.network is not None
    for name, values in one.network.arrays().items():
        np.testing.assert_array_equal(values, other.network.arrays()[name], strict=True)
    for field in ("curve", "tests"):
        for name, values in getattr(one, field).items():
            np.testing.assert_array_equal(values, getattr(other, field)[name], strict=True)
    assert (one.best_return, one.best_episode) == (other.best_return, other.best_episode)


def test_network_and_settings_are_the_published_ones() -> None:
    agent = Agent(AgentConfig(), 1)
    # 13 x 200 + 200, one 200 x 200 + 200 used nine times, 200 x 10 + 10.
    assert sum(parameter.numel() for parameter in agent.q_net.parameters()) == 45_010
    assert isinstance(agent.policy.optimizer, torch.optim.AdamW)
    settings = agent.policy.optimizer.param_groups[0]
    assert settings["amsgrad"] and settings["lr"] == 1e-3
    assert (agent.batch_size, agent.gamma, agent.tau, agent.buffer_size) == (128, 0.99, 0.005, 10_000)


def test_exploration_starts_again_in_every_episode_until_mended() -> None:
    as_published = learn(Agent(SMALL, 2), nothing_learned(), 3).curve["epsilon"]
    expected = 0.05 + 0.85 * math.exp(-20 / 1000)
    np.testing.assert_allclose(as_published, expected)
    config = replace(SMALL, task=replace(SMALL.task, defects=replace(AS_PUBLISHED, epsilon_restarts=False)))
    mended = learn(Agent(config, 2), nothing_learned(), 3).curve["epsilon"]
    np.testing.assert_allclose(mended, 0.05 + 0.85 * np.exp(-np.array([20, 40, 60]) / 1000))


def test_the_agent_explores_at_the_rate_that_is_recorded() -> None:
    agent = Agent(SMALL, 2)
    assert agent.exploration_rate == pytest.approx(0.9)
    agent.play_episode()
    assert agent.exploration_rate == pytest.approx(0.9)
    agent.settings = replace(SMALL, task=replace(SMALL.task, defects=MENDED))
    agent.play_episode()
    assert agent.exploration_rate == pytest.approx(0.05 + 0.85 * math.exp(-40 / 1000))


def test_gradients_are_clipped_by_value() -> None:
    agent = Agent(SMALL, 3)
    agent.q_net(torch.full((4, 13), 1e6)).sum().backward()
    largest = [float(parameter.grad.abs().max()) for parameter in agent.q_net.parameters()]
    assert max(largest) == 100.0


def test_stored_weights_give_the_values_of_the_network() -> None:
    agent = Agent(SMALL, 4)
    state = np.random.default_rng(0).normal(size=13)
    with torch.no_grad():
        expected = agent.q_net(torch.tensor(state[None], dtype=torch.float32)).numpy()[0]
    np.testing.assert_allclose(q_values(agent.network(), state), expected, rtol=1e-5, atol=1e-6)


def test_learning_finds_the_better_of_two_actions() -> None:
    # The error does not count, so the largest mu earns most in every state: 4 / 1 against 4 / 2 and 4 / 1.5.
    task = TaskConfig(decisions=20, mu_range=(1e-2, 1e-1), n_actions=3, weights=(0.0, 0.0, 4.0), largest_error=1e9)
    config = replace(SMALL, task=task, epsilon=(0.9, 0.05, 100.0), test_every=5)
    learned = train(config, 1, 40)
    assert learned.tests["return"][-1] == pytest.approx(4.0 * 19 / 20)


def test_training_goes_on_to_the_bit_after_an_interruption(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for defects in (AS_PUBLISHED, MENDED):
        config = replace(SMALL, task=replace(SMALL.task, defects=defects))
        straight = train(config, 9, 6)
        checkpoint = Checkpoint(folder / f"{len(list(folder.iterdir()))}", "key")
        asked = iter([False, False, True])
        monkeypatch.setattr(training, "stop_requested", lambda asked=asked: next(asked))
        with pytest.raises(InterruptedRunError, match="after 3 of 6 episodes"):
            train(config, 9, 6, checkpoint=checkpoint)
        monkeypatch.setattr(training, "stop_requested", lambda: False)
        assert_equal(train(config, 9, 6, checkpoint=checkpoint), straight)


def test_other_seeds_learn_otherwise() -> None:
    one, other = (train(SMALL, seed, 2) for seed in (1, 2))
    assert one.network is not None and other.network is not None
    assert not np.array_equal(one.network.first, other.network.first)


def test_training_needs_an_episode() -> None:
    with pytest.raises(UsageError, match="n_episodes"):
        train(SMALL, 1, 0)


def test_defaults_are_those_of_the_paper() -> None:
    assert all(getattr(AgentConfig().task.defects, field.name) for field in fields(AS_PUBLISHED))
    assert AgentConfig().test_seeds == range(5)
    assert not set(AgentConfig(TaskConfig(defects=MENDED)).test_seeds) & set(range(1000))
