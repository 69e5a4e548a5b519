"""The task of Saz Ulibarrena & Portegies Zwart (2025) as a Gymnasium environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from astropipe.nbody.paper.amuse_hermite import advance, energy
from astropipe.nbody.paper.task import (
    STATE_SIZE,
    TaskConfig,
    energy_error,
    observe,
    reward,
    rules,
    start,
)

# Half-open blocks of seeds: of training as published and mended, and of the choice of a model.
PUBLISHED_TRAINING, PUBLISHED_SELECTION = (0, 1000), (0, 5)
MENDED_TRAINING, MENDED_SELECTION = (1_000_000, 2_000_000), (2000, 2005)


@dataclass(frozen=True)
class Episode:
    """A finished episode: its system, and what came of it."""

    system: int
    decisions: int
    reward: float
    energy_error: float
    force_evaluations: int


def seed_after_tests() -> int:
    """Return the seed that the published code draws after its test episodes, each time the same.

    The last test episode seeds numpy's generator with 4 and draws four coordinates; the next number drawn is the seed
    of the next training episode.
    """
    generator = np.random.RandomState(PUBLISHED_SELECTION[1] - 1)
    generator.uniform(size=4)
    return int(generator.randint(PUBLISHED_TRAINING[1]))


class TripleEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Choose the accuracy parameter of Hermite for one triple, interval by interval.

    Observations are those of `astropipe.nbody.paper.task.observe`, actions the numbers of `mu`. An episode is
    terminated when the energy error exceeds its limit or two bodies collide, and truncated after its last decision.

    Parameters
    ----------
    config : TaskConfig, optional
        Settings; the published ones if not given.

    Attributes
    ----------
    decision : int
        Decisions taken in this episode.
    episode : int
        Episodes begun since the generator was seeded.
    system : int
        Seed of the present system.
    finished : Episode or None
        The last episode that ended.
    """

    def __init__(self, config: TaskConfig | None = None) -> None:
        self.config = config or TaskConfig()
        self._rules = rules(self.config)
        self.mu = self._rules.mu
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (STATE_SIZE,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(self.mu.size)
        self.episode, self.decision, self.system = 0, 0, 0
        self.finished: Episode | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode.

        Parameters
        ----------
        seed : int, optional
            Seeds the generator from which systems are drawn.
        options : dict, optional
            ``system``: the seed of the system, instead of a drawn one.

        Returns
        -------
        observation : array of shape (13,)
        info : dict
            ``system``.
        """
        super().reset(seed=seed)
        if seed is not None:
            self.episode = 0
        self.system = self._draw() if not options or "system" not in options else int(options["system"])
        self.episode += 1
        self._gm, self._x, self._v = start(self.system)
        self._energy = energy(self._gm, self._x, self._v)
        self.decision, self._error, self._evaluations, self._reward = 0, 1.0, 0, 0.0
        return self._observation(), {"system": self.system}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Advance by one interval with mu number `action`; see `gymnasium.Env.step`."""
        mu = float(self.mu[action])
        spent = advance(self._gm, self._x, self._v, self._rules.interval, mu)
        self.decision += 1
        self._evaluations += abs(spent)
        before, self._error = self._error, energy_error(self._gm, self._x, self._v, self._energy)
        gain = float(reward(self._rules, self._error, before, self.decision, mu))
        self._reward += gain
        terminated = spent < 0 or self._error > self.config.largest_error
        truncated = not terminated and self.decision >= self.config.decisions
        if terminated or truncated:
            self.finished = Episode(self.system, self.decision, self._reward, self._error, self._evaluations)
        info = {"energy_error": self._error, "force_evaluations": self._evaluations, "mu": mu}
        return self._observation(), gain, terminated, truncated, info

    def _draw(self) -> int:
        """Return the seed of the next system."""
        defects = self.config.defects
        if defects.seed_frozen and self.episode:
            return seed_after_tests() + (0 if defects.seeds_overlap else MENDED_TRAINING[0])
        return int(self.np_random.integers(*(PUBLISHED_TRAINING if defects.seeds_overlap else MENDED_TRAINING)))

    def _observation(self) -> NDArray[np.float32]:
        state = np.empty(STATE_SIZE)
        observe(self._rules, self._gm, self._x, self._v, self._error, state)
        return state.astype(np.float32)
