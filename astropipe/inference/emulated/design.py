"""Where to call the true likelihood next, while the emulator learns."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from astropipe.inference.emulated.annealing import Mask, Particles
from astropipe.inference.emulated.emulator import Emulator

Array = NDArray[np.float64]

LEAST_POWER = 0.2
"""Candidates are particles of the likelihood to at least this power: the posterior and what surrounds it."""

MOST_CANDIDATES = 3000

GREED = 0.5
"""Power of the (optimistic) emulated likelihood by which the variance of a candidate is weighted."""


def first_points(allowed: Mask, n_parameters: int, n: int, rng: np.random.Generator) -> Array:
    """Return n points of a scrambled Sobol sequence in the unit cube that the constraints allow, [n, d]."""
    sequence = qmc.Sobol(n_parameters, rng=rng)
    found = np.empty((0, n_parameters))
    while len(found) < n:
        u = np.clip(sequence.random_base2(math.ceil(math.log2(2 * n))), 1e-12, 1.0 - 1e-12)
        found = np.concatenate([found, u[allowed(u)]])
        sequence = qmc.Sobol(n_parameters, rng=rng)
    return found[:n]


def next_points(emulator: Emulator, stages: list[Particles], n: int, rng: np.random.Generator) -> Array:
    """Return the n particles that would teach the emulator most about the posterior, [n, d]."""
    late = [stage for stage in stages if stage.power >= LEAST_POWER]
    u = np.concatenate([stage.u for stage in late])
    emulated = np.concatenate([stage.log_likelihoods for stage in late])
    if len(u) > MOST_CANDIDATES:
        kept = rng.choice(len(u), MOST_CANDIDATES, replace=False)
        u, emulated = u[kept], emulated[kept]
    optimistic = emulated + emulator.deviation(u)
    weights = np.exp(GREED * np.minimum(optimistic - emulated.max(), 0.0))
    return u[emulator.most_informative(u, weights, n)]
