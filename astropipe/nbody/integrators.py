"""The time loop: from step to step to the output times, for one system and for a batch in parallel.

Steps are shared by all bodies, of fixed or variable size (`astropipe.nbody.timesteps`). The last step before an output
time is shortened to land on it exactly, and the running time is a compensated (Kahan) sum, so that neither many small
steps nor many outputs make it drift. A system knows nothing of its neighbours in a batch: the result is the same, bit
for bit, alone or in company, on one thread or on many.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.compilation import inlined_kernel, kernel, parallel_kernel
from astropipe.nbody.encounters import track_closest
from astropipe.nbody.outcomes import any_escape
from astropipe.nbody.steps import composition_step, first_evaluation, hermite_step
from astropipe.nbody.timesteps import step_size

OK = 0
ESCAPE = 1
MAX_FORCE_EVALUATIONS = 2
STEP_UNDERFLOW = 3
COLLISION = 4
STATUS_NAMES = ("ok", "escape", "max-force-evaluations", "step-underflow", "collision")

# A step that would leave less than this fraction of itself to an output time is stretched to reach it.
_STRETCH = 1.0 + 1e-6
# Fraction of the interval below which a step is given up. The compensated clock resolves 1e-32, but at this size
# two bodies in a system of size 1 are closer than the rounding of their coordinates.
_SMALLEST_STEP = 1e-24
# Looking for escapes at every step would cost about as much as the step.
_STEPS_BETWEEN_ESCAPE_CHECKS = 16


class Controls(NamedTuple):
    """What steers a run; the same for all systems of a batch.

    Attributes
    ----------
    stages : array of shape (n_stages,)
        Weights of the composition (`astropipe.nbody.steps.STAGES`); empty for Hermite.
    t_start, t_end : float
        Interval.
    mu, fixed_step : float
        Accuracy parameter of the step rule, and fixed step (0: use the rule).
    max_force_evaluations : int
        The run stops before a step that would exceed this.
    escape_factor : float
        Stop when a body escapes, with this distance factor (`astropipe.nbody.outcomes`); 0: never look.
    G : float
        Gravitational constant, for the escape test.
    save_times : array of shape (n_saved,)
        Output times, not decreasing, within the interval.
    """

    stages: FloatArray
    t_start: float
    t_end: float
    mu: float
    fixed_step: float
    max_force_evaluations: int
    escape_factor: float
    G: float
    save_times: FloatArray


@inlined_kernel
def _advance_clock(time: float, carry: float, step: float, target: float, landing: bool) -> tuple[float, float]:
    """Return the time after a step, and the part of the step that was lost to rounding, with changed sign."""
    if landing:
        return target, 0.0
    increment = step - carry
    later = time + increment
    return later, (later - time) - increment


@kernel
def evolve(
    masses: FloatArray,
    x: FloatArray,
    v: FloatArray,
    controls: Controls,
    saved_x: FloatArray,
    saved_v: FloatArray,
    summary: FloatArray,
    closest_pair: IntArray,
) -> tuple[int, int]:
    """Integrate one system in place.

    Parameters
    ----------
    masses : array of shape (N,)
        Masses.
    x, v : arrays of shape (N, 3)
        State, changed in place to that at the end of the run.
    controls : Controls
        What steers the run.
    saved_x, saved_v : arrays of shape (n_saved, N, 3)
        Output: states at the save times that were reached; the others are left alone.
    summary : array of shape (3,)
        Output: time reached, closest separation, its time.
    closest_pair : array of shape (2,)
        Output: the two bodies of the closest approach.

    Returns
    -------
    status, force_evaluations : int
        Index into `STATUS_NAMES`, and the number of evaluations of all forces.
    """
    stages, save_times, t_end = controls.stages, controls.save_times, controls.t_end
    n = masses.size
    gm = controls.G * masses
    work = np.empty((6, n, 3))
    a, jerk, x_ahead, v_ahead, a_end, jerk_end = work[0], work[1], work[2], work[3], work[4], work[5]
    pairs = np.zeros((4, n * (n - 1) // 2))
    rate2 = first_evaluation(stages, gm, x, v, a, jerk, pairs)
    closest = np.array([math.inf, controls.t_start])
    track_closest(n, pairs, controls.t_start, 0.0, closest, closest_pair)
    cost = max(1, stages.size)
    smallest_step = _SMALLEST_STEP * (t_end - controls.t_start)
    evaluations, steps, saved, status = 1, 0, 0, OK
    time, carry = controls.t_start, 0.0
    while True:
        while saved < save_times.size and save_times[saved] == time:
            saved_x[saved] = x
            saved_v[saved] = v
            saved += 1
        if time == t_end or status != OK:
            break
        target = save_times[saved] if saved < save_times.size else t_end
        remaining = (target - time) + carry
        step = step_size(rate2, controls.mu, controls.fixed_step)
        landing = step * _STRETCH >= remaining
        if landing:
            step = remaining
        if not (landing or step > smallest_step):
            status = STEP_UNDERFLOW
        elif evaluations + cost > controls.max_force_evaluations:
            status = MAX_FORCE_EVALUATIONS
        else:
            if stages.size == 0:
                rate2 = hermite_step(gm, x, v, a, jerk, x_ahead, v_ahead, a_end, jerk_end, pairs, step)
            else:
                rate2 = composition_step(stages, gm, x, v, a, x_ahead, v_ahead, pairs, step)
            evaluations += cost
            if not rate2 < math.inf:
                status = COLLISION
                continue
            time, carry = _advance_clock(time, carry, step, target, landing)
            track_closest(n, pairs, time, step, closest, closest_pair)
            steps += 1
            if controls.escape_factor > 0.0 and steps % _STEPS_BETWEEN_ESCAPE_CHECKS == 0:
                status = ESCAPE if any_escape(masses, x, v, controls.G, controls.escape_factor) else OK
    summary[0], summary[1], summary[2] = time, math.sqrt(closest[0]), closest[1]
    return status, evaluations


@parallel_kernel
def evolve_batch(
    masses: FloatArray,
    x: FloatArray,
    v: FloatArray,
    controls: Controls,
    saved_x: FloatArray,
    saved_v: FloatArray,
    summary: FloatArray,
    closest_pair: IntArray,
    status: IntArray,
    force_evaluations: IntArray,
) -> None:
    """Run `evolve` on every system of a batch: all arrays with one more axis in front, results into the last two."""
    for system in numba.prange(masses.shape[0]):
        status[system], force_evaluations[system] = evolve(
            masses[system],
            x[system],
            v[system],
            controls,
            saved_x[system],
            saved_v[system],
            summary[system],
            closest_pair[system],
        )
