"""Distributions of velocities: the X distribution of Xu and the logistic one, fitted by maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import kve

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.runtime.errors import InputError

Family = Literal["x", "logistic"]
_LN_ALPHA = (np.log(1e-3), np.log(1e2))
_STEP = 1e-4


def x_log_density(values: FloatArray, location: float, v0: float, alpha: float) -> FloatArray:
    """Return the logarithm of the X distribution (Xu 2021, arXiv:2110.03126).

        X(v) = exp(-sqrt(alpha^2 + (v / v0)^2)) / (2 alpha v0 K1(alpha))

    A core as of a Gaussian and wings as of an exponential; a mixture of Gaussians whose variances have a generalised
    inverse Gaussian distribution. alpha towards 0 gives Laplace's distribution, alpha to infinity a Gaussian.

    Parameters
    ----------
    values : array
        Velocities.
    location : float
        Centre; 0 with Xu.
    v0, alpha : float
        Scale, and shape.
    """
    u = (values - location) / v0
    # kve holds exp(alpha) K1(alpha), which keeps the exponents near 0.
    root = np.sqrt(alpha**2 + u**2)
    return np.asarray(alpha - root - np.log(2.0 * alpha * v0 * kve(1, alpha)))


def x_variance(v0: float, alpha: float) -> float:
    """Return the variance of the X distribution, alpha v0^2 K2(alpha) / K1(alpha)."""
    return float(alpha * v0**2 * kve(2, alpha) / kve(1, alpha))


def logistic_log_density(values: FloatArray, location: float, scale: float) -> FloatArray:
    """Return the logarithm of the logistic distribution, sech^2((v - location) / 2 scale) / (4 scale)."""
    u = np.abs(values - location) / scale
    return np.asarray(-u - 2.0 * np.log1p(np.exp(-u)) - np.log(scale))


@dataclass(frozen=True)
class Fit:
    """A distribution fitted to values.

    Parameters
    ----------
    location, scale, alpha : float
        Parameters; the scale is v0 of X. ``alpha`` is NaN for the logistic distribution.
    location_error, scale_error, alpha_error : float
        Standard errors; NaN where alpha lies at the end of its range (1e-3, Laplace; 100, Gauss).
    log_likelihood : float
        Mean of the log density over the values.
    distance : float
        Largest distance between the distribution functions of fit and values (Kolmogorov & Smirnov).
    """

    location: float
    scale: float
    alpha: float
    location_error: float
    scale_error: float
    alpha_error: float
    log_likelihood: float
    distance: float


NO_FIT = Fit(*[np.nan] * 8)


def fit(values: FloatArray, family: Family, regions: IntArray | None = None) -> Fit:
    """Fit a distribution by maximum likelihood.

    Errors are of the sandwich kind (Huber 1967), with the scores summed within each region first: they hold where the
    values of a region depend on each other, and where the distribution is not the true one.

    Parameters
    ----------
    values : array of shape (n,)
        Velocities.
    family : {"x", "logistic"}
        Which distribution.
    regions : array of int, shape (n,), optional
        Region of space of each value; None for independent values.

    Raises
    ------
    InputError
        If values are not finite.
    """
    if not np.all(np.isfinite(values)):
        raise InputError("a distribution cannot be fitted to velocities that are not finite; remove them")
    deviation = float(np.std(values)) if values.size >= 10 else 0.0
    if deviation == 0.0:
        return NO_FIT
    log_density = _x_by_deviation if family == "x" else _logistic_by_deviation
    start = np.array([0.0, 0.0, np.log(2.0)])[: 3 if family == "x" else 2]
    bounds = [(-3.0, 3.0), (-3.0, 3.0), _LN_ALPHA][: len(start)]
    centre = float(np.mean(values))
    units = (values - centre) / deviation
    found = minimize(lambda theta: -np.mean(log_density(units, theta)), start, method="L-BFGS-B", bounds=bounds).x
    clusters = np.arange(values.size) if regions is None else regions
    covariance = _sandwich(units, found, log_density, clusters)
    location, scale, alpha = _named(found)
    slopes = np.array([_named(found + step) for step in _STEP * np.eye(len(found))])
    slopes = (slopes - np.array([location, scale, alpha])) / _STEP
    variance = np.einsum("ik,ij,jk->k", slopes, covariance, slopes)
    errors = np.sqrt(np.where(variance >= 0.0, variance, np.nan))
    if len(found) == 3 and not _LN_ALPHA[0] + 0.01 < found[2] < _LN_ALPHA[1] - 0.01:
        errors[1:] = np.nan
    return Fit(
        centre + deviation * location,
        deviation * scale,
        alpha,
        deviation * float(errors[0]),
        deviation * float(errors[1]),
        float(errors[2]) if len(found) == 3 else np.nan,
        float(np.mean(log_density(units, found))) - np.log(deviation),
        _distance(units, found, log_density),
    )


def _named(theta: FloatArray) -> tuple[float, float, float]:
    """Return location, scale and alpha of the parameters that are searched: location, ln deviation, ln alpha."""
    if len(theta) == 2:
        return float(theta[0]), float(np.exp(theta[1]) * np.sqrt(3.0) / np.pi), np.nan
    alpha = float(np.exp(theta[2]))
    return float(theta[0]), float(np.exp(theta[1]) / np.sqrt(x_variance(1.0, alpha))), alpha


def _x_by_deviation(values: FloatArray, theta: FloatArray) -> FloatArray:
    return x_log_density(values, *_named(theta))


def _logistic_by_deviation(values: FloatArray, theta: FloatArray) -> FloatArray:
    return logistic_log_density(values, *_named(theta)[:2])


def _sandwich(
    values: FloatArray, theta: FloatArray, log_density: Callable[..., FloatArray], clusters: IntArray
) -> FloatArray:
    """Return the covariance of the estimates, H^-1 B H^-1: H of the mean curvature, B of the scores by cluster."""
    steps = _STEP * np.eye(len(theta))
    up = [log_density(values, theta + step) for step in steps]
    down = [log_density(values, theta - step) for step in steps]
    scores = np.stack([(high - low) / (2.0 * _STEP) for high, low in zip(up, down, strict=True)])

    def slope(at: FloatArray) -> FloatArray:
        sums = [np.sum(log_density(values, at + s)) - np.sum(log_density(values, at - s)) for s in steps]
        return np.array(sums) / (2.0 * _STEP)

    curvature = np.array([slope(theta + step) - slope(theta - step) for step in steps]) / (2.0 * _STEP)
    sums = np.stack([np.bincount(clusters, score) for score in scores])
    try:
        inverse = np.linalg.inv(curvature)
    except np.linalg.LinAlgError:
        return np.full_like(curvature, np.nan)
    n = np.unique(clusters).size
    return np.asarray(inverse @ (sums @ sums.T * n / max(n - 1, 1)) @ inverse)


def _distance(values: FloatArray, theta: FloatArray, log_density: Callable[..., FloatArray]) -> float:
    """Return the largest difference of the distribution functions, that of the fit summed on a fine grid."""
    grid = np.linspace(-30.0, 30.0, 24001)
    density = np.exp(log_density(grid, theta))
    function = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    at = np.interp(np.sort(values), grid, function)
    rank = np.arange(values.size + 1) / values.size
    return float(max(np.max(at - rank[:-1]), np.max(rank[1:] - at)))
