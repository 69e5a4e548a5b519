"""Simulation-based calibration: whether posteriors of simulated data are as wide as they should be.

A truth θ is drawn from the prior, data from the likelihood given θ, and L draws from the posterior given these data.
If the sampler is right, θ and the draws are exchangeable, so that the rank of θ among the draws is uniform on 0 … L,
for every parameter and any model [Talts et al. 2018, arXiv:1804.06788, theorem 1], and an interval that holds a share c
of the posterior holds θ in a share c of the simulations. Ranks piled up at both ends mean posteriors that are too
narrow, in the middle too wide, on one side shifted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare, kstest

from astropipe.inference.datasets import dataset
from astropipe.inference.likelihoods.chronometers import Chronometers
from astropipe.inference.likelihoods.joint import JointLikelihood, interpret
from astropipe.inference.priors import Prior, Uniform
from astropipe.inference.problems.base import LogLikelihood
from astropipe.inference.problems.toys import Gaussian
from astropipe.inference.sampling import sample
from astropipe.inference.summaries import systematic_resample, weighted_quantiles
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.seeds import stream

Array = NDArray[np.float64]

COVERED = (0.68, 0.95)
"""Probabilities of the central intervals whose coverage is counted."""


@dataclass(frozen=True)
class Experiment:
    """A problem whose data can be simulated.

    Attributes
    ----------
    name
        For tables.
    prior
        Joint prior, from which truths are drawn.
    simulate
        Takes a truth [d] and a generator; draws data, and returns the vectorised ln L given these.
    """

    name: str
    prior: Prior
    simulate: Callable[[Array, np.random.Generator], LogLikelihood]


@dataclass(frozen=True, eq=False)
class Calibration:
    """What n simulations of an experiment of d parameters show.

    Attributes
    ----------
    names : tuple of str
        Parameters.
    n_draws : int
        Posterior draws L among which each truth is ranked.
    ranks : ndarray [n, d] of int
        Number of draws below the truth, 0 … L.
    inside : ndarray [n, d, 2] of bool
        Whether the truth is inside the central intervals of `COVERED`.
    dropped : tuple of int
        Simulations whose runs did not converge; they are in nothing above.
    """

    names: tuple[str, ...]
    n_draws: int
    ranks: NDArray[np.int64]
    inside: NDArray[np.bool_]
    dropped: tuple[int, ...]

    def chi_squared_pvalues(self, n_bins: int = 8) -> Array:
        """Return for each parameter the p-value [d] of Pearson's test that ranks are uniform over equal bins.

        Raises
        ------
        UsageError
            If the L + 1 ranks cannot be shared out evenly.
        """
        if (self.n_draws + 1) % n_bins:
            raise UsageError(f"{self.n_draws + 1} ranks do not go into {n_bins} equal bins")
        bins = self.ranks * n_bins // (self.n_draws + 1)
        return np.array([chisquare(np.bincount(column, minlength=n_bins)).pvalue for column in bins.T])

    def ks_pvalues(self) -> Array:
        """Return the p-values [d] of the Kolmogorov–Smirnov test; (rank + 1/2) / (L + 1) counts as continuous."""
        return np.array([kstest((column + 0.5) / (self.n_draws + 1), "uniform").pvalue for column in self.ranks.T])

    def coverage(self) -> Array:
        """Return the share of truths [d, 2] inside the intervals of `COVERED`."""
        return np.asarray(self.inside.mean(axis=0))

    def coverage_errors(self) -> Array:
        """Return the binomial standard errors [2] that the shares have if the intervals are right."""
        c = np.array(COVERED)
        return np.asarray(np.sqrt(c * (1.0 - c) / len(self.inside)))


def calibrate(
    experiment: Experiment, simulations: Iterable[int], *, n_draws: int = 63, seed: int = 0, **options: Any
) -> Calibration:
    """Sample the posteriors of simulated data and rank the truths in them.

    Parameters
    ----------
    experiment
        What to simulate.
    simulations
        Ids of the simulations. Each has random streams of its own, so that they can be shared out.
    n_draws
        L. It should be well below the effective sample size, for draws taken from fewer samples are not independent.
    seed
        Root seed.
    options
        Of `astropipe.inference.sample`: method and precision.

    Raises
    ------
    InputError
        If no run converged.
    """
    ranks, inside, dropped = [], [], []
    for i in simulations:
        rng = stream(seed, "inference.calibration", i)
        truth = _draw(experiment.prior, rng)
        likelihood = experiment.simulate(truth, rng)
        result = sample(likelihood, experiment.prior, vectorized=True, seed=int(rng.integers(2**31)), **options)
        if not result.converged:
            dropped.append(i)
            continue
        ranks.append(rank(truth, result.samples, result.weights, n_draws, rng))
        inside.append(covered(truth, result.samples, result.weights))
    if not ranks:
        raise InputError(f"{experiment.name}: none of {len(dropped)} runs converged, so there is nothing to rank")
    return Calibration(experiment.prior.names, n_draws, np.array(ranks), np.array(inside), tuple(dropped))


def rank(truth: Array, samples: Array, weights: Array, n_draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return how many of `n_draws` draws from weighted samples [m, d] are below a truth [d], as [d]."""
    # In the order of ln L, in which samples come, systematic draws would be spread more evenly than independent ones.
    order = rng.permutation(len(weights))
    drawn = order[systematic_resample(weights[order], n_draws, rng)]
    return np.asarray(np.count_nonzero(samples[drawn] < truth, axis=0), dtype=np.int64)


