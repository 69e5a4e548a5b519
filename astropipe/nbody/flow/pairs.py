"""Pairs of particles within a distance, by KD-tree, in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astropipe.nbody.arrays import FloatArray, IntArray

UintArray: TypeAlias = NDArray[np.uint64]

BLOCK_PAIRS = 6_000_000


def tree_of(positions: FloatArray, box_size: float | None) -> cKDTree:
    """Return the KD-tree of particles, periodic where there is a box."""
    return cKDTree(positions, boxsize=box_size)


def pair_blocks(tree: cKDTree, distance: float, block_pairs: int = BLOCK_PAIRS) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield all pairs closer than a distance, each once, in blocks.

    Parameters
    ----------
    tree : cKDTree
        The particles.
    distance : float
        Largest distance; in a periodic box at most half its side.
    block_pairs : int
        About how many pairs a block holds, each pair and its mirror counted; a block has one particle at least.

    Yields
    ------
    first, second : arrays of int
        The particles of each pair, first < second.
    """
    if tree.count_neighbors(tree, distance) <= block_pairs:
        found = tree.query_pairs(distance, output_type="ndarray")
        yield found[:, 0], found[:, 1]
        return
    # Particles that the tree keeps together have neighbours together.
    order = tree.indices
    points = np.asarray(tree.data)[order]
    neighbours = np.cumsum(tree.query_ball_point(points, distance, return_length=True))
    start = 0
    while start < len(order):
        done = neighbours[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(neighbours, done + block_pairs, side="right")))
        block = cKDTree(points[start:stop], boxsize=tree.boxsize)
        found = block.sparse_distance_matrix(tree, distance, output_type="ndarray")
        first, second = order[start:stop][found["i"]], found["j"]
        once = first < second
        yield first[once], second[once]
        start = stop


def hashes(ids: IntArray, seed: int) -> UintArray:
    """Return 64 random bits for each id, by which particles are chosen: they follow from seed and id and nothing else.

    That of splitmix64 (Steele, Lea & Flood 2014): whoever has an id has its bits, in any order and any subset.
    """
    with np.errstate(over="ignore"):
        return _scrambled(ids.astype(np.uint64) + _scrambled(np.array([seed], dtype=np.uint64)))


def _scrambled(x: UintArray) -> UintArray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
