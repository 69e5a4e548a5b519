"""Pairs in the time loop: when two stars become one, what they are told by others, and when they part; compiled."""

from __future__ import annotations

import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters.forces import force_on, pair_time
from astropipe.nbody.clusters.layout import AX, LANES, MASS, NOWHERE
from astropipe.nbody.clusters.pairs import (
    APPROACH,
    GHOST,
    HYSTERESIS,
    QUIET,
    SINGLE,
    Pairs,
    apocentre,
    disturbance,
    follow_orbit,
    kick_step,
    members_at,
    relative_at,
    set_source,
)
from astropipe.nbody.clusters.state import (
    KICKS_GIVEN,
    NEVER,
    PAIRS_ENDED,
    PAIRS_MADE,
    STAR_FORCES,
    Frame,
    Particles,
    Work,
)
from astropipe.nbody.clusters.stepping import (
    DEEPEST,
    END,
    first_step,
    fitting_level,
    level_of,
    next_level,
    place,
    predict_one,
    predict_sources,
    step_of,
)
from astropipe.nbody.clusters.tides import add_tide
from astropipe.nbody.compilation import inlined_kernel, kernel


@kernel
def gather(tiles: FloatArray, i: int, out: FloatArray) -> None:
    """Write position and velocity of star i among the sources into `out`, (6,)."""
    for k in range(6):
        out[k] = tiles[i // LANES, k * LANES + i % LANES]


@inlined_kernel
def _mass_of(tiles: FloatArray, i: int) -> float:
    return float(tiles[i // LANES, MASS * LANES + i % LANES])


@inlined_kernel
def _set_mass(tiles: FloatArray, i: int, mass: float) -> None:
    tiles[i // LANES, MASS * LANES + i % LANES] = mass


@kernel
def source_masses(masses: FloatArray, pairs: Pairs, tiles: FloatArray) -> None:
    """Write the masses of the sources: a quiet pair has its mass at one star and none at the other."""
    for i in range(masses.size):
        _set_mass(tiles, i, masses[i])
    for pair in range(len(pairs.members)):
        first, second = pairs.members[pair]
        if first >= 0 and pairs.level[pair] < 0:
            _set_mass(tiles, first, masses[first] + masses[second])
            _set_mass(tiles, second, 0.0)


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
def look_at_pair(
    stars: Particles,
    masses: FloatArray,
    pairs: Pairs,
    star: int,
    tick: int,
    n: int,
    frame: Frame,
    work: Work,
    counts: IntArray,
) -> int:
    """End the pair of a star if it is disturbed, wake it or let it sleep; return how many stars are to be filed."""
    pair = pairs.role[star]
    first, second = pairs.members[pair]
    mass = masses[first] + masses[second]
    relative, centre = np.empty(6), np.empty(6)
    relative_at(pairs, pair, mass, tick, frame.length / END, relative)
    predict_one(stars.state, star, float(tick), 0.0, centre)
    gamma, arrival = _disturbance(masses, first, second, relative, centre, frame, work.tiles)
    quiet = pairs.level[pair] < 0
    if gamma > frame.pair_disturbance:
        _end_pair(stars, masses, pairs, pair, relative, centre, tick, frame, work)
        counts[PAIRS_ENDED] += 1
        work.active[n] = second
        return n + 1
    if quiet != (gamma < (QUIET if quiet else HYSTERESIS * QUIET)):
        _start_pair(masses, pairs, pair, relative, centre, tick, not quiet, frame, work)
    wanted = level_of(APPROACH * arrival, frame.length)
    stars.level[star] = max(stars.level[star], min(wanted, DEEPEST))
    return n


@kernel
def _disturbance(
    masses: FloatArray,
    first: int,
    second: int,
    relative: FloatArray,
    centre: FloatArray,
    frame: Frame,
    tiles: FloatArray,
) -> tuple[float, float]:
    """Return gamma of two stars that are bound, inf for others, and the time in which the nearest star could arrive."""
    mass = masses[first] + masses[second]
    far = apocentre(mass, relative)
    if not far < frame.length:
        return np.inf, 0.0
    one, other = _mass_of(tiles, first), _mass_of(tiles, second)
    _set_mass(tiles, first, 0.0)
    _set_mass(tiles, second, 0.0)
    gamma, arrival = disturbance(tiles, centre, mass, far)
    _set_mass(tiles, first, one)
    _set_mass(tiles, second, other)
    return gamma + frame.tide.radial * far**3 / mass, arrival


@kernel
def try_pair(
    stars: Particles,
    masses: FloatArray,
    pairs: Pairs,
    first: int,
    second: int,
    tick: int,
    frame: Frame,
    work: Work,
    counts: IntArray,
) -> None:
    """Make a pair of two stars at the same time, if they are bound and little disturbed."""
    mass = masses[first] + masses[second]
    share = masses[second] / mass
    one, other, relative, centre, force = np.empty(6), np.empty(6), np.empty(6), np.empty(6), np.empty(6)
    predict_one(stars.state, first, float(tick), 0.0, one)
    predict_one(stars.state, second, float(tick), 0.0, other)
    for c in range(6):
        relative[c] = other[c] - one[c]
        centre[c] = (1.0 - share) * one[c] + share * other[c]
    gamma, arrival = _disturbance(masses, first, second, relative, centre, frame, work.tiles)
    if not gamma < HYSTERESIS * frame.pair_disturbance:
        return
    for c in range(6):
        row = (AX + c) * LANES
        force[c] = (1.0 - share) * stars.state[first // LANES, row + first % LANES]
        force[c] += share * stars.state[second // LANES, row + second % LANES]
    pair = 0
    while pairs.members[pair, 0] >= 0:
        pair += 1
    pairs.role[first], pairs.role[second] = pair, GHOST
    pairs.members[pair, 0], pairs.members[pair, 1] = first, second
    _start_pair(masses, pairs, pair, relative, centre, tick, gamma < QUIET, frame, work)
    place(stars.state, first, float(tick), centre, force)
    _set_mass(work.tiles, first, 0.0)
    step = min(APPROACH * arrival, first_step(pair_time(work.tiles, centre, mass), stars.eta[first]))
    stars.level[first] = fitting_level(min(level_of(step, frame.length), DEEPEST), tick)
    # The other star is out of the loop; where it was, nothing may be predicted.
    nothing, nowhere = np.zeros(6), np.zeros(6)
    nowhere[:3] = NOWHERE
    place(stars.state, second, 0.0, nowhere, nothing)
    stars.level[second] = -1
    source_masses(masses, pairs, work.tiles)
    counts[PAIRS_MADE] += 1


@kernel
def _start_pair(
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
        _set_mass(work.tiles, second, 0.0)
        return
    pairs.level[pair] = fitting_level(min(level_of(kick_step(mass, relative), frame.length), DEEPEST), tick)
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
    _set_mass(work.tiles, first, masses[first])
    _set_mass(work.tiles, second, masses[second])


@kernel
def _end_pair(
    stars: Particles,
    masses: FloatArray,
    pairs: Pairs,
    pair: int,
    relative: FloatArray,
    centre: FloatArray,
    tick: int,
    frame: Frame,
    work: Work,
) -> None:
    """Make two stars of a pair."""
    first, second = pairs.members[pair]
    both, force = np.empty((2, 6)), np.empty(6)
    members_at(masses, first, second, relative, centre, both)
    set_source(work.tiles, first, both[0], masses[first])
    set_source(work.tiles, second, both[1], masses[second])
    for k, member in enumerate((first, second)):
        force_on(work.tiles, both[k], work.sums[0], force)
        if frame.tide.omega != 0.0:
            add_tide(frame.tide, frame.begin + tick * frame.length / END, both[k], force)
        place(stars.state, member, float(tick), both[k], force)
        step = first_step(pair_time(work.tiles, both[k], masses[member]), stars.eta[member])
        stars.level[member] = fitting_level(min(level_of(step, frame.length), DEEPEST), tick)
        pairs.role[member] = SINGLE
    pairs.members[pair] = -1


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
        wanted = min(level_of(kick_step(mass, relative), frame.length), DEEPEST)
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
