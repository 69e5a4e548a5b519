"""Where to call the true likelihood next, while the emulator learns."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from astropipe.inference.emulated.annealing import Function, Mask, Particles
from astropipe.inference.emulated.emulator import Emulator

Array = NDArray[np.float64]

LEAST_POWER = 0.2
"""Candidates are particles of the likelihood to at least this power: the posterior and what surrounds it."""

MOST_CANDIDATES = 3000

GREED = 0.5
"""Power of the (optimistic) emulated likelihood by which the variance of a candidate is weighted."""

N_STEPS = 64
"""Steps from known points of which the emulator chooses one."""


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


def uphill_points(
    u: Array, log_likelihoods: Array, possible: Function, allowed: Mask, n: int, rng: np.random.Generator
) -> Array:
    """Return up to n points [m, d] a step away from the best of the known points u [k, d], whatever lies elsewhere.

    Half of the steps are differences of such points, along the ridge that they show, as in differential evolution
    [Storn & Price 1997, Journal of Global Optimization 11, 341]. The others, of any length, change one parameter, for
    good points that lie along a wall of the prior show no way from it. Of each set of steps one is taken for which ln L
    is highest according to `possible`, which says of points [m, d] how high it may be.
    """
    d = u.shape[1]
    best = u[np.argsort(-log_likelihoods, kind="stable")[: 4 * d]]
    points = []
    for _ in range(n):
        start, a, b = (best[rng.integers(len(best), size=N_STEPS)] for _ in range(3))
        along = rng.random((N_STEPS, 1)) * (a - b) + 1e-3 * rng.standard_normal((N_STEPS, d))
        length = rng.choice([-1.0, 1.0], N_STEPS) * 10.0 ** rng.uniform(-3.0, 0.0, N_STEPS)
        across = length[:, None] * np.eye(d)[rng.integers(d, size=N_STEPS)]
        steps = start + np.where(rng.random((N_STEPS, 1)) < 0.5, along, across)
        steps = steps[np.all((steps > 0.0) & (steps < 1.0), axis=1)]
        steps = steps[allowed(steps)]
        if len(steps):
            points.append(steps[np.argmax(possible(steps))])
    return np.array(points).reshape(-1, d)
