"""Evidence and posterior of an expensive likelihood: an emulator proposes, the true likelihood decides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.emulated.annealing import Particles
from astropipe.inference.emulated.candidates import Candidates, draw_candidates, relative_error, suspects
from astropipe.inference.emulated.correction import Estimate, Round, combine, draw_round, normalised
from astropipe.inference.emulated.design import first_points, next_points, uphill_points
from astropipe.inference.emulated.emulator import OPTIMISM, Emulator, near, predictability
from astropipe.inference.emulated.knowledge import Knowledge
from astropipe.inference.emulated.result import EmulatedDiagnostics, EmulatedResult
from astropipe.inference.priors import Prior
from astropipe.runtime.compute import BlasThreads
from astropipe.runtime.errors import InputError, UsageError

Array = NDArray[np.float64]

PILOT, ROUND = 48, 64
"""Points of the round by which the emulator is judged, and of each round that counts."""

FEW, LEAST_PREDICTED, LEAST_PREDICTED_OF_FEW, MOST_SURVEY = 3, 0.4, 0.9, 0.25
"""Share of the variance of ln L over the prior that its first points must predict of each other, else there are more.

With up to three parameters they can tell separate modes and have to. The last number is their share of all calls.
"""

GOOD_ENOUGH = 0.25
"""Relative error of L over the emulated posterior, as the emulator itself expects it, at which it is tried."""

PILOT_ESS, PILOT_RMSE = 0.6, 0.5
"""Effective share of the pilot's points, and error of ln L at them, with which corrections begin."""

MOST_DOUBTS = 2
"""How often in a row an emulator that was good is doubted, and points are evaluated where it might have failed."""

PILOT_SURPRISE = 6.0
"""Weight of one sample of the pilot, in units of the mean, at which the emulator has missed something."""

LOST = 12
"""Proposals for each parameter which, all far below the best point, show that the emulator leads astray."""

MOST_WEIGHT, MOST_SURPRISE, MOST_DISAGREEMENT = 0.05, 20.0, 4.0
"""Share of one sample, weight of one in units of the mean, difference between rounds that a converged run may have."""

MOST_BLIND = 0.005
"""Share of the emulated posterior where the emulator of an earlier round may be too low by more than 1 in ln L."""

