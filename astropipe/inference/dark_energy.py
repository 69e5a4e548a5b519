r"""Equations of state of dark energy: w(a) = w0 + wa p(a) + wb q(a), with p and q from a list of shapes.

Energy conservation gives ln f = ln ρ_de(z)/ρ_de(0) = ∫ 3 (1 + w) dz/(1 + z), linear in the parameters:
ln f = (1 + w0) 3x + wa P(x) + wb Q(x) with x = ln(1 + z) and P(x) = ∫ 3 p dx from 0 to x, in closed form below,
where y = 1 − a = z/(1 + z):

==================  ==================  ==========================  ========================================
shape               p                   P = ∫ 3 p dx                source
==================  ==================  ==========================  ========================================
linear              1 − a               3 (x − y)                   Chevallier and Polarski 2001; Linder 2003
quadratic           (1 − a)²            3 (x − y − y²/2)            next order of the same series
Barboza–Alcaniz     z(1 + z)/(1 + z²)   (3/2) ln(1 + z²)            Barboza and Alcaniz 2008
Jassal et al.       z/(1 + z)²          (3/2) y²                    Jassal, Bagla and Padmanabhan 2005
==================  ==================  ==========================  ========================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _departure(x: Array) -> Array:
    """Return y = 1 − a."""
    return np.asarray(-np.expm1(-x))


def _linear(x: Array) -> Array:
    return 3.0 * (x - _departure(x))


def _quadratic(x: Array) -> Array:
    y = _departure(x)
    return np.asarray(3.0 * (x - y - 0.5 * y**2))


def _barboza_alcaniz(x: Array) -> Array:
    return np.asarray(1.5 * np.log1p(np.expm1(x) ** 2))


def _jassal(x: Array) -> Array:
    return np.asarray(1.5 * _departure(x) ** 2)


@dataclass(frozen=True)
class Shape:
    """How a term of w(a) evolves.

    Attributes
    ----------
    integral
        P(x) of the module docstring, for x = ln(1 + z) of any shape.
    early
        p as a → 0.
    """

    integral: Callable[[Array], Array]
    early: float


LINEAR = Shape(_linear, 1.0)
QUADRATIC = Shape(_quadratic, 1.0)
BARBOZA_ALCANIZ = Shape(_barboza_alcaniz, 1.0)
JASSAL = Shape(_jassal, 0.0)


@dataclass(frozen=True)
class EquationOfState:
    """w(a) = w0 + wa p(a) + wb q(a).

    Attributes
    ----------
    wa, wb
        The shapes p and q.
    """

    wa: Shape = LINEAR
    wb: Shape = QUADRATIC

    def integrals(self, x: Array) -> tuple[Array, Array, Array]:
        """Return the factors of (1 + w0), wa and wb in ln f at x = ln(1 + z)."""
        return 3.0 * x, self.wa.integral(x), self.wb.integral(x)

    def early(self, values: Mapping[str, Array]) -> Array:
        """Return w as a → 0, from arrays w0 and, where they are parameters, wa and wb."""
        late = [self.wa.early * values["wa"] if "wa" in values else 0.0]
        late.append(self.wb.early * values["wb"] if "wb" in values else 0.0)
        return np.asarray(values["w0"] + sum(late))


STANDARD = EquationOfState()
"""The series in 1 − a, of which w0 and wa are the form of Chevallier, Polarski and Linder."""
