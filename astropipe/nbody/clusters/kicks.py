"""Pairs among other stars: what these feel of them, and the kicks that they give; compiled."""

from __future__ import annotations

import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters.forces import force_on
from astropipe.nbody.clusters.orbit import follow_orbit
from astropipe.nbody.clusters.pairs import Pairs, gather, kick_step, members_at, set_mass, set_source
from astropipe.nbody.clusters.state import KICKS_GIVEN, NEVER, STAR_FORCES, Frame, Particles, Work
from astropipe.nbody.clusters.stepping import (
    DEEPEST,
    END,
    fitting_level,
    level_of,
    next_level,
    predict_one,
    predict_sources,
    step_of,
)
from astropipe.nbody.clusters.tides import add_tide
from astropipe.nbody.compilation import kernel


@kernel
def source_masses(masses: FloatArray, pairs: Pairs, tiles: FloatArray) -> None:
    """Write the masses of the sources: a quiet pair has its mass at one star and none at the other."""
    for i in range(masses.size):
        set_mass(tiles, i, masses[i])
    for pair in range(len(pairs.members)):
        first, second = pairs.members[pair]
        if first >= 0 and pairs.level[pair] < 0:
            set_mass(tiles, first, masses[first] + masses[second])
            set_mass(tiles, second, 0.0)


@kernel
def resolve(
    masses: FloatArray, pairs: Pairs, tick: int, tick_length: float, quiet_too: bool, tiles: FloatArray
) -> None:
    """Put the members of pairs among the sources in the place of their barycentres."""
    relative, centre, both = np.empty(6), np.empty(6), np.empty((2, 6))
    for pair in range(len(pairs.members)):
        first, second = pairs.members[pair]
        if first >= 0 and (quiet_too or pairs.level[pair] >= 0):
            time = (tick - pairs.tick[pair]) * tick_length
            follow_orbit(masses[first] + masses[second], pairs.orbit[pair], time, relative)
            gather(tiles, first, centre)
            members_at(masses, first, second, relative, centre, both)
            set_source(tiles, first, both[0], masses[first])
            set_source(tiles, second, both[1], masses[second])


@kernel
def start_pair(
    masses: FloatArray,
    pairs: Pairs,
    pair: int,
    relative: FloatArray,
    centre: FloatArray,
    tick: int,
    quiet: bool,
    frame: Frame,
    work: Work,
) -> None:
    """Let a pair go on from a relative state at a time, with kicks or without."""
    first, second = pairs.members[pair]
    mass = masses[first] + masses[second]
    pairs.orbit[pair] = relative
    pairs.pull[pair] = 0.0
    pairs.tick[pair] = tick
    pairs.level[pair] = -1
    if quiet:
        set_source(work.tiles, first, centre, mass)
        set_mass(work.tiles, second, 0.0)
        return
    pairs.level[pair] = fitting_level(
        min(level_of(kick_step(mass, relative, pairs.reach[pair]), frame.length), DEEPEST), tick
    )
    _pull(masses, pairs, pair, relative, centre, tick, frame, work)
    half = 0.5 * step_of(pairs.level[pair]) * frame.length / END
    for c in range(3):
        pairs.orbit[pair, 3 + c] += half * pairs.pull[pair, c]


@kernel
def _pull(
    masses: FloatArray,
    pairs: Pairs,
    pair: int,
    relative: FloatArray,
    centre: FloatArray,
    tick: int,
    frame: Frame,
    work: Work,
) -> None:
    """Write the relative acceleration of a pair by all others, and put its members among the sources."""
    first, second = pairs.members[pair]
    both, force = np.empty((2, 6)), np.empty((2, 6))
    members_at(masses, first, second, relative, centre, both)
    set_source(work.tiles, first, both[0], 0.0)
    set_source(work.tiles, second, both[1], 0.0)
    for k in range(2):
        force_on(work.tiles, both[k], work.sums[0], force[k])
        if frame.tide.omega != 0.0:
            add_tide(frame.tide, frame.begin + tick * frame.length / END, both[k], force[k])
    for c in range(3):
        pairs.pull[pair, c] = force[1, c] - force[0, c]
    set_mass(work.tiles, first, masses[first])
    set_mass(work.tiles, second, masses[second])


@kernel
def next_kick(pairs: Pairs) -> int:
    """Return when the next kick on a pair is due."""
    tick = NEVER
    for pair in range(len(pairs.members)):
        if pairs.members[pair, 0] >= 0 and pairs.level[pair] >= 0:
            tick = min(tick, int(pairs.tick[pair]) + step_of(pairs.level[pair]))
    return tick


@kernel
def kick_pairs(
    stars: Particles, masses: FloatArray, pairs: Pairs, tick: int, frame: Frame, work: Work, counts: IntArray
) -> int:
    """Kick the pairs that are due, with the second half of this kick and the first of the next; return how many."""
    tick_length = frame.length / END
    predict_sources(stars.state, float(tick), tick_length, work.tiles)
    resolve(masses, pairs, tick, tick_length, False, work.tiles)
    relative, centre = np.empty(6), np.empty(6)
    kicked = 0
    for pair in range(len(pairs.members)):
        first, second = pairs.members[pair]
        if first < 0 or pairs.level[pair] < 0 or int(pairs.tick[pair]) + step_of(pairs.level[pair]) != tick:
            continue
        mass = masses[first] + masses[second]
        follow_orbit(mass, pairs.orbit[pair], (tick - pairs.tick[pair]) * tick_length, relative)
        predict_one(stars.state, first, float(tick), tick_length, centre)
        _pull(masses, pairs, pair, relative, centre, tick, frame, work)
        before = pairs.level[pair]
        wanted = min(level_of(kick_step(mass, relative, pairs.reach[pair]), frame.length), DEEPEST)
        pairs.level[pair] = next_level(before, wanted, tick)
        kick = 0.5 * (step_of(before) + step_of(pairs.level[pair])) * tick_length
        for c in range(3):
            relative[3 + c] += kick * pairs.pull[pair, c]
        pairs.orbit[pair] = relative
        pairs.tick[pair] = tick
        kicked += 1
    counts[STAR_FORCES] += 2 * kicked
    counts[KICKS_GIVEN] += kicked
    return 2 * kicked


@kernel
def rebase_pairs(masses: FloatArray, pairs: Pairs, tick_length: float) -> None:
    """Set the time of all pairs from the end of a macro step to the start of the next."""
    relative = np.empty(6)
    for pair in range(len(pairs.members)):
        first, second = pairs.members[pair]
        if first >= 0:
            time = (END - pairs.tick[pair]) * tick_length
            if time > 0.0:
                follow_orbit(masses[first] + masses[second], pairs.orbit[pair], time, relative)
                pairs.orbit[pair] = relative
            pairs.tick[pair] = 0.0
