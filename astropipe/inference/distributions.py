"""One-dimensional priors as small immutable values, and the text grammar that configurations use."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtr, ndtri

from astropipe.runtime.errors import UsageError

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


@runtime_checkable
class Distribution(Protocol):
    """What a prior needs of a distribution; every frozen continuous ``scipy.stats`` distribution has it."""

    def ppf(self, q: ArrayLike, /) -> NDArray[np.float64]:
        """Return the quantile (inverse cumulative distribution) at probability `q`."""
        ...

    def logpdf(self, x: ArrayLike, /) -> NDArray[np.float64]:
        """Return the natural logarithm of the density at `x`, −inf outside the support."""
        ...

    def support(self) -> tuple[float, float]:
        """Return the lowest and the highest value."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Constant density between `low` and `high`, in the units of the parameter."""

    low: float
    high: float

    def ppf(self, q: ArrayLike, /) -> NDArray[np.float64]:
        """Return low + q (high − low)."""
        return self.low + np.asarray(q, dtype=np.float64) * (self.high - self.low)

    def logpdf(self, x: ArrayLike, /) -> NDArray[np.float64]:
        """Return −ln(high − low) inside, −inf outside."""
        return np.where(_inside(x, self.low, self.high), -math.log(self.high - self.low), -np.inf)

    def support(self) -> tuple[float, float]:
        """Return (low, high)."""
        return self.low, self.high

    def fault(self) -> str | None:
        """Say what makes this no proper distribution, or None."""
        return _interval_fault(self.low, self.high)


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Density proportional to 1/x between `low` > 0 and `high` (Jeffreys' prior of a scale)."""

    low: float
    high: float

    def ppf(self, q: ArrayLike, /) -> NDArray[np.float64]:
        """Return low (high / low)^q, kept inside the interval against rounding."""
        x = self.low * np.exp(np.asarray(q, dtype=np.float64) * math.log(self.high / self.low))
        return np.clip(x, self.low, self.high)

    def logpdf(self, x: ArrayLike, /) -> NDArray[np.float64]:
        """Return −ln x − ln ln(high / low) inside, −inf outside."""
        x = np.asarray(x, dtype=np.float64)
        inside = _inside(x, self.low, self.high)
        norm = math.log(math.log(self.high / self.low))
        return np.where(inside, -np.log(np.where(inside, x, 1.0)) - norm, -np.inf)

    def support(self) -> tuple[float, float]:
        """Return (low, high)."""
        return self.low, self.high

    def fault(self) -> str | None:
        """Say what makes this no proper distribution, or None."""
        if self.low <= 0.0:
            return f"low = {self.low:g} must be > 0, or the density cannot be normalised"
        return _interval_fault(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Normal:
    """Gaussian of the given `mean` and standard deviation `sd`."""

    mean: float
    sd: float

    def ppf(self, q: ArrayLike, /) -> NDArray[np.float64]:
        """Return mean + sd Φ⁻¹(q)."""
        return self.mean + self.sd * np.asarray(ndtri(np.asarray(q, dtype=np.float64)))

    def logpdf(self, x: ArrayLike, /) -> NDArray[np.float64]:
        """Return the Gaussian log density."""
        z = (np.asarray(x, dtype=np.float64) - self.mean) / self.sd
        return np.asarray(-0.5 * z * z - math.log(self.sd) - LOG_SQRT_2PI)

    def support(self) -> tuple[float, float]:
        """Return (−inf, inf)."""
        return -math.inf, math.inf

    def fault(self) -> str | None:
        """Say what makes this no proper distribution, or None."""
        return _normal_fault(self.mean, self.sd)


@dataclass(frozen=True, slots=True)
class TruncatedNormal:
    """Gaussian of `mean` and `sd` (before truncation) cut to [`low`, `high`]; a bound may be infinite."""

    mean: float
    sd: float
    low: float
    high: float

    def ppf(self, q: ArrayLike, /) -> NDArray[np.float64]:
        """Return the quantile, computed in the lower tail, where Φ keeps its relative precision."""
        sign, a, b = self._lower_tail()
        q = np.asarray(q, dtype=np.float64)
        p = 1.0 - q if sign < 0 else q
        x = self.mean + sign * self.sd * np.asarray(ndtri(ndtr(a) + p * (ndtr(b) - ndtr(a))))
        return np.clip(x, self.low, self.high)

    def logpdf(self, x: ArrayLike, /) -> NDArray[np.float64]:
        """Return the Gaussian log density divided by the mass between the bounds, −inf outside."""
        _, a, b = self._lower_tail()
        log_mass = log_ndtr(b) + math.log1p(-math.exp(log_ndtr(a) - log_ndtr(b)))
        density = Normal(self.mean, self.sd).logpdf(x) - log_mass
        return np.where(_inside(x, self.low, self.high), density, -np.inf)

    def support(self) -> tuple[float, float]:
        """Return (low, high)."""
        return self.low, self.high

    def fault(self) -> str | None:
        """Say what makes this no proper distribution, or None."""
        problem = _normal_fault(self.mean, self.sd)
        if problem or math.isnan(self.low) or math.isnan(self.high):
            return problem or "low and high must not be NaN"
        if self.low >= self.high:
            return f"low = {self.low:g} must be less than high = {self.high:g}"
        _, a, b = self._lower_tail()
        if not ndtr(b) - ndtr(a) > 0.0:
            return f"holds no probability between {self.low:g} and {self.high:g}; widen the bounds or the sd"
        return None

    def _lower_tail(self) -> tuple[float, float, float]:
        """Return sign and standard bounds (a, b), mirrored when the interval lies above the mean."""
        a, b = (self.low - self.mean) / self.sd, (self.high - self.mean) / self.sd
        return (-1.0, -b, -a) if a > 0.0 else (1.0, a, b)


GRAMMAR: dict[str, type[Uniform] | type[LogUniform] | type[Normal] | type[TruncatedNormal]] = {
    "uniform": Uniform,
    "loguniform": LogUniform,
    "normal": Normal,
    "truncnormal": TruncatedNormal,
}


def parse_prior(text: str) -> Distribution:
    """Read a distribution from text such as ``"uniform(0.01, 0.99)"``.

    The forms are ``uniform(low, high)``, ``loguniform(low, high)``, ``normal(mean, sd)`` and
    ``truncnormal(mean, sd, low, high)``; a bound of ``truncnormal`` may be ``inf`` or ``-inf``.

    Raises
    ------
    UsageError
        If the text has another form, or names a distribution that is not proper.
    """
    match = re.fullmatch(r"\s*(\w+)\s*\(([^()]*)\)\s*", text)
    kind = GRAMMAR.get(match[1].lower()) if match else None
    if match is None or kind is None:
        raise UsageError(f"cannot read the prior {text!r}; {_forms()}")
    try:
        numbers = [float(item) for item in match[2].split(",")]
    except ValueError as error:
        raise UsageError(f"cannot read the prior {text!r}: {error}; {_forms()}") from error
    if len(numbers) != len(fields(kind)):
        raise UsageError(f"prior {text!r} has {len(numbers)} numbers, needs {len(fields(kind))}; {_forms()}")
    distribution = kind(*numbers)
    if fault := distribution.fault():
        raise UsageError(f"prior {text!r}: {fault}")
    return distribution


def distribution_fault(distribution: object) -> str | None:
    """Say why `distribution` cannot be one parameter's prior, or return None when it can."""
    if isinstance(distribution, Uniform | LogUniform | Normal | TruncatedNormal):
        return distribution.fault()
    if not isinstance(distribution, Distribution):
        kind = type(distribution).__name__
        return f"is a {kind}, not a continuous distribution with ppf, logpdf and support; {_forms()}"
    quartiles = np.asarray(distribution.ppf(np.array([0.25, 0.5, 0.75])), dtype=np.float64)
    if quartiles.shape != (3,):
        return "is not one-dimensional"
    if not (np.all(np.isfinite(quartiles)) and np.all(np.diff(quartiles) > 0.0)):
        return f"is not proper: its quartiles are {', '.join(f'{x:g}' for x in quartiles)}"
    return None


def _forms() -> str:
    listed = ", ".join(f"{name}({', '.join(f.name for f in fields(kind))})" for name, kind in GRAMMAR.items())
    return f"write one of {listed}, or give a frozen scipy.stats distribution"


def _inside(x: ArrayLike, low: float, high: float) -> NDArray[np.bool_]:
    x = np.asarray(x, dtype=np.float64)
    return (x >= low) & (x <= high)


def _interval_fault(low: float, high: float) -> str | None:
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"bounds must be finite for a proper prior, got low = {low:g}, high = {high:g}"
    if low >= high:
        return f"low = {low:g} must be less than high = {high:g}"
    return None


def _normal_fault(mean: float, sd: float) -> str | None:
    if not (math.isfinite(mean) and math.isfinite(sd)):
        return f"mean and sd must be finite, got mean = {mean:g}, sd = {sd:g}"
    if sd <= 0.0:
        return f"sd = {sd:g} must be > 0"
    return None
