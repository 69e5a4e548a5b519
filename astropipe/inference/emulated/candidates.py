"""Candidates of a correction round: a pool around the emulated posterior, and what the emulator says of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.emulated.annealing import Particles
from astropipe.inference.emulated.correction import Pool, draw_pool, normalised, posterior_part
from astropipe.inference.emulated.emulator import Emulator
from astropipe.inference.emulated.knowledge import Knowledge
from astropipe.inference.emulated.mixture import fit_mixture
from astropipe.inference.summaries import systematic_resample

Array = NDArray[np.float64]

POOL_SIZE, MOST_OF_POOL, MOST_POOLS = 20_000, 0.02, 3
"""Points of a pool, share of the emulated posterior that one of them may have, and how often a better one is tried."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """A pool, what the emulator says of it, the relative error of L that it expects, and the particles behind it."""

    emulator: Emulator
    pool: Pool
    emulated: Array
    deviation: Array
    expected_error: float
    particles: Particles


def relative_error(deviation: Array) -> float:
    """Return the root mean square relative error of L that deviations [n] of ln L mean, √⟨e^σ² − 1⟩, σ² ≤ 3."""
    return float(np.sqrt(np.mean(np.expm1(np.minimum(deviation**2, 3.0)))))


def draw_candidates(run: Knowledge, emulator: Emulator, posterior: Particles) -> Candidates:
    """Return a pool drawn around particles of the emulated posterior, or around better ones."""
    for _ in range(MOST_POOLS):
        pool = draw_pool(fit_mixture(posterior.u, run.rng), run.allowed, POOL_SIZE, run.rng)
        emulated = run.emulate(emulator, pool.u)
        share = normalised(emulated - pool.log_density)
        if share.max() < MOST_OF_POOL:
            break
        # The particles miss a part of the emulated posterior, and with them the mixture.
        chosen = systematic_resample(share, len(posterior.u), run.rng)
        posterior = run.anneal_from(emulator, pool.u[chosen])
    ratio = emulated - pool.log_density
    likely = ratio > ratio.max() - 20.0
    deviation = np.zeros(len(emulated))
    deviation[likely] = emulator.deviation(pool.u[likely])
    part = posterior_part(pool, emulated, deviation)
    expected = math.sqrt(float(part @ np.expm1(np.minimum(deviation**2, 3.0))))
    return Candidates(emulator, pool, emulated, deviation, expected, posterior)


def suspects(candidates: Candidates, n: int, rng: np.random.Generator) -> Array:
    """Return n points of a pool at which the posterior may be and the emulator is unsure, [n, d]."""
    part = posterior_part(candidates.pool, candidates.emulated, candidates.deviation)
    doubtful = part * np.minimum(candidates.deviation, 3.0)
    return candidates.pool.u[rng.choice(len(part), n, p=doubtful / doubtful.sum())]
