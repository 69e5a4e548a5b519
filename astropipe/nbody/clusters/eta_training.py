"""Train the choice of eta in clusters: forces of whole runs, times how far each is above the energy error aimed at.

A run whose error is twice what was aimed at is priced as two. As forces grow with the fifth root of the accuracy or so,
the price is least where four runs of five hold their target. Clusters and targets are drawn anew in every generation
(`astropipe.nbody.evolution`). They have no binaries at the start: what these cost does not depend on eta.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from astropipe.config.clusters import ClusterStartConfig
from astropipe.config.nbody import TrainConfig
from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.clusters.accuracy import ARCHITECTURE, SHAPE, EtaPolicy, dynamical_time
from astropipe.nbody.clusters.initial import Cluster, make_cluster
from astropipe.nbody.clusters.run import ClusterRun, Controls
from astropipe.nbody.conserved import total_energy
from astropipe.nbody.evolution import TrainingPlan, log_gains, train
from astropipe.nbody.policy_artifact import PolicyRecord
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.progress import Progress
from astropipe.runtime.seeds import stream

# What is drawn, evenly in the logarithm: numbers of stars, and energy errors in each dynamical time.
STARS = (24, 128)
TARGETS = (1e-8, 1e-4)
# Length of a run in N-body units, and how often its energy is looked at.
T_END, _LOOKS = 2.0, 4
_KINDS = tuple((profile, masses) for profile in ("plummer", "king") for masses in ("equal", "kroupa"))
_SCORE_SYSTEMS = 50
# The eta for all stars that is to be beaten: the best one for an error of 1e-7 in a dynamical time, and for others by
# the power of the scheme, error ~ eta^2.4.
_ETA, _POWER = 0.012, 1.0 / 2.4


class _Run(NamedTuple):
    cluster: Cluster
    target: float


class EtaTask:
    """The choice of eta as what is learned; see `astropipe.nbody.evolution.Task`."""

    purpose = "nbody.train.cluster-eta"
    check_systems = 24

    def first_weights(self, rng: np.random.Generator) -> FloatArray:
        """Return those of an eta that is the same for all stars."""
        weights = np.zeros(SHAPE)
        weights[0, :2] = math.log(_ETA), _POWER * math.log(10.0)
        return weights.ravel()

    def draw(self, rng: np.random.Generator, n: int) -> list[_Run]:
        """Return n clusters of each profile and kind of masses, with targets from n bins."""
        runs = []
        for profile, masses in _KINDS:
            for k in range(n):
                stars = round(_log_uniform(STARS, rng.uniform()))
                start = ClusterStartConfig(profile=profile, masses=masses, n_stars=stars)
                cluster = make_cluster(start, int(rng.integers(2**62)))
                runs.append(_Run(cluster, _log_uniform(TARGETS, (k + rng.uniform()) / n)))
        return runs

    def log_costs(self, runs: list[_Run], weights: FloatArray | None) -> FloatArray:
        """Return the logarithm of the price of each run; without weights, with one eta for all stars."""
        if weights is None:
            weights = self.first_weights(np.random.default_rng())
        return np.log([_price(run, weights.reshape(SHAPE)) for run in runs])


def _log_uniform(limits: tuple[float, float], share: float) -> float:
    low, high = np.log(limits)
    return float(math.exp(low + share * (high - low)))


def _price(run: _Run, weights: FloatArray) -> float:
    """Return forces on stars, times the largest energy error over the target where it is above."""
    masses, positions, velocities = run.cluster.masses, run.cluster.positions, run.cluster.velocities
    integration = ClusterRun(masses, positions, velocities, Controls(eta_policy=EtaPolicy(weights, run.target)))
    energy = float(total_energy(masses, positions, velocities))
    allowed = run.target * T_END / dynamical_time(masses, positions)
    error = 0.0
    for time in np.linspace(0.0, T_END, _LOOKS + 1)[1:]:
        integration.advance(float(time))
        if integration.status != "ok":
            return integration.star_forces / run.target
        error = max(error, abs(float(total_energy(masses, *integration.phase())) / energy - 1.0))
    return integration.star_forces * max(1.0, error / allowed)


def train_policy(
    settings: TrainConfig, seed: int, *, checkpoint: Checkpoint | None = None, progress: Progress | None = None
) -> PolicyRecord:
    """Train as ``astropipe nbody train`` asks for it, and return what to store; see `nbody.evolution.train`."""
    task, plan = EtaTask(), TrainingPlan(settings.generations, settings.population, settings.systems)
    trained = train(task, plan, seed, checkpoint=checkpoint, progress=progress)
    described = {"seed": seed, **asdict(plan), "stars": STARS, "targets": TARGETS, "t_end": T_END, "kinds": _KINDS}
    domain = {"stars": STARS, "targets": TARGETS, "binaries": "none at the start; for others see docs/clusters.md"}
    runs = task.draw(stream(seed, f"{task.purpose}.score"), _SCORE_SYSTEMS)
    gains = log_gains(task, runs, trained.weights).reshape(len(_KINDS), _SCORE_SYSTEMS)
    scores = [("cost over that of a fixed eta", float(np.exp(gains.mean())), "")]
    for (profile, masses), gain in zip(_KINDS, gains, strict=True):
        scores.append((f"cost over that of a fixed eta, {profile}, {masses} masses", float(np.exp(gain.mean())), ""))
    return PolicyRecord(
        title=f"Cluster eta policy, seed {seed}",
        weights={"policy": trained.weights.reshape(SHAPE)},
        architecture=json.dumps({"method": "cluster-eta", "rule": ARCHITECTURE}),
        training=json.dumps(described),
        domain=json.dumps(domain),
        curve=trained.curve,
        scores=scores,
    )
