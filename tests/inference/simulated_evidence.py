"""The error of ln Z by simulation, another method than the formula that runs quote."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp


def simulate_logz(
    log_likelihoods: NDArray[np.float64],
    log_volumes: NDArray[np.float64],
    log_support: float,
    n_simulations: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return ln Z [n_simulations] for random realisations of the prior volumes of a run.

    With n live points the volume shrinks by t ~ Beta(n, 1), so −ln t is exponential with mean 1/n, also for
    the last live points, where n falls by one each time [Skilling 2006, Bayesian Analysis 1, 833; Higson et
    al. 2018, Bayesian Analysis 13, 873]. n is read from the steps of the expected volumes, n / (n + 1),
    which holds for static and dynamic runs and for plateaus. The standard deviation of the result is the
    error of ln Z.

    Parameters
    ----------
    log_likelihoods, log_volumes
        Of the samples of a run in order of rising ln L, shape [m]; −inf is allowed in `log_likelihoods`.
    log_support
        ln of the prior volume at which the run began, taken as known.
    n_simulations
        Number of realisations.
    rng
        Random generator.
    """
    mean_shrinkage = np.expm1(-np.diff(log_volumes, prepend=log_support))
    # Trapezoid rule: (L_i + L_{i-1}) / 2 over the shell X_{i-1} - X_i.
    heights = np.logaddexp(log_likelihoods, np.concatenate([[-np.inf], log_likelihoods[:-1]])) - np.log(2.0)
    logz = np.empty(n_simulations)
    for k in range(n_simulations):
        shrinkage = rng.exponential(size=len(mean_shrinkage)) * mean_shrinkage
        log_outer = log_support - np.concatenate([[0.0], np.cumsum(shrinkage)[:-1]])
        logz[k] = logsumexp(heights + log_outer, b=-np.expm1(-shrinkage))
    return logz
