r"""The isotropic Plummer sphere as it is seen: surface density, and velocities along the line of sight.

Potential :math:`\psi(r) = GM (r^2 + a^2)^{-1/2}`, distribution function :math:`f \propto E^{7/2}` of the binding energy
(Plummer 1911, MNRAS 71, 460; Dejonghe 1987, MNRAS 224, 13, with q = 0). At projected radius R, with
:math:`b^2 = R^2 + a^2` and z = b tan θ along the line of sight, integrating f over the velocities across it leaves

.. math:: p(s | R) = \frac{3}{4 B(1/2, 11/2)} \int \frac{[\cos\theta - s^2]_+^{9/2}}{\cos^2\theta} d\theta,
   \qquad s = v (2GM/b)^{-1/2}.

Its variance is 3πGM / 64b. The tails end at the escape speed; it is no Gaussian.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import beta

Array = NDArray[np.float64]

GRAVITY = 4.300_917_27e-3
"""Constant of gravity in pc (km/s)² / Msun: of CODATA 2018 and the nominal solar mass parameter."""

_NORM = 3.0 / (4.0 * beta(0.5, 5.5))
# Gauss-Legendre points in θ, and in velocity over what an error lets through, seven standard errors either way: for
# eight digits.
_SIGHT, _SIGHT_WEIGHTS = np.polynomial.legendre.leggauss(16)
_SPEED, _SPEED_WEIGHTS = np.polynomial.legendre.leggauss(32)
_REACH = 7.0


def surface_density(radius: Array, scale_radius: Array, field_radius: float) -> Array:
    """Return the number density per area at projected radii of a star that is known to be in a circle.

    Parameters
    ----------
    radius, scale_radius : ndarray
        Projected radius R and Plummer's a in one unit of length, of shapes that go together.
    field_radius : float
        Radius of the circle about the centre, in the same unit.

    Returns
    -------
    ndarray
        In the inverse square of the unit; its integral over the circle is 1.
    """
    square = scale_radius**2
    inside = field_radius**2 / (field_radius**2 + square)
    return np.asarray(square / (np.pi * (radius**2 + square) ** 2 * inside))


def largest_speed(mass: Array, radius: Array, scale_radius: Array) -> Array:
    """Return the escape speed in km/s at the point of a line of sight that is nearest to the centre.

    Parameters
    ----------
    mass : ndarray
        Mass of the sphere in Msun.
    radius, scale_radius : ndarray
        Projected radius and Plummer's a in pc.
    """
    return np.asarray(np.sqrt(2.0 * GRAVITY * mass / np.sqrt(radius**2 + scale_radius**2)))


def velocity_density(s: Array) -> Array:
    """Return the density of velocities along the line of sight in units of `largest_speed`; 0 beyond 1."""
    square = s**2
    end = np.arccos(np.minimum(square, 1.0))[..., None]
    cosine = np.cos(0.5 * end * (_SIGHT + 1.0))
    excess = np.maximum(cosine - square[..., None], 0.0)
    # x^(9/2), in a third of the time of a power.
    integrand = excess**2 * excess**2 * np.sqrt(excess) / cosine**2
    # Half the interval for the nodes, twice for the two sides of the centre.
    return np.asarray(_NORM * end[..., 0] * (integrand @ _SIGHT_WEIGHTS))


def observed_velocity_density(s: Array, error: Array) -> Array:
    """Return the density of measured velocities: `velocity_density`, convolved with Gaussian errors.

    Parameters
    ----------
    s, error : ndarray
        Measured velocity and its standard error, above 0, both in units of `largest_speed`.

    Returns
    -------
    ndarray
        0 where no velocity of the sphere lies within seven standard errors.
    """
    low, high = np.maximum(s - _REACH * error, -1.0), np.minimum(s + _REACH * error, 1.0)
    half = 0.5 * np.maximum(high - low, 0.0)
    speed = (0.5 * (high + low))[..., None] + half[..., None] * _SPEED
    deviation = (s[..., None] - speed) / error[..., None]
    gaussian = np.exp(-0.5 * deviation**2) / (np.sqrt(2.0 * np.pi) * error[..., None])
    return np.asarray(half * ((velocity_density(speed) * gaussian) @ _SPEED_WEIGHTS))
