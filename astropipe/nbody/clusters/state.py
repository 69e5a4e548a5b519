"""What the time loop of clusters works on: particles, the frame of a macro step, scratch, and counters."""

from __future__ import annotations

from typing import NamedTuple

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters.tides import Tide

# What is counted: forces on particles and blocks of both kinds, kicks on pairs, pairs made and ended; where the loop
# stands.
STAR_FORCES, MASSLESS_FORCES, STAR_BLOCKS, MASSLESS_BLOCKS, KICKS_GIVEN, PAIRS_MADE, PAIRS_ENDED = range(7)
STATUS, NOW, MASSLESS_NOW = range(7, 10)
N_COUNTS = 10
# Later than any time.
NEVER = 2**62
STATUS_NAMES = ("ok", "step-underflow", "collision")
OK, UNDERFLOW, COLLISION = range(3)


class Particles(NamedTuple):
    """Stars, or massless particles.

    Attributes
    ----------
    state : array of shape (n_tiles, N_STATE * LANES)
        See `astropipe.nbody.clusters.layout`.
    level : array of int, shape (n,)
        Level of the present step; -1 for a star that is part of a pair.
    eta : array of shape (n,)
        Accuracy parameter of each, for its next step.
    steps : array of int, shape (n,)
        Steps that each has made.
    """

    state: FloatArray
    level: IntArray
    eta: FloatArray
    steps: IntArray


class Frame(NamedTuple):
    """What is the same for all particles in one macro step.

    Attributes
    ----------
    begin, length : float
        Its start and length in time.
    tide : Tide
        The field around the cluster.
    pair_disturbance : float
        Limit of gamma for pairs (`astropipe.nbody.clusters.pairs`); 0 for no pairs.
    rule : array of shape (4,) or (0,)
        By which eta of stars is chosen (`astropipe.nbody.clusters.accuracy`); empty where it is fixed.
    """

    begin: float
    length: float
    tide: Tide
    pair_disturbance: float
    rule: FloatArray


class Work(NamedTuple):
    """Scratch of the time loop.

    Attributes
    ----------
    tiles : array
        Sources at the time of the block; their masses are those of the stars, and of pairs where there are.
    at, force : arrays of shape (n, 6)
        Places of the members of the block, and the forces on them.
    active : array of int, shape (n,)
        The members.
    share_from : int
    sums : array
        See `astropipe.nbody.clusters.forces.forces`.
    """

    tiles: FloatArray
    at: FloatArray
    force: FloatArray
    active: IntArray
    share_from: int
    sums: FloatArray
