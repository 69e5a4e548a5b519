"""Nested sampling in which a network takes the place of the likelihood, as published; approximate.

The order of events is that of the authors' code, branch ``main`` of simplemc_tests. What is theirs and what is not
stands in docs/inference.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import dynesty
import numpy as np
from dynesty.utils import LogLikelihood
from numpy.typing import NDArray

from astropipe.config.inference import NeuralikeConfig
from astropipe.inference.initial import draw_supported
from astropipe.inference.nested import Outcome, ProgressReport, Settings, result_fields
from astropipe.inference.neuralike.genetic import evolved_points, search_architecture
from astropipe.inference.neuralike.network import Network, train
from astropipe.inference.neuralike.result import Architecture, End, NeuralikeResult, Training
from astropipe.inference.pools import Workers
from astropipe.inference.priors import Prior
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.seeds import stream

Array = NDArray[np.float64]

RANGE_TOLERANCE = 0.05
"""How far above the best live point the network may place a point."""

MOST_CALLS = 1000
"""Calls of the network for one replacement."""

RETRAINING_RATE = 0.5
"""Learning rate of later trainings, in units of that of the first."""


class GuardTrippedError(Exception):
    """The network did what shows that it is not to be trusted; caught where it is switched off."""

    def __init__(self, guard: End) -> None:
        super().__init__(guard)
        self.guard = guard


@dataclass(slots=True)
class _Replacement:
    """ln L of one point [d] by the network, guarded; dynesty's likelihood while the network is on.

    Attributes
    ----------
    calls
        For the live point that is being replaced.
    total
        Those since it was trained that no constraint excluded.
    """

    network: Network
    sampler: Any
    prior: Prior
    calls: int = 0
    total: int = 0

    def __call__(self, x: Array) -> float:
        if self.calls >= MOST_CALLS:
            raise GuardTrippedError("calls")
        self.calls += 1
        if self.prior.constraints and not self.prior.allowed(x[None])[0]:
            return -np.inf
        self.total += 1
        value = float(self.network(x[None])[0])
        # The lower end of the range needs no guard: a point below the worst live one is not taken.
        if value > np.max(self.sampler.live_logl) + RANGE_TOLERANCE:
            raise GuardTrippedError("range")
        return value


class _Run:
    """The sampler, which of the two likelihoods it has, and what the network's history is."""

    def __init__(self, sampler: Any, prior: Prior, settings: NeuralikeConfig, seed: int) -> None:
        self.trainings: list[Training] = []
        self.emulated = [False]
        self._sampler, self._prior, self._settings = sampler, prior, settings
        self._networks: list[_Replacement] = []
        self._on = False
        self._rng = stream(seed, "inference.neuralike")
        self._interval = settings.update_interval or sampler.nlive
        self._true_since = 0
        self._architecture: Architecture | None = None
        self._true = (sampler.loglikelihood, sampler.mapper, sampler.queue_size)

    @property
    def n_emulated_calls(self) -> int:
        """Calls of all networks so far."""
        return sum(network.total for network in self._networks)

    def after(self, remaining: float) -> None:
        """Take note of a replacement, before which the live points could raise ln Z by `remaining`."""
        self.emulated.append(self._on)
        if self._on:
            self._networks[-1].calls = 0
            return
        self._true_since += 1
        s = self._settings
        begun = self._sampler.it > s.n_train_start or remaining <= s.dlogz_start
        due = self._true_since >= self._interval if self.trainings else begun
        if due:
            self._train()

    def switch_off(self, guard: End) -> None:
        """Go back to the true likelihood."""
        self.trainings[-1] = replace(self.trainings[-1], end=guard)
        self._on = False
        self._use(*self._true)

    def _train(self) -> None:
        x, values = self._sampler.live_v.copy(), np.array(self._sampler.live_logl, dtype=np.float64)
        s = self._settings
        if self._architecture is None:

            def loss(candidate: Architecture) -> float:
                return train(x, values, candidate, epochs=s.search_epochs, rng=self._rng).loss

            choices = (s.depths, s.widths, s.batch_sizes, s.learning_rates)
            self._architecture = search_architecture(
                loss, choices, population=s.population, generations=s.generations, rng=self._rng
            )
        architecture = self._architecture
        if self.trainings:
            architecture = replace(architecture, learning_rate=RETRAINING_RATE * architecture.learning_rate)
        network = train(x, values, architecture, epochs=s.epochs, rng=self._rng)
        accepted = network.loss < s.valid_loss
        end: End = "end" if accepted else "rejected"
        self.trainings.append(Training(self._sampler.it - 1, architecture, network.loss, network.rmse, end))
        self._true_since = 0
        if accepted:
            self._on = True
            self._networks.append(_Replacement(network, self._sampler, self._prior))
            # One proposal at a time, each against the present live points, and none of them in another process.
            self._use(LogLikelihood(self._networks[-1], x.shape[1]), map, 1)

    def _use(self, log_likelihood: Any, mapper: Callable[..., Any], queue_size: int) -> None:
        self._sampler.loglikelihood, self._sampler.mapper, self._sampler.queue_size = log_likelihood, mapper, queue_size
        # Proposals that wait have the other likelihood.
        self._sampler.queue, self._sampler.nqueue = [], 0


