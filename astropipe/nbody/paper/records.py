"""A trained policy of the paper's task as the plain arrays, texts and rows of a ``policy`` artifact, and back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from astropipe.nbody.paper.agent import AgentConfig, Learned
from astropipe.nbody.paper.environment import MENDED_TRAINING, PUBLISHED_TRAINING
from astropipe.nbody.paper.policy import EVALUATION_DECISIONS, Network, evaluate, network_of
from astropipe.nbody.paper.task import AS_PUBLISHED, MENDED, Defects, TaskConfig
from astropipe.nbody.policy_artifact import PolicyRecord
from astropipe.runtime.errors import InputError, UsageError

# Scores come from these, none of which a mended training sees; the published one trains on the first.
PAPER_SEEDS, HELD_OUT_SEEDS = range(100), range(1000, 1200)
_METHOD = "paper-dqn"


def record(config: AgentConfig, learned: Learned, seed: int) -> PolicyRecord:
    """Return what to store of a training, scored on the seeds of the paper and on held-out ones.

    Parameters
    ----------
    config : AgentConfig
        Settings of the training.
    learned : Learned
        Its result.
    seed : int
        Root seed.

    Raises
    ------
    UsageError
        If the training has not come to its first test episodes.
    """
    if learned.network is None:
        raise UsageError("the training has no network yet: train at least as many episodes as test_every")
    defects = config.task.defects
    training = {
        "seed": seed,
        "episodes": len(learned.curve["episode"]),
        "chosen_episode": learned.best_episode,
        "system_seeds": PUBLISHED_TRAINING if defects.seeds_overlap else MENDED_TRAINING,
        "test_seeds": list(config.test_seeds),
        "agent": {name: value for name, value in asdict(config).items() if name != "task"},
    }
    architecture = {"method": _METHOD, "n_hidden": config.n_hidden, "width": config.width, "task": asdict(config.task)}
    domain = {
        "systems": "three bodies of 1 Msun, initial conditions of Saz Ulibarrena & Portegies Zwart (2025)",
        "integrator": "amuse-hermite",
        "decisions": EVALUATION_DECISIONS,
    }
    return PolicyRecord(
        title=f"{_title(defects)}, seed {seed}",
        weights=learned.network.arrays(),
        architecture=json.dumps(architecture),
        training=json.dumps(training),
        domain=json.dumps(domain),
        curve=learned.curve,
        tests=learned.tests,
        scores=_scores(learned.network, config.task),
    )


def _title(defects: Defects) -> str:
    """Return which defects a training had, in few words."""
    if defects in (AS_PUBLISHED, MENDED):
        return "as published" if defects == AS_PUBLISHED else "all mended"
    kept = {name: bool(value) for name, value in asdict(defects).items()}
    few = sum(kept.values()) < 3
    names = [name.replace("_", " ") for name, value in kept.items() if value == few]
    return f"{'kept' if few else 'mended'}: {', '.join(names)}"


def _scores(network: Network, task: TaskConfig) -> list[tuple[str, float, str]]:
    """Return one row a measure and set of seeds; times are left out, which no two runs share."""
    rows = []
    for seeds in (PAPER_SEEDS, HELD_OUT_SEEDS):
        for measure, value in evaluate(network, seeds, task).summary().items():
            if not measure.startswith("wall"):
                rows.append((f"{measure}, seeds {seeds[0]}-{seeds[-1]}", value, ""))
    return rows


def policy_of(weights: dict[str, Any], architecture: str) -> tuple[Network, TaskConfig]:
    """Return network and task of a stored policy.

    Raises
    ------
    InputError
        If the policy is of another method, or its description or weights are not usable.
    """
    try:
        described = json.loads(architecture)
        method = described["method"]
        if method != _METHOD:
            raise InputError(f"the policy is of method {method!r}; this task needs one of {_METHOD!r}")
        task = dict(described["task"])
        pairs = {"mu_range": tuple(task["mu_range"]), "weights": tuple(task["weights"])}
        config = TaskConfig(**{**task, **pairs, "defects": Defects(**task["defects"])})
        n_hidden = int(described["n_hidden"])
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(
            f"the architecture of the policy cannot be read ({error!r}); train it again with astropipe nbody train"
        ) from error
    return network_of(weights, n_hidden), config
