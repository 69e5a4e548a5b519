"""What a nested sampling run returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.summaries import effective_sample_size, systematic_resample
from astropipe.runtime.errors import UsageError


@dataclass(frozen=True, eq=False)
class NestedResult:
    """Weighted posterior samples and evidence of one run; samples are in order of rising ln L.

    Attributes
    ----------
    names : tuple of str
        Parameters, in the order of the columns of `samples`.
    samples : ndarray [m, d]
        Dead points, then the last live points.
    log_likelihoods : ndarray [m]
        ln L; −inf only in dynamic runs, for points that are excluded or where the model has no value.
    log_volumes : ndarray [m]
        Estimated ln X of the prior volume with a likelihood above that of each sample.
    log_weights : ndarray [m]
        ln(L ΔX), whose exponentials sum to Z; the posterior weight of a sample is exp(log_weight − logz).
    log_support : float
        ln f of the estimated prior volume f with L > 0, at which a static run begins: 0 where L > 0 everywhere.
        A dynamic run begins at 0 and has its points of L = 0 among the samples.
    logz, logz_err : float
        ln Z with respect to the whole prior volume, and its statistical error √(Σ ΔH Δln X) [Speagle 2020,
        MNRAS 493, 3132].
    information : float
        Kullback–Leibler divergence H of the posterior from the prior, in nats.
    n_live : int
        Live points (of the baseline run if `dynamic`).
    dynamic : bool
        Whether live points were added where the posterior mass is.
    n_iterations : int
        Points replaced.
    n_calls : int
        Points at which the sampler asked for ln L.
    n_true_calls : int
        Those at which the likelihood was evaluated: `n_calls` without the points excluded by a constraint.
        The same for an interrupted and resumed run as for an uninterrupted one.
    n_reused_calls : int
        Those among `n_true_calls` whose value came from the checkpoint of an earlier session. The only number
        here that depends on how often the run was interrupted.
    masked_fraction : float
        Share f of the prior volume that the constraints exclude.
    insertion_ranks : ndarray [k] of int
        For each replacement, how many of the other live points lie below the new one; uniform on 0 … n_live
        − 1 if the sampler draws from the constrained prior [Fowlie, Handley & Su 2020, MNRAS 497, 5256].
        Empty for dynamic runs; replacements while live points share the lowest likelihood are left out.
    converged : bool
        Whether the run ended by its own criterion and not by `max_calls`.
    """

    names: tuple[str, ...]
    samples: NDArray[np.float64]
    log_likelihoods: NDArray[np.float64]
    log_volumes: NDArray[np.float64]
    log_weights: NDArray[np.float64]
    log_support: float
    logz: float
    logz_err: float
    information: float
    n_live: int
    dynamic: bool
    n_iterations: int
    n_calls: int
    n_true_calls: int
    n_reused_calls: int
    masked_fraction: float
    insertion_ranks: NDArray[np.int64]
    converged: bool

    @property
    def weights(self) -> NDArray[np.float64]:
        """Posterior weights [m], which sum to 1."""
        weights = np.exp(self.log_weights - np.max(self.log_weights))
        return np.asarray(weights / weights.sum())

    @property
    def ess(self) -> float:
        """Kish's effective sample size of the weighted samples."""
        return effective_sample_size(self.weights)

    @property
    def efficiency(self) -> float:
        """Replacements per point at which ln L was asked for."""
        return self.n_iterations / self.n_calls

    @property
    def logz_allowed(self) -> float:
        """Evidence ln Z with respect to the prior renormalised to the region that the constraints allow."""
        return self.logz - float(np.log1p(-self.masked_fraction))

    def equal_weight_indices(self, n_draws: int | None = None, seed: int | np.random.Generator = 0) -> NDArray[np.intp]:
        """Return indices [n] of `samples` that make an equally weighted posterior sample, in random order.

        Parameters
        ----------
        n_draws
            Number of draws; by default the effective sample size, beyond which repetition only looks like
            information.
        seed
            Seed or generator.

        Raises
        ------
        UsageError
            If `n_draws` is less than 1.
        """
        n = max(1, int(self.ess)) if n_draws is None else n_draws
        if n < 1:
            raise UsageError(f"n_draws = {n} must be at least 1")
        return systematic_resample(self.weights, n, np.random.default_rng(seed))

    def equal_weight_draws(
        self, n_draws: int | None = None, seed: int | np.random.Generator = 0
    ) -> NDArray[np.float64]:
        """Return an equally weighted posterior sample [n, d]; parameters as in `equal_weight_indices`."""
        return np.asarray(self.samples[self.equal_weight_indices(n_draws, seed)])
