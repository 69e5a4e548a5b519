"""Primordial binaries: orbits of pairs whose barycentres take the places of stars."""

from __future__ import annotations

import math

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.clusters.orbit import follow_orbit
from astropipe.nbody.systems import isotropic


def draw_orbits(rng: np.random.Generator, masses: FloatArray, limits: tuple[float, float]) -> FloatArray:
    """Return relative positions and velocities, (n, 6), of pairs with masses (n,), for G = 1.

    Semi-major axes are uniform in the logarithm between two limits (Oepik 1924, Tartu Obs. Publ. 25, 6), eccentricities
    thermal, f(e) = 2 e (Jeans 1919, MNRAS 79, 408; Heggie 1975, MNRAS 173, 729), directions isotropic, phases uniform.
    """
    n = len(masses)
    axis = np.exp(rng.uniform(math.log(limits[0]), math.log(limits[1]), n))
    eccentricity = np.sqrt(rng.uniform(0.0, 1.0, n))
    phase = rng.uniform(0.0, 1.0, n)
    towards, other = isotropic(rng, n), isotropic(rng, n)
    across = np.cross(towards, other)
    across /= np.linalg.norm(across, axis=1)[:, None]
    near = axis * (1.0 - eccentricity)
    fastest = np.sqrt(masses * (1.0 + eccentricity) / near)
    at_pericentre = np.hstack([near[:, None] * towards, fastest[:, None] * across])
    period = 2.0 * np.pi * np.sqrt(axis**3 / masses)
    orbits = np.empty((n, 6))
    for k in range(n):
        follow_orbit(masses[k], at_pericentre[k], phase[k] * period[k], orbits[k])
    return orbits
