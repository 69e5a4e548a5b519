"""Problems with a known evidence: what a sampler is tested against.

Each likelihood is vectorised, points [n, d] to [n]. The evidences are analytic, or come from quadrature of
the same function, which in one or two dimensions is exact to about ten digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import erf, gammaln, log_ndtr, logsumexp
from scipy.stats import loggamma, norm

from astropipe.inference.priors import Prior, Uniform
from astropipe.inference.problems.base import Problem, register
from astropipe.runtime.errors import UsageError

Points = NDArray[np.float64]
Values = NDArray[np.float64]

Dimensions = Annotated[int, Field(ge=2, le=1000, description="a whole number from 2 to 1000")]
Cut = Annotated[float, Field(ge=-4.0, le=4.0, description="a number from -4 to 4")]
Correlation = Annotated[float, Field(gt=-1.0, lt=1.0, description="a number between -1/(n_parameters - 1) and 1")]

NODES_1D, NODES_2D = 800, 300


@dataclass(frozen=True)
class Gaussian:
    """Normalised Gaussian at the origin, unit variances, the same correlation `rho` between all pairs."""

    n_parameters: int
    rho: float = 0.0

    def __call__(self, x: Points) -> Values:
        """Return ln L of points [n, d] as [n]."""
        # Covariance (1 - rho) I + rho 11^T, inverted by Sherman-Morrison.
        d, rho = self.n_parameters, self.rho
        trace = 1.0 - rho + d * rho
        squares = (np.sum(x * x, axis=1) - rho / trace * np.sum(x, axis=1) ** 2) / (1.0 - rho)
        log_det = (d - 1) * math.log(1.0 - rho) + math.log(trace)
        return np.asarray(-0.5 * (squares + log_det + d * math.log(2.0 * math.pi)))


@dataclass(frozen=True)
class CutGaussian:
    """Normalised Gaussian at the origin, unit variances, that has no value where the sum of x exceeds cut · √d."""

    n_parameters: int
    cut: float

    def __call__(self, x: Points) -> Values:
        """Return ln L of points [n, d] as [n]."""
        beyond = np.sum(x, axis=1) > self.cut * math.sqrt(self.n_parameters)
        return np.where(beyond, -np.inf, Gaussian(self.n_parameters)(x))


@dataclass(frozen=True)
class Shells:
    """Two thin spherical shells [Feroz, Hobson & Bridges 2009, MNRAS 398, 1601, section 6.2]."""

    n_parameters: int
    radius: float = 2.0
    width: float = 0.1
    offset: float = 3.5

    def __call__(self, x: Points) -> Values:
        """Return ln L of points [n, d] as [n]."""
        rest = np.sum(x[:, 1:] ** 2, axis=1)
        shells = [
            norm.logpdf(np.sqrt((x[:, 0] - centre) ** 2 + rest), self.radius, self.width)
            for centre in (-self.offset, self.offset)
        ]
        return np.asarray(np.logaddexp(*shells))


@dataclass(frozen=True)
class LogGamma:
    """Skewed, heavy-tailed and four-fold multimodal [Beaujean & Caldwell 2013, arXiv:1304.7808].

    Parameter 1: equal mixture of log-gamma densities at 1/3 and 2/3; parameter 2: of Gaussians there; the
    next ones up to (d + 2) / 2 log-gamma at 2/3, the others Gaussian at 2/3; all of scale 1/30.
    """

    n_parameters: int
    scale: float = 1.0 / 30.0

    def __call__(self, x: Points) -> Values:
        """Return ln L of points [n, d] as [n]."""
        total = np.logaddexp(self._skewed(x[:, 0], 1 / 3), self._skewed(x[:, 0], 2 / 3)) - math.log(2.0)
        total += np.logaddexp(self._normal(x[:, 1], 1 / 3), self._normal(x[:, 1], 2 / 3)) - math.log(2.0)
        for i in range(2, self.n_parameters):
            total += self._skewed(x[:, i], 2 / 3) if i < self.last_skewed else self._normal(x[:, i], 2 / 3)
        return np.asarray(total)

    @property
    def last_skewed(self) -> int:
        """Return which parameter, counted from 1, is the last with a log-gamma density."""
        return (self.n_parameters + 2) // 2

    def log_evidence(self) -> float:
        """Return ln of the mass inside the unit cube, a product of one-dimensional masses."""
        skewed = {c: float(np.diff(loggamma.cdf([0.0, 1.0], 1.0, c, self.scale))[0]) for c in (1 / 3, 2 / 3)}
        normal = {c: float(np.diff(norm.cdf([0.0, 1.0], c, self.scale))[0]) for c in (1 / 3, 2 / 3)}
        n_skewed = max(0, self.last_skewed - 2)
        n_normal = self.n_parameters - 2 - n_skewed
        mixtures = 0.25 * sum(skewed.values()) * sum(normal.values())
        return math.log(mixtures) + n_skewed * math.log(skewed[2 / 3]) + n_normal * math.log(normal[2 / 3])

    def _skewed(self, x: Values, centre: float) -> Values:
        z = (x - centre) / self.scale
        return np.asarray(z - np.exp(z) - math.log(self.scale))

    def _normal(self, x: Values, centre: float) -> Values:
        z = (x - centre) / self.scale
        return np.asarray(-0.5 * z * z - math.log(self.scale) - 0.5 * math.log(2.0 * math.pi))


def eggbox(x: Points) -> Values:
    """Return (2 + cos(x/2) cos(y/2))⁵ [Feroz & Hobson 2008, MNRAS 384, 449, section 7.1]."""
    return np.asarray((2.0 + np.cos(x[:, 0] / 2.0) * np.cos(x[:, 1] / 2.0)) ** 5)


def himmelblau(x: Points) -> Values:
    """Return −(x² + y − 11)² − (x + y² − 7)², four equal maxima [Himmelblau 1972]."""
    return np.asarray(-((x[:, 0] ** 2 + x[:, 1] - 11.0) ** 2) - (x[:, 0] + x[:, 1] ** 2 - 7.0) ** 2)


def ring(x: Points) -> Values:
    """Return −(x² + y² − 4)² / (2 · 0.5²) [Gómez-Vargas & Vázquez 2024, arXiv:2405.03293]."""
    return np.asarray(-((x[:, 0] ** 2 + x[:, 1] ** 2 - 4.0) ** 2) / (2.0 * 0.5**2))


def rosenbrock(x: Points) -> Values:
    """Return −Σ [100 (x_{i+1} − x_i²)² + (1 − x_i)²], a narrow curved valley [Rosenbrock 1960]."""
    left, right = x[:, :-1], x[:, 1:]
    return np.asarray(-np.sum(100.0 * (right - left**2) ** 2 + (1.0 - left) ** 2, axis=1))


@register("gaussian")
def gaussian_problem(n_parameters: Dimensions = 5) -> Problem:
    """Build the unit Gaussian, uniform prior on [−10, 10]^d: Z = (erf(10/√2) / 20)^d."""
    return _problem(
        "gaussian",
        f"Unit Gaussian in {n_parameters} dimensions",
        Gaussian(n_parameters),
        _box(n_parameters, -10.0, 10.0),
        n_parameters * (math.log(erf(10.0 / math.sqrt(2.0))) - math.log(20.0)),
    )


@register("correlated-gaussian")
def correlated_gaussian_problem(n_parameters: Dimensions = 5, rho: Correlation = 0.5) -> Problem:
    """Build the Gaussian with equal correlations, uniform prior on [−10, 10]^d: Z = 20^−d to 1e-20."""
    if not -1.0 / (n_parameters - 1) < rho < 1.0:
        raise UsageError(f"rho = {rho} must be between -1/(d - 1) = {-1.0 / (n_parameters - 1):g} and 1")
    return _problem(
        "correlated-gaussian",
        f"Gaussian with correlations of {rho:g} in {n_parameters} dimensions",
        Gaussian(n_parameters, rho),
        _box(n_parameters, -10.0, 10.0),
        -n_parameters * math.log(20.0),
    )


@register("cut-gaussian")
def cut_gaussian_problem(n_parameters: Dimensions = 5, cut: Cut = 0.0) -> Problem:
    """Build the Gaussian that is −inf beyond a plane, uniform prior on [−10, 10]^d: Z = Φ(cut) 20^−d to 1e-20.

    The plane is so many standard deviations from the maximum of the Gaussian; below 0 the maximum is cut off.
    """
    return _problem(
        "cut-gaussian",
        f"Gaussian cut at {cut:g} σ in {n_parameters} dimensions",
        CutGaussian(n_parameters, cut),
        _box(n_parameters, -10.0, 10.0),
        float(log_ndtr(cut)) - n_parameters * math.log(20.0),
    )


@register("shells")
def shells_problem(n_parameters: Dimensions = 2) -> Problem:
    """Build the Gaussian shells, uniform prior on [−6, 6]^d; the evidence is a radial integral."""
    shells = Shells(n_parameters)
    log_area = math.log(2.0) + 0.5 * n_parameters * math.log(math.pi) - gammaln(0.5 * n_parameters)
    r, log_w = _nodes(0.0, 2.0 * shells.radius, NODES_1D)
    radial = norm.logpdf(r, shells.radius, shells.width) + (n_parameters - 1) * np.log(r)
    return _problem(
        "shells",
        f"Two Gaussian shells in {n_parameters} dimensions",
        shells,
        _box(n_parameters, -6.0, 6.0),
        math.log(2.0) + log_area + float(logsumexp(radial + log_w)) - n_parameters * math.log(12.0),
        "Feroz2009",
    )


@register("eggbox")
def eggbox_problem() -> Problem:
    """Build the eggbox, uniform prior on [0, 10π]²; by symmetry Z is the mean over [0, 2π]²."""
    evidence = _log_mean_over_square(eggbox, 0.0, 2.0 * math.pi)
    return _problem("eggbox", "Eggbox", eggbox, _box(2, 0.0, 10.0 * math.pi), evidence, "Feroz2008")


@register("himmelblau")
def himmelblau_problem() -> Problem:
    """Build Himmelblau's function, uniform prior on [−5, 5]²."""
    evidence = _log_mean_over_square(himmelblau, -5.0, 5.0)
    return _problem("himmelblau", "Himmelblau's function", himmelblau, _box(2, -5.0, 5.0), evidence)


