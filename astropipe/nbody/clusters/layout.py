"""How particles lie in memory: in tiles of `LANES` particles, one row a quantity, for SIMD loops over lanes.

A tile is one contiguous row of an array, and lane l of quantity q is its element ``q * LANES + l``. Both factors are
constants of the compiled code: the compiler then knows that reads and writes do not overlap, and vectorises loops over
lanes without any change in the order of a sum.
"""

from __future__ import annotations

import numpy as np

from astropipe.nbody.arrays import FloatArray

LANES = 32
# Quantities of a tile of the state: position, velocity, acceleration and jerk at the time of the last step of each
# particle, and that time, in ticks.
X, Y, Z, VX, VY, VZ, AX, AY, AZ, JX, JY, JZ, TICK = range(13)
N_STATE = 13
# A tile of sources has positions and velocities at one time, and masses in the place of AX.
MASS = 6
N_SOURCE = 7
# Where lanes lie that hold no particle: far away, and without mass.
NOWHERE = 1e30


def n_tiles(n: int) -> int:
    """Return how many tiles n particles need, at least one."""
    return max(1, -(-n // LANES))


def empty_tiles(n: int, quantities: int) -> FloatArray:
    """Return tiles for n particles, all lanes at `NOWHERE` and at rest, shape (n_tiles, quantities * LANES)."""
    tiles = np.zeros((n_tiles(n), quantities * LANES))
    tiles[:, : LANES * (Z + 1)] = NOWHERE
    return tiles


def put(tiles: FloatArray, quantity: int, values: FloatArray) -> None:
    """Write one quantity of all particles, (n,), or neighbouring ones, (n, k)."""
    columns = values[:, None] if values.ndim == 1 else values
    n, k = columns.shape
    view = tiles.reshape(len(tiles), -1, LANES)
    padded = view[:, quantity : quantity + k].transpose(0, 2, 1).reshape(-1, k)
    padded[:n] = columns
    view[:, quantity : quantity + k] = padded.reshape(len(tiles), LANES, k).transpose(0, 2, 1)


def get(tiles: FloatArray, quantity: int, n: int, k: int = 3) -> FloatArray:
    """Return k neighbouring quantities of n particles, (n, k)."""
    view = tiles.reshape(len(tiles), -1, LANES)[:, quantity : quantity + k]
    return np.ascontiguousarray(view.transpose(0, 2, 1).reshape(-1, k)[:n])


def sources(masses: FloatArray, positions: FloatArray, velocities: FloatArray) -> FloatArray:
    """Return the tiles of sources with masses (n,) at positions and velocities (n, 3)."""
    tiles = empty_tiles(len(masses), N_SOURCE)
    put(tiles, X, positions)
    put(tiles, VX, velocities)
    put(tiles, MASS, masses)
    return tiles
