"""Candidates of a correction round: a pool around the emulated posterior, and what the emulator says of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.emulated.annealing import Particles
from astropipe.inference.emulated.correction import Pool, draw_pool, normalised, posterior_part, thin
from astropipe.inference.emulated.emulator import Emulator
from astropipe.inference.emulated.knowledge import Knowledge
from astropipe.inference.emulated.mixture import fit_mixture
from astropipe.inference.summaries import systematic_resample

Array = NDArray[np.float64]

POOL_SIZE, TRIAL_POOL_SIZE, N_FITTED, N_TRIALS = 100_000, 25_000, 3000, 2
"""Points of a pool, of one that only serves to find a better mixture, of those to which that is fitted; and how often.
"""

FAR_TEMPERED, FAR_SHARE = 0.3, 0.5
"""Power of the likelihood to which a part of the mixture is fitted, and the share of that part."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """A pool, what the emulator says of it, the relative error of L that it expects, and the particles behind it.

    `emulated` [m] is ln L as the emulator has it, `possible` [m] the highest that would not surprise it.
    """

    emulator: Emulator
    pool: Pool
    emulated: Array
    possible: Array
    deviation: Array
    expected_error: float
    particles: Particles


def relative_error(deviation: Array) -> float:
    """Return the root mean square relative error of L that deviations [n] of ln L mean, √⟨e^σ² − 1⟩, σ² ≤ 3."""
    return float(np.sqrt(np.mean(np.expm1(np.minimum(deviation**2, 3.0)))))


def draw_candidates(run: Knowledge, emulator: Emulator, posterior: Particles) -> Candidates:
    """Return a pool drawn around particles of the emulated posterior, or around better ones."""
    mixture = fit_mixture(posterior.u, run.rng)
    # Particles miss thin parts of the emulated posterior, and with them the mixture; pools around them do not. Where
    # the emulator is too low the posterior goes on, and a pool that ends with what is emulated never shows it.
    for _ in range(N_TRIALS):
        trial = draw_pool(mixture, run.allowed, TRIAL_POOL_SIZE, run.rng)
        emulated = run.emulate(emulator, trial.u)
        at, beyond = (
            trial.u[systematic_resample(normalised(power * emulated - trial.log_density), N_FITTED, run.rng)]
            for power in (1.0, FAR_TEMPERED)
        )
        posterior = run.anneal_from(emulator, at)
        mixture = fit_mixture(posterior.u, run.rng).joined(fit_mixture(beyond, run.rng), FAR_SHARE)
    # However this pool comes out, it is used: to choose among pools by their weights would be to bias the evidence.
    pool = draw_pool(mixture, run.allowed, POOL_SIZE, run.rng)
    pool, emulated = thin(pool, run.emulate(emulator, pool.u), run.rng)
    ratio = emulated - pool.log_density
    likely = ratio > ratio.max() - 20.0
    possible, deviation = emulator.prospects(pool.u)
    deviation[~likely] = 0.0
    part = posterior_part(pool, emulated, deviation)
    expected = math.sqrt(float(part @ np.expm1(np.minimum(deviation**2, 3.0))))
    return Candidates(emulator, pool, emulated, possible, deviation, expected, posterior)


def suspects(candidates: Candidates, n: int, rng: np.random.Generator) -> Array:
    """Return n points of a pool at which the posterior may be and the emulator is unsure, [n, d]."""
    part = posterior_part(candidates.pool, candidates.emulated, candidates.deviation)
    doubtful = part * np.minimum(candidates.deviation, 3.0)
    return candidates.pool.u[rng.choice(len(part), n, p=doubtful / doubtful.sum())]
