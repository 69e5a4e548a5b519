r"""Ages of galaxies in bins of redshift, the differences between neighbouring bins, and the expansion rate from these.

.. math::

    H(z) = -\frac{1}{1 + z} \frac{dz}{dt},

with dt the difference of the ages of galaxies that formed together (Jimenez and Loeb 2002). A difference Δ is linear in
ages and so has Gaussian errors, its inverse has not: likelihoods are for the differences, rates are for the eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from astropipe.inference.distances import HUBBLE_TIME
from astropipe.inference.galaxy_ages.selection import GalaxyAges
from astropipe.runtime.errors import InputError

Array = NDArray[np.float64]
Statistic = Literal["mean", "median"]

LEAST_PER_BIN = 5

# Of a Gaussian: standard deviation over the median absolute one, and variance of the median over that of the mean.
_SD_OF_MAD = 1.4826
_MEDIAN_VARIANCE = np.pi / 2


@dataclass(frozen=True)
class AgeBins:
    """Ages in K bins of redshift.

    Attributes
    ----------
    redshift
        Mean redshift of the galaxies of each bin, rising, shape [K].
    spread
        Standard deviation of these redshifts, shape [K].
    age, variance
        Mean or median age in Gyr, and its variance in Gyr², shape [K]. Bins share no galaxy: they are independent.
    """

    redshift: Array
    spread: Array
    age: Array
    variance: Array


def binned(galaxies: GalaxyAges, n_bins: int, statistic: Statistic) -> AgeBins:
    """Return the mean or median ages in bins of equal numbers of galaxies.

    The scatter of the galaxies in each bin about a parabola in the scale factor gives the variance: errors of ages, the
    spread of formation times, and galaxies that should not be there, are all in it, so that errors quoted for single
    galaxies are not needed. Medians are those of the differences from the parabola, which inside of a bin is steep.

    Raises
    ------
    InputError
        If there are fewer than `LEAST_PER_BIN` galaxies a bin, or their redshifts are equal.
    """
    n = len(galaxies)
    if n < LEAST_PER_BIN * n_bins:
        raise InputError(
            f"{n} galaxies are too few for {n_bins} bins of at least {LEAST_PER_BIN}; lower min_score or n_bins"
        )
    members = np.array_split(np.argsort(galaxies.redshift, kind="stable"), n_bins)
    redshift = np.array([galaxies.redshift[rows].mean() for rows in members])
    if np.any(np.diff(redshift) <= 0.0):
        raise InputError("bins of galaxies have equal redshifts, between which no time passes; lower n_bins")
    scale = 1.0 / (1.0 + galaxies.redshift)
    trend = Polynomial.fit(scale, galaxies.age, 2)(scale)
    level = galaxies.age - trend
    centre = np.mean if statistic == "mean" else np.median
    age = np.array([centre(level[rows]) + trend[rows].mean() for rows in members])
    variance = np.array([_variance(level[rows], statistic) for rows in members])
    return AgeBins(redshift, np.array([galaxies.redshift[rows].std() for rows in members]), age, variance)


def _variance(level: Array, statistic: Statistic) -> float:
    """Return the variance of the mean or median of n values, with that of Student's t for not knowing their scatter."""
    n = len(level)
    if statistic == "mean":
        own = float(np.var(level, ddof=1)) / n
    else:
        own = _MEDIAN_VARIANCE * (_SD_OF_MAD * float(np.median(np.abs(level - np.median(level))))) ** 2 / n
    return own * (n - 1) / (n - 3)


def differences(bins: AgeBins) -> tuple[Array, Array]:
    """Return by how much the galaxies of each bin are older than those of the next.

    Returns
    -------
    ndarray, shape [K - 1]
        Differences in Gyr, positive where age falls with redshift.
    ndarray, shape [K - 1, K - 1]
        Their covariance in Gyr²: neighbours share a bin and are anticorrelated.
    """
    step = np.eye(len(bins.age) - 1, len(bins.age)) - np.eye(len(bins.age) - 1, len(bins.age), 1)
    return step @ bins.age, step @ np.diag(bins.variance) @ step.T


def expansion_rates(bins: AgeBins) -> tuple[Array, Array, Array]:
    """Return the redshifts between bins, H there in km/s/Mpc, shape [K - 1], and its covariance to first order."""
    delta, covariance = differences(bins)
    middle = (bins.redshift[1:] + bins.redshift[:-1]) / 2
    rate = HUBBLE_TIME * np.diff(bins.redshift) / ((1.0 + middle) * delta)
    slope = np.diag(-rate / delta)
    return middle, rate, slope @ covariance @ slope
