"""The correction: an unbiased evidence from true values at points drawn with known probabilities.

Two-phase sampling. First a *pool* of M points u_j is drawn from a mixture g on the unit cube, at which only the
emulator is called. Then n ≪ M points are drawn from the pool with probabilities p_j that we choose with the help of
the emulator, and the true likelihood L is called at those. With t_j = L(u_j) / g(u_j), where the prior density on
the unit cube is 1,

    Z_n = (1/n) Σ_i t_i / (M p_i),   E[Z_n] = E[(1/M) Σ_j t_j] = ∫ L du = Z,

whatever the emulator says, as long as p_j > 0 where L > 0 [Hansen & Hurwitz 1943, Ann. Math. Stat. 14, 333]. So the
quality of the emulator decides about the scatter of the weights w_i = t_i / (M p_i) and never about their mean. The
probabilities are a mixture p = Σ_k s_k p_k, and w has all of it, as in the deterministic mixture of Owen & Zhou (2000,
JASA 95, 135). The pool is ordered by the weights that the emulator predicts and cut into n pieces of equal probability,
from each of which one point is drawn. The predicted weights ŵ vary little within a piece, and how much is known, so
that only the errors of the emulator are left to chance. The deviation of values within pieces is at most, on average,

    s(w) = √(⟨(w_{i+1} − w_i)²⟩ / 2),

from neighbours, whose squared difference also has that of the means of their pieces [Wolter 1984, JASA 79, 781]. That
of ŵ, v, is known from the pool; and no deviation of a sum is larger than the sum of deviations. So

    Var Z_n ≤ min(s(w), v + s(w − ŵ))² / n + ⟨Var_k(t)⟩ / M,

where the last term is that of the pool, of which prior and mixture have fixed shares k. An emulator that is wrong makes
the second of the two large; the first owes nothing to it but the order of the points.

Rounds r = 1 … R have pools and probabilities that depend on the values of earlier rounds, but each Z_r is unbiased
given those, so Σ n_r Z_r / Σ n_r is unbiased and its variance is the sum of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.emulated.mixture import Mixture

Array = NDArray[np.float64]
Mask = Callable[[Array], NDArray[np.bool_]]

PRIOR_SHARE_OF_POOL, WIDENING = 0.2, 1.4
"""Part of the pool that is drawn from the prior; the mixture, so much wider than was fitted, has the rest.

A mixture fitted to a thousand particles misses what lies between its components and beyond them.
"""

SHARES = {"posterior": 0.65, "pool": 0.15, "tempered": 0.15, "prior": 0.05}
"""Shares of the parts of the probabilities.

The second takes every point of the pool alike: wherever the mixture reaches, weights are bounded, whatever the emulator
says of the place.
"""

TEMPERED = 0.5
"""Power of the likelihood in the tempered part, which has the highest ln L that would not surprise the emulator.

It shows where the posterior goes on beyond what is emulated; else such a place has no chance that counts.
"""

THINNED = 20_000
"""Points of a pool that are left where the emulator has said which of them matter."""

DOUBT, MOST_OPTIMISM = 3.0, 6.0
"""Variance of the emulated ln L in units of what the process expects, and by how much it may raise ln L at most.

