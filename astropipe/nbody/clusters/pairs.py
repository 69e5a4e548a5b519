r"""Pairs as orbits of Kepler: two stars become one particle at their barycentre and a relative orbit, compiled.

A tight binary would take almost all steps of a cluster, and each of its revolutions would cost the Hermite scheme a
little energy. Here the relative orbit is solved by Kepler's equation, whatever its eccentricity, and what all others do
to it comes in kicks: half a kick by the difference of their pulls on the two members, an orbit of two bodies for a time
h, and half a kick again (a splitting as of Wisdom & Holman 1991, AJ 102, 1528, with `KICKS` kicks in a revolution). Its
error is bounded, and proportional to the disturbance

.. math:: \gamma = \sum_j \frac{2 m_j}{m_1 + m_2} \left( \frac{a (1 + e)}{r_j} \right)^3,

the sum of all tides on the pair relative to its own force at apocentre. Above a limit of gamma the pair is two stars
again. Below `QUIET` there are no kicks, and stars feel the pair as one mass; massless particles, which may come close
to it, always feel both members. gamma is looked at after each step of the barycentre, whose steps are short against the
time in which any star could arrive.

The tides of a near star can drive the eccentricity of a pair as near to 1 as one likes. Where gamma is above the limit,
the pair then meets at a pericentre for which places in the cluster have too few digits, and steps have no end. So two
stars that fall, bound or not, to a pericentre far below their distance r, are a pair while they pass: until they are at
r again, on the same orbit with kicks, and with r in the place of a (1 + e).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters.layout import LANES, MASS, VX
from astropipe.nbody.clusters.orbit import follow_orbit, inverse_axis, separation
from astropipe.nbody.clusters.stepping import step_of
from astropipe.nbody.compilation import inlined_kernel, kernel

# Roles of a star that is no pair; the barycentre of a pair has the number of the pair.
SINGLE, GHOST = -1, -2
# Pairs are made, and fall quiet, where gamma is this much below the limit at which they end, or wake: a factor of 2 in
# the distance of the others.
HYSTERESIS = 0.125
QUIET = 1e-6
# Two stars that fall to less than `DEEP` of their distance pass on an orbit where gamma is this much below that limit.
PASSAGE = 1e-3
DEEP = 0.1
KICKS = 32
# The barycentre steps by at most this share of the time in which the nearest star could arrive.
APPROACH = 0.2


class Pairs(NamedTuple):
    """The pairs of n stars.

    Attributes
    ----------
    role : array of int, shape (n,)
        `SINGLE`; the number of the pair, of the star whose place its barycentre takes; `GHOST`, of the other.
    members : array of int, shape (n // 2, 2)
        Both stars of each pair; -1 where there is none.
    orbit : array of shape (n // 2, 6)
        Relative position and velocity, second less first, at a time, with the first half of the kick that is due.
    pull : array of shape (n // 2, 3)
        Relative acceleration by all others at that time.
    tick : array of shape (n // 2,)
        That time.
    level : array of int, shape (n // 2,)
        Level of the time between kicks; -1 for pairs that are quiet.
    reach : array of shape (n // 2,)
        Separation beyond which a passage ends; inf for pairs that are no passage.
    """

    role: IntArray
    members: IntArray
    orbit: FloatArray
    pull: FloatArray
    tick: FloatArray
    level: IntArray
    reach: FloatArray


def no_pairs(n: int) -> Pairs:
    """Return the record of n stars without pairs."""
    most = max(1, n // 2)
    return Pairs(
        np.full(n, SINGLE, dtype=np.int64),
        np.full((most, 2), -1, dtype=np.int64),
        np.zeros((most, 6)),
        np.zeros((most, 3)),
        np.zeros(most),
        np.full(most, -1, dtype=np.int64),
        np.full(most, np.inf),
    )


@kernel
def relative_at(pairs: Pairs, pair: int, mass: float, tick: int, tick_length: float, out: FloatArray) -> None:
    """Write relative position and velocity, (6,), of a pair at a time, with as much of its kick as belongs to it."""
    time = (tick - pairs.tick[pair]) * tick_length
    follow_orbit(mass, pairs.orbit[pair], time, out)
    if pairs.level[pair] >= 0:
        half = 0.5 * step_of(pairs.level[pair]) * tick_length
        for k in range(3):
            out[3 + k] += (time - half) * pairs.pull[pair, k]


@kernel
def plunge(mass: float, orbit: FloatArray) -> float:
    """Return the separation of two stars that are about to pass at less than `DEEP` of it, as on a parabola, or inf."""
    r = separation(orbit)
    along = orbit[0] * orbit[3] + orbit[1] * orbit[4] + orbit[2] * orbit[5]
    spin2 = r * r * (orbit[3] ** 2 + orbit[4] ** 2 + orbit[5] ** 2) - along * along
    return r if along < 0.0 and spin2 < 2.0 * mass * DEEP * r else math.inf


@kernel
def kick_step(mass: float, orbit: FloatArray, reach: float) -> float:
    """Return the time between kicks on a relative orbit, (6,); on a passage that of an orbit with apocentre `reach`."""
    inverse_a = max(inverse_axis(mass, orbit), 2.0 / reach)
    return 2.0 * math.pi / math.sqrt(mass * inverse_a**3) / KICKS


@kernel
def tides(tiles: FloatArray, at: FloatArray, mass: float) -> tuple[float, float]:
    """Return gamma of a pair over the cube of its size, and the shortest time r / v in which a star could arrive at it.

    Parameters
    ----------
    tiles : array
        Stars; those at distance 0, as the pair itself, and those without mass are passed over.
    at : array of shape (6,)
        Position and velocity of the barycentre.
    mass : float
        Mass of the pair.
    """
    total, rate2 = 0.0, 0.0
    for t in range(tiles.shape[0]):
        tile = tiles[t]
        for lane in range(LANES):
            r2 = v2 = 0.0
            for k in range(3):
                r2 += (tile[k * LANES + lane] - at[k]) ** 2
                v2 += (tile[(VX + k) * LANES + lane] - at[3 + k]) ** 2
            source = tile[MASS * LANES + lane]
            if r2 > 0.0 and source > 0.0:
                total += source / (r2 * math.sqrt(r2))
                rate2 = max(rate2, v2 / r2)
    return 2.0 * total / mass, 1.0 / math.sqrt(rate2) if rate2 > 0.0 else math.inf


@kernel
def gather(tiles: FloatArray, i: int, out: FloatArray) -> None:
    """Write position and velocity of star i among the sources into `out`, (6,)."""
    for k in range(6):
        out[k] = tiles[i // LANES, k * LANES + i % LANES]


@inlined_kernel
def mass_of(tiles: FloatArray, i: int) -> float:
    """Return the mass of star i among the sources."""
    return float(tiles[i // LANES, MASS * LANES + i % LANES])


@inlined_kernel
def set_mass(tiles: FloatArray, i: int, mass: float) -> None:
    """Give star i among the sources a mass."""
    tiles[i // LANES, MASS * LANES + i % LANES] = mass


@kernel
def set_source(tiles: FloatArray, i: int, at: FloatArray, mass: float) -> None:
    """Put star i with a mass among the sources, at position and velocity (6,)."""
    tile, lane = tiles[i // LANES], i % LANES
    for k in range(6):
        tile[k * LANES + lane] = at[k]
    tile[MASS * LANES + lane] = mass


@kernel
def members_at(
    masses: FloatArray, first: int, second: int, relative: FloatArray, centre: FloatArray, out: FloatArray
) -> None:
    """Write positions and velocities of both members, (2, 6), from relative ones and those of the barycentre."""
    share = masses[second] / (masses[first] + masses[second])
    for k in range(6):
        out[0, k] = centre[k] - share * relative[k]
        out[1, k] = centre[k] + (1.0 - share) * relative[k]
