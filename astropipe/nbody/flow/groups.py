"""Friends-of-friends groups, and the velocities of particles in and out of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.compilation import kernel
from astropipe.nbody.flow.pairs import BLOCK_PAIRS, pair_blocks, tree_of


@dataclass(frozen=True)
class Groups:
    """Groups of particles.

    Parameters
    ----------
    labels : array of int, shape (n,)
        Group of each particle, the largest first; -1 for those in no group that is large enough.
    sizes : array of int
        Particles of each group.
    """

    labels: IntArray
    sizes: IntArray

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which particles are in a group."""
        return np.asarray(self.labels >= 0)

    def mean_velocities(self, velocities: FloatArray) -> FloatArray:
        """Return the mean velocity of each group, shape (groups, 3)."""
        mine = self.inside
        sums = [np.bincount(self.labels[mine], velocities[mine, i], len(self.sizes)) for i in range(3)]
        return np.stack(sums, axis=-1) / self.sizes[:, None]


def friends_of_friends(
    positions: FloatArray,
    box_size: float | None,
    linking_length: float,
    min_members: int = 20,
    block_pairs: int = BLOCK_PAIRS,
) -> Groups:
    """Return the groups that chains of close pairs make (Davis et al. 1985, ApJ 292, 371).

    Parameters
    ----------
    positions : array of shape (n, 3)
        Positions; in [0, box_size) where there is a box.
    box_size : float or None
        Side of the periodic box; None for open space.
    linking_length : float
        Distance below which two particles are friends, in the unit of the positions; usually 0.2 mean separations.
    min_members : int
        Smaller groups are none.
    block_pairs : int
        Pairs held in memory at a time.
    """
    parents = np.arange(len(positions))
    for first, second in pair_blocks(tree_of(positions, box_size), linking_length, block_pairs):
        _join(parents, first, second)
    _, members, sizes = np.unique(_roots(parents), return_inverse=True, return_counts=True)
    # By size, then by the least particle, so that equal sizes have one order.
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] >= min_members]
    names = np.full(len(sizes), -1)
    names[order] = np.arange(len(order))
    return Groups(names[members], sizes[order])


@kernel
def _root(parents: IntArray, particle: int) -> int:
    while parents[particle] != particle:
        parents[particle] = parents[parents[particle]]
        particle = parents[particle]
    return particle


@kernel
def _join(parents: IntArray, first: IntArray, second: IntArray) -> None:
    for p in range(len(first)):
        a, b = _root(parents, first[p]), _root(parents, second[p])
        # To the smaller: the result does not depend on the order of the pairs.
        parents[max(a, b)] = min(a, b)


@kernel
def _roots(parents: IntArray) -> IntArray:
    roots = np.empty_like(parents)
    for p in range(len(parents)):
        roots[p] = _root(parents, p)
    return roots
