r"""The Hermite integrator of AMUSE, alone and as it is: what the published policies were trained on.

Fourth order, shared variable step, barycentric coordinates, predict - evaluate - correct once (Hut, Makino & McMillan
1995, ApJ 443, L93; Makino & Aarseth 1992, PASJ 44, 141), with the step

.. math:: \Delta t = \mu \min_{i<j} \min\left( \frac{r_{ij}}{v_{ij}}, \sqrt{\frac{r_{ij}^3}{G (m_i + m_j)}} \right).

AMUSE evaluates the forces anew when it is asked to evolve, and once more before it returns, so an interval costs its
steps and two evaluations. Its default lets an interval end within half a step of the time asked for; here it ends
exactly there, which AMUSE calls an ``end_time_accuracy_factor`` of 0.

This module is the yardstick of the published baseline and stays as it is; for other work there is
`astropipe.nbody.integrate`.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.compilation import inlined_kernel, kernel, parallel_kernel

# Evaluations of an interval beside those of its steps: at its start, and before AMUSE returns.
EVALUATIONS_PER_INTERVAL = 2
# A step below this fraction of the interval does not move the clock any more.
_SMALLEST_STEP = 1e-14
# A wrong step can bind two bodies as tightly as it likes; to follow such a pair would take for ever.
MOST_EVALUATIONS = 10_000_000


@kernel
def energy(gm: FloatArray, x: FloatArray, v: FloatArray) -> float:
    """Return G times the total energy of bodies with parameters gm [N] at x, v [N, 3]."""
    total = 0.0
    for i in range(gm.size):
        total += 0.5 * gm[i] * (v[i, 0] * v[i, 0] + v[i, 1] * v[i, 1] + v[i, 2] * v[i, 2])
        for j in range(i + 1, gm.size):
            dx, dy, dz = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
            total -= gm[i] * gm[j] / math.sqrt(dx * dx + dy * dy + dz * dz)
    return total


@inlined_kernel
def _forces(gm: FloatArray, x: FloatArray, v: FloatArray, a: FloatArray, jerk: FloatArray) -> float:
    """Write accelerations and jerks; return the largest squared rate of all pairs (the step is mu / sqrt of it)."""
    for i in range(gm.size):
        for k in range(3):
            a[i, k] = jerk[i, k] = 0.0
    rate2 = 0.0
    for i in range(gm.size):
        for j in range(i + 1, gm.size):
            dx, dy, dz = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
            dvx, dvy, dvz = v[j, 0] - v[i, 0], v[j, 1] - v[i, 1], v[j, 2] - v[i, 2]
            inverse_r2 = 1.0 / (dx * dx + dy * dy + dz * dz)
            inverse_r3 = inverse_r2 * math.sqrt(inverse_r2)
            v2 = dvx * dvx + dvy * dvy + dvz * dvz
            rate2 = max(rate2, v2 * inverse_r2, (gm[i] + gm[j]) * inverse_r3)
            swing = 3.0 * (dx * dvx + dy * dvy + dz * dvz) * inverse_r2
            pull_i, pull_j = gm[j] * inverse_r3, gm[i] * inverse_r3
            a[i, 0] += pull_i * dx
            a[i, 1] += pull_i * dy
            a[i, 2] += pull_i * dz
            a[j, 0] -= pull_j * dx
            a[j, 1] -= pull_j * dy
            a[j, 2] -= pull_j * dz
            dvx, dvy, dvz = dvx - swing * dx, dvy - swing * dy, dvz - swing * dz
            jerk[i, 0] += pull_i * dvx
            jerk[i, 1] += pull_i * dvy
            jerk[i, 2] += pull_i * dvz
            jerk[j, 0] -= pull_j * dvx
            jerk[j, 1] -= pull_j * dvy
            jerk[j, 2] -= pull_j * dvz
    return rate2


@inlined_kernel
def _step(gm: FloatArray, x: FloatArray, v: FloatArray, work: FloatArray, dt: float) -> float:
    """Advance x, v and the forces work[0:2] by dt; return the squared rate at the predicted state, as AMUSE does."""
    a, jerk, x_ahead, v_ahead, a_end, jerk_end = work[0], work[1], work[2], work[3], work[4], work[5]
    half, third, twelfth = 0.5 * dt, dt / 3.0, dt * dt / 12.0
    for i in range(gm.size):
        for k in range(3):
            x_ahead[i, k] = x[i, k] + dt * (v[i, k] + half * (a[i, k] + third * jerk[i, k]))
            v_ahead[i, k] = v[i, k] + dt * (a[i, k] + half * jerk[i, k])
    rate2: float = _forces(gm, x_ahead, v_ahead, a_end, jerk_end)
    for i in range(gm.size):
        for k in range(3):
            v_end = v[i, k] + half * (a[i, k] + a_end[i, k]) + twelfth * (jerk[i, k] - jerk_end[i, k])
            x[i, k] += half * (v[i, k] + v_end) + twelfth * (a[i, k] - a_end[i, k])
            v[i, k] = v_end
            a[i, k] = a_end[i, k]
            jerk[i, k] = jerk_end[i, k]
    return rate2


@kernel
def advance(gm: FloatArray, x: FloatArray, v: FloatArray, interval: float, mu: float) -> int:
    """Advance one system in place by an interval, with mu held.

    Parameters
    ----------
    gm : array of shape (N,)
        Gravitational parameters G m, positive.
    x, v : arrays of shape (N, 3)
        Barycentric state, changed to that at the end of the interval.
    interval : float
        Length of the interval.
    mu : float
        Accuracy parameter of the step.

    Returns
    -------
    int
        Force evaluations, `EVALUATIONS_PER_INTERVAL` included (one uninterrupted run needs one less). Negative if two
        bodies came so close that no further step was possible, or after `MOST_EVALUATIONS`: then the state is the one
        reached.
    """
    work = np.empty((6, gm.size, 3))
    rate2: float = _forces(gm, x, v, work[0], work[1])
    t, evaluations = 0.0, EVALUATIONS_PER_INTERVAL
    while t < interval:
        dt = mu / math.sqrt(rate2)
        if not dt > _SMALLEST_STEP * interval or evaluations >= MOST_EVALUATIONS:
            return -evaluations
        # The last step takes what is left, so that rounding of the clock cannot add a sliver.
        dt, t = (interval - t, interval) if t + dt >= interval else (dt, t + dt)
        rate2 = _step(gm, x, v, work, dt)
        evaluations += 1
    return evaluations


@parallel_kernel
def advance_batch(
    gm: FloatArray, x: FloatArray, v: FloatArray, interval: float, mu: FloatArray, evaluations: IntArray
) -> None:
    """Advance systems gm [n, N], x, v [n, N, 3] with parameters mu [n]; write what `advance` returns for each, [n]."""
    for s in numba.prange(gm.shape[0]):
        evaluations[s] = advance(gm[s], x[s], v[s], interval, mu[s])
