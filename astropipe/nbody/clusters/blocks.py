"""The time loop: blocks of stars, and of massless particles between them, within one macro step, compiled.

The next block is that of the particles whose steps end first. Stars are predicted to its time, the forces on its
members are summed, and they are corrected. Massless particles have blocks of their own, in which stars are predicted
and not touched: nothing that is done for them can reach a star, so that stars move alike, to the bit, with and without
them.
"""

from __future__ import annotations

import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters.accuracy import choose_eta
from astropipe.nbody.clusters.forces import forces, pair_times
from astropipe.nbody.clusters.kicks import kick_pairs, next_kick, rebase_pairs, resolve, source_masses
from astropipe.nbody.clusters.layout import LANES, TICK
from astropipe.nbody.clusters.pairing import look_at_pair, try_pair
from astropipe.nbody.clusters.pairs import SINGLE, Pairs, gather, set_source
from astropipe.nbody.clusters.state import (
    COLLISION,
    MASSLESS_BLOCKS,
    MASSLESS_FORCES,
    MASSLESS_NOW,
    NEVER,
    NOW,
    OK,
    STAR_BLOCKS,
    STAR_FORCES,
    STATUS,
    UNDERFLOW,
    Frame,
    Particles,
    Work,
)
from astropipe.nbody.clusters.stepping import (
    DEEPEST,
    END,
    correct,
    first_step,
    improve,
    level_of,
    next_level,
    place,
    predict_one,
    predict_sources,
    step_of,
)
from astropipe.nbody.clusters.tides import add_tide
from astropipe.nbody.compilation import inlined_kernel, kernel

# A block of so few stars is that of a close encounter: its forces are summed twice, before and after the first
# correction (P(EC)^2, Kokubo, Yoshinaga & Makino 1998, MNRAS 297, 1067), and every so many times, it is searched for a
# bound pair.
_FEW = 4
_BLOCKS_BETWEEN_SEARCHES = 16


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
    return NEVER


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
    shortest = np.empty(n)
    pair_times(work.tiles, work.at, masses, shortest)
    for i in range(n):
        if frame.tide.omega != 0.0:
            add_tide(frame.tide, frame.begin, work.at[i], work.force[i])
        place(particles.state, i, 0.0, work.at[i], work.force[i])
        step = first_step(shortest[i], particles.eta[i])
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
        gather(work.tiles, star, work.at[k])
        pair = pairs.role[star]
        if pair >= 0 and pairs.level[pair] >= 0:
            gather(work.tiles, pairs.members[pair, 1], work.at[rows])
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
def _star_block(
    stars: Particles, masses: FloatArray, pairs: Pairs, tick: int, n: int, frame: Frame, work: Work, counts: IntArray
) -> int:
    """End the steps of n stars; return how many there are to be filed, with those of pairs that end here."""
    tick_length = frame.length / END
    predict_sources(stars.state, float(tick), tick_length, work.tiles)
    resolve(masses, pairs, tick, tick_length, False, work.tiles)
    _forces_on_stars(masses, pairs, tick, n, frame, work)
    if n <= _FEW:
        for k in range(n):
            star = work.active[k]
            if pairs.role[star] == SINGLE:
                improve(stars.state, star, float(tick), tick_length, work.force[k], work.at[k])
                set_source(work.tiles, star, work.at[k], masses[star])
        _forces_on_stars(masses, pairs, tick, n, frame, work)
        counts[STAR_FORCES] += n
    if frame.rule.size:
        choose_eta(stars, n, frame.rule, work)
    _step(stars, tick, n, frame, work, counts)
    counts[STAR_FORCES] += n
    counts[STAR_BLOCKS] += 1
    if frame.pair_disturbance == 0.0 or counts[STATUS] != OK:
        return n
    # In an order that does not depend on that of the block, which a pause changes.
    more = n
    for pair in range(len(pairs.members)):
        star = pairs.members[pair, 0]
        if star >= 0 and stars.state[star // LANES, TICK * LANES + star % LANES] == tick:
            more = look_at_pair(stars, masses, pairs, star, tick, more, frame, work, counts)
    if n <= _FEW and counts[STAR_BLOCKS] % _BLOCKS_BETWEEN_SEARCHES == 0:
        work.active[:n].sort()
        for k in range(n):
            for q in range(k + 1, n):
                first, second = work.active[k], work.active[q]
                if pairs.role[first] == SINGLE and pairs.role[second] == SINGLE:
                    try_pair(stars, masses, pairs, first, second, tick, frame, work, counts)
    return more


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
    resolve(masses, pairs, tick, tick_length, True, work.tiles)
    _forces_at(n, tick, frame, work)
    _step(massless, tick, n, frame, work, counts)
    source_masses(masses, pairs, work.tiles)
    counts[MASSLESS_FORCES] += n
    counts[MASSLESS_BLOCKS] += 1


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
        kick_tick = next_kick(pairs)
        if min(tick, kick_tick, massless_tick) > END:
            _rebase(stars.state)
            _rebase(massless.state)
            rebase_pairs(masses, pairs, frame.length / END)
            counts[NOW] = counts[MASSLESS_NOW] = 0
            return True
        if kick_tick <= tick and kick_tick <= massless_tick:
            n = kick_pairs(stars, masses, pairs, kick_tick, frame, work, counts)
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
