"""Exact nested sampling: dynesty with checked likelihoods, a log of evaluations, reproducible parallelism.

Z = ∫ L dX over the prior volume X is summed over points of rising L, whose X shrink by known factors
[Skilling 2006, Bayesian Analysis 1, 833]. The sampler is dynesty [Speagle 2020, MNRAS 493, 3132; Koposov et
al., doi:10.5281/zenodo.3348367].
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import dynesty
import numpy as np
from numpy.typing import NDArray

from astropipe.inference.evaluations import check_checkpoint, saying_what_is_kept
from astropipe.inference.evaluator import Specification
from astropipe.inference.fingerprint import identify
from astropipe.inference.initial import draw_any, draw_supported
from astropipe.inference.pools import DYNESTY_MODULES, MapExecutor, Workers, open_workers
from astropipe.inference.priors import Distribution, Prior
from astropipe.inference.results import NestedResult
from astropipe.inference.summaries import insertion_ranks
from astropipe.runtime.errors import UsageError

Bound = Literal["none", "single", "multi", "balls", "cubes"]
Sampling = Literal["auto", "unif", "rwalk", "slice", "rslice"]

ProgressReport = Callable[[int, int, float, float, float], None]
"""Called after each iteration with (iteration, n_calls, ln Z, ln(Z + remaining) − ln Z, efficiency)."""

LOWEST = -1e300
"""What dynesty writes for ln L = −inf."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides, with likelihood, prior and seed, the points that a run visits; see `sample`."""

    n_live: int = 500
    dlogz: float = 0.01
    dynamic: bool = False
    target_ess: int = 10_000
    bound: Bound = "multi"
    sampling: Sampling = "auto"
    queue_size: int = 16
    max_calls: int | None = None

    def check(self, n_parameters: int) -> None:
        """Raise UsageError where a value is out of range."""
        if self.n_live <= 2 * n_parameters:
            raise UsageError(
                f"n_live = {self.n_live} is too few to bound {n_parameters} parameters;"
                f" use at least {2 * n_parameters + 1}, better {25 * n_parameters}"
            )
        if not (math.isfinite(self.dlogz) and self.dlogz > 0.0):
            raise UsageError(f"dlogz = {self.dlogz} must be > 0")
        if self.queue_size < 2:
            raise UsageError(f"queue_size = {self.queue_size} must be at least 2")
        for name in ("target_ess", "max_calls"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} = {value} must be at least 1")
        for name, choices in (("bound", get_args(Bound)), ("sampling", get_args(Sampling))):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} = {getattr(self, name)!r} is not one of {', '.join(choices)}")

    def for_dynesty(self, workers: Workers, rng: np.random.Generator) -> dict[str, Any]:
        """Return the arguments of dynesty's samplers, static and dynamic."""
        return {
            "nlive": self.n_live,
            "bound": self.bound,
            "sample": self.sampling,
            "rstate": rng,
            "pool": workers,
            "queue_size": self.queue_size,
            # Bounds and prior transforms are cheap, and computing them here keeps the random stream in one place.
            "use_pool": {"prior_transform": False, "update_bound": False, "stop_function": False},
        }


