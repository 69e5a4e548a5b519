"""Where ln L has a value: learned from points apart from ln L itself, which need not fall towards such an edge."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import log_ndtr

from astropipe.inference.emulated.gaussian_process import GaussianProcess, fit_hyperparameters

Array = NDArray[np.float64]

NEAREST, LATEST, MOST_FITTED = 200, 100, 200
"""Points nearest to the edge, and latest ones beside them, from which it is learned; those that fix its length scales.

The latest ones are where the posterior was thought to be: however far beyond the edge, they have to be known.
"""

FAR_NOISE = 0.3
"""How well distances need to be met, as a share of the distance: only where the edge is matters."""

CLOSEST = 0.05
"""Share of the points whose distances are the resolution of the edge."""


class Feasibility:
    """The probability that ln L is not −inf, from a Gaussian process of the distance to the edge.

    The distance of a point is taken for that to the nearest point of the other kind, positive where ln L has a value: a
    smooth function, which a process learns from few points, while a step has it ring. What points in between would
    have told is noise, and fitted as such.

    Parameters
    ----------
    x : ndarray [n, d]
        Points, whitened, in the order in which they were evaluated.
    feasible : ndarray [n]
        Whether ln L has a value at each; there are some of both kinds.
    before
        An earlier one, from whose hyperparameters the fit begins.
    iterations
        Steps of the fit; 0 keeps those of `before`.
    """

    def __init__(self, x: Array, feasible: NDArray[np.bool_], before: Feasibility | None, iterations: int) -> None:
        y = np.empty(len(x))
        for kind, sign in ((True, 1.0), (False, -1.0)):
            y[feasible == kind] = sign * cKDTree(x[feasible != kind]).query(x[feasible == kind])[0]
        nearest = np.argsort(np.abs(y), kind="stable")
        latest = np.sort(nearest[NEAREST:])[-LATEST:]
        known = np.concatenate([nearest[:NEAREST], latest])
        x, y = x[known], y[known]
        noise = FAR_NOISE * np.abs(y)
        start = before._process.hyperparameters if before else None
        if start is None or iterations:
            some = np.linspace(0, len(y) - 1, min(len(y), MOST_FITTED)).astype(np.intp)
            start = fit_hyperparameters(x[some], y[some], noise[some], start, max(iterations, 12))
        self._process: GaussianProcess = GaussianProcess(x, y, noise, start)
        # Between the nearest points of both kinds the edge may be anywhere.
        self._noise = math.hypot(start.noise * float(np.std(y)), float(np.quantile(noise, CLOSEST)))

    def log_probability(self, x: Array, optimism: float = 0.0) -> Array:
        """Return ln of the probability at whitened points [m, d], as [m]; that many deviations better than expected."""
        deviation = np.hypot(self._process.deviation(x), self._noise)
        mean = self._process.mean(x) + optimism * deviation
        return np.asarray(log_ndtr(mean / deviation))
