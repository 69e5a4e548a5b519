r"""Growth of linear matter fluctuations in many universes at once.

The growing mode obeys (Heath 1977; Peebles 1980, section 10), with x = ln a and E = H/H0,

.. math::

    \frac{d}{dx}\left( a^2 E \frac{dD}{dx} \right) = \frac{3}{2} \frac{\Omega_m}{a E} D,

in general relativity with smooth dark energy and radiation. It is integrated in this form, which needs no derivative
of E, by the classical Runge-Kutta method, from the matter era, where D = a. Massive neutrinos count as matter that
clusters.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import Cosmology, Epochs, Radiation, epochs, expansion_squared
from astropipe.inference.dark_energy import EquationOfState
from astropipe.inference.distances import inverse_root

Array = NDArray[np.float64]

START = 99.0
"""Redshift at which the integration begins, early enough for the decaying mode to be gone where there are data."""

LONGEST_STEP = 0.1
"""In ln a; with it f σ8 is that of the closed solution within 2e-5."""


class GrowthRates:
    """The growth rate at a set of redshifts.

    Parameters
    ----------
    z
        Redshifts from 0 to below `START`, any order, shape [m].
    """

    def __init__(self, z: Array) -> None:
        ends, place = np.unique(np.concatenate([[-math.log1p(START), 0.0], -np.log1p(z)]), return_inverse=True)
        pieces = [np.linspace(a, b, _steps(b - a) + 1)[:-1] for a, b in pairwise(ends)]
        # Redshifts end steps, so that nothing is interpolated.
        self._rows = np.cumsum([0, *(len(piece) for piece in pieces)])[place[2:]]
        self._x = np.append(np.concatenate(pieces), 0.0)
        middles = 0.5 * (self._x[:-1] + self._x[1:])
        self._stages = np.insert(middles, np.arange(len(self._x)), self._x) if len(middles) else self._x

    def f_sigma8(self, universe: Cosmology, sigma8: Array) -> Array:
        """Return f σ8(z) = σ8 dD/dx / D(0) of universes with amplitude `sigma8` today [n], shape [n, m].

        NaN where a universe had no such past.
        """
        amplitude, slope = self._solve(universe)
        return np.asarray(sigma8[:, None] * slope[:, self._rows] / amplitude[:, -1:])

    def _solve(self, universe: Cosmology) -> tuple[Array, Array]:
        """Return D and dD/dx at all nodes, each [n, k]."""
        x = self._stages
        root = inverse_root(expansion_squared(universe, _epochs_of(self, universe.radiation, universe.dark_energy)))
        # D' = p u and p' = v D at the ends and middles of the steps.
        u = np.exp(-2.0 * x) * root
        v = 1.5 * universe.omega_m * np.exp(-x) * root
        d = np.full(len(root), np.exp(x[0]))
        p = d / u[:, 0]
        amplitudes, momenta = [d], [p]
        for i, h in enumerate(np.diff(self._x)):
            u0, u1, u2 = u[:, 2 * i], u[:, 2 * i + 1], u[:, 2 * i + 2]
            v0, v1, v2 = v[:, 2 * i], v[:, 2 * i + 1], v[:, 2 * i + 2]
            d1, p1 = p * u0, d * v0
            d2, p2 = (p + 0.5 * h * p1) * u1, (d + 0.5 * h * d1) * v1
            d3, p3 = (p + 0.5 * h * p2) * u1, (d + 0.5 * h * d2) * v1
            d4, p4 = (p + h * p3) * u2, (d + h * d3) * v2
            d = d + h / 6.0 * (d1 + 2.0 * (d2 + d3) + d4)
            p = p + h / 6.0 * (p1 + 2.0 * (p2 + p3) + p4)
            amplitudes.append(d)
            momenta.append(p)
        return np.stack(amplitudes, axis=1), np.stack(momenta, axis=1) * u[:, ::2]


def _steps(width: float) -> int:
    return max(1, math.ceil(width / LONGEST_STEP))


@lru_cache(maxsize=64)
def _epochs_of(rates: GrowthRates, radiation: Radiation, dark_energy: EquationOfState) -> Epochs:
    return epochs(-rates._stages, radiation, dark_energy)
