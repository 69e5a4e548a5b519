"""The evolution strategy that trains policies, whatever they choose.

Of all ways to learn them, this is the one whose objective is the bill that a user pays: force evaluations of whole
runs, and the price of a miss. No reward has to be shaped, and nothing has to be differentiable. Covariance matrix
adaptation with a diagonal matrix (Ros & Hansen 2008, PPSN X, 296) moves the weights; its library is ``cma``.

Systems are drawn anew in every generation and are the same for all its candidates. They come from a stream of random
numbers of their own, so that no system that is made elsewhere is among them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import cma
import numpy as np
from numpy.typing import NDArray

from astropipe.nbody.arrays import FloatArray
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.progress import NoProgress, Progress
from astropipe.runtime.seeds import seed_sequence, stream

_GENERATIONS_BETWEEN_CHECKS = 10
_SECONDS_BETWEEN_CHECKPOINTS = 60.0


class Task(Protocol):
    """What is learned; picklable.

    Attributes
    ----------
    purpose : str
        Name of the random streams.
    check_systems : int
        Systems of each kind on which generations are compared.
    """

    purpose: str
    check_systems: int

    def first_weights(self, rng: np.random.Generator) -> FloatArray:
        """Return weights from which to start."""

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        """Return runs of n systems of each kind."""

    def log_costs(self, runs: Any, weights: FloatArray | None) -> FloatArray:
        """Return the logarithms of the prices of the runs; without weights, with the rule that is to be beaten."""


@dataclass(frozen=True)
class TrainingPlan:
    """Settings of a training.

    Attributes
    ----------
    generations : int
        Generations of the evolution strategy.
    population : int
        Candidates of a generation.
    systems : int
        Systems of each kind and bin of tolerances in a generation.
    spread : float
        First standard deviation of the weights.
    """

    generations: int = 200
    population: int = 24
    systems: int = 12
    spread: float = 0.1


class Trained(NamedTuple):
    """A policy with the story of its training.

    Attributes
    ----------
    weights : array of shape (n_weights,)
        Mean of the generation that did best on the check systems.
    curve : dict of str to array, shape (n_checks,)
        ``generation``, ``relative_cost`` (geometric mean of the price of the check systems, over that with the rule
        that is to be beaten), ``spread``.
    duration_s : float
        Wall time.
    """

    weights: FloatArray
    curve: dict[str, Any]
    duration_s: float


def train(
    task: Task, plan: TrainingPlan, seed: int, *, checkpoint: Checkpoint | None = None, progress: Progress | None = None
) -> Trained:
    """Train a policy.

    Parameters
    ----------
    task : Task
        What is learned.
    plan : TrainingPlan
        Settings.
    seed : int
        Root seed; the training has streams of its own.
    checkpoint : Checkpoint, optional
        Read at the start, and written every minute and when a stop is requested.
    progress : Progress, optional
        Told how many generations are done.

    Returns
    -------
    Trained
        Equal weights for equal plan and seed, to the bit, interrupted or not, on any number of threads.

    Raises
    ------
    InterruptedRunError
        If a stop was requested; the checkpoint is written if there is one.
    """
    search = _Search(task, plan, seed)
    saved = checkpoint.load() if checkpoint else None
    if saved is not None:
        search.repeat(saved)
    reporter, saved_at, begun_at = progress or NoProgress(), time.monotonic(), time.monotonic()
    before_s = search.duration_s
    while search.generation < plan.generations:
        reporter.update(search.generation)
        stop = stop_requested()
        if checkpoint and (stop or time.monotonic() - saved_at > _SECONDS_BETWEEN_CHECKPOINTS):
            checkpoint.save(search.arrays())
            saved_at = time.monotonic()
        if stop:
            kept = f"which are kept in {checkpoint.path}; run again with --resume" if checkpoint else "which are lost"
            raise InterruptedRunError(
                f"interrupted after {search.generation} of {plan.generations} generations, {kept}"
            )
        search.advance()
        search.duration_s = before_s + time.monotonic() - begun_at
    reporter.update(plan.generations)
    return Trained(search.best, {name: np.array(values) for name, values in search.curve.items()}, search.duration_s)


class _Search:
    """The evolution strategy between two generations, which follows from its seed and the costs of all candidates."""

    def __init__(self, task: Task, plan: TrainingPlan, seed: int) -> None:
        self.task, self.plan, self.seed, self.generation, self.duration_s = task, plan, seed, 0, 0.0
        start, normal = (np.random.default_rng(part) for part in seed_sequence(seed, task.purpose).spawn(2))
        self.normal = _Normal(normal)
        settings = {
            "popsize": plan.population,
            "CMA_diagonal": True,
            "randn": self.normal,
            "seed": np.nan,
            "verbose": -9,
        }
        self.strategy = cma.CMAEvolutionStrategy(task.first_weights(start), plan.spread, settings)
        self.best, self.best_cost = np.array(self.strategy.result.xfavorite), math.inf
        self.curve: dict[str, list[float]] = {"generation": [], "relative_cost": [], "spread": []}
        self.costs: list[list[float]] = []
        self._known_checks: list[float] = []

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `repeat` needs."""
        costs = np.reshape(np.array(self.costs), (len(self.costs), -1))
        return {
            "costs": costs,
            "relative_cost": np.array(self.curve["relative_cost"]),
            "duration_s": np.array(self.duration_s),
        }

    def repeat(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Go through all generations of a checkpoint, whose costs are known."""
        self._known_checks = saved["relative_cost"].tolist()
        for costs in saved["costs"].tolist():
            self.advance(costs)
        self.duration_s = float(saved["duration_s"])

    def advance(self, costs: list[float] | None = None) -> None:
        """Make one generation, whose costs may be known."""
        candidates = self.strategy.ask()
        if costs is None:
            rng = stream(self.seed, f"{self.task.purpose}.systems", self.generation)
            runs = self.task.draw(rng, self.plan.systems)
            costs = [float(np.mean(self.task.log_costs(runs, np.array(weights)))) for weights in candidates]
        self.strategy.tell(candidates, costs)
        self.costs.append(costs)
        self.generation += 1
        if self.generation % _GENERATIONS_BETWEEN_CHECKS == 0 or self.generation == self.plan.generations:
            self._check()

    def _check(self) -> None:
        """Price the mean of the candidates on systems that no generation has seen, and keep it if it is the best."""
        weights = np.array(self.strategy.result.xfavorite)
        cost = self._known_checks.pop(0) if self._known_checks else self._price(weights)
        row = (self.generation, cost, float(self.strategy.sigma))
        for name, value in zip(self.curve, row, strict=True):
            self.curve[name].append(value)
        if cost < self.best_cost:
            self.best, self.best_cost = weights, cost

    def _price(self, weights: FloatArray) -> float:
        runs = self.task.draw(stream(self.seed, f"{self.task.purpose}.check"), self.task.check_systems)
        return float(np.exp(np.mean(log_gains(self.task, runs, weights))))


def log_gains(task: Task, runs: Any, weights: FloatArray) -> FloatArray:
    """Return the logarithms of the prices of runs over those with the rule that is to be beaten."""
    return np.asarray(task.log_costs(runs, weights) - task.log_costs(runs, None))


class _Normal:
    """Normal deviates for ``cma`` from a stream of ours instead of numpy's global one."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def __call__(self, *shape: int) -> FloatArray:
        deviates: FloatArray = self.generator.standard_normal(shape)
        return deviates
