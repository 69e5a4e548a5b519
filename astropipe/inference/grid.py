"""Posteriors of one or two parameters summed over a regular grid: exact, and so a reference for samplers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.problems.base import Problem
from astropipe.runtime.errors import UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GridPosterior:
    """Moments and evidence of a posterior.

    Attributes
    ----------
    mean, sd
        Of each parameter, in the order of the prior, shape [d].
    correlation
        Shape [d, d].
    log_evidence
        ln Z with the problem's prior.
    best
        Grid point of the highest likelihood, shape [d].
    """

    mean: Array
    sd: Array
    correlation: Array
    log_evidence: float
    best: Array


def posterior_on_grid(
    problem: Problem, points: int, limits: Sequence[tuple[float, float]] | None = None
) -> GridPosterior:
    """Integrate a posterior by the trapezium rule.

    The rule converges faster than any power of the spacing where the posterior vanishes at the limits.

    Parameters
    ----------
    problem
        One with at most 3 parameters.
    points
        Grid points along each parameter; the likelihood is computed at all points^d.
    limits
        Range of each parameter; the support of its prior if not given. Posterior outside is missed.

    Raises
    ------
    UsageError
        If the problem has more than 3 parameters, or a limit is infinite.
    """
    limits = [(low, high) for low, high in problem.prior.bounds.tolist()] if limits is None else limits
    d = len(problem.prior)
    if d > 3 or len(limits) != d or not np.all(np.isfinite(limits)):
        raise UsageError(
            f"a grid needs 1 to 3 parameters, each with finite limits; {problem.name!r} has "
            f"{', '.join(problem.prior.names)} with limits {list(limits)}"
        )
    axes = [np.linspace(low, high, points) for low, high in limits]
    mesh = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    log_l = problem.log_likelihood(mesh)
    log_p = log_l + problem.prior.log_prob(mesh)
    ends = np.ones(points)
    ends[[0, -1]] = 0.5
    trapezium = np.prod(np.meshgrid(*[ends] * d, indexing="ij"), axis=0).ravel()
    weight = trapezium * np.exp(log_p - log_p.max())
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    covariance = np.cov(mesh.T, aweights=weight, ddof=0).reshape(d, d)
    sd = np.sqrt(np.diag(covariance))
    return GridPosterior(
        mean=np.average(mesh, axis=0, weights=weight),
        sd=sd,
        correlation=covariance / np.outer(sd, sd),
        log_evidence=float(np.log(weight.sum() * cell) + log_p.max()),
        best=mesh[int(np.argmax(log_l))],
    )
