"""Everybody who takes part in the comparison of samplers: what finds the evidence of a problem, with which settings.

Samplers of others run with the settings that their documentation gives as default, where a row does not say otherwise.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from astropipe.inference import Prior, Problem, sample
from astropipe.inference.summaries import effective_sample_size


class Found(NamedTuple):
    """What a run says of itself.

    Attributes
    ----------
    logz, logz_err : float
        ln Z with respect to the whole prior, and its error as the sampler quotes it.
    ess : float
        Kish's effective size of the weighted samples; NaN where these come from an emulator, of which any number can
        be drawn.
    converged : bool
        Whether the run ended by its own criterion.
    """

    logz: float
    logz_err: float
    ess: float
    converged: bool


class Target:
    """The likelihood of a problem as a sampler of others is given it: refused where constraints exclude, and counted.

    Points that violate a constraint are refused before the likelihood is called, as the author of an expensive one
    would do. They are counted apart.

    Attributes
    ----------
    prior : Prior
        Prior of the problem, constraints included.
    refused : float
        ln L of excluded points.
    sleep_s : float
        Time that each call waits, in place of an expensive computation.
    n_calls, n_refused : int
        Points so far at which ln L was computed, and which were refused.
    cpu_s : float
        CPU time spent on them.
    """

    def __init__(self, task: Problem, sleep_s: float = 0.0) -> None:
        self.prior = task.prior
        self.refused = -np.inf
        self.sleep_s = sleep_s
        self.n_calls = self.n_refused = 0
        self.cpu_s = 0.0
        self._log_likelihood = task.log_likelihood

    def many(self, points: np.ndarray) -> np.ndarray:
        """Return ln L of points [n, d] as [n]."""
        begin = time.process_time()
        allowed = self.prior.allowed(points)
        values = np.full(len(points), self.refused)
        values[allowed] = self._log_likelihood(points[allowed])
        n = int(np.count_nonzero(allowed))
        self.n_calls += n
        self.n_refused += len(points) - n
        time.sleep(self.sleep_s * n)
        self.cpu_s += time.process_time() - begin
        return values

    def one(self, point: np.ndarray) -> float:
        """Return ln L of one point [d]."""
        return float(self.many(np.asarray(point)[None])[0])


def ours(target: Target, seed: int, *, told: bool = True, **settings: Any) -> Found:
    """Run `astropipe.inference.sample`; unless `told`, the constraints are in the likelihood alone, as for others."""
    prior = target.prior if told else Prior(target.prior.parameters)
    result = sample(target.many, prior, vectorized=True, seed=seed, **settings)
    return Found(result.logz, result.logz_err, result.ess, result.converged)


def nautilus(target: Target, seed: int, *, n_live: int = 2000, **settings: Any) -> Found:
    """Run nautilus [Lange 2023, MNRAS 525, 3181], whose error of ln Z is one over the root of its sample size."""
    from nautilus import Sampler

    sampler = Sampler(
        target.prior.transform,
        target.many,
        n_dim=len(target.prior),
        n_live=n_live,
        vectorized=True,
        pass_dict=False,
        seed=seed,
    )
    finished = sampler.run(**settings)
    _, log_weights, _ = sampler.posterior()
    ess = effective_sample_size(np.exp(log_weights - log_weights.max()))
    return Found(float(sampler.log_z), float(sampler.n_eff**-0.5), ess, bool(finished))


def ultranest(target: Target, seed: int) -> Found:
    """Run UltraNest [Buchner 2021, JOSS 6, 3001]."""
    from ultranest import ReactiveNestedSampler

    # It wants finite values; a plateau below all others is among what it documents.
    target.refused = -1e300
    np.random.seed(seed)  # noqa: NPY002  the only source of randomness that it has
    sampler = ReactiveNestedSampler(
        list(target.prior.names), target.many, transform=target.prior.transform, vectorized=True
    )
    result = sampler.run(show_status=False, viz_callback=False)
    weights = np.asarray(result["weighted_samples"]["weights"])
    return Found(float(result["logz"]), float(result["logzerr"]), effective_sample_size(weights), True)


def gpry(target: Target, seed: int, **settings: Any) -> Found:
    """Run GPry [El Gammal et al. 2023, JCAP 10, 021]; the error is that of sampling its emulator, as it says."""
    from gpry import Runner

    # By default it gives up where few points of the prior have a likelihood that it can use; this is its own advice.
    options = {"max_initial": 10_000, "max_total": 12_000}
    runner = Runner(target.one, target.prior.bounds.tolist(), seed=seed, verbose=1, options=options, **settings)
    runner.run()
    if runner.last_mc_samples(copy=False) is None:
        runner.generate_mc_sample()
    logz, error = runner.last_mc_logZ()
    return Found(float(logz), float(error), np.nan, bool(runner.has_converged))


def bobe(target: Target, seed: int) -> Found:
    """Run BOBE [Cohen, Hamann & Malhotra 2026, arXiv:2601.11150]; its two errors are added in quadrature.

    They are half the difference of its bounds, which is that of the emulator, and that of sampling the emulator. A
    classifier is on where there are constraints, as it recommends for likelihoods that return −inf.
    """
    from BOBE import BOBE

    with tempfile.TemporaryDirectory() as folder:
        sampler = BOBE(
            target.one,
            param_list=list(target.prior.names),
            param_bounds=target.prior.bounds.T,
            use_clf=bool(target.prior.constraints),
            save=False,
            save_dir=folder,
            seed=seed,
            verbosity="ERROR",
        )
        result = sampler.run()
    if not (found := result["logz"]):
        raise RuntimeError(f"BOBE gives no evidence: {result['termination_reason']}")
    error = np.hypot((found["upper"] - found["lower"]) / 2.0, found["dlogz_sampler"])
    return Found(float(found["mean"]), float(error), np.nan, bool(sampler.converged))


@dataclass(frozen=True)
class Contestant:
    """A sampler at one setting.

    Attributes
    ----------
    name, settings : str
        Name in tables, and what a reader must know of how it ran.
    play : callable
        Runs it on a target with a seed.
    package, module : str
        Distribution whose version counts, and the module that is imported before the clock starts.
    n_seeds : int
        Seeds to run unless told otherwise; few where a run takes minutes.
    by_live_points : bool
        Whether the number of live points sets the error, so that calls go as one over its square.
    only_constrained : bool
        Whether it differs from another row only where the prior has constraints.
    """

    name: str
    settings: str
    play: Callable[[Target, int], Found]
    package: str
    module: str
    n_seeds: int = 5
    by_live_points: bool = False
    only_constrained: bool = False


EMULATED, EMULATED_UNTOLD = "emulated", "emulated, not told"

CONTESTANTS = (
    Contestant(
        EMULATED,
        "`method='emulated'`, precision 0.02, the other settings default; told of the constraints",
        partial(ours, method="emulated", precision=0.02),
        "astropipe",
        "astropipe.inference.emulated",
    ),
    Contestant(
        EMULATED_UNTOLD,
        "the same, but constraints only as ln L = −inf",
        partial(ours, told=False, method="emulated", precision=0.02),
        "astropipe",
        "astropipe.inference.emulated",
        only_constrained=True,
    ),
    Contestant(
        "exact",
        "`method='exact'`, default: dynesty, static, 500 live points, dlogz 0.01; told of the constraints",
        partial(ours, method="exact"),
        "dynesty",
        "dynesty",
        3,
        by_live_points=True,
    ),
    Contestant(
        "exact, dynamic",
        "the same with `dynamic=True`, to an effective sample size of 10,000",
        partial(ours, method="exact", dynamic=True),
        "dynesty",
        "dynesty",
        2,
        by_live_points=True,
    ),
    Contestant(
        "nautilus",
        "default: 2000 live points, effective sample size 10,000, points of the exploration kept; ln L = −inf",
        nautilus,
        "nautilus-sampler",
        "nautilus",
        2,
    ),
    Contestant(
        "nautilus, discarding",
        "the same with `discard_exploration=True`",
        partial(nautilus, discard_exploration=True),
        "nautilus-sampler",
        "nautilus",
        2,
    ),
    Contestant(
        "nautilus, small",
        "for few calls: 500 live points, effective sample size 2500 (an error of 0.02), exploration discarded",
        partial(nautilus, n_live=500, n_eff=2500, discard_exploration=True),
        "nautilus-sampler",
        "nautilus",
        3,
    ),
    Contestant(
        "UltraNest",
        "default: at least 400 live points, dlogz 0.5, effective sample size 400; ln L = −1e300",
        ultranest,
        "ultranest",
        "ultranest",
        2,
        by_live_points=True,
    ),
    Contestant(
        "GPry",
        "as many first points as it needs; its emulator sampled with UltraNest, which it cannot seed; ln L = −inf",
        gpry,
        "gpry",
        "gpry",
        2,
    ),
    Contestant(
        "GPry, batch",
        "the same with its other way of choosing points, `gp_acquisition='BatchOptimizer'`",
        partial(gpry, gp_acquisition="BatchOptimizer"),
        "gpry",
        "gpry",
        2,
    ),
    Contestant(
        "BOBE",
        "default; with constraints `use_clf=True`, as it recommends for ln L = −inf",
        bobe,
        "BOBE",
        "BOBE",
        2,
    ),
)
