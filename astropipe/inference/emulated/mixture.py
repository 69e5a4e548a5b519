"""A mixture of Student-t densities fitted to particles: heavy-tailed, easy to draw from, of known density.

Expectation maximisation with fixed degrees of freedom [Peel & McLachlan 2000, Statistics and Computing 10, 339].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import gammaln

Array = NDArray[np.float64]

DEGREES_OF_FREEDOM = 3.0
MOST_COMPONENTS = 32
N_ITERATIONS = 25
MOST_AT_ONCE = 10_000
"""Points whose distances to all components are held in memory."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares [k], centres [k, d] and lower Cholesky factors [k, d, d] of the scale matrices."""

    shares: Array
    centres: Array
    factors: Array

    def log_components(self, x: Array) -> tuple[Array, Array]:
        """Return ln(share × density) of each component at `x` [m, d], and the squared distances; both [m, k]."""
        d, nu = x.shape[1], DEGREES_OF_FREEDOM
        inverse = np.linalg.inv(self.factors)
        whitened = (x @ inverse.reshape(-1, d).T).reshape(len(x), -1, d) - np.einsum(
            "kij,kj->ki", inverse, self.centres
        )
        distances = np.einsum("nki,nki->nk", whitened, whitened)
        log_norm = gammaln(0.5 * (nu + d)) - gammaln(0.5 * nu) - 0.5 * d * np.log(nu * np.pi)
        log_det = np.sum(np.log(np.diagonal(self.factors, axis1=1, axis2=2)), axis=1)
        log_density = log_norm - log_det - 0.5 * (nu + d) * np.log1p(distances / nu)
        return np.log(self.shares) + log_density, distances

    def log_density(self, x: Array) -> Array:
        """Return the logarithm of the density at points [m, d], as [m]."""
        pieces = np.array_split(x, len(x) // MOST_AT_ONCE + 1)
        return np.concatenate([_log_sum_exp(self.log_components(piece)[0]) for piece in pieces])

    def widened(self, factor: float) -> Mixture:
        """Return the mixture whose components are wider by a factor."""
        return replace(self, factors=self.factors * factor)

    def joined(self, other: Mixture, share: float) -> Mixture:
        """Return the mixture of this one and a share of another."""
        return Mixture(
            np.concatenate([(1.0 - share) * self.shares, share * other.shares]),
            np.concatenate([self.centres, other.centres]),
            np.concatenate([self.factors, other.factors]),
        )

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Return n draws, [n, d]."""
        component = rng.choice(len(self.shares), n, p=self.shares)
        normal = rng.standard_normal((n, self.centres.shape[1]))
        normal /= np.sqrt(rng.chisquare(DEGREES_OF_FREEDOM, n) / DEGREES_OF_FREEDOM)[:, None]
        return np.asarray(self.centres[component] + np.einsum("nij,nj->ni", self.factors[component], normal))


def fit_mixture(x: Array, rng: np.random.Generator) -> Mixture:
    """Return a mixture fitted to equally weighted points `x`, [n, d].

    The number of components is doubled as long as that raises the mean log density of every second point, which
    the fit does not see.
    """
    order = rng.permutation(len(x))
    fitted, held = x[order[::2]], x[order[1::2]]
    best = _expectation_maximisation(fitted, 1, rng)
    score = float(np.mean(best.log_density(held)))
    k = 2
    while k <= min(MOST_COMPONENTS, len(fitted) // (5 * x.shape[1])):
        mixture = _expectation_maximisation(fitted, k, rng)
        new = float(np.mean(mixture.log_density(held)))
        if new < score + 0.01:
            break
        best, score, k = mixture, new, 2 * k
    return best


def _expectation_maximisation(x: Array, k: int, rng: np.random.Generator) -> Mixture:
    n, d = x.shape
    total = np.cov(x.T).reshape(d, d)
    floor = np.diag(1e-6 * np.diag(total) + 1e-16)
    # All steps are products with powers of the points to the second, which loses few digits where these are whitened.
    origin, unit = x.mean(axis=0), np.linalg.cholesky(total + floor)
    whitened = solve_triangular(unit, (x - origin).T, lower=True).T
    powers = np.concatenate([np.ones((n, 1)), whitened, _products(whitened, whitened)], axis=1)
    inverse = solve_triangular(unit, np.eye(d), lower=True)
    whole, floor = (inverse @ matrix @ inverse.T for matrix in (total / k ** (2.0 / d), floor))
    shares, centres = np.full(k, 1.0 / k), _spread_centres(whitened, k, rng)
    scales = np.repeat((whole + floor)[None], k, axis=0)
    for _ in range(N_ITERATIONS if k > 1 else 10):
        precisions = np.linalg.inv(scales)
        pulls = np.einsum("kij,kj->ki", precisions, centres)
        constants = np.einsum("ki,ki->k", pulls, centres)[:, None]
        distances = powers @ np.concatenate([constants, -2.0 * pulls, precisions.reshape(k, -1)], axis=1).T
        distances = np.maximum(distances, 0.0)
        log_norm = np.log(shares) - 0.5 * np.linalg.slogdet(scales)[1]
        log_components = log_norm - 0.5 * (DEGREES_OF_FREEDOM + d) * np.log1p(distances / DEGREES_OF_FREEDOM)
        responsibility = np.exp(log_components - _log_sum_exp(log_components)[:, None])
        robust = responsibility * (DEGREES_OF_FREEDOM + d) / (DEGREES_OF_FREEDOM + distances)
        # One point's worth of the whole covariance keeps a component from collapsing onto a few points.
        sizes = responsibility.sum(axis=0) + 1e-9
        sums = robust.T @ powers
        weights, firsts, seconds = sums[:, :1], sums[:, 1 : d + 1], sums[:, d + 1 :].reshape(k, d, d)
        centres = firsts / (weights + 1e-9)
        crossed = _products(centres, firsts).reshape(k, d, d)
        scatter = seconds - crossed - crossed.transpose(0, 2, 1)
        scatter += weights[:, :, None] * _products(centres, centres).reshape(k, d, d)
        scales = (scatter + whole) / (sizes + 1.0)[:, None, None] + floor
        shares = sizes / sizes.sum()
    return Mixture(shares, origin + centres @ unit.T, np.asarray(unit @ np.linalg.cholesky(scales)))


def _products(a: Array, b: Array) -> Array:
    """Return the products of all pairs of columns of `a` and `b`, [n, d] each, as [n, d²]."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def _log_sum_exp(values: Array) -> Array:
    """Return ln of the sum of exp of values [n, k] over k; scipy's own spends most of its time on special cases."""
    highest = values.max(axis=1)
    return np.asarray(highest + np.log(np.sum(np.exp(values - highest[:, None]), axis=1)))


def _spread_centres(whitened: Array, k: int, rng: np.random.Generator) -> Array:
    """Choose k of the points, each with probability ∝ squared distance to those chosen (k-means++)."""
    n = len(whitened)
    chosen = [int(rng.integers(n))]
    nearest = np.full(n, np.inf)
    for _ in range(k - 1):
        nearest = np.minimum(nearest, np.sum((whitened - whitened[chosen[-1]]) ** 2, axis=1))
        total = nearest.sum()
        share = nearest / total if total > 0.0 else np.full(n, 1.0 / n)
        chosen.append(int(rng.choice(n, p=share)))
    return whitened[chosen]
