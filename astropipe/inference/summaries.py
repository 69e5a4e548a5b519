"""Numbers that describe weighted posterior samples, and how they were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstest

from astropipe.runtime.errors import InputError

QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)


@dataclass(frozen=True, slots=True)
class ParameterSummary:
    """Marginal posterior of one parameter, in its unit.

    Attributes
    ----------
    mean, sd, median
        Moments and median.
    quantiles
        At the probabilities `QUANTILES`.
    hpd68, hpd95
        Shortest intervals that hold 68 % and 95 % of the probability.
    best
        Value at the sample of highest likelihood.
    """

    name: str
    mean: float
    sd: float
    median: float
    quantiles: tuple[float, ...]
    hpd68: tuple[float, float]
    hpd95: tuple[float, float]
    best: float


def summarise(
    names: Sequence[str],
    samples: NDArray[np.float64],
    weights: NDArray[np.float64],
    log_likelihoods: NDArray[np.float64],
) -> tuple[ParameterSummary, ...]:
    """Summarise each parameter of weighted samples.

    Parameters
    ----------
    names
        Parameter names, d of them.
    samples
        Shape [m, d].
    weights
        Shape [m], not negative; they need not sum to 1.
    log_likelihoods
        Shape [m].

    Raises
    ------
    InputError
        If the shapes disagree or the weights are no weights.
    """
    weights = _checked(samples, weights)
    if samples.shape[1] != len(names) or log_likelihoods.shape != weights.shape:
        raise InputError(
            f"{len(names)} names, samples {samples.shape}, log_likelihoods {log_likelihoods.shape} disagree"
        )
    mean, sd = weighted_mean(samples, weights), np.sqrt(np.diag(weighted_covariance(samples, weights)))
    best = samples[np.argmax(log_likelihoods)]
    return tuple(
        ParameterSummary(
            name=name,
            mean=float(mean[i]),
            sd=float(sd[i]),
            median=float(weighted_quantiles(samples[:, i], weights, [0.5])[0]),
            quantiles=tuple(float(q) for q in weighted_quantiles(samples[:, i], weights, QUANTILES)),
            hpd68=shortest_interval(samples[:, i], weights, 0.68),
            hpd95=shortest_interval(samples[:, i], weights, 0.95),
            best=float(best[i]),
        )
        for i, name in enumerate(names)
    )


def weighted_mean(samples: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean [d] of samples [m, d]."""
    return np.asarray(_checked(samples, weights) @ samples)


