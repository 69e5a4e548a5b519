"""The learned policy of the time step: where it comes from, and the accuracy parameter from which it departs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from astropipe.artifacts import open_artifact
from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.timesteps import N_FEATURES, N_HIDDEN, N_WEIGHTS
from astropipe.runtime.errors import ArtifactError
from astropipe.runtime.shipped import weights_file

# Double precision allows no more over some hundred orbits (benchmarks/table_nbody_tolerance.py).
LOWEST_TOLERANCE = 1e-12

# The accuracy parameter of the power rule that holds a tolerance at the least cost, with redone steps and repetitions,
# mu = min(limit, factor * tolerance^exponent) (benchmarks/calibrate_power_rule.py).
_ACCURACY = {
    "hermite4": (0.3, 0.206, 0.0778),
    "hermite6": (0.563, 0.14, 0.313),
    "hermite8": (0.242, 0.0536, 0.156),
    "leapfrog": (0.628, 0.484, 0.0512),
    "yoshida4": (0.237, 0.181, 0.0677),
    "yoshida6": (0.642, 0.138, 0.313),
    "logh2": (0.156, 0.363, 0.0677),
    "logh4": (0.26, 0.212, 0.0778),
    "logh6": (0.392, 0.131, 0.206),
}

# From here on, the sixth order needs fewer evaluations than the eighth (benchmarks/calibrate_power_rule.py).
_LOOSE = 7e-5

ARCHITECTURE = {"features": N_FEATURES, "hidden": [N_HIDDEN, N_HIDDEN], "activation": "softsign", "version": 1}
SHIPPED = "nbody-timestep.h5"


@dataclass(frozen=True)
class Policy:
    """A learned policy.

    Attributes
    ----------
    name : str
        Where it comes from.
    weights : array of shape (N_WEIGHTS,)
        The network (`astropipe.nbody.timesteps.decide`).
    """

    name: str
    weights: FloatArray


def mu_of_tolerance(method: str, tolerance: float) -> float:
    """Return the accuracy parameter of the power rule for a relative energy error."""
    factor, exponent, limit = _ACCURACY[method]
    return min(limit, factor * math.pow(tolerance, exponent))


def best_method(tolerance: float) -> str:
    """Return the cheapest integrator for a tolerance."""
    return "hermite6" if tolerance >= _LOOSE else "hermite8"


def read_policy(path: str | Path) -> Policy:
    """Read a ``policy`` artifact.

    Raises
    ------
    ArtifactError
        If it is no such artifact, or its network does not fit this version: other features, or another shape.
    """
    with open_artifact(Path(path), "policy") as artifact:
        architecture = artifact.record("architecture")
        if architecture.get("network") != ARCHITECTURE:
            raise ArtifactError(
                f"{path}: this policy is not one of the network {ARCHITECTURE} that this version applies; "
                "train one with astropipe nbody train"
            )
        weights = np.array(artifact.array("weights/policy"), dtype=np.float64)
    if weights.shape != (N_WEIGHTS,) or not np.isfinite(weights).all():
        raise ArtifactError(f"{path}: the weights do not fit the network; train it again with astropipe nbody train")
    return Policy(str(path), weights)


@cache
def shipped_policy() -> Policy:
    """Return the policy that comes with astropipe."""
    return read_policy(weights_file(SHIPPED))