@register("ring")
def ring_problem() -> Problem:
    """Build the ring, uniform prior on [−5, 5]²."""
    evidence = _log_mean_over_square(ring, -5.0, 5.0)
    return _problem("ring", "Ring", ring, _box(2, -5.0, 5.0), evidence, "GomezVargas2024")


@register("rosenbrock")
def rosenbrock_problem(n_parameters: Dimensions = 2) -> Problem:
    """Build Rosenbrock's function, uniform prior on [−5, 5]^d."""
    return _problem(
        "rosenbrock",
        f"Rosenbrock's function in {n_parameters} dimensions",
        rosenbrock,
        _box(n_parameters, -5.0, 5.0),
        _rosenbrock_log_evidence(n_parameters, 5.0),
    )


@register("loggamma")
def loggamma_problem(n_parameters: Dimensions = 2) -> Problem:
    """Build the log-gamma mixture, uniform prior on [0, 1]^d; ln Z is 0 but for the tails outside."""
    likelihood = LogGamma(n_parameters)
    title = f"Log-gamma mixture in {n_parameters} dimensions"
    box = _box(n_parameters, 0.0, 1.0)
    return _problem("loggamma", title, likelihood, box, likelihood.log_evidence(), "Beaujean2013")


def _problem(
    name: str,
    title: str,
    log_likelihood: Callable[[Points], Values],
    prior: Prior,
    log_evidence: float,
    *citations: str,
) -> Problem:
    return Problem(
        name,
        title,
        prior,
        log_likelihood,
        latex={key: f"x_{{{key[1:]}}}" for key in prior.names},
        citations=citations,
        log_evidence=log_evidence,
    )


