"""The time loop: blocks of stars, and of massless particles between them, within one macro step, compiled.

The next block is that of the particles whose steps end first. Stars are predicted to its time, the forces on its
members are summed, and they are corrected. Massless particles have blocks of their own, in which stars are predicted
and not touched: nothing that is done for them can reach a star, so that stars move alike, to the bit, with and without
them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters.forces import force_on, forces, pair_time
from astropipe.nbody.clusters.layout import AX, LANES, MASS, NOWHERE, TICK
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
from astropipe.nbody.clusters.stepping import (
    DEEPEST,
    END,
    correct,
    first_step,
    fitting_level,
    improve,
    level_of,
    next_level,
    place,
    predict_one,
    predict_sources,
    step_of,
)
from astropipe.nbody.clusters.tides import Tide, add_tide
from astropipe.nbody.compilation import inlined_kernel, kernel

# What is counted: forces on particles and blocks of both kinds, kicks on pairs, pairs made and ended; where the loop
# stands.
STAR_FORCES, MASSLESS_FORCES, STAR_BLOCKS, MASSLESS_BLOCKS, KICKS_GIVEN, PAIRS_MADE, PAIRS_ENDED = range(7)
STATUS, NOW, MASSLESS_NOW = range(7, 10)
N_COUNTS = 10
STATUS_NAMES = ("ok", "step-underflow", "collision")
OK, UNDERFLOW, COLLISION = range(3)

# A block of so few stars is that of a close encounter: its forces are summed twice, before and after the first
# correction (P(EC)^2, Kokubo, Yoshinaga & Makino 1998, MNRAS 297, 1067), and every so many times, it is searched for a
# bound pair.
_FEW = 4
_BLOCKS_BETWEEN_SEARCHES = 16
_NEVER = 2**62


class Particles(NamedTuple):
    """Stars, or massless particles.

    Attributes
    ----------
    state : array of shape (n_tiles, N_STATE * LANES)
        See `astropipe.nbody.clusters.layout`.
    level : array of int, shape (n,)
        Level of the present step; -1 for a star that is part of a pair.
    eta : array of shape (n,)
        Accuracy parameter of each.
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
    most_disturbed : float
        Limit of gamma for pairs (`astropipe.nbody.clusters.pairs`); 0 for no pairs.
    """

    begin: float
    length: float
    tide: Tide
    most_disturbed: float


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


@kernel
def _file_all(level: IntArray, heads: IntArray, following: IntArray) -> None:
    """Make a linked list of the particles of each level."""
    heads[:] = -1
    for i in range(level.size):
        _file(i, level[i], heads, following)


@inlined_kernel
def _file(i: int, level: int, heads: IntArray, following: IntArray) -> None:
    if level >= 0:
        following[i] = heads[level]
        heads[level] = i


@kernel
def _next_tick(heads: IntArray, now: int) -> int:
    """Return when the next block ends: the steps of the finest level that is occupied end first."""
    for level in range(DEEPEST, -1, -1):
        if heads[level] >= 0:
            step = step_of(level)
            return int((now // step + 1) * step)
    return _NEVER


@kernel
def _take_block(tick: int, heads: IntArray, following: IntArray, active: IntArray) -> int:
    """Take out of their lists the particles whose step ends at a tick; return how many there are."""
    n = 0
    for level in range(DEEPEST, -1, -1):
        if tick % step_of(level) != 0:
            break
        i = heads[level]
        while i >= 0:
            active[n] = i
            n += 1
            i = following[i]
        heads[level] = -1
    return n


@kernel
def begin(particles: Particles, masses: FloatArray, frame: Frame, work: Work) -> None:
    """Give particles at tick 0 their first forces and steps; `masses` are zero for massless ones.

    Parameters
    ----------
    particles : Particles
        Positions and velocities are there; the rest is written.
    masses : array of shape (n,)
        Masses.
    frame : Frame
        The macro step to come.
    work : Work
        With the stars as sources.
    """
    n = masses.size
    for i in range(n):
        predict_one(particles.state, i, 0.0, 0.0, work.at[i])
    forces(work.tiles, work.at, n, work.share_from, work.sums, work.force)
    for i in range(n):
        if frame.tide.omega != 0.0:
            add_tide(frame.tide, frame.begin, work.at[i], work.force[i])
        place(particles.state, i, 0.0, work.at[i], work.force[i])
        step = first_step(pair_time(work.tiles, work.at[i], masses[i]), particles.eta[i])
        particles.level[i] = min(level_of(step, frame.length), DEEPEST)


@kernel
def _step(particles: Particles, tick: int, n: int, frame: Frame, work: Work, counts: IntArray) -> None:
    """End the steps of the first n active particles with the forces in `work`, and choose their next ones."""
    tick_length = frame.length / END
    for k in range(n):
        i = work.active[k]
        wanted = correct(particles.state, i, float(tick), tick_length, work.force[k], particles.eta[i])
        if not wanted > 0.0:
            counts[STATUS] = COLLISION
            return
        level = next_level(particles.level[i], level_of(wanted, frame.length), tick)
        if level > DEEPEST:
            counts[STATUS] = UNDERFLOW
            return
        particles.level[i] = level
        particles.steps[i] += 1


@kernel
def _forces_at(n: int, tick: int, frame: Frame, work: Work) -> None:
    """Write the forces on the first n places of `work`."""
    forces(work.tiles, work.at, n, work.share_from, work.sums, work.force)
    if frame.tide.omega != 0.0:
        for k in range(n):
            add_tide(frame.tide, frame.begin + tick * frame.length / END, work.at[k], work.force[k])


@kernel
def _forces_on_stars(masses: FloatArray, pairs: Pairs, tick: int, n: int, frame: Frame, work: Work) -> None:
    """Write the forces on n active stars; that on a barycentre is the mean over its members, as far as kicks go."""
    rows = n
    for k in range(n):
        star = work.active[k]
        _gather(work.tiles, star, work.at[k])
        pair = pairs.role[star]
        if pair >= 0 and pairs.level[pair] >= 0:
            _gather(work.tiles, pairs.members[pair, 1], work.at[rows])
            rows += 1
    _forces_at(rows, tick, frame, work)
    rows = n
    for k in range(n):
        pair = pairs.role[work.active[k]]
        if pair >= 0 and pairs.level[pair] >= 0:
            first, second = pairs.members[pair]
            share = masses[second] / (masses[first] + masses[second])
            for c in range(6):
                work.force[k, c] = (1.0 - share) * work.force[k, c] + share * work.force[rows, c]
            rows += 1


@kernel
def _gather(tiles: FloatArray, i: int, out: FloatArray) -> None:
    for k in range(6):
        out[k] = tiles[i // LANES, k * LANES + i % LANES]


@kernel
def _star_block(
    stars: Particles, masses: FloatArray, pairs: Pairs, tick: int, n: int, frame: Frame, work: Work, counts: IntArray
) -> int:
    """End the steps of n stars; return how many there are to be filed, with those of pairs that end here."""
    tick_length = frame.length / END
    predict_sources(stars.state, float(tick), tick_length, work.tiles)
    _resolve(masses, pairs, tick, tick_length, False, work.tiles)
    _forces_on_stars(masses, pairs, tick, n, frame, work)
    if n <= _FEW:
        for k in range(n):
            star = work.active[k]
            if pairs.role[star] == SINGLE:
                improve(stars.state, star, float(tick), tick_length, work.force[k], work.at[k])
                set_source(work.tiles, star, work.at[k], masses[star])
        _forces_on_stars(masses, pairs, tick, n, frame, work)
        counts[STAR_FORCES] += n
    _step(stars, tick, n, frame, work, counts)
    counts[STAR_FORCES] += n
    counts[STAR_BLOCKS] += 1
    if frame.most_disturbed == 0.0 or counts[STATUS] != OK:
        return n
    # In an order that does not depend on that of the block, which a pause changes.
    more = n
    for pair in range(len(pairs.members)):
        star = pairs.members[pair, 0]
        if star >= 0 and stars.state[star // LANES, TICK * LANES + star % LANES] == tick:
            more = _look_at_pair(stars, masses, pairs, star, tick, more, frame, work, counts)
    if n <= _FEW and counts[STAR_BLOCKS] % _BLOCKS_BETWEEN_SEARCHES == 0:
        work.active[:n].sort()
        for k in range(n):
            for q in range(k + 1, n):
                first, second = work.active[k], work.active[q]
                if pairs.role[first] == SINGLE and pairs.role[second] == SINGLE:
                    _try_pair(stars, masses, pairs, first, second, tick, frame, work, counts)
    return more


@kernel
def _look_at_pair(
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
    if gamma > frame.most_disturbed:
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


@inlined_kernel
def _mass_of(tiles: FloatArray, i: int) -> float:
    return float(tiles[i // LANES, MASS * LANES + i % LANES])


@inlined_kernel
def _set_mass(tiles: FloatArray, i: int, mass: float) -> None:
    tiles[i // LANES, MASS * LANES + i % LANES] = mass


@kernel
def _try_pair(
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
    if not gamma < HYSTERESIS * frame.most_disturbed:
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
def _next_kick(pairs: Pairs) -> int:
    """Return when the next kick on a pair is due."""
    tick = _NEVER
    for pair in range(len(pairs.members)):
        if pairs.members[pair, 0] >= 0 and pairs.level[pair] >= 0:
            tick = min(tick, int(pairs.tick[pair]) + step_of(pairs.level[pair]))
    return tick


@kernel
def _kick(
    stars: Particles, masses: FloatArray, pairs: Pairs, tick: int, frame: Frame, work: Work, counts: IntArray
) -> int:
    """Kick the pairs that are due, with the second half of this kick and the first of the next; return how many."""
    tick_length = frame.length / END
    predict_sources(stars.state, float(tick), tick_length, work.tiles)
    _resolve(masses, pairs, tick, tick_length, False, work.tiles)
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
def _massless_block(
    stars: Particles,
    masses: FloatArray,
    massless: Particles,
    pairs: Pairs,
    tick: int,
    n: int,
    frame: Frame,
    work: Work,
    counts: IntArray,
) -> None:
    """End the steps of n massless particles; stars are looked at only, and pairs felt as both their members."""
    tick_length = frame.length / END
    predict_sources(stars.state, float(tick), tick_length, work.tiles)
    for k in range(n):
        predict_one(massless.state, work.active[k], float(tick), tick_length, work.at[k])
    _resolve(masses, pairs, tick, tick_length, True, work.tiles)
    _forces_at(n, tick, frame, work)
    _step(massless, tick, n, frame, work, counts)
    source_masses(masses, pairs, work.tiles)
    counts[MASSLESS_FORCES] += n
    counts[MASSLESS_BLOCKS] += 1


@kernel
def _resolve(
    masses: FloatArray, pairs: Pairs, tick: int, tick_length: float, quiet_too: bool, tiles: FloatArray
) -> None:
    """Put the members of pairs among the sources in the place of their barycentres."""
    relative, centre, both = np.empty(6), np.empty(6), np.empty((2, 6))
    for pair in range(len(pairs.members)):
        first, second = pairs.members[pair]
        if first >= 0 and (quiet_too or pairs.level[pair] >= 0):
            time = (tick - pairs.tick[pair]) * tick_length
            follow_orbit(masses[first] + masses[second], pairs.orbit[pair], time, relative)
            _gather(tiles, first, centre)
            members_at(masses, first, second, relative, centre, both)
            set_source(tiles, first, both[0], masses[first])
            set_source(tiles, second, both[1], masses[second])


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
def advance(
    stars: Particles,
    masses: FloatArray,
    massless: Particles,
    pairs: Pairs,
    frame: Frame,
    budget: int,
    work: Work,
    counts: IntArray,
) -> bool:
    """Go on until the end of the macro step, or until about so many interactions were summed; return whether it ended.

    At the end all particles stand at the start of the next macro step. Nothing but these arguments carries over from
    call to call, so that a run may pause anywhere.

    Parameters
    ----------
    stars : Particles
        With masses (n,) > 0.
    masses : array of shape (n,)
        Masses.
    massless : Particles
        May be none.
    pairs : Pairs
        Of the stars.
    frame : Frame
        The macro step.
    budget : int
        Interactions.
    work : Work
        Scratch.
    counts : array of int, shape (N_COUNTS,)
        Counters, status and present time.
    """
    heads, massless_heads = np.empty(DEEPEST + 1, np.int64), np.empty(DEEPEST + 1, np.int64)
    following, massless_following = np.empty(masses.size, np.int64), np.empty(massless.level.size, np.int64)
    _file_all(stars.level, heads, following)
    _file_all(massless.level, massless_heads, massless_following)
    source_masses(masses, pairs, work.tiles)
    spent = 0
    while spent < budget:
        tick, massless_tick = _next_tick(heads, counts[NOW]), _next_tick(massless_heads, counts[MASSLESS_NOW])
        kick_tick = _next_kick(pairs)
        if min(tick, kick_tick, massless_tick) > END:
            _rebase(stars.state)
            _rebase(massless.state)
            _rebase_pairs(masses, pairs, frame.length / END)
            counts[NOW] = counts[MASSLESS_NOW] = 0
            return True
        if kick_tick <= tick and kick_tick <= massless_tick:
            n = _kick(stars, masses, pairs, kick_tick, frame, work, counts)
        elif tick <= massless_tick:
            n = _take_block(tick, heads, following, work.active)
            more = _star_block(stars, masses, pairs, tick, n, frame, work, counts)
            for k in range(more):
                _file(work.active[k], stars.level[work.active[k]], heads, following)
            counts[NOW] = tick
        else:
            n = _take_block(massless_tick, massless_heads, massless_following, work.active)
            _massless_block(stars, masses, massless, pairs, massless_tick, n, frame, work, counts)
            for k in range(n):
                _file(work.active[k], massless.level[work.active[k]], massless_heads, massless_following)
            counts[MASSLESS_NOW] = massless_tick
        if counts[STATUS] != OK:
            return True
        spent += n * masses.size
    return False


@kernel
def _rebase(state: FloatArray) -> None:
    """Set the time of all particles from the end of a macro step to the start of the next."""
    for t in range(state.shape[0]):
        for lane in range(LANES):
            state[t, TICK * LANES + lane] = 0.0


@kernel
def _rebase_pairs(masses: FloatArray, pairs: Pairs, tick_length: float) -> None:
    """Set the time of all pairs back too; those that are quiet have not moved before."""
    relative = np.empty(6)
    for pair in range(len(pairs.members)):
        first, second = pairs.members[pair]
        if first >= 0:
            time = (END - pairs.tick[pair]) * tick_length
            if time > 0.0:
                follow_orbit(masses[first] + masses[second], pairs.orbit[pair], time, relative)
                pairs.orbit[pair] = relative
            pairs.tick[pair] = 0.0
