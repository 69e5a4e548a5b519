"""Pairs in the time loop: when two stars become one, and when they part; compiled."""

from __future__ import annotations

import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters.forces import force_on, pair_time
from astropipe.nbody.clusters.kicks import source_masses, start_pair
from astropipe.nbody.clusters.layout import AX, LANES, NOWHERE
from astropipe.nbody.clusters.orbit import apocentre, separation
from astropipe.nbody.clusters.pairs import (
    APPROACH,
    GHOST,
    HYSTERESIS,
    PASSAGE,
    QUIET,
    SINGLE,
    Pairs,
    mass_of,
    members_at,
    plunge,
    relative_at,
    set_mass,
    set_source,
    tides,
)
from astropipe.nbody.clusters.state import PAIRS_ENDED, PAIRS_MADE, Frame, Particles, Work
from astropipe.nbody.clusters.stepping import DEEPEST, END, first_step, fitting_level, level_of, place, predict_one
from astropipe.nbody.clusters.tides import add_tide
from astropipe.nbody.compilation import kernel


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
    """End the pair of a star if it is disturbed or passed, wake it or let it sleep; return how many are to be filed."""
    pair = pairs.role[star]
    first, second = pairs.members[pair]
    mass = masses[first] + masses[second]
    relative, centre = np.empty(6), np.empty(6)
    relative_at(pairs, pair, mass, tick, frame.length / END, relative)
    predict_one(stars.state, star, float(tick), 0.0, centre)
    far = apocentre(mass, relative)
    tide, arrival = _tides(masses, first, second, centre, frame, work.tiles)
    if far < frame.length and tide * far**3 < HYSTERESIS * frame.pair_disturbance:
        pairs.reach[pair] = np.inf
    reach, quiet = pairs.reach[pair], pairs.level[pair] < 0
    size, passage = min(far, reach), reach < np.inf
    gamma = tide * size**3 if size < frame.length else np.inf
    if gamma > frame.pair_disturbance or separation(relative) > reach:
        _end_pair(stars, masses, pairs, pair, relative, centre, tick, frame, work)
        counts[PAIRS_ENDED] += 1
        work.active[n] = second
        return n + 1
    if not passage and quiet != (gamma < (QUIET if quiet else HYSTERESIS * QUIET)):
        start_pair(masses, pairs, pair, relative, centre, tick, not quiet, frame, work)
    wanted = min(level_of(APPROACH * arrival, frame.length), DEEPEST)
    stars.level[star] = max(stars.level[star], wanted, pairs.level[pair] if passage else 0)
    return n


@kernel
def _tides(
    masses: FloatArray, first: int, second: int, centre: FloatArray, frame: Frame, tiles: FloatArray
) -> tuple[float, float]:
    """Return gamma of two stars over the cube of their size, and the time in which the nearest star could arrive."""
    mass = masses[first] + masses[second]
    one, other = mass_of(tiles, first), mass_of(tiles, second)
    set_mass(tiles, first, 0.0)
    set_mass(tiles, second, 0.0)
    tide, arrival = tides(tiles, centre, mass)
    set_mass(tiles, first, one)
    set_mass(tiles, second, other)
    return tide + frame.tide.radial / mass, arrival


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
    """Make a pair of two stars at the same time, if they are bound and little disturbed, or fall into each other."""
    mass = masses[first] + masses[second]
    share = masses[second] / mass
    one, other, relative, centre, force = np.empty(6), np.empty(6), np.empty(6), np.empty(6), np.empty(6)
    predict_one(stars.state, first, float(tick), 0.0, one)
    predict_one(stars.state, second, float(tick), 0.0, other)
    for c in range(6):
        relative[c] = other[c] - one[c]
        centre[c] = (1.0 - share) * one[c] + share * other[c]
    size, reach = apocentre(mass, relative), np.inf
    tide, arrival = _tides(masses, first, second, centre, frame, work.tiles)
    if not (size < frame.length and tide * size**3 < HYSTERESIS * frame.pair_disturbance):
        size = reach = plunge(mass, relative)
        if not (size < frame.length and tide * size**3 < PASSAGE * frame.pair_disturbance):
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
    pairs.reach[pair] = reach
    quiet = tide * size**3 < QUIET and reach == np.inf
    start_pair(masses, pairs, pair, relative, centre, tick, quiet, frame, work)
    place(stars.state, first, float(tick), centre, force)
    set_mass(work.tiles, first, 0.0)
    step = min(APPROACH * arrival, first_step(pair_time(work.tiles, centre, mass), stars.eta[first]))
    stars.level[first] = fitting_level(min(level_of(step, frame.length), DEEPEST), tick)
    if reach < np.inf:
        stars.level[first] = max(stars.level[first], pairs.level[pair])
    # The other star is out of the loop; where it was, nothing may be predicted.
    nothing, nowhere = np.zeros(6), np.zeros(6)
    nowhere[:3] = NOWHERE
    place(stars.state, second, 0.0, nowhere, nothing)
    stars.level[second] = -1
    source_masses(masses, pairs, work.tiles)
    counts[PAIRS_MADE] += 1


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
