"""The emulator of ln L on the unit cube: a Gaussian process in whitened coordinates, of a compressed target."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.emulated.feasibility import Feasibility
from astropipe.inference.emulated.gaussian_process import GaussianProcess, fit_hyperparameters

Array = NDArray[np.float64]

FAR_NOISE = 0.2
"""How well the emulator must meet a value below the exactly rendered range, as a share of how far below it is."""

NEAR_FIT = 1.5
"""Once enough points are known, the fine process learns from those within this many ranges of the maximum only."""

ENOUGH_NEAR = 12
"""How many such points, for each parameter, are enough."""

VETO, SURE = 0.2, 3.0
"""How far the coarse process must be below the learned range to overrule the fine one, in its own units; and by how
many of its deviations as well, while exploring.
"""

OPTIMISM = 2.0
"""By how many of its deviations ln L may be above the mean of the fine process without a surprise."""

COARSE_NOISE = 0.03

ENOUGH_FEASIBLE = 4
"""Points where ln L has a value, for each parameter, from which it is learned without those where it is −inf."""

MOST_POINTS, MOST_COARSE = 1000, 800
"""Training points at most, those of highest likelihood: the cost of a process grows with their cube."""

MOST_FITTED = 400
"""Those of them, evenly spaced in likelihood, from which the hyperparameters are found: few numbers need no more."""


def near(n_parameters: int) -> float:
    """Return how far below its maximum ln L is rendered uncompressed.

    In a Gaussian posterior of d parameters ln L is d/2 ± √(d/2) below its maximum; all but 1e-6 of the mass of
    2 to 20 parameters lies within 14 + d.
    """
    return 14.0 + n_parameters


def compress(drop: Array, scale: float) -> Array:
    """Map distances below the maximum, [n] ≥ 0, to a range that a smooth emulator can render.

    The identity up to `scale`, scale (1 + ln(drop / scale)) beyond, so that the slope is continuous; what is
    farther than e⁴ scale is taken to be there.
    """
    limited = np.clip(drop, scale, scale * np.exp(4.0))
    return np.where(drop < scale, drop, scale * (1.0 + np.log(limited / scale)))


def decompress(value: Array, scale: float) -> Array:
    """Invert `compress`, [n]; values below 0 (higher than the maximum so far) stay as they are."""
    return np.where(value < scale, value, scale * np.exp(np.clip(value / scale - 1.0, 0.0, 5.0)))


@dataclass(frozen=True, slots=True)
class Whitening:
    """An affine map that takes the points of highest likelihood to mean 0 and covariance 1."""

    centre: Array
    matrix: Array

    def __call__(self, u: Array) -> Array:
        """Return the whitened coordinates of points [n, d]."""
        return np.asarray((u - self.centre) @ self.matrix)


def whitening(u: Array, drop: Array, scale: float) -> Whitening:
    """Return the whitening of points `u` [n, d] with distances `drop` [n] below the maximum of ln L.

    It is computed from the points within `scale` of the maximum, or from the best 4 d where those are fewer.
    """
    d = u.shape[1]
    order = np.argsort(drop, kind="stable")
    n = max(int(np.count_nonzero(drop < scale)), min(4 * d, len(u)))
    best = u[order[:n]]
    centre = best.mean(axis=0)
    deviations = best - centre
    covariance = deviations.T @ deviations / len(best)
    # A share of the diagonal keeps a degenerate set of points from stretching a direction without end.
    covariance += np.diag(1e-3 * np.diag(covariance) + 1e-12)
    return Whitening(centre, np.linalg.inv(np.linalg.cholesky(covariance)).T)


def predictability(u: Array, log_likelihoods: Array) -> float:
    """Return the share of the variance of ln L, compressed, that each point [n, d] is predicted with from all others.

    Where it is about 0, ln L varies on scales that the points do not resolve.
    """
    scale = near(u.shape[1])
    drop = np.max(log_likelihoods) - log_likelihoods
    # Where the model has no value, ln L is as low as anywhere.
    y = -np.log1p(np.minimum(drop, np.max(drop[np.isfinite(drop)])) / scale)
    x = whitening(u, drop, math.inf)(u)
    noise = np.full(len(y), COARSE_NOISE)
    return GaussianProcess(x, y, noise, fit_hyperparameters(x, y, noise, max_iterations=30)).predicted_share()


class Emulator:
    """ln L learned from true values; a guide to where to evaluate, never a value that is reported.

    Two processes share the work. The fine one renders ln L where the posterior can be; points far below would force
    short length scales on it, so it does not see them. Where the coarse one, which learns the logarithm of the
    distance to the maximum from all points, says that ln L is far below, its word is taken. Where ln L is −inf at some
    points, neither of them learns from these: it may be as high as anywhere beside the edge, and a process that has to
    fall there is too low before it. A third one tells on which side of the edge a place is.

    Parameters
    ----------
    u, log_likelihoods
        Points of the unit cube [n, d] and their true ln L [n], −inf where the model has no value.
    before
        An earlier emulator, from whose hyperparameters the fit begins.
    iterations
        Steps of the fit of hyperparameters; 0 keeps those of `before`.
    """

    def __init__(self, u: Array, log_likelihoods: Array, before: Emulator | None = None, iterations: int = 30) -> None:
        d = u.shape[1]
        all_u, feasible = u, np.isfinite(log_likelihoods)
        has_edge = not feasible.all() and np.count_nonzero(feasible) >= ENOUGH_FEASIBLE * d
        if has_edge:
            u, log_likelihoods = u[feasible], log_likelihoods[feasible]
        self.highest = float(np.max(log_likelihoods))
        self._sure = 0.0
        self._scale = near(d)
        drop = self.highest - log_likelihoods
        order = np.argsort(drop, kind="stable")
        n_near = int(np.count_nonzero(drop <= NEAR_FIT * self._scale))
        self._coarse: GaussianProcess | None = None
        if n_near < ENOUGH_NEAR * d or n_near == len(u):
            close = order[:MOST_POINTS]
            self._whiten = whitening(u[close], drop[close], self._scale)
        else:
            self._whiten = whitening(u[order[:n_near]], drop[order[:n_near]], self._scale)
            known = order[:MOST_COARSE]
            # What is farther than e⁶ ranges, and where the model has no value, is taken to be there.
            y = -np.log1p(np.minimum(drop[known] / self._scale, np.exp(6.0)))
            earlier = before._coarse if before else None
            self._coarse = _process(self._whiten(u[known]), y, np.full(len(y), COARSE_NOISE), earlier, iterations)
            # The fine process must know whatever the coarse one does not overrule, or it would make up modes there.
            overruled, _ = self._far(self._whiten(u), np.zeros(len(u)))
            close = order[((drop <= NEAR_FIT * self._scale) | ~overruled)[order]][:MOST_POINTS]
        y = -compress(drop[close], self._scale)
        noise = FAR_NOISE * np.maximum(-y - self._scale, 0.0)
        self._fine: GaussianProcess = _process(
            self._whiten(u[close]), y, noise, before._fine if before else None, iterations
        )
        self._feasibility: Feasibility | None = None
        if has_edge:
            earlier_edge = before._feasibility if before else None
            self._feasibility = Feasibility(self._whiten(all_u), feasible, earlier_edge, iterations)

    def exploring(self) -> Emulator:
        """Return the emulator as it is used to explore, where ln L is far below only if that is sure.

        It shows narrow valleys that the coarse process does not resolve; and makes up more modes than it shows.
        """
        other = copy(self)
        other._sure = SURE
        return other

    def log_likelihood(self, u: Array) -> Array:
        """Return ln of the expected L at points [m, d] of the unit cube, as [m]: L there, if it is, times whether."""
        surface = self.surface(u)
        log_feasible = self.log_feasible(u, surface)
        # Beyond the edge nothing keeps the surface from rising far above all that is known.
        above = np.maximum(surface - self.highest, 0.0)
        return np.asarray(surface + log_feasible + above * np.expm1(log_feasible))

    def log_feasible(self, u: Array, surface: Array, optimism: float = 0.0) -> Array:
        """Return ln of the probability that ln L is not −inf at points [m, d] with their `surface` [m], as [m].

        Far below the maximum, where it does not matter, 0.
        """
        result = np.zeros(len(u))
        if self._feasibility is not None:
            matters = surface > self.highest - NEAR_FIT * self._scale
            result[matters] = self._feasibility.log_probability(self._whiten(u[matters]), optimism)
        return result

    def surface(self, u: Array) -> Array:
        """Return the emulated ln L at points [m, d] of the unit cube, were it not −inf, as [m]."""
        x = self._whiten(u)
        values = -decompress(-self._fine.mean(x), self._scale)
        far, coarse = self._far(x, values)
        values[far] = -self._scale * np.expm1(np.clip(-coarse[far], 0.0, 10.0))
        return np.asarray(self.highest + values)

    def possible(self, u: Array) -> Array:
        """Return the highest ln L that would not surprise at points [m, d], at most the highest known, as [m]."""
        x = self._whiten(u)
        return self._possible(u, x, self._fine.mean(x), self._fine.deviation(x))

    def deviation(self, u: Array) -> Array:
        """Return the emulator's own estimate of its error in (compressed) ln L at points [m, d], as [m].

        Where ln L has no value there is no error; it counts as often as there is one.
        """
        x = self._whiten(u)
        return self._deviation(u, x, self._fine.mean(x), self._fine.deviation(x))

    def prospects(self, u: Array) -> tuple[Array, Array]:
        """Return what `possible` and `deviation` do, in the time of one of them."""
        x = self._whiten(u)
        mean, deviation = self._fine.mean(x), self._fine.deviation(x)
        return self._possible(u, x, mean, deviation), self._deviation(u, x, mean, deviation)

    def _possible(self, u: Array, x: Array, mean: Array, deviation: Array) -> Array:
        fine = np.minimum(mean + OPTIMISM * deviation, 0.0)
        values = -decompress(-fine, self._scale)
        far, coarse = self.exploring()._far(x, fine)
        values[far] = -self._scale * np.expm1(np.clip(-coarse[far], 0.0, 10.0))
        return np.asarray(self.highest + values + self.log_feasible(u, self.highest + values, OPTIMISM))

    def _deviation(self, u: Array, x: Array, mean: Array, deviation: Array) -> Array:
        far, _ = self._far(x, mean)
        return np.where(far, 0.5, deviation) * self._share(u)

    def most_informative(self, u: Array, weights: Array, n: int) -> NDArray[np.intp]:
        """Return indices [n] of points [m, d] whose values would tell most; see `GaussianProcess`."""
        return self._fine.most_informative(self._whiten(u), weights * self._share(u), n)

    def _share(self, u: Array) -> Array | float:
        """Return the probability that ln L has a value at points [m, d], as [m] or one number for all."""
        return 1.0 if self._feasibility is None else np.exp(self.log_feasible(u, self.surface(u)))

    def _far(self, x: Array, fine: Array) -> tuple[NDArray[np.bool_], Array]:
        """Return whether whitened points [m, d] are taken to be far below the maximum, and their coarse values; [m].

        `fine` [m] are their values according to the fine process. Only where these are high is it asked whether the
        coarse process is sure, which costs much more than its value.
        """
        if self._coarse is None:
            return np.zeros(len(x), dtype=np.bool_), np.zeros(len(x))
        limit = -math.log1p(NEAR_FIT) - VETO
        coarse = self._coarse.mean(x)
        far = coarse < limit
        if self._sure:
            disputed = far & (fine > -NEAR_FIT * self._scale)
            far[disputed] = coarse[disputed] + self._sure * self._coarse.deviation(x[disputed]) < limit
        return far, coarse


def _process(x: Array, y: Array, noise: Array, before: GaussianProcess | None, iterations: int) -> GaussianProcess:
    start = before.hyperparameters if before is not None else None
    if start is None or iterations:
        some = np.linspace(0, len(y) - 1, min(len(y), MOST_FITTED)).astype(np.intp)
        start = fit_hyperparameters(x[some], y[some], noise[some], start, max(iterations, 12))
    return GaussianProcess(x, y, noise, start)