def sample(
    log_likelihood: Callable[[NDArray[np.float64]], object],
    prior: Prior | Mapping[str, Distribution | str],
    *,
    n_live: int = 500,
    dlogz: float = 0.01,
    dynamic: bool = False,
    target_ess: int = 10_000,
    bound: Bound = "multi",
    sampling: Sampling = "auto",
    queue_size: int = 16,
    max_calls: int | None = None,
    vectorized: bool = False,
    pool: int | MapExecutor | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    seed: int | np.random.Generator = 0,
    progress: ProgressReport | None = None,
    stop_requested: Callable[[], bool] | None = None,
) -> NestedResult:
    """Sample a posterior and compute its evidence by nested sampling with the true likelihood.

    The result depends on the likelihood, the prior, the seed and the settings up to `max_calls`; not on
    `pool`, nor on how often the run was interrupted.

    Parameters
    ----------
    log_likelihood
        Natural logarithm of the likelihood: of one point, shape [d], as a number; or, if `vectorized`, of
        points [n, d] as [n]. −inf where the model has no value.
    prior
        Prior, or a mapping from parameter name to distribution; its order is that of the parameters.
    n_live
        Live points; the error of ln Z is √(H / n_live).
    dlogz
        The run ends when the live points can raise ln Z by no more than this.
    dynamic
        Whether to add live points where the posterior mass is, until `target_ess` [Higson et al. 2019,
        Statistics and Computing 29, 891].
    target_ess
        Effective sample size at which a dynamic run ends.
    bound, sampling
        How dynesty bounds the live points and draws within the bound; ``"auto"`` is uniform below 10
        dimensions, random walks to 20, slices above. Where uniform draws become inefficient (thin curved shells;
        see `NestedResult.efficiency`), ``"rwalk"`` or ``"rslice"`` help.
    queue_size
        Proposals made at a time: the largest number of processes that can be busy. A setting of its own, so
        that the result does not depend on the number of processes.
    max_calls
        End the run, not converged, after about this many likelihood calls.
    vectorized
        Whether `log_likelihood` takes points [n, d].
    pool
        Number of worker processes, or an executor with ``map`` (concurrent.futures, multiprocessing, MPI).
        Likelihood and prior must then be picklable.
    checkpoint
        Folder for the log of all evaluations, from which `resume` continues.
    resume
        Whether to use the evaluations that are already in `checkpoint`.
    seed
        Seed or generator.
    progress
        Called after each iteration; see `ProgressReport`.
    stop_requested
        Asked before each likelihood call whether to stop.

    Returns
    -------
    NestedResult
        Weighted samples, evidence and counts.

    Raises
    ------
    UsageError
        If an argument is out of range, or `checkpoint` holds evaluations and `resume` is false.
    InputError
        If the likelihood raises, returns NaN, +inf or a wrong shape (the message gives the point), is −inf
        everywhere, or a worker process dies.
    ArtifactError
        If `checkpoint` belongs to another likelihood.
    InterruptedRunError
        If `stop_requested` said so; all evaluations are then in `checkpoint`.
    """
    prior = prior if isinstance(prior, Prior) else Prior(prior)
    settings = Settings(n_live, dlogz, dynamic, target_ess, bound, sampling, queue_size, max_calls)
    settings.check(len(prior))
    check_checkpoint(checkpoint, resume)
    identity = identify(log_likelihood, prior.names)
    specification = Specification(log_likelihood, prior, vectorized, checkpoint, identity)
    begin = time.perf_counter()
    with workers_for_dynesty(specification, settings, pool, stop_requested) as workers:
        outcome = _run(settings, workers, len(prior), np.random.default_rng(seed), progress)
    fields = result_fields(outcome, settings, workers, prior)
    return NestedResult(**fields, overhead_seconds=overhead_seconds(workers, begin))