_UNRESOLVED = "ln L varies on scales that {} points of the prior do not resolve; sample with method 'exact'"


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
    `astropipe.inference.emulated.correction` for why each is unbiased. Its values improve the emulator of the next.
    Where that sees a part of the posterior to which the emulator of an earlier round was blind, that round is dropped.

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
    tells so. With up to three parameters the first points must predict each other, or the run ends, flagged, as on
    the eggbox; with more, space is too large for that. Where there may be narrow modes, use nested sampling.

    Raises
    ------
    UsageError
        If a setting is out of range.
    InputError
        If ln L is NaN or +inf (the message names the parameters), of a wrong shape, or −inf at all first points.
    """
    d = len(prior)
    n_first = _n_first(d)
    if not (math.isfinite(precision) and precision > 0.0 and min_ess >= 1.0):
        raise UsageError(f"precision = {precision} must be > 0 and min_ess = {min_ess} at least 1")
    if max_calls < n_first + PILOT + ROUND:
        raise UsageError(f"max_calls = {max_calls} is too few; use at least {n_first + PILOT + ROUND}")
    if prior.masked_fraction() >= 1.0:
        raise InputError(f"the constraints of the prior leave none of it: {prior!r}")
    blas = BlasThreads()

    def true_values(x: Array) -> Array:
        with blas.returned():
            return log_likelihood_of_many(x)

    with blas.taken():
        run = Knowledge(true_values, prior, seed)
        rounds, resolved = _run(run, precision, min_ess, max_calls)
    return _result(run, rounds, precision, min_ess, resolved)


def _run(run: Knowledge, precision: float, min_ess: float, max_calls: int) -> tuple[_Rounds, bool]:
    """Learn and draw until the estimate is good enough; return rounds, and whether first points resolve ln L."""
    d = len(run.prior)
    resolved = _survey(run, _n_first(d), max_calls)
    # Later, modes that are made up one after the other would keep the emulator from ever becoming good.
    rounds = _Rounds(explore_until=2 * len(run.u) if d <= FEW else 0)
    while resolved and len(run.u) + ROUND <= max_calls:
        candidates = _candidates(run, rounds)
        if candidates is not None and rounds.add(run, candidates):
            estimate = rounds.estimate()
            if estimate.logz_err <= precision and estimate.ess >= min_ess:
                break
    return rounds, resolved


@dataclass(frozen=True, eq=False)
class _Counted:
    """A round that counts: its draws, their true and their emulated ln L [n], and the emulator that drew them."""

    drawn: Round
    values: Array
    emulated: Array
    emulator: Emulator


class _Rounds:
    """The correction rounds that count, and the state of the run between them.

    Attributes
    ----------
    explore_until : int
        Number of true calls up to which the emulator explores as long as none is trusted.
    counted : list of _Counted
        The rounds.
    trusted : tuple of Emulator and Particles, or None
        The emulator of the last round or pilot that showed it to be good.
    demanded : float
        Relative error of L that the emulator may expect of itself to be tried.
    doubts : int
        How often a good emulator has been doubted since the last round.
    lost : bool
        Whether the emulator has led astray, so that part of the points are taken uphill of the best known ones.
    rmse : float
        Of the emulated ln L at the last round, before the emulator learned from it.
    """

    def __init__(self, explore_until: int) -> None:
        self.explore_until = explore_until
        self.counted: list[_Counted] = []
        self.trusted: tuple[Emulator, Particles] | None = None
        self.demanded, self.doubts, self.lost, self.rmse = GOOD_ENOUGH, 0, False, math.nan

    def estimate(self) -> Estimate:
        """Return the evidence of all rounds together."""
        if not self.counted:
            return Estimate(-math.inf, math.inf, np.empty(0), 0.0, 1.0, 0.0)
        return combine([one.drawn for one in self.counted], [one.values for one in self.counted])

    def drop_blind(self, candidates: Candidates) -> None:
        """Throw away the rounds whose emulator did not see a part of the posterior that is seen now.

        Each is unbiased all the same, since that part has a chance in every round. But the chance may be too small for
        the error to tell.
        """
        emulator, u = candidates.emulator, candidates.particles.u
        now = emulator.surface(u)
        feasible = emulator.log_feasible(u, now)

        def sees(one: _Counted) -> bool:
            then = one.emulator.surface(u)
            hidden = feasible - one.emulator.log_feasible(u, then, OPTIMISM) > math.log(MOST_SURPRISE)
            return bool(np.mean((now - then > 1.0) | hidden) <= MOST_BLIND)

        self.counted = [one for one in self.counted if sees(one)]

    def add(self, run: Knowledge, candidates: Candidates) -> bool:
        """Draw a round, or the pilot while no emulator is trusted; return whether it counts."""
        pilot = self.trusted is None
        n, emulator = PILOT if pilot else ROUND, candidates.emulator
        one = draw_round(candidates.pool, candidates.emulated, candidates.possible, candidates.deviation, n, run.rng)
        values, self.doubts = run.evaluate(one.u), 0
        emulated = emulator.surface(one.u)
        self.rmse = _rmse(emulated, one, values)
        if pilot:
            alone = combine([one], [values])
            surprised = alone.largest_weight * PILOT > PILOT_SURPRISE
            if surprised or alone.ess <= PILOT_ESS * PILOT or self.rmse >= PILOT_RMSE:
                self.demanded *= 0.8
                return False
        else:
            self.counted.append(_Counted(one, values, emulated, emulator))
        self.trusted = emulator, candidates.particles
        return not pilot


def _candidates(run: Knowledge, rounds: _Rounds) -> Candidates | None:
    """Learn, and return the candidates of a round; None where the emulator needed further points, which it now has."""
    d = len(run.prior)
    emulator = run.learn()
    if rounds.trusted is None and len(run.u) < rounds.explore_until:
        emulator = emulator.exploring()
    stages = run.anneal(emulator)
    posterior = stages[-1]
    expected = relative_error(emulator.deviation(posterior.u))
    candidates = draw_candidates(run, emulator, posterior) if expected <= rounds.demanded else None
    if candidates is not None and candidates.expected_error <= 1.3 * rounds.demanded:
        rounds.drop_blind(candidates)
        return candidates
    if rounds.trusted is not None and rounds.doubts == MOST_DOUBTS:
        # Extrapolation makes up one mode after the other. The emulator of the last round was good; so it is again.
        return draw_candidates(run, *rounds.trusted)
    if rounds.trusted is not None:
        # A mode made up, or one that was missed?
        rounds.doubts += 1
        if candidates is None:
            u = posterior.u[run.rng.choice(len(posterior.u), 2 * d)]
        else:
            u = suspects(candidates, 2 * d, run.rng)
        if _missed(run.evaluate(u), run.emulate(rounds.trusted[0], u), run.highest - 0.5 * near(d)):
            rounds.doubts = 0
    elif candidates is None:
        # One at a time, nearly, while far from the posterior; more where single points matter less.
        n = d + 1 if expected > 1.5 else 2 * d
        rounds.lost = rounds.lost or _lost(run)
        n_uphill = n // 3 if rounds.lost else 0
        uphill = uphill_points(run.u, run.values, emulator.possible, run.allowed, n_uphill, run.rng)
        run.evaluate(np.concatenate([next_points(emulator, stages, n - len(uphill), run.rng), uphill]))
    else:
        # The pool has found places where the posterior might be that the particles had not.
        run.evaluate(suspects(candidates, 2 * d, run.rng))
    return None


def _n_first(n_parameters: int) -> int:
    """Return the number of points before the first emulator, if they suffice."""
    return 64 * n_parameters if n_parameters <= FEW else 60 + 4 * n_parameters


def _survey(run: Knowledge, n: int, max_calls: int) -> bool:
    """Evaluate points of the prior until they predict each other; return whether they do."""
    d = len(run.prior)
    run.evaluate(first_points(run.allowed, d, n, run.rng))
    if not np.any(np.isfinite(run.values)):
        raise InputError(f"ln L is -inf at each of the first {n} points; give a prior that overlaps with it")
    least = LEAST_PREDICTED_OF_FEW if d <= FEW else LEAST_PREDICTED
    while (share := predictability(run.u, run.values)) < least:
        if 2 * len(run.u) > MOST_SURVEY * max_calls:
            break
        run.evaluate(first_points(run.allowed, d, len(run.u), run.rng))
    return share >= least


def _lost(run: Knowledge) -> bool:
    """Return whether all that the emulator has proposed of late is far below the best known point.

    Then it makes up one mode after the other, and the true one may be a few steps uphill.
    """
    d = len(run.prior)
    proposed = run.values[_n_first(d) :]
    return len(proposed) >= LOST * d and bool(np.max(proposed[-LOST * d :]) < run.highest - near(d))


def _missed(values: Array, emulated: Array, negligible: float) -> bool:
    """Return whether an emulator missed one of true values [n] that matter."""
    return bool(np.any((values > negligible) & (values - emulated > math.log(PILOT_SURPRISE))))


def _rmse(emulated: Array, one: Round, values: Array) -> float:
    weights = np.where(np.isfinite(values), one.posterior, 0.0)
    if not np.any(weights):
        return 10.0
    errors = np.abs(emulated - np.where(weights > 0.0, values, 0.0))
    return float(np.sqrt(np.average(np.minimum(errors, 10.0) ** 2, weights=weights)))


def _result(run: Knowledge, rounds: _Rounds, precision: float, min_ess: float, resolved: bool) -> EmulatedResult:
    names, counted, estimate = run.prior.names, rounds.counted, rounds.estimate()
    u = np.concatenate([np.empty((0, len(names))), *(one.drawn.u for one in counted)])
    log_likelihoods = np.concatenate([np.empty(0), *(one.values for one in counted)])
    emulated = np.concatenate([np.empty(0), *(one.emulated for one in counted)])
    n = len(u)
    reasons = _reasons(estimate, n, precision, min_ess) if resolved else (_UNRESOLVED.format(len(run.u)),)
    order = np.argsort(log_likelihoods, kind="stable")
    log_likelihoods, log_weights = log_likelihoods[order], estimate.log_weights[order]
    return EmulatedResult(
        names=names,
        samples=run.prior.transform(u[order]),
        log_likelihoods=log_likelihoods,
        log_volumes=_log_volumes(log_weights, log_likelihoods),
        log_weights=log_weights,
        logz=estimate.logz,
        logz_err=estimate.logz_err,
        information=_information(log_weights, log_likelihoods),
        n_true_calls=len(run.u),
        n_emulated_calls=run.n_emulated,
        masked_fraction=run.prior.masked_fraction(),
        converged=not reasons,
        emulated_log_likelihoods=emulated[order],
        diagnostics=EmulatedDiagnostics(
            reasons,
            estimate.ess,
            estimate.largest_weight,
            estimate.disagreement,
            rounds.rmse,
            len(counted),
            len(run.u) - n,
        ),
    )


def _log_volumes(log_weights: Array, log_likelihoods: Array) -> Array:
    """Return ln of the prior volume of larger likelihood at points in order of rising ln L: sums of L weights / L."""
    possible = np.isfinite(log_likelihoods)
    volume = np.zeros(len(log_weights))
    volume[possible] = np.exp(log_weights[possible] - log_likelihoods[possible])
    return np.asarray(np.minimum(np.log(np.cumsum(volume[::-1])[::-1]), 0.0))


def _information(log_weights: Array, log_likelihoods: Array) -> float:
    """Return ⟨ln L⟩ − ln Z over the posterior; NaN where there is none."""
    if not np.any(np.isfinite(log_weights)):
        return math.nan
    weights = normalised(log_weights)
    known = weights > 0.0
    logz = float(np.logaddexp.reduce(log_weights))
    return float(weights[known] @ log_likelihoods[known]) - logz


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
