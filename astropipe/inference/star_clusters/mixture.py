"""Likelihood of stars some of which are members of a Plummer sphere and the others of the field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.star_clusters.plummer import largest_speed, observed_velocity_density, surface_density
from astropipe.inference.star_clusters.stars import ClusterStars

Array = NDArray[np.float64]

NAMES = (
    "log10_mass",
    "log10_scale_radius",
    "systemic_velocity",
    "fe_h_mean",
    "fe_h_scatter",
    "field_fraction",
)
"""Parameters in their order: masses in Msun, radii in pc, velocities in km/s, metallicities in dex."""


@dataclass(frozen=True)
class FieldStars:
    """The stars of the field: uniform on the sky, Gaussian in velocity (km/s) and in [Fe/H] (dex)."""

    velocity_km_s: float
    dispersion_km_s: float
    fe_h: float
    fe_h_dispersion: float


@dataclass(frozen=True, eq=False)
class ClusterLikelihood:
    """Vectorised ln L of stars in a circular field around a cluster.

    Each star has, with f the fraction of the field, the density (1 − f) Σ(R) p(v | R) N([Fe/H]) + f (the same of the
    field) in position, velocity and metallicity. Members follow `star_clusters.plummer` and scatter in [Fe/H] by a
    Gaussian; every star has its own errors of velocity and [Fe/H], with which both terms are convolved.

    Attributes
    ----------
    stars : ClusterStars
        The stars.
    field_radius_pc : float
        Radius of the field at the distance of the cluster.
    field : FieldStars
        What is known of the field.
    """

    stars: ClusterStars
    field_radius_pc: float
    field: FieldStars

    def __call__(self, x: Array) -> Array:
        """Return ln L of points [n, 6] in the order of `NAMES`, as [n]; per pc², km/s and dex of each star."""
        return np.array([self._log_likelihood(point) for point in x])

    def _log_likelihood(self, point: Array) -> float:
        member, field = self.densities(point)
        with np.errstate(divide="ignore"):
            return float(np.sum(np.log((1.0 - point[5]) * member + point[5] * field)))

    def densities(self, point: Array) -> tuple[Array, Array]:
        """Return the densities of each star if it is a member, and if it is of the field, each of shape [stars]."""
        stars, field = self.stars, self.field
        mass, scale_radius = 10.0 ** point[0], 10.0 ** point[1]
        speed = largest_speed(mass, stars.radius_pc, scale_radius)
        velocity = (stars.rv_km_s - point[2]) / speed
        member = surface_density(stars.radius_pc, scale_radius, self.field_radius_pc)
        member = member * observed_velocity_density(velocity, stars.rv_err_km_s / speed) / speed
        member = member * _normal(stars.fe_h - point[3], np.hypot(point[4], stars.fe_h_err))
        spread = np.hypot(field.dispersion_km_s, stars.rv_err_km_s)
        other = _normal(stars.rv_km_s - field.velocity_km_s, spread) / (np.pi * self.field_radius_pc**2)
        other = other * _normal(stars.fe_h - field.fe_h, np.hypot(field.fe_h_dispersion, stars.fe_h_err))
        return member, other


def _normal(deviation: Array, sigma: Array) -> Array:
    return np.asarray(np.exp(-0.5 * (deviation / sigma) ** 2) / (np.sqrt(2.0 * np.pi) * sigma))
