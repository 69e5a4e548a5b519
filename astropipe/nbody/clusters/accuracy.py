r"""The accuracy parameter of the steps of stars as a learned policy chooses it: for every star, at every step.

Aarseth's step is a share :math:`\sqrt\eta` of the time in which the force on a star changes. With one eta for all, a
hard encounter is followed as well as the slow passage of a star through the halo, though it puts more of the energy of
the cluster at stake. The policy sees of a star

.. math:: h = \frac{N m v a T}{|E|}, \qquad \frac{T}{t}, \qquad \frac{m}{\bar m}, \qquad T = \frac{|a|}{|\dot a|},

the energy at stake over the energy of the cluster for each star, the time scale of the force in units of
:math:`t = \sqrt{r_h^3 / G M}`, and the mass over the mean mass. Eta is a power law of the three, whose factor and
exponents depend on the energy error that is aimed at and on the number of stars. All of it is known at the step, so a
run that was paused chooses as one that was not.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from astropipe.artifacts import open_artifact
from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.clusters.layout import LANES, MASS, VX
from astropipe.nbody.clusters.state import Particles, Work
from astropipe.nbody.compilation import kernel
from astropipe.nbody.conserved import barycentre, total_energy
from astropipe.runtime.errors import ArtifactError
from astropipe.runtime.shipped import weights_file

# The limits of what is chosen.
LOWEST, HIGHEST = 1e-4, 0.5
# Coefficients of ln eta (factor; exponents of energy at stake, time scale and mass), each a sum over what is known of
# the run (1; decades of the error aimed at, from 1e-7; doublings of the number of stars, from 64).
SHAPE = (4, 3)
ARCHITECTURE = {"rule": "power law", "shape": SHAPE, "limits": [LOWEST, HIGHEST], "version": 1}
SHIPPED = "nbody-cluster-eta.h5"
# The rule of a run whose eta is fixed.
NO_RULE: FloatArray = np.zeros(0)


@dataclass(frozen=True)
class EtaPolicy:
    """A learned choice of eta.

    Attributes
    ----------
    weights : array of shape SHAPE
        See `SHAPE`.
    energy_target : float
        Relative energy error that is aimed at in each time sqrt(r_h^3 / G M).
    """

    weights: FloatArray
    energy_target: float

    def rule(self, masses: FloatArray, positions: FloatArray, velocities: FloatArray) -> FloatArray:
        """Return the power law for stars, (n,) and (n, 3): logarithm of the factor, exponents of m v a T, T and m.

        Units of the cluster are in the factor, so that the time loop takes numbers as they are.
        """
        n = len(masses)
        known = np.array([1.0, math.log10(self.energy_target) + 7.0, math.log2(n / 64.0)])
        factor, *exponents = self.weights @ known
        energy = abs(float(total_energy(masses, positions, velocities)))
        units = (energy / n, dynamical_time(masses, positions), masses.mean())
        return np.array([factor - np.dot(exponents, np.log(units)), *exponents])


def dynamical_time(masses: FloatArray, positions: FloatArray) -> float:
    """Return sqrt(r_h^3 / G M) of stars, (n,) and (n, 3), with the median distance from their barycentre as r_h."""
    radius = float(np.median(np.linalg.norm(positions - barycentre(masses, positions), axis=1)))
    return math.sqrt(radius**3 / masses.sum())


@kernel
def choose_eta(stars: Particles, n: int, rule: FloatArray, work: Work) -> None:
    """Choose eta of the first n active stars for their next step, from the forces in `work` and their velocities."""
    for k in range(n):
        i = work.active[k]
        row, tile, lane = stars.state[i // LANES], work.tiles[i // LANES], i % LANES
        v2 = a2 = j2 = 0.0
        for c in range(3):
            v, a, j = row[(VX + c) * LANES + lane], work.force[k, c], work.force[k, 3 + c]
            v2 += v * v
            a2 += a * a
            j2 += j * j
        # Of a star at rest, or without a jerk, nothing is known.
        if not v2 * a2 * j2 > 0.0:
            continue
        mass = math.log(tile[MASS * LANES + lane])
        time = 0.5 * math.log(a2 / j2)
        stake = mass + 0.5 * math.log(v2 * a2) + time
        chosen = math.exp(rule[0] + rule[1] * stake + rule[2] * time + rule[3] * mass)
        stars.eta[i] = min(max(chosen, LOWEST), HIGHEST)


def read_eta_policy(path: str | Path) -> FloatArray:
    """Read the weights of a ``policy`` artifact of the method cluster-eta, of shape `SHAPE`.

    Raises
    ------
    ArtifactError
        If it is no such artifact, or not one of this version.
    """
    with open_artifact(Path(path), "policy") as artifact:
        architecture = artifact.record("architecture")
        wanted = {"method": "cluster-eta", "rule": json.loads(json.dumps(ARCHITECTURE))}
        if architecture != wanted:
            raise ArtifactError(
                f"{path}: this policy does not choose eta as this version does; train one with astropipe nbody train "
                "--set nbody.train.policy=cluster-eta"
            )
        return np.array(artifact.array("weights/policy"), dtype=np.float64)


@cache
def shipped_eta_policy() -> FloatArray:
    """Return the weights that come with astropipe."""
    return read_eta_policy(weights_file(SHIPPED))
