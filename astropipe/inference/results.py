"""What a sampling run returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.summaries import effective_sample_size, insertion_rank_pvalue, systematic_resample
from astropipe.runtime.errors import InputError, UsageError


@dataclass(frozen=True, eq=False, kw_only=True)
class PosteriorResult:
    """Weighted posterior samples and evidence, by whatever method.

    Every likelihood in it is a true one, unless the class is `approximate`.

    Attributes
    ----------
    names : tuple of str
        Parameters, in the order of the columns of `samples`.
    samples : ndarray [m, d]
        Parameters, in order of rising ln L.
    log_likelihoods : ndarray [m]
        ln L.
    log_volumes : ndarray [m]
        Estimated ln X of the prior volume with a likelihood above that of each sample.
    log_weights : ndarray [m]
        Logarithms of weights that sum to Z; the posterior weight of a sample is exp(log_weight − logz).
    logz, logz_err : float
        ln Z with respect to the whole prior volume, and its standard error.
    information : float
        Kullback–Leibler divergence H of the posterior from the prior, in nats.
    n_true_calls, n_emulated_calls : int
        Points at which the likelihood and its emulator were evaluated. Calls served from a checkpoint count.
    masked_fraction : float
        Share f of the prior volume that the constraints exclude.
    overhead_seconds : float
        Wall-clock time of the run beyond its likelihood calls, those shared out between the processes. NaN where an
        executor of unknown size made them. With `n_reused_calls` of exact runs the only number here that another run
        with the same arguments may have differently.
    converged : bool
        Whether the run ended by its own criterion; if not, `diagnostics` says why.
    remark : str
        Why this method was taken, where that was left to the program.
    """

    method: ClassVar[str]
    approximate: ClassVar[bool] = False
    """Whether values of an emulator stand among the likelihoods, with an effect that no number here tells."""

    names: tuple[str, ...]
    samples: NDArray[np.float64]
    log_likelihoods: NDArray[np.float64]
    log_volumes: NDArray[np.float64]
    log_weights: NDArray[np.float64]
    logz: float
    logz_err: float
    information: float
    n_true_calls: int
    n_emulated_calls: int = 0
    masked_fraction: float
    overhead_seconds: float = math.nan
    converged: bool
    remark: str = ""

    @property
    def weights(self) -> NDArray[np.float64]:
        """Posterior weights [m], which sum to 1; all zero where no sample has any, as in a run that gave up."""
        largest = np.max(self.log_weights, initial=-np.inf)
        if largest == -np.inf:
            return np.zeros(len(self.log_weights))
        weights = np.exp(self.log_weights - largest)
        return np.asarray(weights / weights.sum())

    @property
    def ess(self) -> float:
        """Kish's effective sample size of the weighted samples; 0 where none has a weight."""
        weights = self.weights
        return effective_sample_size(weights) if np.any(weights) else 0.0

    @property
    def ess_per_call(self) -> float:
        """Effective samples for each true likelihood call: 1 for independent draws without any cost beside them."""
        return self.ess / self.n_true_calls

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
        InputError
            If no sample has a weight, as in a run that gave up.
        """
        weights = self.weights
        if not np.any(weights):
            raise InputError("the run made no posterior samples to draw from; diagnostics.reasons says why")
        n = max(1, int(self.ess)) if n_draws is None else n_draws
        if n < 1:
            raise UsageError(f"n_draws = {n} must be at least 1")
        return systematic_resample(weights, n, np.random.default_rng(seed))

    def equal_weight_draws(
        self, n_draws: int | None = None, seed: int | np.random.Generator = 0
    ) -> NDArray[np.float64]:
        """Return an equally weighted posterior sample [n, d]; parameters as in `equal_weight_indices`."""
        return np.asarray(self.samples[self.equal_weight_indices(n_draws, seed)])


@dataclass(frozen=True, slots=True)
class NestedDiagnostics:
    """Whether to believe a nested sampling run.

    Attributes
    ----------
    reasons : tuple of str
        Why the run did not converge; empty if it did.
    ess : float
        Kish's effective sample size of the weighted samples.
    efficiency : float
        Replacements per point at which ln L was asked for.
    insertion_rank_p : float
        p-value of the insertion-rank test; NaN for dynamic runs.
    """

    reasons: tuple[str, ...]
    ess: float
    efficiency: float
    insertion_rank_p: float


@dataclass(frozen=True, eq=False, kw_only=True)
class NestedResult(PosteriorResult):
    """What nested sampling returns: dead points, then the last live points.

    Attributes
    ----------
    log_support : float
        ln f of the estimated prior volume f with L > 0, at which a static run begins: 0 where L > 0 everywhere.
        A dynamic run begins at 0 and has its points of L = 0 among the samples, with ln L = −inf.
    n_live : int
        Live points (of the baseline run if `dynamic`).
    dynamic : bool
        Whether live points were added where the posterior mass is.
    n_iterations : int
        Points replaced.
    n_calls : int
        Points at which the sampler asked for ln L; `n_true_calls` are those that no constraint excluded.
    n_reused_calls : int
        Those among `n_true_calls` whose value came from the checkpoint of an earlier session.
    insertion_ranks : ndarray [k] of int
        For each replacement, how many of the other live points lie below the new one; uniform on 0 … n_live
        − 1 if the sampler draws from the constrained prior [Fowlie, Handley & Su 2020, MNRAS 497, 5256].
        Empty for dynamic runs; replacements while live points share the lowest likelihood are left out.

    Notes
    -----
    The error of ln Z is √(Σ ΔH Δln X) [Speagle 2020, MNRAS 493, 3132].
    """

    method: ClassVar[str] = "exact"

    log_support: float
    n_live: int
    dynamic: bool
    n_iterations: int
    n_calls: int
    n_reused_calls: int
    insertion_ranks: NDArray[np.int64]

    @property
    def efficiency(self) -> float:
        """Replacements per point at which ln L was asked for."""
        return self.n_iterations / self.n_calls

    @property
    def diagnostics(self) -> NestedDiagnostics:
        """What speaks for and against the run."""
        reasons = () if self.converged else ("ended by max_calls",)
        ranks = self.insertion_ranks
        p_value = insertion_rank_pvalue(ranks, self.n_live) if len(ranks) else math.nan
        return NestedDiagnostics(reasons, self.ess, self.efficiency, p_value)
