"""Evidence and posterior of an expensive likelihood: an emulator proposes, the true likelihood decides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.emulated.annealing import Particles
from astropipe.inference.emulated.correction import (
    Estimate,
    Pool,
    Round,
    combine,
    draw_pool,
    draw_round,
    posterior_part,
)
from astropipe.inference.emulated.design import first_points, next_points
from astropipe.inference.emulated.emulator import Emulator
from astropipe.inference.emulated.knowledge import Knowledge
from astropipe.inference.emulated.mixture import fit_mixture
from astropipe.inference.emulated.result import EmulatedDiagnostics, EmulatedResult
from astropipe.inference.priors import Prior
from astropipe.runtime.errors import InputError, UsageError

Array = NDArray[np.float64]

POOL_SIZE = 20_000

PILOT, ROUND = 48, 64
"""Points of the round by which the emulator is judged, and of each round that counts."""

GOOD_ENOUGH = 0.25
"""Relative error of L over the emulated posterior, as the emulator itself expects it, at which it is tried."""

PILOT_ESS, PILOT_RMSE = 0.6, 0.5
"""Effective share of the pilot's points, and error of ln L at them, with which corrections begin."""

MOST_WEIGHT, MOST_SURPRISE, MOST_DISAGREEMENT = 0.05, 10.0, 4.0
"""Share of one sample, weight of one in units of the mean, difference between rounds that a converged run may have."""


@dataclass(frozen=True, eq=False)
class _Candidates:
    """A pool, what the emulator says of it, and the relative error of L that it expects over the posterior."""

    pool: Pool
    emulated: Array
    deviation: Array
    expected_error: float


def sample_emulated(
    log_likelihood_of_many: Callable[[Array], Array],
    prior: Prior,
    *,
    precision: float = 0.05,
    min_ess: float = 300.0,
    max_calls: int = 2000,
    seed: int = 0,
) -> EmulatedResult:
    """Sample a posterior and compute its evidence with few calls of the true likelihood.

    An emulator learns ln L where the posterior is, until it expects to be good enough and a pilot round of true
    values says so too. Correction rounds follow, whose points make the result; see
    `astropipe.inference.emulated.correction` for why it is unbiased. Whether a round counts is decided before its
    values are known. Each round's values improve the emulator of the next.

    Parameters
    ----------
    log_likelihood_of_many
        True ln L of parameters [n, d], in the order of the prior, as [n]; −inf where the model has no value. It is
        not called where a constraint of the prior is violated.
    prior
        Joint prior.
    precision
        Error of ln Z at which to stop.
    min_ess
        Effective sample size to reach as well.
    max_calls
        End the run, not converged, before this many true calls are exceeded.
    seed
        Root seed.

    Notes
    -----
    A separate mode to which neither the first points nor the emulator point is missed, and nothing in the result
    tells so: on the eggbox 2 of 18 modes are found and the run counts as converged, and a mode of Himmelblau's
    function may be missed. Where the likelihood may have several modes, use nested sampling.

    Raises
    ------
    UsageError
        If a setting is out of range.
    InputError
        If ln L is NaN or +inf (the message names the parameters), of a wrong shape, or −inf at all first points.
    """
    d = len(prior)
    n_first = 10 + 6 * d
    if not (math.isfinite(precision) and precision > 0.0 and min_ess >= 1.0):
        raise UsageError(f"precision = {precision} must be > 0 and min_ess = {min_ess} at least 1")
    if max_calls < n_first + PILOT + ROUND:
        raise UsageError(f"max_calls = {max_calls} is too few; use at least {n_first + PILOT + ROUND}")
    run = Knowledge(log_likelihood_of_many, prior, seed)
    run.evaluate(first_points(run.allowed, d, n_first, run.rng))
    if not np.any(np.isfinite(run.values)):
        raise InputError(f"ln L is -inf at each of the first {n_first} points; give a prior that overlaps with it")
    rounds: list[Round] = []
    values: list[Array] = []
    rmse, demanded, surprised = math.nan, GOOD_ENOUGH, False
    trusted: tuple[Emulator, Particles] | None = None
    while len(run.u) + ROUND <= max_calls:
        emulator = run.learn()
        stages = run.anneal(emulator)
        posterior = stages[-1]
        expected = relative_error(emulator.deviation(posterior.u))
        candidates = _candidates(run, emulator, posterior) if expected <= demanded else None
        doubtful = candidates is None or candidates.expected_error > 1.3 * demanded
        if doubtful and trusted is not None and not surprised:
            # Extrapolation has made up a mode. The emulator of the last round was good; so it is again.
            emulator, posterior = trusted
            candidates = _candidates(run, emulator, posterior)
        elif candidates is None:
            # One at a time, nearly, while far from the posterior; more where single points matter less.
            run.evaluate(next_points(emulator, stages, d + 1 if expected > 1.5 else 2 * d, run.rng))
            continue
        elif doubtful:
            # The pool has found places where the posterior might be that the particles had not.
            run.evaluate(_suspects(candidates, 2 * d, run.rng))
            continue
        n = PILOT if trusted is None else ROUND
        one = draw_round(candidates.pool, candidates.emulated, candidates.deviation, n, run.rng)
        new = run.evaluate(one.u)
        rmse = _rmse(emulator, one, new)
        if trusted is None:
            if combine([one], [new]).ess > PILOT_ESS * PILOT and rmse < PILOT_RMSE:
                trusted, demanded = (emulator, posterior), GOOD_ENOUGH
            else:
                demanded *= 0.8
            continue
        trusted = emulator, posterior
        rounds.append(one)
        values.append(new)
        estimate = combine(rounds, values)
        surprised = estimate.largest_weight * sum(map(len, values)) > MOST_SURPRISE
        if estimate.logz_err <= precision and estimate.ess >= min_ess:
            break
    return _result(run, rounds, values, precision, min_ess, rmse)


