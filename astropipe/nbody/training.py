"""Train the policy of the time step: force evaluations of whole runs to a tolerance, with all that is thrown away.

Tolerances and lengths of the runs are drawn anew in every generation, as systems are (`astropipe.nbody.evolution`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from astropy import constants, units

from astropipe.config.nbody import TrainConfig
from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.evolution import TrainingPlan, log_gains, train
from astropipe.nbody.integration import integrate_batch
from astropipe.nbody.policy import ARCHITECTURE, Policy
from astropipe.nbody.policy_artifact import PolicyRecord
from astropipe.nbody.systems import agekyan_anosova, saz_ulibarrena_triple, stack
from astropipe.nbody.timesteps import N_FEATURES, N_HIDDEN
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.progress import Progress
from astropipe.runtime.seeds import stream

# Ranges from which tolerances (cut into bins, one batch each) and lengths of runs are drawn, evenly in the logarithm.
TOLERANCES = (1e-3, 1e-10)
N_BINS = 8
TRIPLE_YEARS = (10.0, 60.0)
COLD_START_TIMES = (3.0, 20.0)
# A run that fails to hold its tolerance, or needs more than this, is priced as three.
MOST_EVALUATIONS = 20_000
_PRICE_OF_A_MISS = 3.0
_SCORE_SYSTEMS, _SCORE_TOLERANCES = 200, (1e-3, 1e-5, 1e-7, 1e-9)


class Runs(NamedTuple):
    """Systems that are integrated under the same controls."""

    masses: FloatArray
    positions: FloatArray
    velocities: FloatArray
    t_end: float
    G: float
    tolerance: float


class StepTask:
    """The time step of few bodies as what is learned; see `astropipe.nbody.evolution.Task`."""

    purpose = "nbody.train"
    check_systems = 64

    def first_weights(self, rng: np.random.Generator) -> FloatArray:
        """Return weights from which to start: the output is that of the power rule, whatever the inputs are."""
        layers = ((N_FEATURES, N_HIDDEN, 1.0), (N_HIDDEN, N_HIDDEN, 1.0), (N_HIDDEN, 1, 0.0))
        parts = []
        for n_in, n_out, size in layers:
            weights = rng.normal(scale=1.5 * size / math.sqrt(n_in), size=(n_out, n_in))
            biases = rng.normal(scale=0.3 * size, size=(n_out, 1))
            parts.append(np.concatenate([weights, biases], axis=1).ravel())
        return np.concatenate(parts)

    def draw(self, rng: np.random.Generator, n: int) -> list[Runs]:
        """Return runs of n systems of each kind to each of the tolerances that are drawn."""
        return draw_runs(rng, n, draw_tolerances(rng))

    def log_costs(self, runs: Sequence[Runs], weights: FloatArray | None) -> FloatArray:
        """Return the mean logarithm of the price of each batch of runs; without weights, with the power rule."""
        changes: dict[str, Any] = {"timestep": "power"}
        if weights is not None:
            changes = {"timestep": "learned", "policy": Policy("candidate", weights)}
        return np.array([float(np.mean(np.log(prices(batch, **changes)))) for batch in runs])


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
    trained = train(StepTask(), plan, seed, checkpoint=checkpoint, progress=progress)
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
    costs = np.exp(log_gains(StepTask(), runs, weights))
    kinds = ("triples", "cold starts")
    rows = [
        (f"cost over that of the power rule, {kinds[k % 2]}, tolerance {batch.tolerance:.0e}", float(cost), "")
        for k, (batch, cost) in enumerate(zip(runs, costs, strict=True))
    ]
    return [("cost over that of the power rule", float(np.exp(np.mean(np.log(costs)))), ""), *rows]
