"""Particles of the emulated posterior, annealed from the prior so that separate modes are found and kept.

Sequential Monte Carlo [Del Moral, Doucet & Jasra 2006, J. R. Stat. Soc. B 68, 411] with differential evolution
moves [ter Braak 2006, Statistics and Computing 16, 239]. Only the cheap emulator is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.summaries import effective_sample_size, systematic_resample

Array = NDArray[np.float64]
Function = Callable[[Array], Array]
Mask = Callable[[Array], NDArray[np.bool_]]

N_MOVES = 6
"""Moves of each particle after each change of temperature."""

LEAST_STEP, MOST_STEPS = 1e-4, 60


@dataclass(frozen=True, slots=True)
class Particles:
    """Equally weighted draws u [n, d] from prior × L^power, their emulated ln L [n]."""

    u: Array
    log_likelihoods: Array
    power: float


def anneal(
    log_likelihood: Function, allowed: Mask, n_parameters: int, n: int, rng: np.random.Generator
) -> list[Particles]:
    """Return particles at rising powers of the likelihood, from the prior (0) to the posterior (1).

    Parameters
    ----------
    log_likelihood
        Emulated ln L of points [m, d] of the unit cube.
    allowed
        Whether points [m, d] of the unit cube satisfy the constraints of the prior.
    n
        Number of particles, even.
    """
    u = draw_prior(allowed, n_parameters, n, rng)
    values = log_likelihood(u)
    stages = [Particles(u, values, 0.0)]
    while stages[-1].power < 1.0:
        last = stages[-1]
        power = next_power(last.log_likelihoods, last.power)
        if len(stages) >= MOST_STEPS:
            power = 1.0
        log_weights = (power - last.power) * last.log_likelihoods
        weights = np.exp(log_weights - log_weights.max())
        chosen = systematic_resample(weights / weights.sum(), n, rng)
        u, values = last.u[chosen].copy(), last.log_likelihoods[chosen].copy()
        for _ in range(N_MOVES):
            _move(u, values, power, log_likelihood, allowed, rng)
        stages.append(Particles(u, values, power))
    return stages


def moved(u: Array, log_likelihood: Function, allowed: Mask, n_moves: int, rng: np.random.Generator) -> Particles:
    """Return particles of the posterior [n, d] that began at `u` [n, d], n even."""
    u, values = u.copy(), log_likelihood(u)
    for _ in range(n_moves):
        _move(u, values, 1.0, log_likelihood, allowed, rng)
    return Particles(u, values, 1.0)


def next_power(log_likelihoods: Array, power: float) -> float:
    """Return the next power, at which half of the particles are still effective; found by bisection."""

    def remaining(step: float) -> float:
        log_weights = step * log_likelihoods
        weights = np.exp(log_weights - log_weights.max())
        return effective_sample_size(weights / weights.sum()) / len(weights)

    low, high = 0.0, 1.0 - power
    if remaining(high) >= 0.5:
        return 1.0
    while high - low > 1e-3 * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if remaining(middle) >= 0.5 else (low, middle)
    return min(1.0, power + high)


def draw_prior(allowed: Mask, n_parameters: int, n: int, rng: np.random.Generator) -> Array:
    """Return n points of the unit cube that the constraints allow, [n, d]."""
    parts: list[Array] = []
    while sum(map(len, parts)) < n:
        u = rng.random((n, n_parameters))
        parts.append(u[allowed(u)])
    return np.concatenate(parts)[:n]


def _move(
    u: Array, values: Array, power: float, log_likelihood: Function, allowed: Mask, rng: np.random.Generator
) -> None:
    """Move each half of the particles by differences between members of the other half, in place."""
    n, d = u.shape
    order = rng.permutation(n)
    halves = order[: n // 2], order[n // 2 :]
    for moving, other in (halves, halves[::-1]):
        a, b = (rng.choice(other, len(moving)) for _ in range(2))
        # Now and then the full difference, which takes a particle from one mode to another.
        gamma = np.where(rng.random(len(moving)) < 0.1, 1.0, 2.38 / math.sqrt(2.0 * d) * rng.random(len(moving)))
        proposal = u[moving] + gamma[:, None] * (u[a] - u[b]) + 1e-6 * rng.standard_normal((len(moving), d))
        inside = np.all((proposal > 0.0) & (proposal < 1.0), axis=1)
        inside[inside] = allowed(proposal[inside])
        new = np.full(len(moving), -np.inf)
        if np.any(inside):
            new[inside] = log_likelihood(proposal[inside])
        accept = np.log(rng.random(len(moving))) < power * (new - values[moving])
        u[moving[accept]], values[moving[accept]] = proposal[accept], new[accept]
