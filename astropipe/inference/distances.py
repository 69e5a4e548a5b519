r"""Distances of many universes to many redshifts, by Gauss–Legendre quadrature on fixed nodes.

The comoving distance is D_C = (c/H0) ∫ dz/E = (c/H0) ∫ e^x dx / E(x) with x = ln(1 + z). Redshifts are sorted
and the integral is done once from each to the next, so m redshifts share all their nodes. Definitions follow
Hogg 1999 (astro-ph/9905116).

A universe that never was as dense as a redshift asks for (E² ≤ 0, a bounce) has NaN distances, silently: a
likelihood turns them into −inf. The lookback time is t_L = (1/H0) ∫ dx / E on the same nodes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants

from astropipe.inference.background import (
    SPEED_OF_LIGHT,
    Cosmology,
    Epochs,
    Radiation,
    epochs,
    expansion_squared,
)
from astropipe.inference.dark_energy import EquationOfState
from astropipe.runtime.errors import InputError

PANEL_WIDTH = 0.5
"""Widest panel in ln(1 + z); with the node numbers below the quadrature error stays below 1e-8."""

HUBBLE_TIME = constants.mega * constants.parsec / constants.kilo / (constants.giga * constants.Julian_year)
"""1/H0 in Gyr for H0 = 1 km/s/Mpc; a year has 365.25 days, as in astropy."""


class Redshifts:
    """A set of redshifts with the quadrature that reaches them all.

    Parameters
    ----------
    z
        Redshifts > −1, any order, repeats allowed, shape [m].

    Raises
    ------
    InputError
        If a redshift is not a finite number > −1; the message names its position.
    """

    def __init__(self, z: ArrayLike) -> None:
        self.z = np.atleast_1d(np.asarray(z, dtype=np.float64))
        bad = np.flatnonzero(~(np.isfinite(self.z) & (self.z > -1.0)))
        if self.z.ndim != 1 or bad.size:
            where = f"entry {bad[0]} is {self.z.flat[bad[0]]}" if bad.size else f"shape is {self.z.shape}"
            raise InputError(f"redshifts must be a list of finite numbers > -1; {where}")
        self.x = np.log1p(self.z)
        ends, self._order = np.unique(np.append(0.0, self.x), return_inverse=True)
        pieces = [_panel(low, high) for low, high in pairwise(ends)]
        self._nodes = np.concatenate([nodes for nodes, _ in pieces]) if pieces else np.zeros(0)
        self._weights = np.concatenate([weights for _, weights in pieces]) if pieces else np.zeros(0)
        self._starts = np.cumsum([0, *(len(nodes) for nodes, _ in pieces)])[:-1]
        self._distance_weights = self._weights * np.exp(self._nodes)

    def __len__(self) -> int:
        return len(self.z)

    def dimensionless_distance(self, universe: Cosmology) -> NDArray[np.float64]:
        """Return ∫ dz/E from 0 to each redshift, shape [n, m]."""
        return self._integral(universe, self._distance_weights)

    def dimensionless_lookback(self, universe: Cosmology) -> NDArray[np.float64]:
        """Return ∫ dz/((1 + z) E) from 0 to each redshift, shape [n, m]."""
        return self._integral(universe, self._weights)

    def _integral(self, universe: Cosmology, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        n = len(universe.h0)
        if not len(self._nodes):
            return np.zeros((n, len(self)))
        e2 = expansion_squared(universe, _epochs_of(self, universe.radiation, universe.dark_energy, True))
        steps = np.add.reduceat(weights * inverse_root(e2), self._starts, axis=1)
        ends = np.concatenate([np.zeros((n, 1)), np.cumsum(steps, axis=1)], axis=1)
        at = ends[:, self._order]
        return np.asarray(at[:, 1:] - at[:, :1])

    def expansion_squared(self, universe: Cosmology) -> NDArray[np.float64]:
        """Return E² at each redshift, shape [n, m]."""
        return expansion_squared(universe, _epochs_of(self, universe.radiation, universe.dark_energy, False))


@lru_cache(maxsize=256)
def _epochs_of(redshifts: Redshifts, radiation: Radiation, dark_energy: EquationOfState, nodes: bool) -> Epochs:
    return epochs(redshifts._nodes if nodes else redshifts.x, radiation, dark_energy)


@lru_cache(maxsize=32)
def gauss_legendre(order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights of Gauss–Legendre quadrature on [0, 1], each [order]."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return 0.5 * (nodes + 1.0), 0.5 * weights


def _panel(low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights for one interval, cut into panels no wider than `PANEL_WIDTH`."""
    panels = max(1, math.ceil((high - low) / PANEL_WIDTH))
    width = (high - low) / panels
    nodes, weights = gauss_legendre(3 if width < 0.02 else 4 if width < 0.1 else 6 if width < 0.3 else 8)
    starts = low + width * np.arange(panels)[:, None]
    return (starts + width * nodes).ravel(), np.tile(width * weights, panels)


def inverse_root(e2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1/√E², NaN where E² ≤ 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(e2 > 0.0, 1.0 / np.sqrt(e2), np.nan)


def curved(universe: Cosmology, distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the transverse distance of a line-of-sight distance, both in units of c/H0, shape [n, m].

    sinh(√Ω_k d)/√Ω_k in an open universe, sin in a closed one, and d in a flat one (Hogg 1999, eq. 16).
    """
    if universe.flat:
        return distance
    q = universe.omega_k * distance**2
    root = np.sqrt(np.abs(q))
    small = root < 1e-3
    safe = np.where(small, 1.0, root)
    # The series keeps the limit Ω_k → 0 smooth; its error at root = 1e-3 is 2e-22.
    series = 1.0 + q / 6.0 * (1.0 + q / 20.0)
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.where(q > 0.0, np.sinh(safe), np.sin(safe)) / safe
    return np.asarray(distance * np.where(small, series, ratio))


def hubble(universe: Cosmology, redshifts: Redshifts) -> NDArray[np.float64]:
    """Return H(z) in km/s/Mpc, shape [n, m]; NaN where E² < 0."""
    with np.errstate(invalid="ignore"):
        return np.asarray(universe.h0 * np.sqrt(redshifts.expansion_squared(universe)))


def transverse_distance(universe: Cosmology, redshifts: Redshifts) -> NDArray[np.float64]:
    """Return the transverse comoving distance D_M in Mpc, shape [n, m]."""
    distance = curved(universe, redshifts.dimensionless_distance(universe))
    return np.asarray(SPEED_OF_LIGHT / universe.h0 * distance)


def luminosity_distance(universe: Cosmology, redshifts: Redshifts) -> NDArray[np.float64]:
    """Return D_L = (1 + z) D_M in Mpc, shape [n, m]."""
    return (1.0 + redshifts.z) * transverse_distance(universe, redshifts)


def distance_modulus(universe: Cosmology, redshifts: Redshifts) -> NDArray[np.float64]:
    """Return μ = 5 log10(D_L / 10 pc) in mag, shape [n, m]; NaN where D_L is not positive."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 5.0 * np.log10(luminosity_distance(universe, redshifts)) + 25.0


def lookback_time(universe: Cosmology, redshifts: Redshifts) -> NDArray[np.float64]:
    """Return the time since each redshift in Gyr, shape [n, m]."""
    return np.asarray(HUBBLE_TIME / universe.h0 * redshifts.dimensionless_lookback(universe))
