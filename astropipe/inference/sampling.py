"""One way to a posterior: exact nested sampling, or an emulated likelihood where a call is worth saving.

The published method, `astropipe.inference.neuralike`, stands beside them for comparison.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from astropipe.config.inference import NeuralikeConfig
from astropipe.inference import nested
from astropipe.inference.emulated import EmulatedResult, sample_emulated
from astropipe.inference.emulated.annealing import draw_prior
from astropipe.inference.evaluations import check_checkpoint, saying_what_is_kept
from astropipe.inference.evaluator import Specification
from astropipe.inference.fingerprint import identify
from astropipe.inference.neuralike import NeuralikeResult
from astropipe.inference.pools import MapExecutor, open_workers
from astropipe.inference.priors import Distribution, Prior
from astropipe.inference.results import NestedResult
from astropipe.inference.timeleft import TimeLeft
from astropipe.runtime.errors import MissingDependencyError, UsageError
from astropipe.runtime.seeds import stream

Method = Literal["auto", "exact", "emulated", "neuralike"]

EMULATION_PAYS_ABOVE_S = 1e-3
"""Below this a likelihood call costs less than what learning from it does."""

MOST_EMULATED_PARAMETERS = 12
"""Beyond, the emulator needs more points than its training takes."""

MAX_EMULATED_CALLS = 2000
_CHOICE = "method.txt"
_TRIALS = 3

Likelihood = Callable[[NDArray[np.float64]], object]

ProgressReport = Callable[[int, str], None]
"""Called with the number of likelihood calls so far and a note on the run."""


def sample(
    log_likelihood: Likelihood,
    prior: Prior | Mapping[str, Distribution | str],
    *,
    method: Method = "auto",
    n_live: int = 500,
    dlogz: float = 0.01,
    dynamic: bool = False,
    bound: nested.Bound = "multi",
    sampling: nested.Sampling = "auto",
    precision: float = 0.05,
    min_ess: float = 300.0,
    max_calls: int | None = None,
    fallback: bool = False,
    neuralike: NeuralikeConfig | None = None,
    vectorized: bool = False,
    pool: int | MapExecutor | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: ProgressReport | None = None,
    stop_requested: Callable[[], bool] | None = None,
) -> NestedResult | EmulatedResult:
    """Sample a posterior and compute its evidence; no value in the result is emulated, but for one method.

    Parameters
    ----------
    log_likelihood
        Natural logarithm of the likelihood: of one point, shape [d], as a number; or, if `vectorized`, of
        points [n, d] as [n]. −inf where the model has no value.
    prior
        Prior, or a mapping from parameter name to distribution; its order is that of the parameters.
    method
        ``"exact"``: nested sampling, `astropipe.inference.nested.sample`. ``"emulated"``: an emulator proposes, the
        true likelihood decides, `astropipe.inference.emulated.sample_emulated`; a few hundred calls, for smooth
        likelihoods of up to about a dozen parameters. ``"auto"``: emulated if a call takes more than a millisecond,
        as measured at three points, and the parameters are not too many; the choice is in ``result.method`` and
        ``result.remark``, and kept in the checkpoint. ``"neuralike"``: nested sampling in which a network takes the
        place of the likelihood, `astropipe.inference.neuralike`; approximate, possibly wrong without a sign, there to
        be compared with.
    n_live, dlogz, dynamic, bound, sampling
        Of exact sampling and, but for `dynamic`, of neuralike; see `astropipe.inference.nested.sample`, which has
        further settings.
    precision, min_ess
        Error of ln Z and effective sample size at which emulated sampling ends.
    max_calls
        End the run, not converged, after about this many likelihood calls; by default 2000 if emulated.
    fallback
        Whether to sample exactly where emulated sampling does not converge. Its calls are lost.
    neuralike
        Settings of that method; by default those of the model.
    vectorized
        Whether `log_likelihood` takes points [n, d].
    pool
        Number of worker processes, or an executor with ``map`` (concurrent.futures, multiprocessing, MPI).
        Likelihood and prior must then be picklable.
    checkpoint
        Folder for the log of all evaluations, from which `resume` continues: to the same result, since a run is
        decided by its seed and the values of its likelihood.
    resume
        Whether to use the evaluations that are already in `checkpoint`.
    seed
        Root seed.
    progress
        Told the number of likelihood calls so far, and how the run goes.
    stop_requested
        Asked before each likelihood call whether to stop.

    Returns
    -------
    NestedResult or EmulatedResult
        Both are an `astropipe.inference.PosteriorResult`. By ``"neuralike"``, a `NeuralikeResult`, which is a
        `NestedResult` whose ``approximate`` is true.

    Raises
    ------
    UsageError
        If an argument is out of range, or `checkpoint` holds evaluations and `resume` is false.
    MissingDependencyError
        If neuralike lacks a library.
    InputError
        If the likelihood raises, returns NaN, +inf or a wrong shape (the message gives the point), is −inf
        everywhere, or a worker process dies.
    ArtifactError
        If `checkpoint` belongs to another likelihood.
    InterruptedRunError
        If `stop_requested` said so; all evaluations are then in `checkpoint`.
    """
    if method not in get_args(Method):
        raise UsageError(f"method = {method!r} is not one of {', '.join(get_args(Method))}")
    prior = prior if isinstance(prior, Prior) else Prior(prior)
    check_checkpoint(checkpoint, resume)
    identity = identify(log_likelihood, prior.names)
    specification = Specification(log_likelihood, prior, vectorized, checkpoint, identity)
    chosen, remark = _choose(specification, seed, stop_requested) if method == "auto" else (method, "")
    # From here on the log may hold the calls by which the method was chosen.
    resume = resume or (method == "auto" and checkpoint is not None)
    if chosen == "emulated":
        calls = MAX_EMULATED_CALLS if max_calls is None else max_calls
        result = _emulated(specification, pool, seed, progress, stop_requested, precision, min_ess, calls)
        if result.converged or not fallback:
            return replace(result, remark=remark)
        remark = f"emulated sampling did not converge: {'; '.join(result.diagnostics.reasons)}"
        resume = checkpoint is not None
    # When a dynamic run has enough effective samples cannot be told from ln Z.
    reporter = None if progress is None else _Reporter(progress, None if dynamic else TimeLeft(n_live, dlogz))
    if chosen == "neuralike":
        if dynamic:
            raise UsageError("method 'neuralike' is static nested sampling; leave dynamic=False")
        how = nested.Settings(n_live=n_live, dlogz=dlogz, bound=bound, sampling=sampling, max_calls=max_calls)
        return _neuralike(specification, how, neuralike or NeuralikeConfig(), pool, seed, reporter, stop_requested)
    found = nested.sample(
        log_likelihood,
        prior,
        n_live=n_live,
        dlogz=dlogz,
        dynamic=dynamic,
        bound=bound,
        sampling=sampling,
        max_calls=max_calls,
        vectorized=vectorized,
        pool=pool,
        checkpoint=checkpoint,
        resume=resume,
        seed=stream(seed, "inference.sample"),
        progress=reporter,
        stop_requested=stop_requested,
    )
    return replace(found, remark=remark)


class _Reporter:
    """Turns the reports of nested sampling into those of `sample`."""

    def __init__(self, progress: ProgressReport, time_left: TimeLeft | None) -> None:
        self._progress = progress
        self._time_left = time_left

    def __call__(self, iteration: int, n_calls: int, logz: float, remaining: float, efficiency: float) -> None:
        note = f"iteration {iteration}, ln Z {logz:.2f}, remaining {remaining:.3g}, efficiency {efficiency:.1%}"
        left = self._time_left(remaining) if self._time_left is not None else ""
        self._progress(n_calls, f"{note}, {left}" if left else note)


def _choose(
    specification: Specification, seed: int, stop_requested: Callable[[], bool] | None
) -> tuple[Literal["exact", "emulated"], str]:
    """Return the method that suits a likelihood, and why."""
    d, folder = len(specification.prior), specification.log_folder
    if d > MOST_EMULATED_PARAMETERS:
        return "exact", f"{d} parameters are too many to emulate: sampled exactly"
    kept = folder / _CHOICE if folder is not None else None
    if kept is not None and kept.exists():
        choice, _, remark = kept.read_text(encoding="utf-8").partition("\n")
        return ("emulated" if choice == "emulated" else "exact"), remark
    prior = specification.prior
    u = draw_prior(lambda u: prior.allowed(prior.transform(u)), d, _TRIALS, stream(seed, "inference.auto"))
    durations: list[float] = []
    with open_workers(specification, None, stop_requested) as workers:
        for point in prior.transform(u):
            workers.map(workers.log_likelihood, [point])
            durations.append(workers.counts.seconds - sum(durations))
    took = statistics.median(durations)
    pays = took > EMULATION_PAYS_ABOVE_S
    remark = f"a likelihood call takes {1e3 * took:.2g} ms: {'emulated' if pays else 'too little to emulate it'}"
    choice = "emulated" if pays else "exact"
    if kept is not None:
        kept.write_text(f"{choice}\n{remark}", encoding="utf-8")
    return ("emulated" if pays else "exact"), remark


def _emulated(
    specification: Specification,
    pool: int | MapExecutor | None,
    seed: int,
    progress: ProgressReport | None,
    stop_requested: Callable[[], bool] | None,
    precision: float,
    min_ess: float,
    max_calls: int,
) -> EmulatedResult:
    begin = time.perf_counter()
    folder = specification.log_folder
    with saying_what_is_kept(folder), open_workers(specification, pool, stop_requested) as workers:

        def of_many(points: NDArray[np.float64]) -> NDArray[np.float64]:
            values = np.array(workers.map(workers.log_likelihood, list(points)), dtype=np.float64)
            if progress is not None:
                progress(workers.counts.total, "")
            return values

        result = sample_emulated(
            of_many, specification.prior, precision=precision, min_ess=min_ess, max_calls=max_calls, seed=seed
        )
    return replace(result, overhead_seconds=nested.overhead_seconds(workers, begin))


def _neuralike(
    specification: Specification,
    how: nested.Settings,
    settings: NeuralikeConfig,
    pool: int | MapExecutor | None,
    seed: int,
    progress: nested.ProgressReport | None,
    stop_requested: Callable[[], bool] | None,
) -> NeuralikeResult:
    try:
        from astropipe.inference.neuralike.run import sample_neuralike
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"method 'neuralike' needs {error.name}; install it with pip install 'astropipe[inference]'"
        ) from error
    begin = time.perf_counter()
    with nested.workers_for_dynesty(specification, how, pool, stop_requested) as workers:
        result = sample_neuralike(
            workers,
            specification.prior,
            how,
            settings,
            seed=seed,
            progress=progress,
            stop_requested=stop_requested,
        )
    return replace(result, overhead_seconds=nested.overhead_seconds(workers, begin))