def weighted_covariance(samples: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance [d, d] of samples [m, d], unbiased for reliability weights: V / (1 − Σ w²)."""
    weights = _checked(samples, weights)
    deviations = samples - weights @ samples
    spread = 1.0 - float(weights @ weights)
    if spread <= 0.0:
        raise InputError("one sample has all the weight, so there is no covariance")
    return np.asarray((deviations * weights[:, None]).T @ deviations / spread)


def correlation(samples: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation matrix [d, d] of samples [m, d].

    Raises
    ------
    InputError
        If a parameter does not vary.
    """
    covariance = weighted_covariance(samples, weights)
    sd = np.sqrt(np.diag(covariance))
    if not np.all(sd > 0.0):
        raise InputError(f"column {int(np.argmin(sd))} of the samples does not vary, so it has no correlation")
    return np.asarray(covariance / np.outer(sd, sd))


def weighted_quantiles(
    x: NDArray[np.float64], weights: NDArray[np.float64], probabilities: Sequence[float]
) -> NDArray[np.float64]:
    """Return quantiles [k] of weighted values [m], interpolated between the mid-points of the weights."""
    weights = _checked(x, weights)
    order = np.argsort(x, kind="stable")
    cumulative = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.asarray(np.interp(probabilities, cumulative, x[order]))


def shortest_interval(x: NDArray[np.float64], weights: NDArray[np.float64], probability: float) -> tuple[float, float]:
    """Return the shortest interval that holds `probability` of the weighted values [m].

    For a density with one mode it is the region of highest posterior density. A density with several modes
    has such a region in pieces, which one interval cannot show.
    """
    weights = _checked(x, weights)
    order = np.argsort(x, kind="stable")
    x, cumulative = x[order], np.cumsum(weights[order])
    before = cumulative - weights[order]
    ends = np.searchsorted(cumulative, before + probability * (1.0 - 1e-12))
    starts = np.flatnonzero(ends < len(x))
    widths = x[ends[starts]] - x[starts]
    start = starts[np.argmin(widths)]
    return float(x[start]), float(x[ends[start]])


def effective_sample_size(weights: NDArray[np.float64]) -> float:
    """Return Kish's effective sample size (Σ w)² / Σ w² [Kish 1965, Survey Sampling]."""
    weights = _checked(weights, weights)
    return float(1.0 / (weights @ weights))


def systematic_resample(weights: NDArray[np.float64], n_draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return `n_draws` indices drawn with the given weights, in random order.

    Systematic resampling [Kitagawa 1996, J. Comput. Graph. Stat. 5, 1]: each sample is drawn ⌊n w⌋ or
    ⌊n w⌋ + 1 times, so it adds less noise than independent draws.
    """
    weights = _checked(weights, weights)
    positions = (rng.random() + np.arange(n_draws)) / n_draws
    indices = np.searchsorted(np.cumsum(weights), positions, side="right")
    return rng.permutation(np.minimum(indices, len(weights) - 1))


def insertion_ranks(slots: NDArray[np.int64], log_likelihoods: NDArray[np.float64], n_live: int) -> NDArray[np.int64]:
    """Return the rank of each new live point among the others, from the record of a static run.

    Parameters
    ----------
    slots
        Place among the live points from which each dead point was taken, shape [m]; the last `n_live` are the
        live points left at the end.
    log_likelihoods
        ln L of the dead points in that order, shape [m].
    n_live
        Number of live points.

    Returns
    -------
    ndarray
        Ranks 0 … n_live − 1; fewer than m − n_live, since replacements while several live points share the
        lowest ln L say nothing about the sampler.
    """
    # The point that enters a slot is the next one to leave it.
    successor = np.full(len(slots), -1)
    latest: dict[int, int] = {}
    for i in range(len(slots) - 1, -1, -1):
        successor[i] = latest.get(int(slots[i]), -1)
        latest[int(slots[i])] = i
    live = np.empty(n_live)
    for slot, i in latest.items():
        live[slot] = log_likelihoods[i]
    ranks = []
    for i in range(len(slots) - n_live):
        alone = np.count_nonzero(live <= log_likelihoods[i]) == 1
        new = log_likelihoods[successor[i]]
        live[slots[i]] = new
        if alone:
            ranks.append(int(np.count_nonzero(live < new)))
    return np.array(ranks, dtype=np.int64)


def insertion_rank_pvalue(ranks: NDArray[np.int64], n_live: int) -> float:
    """Return the p-value of the Kolmogorov–Smirnov test that insertion ranks are uniform on 0 … n_live − 1.

    Small values mean that new points were not drawn from the prior above the likelihood threshold [Fowlie,
    Handley & Su 2020, MNRAS 497, 5256]. The test takes (rank + 1/2) / n_live as continuous, which is slightly
    conservative.

    Raises
    ------
    InputError
        If there are no ranks.
    """
    if len(ranks) == 0:
        raise InputError("there are no insertion ranks to test; dynamic runs have none")
    return float(kstest((ranks + 0.5) / n_live, "uniform").pvalue)


def _checked(samples: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights that sum to 1."""
    if weights.ndim != 1 or len(samples) != len(weights):
        raise InputError(f"samples {samples.shape} and weights {weights.shape} disagree")
    total = float(np.sum(weights))
    if not (np.isfinite(total) and total > 0.0 and np.all(weights >= 0.0)):
        raise InputError("weights must be finite, not negative, and not all zero")
    return np.asarray(weights / total)
