"""The joint prior: independent one-dimensional distributions in a fixed order, and hard constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from astropipe.inference.distributions import (
    Distribution,
    LogUniform,
    Normal,
    TruncatedNormal,
    Uniform,
    distribution_fault,
    parse_prior,
)
from astropipe.runtime.errors import UsageError

__all__ = [
    "Constraint",
    "Distribution",
    "LogUniform",
    "Normal",
    "Prior",
    "TruncatedNormal",
    "Uniform",
    "parse_prior",
]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A region of parameter space that is excluded outright, such as w0 + wa ≥ 0.

    Parameters
    ----------
    name
        What must hold, as a reader would write it: ``"w0 + wa < 0"``.
    function
        Maps {parameter name: values [n]} to booleans [n], true where the point is allowed. A function at
        module level, so that worker processes can be given it.
    """

    name: str
    function: Callable[[dict[str, NDArray[np.float64]]], NDArray[np.bool_]]


class Prior:
    """Product of independent priors π(θ) = Π π_i(θ_i), in a fixed parameter order, with hard constraints.

    Constraints do **not** renormalise the density: a point outside them has ln L = −inf (the likelihood is
    not called there), and an evidence Z is with respect to the unconstrained volume. The evidence with
    respect to the prior renormalised to the allowed region is ln Z − ln(1 − f), f being `masked_fraction`.

    Parameters
    ----------
    parameters
        Distribution of each parameter: one of this module's, a frozen continuous ``scipy.stats``
        distribution, or text in the grammar of `parse_prior`.
    constraints
        Conditions that every allowed point satisfies.

    Raises
    ------
    UsageError
        If there is no parameter, a name is not an identifier or is given twice (letter case ignored, since
        FITS ignores it), a distribution is not proper, or a constraint does not fit the parameters. The
        message names the parameter or the constraint.
    """

    def __init__(self, parameters: Mapping[str, Distribution | str], constraints: Sequence[Constraint] = ()) -> None:
        _check_names(tuple(parameters))
        self.parameters: dict[str, Distribution] = {
            name: _proper(name, distribution) for name, distribution in parameters.items()
        }
        self.constraints = tuple(constraints)
        # Uniform columns are transformed together: samplers call `transform` for one point at a time.
        self._curved = [(i, d) for i, d in enumerate(self.parameters.values()) if not isinstance(d, Uniform)]
        flat = [(d.low, d.high) if isinstance(d, Uniform) else (0.0, 1.0) for d in self.parameters.values()]
        self._low = np.array([low for low, _ in flat])
        self._width = np.array([high - low for low, high in flat])
        self.allowed(self.transform(np.full((1, len(self)), 0.5)))

    def __len__(self) -> int:
        return len(self.parameters)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}: {distribution}" for name, distribution in self.parameters.items())
        return f"Prior({inner}; {', '.join(c.name for c in self.constraints) or 'no constraints'})"

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names in order."""
        return tuple(self.parameters)

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Lowest and highest value of each parameter, shape [d, 2]; infinite where unbounded."""
        return np.array([d.support() for d in self.parameters.values()], dtype=np.float64)

    def transform(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map the unit cube to parameters through the quantile functions.

        Parameters
        ----------
        u
            Points in the unit cube, shape [d] or [n, d].

        Returns
        -------
        ndarray
            Parameters of the same shape. Constraints play no part here.
        """
        self._check_width(u)
        x = self._low + u * self._width
        for i, distribution in self._curved:
            x[..., i] = distribution.ppf(u[..., i])
        return np.asarray(x)

    def log_prob(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ln π at points [n, d] or [d], as [n] or a scalar array; −inf outside the constraints."""
        self._check_width(x)
        total = np.zeros(x.shape[:-1], dtype=np.float64)
        for i, distribution in enumerate(self.parameters.values()):
            total = total + distribution.logpdf(x[..., i])
        return np.where(self.allowed(np.atleast_2d(x)).reshape(total.shape), total, -np.inf)

    def allowed(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return for each point of `x`, shape [n, d], whether it satisfies every constraint, shape [n]."""
        mask = np.ones(len(x), dtype=np.bool_)
        if not self.constraints:
            return mask
        values = self.as_dict(x)
        for constraint in self.constraints:
            mask &= _evaluate(constraint, values)
        return mask

    def as_dict(self, x: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return the columns of points [n, d] by parameter name."""
        self._check_width(x)
        return {name: x[:, i] for i, name in enumerate(self.parameters)}

    def masked_fraction(self, log2_points: int = 16) -> float:
        """Return the share f of the prior volume that the constraints exclude.

        Computed with 2^`log2_points` points of a scrambled Sobol sequence with a fixed seed, so the number is
        the same in every run; 0 exactly without constraints.
        """
        if not self.constraints:
            return 0.0
        u = qmc.Sobol(len(self), rng=np.random.default_rng(0)).random_base2(log2_points)
        # A scrambled point can round to 0, where an unbounded prior is at minus infinity.
        u = np.clip(u, np.finfo(np.float64).tiny, 1.0 - np.finfo(np.float64).epsneg)
        return 1.0 - float(np.mean(self.allowed(self.transform(u))))

    def _check_width(self, points: NDArray[np.float64]) -> None:
        if points.ndim not in (1, 2) or points.shape[-1] != len(self):
            raise UsageError(
                f"points have shape {points.shape}; the prior has {len(self)} parameters"
                f" ({', '.join(self.parameters)}), so give [n, {len(self)}]"
            )


def _check_names(names: tuple[str, ...]) -> None:
    if not names:
        raise UsageError("a prior needs at least one parameter")
    seen: dict[str, str] = {}
    for name in names:
        if not (isinstance(name, str) and name.isidentifier()):
            raise UsageError(f"parameter name {name!r} is not an identifier (letters, digits, underscores)")
        if other := seen.get(name.casefold()):
            raise UsageError(f"parameters {other!r} and {name!r} have the same name apart from letter case")
        seen[name.casefold()] = name


def _proper(name: str, distribution: Distribution | str) -> Distribution:
    """Return the checked distribution of parameter `name`, parsed if it is text."""
    if isinstance(distribution, str):
        try:
            return parse_prior(distribution)
        except UsageError as error:
            raise UsageError(f"parameter {name!r}: {error}") from error
    if fault := distribution_fault(distribution):
        raise UsageError(f"prior of parameter {name!r}: {fault}")
    return distribution


def _evaluate(constraint: Constraint, values: dict[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
    try:
        mask = np.asarray(constraint.function(values))
    except KeyError as error:
        raise UsageError(
            f"constraint {constraint.name!r} asks for parameter {error}; the prior has {', '.join(values)}"
        ) from error
    n = len(next(iter(values.values())))
    if mask.dtype != np.bool_ or mask.shape != (n,):
        raise UsageError(
            f"constraint {constraint.name!r} returned {mask.dtype} of shape {mask.shape}; "
            f"it must return one boolean a point, shape ({n},)"
        )
    return mask