def relative_error(deviation: Array) -> float:
    """Return the root mean square relative error of L that deviations [n] of ln L mean, √⟨e^σ² − 1⟩, σ² ≤ 3."""
    return float(np.sqrt(np.mean(np.expm1(np.minimum(deviation**2, 3.0)))))


def _candidates(run: Knowledge, emulator: Emulator, posterior: Particles) -> _Candidates:
    pool = draw_pool(fit_mixture(posterior.u, run.rng), run.allowed, POOL_SIZE, run.rng)
    emulated = emulator.log_likelihood(pool.u)
    run.n_emulated += len(emulated)
    ratio = emulated - pool.log_density
    likely = ratio > ratio.max() - 20.0
    deviation = np.zeros(len(emulated))
    deviation[likely] = emulator.deviation(pool.u[likely])
    part = posterior_part(pool, emulated, deviation)
    expected = math.sqrt(float(part @ np.expm1(np.minimum(deviation**2, 3.0))))
    return _Candidates(pool, emulated, deviation, expected)


def _suspects(candidates: _Candidates, n: int, rng: np.random.Generator) -> Array:
    part = posterior_part(candidates.pool, candidates.emulated, candidates.deviation)
    doubtful = part * np.minimum(candidates.deviation, 3.0)
    return candidates.pool.u[rng.choice(len(part), n, p=doubtful / doubtful.sum())]


def _rmse(emulator: Emulator, one: Round, values: Array) -> float:
    chosen = (one.stratum == 0) & np.isfinite(values)
    if not np.any(chosen):
        return 10.0
    errors = emulator.log_likelihood(one.u[chosen]) - values[chosen]
    return float(np.sqrt(np.mean(np.minimum(np.abs(errors), 10.0) ** 2)))


def _result(
    run: Knowledge, rounds: list[Round], values: list[Array], precision: float, min_ess: float, rmse: float
) -> EmulatedResult:
    names, d = run.prior.names, len(run.prior)
    empty = Estimate(-math.inf, math.inf, np.empty(0), 0.0, 1.0, 0.0)
    estimate = combine(rounds, values) if rounds else empty
    n = sum(map(len, values))
    reasons = _reasons(estimate, n, precision, min_ess)
    return EmulatedResult(
        names,
        run.prior.transform(np.concatenate([one.u for one in rounds])) if rounds else np.empty((0, d)),
        estimate.log_weights,
        np.concatenate(values) if values else np.empty(0),
        estimate.logz,
        estimate.logz_err,
        len(run.u),
        run.n_emulated,
        not reasons,
        EmulatedDiagnostics(
            reasons, estimate.ess, estimate.largest_weight, estimate.disagreement, rmse, len(rounds), len(run.u) - n
        ),
    )


def _reasons(estimate: Estimate, n: int, precision: float, min_ess: float) -> tuple[str, ...]:
    """Say what speaks against the estimate from n points."""
    if n == 0:
        return ("the emulator did not become good enough within max_calls; sample with method 'exact'",)
    surprise = estimate.largest_weight * n
    checks = {
        f"the error of ln Z is {estimate.logz_err:.3g}, more than {precision:g}": estimate.logz_err > precision,
        f"the effective sample size is {estimate.ess:.0f}, less than {min_ess:.0f}": estimate.ess < min_ess,
        f"one sample has {estimate.largest_weight:.0%} of the weight": estimate.largest_weight > MOST_WEIGHT,
        f"one sample has {surprise:.0f} times the mean weight: the emulator missed something": surprise > MOST_SURPRISE,
        f"a round differs from the others by {estimate.disagreement:.1f} standard errors": (
            estimate.disagreement > MOST_DISAGREEMENT
        ),
    }
    return tuple(reason for reason, holds in checks.items() if holds)
