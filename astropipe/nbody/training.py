"""Train the policy of the time step by an evolution strategy.

Of all ways to learn it, this is the one whose objective is the bill that a user pays: force evaluations of whole runs
to a tolerance, with the redone ones, the repetitions and the price of a miss. No reward has to be shaped, and nothing
has to be differentiable. Covariance matrix adaptation with a diagonal matrix (Ros & Hansen 2008, PPSN X, 296) moves the
weights of the network; its library is ``cma``.

Systems, tolerances and lengths of the runs are drawn anew in every generation and are the same for all its candidates.
They come from a stream of random numbers of their own, so that no system that is made elsewhere is among them.
"""

from __future__ import annotations

import json
import math
import pickle
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import cma
import numpy as np
from astropy import constants, units

from astropipe.config.nbody import TrainConfig
from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.integration import integrate_batch
from astropipe.nbody.policy import ARCHITECTURE, Policy
from astropipe.nbody.policy_artifact import PolicyRecord
from astropipe.nbody.systems import agekyan_anosova, saz_ulibarrena_triple, stack
from astropipe.nbody.timesteps import N_FEATURES, N_HIDDEN
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.progress import NoProgress, Progress
from astropipe.runtime.seeds import seed_sequence, stream

# Ranges from which tolerances (cut into bins, one batch each) and lengths of runs are drawn, evenly in the logarithm.
TOLERANCES = (1e-3, 1e-10)
N_BINS = 8
TRIPLE_YEARS = (10.0, 60.0)
COLD_START_TIMES = (3.0, 20.0)
# A run that fails to hold its tolerance, or needs more than this, is priced as three.
MOST_EVALUATIONS = 20_000
_PRICE_OF_A_MISS = 3.0
_GENERATIONS_BETWEEN_CHECKS = 10
_CHECK_SYSTEMS = 64
_SCORE_SYSTEMS, _SCORE_TOLERANCES = 200, (1e-3, 1e-5, 1e-7, 1e-9)
_SECONDS_BETWEEN_CHECKPOINTS = 60.0


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


class Runs(NamedTuple):
    """Systems that are integrated under the same controls."""

    masses: FloatArray
    positions: FloatArray
    velocities: FloatArray
    t_end: float
    G: float
    tolerance: float


class Trained(NamedTuple):
    """A policy with the story of its training.

    Attributes
    ----------
    weights : array of shape (N_WEIGHTS,)
        Mean of the generation that did best on the check systems.
    curve : dict of str to array, shape (n_checks,)
        ``generation``, ``relative_cost`` (geometric mean over systems and tolerances of the cost on the check systems,
        over that of the power rule), ``spread``.
    duration_s : float
        Wall time.
    """

    weights: FloatArray
    curve: dict[str, Any]
    duration_s: float


def train(
    plan: TrainingPlan, seed: int, *, checkpoint: Checkpoint | None = None, progress: Progress | None = None
) -> Trained:
    """Train a policy.

    Parameters
    ----------
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
    search = _Search(plan, seed)
    saved = checkpoint.load() if checkpoint else None
    if saved is not None:
        search = pickle.loads(saved["search"].tobytes())
    reporter, saved_at, begun_at = progress or NoProgress(), time.monotonic(), time.monotonic()
    before_s = search.duration_s
    while search.generation < plan.generations:
        reporter.update(search.generation)
        stop = stop_requested()
        if checkpoint and (stop or time.monotonic() - saved_at > _SECONDS_BETWEEN_CHECKPOINTS):
            checkpoint.save({"search": np.frombuffer(pickle.dumps(search), dtype=np.uint8)})
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
    """The evolution strategy between two generations; pickled into checkpoints."""

    def __init__(self, plan: TrainingPlan, seed: int) -> None:
        self.plan, self.seed, self.generation, self.duration_s = plan, seed, 0, 0.0
        start, normal = (np.random.default_rng(part) for part in seed_sequence(seed, "nbody.train").spawn(2))
        self.normal = _Normal(normal)
        settings = {
            "popsize": plan.population,
            "CMA_diagonal": True,
            "randn": self.normal,
            "seed": np.nan,
            "verbose": -9,
        }
        self.strategy = cma.CMAEvolutionStrategy(first_weights(start), plan.spread, settings)
        self.best, self.best_cost = np.array(self.strategy.result.xfavorite), math.inf
        self.curve: dict[str, list[float]] = {"generation": [], "relative_cost": [], "spread": []}

    def advance(self) -> None:
        """Make one generation."""
        rng = stream(self.seed, "nbody.train.systems", self.generation)
        runs = draw_runs(rng, self.plan.systems, draw_tolerances(rng))
        candidates = self.strategy.ask()
        costs = [float(np.mean(log_costs(runs, np.array(weights)))) for weights in candidates]
        self.strategy.tell(candidates, costs)
        self.generation += 1
        if self.generation % _GENERATIONS_BETWEEN_CHECKS == 0 or self.generation == self.plan.generations:
            self._check()

    def _check(self) -> None:
        """Price the mean of the candidates on systems that no generation has seen, and keep it if it is the best."""
        weights = np.array(self.strategy.result.xfavorite)
        rng = stream(self.seed, "nbody.train.check")
        cost = relative_cost(draw_runs(rng, _CHECK_SYSTEMS, draw_tolerances(rng)), weights)
        row = (self.generation, cost, float(self.strategy.sigma))
        for name, value in zip(self.curve, row, strict=True):
            self.curve[name].append(value)
        if cost < self.best_cost:
            self.best, self.best_cost = weights, cost


class _Normal:
    """Normal deviates for ``cma`` from a stream of ours instead of numpy's global one."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def __call__(self, *shape: int) -> FloatArray:
        deviates: FloatArray = self.generator.standard_normal(shape)
        return deviates


