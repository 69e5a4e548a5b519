r"""What a cluster looks like at one time: centre, radii, energies, who is bound; G = 1.

Density centre and local densities after Casertano & Hut (1985, ApJ 298, 80) with the sixth neighbour; the core radius
is the density-weighted rms distance, :math:`r_c^2 = \sum \rho_i^2 r_i^2 / \sum \rho_i^2` (McMillan, Hut & Makino 1990,
ApJ 362, 522; Aarseth 2003). The half-mass relaxation time is that of Spitzer (1987, eq. 2-63),

.. math:: t_{rh} = \frac{0.138\, N r_h^{3/2}}{\sqrt{G M} \ln (\gamma N)},

with gamma = 0.11 (Giersz & Heggie 1994, MNRAS 268, 257).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters.forces import potentials
from astropipe.nbody.clusters.layout import sources
from astropipe.nbody.clusters.tides import Tide, tidal_energies
from astropipe.nbody.conserved import angular_momentum

FRACTIONS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
CLASSES = ("stars", "heavy", "massless")
_NEIGHBOUR = 6
_COULOMB = 0.11


class Centre(NamedTuple):
    """Density centre of stars.

    Attributes
    ----------
    place : array of shape (3,)
        The centre.
    core_radius : float
        See the module.
    """

    place: FloatArray
    core_radius: float


def density_centre(masses: FloatArray, positions: FloatArray) -> Centre:
    """Return the density centre of stars, (n,) and (n, 3), and their core radius."""
    k = min(_NEIGHBOUR, len(masses) - 1)
    distances, neighbours = cKDTree(positions).query(positions, k + 1)
    inner = masses[neighbours[:, 1:k]].sum(axis=1) if k > 1 else masses
    density = inner / distances[:, k] ** 3
    place = density @ positions / density.sum()
    r2 = ((positions - place) ** 2).sum(axis=1)
    return Centre(place, float(math.sqrt(density**2 @ r2 / (density @ density))))


def lagrangian_radii(distances: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the radii within which `FRACTIONS` of the weight lie, (n_fractions,); NaN without particles.

    Half of the weight of each particle counts as inside of its radius.
    """
    if not distances.size:
        return np.full(len(FRACTIONS), np.nan)
    order = np.argsort(distances)
    inside = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.asarray(np.interp(FRACTIONS, inside / weights.sum(), distances[order]))


def half_mass_relaxation_time(n: float, half_mass_radius: float, mass: float = 1.0) -> float:
    """Return Spitzer's half-mass relaxation time of n stars, in units of G = 1."""
    return float(0.138 * n * half_mass_radius**1.5 / (math.sqrt(mass) * math.log(max(_COULOMB * n, math.e))))


def bound_pairs(masses: FloatArray, positions: FloatArray, velocities: FloatArray) -> IntArray:
    """Return the other star of each star whose nearest neighbour it is and that it is bound to, (n,); -1 for none."""
    _, neighbours = cKDTree(positions).query(positions, 2)
    nearest = neighbours[:, 1]
    x, v = positions - positions[nearest], velocities - velocities[nearest]
    energy = 0.5 * (v**2).sum(axis=1) - (masses + masses[nearest]) / np.linalg.norm(x, axis=1)
    mutual = (nearest[nearest] == np.arange(len(masses))) & (energy < 0.0)
    return np.where(mutual, nearest, -1)


class State(NamedTuple):
    """Energies of a cluster at one time.

    Attributes
    ----------
    energy : float
        Kinetic and potential energy of all stars; with a tidal field the Jacobi energy.
    potential : float
        Absolute potential energy of the stars in their own field.
    spin : array of shape (3,)
        Angular momentum of the stars.
    virial_ratio : float
        Kinetic over absolute potential energy of single stars and barycentres of bound pairs.
    specific : array of shape (n + m,)
        Energy per mass of each particle in the field of the stars; of a star in a bound pair, that of the pair.
        Velocities count from the centre of the bound.
    companion : array of int, shape (n,)
        See `bound_pairs`.
    """

    energy: float
    potential: float
    spin: FloatArray
    virial_ratio: float
    specific: FloatArray
    companion: IntArray


def energies(
    masses: FloatArray,
    positions: FloatArray,
    velocities: FloatArray,
    inside: NDArray[np.bool_],
    tide: Tide,
    time: float,
) -> State:
    """Return the energies of stars, (n,), and of massless particles behind them, (n + m, 3).

    Parameters
    ----------
    masses : array of shape (n,)
        Masses of the stars.
    positions, velocities : arrays of shape (n + m, 3)
        All particles.
    inside : array of bool, shape (n,)
        Stars that have not escaped.
    tide : Tide
        The field.
    time : float
        The time.
    """
    n = len(masses)
    x, v = positions[:n], velocities[:n]
    depth = np.empty(len(positions))
    potentials(sources(masses, x, v), positions, depth)
    kinetic, potential = 0.5 * masses @ (v**2).sum(axis=1), -0.5 * masses @ depth[:n]
    companion = bound_pairs(masses, x, v)
    outer, moving = depth.copy(), velocities - np.average(v[inside], axis=0, weights=masses[inside])
    paired = np.flatnonzero(companion >= 0)
    other = companion[paired]
    outer[paired] += masses[other] / np.linalg.norm(x[paired] - x[other], axis=1)
    share = (masses[other] / (masses[paired] + masses[other]))[:, None]
    moving[paired] = (1.0 - share) * moving[paired] + share * moving[other]
    squares = (moving**2).sum(axis=1)
    virial_ratio = masses @ squares[:n] / -(masses @ outer[:n])
    outside = masses @ tidal_energies(tide, time, x, v) if tide.is_there else 0.0
    return State(
        float(kinetic - potential + outside),
        float(potential),
        angular_momentum(masses, x, v),
        float(virial_ratio),
        0.5 * squares + outer,
        companion,
    )