def sample_neuralike(
    workers: Workers,
    prior: Prior,
    nested: Settings,
    settings: NeuralikeConfig,
    *,
    seed: int,
    progress: ProgressReport | None = None,
    stop_requested: Callable[[], bool] | None = None,
) -> NeuralikeResult:
    """Sample a posterior and estimate its evidence by the method of neuralike; approximate.

    Nested sampling with the true likelihood, until `settings` call for a network. It learns ln L of the live points,
    and if its validation loss is low enough it stands in for the likelihood from then on; its values are stored as if
    they were exact. It is switched off when it places a point more than 0.05 above the best live one, or needs more
    than 1000 calls for a replacement, which is then made with the true likelihood; after `update_interval` of these it
    is trained anew [Gómez-Vargas & Vázquez 2024, Phys. Rev. D 110, 083518].

    Parameters
    ----------
    workers
        Open workers of the true likelihood.
    prior
        Joint prior.
    nested, settings
        Of nested sampling, not dynamic, and of the network. `Settings.max_calls` counts true calls.
    seed
        Root seed. Without a network the points are those that an exact run of this seed visits.
    progress
        Called after each iteration; see `astropipe.inference.nested.ProgressReport`.
    stop_requested
        Asked before each likelihood call and after each replacement whether to stop.

    Raises
    ------
    InputError
        As `astropipe.inference.nested.sample`.
    InterruptedRunError
        If `stop_requested` said so.
    """
    nested.check(len(prior))
    rng, d = stream(seed, "inference.sample"), len(prior)
    outcome = Outcome(None)
    if settings.genetic_start:

        def of_many(u: Array) -> Array:
            return np.array(workers.map(workers.log_likelihood, prior.transform(u)), dtype=np.float64)

        u, values = evolved_points(of_many, d, nested.n_live, stream(seed, "inference.neuralike.start"))
        live_points = (u, prior.transform(u), values)
    else:
        start = draw_supported(workers, nested.n_live, d, rng)
        live_points = (start.u, start.x, start.log_likelihoods)
        outcome = Outcome(None, start.log_support, start.log_support_variance)
    sampler = dynesty.NestedSampler(
        workers.log_likelihood, workers.transform, d, live_points=live_points, **nested.for_dynesty(workers, rng)
    )
    # The calls that dynesty counts when it draws the live points itself; it updates its bounds by this count.
    sampler.ncall = nested.n_live
    run = _Run(sampler, prior, settings, seed)

    def calls() -> int:
        return workers.counts.total + run.n_emulated_calls

    finished = False
    while not finished:
        try:
            for step in sampler.sample(dlogz=nested.dlogz, save_bounds=False):
                if stop_requested is not None and stop_requested():
                    raise InterruptedRunError("stop requested")
                if progress is not None:
                    iteration, logz = sampler.it - 1, float(step.logz) + outcome.log_support
                    progress(iteration, calls(), logz, float(step.delta_logz), iteration / calls())
                run.after(float(step.delta_logz))
                if nested.max_calls is not None and workers.counts.total >= nested.max_calls:
                    break
            finished = True
        except GuardTrippedError as tripped:
            # The replacement that was being made has left no trace in the sampler, which goes on where it was.
            run.switch_off(tripped.guard)
    # No further iteration: this adds the live points and integrates.
    sampler.run_nested(maxiter=-1, dlogz=nested.dlogz, print_progress=False, save_bounds=False)
    outcome = replace(outcome, found=sampler.results)
    fields = result_fields(outcome, nested, workers, prior)
    return NeuralikeResult(
        **fields | {"n_calls": calls()},
        n_emulated_calls=run.n_emulated_calls,
        trainings=tuple(run.trainings),
        emulated=np.array(run.emulated)[np.asarray(outcome.found.samples_it)],
        genetic_start=settings.genetic_start,
    )