def first_weights(rng: np.random.Generator) -> FloatArray:
    """Return weights from which to start: the output is that of the power rule, whatever the inputs are."""
    layers = ((N_FEATURES, N_HIDDEN, 1.0), (N_HIDDEN, N_HIDDEN, 1.0), (N_HIDDEN, 1, 0.0))
    parts = []
    for n_in, n_out, size in layers:
        weights = rng.normal(scale=1.5 * size / math.sqrt(n_in), size=(n_out, n_in))
        biases = rng.normal(scale=0.3 * size, size=(n_out, 1))
        parts.append(np.concatenate([weights, biases], axis=1).ravel())
    return np.concatenate(parts)


def draw_tolerances(rng: np.random.Generator) -> FloatArray:
    """Return one tolerance of each bin."""
    low, high = np.log10(TOLERANCES)
    tolerances: FloatArray = 10.0 ** (low + (high - low) * (np.arange(N_BINS) + rng.uniform(size=N_BINS)) / N_BINS)
    return tolerances


def draw_runs(rng: np.random.Generator, n: int, tolerances: FloatArray) -> list[Runs]:
    """Return runs of n triples of the paper, and of n cold starts, for each tolerance."""
    constant = constants.G.to_value("au km2 / (Msun s2)")
    year = units.yr.to("au s / km")
    runs = []
    for tolerance in tolerances:
        triples = stack([saz_ulibarrena_triple(rng) for _ in range(n)])
        runs.append(Runs(*triples, year * _log_uniform(rng, TRIPLE_YEARS), constant, float(tolerance)))
        cold_starts = stack([agekyan_anosova(rng) for _ in range(n)])
        runs.append(Runs(*cold_starts, _log_uniform(rng, COLD_START_TIMES), 1.0, float(tolerance)))
    return runs


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(math.exp(rng.uniform(*np.log(limits))))


def log_costs(runs: Sequence[Runs], weights: FloatArray | None) -> FloatArray:
    """Return the mean logarithm of the price of a system for each batch of runs; of the power rule without weights."""
    changes: dict[str, Any] = {"timestep": "power"}
    if weights is not None:
        changes = {"timestep": "learned", "policy": Policy("candidate", weights)}
    return np.array([float(np.mean(np.log(prices(batch, **changes)))) for batch in runs])


def relative_cost(runs: Sequence[Runs], weights: FloatArray) -> float:
    """Return the geometric mean over all systems of the price relative to that of the power rule."""
    return float(np.exp(np.mean(log_costs(runs, weights) - log_costs(runs, None))))


def prices(runs: Runs, **options: Any) -> FloatArray:
    """Return force evaluations, times the price of a miss for runs that do not hold their tolerance, shape (n,).

    Options are those of `astropipe.nbody.integrate_batch`.
    """
    result = integrate_batch(
        *runs[:4], G=runs.G, tolerance=runs.tolerance, max_force_evaluations=MOST_EVALUATIONS, **options
    )
    held = np.isin(result.status, ("ok", "escape"))
    price: FloatArray = np.where(held, 1.0, _PRICE_OF_A_MISS) * result.force_evaluations
    return price


def train_policy(
    settings: TrainConfig, seed: int, *, checkpoint: Checkpoint | None = None, progress: Progress | None = None
) -> PolicyRecord:
    """Train as ``astropipe nbody train`` asks for it, and return what to store; see `train`."""
    plan = TrainingPlan(settings.generations, settings.population, settings.systems)
    trained = train(plan, seed, checkpoint=checkpoint, progress=progress)
    described = {
        "seed": seed,
        **asdict(plan),
        "tolerances": TOLERANCES,
        "most_evaluations": MOST_EVALUATIONS,
        "systems": "triples of Saz Ulibarrena & Portegies Zwart (2025) over 10-60 yr, and Agekyan-Anosova cold starts "
        "over 3-20 Henon times, drawn anew in every generation",
    }
    domain = {
        "bodies": "three of equal mass; applied to others, see docs/nbody.md",
        "methods": ["hermite6", "hermite8"],
        "tolerances": TOLERANCES,
    }
    return PolicyRecord(
        title=f"Time step policy, seed {seed}",
        weights={"policy": trained.weights},
        architecture=json.dumps({"method": "timestep", "network": ARCHITECTURE}),
        training=json.dumps(described),
        domain=json.dumps(domain),
        curve=trained.curve,
        scores=_scores(trained.weights, seed),
    )


def _scores(weights: FloatArray, seed: int) -> list[tuple[str, float, str]]:
    """Return the cost relative to the power rule on systems that were not used before, by tolerance and kind."""
    runs = draw_runs(stream(seed, "nbody.train.score"), _SCORE_SYSTEMS, np.array(_SCORE_TOLERANCES))
    costs = np.exp(log_costs(runs, weights) - log_costs(runs, None))
    kinds = ("triples", "cold starts")
    rows = [
        (f"cost over that of the power rule, {kinds[k % 2]}, tolerance {batch.tolerance:.0e}", float(cost), "")
        for k, (batch, cost) in enumerate(zip(runs, costs, strict=True))
    ]
    return [("cost over that of the power rule", float(np.exp(np.mean(np.log(costs)))), ""), *rows]
