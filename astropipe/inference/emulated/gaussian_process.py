"""A Gaussian process that interpolates scattered values: mean, deviation and the choice of its length scales.

Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, chapters 2 and 5. The mean function is a
polynomial whose coefficients have a broad prior and are integrated out (their section 2.7).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

Array = NDArray[np.float64]

TREND_SD = 10.0
"""Prior deviation of the coefficients of the mean function, in units of the spread of the values."""

LENGTHS = (0.05, 50.0)
AMPLITUDES = (1e-2, 1e2)
NOISES = (1e-3, 1.0)
"""Bounds of the length scales, in units of the inputs, and of amplitude and noise, in units of the values' spread."""

BLOCK = 256
"""Points predicted at a time, so that intermediate matrices stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Length scale of each input [d], amplitude of the deviations from the trend, and noise, all positive.

    Amplitude and noise are in units of the spread of the values.
    """

    lengths: Array
    amplitude: float
    noise: float

    def to_vector(self) -> Array:
        """Return the logarithms of all in one vector, [d + 2]."""
        return np.asarray(np.log(np.concatenate([self.lengths, [self.amplitude, self.noise]])))

    @staticmethod
    def from_vector(vector: Array) -> Hyperparameters:
        """Invert `to_vector`."""
        values = np.exp(vector)
        return Hyperparameters(values[:-2], float(values[-2]), float(values[-1]))


class GaussianProcess:
    """The process conditioned on values y [n] at inputs x [n, d].

    Parameters
    ----------
    x, y
        Inputs, of order unity, and values.
    extra_noise
        Deviation [n], in the units of y, to which each value needs to be met in addition to the fitted noise.
    hyperparameters
        From `fit_hyperparameters`.
    """

    def __init__(self, x: Array, y: Array, extra_noise: Array, hyperparameters: Hyperparameters) -> None:
        self.hyperparameters = hyperparameters
        self._offset, self._spread = _moments(y)
        self._scaled = x / hyperparameters.lengths
        self._trend = trend(x)
        h = hyperparameters
        kernel = _kernel(self._scaled, self._scaled) * h.amplitude**2 + TREND_SD**2 * (self._trend @ self._trend.T)
        self._factor = _cholesky(kernel, h.noise**2 + (extra_noise / self._spread) ** 2)
        residual = (y - self._offset) / self._spread
        self._weights = cho_solve((self._factor, True), residual)
        self._coefficients = TREND_SD**2 * (self._trend.T @ self._weights)

    def mean(self, x: Array) -> Array:
        """Return the expected values at `x`, shape [m, d], as [m]."""
        weights = self.hyperparameters.amplitude**2 * self._weights

        def of_block(x: Array) -> Array:
            smooth = trend(x) @ self._coefficients
            return np.asarray(smooth + _kernel(x / self.hyperparameters.lengths, self._scaled) @ weights)

        return self._offset + self._spread * _by_blocks(of_block, x)

    def basis(self, x: Array) -> tuple[Array, Array]:
        """Return what the covariance of the process at `x`, [m, d], is made of.

        Returns
        -------
        prior_features : ndarray [m, p]
            Trend features times their prior deviation; with the kernel they give the covariance before the data.
        explained : ndarray [m, n]
            Whitened covariances with the data: covariance after the data = before − explained explainedᵀ.
        """
        features = TREND_SD * trend(x)
        cross = self.hyperparameters.amplitude**2 * _kernel(x / self.hyperparameters.lengths, self._scaled)
        cross += features @ (TREND_SD * self._trend.T)
        return features, np.asarray(cross @ self._inverse_factor.T)

    def deviation(self, x: Array) -> Array:
        """Return the standard deviation of the process (without noise) at `x`, shape [m, d], as [m]."""

        def variance_of_block(x: Array) -> Array:
            features, explained = self.basis(x)
            before = self.hyperparameters.amplitude**2 + np.einsum("ij,ij->i", features, features)
            return np.asarray(before - np.einsum("ij,ij->i", explained, explained))

        return self._spread * np.sqrt(np.maximum(_by_blocks(variance_of_block, x), 0.0))

    @cached_property
    def _inverse_factor(self) -> Array:
        # A product with it takes less time than a solution.
        identity = np.eye(len(self._factor))
        return np.asarray(solve_triangular(self._factor, identity, lower=True, check_finite=False))

    def predicted_share(self) -> float:
        """Return the share of the variance of the values that each is predicted with from all others, at most 1.

        Rasmussen & Williams (2006), eqs. 5.10-5.12; below 0 where the mean of the others predicts better.
        """
        precision = np.diag(cho_solve((self._factor, True), np.eye(len(self._factor))))
        return float(1.0 - np.mean((self._weights / precision) ** 2))

    def most_informative(self, x: Array, weights: Array, n: int) -> NDArray[np.intp]:
        """Return indices [n] of the points of `x` [m, d] that in turn have the largest weighted variance.

        Each choice takes into account that those before it will be known: these are the pivots of a Cholesky
        factorisation of the weighted covariance after the data [Harbrecht, Peters & Schneider 2012, Applied
        Numerical Mathematics 62, 428]. `weights` [m] multiply the variance.
        """
        features, explained = self.basis(x)
        scaled = x / self.hyperparameters.lengths
        amplitude = self.hyperparameters.amplitude**2
        left = amplitude + np.einsum("ij,ij->i", features, features) - np.einsum("ij,ij->i", explained, explained)
        noise = self.hyperparameters.noise**2
        columns = np.zeros((len(x), n))
        chosen = np.empty(n, dtype=np.intp)
        free = np.ones(len(x), dtype=np.bool_)
        for k in range(n):
            i = int(np.argmax(np.where(free, weights * left, -np.inf)))
            chosen[k], free[i] = i, False
            column = amplitude * _kernel(scaled, scaled[i : i + 1])[:, 0] + features @ features[i]
            column -= explained @ explained[i] + columns[:, :k] @ columns[i, :k]
            columns[:, k] = column / math.sqrt(max(left[i], 0.0) + noise)
            left = left - columns[:, k] ** 2
        return chosen


