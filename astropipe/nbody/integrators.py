"""The time loop: from step to step to the end, for one system and for a batch in parallel, with pauses.

Steps are shared by all bodies (`astropipe.nbody.timesteps`). The last step is shortened to land on the end exactly, and
the running time is a compensated (Kahan) sum. States at save times are interpolated within steps, so that saving
changes no step. A system knows nothing of its neighbours in a batch: the result is the same, bit for bit, alone or in
company, on one thread or on many.

All that a system carries from one step to the next is in the arrays of `State`. A run may pause after any step, be
written to disk, and go on with the same bits.

Where a tolerance is set, a *guard* looks at the energy every few steps: when it has jumped by more than a share of the
tolerance, the steps since the last look are redone at half their size, up to four times over. A run that still
ends above its tolerance starts again with smaller steps. All work that was thrown away is counted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.chains import chain_is_good, find_chain, from_chain, rebuild, to_chain
from astropipe.nbody.compilation import inlined_kernel, kernel, parallel_kernel
from astropipe.nbody.encounters import track_encounters
from astropipe.nbody.forces import N_GEOMETRY, energies, evaluate, survey_pairs
from astropipe.nbody.outcomes import any_escape
from astropipe.nbody.steps import FIRST_CORRECTIONS, composition_step, hermite_step, interpolate_state, logh_step
from astropipe.nbody.timesteps import (
    FIXED,
    LEARNED,
    N_FEATURES,
    N_HIDDEN,
    SHARED,
    STEPS_BETWEEN_DECISIONS,
    decide,
    features,
    step_size,
)

STATUS_NAMES = (
    "ok",
    "escape",
    "max-force-evaluations",
    "step-underflow",
    "collision",
    "tolerance-not-met",
    "running",
)
OK, ESCAPE, MAX_FORCE_EVALUATIONS, STEP_UNDERFLOW, COLLISION, TOLERANCE_NOT_MET, RUNNING = range(len(STATUS_NAMES))

# A step that would leave less than this fraction of itself to the end is stretched to reach it.
_STRETCH = 1.0 + 1e-6
# Fraction of the interval below which a step is given up.
_SMALLEST_STEP = 1e-24
# Looking for escapes at every step would cost about as much as the step.
_STEPS_BETWEEN_ESCAPE_CHECKS = 16
# A time-transformed step lands on the end to this fraction of the step.
_LANDING = 1e-14
_MOST_REDOS = 4
# Safety factor on the steps of a repetition.
_AGAIN = 0.9
_MOST_LANDINGS = 30
_EPSILON = 2.0**-52
# Energies are known to some units of rounding: jumps below this share of them are no fault of the step.
_ROUNDING = 64.0 * _EPSILON

# Rows of State.vectors: state, derivatives, scratch for a step, state and derivatives at the last look of the guard,
# and the initial state.
_X, _V, _D, _X_AHEAD, _V_AHEAD, _D_AHEAD = 0, 1, 2, 9, 10, 11
_X_START, _V_START, _D_START, _KEPT, _INITIAL, N_ROWS = 15, 16, 17, 19, 28, 30
_N_STATE = 9
# Columns of State.clock. The first ones are the results.
TIME, CLOSEST2, CLOSEST_TIME, KINETIC, POTENTIAL, KINETIC_0, POTENTIAL_0 = range(7)
(
    _CARRY,
    _RATE2,
    _BINDING,
    _FACTOR,
    _CAUTION,
    _LARGEST,
    _KEPT_TIME,
    _KEPT_CARRY,
    _KEPT_RATE2,
    _KEPT_BINDING,
    _KEPT_ENERGY,
    _KEPT_POTENTIAL,
    N_CLOCK,
) = range(7, 20)
# Columns of State.count; the first ones are results.
EVALUATIONS, STATUS, CLOSEST_I, CLOSEST_J, REDONE, RESTARTS, N_EVENTS = range(7)
_STEPS, _SAVED, _TRIES, _KEPT_EVALUATIONS, _KEPT_SAVED, _KEPT_EVENTS, N_COUNT = range(7, 14)


class Controls(NamedTuple):
    """What steers a run; the same for all systems of a batch.

    Attributes
    ----------
    highest : int
        Derivatives that a Hermite scheme evaluates (`astropipe.nbody.steps.DERIVATIVES`); 0 for a composition.
    stages : array of shape (n_stages,)
        Weights of the composition (`astropipe.nbody.steps.STAGES`); empty for Hermite.
    transformed : bool
        Whether the composition runs in the time of the logarithmic Hamiltonian.
    rule : int
        Index into `astropipe.nbody.timesteps.RULES`.
    mu, fixed_step : float
        Accuracy parameter of the step rule, and fixed step.
    weights : array of shape (N_WEIGHTS,)
        The learned policy; empty for other rules.
    tolerance : float
        Relative energy error asked for; 0 for none.
    guard : float
        Share of the tolerance by which the energy may jump between two looks; 0 for no guard.
    max_restarts : int
        How often a run that missed its tolerance starts again.
    t_start, t_end : float
        Interval.
    max_force_evaluations : int
        The run stops before a step that would exceed this.
    escape_factor : float
        Stop when a body escapes, with this distance factor (`astropipe.nbody.outcomes`); 0: never look.
    encounter_distance : float
        Minima of separations below this are written down.
    save_times : array of shape (n_saved,)
        Output times, not decreasing, within the interval.
    """

    highest: int
    stages: FloatArray
    transformed: bool
    rule: int
    mu: float
    fixed_step: float
    weights: FloatArray
    tolerance: float
    guard: float
    max_restarts: int
    t_start: float
    t_end: float
    max_force_evaluations: int
    escape_factor: float
    encounter_distance: float
    save_times: FloatArray


class State(NamedTuple):
    """Everything that a batch of runs carries from step to step.

    Attributes
    ----------
    gm : array of shape (n, N)
        Gravitational parameters in chain order.
    chain : array of int, shape (n, 2, N)
        Bodies in the order of the chain, now and at the start.
    centre : array of shape (n, 2, 3)
        Position and velocity of the barycentre at the start.
    vectors : array of shape (n, N_ROWS, N - 1, 3)
        Chain vectors, their derivatives, and copies to which the loop goes back.
    pairs : array of shape (n, N_PAIR_ROWS, N (N - 1) / 2)
        What every pair does (`astropipe.nbody.forces`).
    clock : array of shape (n, N_CLOCK)
        Times, energies, the closest approach, and what steers the step.
    counts : array of int, shape (n, N_COUNT)
        Evaluations, status, closest pair, steps, redone evaluations, restarts.
    events : array of shape (n, max_events, 4)
        Encounters: time, two bodies, separation.
    saved_x, saved_v : arrays of shape (n, n_saved, N, 3)
        States at the save times that were reached; NaN for the others.
    """

    gm: FloatArray
    chain: IntArray
    centre: FloatArray
    vectors: FloatArray
    pairs: FloatArray
    clock: FloatArray
    counts: IntArray
    events: FloatArray
    saved_x: FloatArray
    saved_v: FloatArray


@kernel
def prepare(
    gm_bodies: FloatArray,
    x: FloatArray,
    v: FloatArray,
    gm: FloatArray,
    chain: IntArray,
    centre: FloatArray,
    vectors: FloatArray,
    clock: FloatArray,
    count: IntArray,
) -> None:
    """Express the initial state of one system, bodies (N, 3), in chain coordinates; nothing is evaluated yet."""
    mass = gm_bodies.sum()
    find_chain(x, chain[0])
    chain[1] = chain[0]
    for k in range(gm.size):
        gm[k] = gm_bodies[chain[0, k]]
        for c in range(3):
            centre[0, c] += gm[k] * x[chain[0, k], c] / mass
            centre[1, c] += gm[k] * v[chain[0, k], c] / mass
    to_chain(x, chain[0], vectors[_INITIAL])
    to_chain(v, chain[0], vectors[_INITIAL + 1])
    vectors[_X] = vectors[_INITIAL]
    vectors[_V] = vectors[_INITIAL + 1]
    count[STATUS] = RUNNING
    clock[_LARGEST] = 1.0


@inlined_kernel
def _advance_clock(time: float, carry: float, step: float, target: float, landing: bool) -> tuple[float, float]:
    """Return the time after a step, and the part of the step that was lost to rounding, with changed sign."""
    if landing:
        return target, 0.0
    increment = step - carry
    later = time + increment
    return later, (later - time) - increment


@kernel
def energy_scale(kinetic: float, potential: float) -> float:
    """Return what energy errors are relative to: the energy, or the potential where the energy is next to nothing."""
    energy = abs(kinetic - potential)
    return energy if energy > 1e-12 * potential else (potential if potential > 0.0 else 1.0)


@kernel
def _begin(
    controls: Controls,
    gm: FloatArray,
    chain: IntArray,
    vectors: FloatArray,
    pairs: FloatArray,
    clock: FloatArray,
    count: IntArray,
    body: FloatArray,
    geometry: FloatArray,
) -> None:
    """Evaluate forces at the start of a run, or of its repetition, and set the clock."""
    vectors[_D : _D + 7] = 0.0
    highest = controls.highest if controls.highest > 0 else 1
    clock[_RATE2], clock[_BINDING] = evaluate(
        highest, gm, vectors[_X], vectors[_V], vectors[_D : _D + 7], body, geometry, pairs
    )
    clock[KINETIC_0], clock[POTENTIAL_0] = energies(gm, vectors[_X], vectors[_V])
    pairs[3:5] = pairs[0:2]
    clock[TIME], clock[_CARRY] = controls.t_start, 0.0
    clock[CLOSEST2], clock[CLOSEST_TIME] = math.inf, controls.t_start
    # Closest pair so far; a start is no encounter.
    closest, pair = clock[CLOSEST2 : CLOSEST_TIME + 1], count[CLOSEST_I:REDONE]
    count[N_EVENTS] = track_encounters(chain, pairs, controls.t_start, 0.0, 0.0, closest, pair, np.empty((0, 4)), 0)
    clock[_FACTOR], clock[_CAUTION] = 1.0, clock[_LARGEST]
    count[EVALUATIONS] += 1
    count[_SAVED] = count[_TRIES] = 0
    # No step to go back to yet: the first look of the guard keeps this state.
    clock[_KEPT_TIME] = math.nan


@kernel
def _begin_again(
    controls: Controls,
    excess: float,
    gm: FloatArray,
    chain: IntArray,
    vectors: FloatArray,
    clock: FloatArray,
    count: IntArray,
) -> None:
    """Go back to the initial state for a repetition with smaller steps, by how much the error was too large."""
    # Compositions of order 2, 4 and 6 have 1, 3 and 7 stages.
    order = 2.0 * controls.highest if controls.highest > 0 else 2.0 * math.log2(controls.stages.size + 1.0)
    clock[_LARGEST] *= _AGAIN * min(max(math.pow(excess, -1.0 / order), 0.2), 1.0)
    by_body = np.empty(gm.size)
    for k in range(gm.size):
        by_body[chain[0, k]] = gm[k]
    chain[0] = chain[1]
    for k in range(gm.size):
        gm[k] = by_body[chain[0, k]]
    vectors[_X] = vectors[_INITIAL]
    vectors[_V] = vectors[_INITIAL + 1]
    count[RESTARTS] += 1
    count[REDONE] = count[EVALUATIONS]


@inlined_kernel
def _copy(vectors: FloatArray, source: int, target: int) -> None:
    """Copy a state with its derivatives, row by row: slices of whole arrays cost more than this little data."""
    for row in range(_N_STATE):
        for i in range(vectors.shape[1]):
            for k in range(3):
                vectors[target + row, i, k] = vectors[source + row, i, k]


@kernel
def _look(
    controls: Controls,
    scale: float,
    gm: FloatArray,
    vectors: FloatArray,
    pairs: FloatArray,
    clock: FloatArray,
    count: IntArray,
    seen: FloatArray,
    hidden: FloatArray,
) -> bool:
    """Look at the energy: go back to the last look and return True, or keep this state and choose the next steps."""
    kinetic, potential = energies(gm, vectors[_X], vectors[_V])
    energy = kinetic - potential
    if controls.guard > 0.0 and not math.isnan(clock[_KEPT_TIME]):
        jump = abs(energy - clock[_KEPT_ENERGY])
        limit = max(controls.guard * controls.tolerance * scale, _ROUNDING * max(potential, clock[_KEPT_POTENTIAL]))
        if not jump <= limit and count[_TRIES] < _MOST_REDOS:
            _copy(vectors, _KEPT, _X)
            clock[TIME], clock[_CARRY] = clock[_KEPT_TIME], clock[_KEPT_CARRY]
            clock[_RATE2], clock[_BINDING] = survey_pairs(gm, vectors[_X], vectors[_V], pairs)
            pairs[3:5] = pairs[0:2]
            clock[_CAUTION] *= 0.5
            count[_TRIES] += 1
            count[REDONE] += count[EVALUATIONS] - count[_KEPT_EVALUATIONS]
            count[_KEPT_EVALUATIONS] = count[EVALUATIONS]
            count[_SAVED], count[N_EVENTS] = count[_KEPT_SAVED], count[_KEPT_EVENTS]
            return True
    clock[_CAUTION] = min(2.0 * clock[_CAUTION], clock[_LARGEST])
    _keep(energy, potential, vectors, clock, count)
    if controls.rule == LEARNED:
        mass = gm.sum()
        dynamical_rate = math.sqrt(2.0 * scale / mass) * 2.0 * scale / (mass * mass)
        error = abs(energy - (clock[KINETIC_0] - clock[POTENTIAL_0])) / scale
        left = controls.t_end - clock[TIME]
        features(gm, pairs, scale, dynamical_rate, left, controls.tolerance, error, seen)
        clock[_FACTOR] = decide(controls.weights, seen, hidden)
    return False


@kernel
def _keep(energy: float, potential: float, vectors: FloatArray, clock: FloatArray, count: IntArray) -> None:
    """Keep the present state as the one to go back to."""
    _copy(vectors, _X, _KEPT)
    clock[_KEPT_TIME], clock[_KEPT_CARRY], clock[_KEPT_ENERGY] = clock[TIME], clock[_CARRY], energy
    clock[_KEPT_POTENTIAL] = potential
    count[_TRIES] = 0
    count[_KEPT_EVALUATIONS], count[_KEPT_SAVED] = count[EVALUATIONS], count[_SAVED]
    count[_KEPT_EVENTS] = count[N_EVENTS]


@kernel
def _beyond_precision(largest: float, gm: FloatArray, chain: IntArray, clock: FloatArray, count: IntArray) -> bool:
    """Return whether the closest approach was so close that rounding alone changes the energy by more than `largest`.

    Of such runs, one in twenty holds its tolerance when it is repeated with smaller steps; of the others, nearly all.
    """
    product = 1.0
    for k in range(gm.size):
        if chain[0, k] == count[CLOSEST_I] or chain[0, k] == count[CLOSEST_J]:
            product *= gm[k]
    return _EPSILON * product > largest * math.sqrt(clock[CLOSEST2])


@kernel
def _finish(
    controls: Controls,
    status: int,
    scale: float,
    gm: FloatArray,
    chain: IntArray,
    vectors: FloatArray,
    clock: FloatArray,
    count: IntArray,
) -> bool:
    """End a run with its status, or return True where it has to start again because it missed its tolerance."""
    clock[KINETIC], clock[POTENTIAL] = energies(gm, vectors[_X], vectors[_V])
    error = abs((clock[KINETIC] - clock[KINETIC_0]) - (clock[POTENTIAL] - clock[POTENTIAL_0])) / scale
    if controls.tolerance > 0.0 and status in (OK, ESCAPE) and not error <= controls.tolerance:
        allowed = controls.tolerance * scale
        if count[RESTARTS] < controls.max_restarts and not _beyond_precision(allowed, gm, chain, clock, count):
            _begin_again(controls, error / controls.tolerance, gm, chain, vectors, clock, count)
            return True
        status = TOLERANCE_NOT_MET
    count[STATUS] = status
    return False


@kernel
def _save(
    row: int,
    time: float,
    controls: Controls,
    gm: FloatArray,
    chain: IntArray,
    centre: FloatArray,
    x: FloatArray,
    v: FloatArray,
    saved_x: FloatArray,
    saved_v: FloatArray,
) -> None:
    """Write the state of the bodies into one row of the saved states."""
    place = centre[0] + (time - controls.t_start) * centre[1]
    from_chain(gm, x, chain, place, saved_x[row])
    from_chain(gm, v, chain, centre[1], saved_v[row])


@kernel
def evolve(
    controls: Controls,
    budget: int,
    gm: FloatArray,
    chain: IntArray,
    centre: FloatArray,
    vectors: FloatArray,
    pairs: FloatArray,
    clock: FloatArray,
    count: IntArray,
    events: FloatArray,
    saved_x: FloatArray,
    saved_v: FloatArray,
) -> None:
    """Integrate one system until it ends, or until it has made `budget` evaluations in this call.

    Parameters
    ----------
    controls : Controls
        What steers the run.
    budget : int
        The run pauses after so many evaluations, at the end of a step.
    gm, chain, centre, vectors, pairs, clock, count, events, saved_x, saved_v : arrays
        One system of a `State`, changed in place.
    """
    highest, stages, transformed, rule = controls.highest, controls.stages, controls.transformed, controls.rule
    save_times, t_end = controls.save_times, controls.t_end
    n = gm.size
    cost = max(1, stages.size)
    body, geometry = np.empty((4, n, 3)), np.empty((n * (n - 1) // 2, N_GEOMETRY))
    seen, hidden = np.empty(N_FEATURES), np.empty((2, N_HIDDEN))
    x, v, d = vectors[_X], vectors[_V], vectors[_D : _D + 7]
    x_ahead, v_ahead, d_ahead = vectors[_X_AHEAD], vectors[_V_AHEAD], vectors[_D_AHEAD : _D_AHEAD + 4]
    order = chain[0]
    closest, closest_pair = clock[CLOSEST2 : CLOSEST_TIME + 1], count[CLOSEST_I:REDONE]
    smallest_step = _SMALLEST_STEP * (t_end - controls.t_start)
    pause = count[EVALUATIONS] + budget
    if count[EVALUATIONS] == 0:
        _begin(controls, gm, order, vectors, pairs, clock, count, body, geometry)
    scale = energy_scale(clock[KINETIC_0], clock[POTENTIAL_0])
    binding_energy = clock[POTENTIAL_0] - clock[KINETIC_0]
    mass = gm.sum()
    while count[STATUS] == RUNNING and count[EVALUATIONS] < pause:
        time = clock[TIME]
        while count[_SAVED] < save_times.size and save_times[count[_SAVED]] == time:
            _save(count[_SAVED], time, controls, gm, order, centre, x, v, saved_x, saved_v)
            count[_SAVED] += 1
        good = chain_is_good(n, x, pairs)
        if rule != FIXED and (count[_STEPS] % STEPS_BETWEEN_DECISIONS == 0 or time == t_end or not good):
            if _look(controls, scale, gm, vectors, pairs, clock, count, seen, hidden):
                count[_STEPS] = STEPS_BETWEEN_DECISIONS * (count[_STEPS] // STEPS_BETWEEN_DECISIONS) + 1
                continue
            if not good and rebuild(_N_STATE, gm, vectors, order):
                survey_pairs(gm, x, v, pairs)
                pairs[3:5] = pairs[0:2]
                _keep(clock[_KEPT_ENERGY], clock[_KEPT_POTENTIAL], vectors, clock, count)
        if time == t_end:
            if _finish(controls, OK, scale, gm, chain, vectors, clock, count):
                _begin(controls, gm, order, vectors, pairs, clock, count, body, geometry)
            continue
        remaining = (t_end - time) + clock[_CARRY]
        mu = controls.mu * clock[_FACTOR] * clock[_CAUTION]
        step = step_size(rule, mu, controls.fixed_step, clock[_RATE2], clock[_BINDING], scale)
        landing = step * _STRETCH >= remaining
        if landing:
            step = remaining
        if not (landing or step > smallest_step):
            _finish(controls, STEP_UNDERFLOW, scale, gm, chain, vectors, clock, count)
            continue
        if count[EVALUATIONS] + cost > controls.max_force_evaluations:
            _finish(controls, MAX_FORCE_EVALUATIONS, scale, gm, chain, vectors, clock, count)
            continue
        saving = count[_SAVED] < save_times.size
        if saving:
            vectors[_X_START], vectors[_V_START] = x, v
            vectors[_D_START : _D_START + 2] = d[:2]
        if highest > 0:
            corrections = FIRST_CORRECTIONS if highest > 2 and time == controls.t_start else 1
            rate2, binding = hermite_step(
                highest, corrections, gm, x, v, d, x_ahead, v_ahead, d_ahead, body, geometry, pairs, step
            )
            count[EVALUATIONS] += corrections
        elif not transformed:
            rate2, binding = composition_step(stages, gm, x, v, d, x_ahead, v_ahead, body, geometry, pairs, step)
            count[EVALUATIONS] += cost
        else:
            rate2, binding, step, landing = _transformed_step(
                controls, scale, mass, binding_energy, remaining, step, mu,
                gm, x, v, d, x_ahead, v_ahead, body, geometry, pairs, count,
            )  # fmt: skip
        if not rate2 < math.inf:
            _finish(controls, COLLISION, scale, gm, chain, vectors, clock, count)
            continue
        clock[_RATE2], clock[_BINDING] = rate2, binding
        clock[TIME], clock[_CARRY] = _advance_clock(time, clock[_CARRY], step, t_end, landing)
        count[N_EVENTS] = track_encounters(
            order, pairs, clock[TIME], step, controls.encounter_distance, closest, closest_pair, events, count[N_EVENTS]
        )
        count[_STEPS] += 1
        if transformed and saving and save_times[count[_SAVED]] < clock[TIME]:
            # This scheme has no use for accelerations at the ends of a step; interpolation has.
            start = vectors[_D_START : _D_START + 2]
            evaluate(1, gm, vectors[_X_START], vectors[_V_START], start, body, geometry, pairs)
            evaluate(1, gm, x, v, d, body, geometry, pairs)
            count[EVALUATIONS] += 2
        while saving and save_times[count[_SAVED]] < clock[TIME]:
            at = save_times[count[_SAVED]] - time
            interpolate_state(
                highest > 0, step, at, vectors[_X_START], vectors[_V_START], vectors[_D_START : _D_START + 2],
                x, v, d[:2], x_ahead, v_ahead,
            )  # fmt: skip
            row = count[_SAVED]
            _save(row, save_times[row], controls, gm, order, centre, x_ahead, v_ahead, saved_x, saved_v)
            count[_SAVED] += 1
            saving = count[_SAVED] < save_times.size
        if controls.escape_factor > 0.0 and count[_STEPS] % _STEPS_BETWEEN_ESCAPE_CHECKS == 0:
            from_chain(gm, x, np.arange(n), np.zeros(3), body[0])
            from_chain(gm, v, np.arange(n), np.zeros(3), body[1])
            escaped = any_escape(gm, body[0], body[1], 1.0, controls.escape_factor)
            if escaped and _finish(controls, ESCAPE, scale, gm, chain, vectors, clock, count):
                _begin(controls, gm, order, vectors, pairs, clock, count, body, geometry)


@inlined_kernel
def _transformed_step(
    controls: Controls,
    scale: float,
    mass: float,
    binding_energy: float,
    remaining: float,
    step: float,
    mu: float,
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    d: FloatArray,
    x_ahead: FloatArray,
    v_ahead: FloatArray,
    body: FloatArray,
    geometry: FloatArray,
    pairs: FloatArray,
    count: IntArray,
) -> tuple[float, float, float, bool]:
    """Advance in the time of the logarithmic Hamiltonian; a step that would pass the end is shortened to land on it.

    A fixed or shared step is constant in that time, so that the scheme stays symplectic: its mean over a bound orbit is
    the fixed step, or mu times the time scale of the system. Other rules give a physical step that is translated.
    """
    _, potential = energies(gm, x, v)
    if controls.rule == FIXED:
        length = 2.0 * scale * controls.fixed_step
    elif controls.rule == SHARED:
        length = mu * mass * mass * math.sqrt(mass / (2.0 * scale))
    else:
        length = step * potential
    landing = False
    rate2, binding, elapsed = math.inf, 0.0, 0.0
    for attempt in range(_MOST_LANDINGS):
        if attempt > 0:
            for i in range(gm.size - 1):
                for k in range(3):
                    x[i, k], v[i, k] = x_ahead[i, k], v_ahead[i, k]
        rate2, binding, elapsed = logh_step(
            controls.stages, binding_energy, gm, x, v, d, x_ahead, v_ahead, body, geometry, pairs, length
        )
        count[EVALUATIONS] += controls.stages.size
        late = elapsed - remaining
        if not rate2 < math.inf or (late < 0.0 and not landing) or abs(late) <= _LANDING * remaining:
            break
        landing = True
        # Newton: at the end of the step, time runs at the rate 1 / U.
        _, potential = energies(gm, x, v)
        length -= late * potential
    if landing or elapsed >= remaining:
        return rate2, binding, remaining, True
    return rate2, binding, elapsed, False


@parallel_kernel
def evolve_batch(
    controls: Controls,
    budget: int,
    gm: FloatArray,
    chain: IntArray,
    centre: FloatArray,
    vectors: FloatArray,
    pairs: FloatArray,
    clock: FloatArray,
    count: IntArray,
    events: FloatArray,
    saved_x: FloatArray,
    saved_v: FloatArray,
) -> None:
    """Run `evolve` on every system of a batch: all arrays with one more axis in front."""
    for s in numba.prange(gm.shape[0]):
        evolve(
            controls, budget, gm[s], chain[s], centre[s], vectors[s], pairs[s], clock[s], count[s],
            events[s], saved_x[s], saved_v[s],
        )  # fmt: skip


@kernel
def prepare_batch(
    gm_bodies: FloatArray,
    x: FloatArray,
    v: FloatArray,
    gm: FloatArray,
    chain: IntArray,
    centre: FloatArray,
    vectors: FloatArray,
    clock: FloatArray,
    count: IntArray,
) -> None:
    """Run `prepare` on every system of a batch."""
    for s in range(gm.shape[0]):
        prepare(gm_bodies[s], x[s], v[s], gm[s], chain[s], centre[s], vectors[s], clock[s], count[s])


@kernel
def final_states(
    controls: Controls,
    gm: FloatArray,
    chain: IntArray,
    centre: FloatArray,
    vectors: FloatArray,
    clock: FloatArray,
    x: FloatArray,
    v: FloatArray,
) -> None:
    """Write positions and velocities of the bodies of a batch, (n, N, 3), at the time that each run has reached."""
    for s in range(gm.shape[0]):
        place = centre[s, 0] + (clock[s, TIME] - controls.t_start) * centre[s, 1]
        from_chain(gm[s], vectors[s, _X], chain[s, 0], place, x[s])
        from_chain(gm[s], vectors[s, _V], chain[s, 0], centre[s, 1], v[s])
