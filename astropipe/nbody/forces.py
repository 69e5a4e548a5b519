r"""Newtonian forces and their time derivatives in chain coordinates, by direct summation over pairs, compiled.

The state of N bodies is N - 1 *chain vectors* (`astropipe.nbody.chains`): row k leads from body k of the chain to body
k + 1. The separation of any pair is a sum of neighbouring rows, so that close pairs, which are neighbours in the chain,
keep all their digits; differences of barycentric coordinates would lose them.

All kernels take gravitational parameters :math:`G m_i` in chain order, visit the pairs in the fixed order (0,1),
(0,2), ..., (1,2), ..., and write into arrays given by the caller. Two massless bodies do not interact: their pair is
passed over, so that test particles may even meet.
"""

from __future__ import annotations

import math

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import inlined_kernel

# Rows of the array `pairs`: what the time loop needs of every pair, at the end of a step and at its start.
SEPARATION2, RADIAL, SPEED2, SEPARATION2_BEFORE, RADIAL_BEFORE = range(5)
N_PAIR_ROWS = 5
# Columns of the scratch array `geometry`.
N_GEOMETRY = 13


@inlined_kernel
def evaluate(
    highest: int,
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    out: FloatArray,
    body: FloatArray,
    geometry: FloatArray,
    pairs: FloatArray,
) -> tuple[float, float]:
    r"""Write accelerations and their derivatives along the chain, and what every pair is doing.

    Acceleration, jerk, snap and crackle follow the recursion of Nitadori & Makino (2008, New Astron. 13, 498,
    section 2.2): with :math:`\alpha = r \cdot v / r^2` and so on, each derivative is
    :math:`G m / r^3` times the derivative of the separation less multiples of the lower ones.

    Parameters
    ----------
    highest : int
        How many derivatives of the velocity: 1 acceleration, 2 and jerk, 3 and snap, 4 and crackle.
    gm : array of shape (N,)
        Gravitational parameters G m, in chain order.
    x, v : arrays of shape (N - 1, 3)
        Chain vectors and their velocities.
    out : array of shape (>= highest, N - 1, 3)
        Output: derivatives of `v`.
    body : array of shape (4, N, 3)
        Scratch.
    geometry : array of shape (N (N - 1) / 2, N_GEOMETRY)
        Scratch.
    pairs : array of shape (5, N (N - 1) / 2)
        Output, first three rows: squared separation, r . v and squared relative speed of each pair; inf, 0 and 0 for
        two massless bodies.

    Returns
    -------
    rate2, binding : float
        Largest max(v^2/r^2, G (m_i + m_j)/r^3) of all pairs, the squared rate of the step rules; inf if a pair is no
        longer finite. And (G m_i)(G m_j)/r of that pair.
    """
    n = gm.size
    for d in range(highest):
        for i in range(n):
            body[d, i, 0] = body[d, i, 1] = body[d, i, 2] = 0.0
    rate2, total, binding = 0.0, 0.0, 0.0
    pair = 0
    for i in range(n):
        dx = dy = dz = ux = uy = uz = 0.0
        for j in range(i + 1, n):
            dx += x[j - 1, 0]
            dy += x[j - 1, 1]
            dz += x[j - 1, 2]
            ux += v[j - 1, 0]
            uy += v[j - 1, 1]
            uz += v[j - 1, 2]
            gm_pair = gm[i] + gm[j]
            if gm_pair == 0.0:
                pairs[0, pair] = math.inf
                pairs[1, pair] = pairs[2, pair] = 0.0
                pair += 1
                continue
            r2 = dx * dx + dy * dy + dz * dz
            rv = dx * ux + dy * uy + dz * uz
            v2 = ux * ux + uy * uy + uz * uz
            pairs[0, pair] = r2
            pairs[1, pair] = rv
            pairs[2, pair] = v2
            inverse_r = 1.0 / math.sqrt(r2)
            inverse_r2 = inverse_r * inverse_r
            inverse_r3 = inverse_r2 * inverse_r
            pair_rate2 = inverse_r2 * max(v2, gm_pair * inverse_r)
            total += pair_rate2
            if pair_rate2 > rate2:
                rate2 = pair_rate2
                binding = gm[i] * gm[j] * inverse_r
            pull_i = gm[j] * inverse_r3
            pull_j = gm[i] * inverse_r3
            body[0, i, 0] += pull_i * dx
            body[0, i, 1] += pull_i * dy
            body[0, i, 2] += pull_i * dz
            body[0, j, 0] -= pull_j * dx
            body[0, j, 1] -= pull_j * dy
            body[0, j, 2] -= pull_j * dz
            if highest > 1:
                alpha = rv * inverse_r2
                jx = ux - 3.0 * alpha * dx
                jy = uy - 3.0 * alpha * dy
                jz = uz - 3.0 * alpha * dz
                body[1, i, 0] += pull_i * jx
                body[1, i, 1] += pull_i * jy
                body[1, i, 2] += pull_i * jz
                body[1, j, 0] -= pull_j * jx
                body[1, j, 1] -= pull_j * jy
                body[1, j, 2] -= pull_j * jz
                if highest > 2:
                    keep = geometry[pair]
                    keep[0], keep[1], keep[2] = dx, dy, dz
                    keep[3], keep[4], keep[5] = jx, jy, jz
                    keep[6], keep[7], keep[8] = ux, uy, uz
                    keep[9], keep[10], keep[11], keep[12] = inverse_r3, inverse_r2, alpha, v2 * inverse_r2
            pair += 1
    if highest > 2:
        _snap_and_crackle(highest, gm, body, geometry)
    for d in range(highest):
        for i in range(n - 1):
            for k in range(3):
                out[d, i, k] = body[d, i + 1, k] - body[d, i, k]
    return (rate2 if total < math.inf else math.inf), binding


