r"""Direct sums over stars: accelerations with their derivatives, potentials, and time scales of pairs, compiled.

A sum over stars is made in a fixed order: lane l adds up stars l, l + LANES, l + 2 LANES, ..., and the lanes are added
by halves. This order does not depend on how many particles feel the force, or on how many threads share them, and the
compiler can keep it with SIMD instructions, as no lane meets another before the end.

A source at distance zero exerts no force: that is how a star does not pull itself. Two particles at one place are
refused before a run begins, and cannot meet in it, since the time step falls below its limit before.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.clusters.layout import LANES, MASS, N_SOURCE, VX, VY, VZ, Y, Z
from astropipe.nbody.compilation import kernel, parallel_kernel

# Particles are shared between threads in so many portions, whatever the number of threads.
PORTIONS = 64
# Below this number of interactions, handing work to threads costs more than it saves.
_WORTH_SHARING = 4_096
_NEVER = 2**62


def sharing() -> int:
    """Return the number of interactions from which on `forces` shares them between the threads that there are."""
    return _WORTH_SHARING if numba.get_num_threads() > 1 else _NEVER


def scratch() -> FloatArray:
    """Return the work space of `forces`, the sums over lanes of each portion, and wake the threads."""
    work = np.empty((PORTIONS, 6 * LANES))
    # Machine code that comes from numba's disk cache starts no threads for the parallel functions that it calls.
    _shared_forces(np.empty((0, N_SOURCE * LANES)), np.empty((0, 6)), 0, work, np.empty((0, 6)))
    return work


@kernel
def _add_tile(
    tile: FloatArray, x: float, y: float, z: float, vx: float, vy: float, vz: float, sums: FloatArray
) -> None:
    """Add the pull of a tile of sources on one particle, and its derivative, to the sums of the lanes."""
    for lane in range(LANES):
        dx = tile[lane] - x
        dy = tile[Y * LANES + lane] - y
        dz = tile[Z * LANES + lane] - z
        ux = tile[VX * LANES + lane] - vx
        uy = tile[VY * LANES + lane] - vy
        uz = tile[VZ * LANES + lane] - vz
        r2 = dx * dx + dy * dy + dz * dz
        r2 = r2 if r2 > 0.0 else math.inf
        inverse_r2 = 1.0 / r2
        pull = tile[MASS * LANES + lane] * inverse_r2 * math.sqrt(inverse_r2)
        alpha = 3.0 * (dx * ux + dy * uy + dz * uz) * inverse_r2
        sums[lane] += pull * dx
        sums[LANES + lane] += pull * dy
        sums[2 * LANES + lane] += pull * dz
        sums[3 * LANES + lane] += pull * (ux - alpha * dx)
        sums[4 * LANES + lane] += pull * (uy - alpha * dy)
        sums[5 * LANES + lane] += pull * (uz - alpha * dz)


@kernel
def _over_lanes(sums: FloatArray, quantity: int) -> float:
    """Return the sum over the lanes of one quantity, by halves; the lanes are used up."""
    lanes = sums[quantity * LANES : (quantity + 1) * LANES]
    # Written out: loops of constant length become SIMD instructions.
    for lane in range(LANES // 2):
        lanes[lane] += lanes[lane + LANES // 2]
    for lane in range(LANES // 4):
        lanes[lane] += lanes[lane + LANES // 4]
    for lane in range(LANES // 8):
        lanes[lane] += lanes[lane + LANES // 8]
    for lane in range(LANES // 16):
        lanes[lane] += lanes[lane + LANES // 16]
    return float(lanes[0] + lanes[1])


@kernel
def force_on(tiles: FloatArray, at: FloatArray, sums: FloatArray, out: FloatArray) -> None:
    """Write acceleration and jerk, (6,), of one particle with position and velocity `at`, (6,)."""
    for k in range(6 * LANES):
        sums[k] = 0.0
    for t in range(tiles.shape[0]):
        _add_tile(tiles[t], at[0], at[1], at[2], at[3], at[4], at[5], sums)
    for component in range(6):
        out[component] = _over_lanes(sums, component)


@parallel_kernel
def _shared_forces(tiles: FloatArray, at: FloatArray, n: int, work: FloatArray, out: FloatArray) -> None:
    portions = min(n, PORTIONS)
    for portion in numba.prange(portions):
        _forces_of(tiles, at, n * portion // portions, n * (portion + 1) // portions, work[portion], out)


@kernel
def _forces_of(tiles: FloatArray, at: FloatArray, first: int, end: int, sums: FloatArray, out: FloatArray) -> None:
    for i in range(first, end):
        force_on(tiles, at[i], sums, out[i])


@kernel
def forces(tiles: FloatArray, at: FloatArray, n: int, share_from: int, work: FloatArray, out: FloatArray) -> None:
    """Write acceleration and jerk of the first n particles; the same bits on any number of threads.

    Parameters
    ----------
    tiles : array of shape (n_tiles, N_SOURCE * LANES)
        Sources, at one time.
    at : array of shape (>= n, 6)
        Positions and velocities of the particles at this time.
    n : int
        Number of particles.
    share_from : int
        See `sharing`.
    work : array
        As `scratch` makes it.
    out : array of shape (>= n, 6)
        Output: accelerations and jerks.
    """
    if n * tiles.shape[0] * LANES >= share_from:
        _shared_forces(tiles, at, n, work, out)
    else:
        _forces_of(tiles, at, 0, n, work[0], out)


@parallel_kernel
def potentials(tiles: FloatArray, positions: FloatArray, out: FloatArray) -> None:
    """Write the potential of the sources at positions (n, 3) into `out`, (n,); a source at distance 0 is left out."""
    n = len(positions)
    portions = min(n, PORTIONS)
    for portion in numba.prange(portions):
        sums = np.empty(LANES)
        for i in range(n * portion // portions, n * (portion + 1) // portions):
            sums[:] = 0.0
            for t in range(tiles.shape[0]):
                _add_potential(tiles[t], positions[i, 0], positions[i, 1], positions[i, 2], sums)
            out[i] = _over_lanes(sums, 0)


@kernel
def _add_potential(tile: FloatArray, x: float, y: float, z: float, sums: FloatArray) -> None:
    for lane in range(LANES):
        dx = tile[lane] - x
        dy = tile[Y * LANES + lane] - y
        dz = tile[Z * LANES + lane] - z
        r2 = dx * dx + dy * dy + dz * dz
        r2 = r2 if r2 > 0.0 else math.inf
        sums[lane] -= tile[MASS * LANES + lane] / math.sqrt(r2)


@parallel_kernel
def pair_times(tiles: FloatArray, at: FloatArray, masses: FloatArray, out: FloatArray) -> None:
    """Write `pair_time` of n particles, with positions and velocities `at`, (>= n, 6), into `out`, (n,)."""
    n = masses.size
    portions = min(n, PORTIONS)
    for portion in numba.prange(portions):
        for i in range(n * portion // portions, n * (portion + 1) // portions):
            out[i] = pair_time(tiles, at[i], masses[i])


@kernel
def pair_time(tiles: FloatArray, at: FloatArray, mass: float) -> float:
    r"""Return the shortest time scale of a particle with any source, min over j of min(r/v, sqrt(r^3/(m + m_j))).

    The rule of Hut, Makino & McMillan (1995, ApJ 443, L93), for the first step, which has no history to learn from.
    """
    rates = np.zeros(LANES)
    for t in range(tiles.shape[0]):
        _fastest(tiles[t], at[0], at[1], at[2], at[3], at[4], at[5], mass, rates)
    rate2 = rates.max()
    return 1.0 / math.sqrt(rate2) if rate2 > 0.0 else math.inf


@kernel
def _fastest(
    tile: FloatArray, x: float, y: float, z: float, vx: float, vy: float, vz: float, mass: float, rates: FloatArray
) -> None:
    """Raise the squared rates of the lanes to those of a tile of sources; where there is no source there is no rate."""
    for lane in range(LANES):
        dx = tile[lane] - x
        dy = tile[Y * LANES + lane] - y
        dz = tile[Z * LANES + lane] - z
        ux = tile[VX * LANES + lane] - vx
        uy = tile[VY * LANES + lane] - vy
        uz = tile[VZ * LANES + lane] - vz
        r2 = dx * dx + dy * dy + dz * dz
        r2 = r2 if r2 > 0.0 and tile[MASS * LANES + lane] > 0.0 else math.inf
        v2 = ux * ux + uy * uy + uz * uz
        pull = (mass + tile[MASS * LANES + lane]) / math.sqrt(r2)
        rate = (v2 if v2 > pull else pull) / r2
        rates[lane] = rate if rate > rates[lane] else rates[lane]