The process is too sure of itself where it extrapolates, at the rim of the posterior.
"""


@dataclass(frozen=True, eq=False)
class Pool:
    """Draws u [m, d] from the density g, of which log_density [m] is the logarithm; all inside the prior.

    A pool may be thinned: `n_drawn` points were drawn, those outside the prior with L = 0 included, and of each kept
    one log_kept [m] is the logarithm of the number of times that it was to be kept.
    """

    u: Array
    log_density: Array
    log_kept: Array
    n_drawn: int


@dataclass(frozen=True, eq=False)
class Round:
    """Points drawn from a pool.

    Attributes
    ----------
    u : ndarray [n, d]
        The points.
    log_density, log_proposal : ndarray [n]
        ln g and ln(M p g).
    log_predicted : ndarray [n]
        ln ŵ, the weights that the emulator predicts.
    log_spread : float
        ln of v, their deviation within pieces.
    posterior : ndarray [n]
        Share of the emulated posterior in the probability of each.
    n_drawn : int
        Size M of the pool.
    """

    u: Array
    log_density: Array
    log_proposal: Array
    log_predicted: Array
    log_spread: float
    posterior: Array
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
    return Pool(u, log_density, np.zeros(len(u)), n)


def thin(pool: Pool, emulated: Array, rng: np.random.Generator) -> tuple[Pool, Array]:
    """Return the points of a pool that matter, some of them more than once, and the emulated ln L of these.

    Half of the draws take all points alike, half by the emulated posterior. They are spread over the pool as those of
    a round are, so that what they add to its variance is less than a hundredth of what the round does.
    """
    ratio = emulated - pool.log_density
    probability = 0.5 / len(pool.u) + 0.5 * normalised(ratio)
    kept = _spread(probability, ratio, THINNED, rng)
    log_kept = math.log(THINNED) + np.log(probability[kept])
    return Pool(pool.u[kept], pool.log_density[kept], log_kept, pool.n_drawn), emulated[kept]


def posterior_part(pool: Pool, emulated: Array, deviation: Array) -> Array:
    """Return the probabilities [m] of the points of a pool by which the emulated posterior is drawn.

    √E[L²], to which the best proposal is proportional, is exp(μ + σ²) where ln L has mean μ and variance σ².
    """
    optimism = np.minimum(DOUBT * deviation**2, MOST_OPTIMISM)
    return normalised(emulated + optimism - pool.log_density - pool.log_kept)


def draw_round(
    pool: Pool, emulated: Array, possible: Array, deviation: Array, n: int, rng: np.random.Generator
) -> Round:
    """Draw the n points of a round from a pool of m points.

    Parameters
    ----------
    emulated, possible, deviation
        Emulated ln L of the points of the pool, the highest that would not surprise, and the emulator's own error of
        the first, [m].
    """
    ratio = emulated - pool.log_density - pool.log_kept
    parts = {
        "posterior": posterior_part(pool, emulated, deviation),
        "pool": normalised(-pool.log_kept),
        "tempered": normalised(TEMPERED * possible - pool.log_density - pool.log_kept),
        "prior": normalised(ratio - emulated),
    }
    probability = np.sum([share * parts[name] for name, share in SHARES.items()], axis=0)
    log_predicted = ratio - np.log(probability) - math.log(pool.n_drawn)
    drawn = _spread(probability, log_predicted, n, rng)
    return Round(
        pool.u[drawn],
        pool.log_density[drawn],
        math.log(pool.n_drawn) + (pool.log_density + pool.log_kept + np.log(probability))[drawn],
        log_predicted[drawn],
        _log_deviation(probability, log_predicted, n),
        SHARES["posterior"] * parts["posterior"][drawn] / probability[drawn],
        pool.n_drawn,
    )


def _log_deviation(probability: Array, log_values: Array, n: int) -> float:
    """Return ln of the root mean square deviation of values within the n pieces of `_spread`."""
    order = np.argsort(log_values, kind="stable")
    p, reference = probability[order], float(np.max(log_values))
    values = np.exp(log_values[order] - reference)
    piece = np.minimum(n * (np.cumsum(p) - 0.5 * p), n - 1).astype(np.intp)
    mass, first, second = (np.bincount(piece, p * values**k, n) for k in range(3))
    variance = (second - first**2 / np.maximum(mass, 1e-300)).sum()
    return 0.5 * math.log(max(float(variance), 1e-300)) + reference


def _spread(probability: Array, key: Array, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw one index from each of n pieces of equal probability, into which those in the order of a key are cut."""
    order = np.argsort(key, kind="stable")
    places = np.searchsorted(np.cumsum(probability[order]), (np.arange(n) + rng.random(n)) / n, side="right")
    return np.asarray(order[np.minimum(places, len(order) - 1)])


def round_moments(one: Round, log_likelihoods: Array, reference: float) -> tuple[float, float]:
    """Return the evidence of one round and its variance, in units of exp(reference) and its square."""
    weights = np.exp(log_likelihoods - reference - one.log_proposal)
    predicted = np.exp(np.minimum(one.log_predicted - reference, 50.0))
    spread = math.exp(min(one.log_spread - reference, 50.0))
    deviation = min(_of_neighbours(weights), spread + _of_neighbours(weights - predicted))
    within = deviation**2 / len(weights)
    mean = float(np.mean(weights))
    # E[f(u)] over the pool is the mean of f / (M p), of which t / (M p) is the weight if f has the factor t. The pool
    # is made of fixed numbers from prior and mixture, of which the first has E[t] = ∫ L / g du.
    second = float(np.mean(weights * np.exp(log_likelihoods - reference - one.log_density)))
    share = PRIOR_SHARE_OF_POOL
    of_prior = float(np.mean(weights * np.exp(-one.log_density)))
    of_mixture = (mean - share * of_prior) / (1.0 - share)
    between = max(0.0, second - share * of_prior**2 - (1.0 - share) * of_mixture**2) / one.n_drawn
    return mean, within + between


def _of_neighbours(values: Array) -> float:
    """Return the deviation of values [n] within their pieces, as far as the differences of neighbours tell."""
    return math.sqrt(0.5 * float(np.mean(np.diff(values) ** 2)))


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
