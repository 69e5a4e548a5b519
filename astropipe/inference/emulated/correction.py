"""The correction: an unbiased evidence from true values at points drawn with known probabilities.

Two-phase sampling. First a *pool* of M points u_j is drawn from a mixture g on the unit cube, at which only the
emulator is called. Then n ≪ M points are drawn from the pool with probabilities p_j that we choose with the help of
the emulator, and the true likelihood L is called at those. With t_j = L(u_j) / g(u_j), where the prior density on
the unit cube is 1,

    Z_n = (1/n) Σ_i t_i / (M p_i),   E[Z_n] = E[(1/M) Σ_j t_j] = ∫ L du = Z,

whatever the emulator says, as long as p_j > 0 where L > 0 [Hansen & Hurwitz 1943, Ann. Math. Stat. 14, 333]. So the
quality of the emulator decides about the scatter of the weights w_i = t_i / (M p_i) and never about their mean. Draws
are *stratified*: fixed numbers n_k from each part k of the probabilities p = Σ_k (n_k / n) p_k, all with the same
weights, which is the deterministic mixture of Owen & Zhou (2000, JASA 95, 135). Within a part they are *systematic*:
equally spaced along the pool ordered by the emulated posterior, with a random start. Along it the weights vary smoothly
but for the errors of the emulator, so that the variance is that of neighbours, s_k² = ⟨(w_{i+1} − w_i)²⟩ / 2 [Wolter
1984, JASA 79, 781], plus that of the pool,

    Var Z_n = Σ_k (n_k / n)² s_k² / n_k + Var_g(t) / M.

Rounds r = 1 … R have pools and probabilities that depend on the values of earlier rounds, but each Z_r is unbiased
given those, so Σ n_r Z_r / Σ n_r is unbiased and its variance is the sum of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.emulated.mixture import Mixture
from astropipe.inference.summaries import systematic_resample

Array = NDArray[np.float64]
Mask = Callable[[Array], NDArray[np.bool_]]

PRIOR_SHARE_OF_POOL, WIDENING = 0.2, 1.4
"""Part of the pool that is drawn from the prior; the mixture, so much wider than was fitted, has the rest.

A mixture fitted to a thousand particles misses what lies between its components and beyond them.
"""

SHARES = {"posterior": 0.7, "pool": 0.2, "tempered": 0.05, "prior": 0.05}
"""How the draws of a round are divided between the parts of the probabilities.

The second takes every point of the pool alike: wherever the mixture reaches, weights are bounded, whatever the emulator
says of the place.
"""

DOUBT, MOST_OPTIMISM = 3.0, 6.0
"""Variance of the emulated ln L in units of what the process expects, and by how much it may raise ln L at most.