def _box(n_parameters: int, low: float, high: float) -> Prior:
    """Return the uniform prior on a cube with parameters x1 … xd."""
    return Prior({f"x{i + 1}": Uniform(low, high) for i in range(n_parameters)})


def _nodes(low: float, high: float, n: int) -> tuple[Values, Values]:
    """Return Gauss-Legendre nodes and the logarithms of their weights."""
    x, w = np.polynomial.legendre.leggauss(n)
    return 0.5 * (high - low) * (x + 1.0) + low, np.log(0.5 * (high - low) * w)


def _log_mean_over_square(log_likelihood: Callable[[Points], Values], low: float, high: float) -> float:
    """Return ln of the mean of L over a square, which is ln Z for a uniform prior."""
    nodes, log_w = _nodes(low, high, NODES_2D)
    x, y = np.meshgrid(nodes, nodes, indexing="ij")
    log_values = log_likelihood(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    return float(logsumexp(log_values + log_w[:, None] + log_w)) - 2.0 * math.log(high - low)


def _rosenbrock_log_evidence(n_parameters: int, edge: float) -> float:
    """Return ln Z of Rosenbrock's function on [−edge, edge]^d by integrating one parameter after the other.

    The last parameter is a Gaussian of variance 1/200 about the square of the one before, so its integral is
    known; the others form a chain, ∫ dx_{i+1} K(x_i, x_{i+1}) g(x_{i+1}), done on one set of nodes.
    """
    x, log_w = _nodes(-edge, edge, NODES_1D)
    root = math.sqrt(200.0)
    upper, lower = root * (edge - x**2), root * (-edge - x**2)
    mass = log_ndtr(upper) + np.log1p(-np.exp(log_ndtr(lower) - log_ndtr(upper)))
    log_g = -((1.0 - x) ** 2) + 0.5 * math.log(math.pi / 100.0) + mass
    for _ in range(n_parameters - 2):
        kernel = -100.0 * (x - x[:, None] ** 2) ** 2 + log_w
        log_g = -((1.0 - x) ** 2) + logsumexp(kernel + log_g, axis=1)
    return float(logsumexp(log_g + log_w)) - n_parameters * math.log(2.0 * edge)