@inlined_kernel
def _snap_and_crackle(highest: int, gm: FloatArray, body: FloatArray, geometry: FloatArray) -> None:
    """Add snaps, and crackles if highest is 4, to `body`, which holds accelerations and jerks already."""
    n = gm.size
    pair = 0
    for i in range(n):
        for j in range(i + 1, n):
            if gm[i] + gm[j] == 0.0:
                pair += 1
                continue
            keep = geometry[pair]
            pair += 1
            dx, dy, dz = keep[0], keep[1], keep[2]
            jx, jy, jz = keep[3], keep[4], keep[5]
            inverse_r2, alpha = keep[10], keep[11]
            ax = body[0, j, 0] - body[0, i, 0]
            ay = body[0, j, 1] - body[0, i, 1]
            az = body[0, j, 2] - body[0, i, 2]
            beta = keep[12] + (dx * ax + dy * ay + dz * az) * inverse_r2 + alpha * alpha
            sx = ax - 6.0 * alpha * jx - 3.0 * beta * dx
            sy = ay - 6.0 * alpha * jy - 3.0 * beta * dy
            sz = az - 6.0 * alpha * jz - 3.0 * beta * dz
            pull_i = gm[j] * keep[9]
            pull_j = gm[i] * keep[9]
            body[2, i, 0] += pull_i * sx
            body[2, i, 1] += pull_i * sy
            body[2, i, 2] += pull_i * sz
            body[2, j, 0] -= pull_j * sx
            body[2, j, 1] -= pull_j * sy
            body[2, j, 2] -= pull_j * sz
            if highest > 3:
                bx = body[1, j, 0] - body[1, i, 0]
                by = body[1, j, 1] - body[1, i, 1]
                bz = body[1, j, 2] - body[1, i, 2]
                gamma = (
                    3.0 * (keep[6] * ax + keep[7] * ay + keep[8] * az) + dx * bx + dy * by + dz * bz
                ) * inverse_r2 + alpha * (3.0 * beta - 4.0 * alpha * alpha)
                cx = bx - 9.0 * alpha * sx - 9.0 * beta * jx - 3.0 * gamma * dx
                cy = by - 9.0 * alpha * sy - 9.0 * beta * jy - 3.0 * gamma * dy
                cz = bz - 9.0 * alpha * sz - 9.0 * beta * jz - 3.0 * gamma * dz
                body[3, i, 0] += pull_i * cx
                body[3, i, 1] += pull_i * cy
                body[3, i, 2] += pull_i * cz
                body[3, j, 0] -= pull_j * cx
                body[3, j, 1] -= pull_j * cy
                body[3, j, 2] -= pull_j * cz


@inlined_kernel
def survey_pairs(gm: FloatArray, x: FloatArray, v: FloatArray, pairs: FloatArray) -> tuple[float, float]:
    """Write the pair quantities of `evaluate` without any force; return the squared rate and binding.

    The force of the symplectic schemes does not depend on velocities, so they look at the pairs once a step.
    """
    n = gm.size
    rate2, total, binding = 0.0, 0.0, 0.0
    pair = 0
    for i in range(n):
        dx = dy = dz = ux = uy = uz = 0.0
        for j in range(i + 1, n):
            dx += x[j - 1, 0]
            dy += x[j - 1, 1]
            dz += x[j - 1, 2]
            ux += v[j - 1, 0]
            uy += v[j - 1, 1]
            uz += v[j - 1, 2]
            gm_pair = gm[i] + gm[j]
            pairs[0, pair] = math.inf
            pairs[1, pair] = pairs[2, pair] = 0.0
            if gm_pair > 0.0:
                r2 = dx * dx + dy * dy + dz * dz
                v2 = ux * ux + uy * uy + uz * uz
                pairs[0, pair] = r2
                pairs[1, pair] = dx * ux + dy * uy + dz * uz
                pairs[2, pair] = v2
                inverse_r = 1.0 / math.sqrt(r2)
                pair_rate2 = inverse_r * inverse_r * max(v2, gm_pair * inverse_r)
                total += pair_rate2
                if pair_rate2 > rate2:
                    rate2 = pair_rate2
                    binding = gm[i] * gm[j] * inverse_r
            pair += 1
    return (rate2 if total < math.inf else math.inf), binding


@inlined_kernel
def energies(gm: FloatArray, x: FloatArray, v: FloatArray) -> tuple[float, float]:
    """Return kinetic energy about the barycentre and minus the potential energy, both times G, of chain vectors."""
    n = gm.size
    kinetic, potential, mass = 0.0, 0.0, gm[n - 1]
    for i in range(n - 1):
        mass += gm[i]
        dx = dy = dz = ux = uy = uz = 0.0
        for j in range(i + 1, n):
            dx += x[j - 1, 0]
            dy += x[j - 1, 1]
            dz += x[j - 1, 2]
            ux += v[j - 1, 0]
            uy += v[j - 1, 1]
            uz += v[j - 1, 2]
            product = gm[i] * gm[j]
            if product > 0.0:
                kinetic += product * (ux * ux + uy * uy + uz * uz)
                potential += product / math.sqrt(dx * dx + dy * dy + dz * dz)
    return 0.5 * kinetic / mass, potential