def covered(truth: Array, samples: Array, weights: Array) -> NDArray[np.bool_]:
    """Return whether a truth [d] is inside the central intervals [d, 2] of weighted samples [m, d]."""
    tails = [0.5 * (1.0 + sign * c) for c in COVERED for sign in (-1.0, 1.0)]
    limits = np.array([weighted_quantiles(column, weights, tails) for column in samples.T]).reshape(-1, len(COVERED), 2)
    return np.asarray((limits[..., 0] <= truth[:, None]) & (truth[:, None] <= limits[..., 1]))


def _draw(prior: Prior, rng: np.random.Generator) -> Array:
    """Return a point [d] of the prior that its constraints allow."""
    while True:
        point = prior.transform(rng.random((1, len(prior))))
        if prior.allowed(point)[0]:
            return np.asarray(point[0])


def gaussian_experiment(n_parameters: int = 2) -> Experiment:
    """Return the Gaussian toy: each parameter is measured once with unit error; flat priors from −10 to 10."""
    prior = Prior({f"x{i + 1}": Uniform(-10.0, 10.0) for i in range(n_parameters)})
    return Experiment("gaussian", prior, _measure_gaussian)


@dataclass(frozen=True)
class _Shifted:
    """The Gaussian toy about measured values."""

    measured: tuple[float, ...]

    def __call__(self, x: Array) -> Array:
        return Gaussian(len(self.measured))(x - np.array(self.measured))


def _measure_gaussian(truth: Array, rng: np.random.Generator) -> LogLikelihood:
    return _Shifted(tuple(rng.normal(truth, 1.0).tolist()))


def chronometer_experiment(name: str = "chronometers-31") -> Experiment:
    """Return flat ΛCDM measured by H(z) at the redshifts and with the covariance of a shipped set of chronometers.

    The prior is that of the problem ``lcdm-chronometers-31``: H0 40–100 km/s/Mpc, Ω_m 0.01–0.99.
    """
    prior = Prior({"h0": Uniform(40.0, 100.0), "omega_m": Uniform(0.01, 0.99)})
    return Experiment(f"lcdm-{name}", prior, partial(_measure_chronometers, name))


def _measure_chronometers(name: str, truth: Array, rng: np.random.Generator) -> LogLikelihood:
    names, data = ("h0", "omega_m"), dataset(name)
    universe, others = interpret(names, truth[None])
    expected = Chronometers(data).predict(universe, others)[0]
    simulated = replace(data, value=rng.multivariate_normal(expected, data.covariance, method="cholesky"))
    return JointLikelihood(names, [Chronometers(simulated)])
