"""Integrals of motion and the barycentre, for one system or any batch of systems."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import kernel

# Below this fraction of its natural scale, a conserved quantity is taken as zero when its error is made relative.
_NEGLIGIBLE = 1e-12


@kernel
def _integrals(m: FloatArray, x: FloatArray, v: FloatArray, G: float, out: FloatArray) -> None:
    """Write T, U and the angular momentum vector of each system of a batch into `out`, (n, 5)."""
    for s in range(m.shape[0]):
        out[s] = 0.0
        for i in range(m.shape[1]):
            for k in range(3):
                p, q = (k + 1) % 3, (k + 2) % 3
                out[s, 0] += 0.5 * m[s, i] * v[s, i, k] * v[s, i, k]
                out[s, 2 + k] += m[s, i] * (x[s, i, p] * v[s, i, q] - x[s, i, q] * v[s, i, p])
            for j in range(i + 1, m.shape[1]):
                product = G * m[s, i] * m[s, j]
                if product > 0.0:
                    r2 = 0.0
                    for k in range(3):
                        r2 += (x[s, i, k] - x[s, j, k]) ** 2
                    out[s, 1] -= product / math.sqrt(r2)


def _all_integrals(masses: ArrayLike, positions: ArrayLike, velocities: ArrayLike, G: float) -> FloatArray:
    """Return T, U, Lx, Ly, Lz with the batch shape of the input in front."""
    m = np.ascontiguousarray(masses, dtype=np.float64)
    x = np.ascontiguousarray(positions, dtype=np.float64)
    v = np.ascontiguousarray(velocities, dtype=np.float64)
    bodies = m.shape[-1]
    flat = m.reshape(-1, bodies)
    out = np.empty((flat.shape[0], 5))
    _integrals(flat, x.reshape(-1, bodies, 3), v.reshape(-1, bodies, 3), float(G), out)
    return out.reshape(*m.shape[:-1], 5)


def kinetic_energy(masses: ArrayLike, velocities: ArrayLike) -> FloatArray:
    """Return the kinetic energy of masses (..., N) with velocities (..., N, 3)."""
    return _all_integrals(masses, np.zeros_like(velocities), velocities, 0.0)[..., 0]


def potential_energy(masses: ArrayLike, positions: ArrayLike, *, G: float = 1.0) -> FloatArray:
    """Return the Newtonian potential energy of masses (..., N) at positions (..., N, 3)."""
    return _all_integrals(masses, positions, np.zeros_like(positions), G)[..., 1]


def total_energy(masses: ArrayLike, positions: ArrayLike, velocities: ArrayLike, *, G: float = 1.0) -> FloatArray:
    """Return kinetic plus potential energy, shape (...), of systems (..., N), (..., N, 3), (..., N, 3)."""
    integrals = _all_integrals(masses, positions, velocities, G)
    return integrals[..., 0] + integrals[..., 1]


def angular_momentum(masses: ArrayLike, positions: ArrayLike, velocities: ArrayLike) -> FloatArray:
    """Return the angular momentum about the origin, shape (..., 3)."""
    return _all_integrals(masses, positions, velocities, 0.0)[..., 2:]


def linear_momentum(masses: ArrayLike, velocities: ArrayLike) -> FloatArray:
    """Return the total momentum, shape (..., 3)."""
    weighted = np.asarray(masses, dtype=np.float64)[..., None] * np.asarray(velocities, dtype=np.float64)
    return np.asarray(weighted.sum(axis=-2))


def barycentre(masses: ArrayLike, positions: ArrayLike) -> FloatArray:
    """Return the mass-weighted mean of positions (or of velocities), shape (..., 3)."""
    m = np.asarray(masses, dtype=np.float64)
    return np.asarray(linear_momentum(m, positions) / m.sum(axis=-1)[..., None])


def to_barycentre(masses: ArrayLike, positions: ArrayLike, velocities: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return positions and velocities (..., N, 3) with respect to the barycentre."""
    x = np.asarray(positions, dtype=np.float64)
    v = np.asarray(velocities, dtype=np.float64)
    return x - barycentre(masses, x)[..., None, :], v - barycentre(masses, v)[..., None, :]


def angular_momentum_scale(masses: ArrayLike, spin: ArrayLike, potential: ArrayLike) -> FloatArray:
    r"""Return what errors of the angular momentum are relative to.

    That is :math:`|L|`, or, where it vanishes (below 1e-12 of its natural scale: a start from rest), the natural scale
    :math:`M^{5/2} |U|^{-1/2}`, in units in which G = 1.

    Parameters
    ----------
    masses : array of shape (..., N)
        Masses, or gravitational parameters.
    spin : array of shape (..., 3)
        Angular momentum.
    potential : array of shape (...)
        Absolute potential energy.
    """
    size = np.linalg.norm(np.asarray(spin), axis=-1)
    total = np.asarray(masses, dtype=np.float64).sum(axis=-1)
    depth = np.asarray(potential, dtype=np.float64)
    natural = total**2.5 / np.sqrt(np.where(depth > 0.0, depth, 1.0))
    scale: FloatArray = np.where(size > _NEGLIGIBLE * natural, size, natural)
    # Without mass to speak of there is no angular momentum to be wrong.
    return np.where(scale > 0.0, scale, 1.0)
