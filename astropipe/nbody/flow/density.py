"""Density at particles by Delaunay tessellation: mass over the volume of the star of tetrahedra around each."""

from __future__ import annotations

import numpy as np
from scipy.spatial import Delaunay

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.runtime.errors import InputError

# A margin, in mean separations, that is enough in most boxes, and by how much it grows where it is not.
_FIRST_MARGIN, _GROWTH = 3.0, 1.5
_JITTER = 1e-6


def delaunay_density(positions: FloatArray, box_size: float, mass: float = 1.0) -> FloatArray:
    """Return the density at each particle of a periodic box, 4 m / V(star) (Schaap & van de Weygaert 2000).

    Particles at one place share its density. The sum of m / density over all particles is the volume of the box
    exactly, up to rounding: the stars of all particles cover it four times.

    Parameters
    ----------
    positions : array of shape (n, 3)
        Positions in [0, box_size).
    box_size : float
        Side of the box.
    mass : float
        Mass of a particle.

    Returns
    -------
    array of shape (n,)
        Density in mass per cube of the unit of length.

    Raises
    ------
    InputError
        If the particles are too few, or too regular, to cut the box into tetrahedra.
    """
    n = len(positions)
    for places in (positions, positions + _JITTER * box_size / np.cbrt(n) * _noise(positions / box_size)):
        stars, weights = _true_stars(places, box_size)
        # Particles at one place share its star. Where points lie on a common sphere, as in a lattice, images of the box
        # may be cut into other tetrahedra than the box itself: the jitter makes the cut the same.
        if abs(np.sum(stars / weights) - 4.0 * box_size**3) < 1e-9 * box_size**3:
            return np.asarray(4.0 * mass * weights / stars)
    raise InputError(
        f"the {n} particles are too few, or too regular, to cut the box into tetrahedra; leave the density out"
    )


def _noise(places: FloatArray) -> FloatArray:
    """Return a number in [0, 1) for each coordinate that is the same for particles at the same place."""
    mixed = places @ np.array([[12.9898, 78.233, 37.719], [93.989, 26.651, 54.853], [61.137, 41.231, 83.447]])
    return np.asarray(np.abs(np.sin(mixed) * 43758.5453) % 1.0)


def _true_stars(positions: FloatArray, box_size: float) -> tuple[FloatArray, FloatArray]:
    """Return volume of the star and number of particles at the place of each particle, with a margin that is enough."""
    margin = min(_FIRST_MARGIN * box_size / np.cbrt(len(positions)), box_size)
    while True:
        points, originals = _padded(positions, box_size, margin)
        stars, weights, enough = _stars(points, originals, len(positions), box_size, margin)
        if enough or margin >= box_size:
            return stars, weights
        margin = min(_GROWTH * margin, box_size)


def _padded(positions: FloatArray, box_size: float, margin: float) -> tuple[FloatArray, IntArray]:
    """Return the particles with the images of those near a side, and of each point which particle it is."""
    points, originals = positions, np.arange(len(positions))
    for axis in range(3):
        low, high = points[:, axis] < margin, points[:, axis] > box_size - margin
        shift = box_size * np.eye(3)[axis]
        points, originals = (
            np.concatenate([points, points[low] + shift, points[high] - shift]),
            np.concatenate([originals, originals[low], originals[high]]),
        )
    return points, originals


def _stars(
    points: FloatArray, originals: IntArray, n: int, box_size: float, margin: float
) -> tuple[FloatArray, FloatArray, bool]:
    """Return volume of the star and number of particles at the place of each particle, and whether all are true.

    A tetrahedron is one of the endless periodic set if its circumsphere lies where points are.
    """
    mesh = Delaunay(points)
    simplices = mesh.simplices[np.any(mesh.simplices < n, axis=1)]
    corners = points[simplices]
    edges = corners[:, 1:] - corners[:, :1]
    volumes = np.abs(np.linalg.det(edges)) / 6.0
    stars = np.asarray(np.bincount(simplices.ravel(), np.repeat(volumes, 4), len(points))[:n], dtype=float)
    # Points that coincide with another, to rounding, are no corners: they belong to the one at their place.
    place = np.arange(n)
    merged = mesh.coplanar[mesh.coplanar[:, 0] < n]
    place[merged[:, 0]] = originals[merged[:, 2]]
    weights = np.bincount(place, minlength=n).astype(float)
    inner, outer = _reach(corners[:, 0], edges, volumes)
    enough = bool(np.all(inner >= -margin) and np.all(outer <= box_size + margin))
    return stars[place], weights[place], enough


def _reach(corner: FloatArray, edges: FloatArray, volumes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the least and largest coordinate that each circumsphere reaches, flat tetrahedra left out."""
    solid = volumes > 1e-12 * np.max(volumes)
    corner, edges = corner[solid], edges[solid]
    centres = np.linalg.solve(edges, 0.5 * np.sum(edges**2, axis=2)[..., None])[..., 0]
    radii = np.linalg.norm(centres, axis=1, keepdims=True)
    centres = centres + corner
    return np.min(centres - radii, axis=1), np.max(centres + radii, axis=1)
