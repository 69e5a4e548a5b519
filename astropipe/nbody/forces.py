r"""Newtonian forces by direct summation over pairs, as compiled loops.

All kernels take gravitational parameters :math:`\mu_i = G m_i` instead of masses, visit the pairs in the fixed order
(0,1), (0,2), ..., (1,2), ..., and write into arrays given by the caller. Two massless bodies do not interact: their
pair is passed over, so that test particles may even meet.

Beside the force, the integrators need three things of every pair, found in the same pass: the squared separation,
the product r . v (whose sign says whether the pair approaches), and the rate of the AMUSE step rule
(`astropipe.nbody.timesteps`).
"""

from __future__ import annotations

import math

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import inlined_kernel


@inlined_kernel
def acceleration(gm: FloatArray, x: FloatArray, a: FloatArray) -> None:
    r"""Write the accelerations :math:`a_i = \sum_j G m_j r_{ij} / r_{ij}^3` into `a`.

    Parameters
    ----------
    gm : array of shape (N,)
        Gravitational parameters G m.
    x : array of shape (N, 3)
        Positions.
    a : array of shape (N, 3)
        Output: accelerations.
    """
    n = gm.size
    for i in range(n):
        a[i, 0] = a[i, 1] = a[i, 2] = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            if gm[i] + gm[j] == 0.0:
                continue
            dx = x[j, 0] - x[i, 0]
            dy = x[j, 1] - x[i, 1]
            dz = x[j, 2] - x[i, 2]
            r2 = dx * dx + dy * dy + dz * dz
            inverse_r = 1.0 / math.sqrt(r2)
            inverse_r3 = inverse_r * inverse_r * inverse_r
            pull_i = gm[j] * inverse_r3
            pull_j = gm[i] * inverse_r3
            a[i, 0] += pull_i * dx
            a[i, 1] += pull_i * dy
            a[i, 2] += pull_i * dz
            a[j, 0] -= pull_j * dx
            a[j, 1] -= pull_j * dy
            a[j, 2] -= pull_j * dz


@inlined_kernel
def acceleration_and_jerk(
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    a: FloatArray,
    jerk: FloatArray,
    pairs: FloatArray,
) -> float:
    r"""Write accelerations and their time derivatives, and return the squared rate of the step rule.

    .. math:: \dot a_i = \sum_j G m_j \left[ v_{ij} / r_{ij}^3 - 3 (r_{ij} \cdot v_{ij}) r_{ij} / r_{ij}^5 \right]

    (Makino & Aarseth 1992, PASJ 44, 141).

    Parameters
    ----------
    gm : array of shape (N,)
        Gravitational parameters G m.
    x, v : arrays of shape (N, 3)
        Positions and velocities.
    a, jerk : arrays of shape (N, 3)
        Output: accelerations and jerks.
    pairs : array of shape (>= 2, N (N - 1) / 2)
        Output: squared separation (row 0) and r . v (row 1) of each pair; inf and 0 for two massless bodies.

    Returns
    -------
    float
        Largest max(v^2/r^2, G (m_i + m_j)/r^3) of all pairs: the step rule gives dt = mu / sqrt(this). It is inf if
        two bodies are so close, or anything is so large, that a pair is no longer finite.
    """
    n = gm.size
    for i in range(n):
        a[i, 0] = a[i, 1] = a[i, 2] = 0.0
        jerk[i, 0] = jerk[i, 1] = jerk[i, 2] = 0.0
    rate2, total = 0.0, 0.0
    pair = 0
    for i in range(n):
        for j in range(i + 1, n):
            gm_pair = gm[i] + gm[j]
            if gm_pair == 0.0:
                pairs[0, pair] = math.inf
                pairs[1, pair] = 0.0
                pair += 1
                continue
            dx = x[j, 0] - x[i, 0]
            dy = x[j, 1] - x[i, 1]
            dz = x[j, 2] - x[i, 2]
            dvx = v[j, 0] - v[i, 0]
            dvy = v[j, 1] - v[i, 1]
            dvz = v[j, 2] - v[i, 2]
            r2 = dx * dx + dy * dy + dz * dz
            rv = dx * dvx + dy * dvy + dz * dvz
            v2 = dvx * dvx + dvy * dvy + dvz * dvz
            inverse_r = 1.0 / math.sqrt(r2)
            inverse_r2 = inverse_r * inverse_r
            inverse_r3 = inverse_r2 * inverse_r
            pair_rate2 = inverse_r2 * max(v2, gm_pair * inverse_r)
            rate2 = max(rate2, pair_rate2)
            total += pair_rate2
            pairs[0, pair] = r2
            pairs[1, pair] = rv
            pair += 1
            swing = 3.0 * rv * inverse_r2
            pull_i = gm[j] * inverse_r3
            pull_j = gm[i] * inverse_r3
            a[i, 0] += pull_i * dx
            a[i, 1] += pull_i * dy
            a[i, 2] += pull_i * dz
            a[j, 0] -= pull_j * dx
            a[j, 1] -= pull_j * dy
            a[j, 2] -= pull_j * dz
            dvx -= swing * dx
            dvy -= swing * dy
            dvz -= swing * dz
            jerk[i, 0] += pull_i * dvx
            jerk[i, 1] += pull_i * dvy
            jerk[i, 2] += pull_i * dvz
            jerk[j, 0] -= pull_j * dvx
            jerk[j, 1] -= pull_j * dvy
            jerk[j, 2] -= pull_j * dvz
    return rate2 if total < math.inf else math.inf


@inlined_kernel
def survey_pairs(gm: FloatArray, x: FloatArray, v: FloatArray, pairs: FloatArray) -> float:
    """Write the pair quantities of `acceleration_and_jerk` without any force; return the squared rate.

    The force of the symplectic schemes does not depend on velocities, so they look at the pairs once a step.

    Parameters
    ----------
    gm : array of shape (N,)
        Gravitational parameters G m.
    x, v : arrays of shape (N, 3)
        Positions and velocities.
    pairs : array of shape (>= 2, N (N - 1) / 2)
        Output: squared separation (row 0) and r . v (row 1) of each pair; inf and 0 for two massless bodies.

    Returns
    -------
    float
        Largest max(v^2/r^2, G (m_i + m_j)/r^3) of all pairs; inf under the same conditions.
    """
    n = gm.size
    rate2, total = 0.0, 0.0
    pair = 0
    for i in range(n):
        for j in range(i + 1, n):
            gm_pair = gm[i] + gm[j]
            pairs[0, pair] = math.inf
            pairs[1, pair] = 0.0
            if gm_pair > 0.0:
                dx = x[j, 0] - x[i, 0]
                dy = x[j, 1] - x[i, 1]
                dz = x[j, 2] - x[i, 2]
                dvx = v[j, 0] - v[i, 0]
                dvy = v[j, 1] - v[i, 1]
                dvz = v[j, 2] - v[i, 2]
                r2 = dx * dx + dy * dy + dz * dz
                v2 = dvx * dvx + dvy * dvy + dvz * dvz
                pairs[0, pair] = r2
                pairs[1, pair] = dx * dvx + dy * dvy + dz * dvz
                inverse_r = 1.0 / math.sqrt(r2)
                pair_rate2 = inverse_r * inverse_r * max(v2, gm_pair * inverse_r)
                rate2 = max(rate2, pair_rate2)
                total += pair_rate2
            pair += 1
    return rate2 if total < math.inf else math.inf