@contextmanager
def workers_for_dynesty(
    specification: Specification,
    settings: Settings,
    pool: int | MapExecutor | None,
    stop_requested: Callable[[], bool] | None,
) -> Iterator[Workers]:
    """Open the workers of a run, of which no more than `queue_size` can be busy, and silence dynesty's warnings."""
    processes = min(pool, settings.queue_size) if isinstance(pool, int) else pool
    with (
        saying_what_is_kept(specification.log_folder),
        open_workers(specification, processes, stop_requested) as workers,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", module=DYNESTY_MODULES)
        yield workers


@dataclass(frozen=True, slots=True)
class Outcome:
    """Results object of dynesty, and the volume of the prior that it was run on."""

    found: Any
    log_support: float = 0.0
    log_support_variance: float = 0.0


def _run(
    settings: Settings,
    workers: Workers,
    n_parameters: int,
    rng: np.random.Generator,
    progress: ProgressReport | None,
) -> Outcome:
    common = settings.for_dynesty(workers, rng)
    functions = (workers.log_likelihood, workers.transform, n_parameters)
    draw = draw_any if settings.dynamic else draw_supported
    start = draw(workers, settings.n_live, n_parameters, rng)
    live_points = (start.u, start.x, start.log_likelihoods)
    reporter = _Reporter(progress, workers, 0.0 if settings.dynamic else start.log_support)
    shown = {"print_progress": progress is not None, "print_func": reporter, "save_bounds": False}
    if settings.dynamic:
        sampler = dynesty.DynamicNestedSampler(*functions, **common)
        run = partial(
            sampler.run_nested,
            dlogz_init=settings.dlogz,
            n_effective=settings.target_ess,
            live_points=live_points,
        )
    else:
        sampler = dynesty.NestedSampler(*functions, live_points=live_points, **common)
        run = partial(sampler.run_nested, dlogz=settings.dlogz)
    # The calls that dynesty counts when it draws the live points itself; it updates its bounds by this count.
    sampler.ncall = settings.n_live
    run(maxcall=settings.max_calls, **shown)
    if settings.dynamic:
        return Outcome(sampler.results)
    return Outcome(sampler.results, start.log_support, start.log_support_variance)


class _Reporter:
    """Takes dynesty's progress calls and passes on what they say."""

    def __init__(self, progress: ProgressReport | None, workers: Workers, log_support: float) -> None:
        self._progress = progress
        self._workers = workers
        self._log_support = log_support

    def __call__(self, results: Any, iteration: int, n_calls: int, **details: object) -> None:
        if self._progress is not None and details.get("add_live_it") is None:
            asked = self._workers.counts.total
            logz, remaining = float(results.logz) + self._log_support, float(results.delta_logz)
            self._progress(iteration, asked, logz, remaining, iteration / asked)


def overhead_seconds(workers: Workers, begin: float) -> float:
    """Return the wall-clock time since `begin` (`time.perf_counter`) beyond the likelihood calls."""
    return time.perf_counter() - begin - workers.counts.seconds / workers.processes


def result_fields(outcome: Outcome, settings: Settings, workers: Workers, prior: Prior) -> dict[str, Any]:
    """Return the fields of a `NestedResult`, with respect to the whole prior, but for the overhead."""
    found, log_support = outcome.found, outcome.log_support
    log_likelihoods = np.array(found.logl, dtype=np.float64)
    log_weights = np.array(found.logwt, dtype=np.float64)
    ranks = np.zeros(0, dtype=np.int64)
    if not settings.dynamic:
        ranks = insertion_ranks(np.asarray(found.samples_id), log_likelihoods, settings.n_live)
    log_likelihoods[log_likelihoods <= LOWEST] = -np.inf
    log_weights[log_weights <= LOWEST] = -np.inf
    counts = workers.counts
    return dict(
        names=prior.names,
        samples=np.array(found.samples, dtype=np.float64),
        log_likelihoods=log_likelihoods,
        log_volumes=np.array(found.logvol, dtype=np.float64) + log_support,
        log_weights=log_weights + log_support,
        log_support=log_support,
        logz=float(found.logz[-1]) + log_support,
        logz_err=math.hypot(float(found.logzerr[-1]), math.sqrt(outcome.log_support_variance)),
        information=float(found.information[-1]) - log_support,
        n_live=settings.n_live,
        dynamic=settings.dynamic,
        n_iterations=int(found.niter),
        n_calls=counts.total,
        n_true_calls=counts.computed + counts.reused,
        n_reused_calls=counts.reused,
        masked_fraction=prior.masked_fraction(),
        insertion_ranks=ranks,
        converged=_converged(found, settings),
    )


def _converged(found: Any, settings: Settings) -> bool:
    """Return whether the run ended by its own criterion; dynesty stops at a budget with a warning only."""
    if settings.dynamic:
        weights = np.exp(np.asarray(found.logwt) - np.max(found.logwt))
        return bool(weights.sum() ** 2 / (weights @ weights) >= settings.target_ess)
    last = int(found.niter) - 1
    remaining = np.logaddexp(0.0, np.max(found.logl) + found.logvol[last] - found.logz[last])
    return bool(remaining < settings.dlogz)
