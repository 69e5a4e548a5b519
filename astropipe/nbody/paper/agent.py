"""Deep Q-learning as Saz Ulibarrena & Portegies Zwart (2025) did it, on stable-baselines3.

Their settings are the defaults: 13 -> 200 -> nine times one 200 x 200 layer -> 10, ReLU; smooth-L1 loss, AdamW with
amsgrad, rate 1e-3, batches of 128 from the last 10,000 decisions, discount 0.99, target network moved by 0.005 and one
update after every decision, gradients clipped by value at 100, exploration falling from 0.9 to 0.05. The end of an
episode counts as final for the value, as there. Of the networks met during the training, the one with the best return
in its test episodes is kept, as the authors picked theirs.

Differences from the published code: its first decision of an episode is paired with the state after the second one
and its target network moves after the update instead of before; here neither is so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

from astropipe.nbody.paper.environment import MENDED_SELECTION, PUBLISHED_SELECTION, Episode, TripleEnv
from astropipe.nbody.paper.policy import Evaluation, Network, evaluate
from astropipe.nbody.paper.task import STATE_SIZE, TaskConfig

_ONE_DECISION = TrainFreq(1, TrainFrequencyUnit.STEP)


@dataclass(frozen=True)
class AgentConfig:
    """Settings of the training; the task brings its own.

    Attributes
    ----------
    task : TaskConfig
        The task, with the defects of the published code.
    width, n_hidden : int
        Units of a layer, and how often the hidden layer is applied.
    learning_rate, batch_size, discount, memory, target_rate, largest_gradient
        Of deep Q-learning.
    epsilon : tuple of float
        Share of random actions at the start and at the end, and the number of decisions in which the difference
        falls by e.
    test_every : int
        Episodes of training between two rounds of test episodes (the published code tests after each).
    """

    task: TaskConfig = field(default_factory=TaskConfig)
    width: int = 200
    n_hidden: int = 9
    learning_rate: float = 1e-3
    batch_size: int = 128
    discount: float = 0.99
    memory: int = 10_000
    target_rate: float = 0.005
    largest_gradient: float = 100.0
    epsilon: tuple[float, float, float] = (0.9, 0.05, 1000.0)
    test_every: int = 10

    @property
    def test_seeds(self) -> range:
        """Seeds of the test episodes, on which the model is chosen."""
        return range(*(PUBLISHED_SELECTION if self.task.defects.seeds_overlap else MENDED_SELECTION))

    def exploration(self, decisions: int) -> float:
        """Return the share of random actions after a number of decisions."""
        first, last, decay = self.epsilon
        return last + (first - last) * math.exp(-decisions / decay)


class _TiedLayers(nn.Module):  # type: ignore[misc]
    """The published network: one hidden layer that is applied again and again."""

    def __init__(self, width: int, n_hidden: int, n_actions: int) -> None:
        super().__init__()
        self.first, self.hidden, self.last = (
            nn.Linear(*sizes) for sizes in ((STATE_SIZE, width), (width, width), (width, n_actions))
        )
        self.n_hidden = n_hidden

    def forward(self, state: Any) -> Any:
        """Return the values of all actions, [batch, n_actions]."""
        values = torch.relu(self.first(state))
        for _ in range(self.n_hidden):
            values = torch.relu(self.hidden(values))
        return self.last(values)


class TiedPolicy(DQNPolicy):
    """Policy of stable-baselines3 with the published network; ``net_arch`` is its width, once an application."""

    def make_q_net(self) -> QNetwork:
        """Return a network with weights of its own."""
        network = QNetwork(**self._update_features_extractor(self.net_args, features_extractor=None))
        network.q_net = _TiedLayers(self.net_arch[0], len(self.net_arch), int(self.action_space.n))  # type: ignore[attr-defined]
        return network.to(self.device)  # type: ignore[no-any-return]


class Agent(DQN):
    """stable-baselines3's DQN, driven episode by episode, with the published exploration and clipping.

    Parameters
    ----------
    config : AgentConfig
        Settings.
    seed : int
        Seed of weights, exploration, memory and systems, below 2^32. stable-baselines3 draws from numpy's and torch's
        global generators, so one process trains one agent at a time.
    """

    def __init__(self, config: AgentConfig, seed: int) -> None:
        self.settings, self.task = config, TripleEnv(config.task)
        super().__init__(
            TiedPolicy,
            self.task,
            learning_rate=config.learning_rate,
            buffer_size=config.memory,
            batch_size=config.batch_size,
            tau=config.target_rate,
            gamma=config.discount,
            target_update_interval=1,
            max_grad_norm=math.inf,
            # The published code has no time limits: the last decision of an episode has no future.
            replay_buffer_kwargs={"handle_timeout_termination": False},
            policy_kwargs={
                "net_arch": [config.width] * config.n_hidden,
                "optimizer_class": torch.optim.AdamW,
                "optimizer_kwargs": {"amsgrad": True},
            },
            seed=seed,
            device="cpu",
        )
        clip = partial(torch.clamp, min=-config.largest_gradient, max=config.largest_gradient)
        for parameter in self.q_net.parameters():
            parameter.register_hook(clip)
        # stable-baselines3 wants to know the length of the training for schedules that are constant here.
        _, self._listener = self._setup_learn(total_timesteps=1)
        self.exploration_rate = config.exploration(0)

    def _on_step(self) -> None:
        super()._on_step()
        counted = self.task.decision if self.settings.task.defects.epsilon_restarts else self.num_timesteps
        self.exploration_rate = self.settings.exploration(counted)

    def play_episode(self) -> Episode:
        """Play one episode to its end, with an update after every decision; the next one is begun."""
        assert self.env is not None and self.replay_buffer is not None
        while True:
            self.collect_rollouts(self.env, self._listener, _ONE_DECISION, self.replay_buffer)
            if self.num_timesteps >= self.batch_size:
                self.train(gradient_steps=1, batch_size=self.batch_size)
            if self.task.decision == 0:
                assert self.task.finished is not None
                return self.task.finished

    def network(self) -> Network:
        """Return a copy of the present weights."""
        layers = self.q_net.q_net
        parts = {}
        for name in ("first", "hidden", "last"):
            layer = getattr(layers, name)
            parts[name] = np.ascontiguousarray(layer.weight.detach().numpy().T)
            parts[f"{name}_bias"] = layer.bias.detach().numpy().copy()
        return Network(**parts, n_hidden=self.settings.n_hidden)

    def test(self) -> Evaluation:
        """Play the greedy test episodes, ended early like those of training."""
        task = self.settings.task
        limits: dict[str, Any] = {"decisions": task.decisions, "largest_error": task.largest_error}
        return evaluate(self.network(), self.settings.test_seeds, task, **limits)


@dataclass
class Learned:
    """What a training has brought so far.

    Attributes
    ----------
    network : Network or None
        The network with the best test episodes; None before the first.
    best_return : float
        Its mean return of a decision in the test episodes.
    best_episode : int
        After how many episodes of training it was met.
    curve : dict of str to array, shape (n_episodes,)
        ``episode``, ``system`` (seed), ``decisions``, ``return``, ``energy_error``, ``force_evaluations``, ``epsilon``
        (at the end of the episode).
    tests : dict of str to array, shape (n_tests,)
        ``episode``, ``return`` (mean of a decision), ``log10_error`` (mean at the end), ``force_evaluations`` (mean).
    """

    network: Network | None
    best_return: float
    best_episode: int
    curve: dict[str, NDArray[Any]]
    tests: dict[str, NDArray[Any]]


CURVE = ("episode", "system", "decisions", "return", "energy_error", "force_evaluations", "epsilon")
TESTS = ("episode", "return", "log10_error", "force_evaluations")
_INTEGERS = ("episode", "system", "decisions")


def nothing_learned() -> Learned:
    """Return the state of a training that has not begun."""
    curve, tests = ({name: np.empty(0, _dtype(name)) for name in names} for names in (CURVE, TESTS))
    return Learned(None, -math.inf, 0, curve, tests)


def _dtype(name: str) -> type[np.generic]:
    return np.int64 if name in _INTEGERS else np.float64


def _with_row(table: dict[str, NDArray[Any]], row: tuple[float, ...]) -> dict[str, NDArray[Any]]:
    return {name: np.append(table[name], _dtype(name)(value)) for name, value in zip(table, row, strict=True)}


def learn(
    agent: Agent, learned: Learned, n_episodes: int, between: Callable[[Learned], None] = lambda learned: None
) -> Learned:
    """Train up to a number of episodes, from wherever agent and `learned` are.

    Parameters
    ----------
    agent : Agent
        Trained in place.
    learned : Learned
        What was learned before; not changed.
    n_episodes : int
        Number of episodes at the end.
    between : callable
        Called with what was learned after every episode but the last; may raise to stop.

    Returns
    -------
    Learned
        What was learned, with test episodes after the last one.
    """
    learned = replace(learned)
    threads = torch.get_num_threads()
    # Sums over more threads have another order, and the layers are too small to gain from them.
    torch.set_num_threads(1)
    try:
        while (number := len(learned.curve["episode"]) + 1) <= n_episodes:
            epsilon = agent.settings.exploration
            before = agent.num_timesteps
            played = agent.play_episode()
            counted = played.decisions if agent.settings.task.defects.epsilon_restarts else before + played.decisions
            row = (number, played.system, played.decisions, played.reward, played.energy_error)
            learned.curve = _with_row(learned.curve, (*row, played.force_evaluations, epsilon(counted)))
            if number % agent.settings.test_every == 0 or number == n_episodes:
                _test(agent, learned, number)
            if number < n_episodes:
                between(learned)
    finally:
        torch.set_num_threads(threads)
    return learned


def _test(agent: Agent, learned: Learned, number: int) -> None:
    """Play the test episodes, and keep the network if it is the best."""
    tested = agent.test()
    gain = float(np.mean(tested.reward / tested.actions.sum(axis=1)))
    row = (number, gain, float(np.log10(tested.error).mean()), float(tested.evaluations.mean()))
    learned.tests = _with_row(learned.tests, row)
    if gain > learned.best_return:
        learned.network, learned.best_return, learned.best_episode = agent.network(), gain, number
