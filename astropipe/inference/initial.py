"""The first live points, and the share of the prior on which the likelihood is not zero.

Where ln L = −inf (by a constraint, or because the model has no value) nothing can be sampled. A static run
therefore begins with live points that all have L > 0 and knows the prior volume f of that region from how many
draws they took; the run computes Z / f.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from astropipe.inference.pools import Workers
from astropipe.runtime.errors import InputError

EMPTY_ROUNDS = 1000
"""Draws, in units of the number of live points, after which a likelihood that was always zero is given up."""

DYNAMIC_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class LivePoints:
    """Live points in the unit cube and as parameters, [n, d], their ln L, [n], and how many draws they took."""

    u: NDArray[np.float64]
    x: NDArray[np.float64]
    log_likelihoods: NDArray[np.float64]
    n_draws: int

    @property
    def log_support(self) -> float:
        """Estimate of ln f, f being the prior volume with L > 0.

        With N draws for n successes, −Σ_{j=n}^{N−1} 1/j is the unbiased estimate of ln f: for n = 1 its mean is
        Σ_j (1 − f)^j / j = −ln f, and n > 1 is the same by induction.
        """
        n = len(self.u)
        return float(digamma(n) - digamma(self.n_draws))

    @property
    def log_support_variance(self) -> float:
        """Variance of `log_support`, (1 − f) / n to first order."""
        return -math.expm1(self.log_support) / len(self.u)


def draw_supported(workers: Workers, n_live: int, n_parameters: int, rng: np.random.Generator) -> LivePoints:
    """Draw from the prior until `n_live` points have L > 0, and keep those.

    Raises
    ------
    InputError
        If L = 0 everywhere, as far as it was looked.
    """
    kept: list[LivePoints] = []
    missing, n_draws = n_live, 0
    while missing:
        # Never more than are missing, so that the last draw is always the last success.
        drawn = _draw(workers, missing, n_parameters, rng)
        n_draws += missing
        finite = np.isfinite(drawn.log_likelihoods)
        kept.append(LivePoints(drawn.u[finite], drawn.x[finite], drawn.log_likelihoods[finite], missing))
        missing -= int(np.count_nonzero(finite))
        if missing == n_live and n_draws >= EMPTY_ROUNDS * n_live:
            raise InputError(
                f"ln L is -inf at each of {n_draws} points drawn from the prior;"
                " check the likelihood, or give a prior that overlaps with it"
            )
    return LivePoints(
        np.concatenate([part.u for part in kept]),
        np.concatenate([part.x for part in kept]),
        np.concatenate([part.log_likelihoods for part in kept]),
        n_draws,
    )


def draw_any(workers: Workers, n_live: int, n_parameters: int, rng: np.random.Generator) -> LivePoints:
    """Draw `n_live` points from the prior for a dynamic run, which treats ln L = −inf as a plateau.

    A dynamic run draws such points again for each batch, and dynesty's estimate of their volume is good only if
    a single draw of `n_live` holds enough points with L > 0.

    Raises
    ------
    InputError
        If too few points have L > 0.
    """
    drawn = _draw(workers, n_live, n_parameters, rng)
    n_finite = int(np.count_nonzero(np.isfinite(drawn.log_likelihoods)))
    enough = DYNAMIC_MARGIN * max(n_parameters + 1, min(n_live - 20, 100))
    if n_finite < min(n_live, enough):
        raise InputError(
            f"ln L is finite at {n_finite} of {n_live} points drawn from the prior, too few for a dynamic run;"
            " use dynamic=False, more live points, or a prior that overlaps with the likelihood"
        )
    return drawn


def _draw(workers: Workers, n: int, n_parameters: int, rng: np.random.Generator) -> LivePoints:
    u = rng.random((n, n_parameters))
    x = np.array([workers.transform(point) for point in u])
    return LivePoints(u, x, np.array(workers.map(workers.log_likelihood, x), dtype=np.float64), n)
