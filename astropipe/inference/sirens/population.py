r"""Mergers of neutron stars, with one another and with black holes: how many, at what redshift, of what mass.

The rate of mergers in the frame of the source follows star formation (Madau and Dickinson 2014, eq. 15),

.. math::

    \psi(z) \propto \frac{(1 + z)^{2.7}}{1 + ((1 + z)/2.9)^{5.6}},

after a delay t with density 1/t between a shortest one and the age of the Universe, and is scaled to a local rate R0.
The number seen in a time T is dN/dz = T R(z)/(1 + z) dV/dz.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import SPEED_OF_LIGHT, Cosmology
from astropipe.inference.distances import Redshifts, hubble, inverse_root, transverse_distance

Array = NDArray[np.float64]

GIGAYEAR = 977.79222
"""Mpc / (km/s) in Gyr."""

NEUTRON_STAR = (1.2, 2.0)
"""Masses of neutron stars in solar masses, uniform between: the flat distribution of GWTC-3 (arXiv:2111.03634)."""

BLACK_HOLE = (5.0, 20.0)
"""Masses of black holes that merge with neutron stars, uniform in the logarithm between: an assumption."""


def star_formation(z: Array) -> Array:
    """Return ψ(z) of Madau and Dickinson (2014), with ψ = 1 for a factor (1 + z)^2.7 of one."""
    return np.asarray((1.0 + z) ** 2.7 / (1.0 + ((1.0 + z) / 2.9) ** 5.6))


def merger_rate(universe: Cosmology, z: Array, shortest_delay: float) -> Array:
    """Return R(z)/R(0) in the frame of the source.

    Parameters
    ----------
    universe
        One universe.
    z
        Redshifts, shape [m].
    shortest_delay
        Least time between the birth of the stars and the merger, in Gyr.
    """
    # Age against redshift on a grid; at z = 60 stars have not formed.
    grid = np.expm1(np.linspace(0.0, math.log(61.0), 800))
    rate = inverse_root(Redshifts(grid).expansion_squared(universe))[0]
    x = np.log1p(grid)
    lookback = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * np.diff(x))])
    lookback *= GIGAYEAR / universe.h0.item()
    then = np.interp(np.append(z, 0.0), grid, lookback)[:, None]
    longest = lookback[-1] - then
    # d ln t is the density 1/t; the trapezium rule in ln t.
    steps = np.linspace(0.0, 1.0, 200)
    delays = shortest_delay * np.maximum(longest / shortest_delay, 1.0) ** steps
    formed = np.interp(then + delays, lookback, grid)
    born = np.trapezoid(star_formation(formed), np.log(delays), axis=1)
    return np.asarray(born[:-1] / born[-1])


def expected_number(universe: Cosmology, z: Array, local_rate: float, years: float, shortest_delay: float) -> Array:
    """Return the number of mergers below each redshift of an increasing grid from 0, shape [m].

    Parameters
    ----------
    universe
        One universe.
    z
        Redshifts, shape [m]; the first is 0.
    local_rate
        R0 in 1/Gpc³/yr.
    years
        Time of observation in years.
    shortest_delay
        As in `merger_rate`.
    """
    redshifts = Redshifts(z)
    distance = transverse_distance(universe, redshifts)[0]
    # Gpc³ a unit of redshift: 4π D_M² c/H, the volume element of any curvature (Hogg 1999, eq. 28).
    volume = 4.0 * math.pi * distance**2 * SPEED_OF_LIGHT / hubble(universe, redshifts)[0] / 1e9
    density = local_rate * years * merger_rate(universe, z, shortest_delay) / (1.0 + z) * volume
    return np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(z))])