The process is too sure of itself where it extrapolates, at the rim of the posterior.
"""


@dataclass(frozen=True, eq=False)
class Pool:
    """Draws u [m, d] from the density g, of which log_density [m] is the logarithm; all inside the prior.

    `n_drawn` counts those outside the prior too, where L = 0.
    """

    u: Array
    log_density: Array
    n_drawn: int


@dataclass(frozen=True, eq=False)
class Round:
    """Points drawn from a pool.

    Attributes
    ----------
    u : ndarray [n, d]
        The points.
    log_pool_factor, log_proposal : ndarray [n]
        ln(M p) and ln(M p g).
    stratum : ndarray [n]
        The part of the probabilities from which each was drawn.
    n_drawn : int
        Size M of the pool.
    """

    u: Array
    log_pool_factor: Array
    log_proposal: Array
    stratum: NDArray[np.intp]
    n_drawn: int


@dataclass(frozen=True, eq=False)
class Estimate:
    """Evidence from several rounds.

    Attributes
    ----------
    logz, logz_err : float
        ln Z and its error; −inf and inf where no point has L > 0.
    log_weights : ndarray [n]
        Of all points of the rounds in turn; the weights sum to Z.
    ess, largest_weight, disagreement : float
        As in `EmulatedDiagnostics`.
    """

    logz: float
    logz_err: float
    log_weights: Array
    ess: float
    largest_weight: float
    disagreement: float


def draw_pool(mixture: Mixture, allowed: Mask, n: int, rng: np.random.Generator) -> Pool:
    """Draw n points from the widened mixture and the prior."""
    mixture = mixture.widened(WIDENING)
    n_prior = int(PRIOR_SHARE_OF_POOL * n)
    d = mixture.centres.shape[1]
    u = np.concatenate([mixture.draw(n - n_prior, rng), rng.random((n_prior, d))])
    inside = np.all((u > 0.0) & (u < 1.0), axis=1)
    inside[inside] = allowed(u[inside])
    u = u[inside]
    share = n_prior / n
    log_density = np.logaddexp(np.log1p(-share) + mixture.log_density(u), np.log(share))
    return Pool(u, log_density, n)


def posterior_part(pool: Pool, emulated: Array, deviation: Array) -> Array:
    """Return the probabilities [m] of the points of a pool by which the emulated posterior is drawn.

    √E[L²], to which the best proposal is proportional, is exp(μ + σ²) where ln L has mean μ and variance σ².
    """
    return normalised(emulated + np.minimum(DOUBT * deviation**2, MOST_OPTIMISM) - pool.log_density)


def draw_round(pool: Pool, emulated: Array, deviation: Array, n: int, rng: np.random.Generator) -> Round:
    """Draw the n points of a round from a pool of m points.

    Parameters
    ----------
    emulated, deviation
        Emulated ln L of the points of the pool and the emulator's own error of them, [m].
    """
    parts = (
        posterior_part(pool, emulated, deviation),
        np.full(len(pool.u), 1.0 / len(pool.u)),
        normalised(0.5 * emulated - pool.log_density),
        normalised(-pool.log_density),
    )
    counts = [max(2, round(share * n)) for share in SHARES.values()]
    counts[0] = n - sum(counts[1:])
    # Systematic draws along the emulated posterior leave to chance only what the emulator does not know.
    along = np.argsort(parts[0], kind="stable")
    drawn = np.concatenate(
        [along[np.sort(systematic_resample(part[along], k, rng))] for part, k in zip(parts, counts, strict=True)]
    )
    probability = np.sum([k / n * part for part, k in zip(parts, counts, strict=True)], axis=0)
    log_pool_factor = np.log(pool.n_drawn) + np.log(probability[drawn])
    return Round(
        pool.u[drawn],
        log_pool_factor,
        log_pool_factor + pool.log_density[drawn],
        np.repeat(np.arange(len(parts)), counts),
        pool.n_drawn,
    )


def round_moments(one: Round, log_likelihoods: Array, reference: float) -> tuple[float, float]:
    """Return the evidence of one round and its variance, in units of exp(reference) and its square."""
    weights = np.exp(log_likelihoods - reference - one.log_proposal)
    n = len(weights)
    within = 0.0
    for k in np.unique(one.stratum):
        steps = np.diff(weights[one.stratum == k])
        within += (len(steps) + 1) / n**2 * 0.5 * float(np.mean(steps**2))
    mean = float(np.mean(weights))
    # E[t²] over the pool is the mean of t² / (M p), of which one factor t / (M p) is the weight.
    second = float(np.mean(weights**2 * np.exp(one.log_pool_factor)))
    between = max(0.0, second - mean**2) / one.n_drawn
    return mean, within + between


def combine(rounds: Sequence[Round], values: Sequence[Array]) -> Estimate:
    """Return the evidence from the true ln L `values` (one array a round) at the points of rounds."""
    n = np.array([len(value) for value in values])
    total = int(n.sum())
    log_weights = np.concatenate([value - one.log_proposal for one, value in zip(rounds, values, strict=True)])
    log_weights -= np.log(total)
    reference = float(np.max(np.concatenate(values)))
    if not np.isfinite(reference):
        return Estimate(-np.inf, np.inf, log_weights, 0.0, 1.0, np.inf)
    moments = np.array([round_moments(one, value, reference) for one, value in zip(rounds, values, strict=True)])
    means, variances = moments[:, 0], moments[:, 1]
    z = float(n @ means) / total
    error = float(np.sqrt(n**2 @ variances)) / total / z
    weights = normalised(log_weights)
    disagreement = 0.0
    if len(rounds) > 1:
        # The variance of one draw is pooled: a round that missed the posterior has none of its own.
        per_draw = float(n**2 @ variances) / total
        others = (z * total - n * means) / (total - n)
        disagreement = float(np.max(np.abs(means - others) / np.sqrt(per_draw * (1.0 / n + 1.0 / (total - n)))))
    return Estimate(
        float(np.log(z)) + reference,
        error,
        log_weights,
        float(1.0 / (weights @ weights)),
        float(weights.max()),
        disagreement,
    )


def normalised(log_weights: Array) -> Array:
    """Return weights that sum to 1, from their logarithms."""
    weights = np.exp(log_weights - np.max(log_weights))
    return np.asarray(weights / np.sum(weights))