def fit_hyperparameters(
    x: Array, y: Array, extra_noise: Array, start: Hyperparameters | None = None, max_iterations: int = 60
) -> Hyperparameters:
    """Return the hyperparameters of largest marginal likelihood, found by L-BFGS from `start`.

    Parameters as in `GaussianProcess`. A weak log-normal prior of width 1.5 about 3 keeps length scales that
    the data say nothing about from running away.
    """
    offset, spread = _moments(y)
    residual, extra = (y - offset) / spread, (extra_noise / spread) ** 2
    features = trend(x)
    fixed = TREND_SD**2 * (features @ features.T)
    squares = [(x[:, i, None] - x[:, i]) ** 2 for i in range(x.shape[1])]

    def objective(vector: Array) -> tuple[float, Array]:
        """Return minus the logarithm of marginal likelihood times prior, up to a constant, and its gradient."""
        h = Hyperparameters.from_vector(vector)
        kernel = _kernel(x / h.lengths, x / h.lengths) * h.amplitude**2
        total = kernel + fixed
        total[np.diag_indices_from(total)] += h.noise**2 + extra
        try:
            factor, _ = cho_factor(total, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e12, np.zeros_like(vector)
        weights = cho_solve((factor, True), residual, check_finite=False)
        pull = (vector[:-2] - math.log(3.0)) / 1.5
        value = 0.5 * residual @ weights + np.sum(np.log(np.diag(factor))) + 0.5 * pull @ pull
        inverse = np.tril(dpotri(factor, lower=1)[0])
        inverse = inverse + np.tril(inverse, -1).T
        # d(objective) = 1/2 tr[(K^-1 - a a^T) dK]
        slope = inverse - np.outer(weights, weights)
        weighted = slope * kernel
        gradient = np.empty_like(vector)
        for i, square in enumerate(squares):
            gradient[i] = 0.5 * np.vdot(weighted, square) / h.lengths[i] ** 2 + pull[i] / 1.5
        gradient[-2] = np.sum(weighted)
        gradient[-1] = np.trace(slope) * h.noise**2
        return float(value), gradient

    d = x.shape[1]
    begin = start or Hyperparameters(np.full(d, 2.0), 1.0, 1e-2)
    bounds = [*([LENGTHS] * d), AMPLITUDES, NOISES]
    limits = [(math.log(low), math.log(high)) for low, high in bounds]
    vector = np.clip(begin.to_vector(), [low for low, _ in limits], [high for _, high in limits])
    found = minimize(objective, vector, jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": max_iterations})
    return Hyperparameters.from_vector(np.asarray(found.x))


def trend(x: Array) -> Array:
    """Return the features of the mean function at `x`, [m, d]: a constant, and each input and its square."""
    return np.column_stack([np.ones(len(x)), x, x * x])


def _by_blocks(function: Callable[[Array], Array], x: Array) -> Array:
    """Return what a function gives for points [m, d], [m], computed by blocks."""
    return np.concatenate([np.empty(0), *(function(x[i : i + BLOCK]) for i in range(0, len(x), BLOCK))])


def _kernel(a: Array, b: Array) -> Array:
    """Return exp(−r²/2) between points [m, d] and [n, d] in units of the length scales, as [m, n]."""
    # a·b − a²/2 − b²/2 in one product: passes over the matrix cost more than its exponentials.
    left = np.column_stack([a, -0.5 * np.sum(a * a, axis=1), np.ones(len(a))])
    right = np.column_stack([b, np.ones(len(b)), -0.5 * np.sum(b * b, axis=1)])
    exponents = left @ right.T
    return np.asarray(np.exp(exponents, out=exponents))


def _cholesky(kernel: Array, variances: Array) -> Array:
    """Return the lower factor of a covariance [n, n] plus variances [n], raised if it is indefinite by rounding."""
    diagonal = np.diag_indices_from(kernel)
    rounding = 0.0
    while True:
        total = kernel.copy()
        total[diagonal] += variances + rounding
        try:
            return np.asarray(np.linalg.cholesky(total))
        except np.linalg.LinAlgError:
            rounding = max(10.0 * rounding, 1e-15 * float(np.max(total[diagonal])))


def _moments(y: Array) -> tuple[float, float]:
    """Return mean and spread of the values; a spread of 1 where they do not vary."""
    spread = float(np.std(y))
    return float(np.mean(y)), spread if spread > 1e-12 * max(1.0, float(np.max(np.abs(y)))) else 1.0
