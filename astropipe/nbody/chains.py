"""Chain coordinates: bodies in a row, each next to a close neighbour, and the vectors from one to the next.

After Mikkola & Aarseth (1993, Celest. Mech. Dyn. Astron. 57, 439). A close pair is one chain vector, stored with all
its digits, however far from the origin it is. The chain is rebuilt whenever the closest pair is no longer a link of it.
"""

from __future__ import annotations

import math

import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.compilation import inlined_kernel, kernel
from astropipe.nbody.forces import SEPARATION2

# A pair that is no link is a sum of links; its separation has lost this factor in digits when the chain is rebuilt.
_LOST_DIGITS2 = 0.01


@kernel
def find_chain(x: FloatArray, chain: IntArray) -> None:
    """Order bodies: the closest pair first, then always the nearest free body to the nearer end.

    Parameters
    ----------
    x : array of shape (N, 3)
        Positions.
    chain : array of int, shape (N,)
        Output: bodies in the order of the chain.
    """
    n = x.shape[0]
    free = np.ones(n, dtype=np.bool_)
    row = np.empty(2 * n, dtype=np.int64)
    head, tail = n, n + 1
    row[head], row[tail] = 0, 1
    least = math.inf
    for i in range(n):
        for j in range(i + 1, n):
            r2 = _distance2(x, i, j)
            if r2 < least:
                least = r2
                row[head], row[tail] = i, j
    free[row[head]] = free[row[tail]] = False
    for _ in range(n - 2):
        least, body, at_head = math.inf, -1, False
        for i in range(n):
            if free[i]:
                to_head, to_tail = _distance2(x, i, int(row[head])), _distance2(x, i, int(row[tail]))
                if body < 0 or min(to_head, to_tail) < least:
                    least, body, at_head = min(to_head, to_tail), i, to_head < to_tail
        free[body] = False
        if at_head:
            head -= 1
            row[head] = body
        else:
            tail += 1
            row[tail] = body
    for k in range(n):
        chain[k] = row[head + k]


@kernel
def _distance2(x: FloatArray, i: int, j: int) -> float:
    return float((x[i, 0] - x[j, 0]) ** 2 + (x[i, 1] - x[j, 1]) ** 2 + (x[i, 2] - x[j, 2]) ** 2)


@kernel
def to_chain(x: FloatArray, chain: IntArray, out: FloatArray) -> None:
    """Write the chain vectors, (N - 1, 3), of positions or velocities of bodies, (N, 3)."""
    for k in range(chain.size - 1):
        for c in range(3):
            out[k, c] = x[chain[k + 1], c] - x[chain[k], c]


@kernel
def from_chain(gm: FloatArray, vectors: FloatArray, chain: IntArray, centre: FloatArray, out: FloatArray) -> None:
    """Write positions or velocities of bodies, (N, 3), from chain vectors, with their barycentre at `centre`.

    Parameters
    ----------
    gm : array of shape (N,)
        Gravitational parameters, in chain order.
    vectors : array of shape (N - 1, 3)
        Chain vectors.
    chain : array of int, shape (N,)
        Bodies in the order of the chain.
    centre : array of shape (3,)
        The barycentre.
    out : array of shape (N, 3)
        Output, in the order of the bodies.
    """
    n = gm.size
    mass = gm.sum()
    for c in range(3):
        place, mean = 0.0, 0.0
        for k in range(1, n):
            place += vectors[k - 1, c]
            mean += gm[k] * place
        place = centre[c] - mean / mass
        out[chain[0], c] = place
        for k in range(1, n):
            place += vectors[k - 1, c]
            out[chain[k], c] = place


@inlined_kernel
def chain_is_good(n: int, x: FloatArray, pairs: FloatArray) -> bool:
    """Return whether no pair is much closer than the longest link between its bodies."""
    pair = 0
    for i in range(n):
        longest = 0.0
        for j in range(i + 1, n):
            longest = max(longest, x[j - 1, 0] ** 2 + x[j - 1, 1] ** 2 + x[j - 1, 2] ** 2)
            if pairs[SEPARATION2, pair] < _LOST_DIGITS2 * longest:
                return False
            pair += 1
    return True


@kernel
def rebuild(n_rows: int, gm: FloatArray, vectors: FloatArray, chain: IntArray) -> bool:
    """Find a new chain and express the first rows of `vectors`, (>= n_rows, N - 1, 3), in it.

    The new vectors are sums of old ones. Row 0 holds positions. Returns whether the chain changed.
    """
    n = gm.size
    places = np.zeros((n, 3))
    for k in range(1, n):
        for c in range(3):
            places[k, c] = places[k - 1, c] + vectors[0, k - 1, c]
    order = np.empty(n, dtype=np.int64)
    find_chain(places, order)
    changed = False
    for k in range(n - 1):
        if abs(order[k + 1] - order[k]) != 1:
            changed = True
    if not changed:
        return False
    old = vectors[:n_rows].copy()
    for row in range(n_rows):
        for k in range(n - 1):
            first, last = min(order[k], order[k + 1]), max(order[k], order[k + 1])
            sign = 1.0 if order[k + 1] > order[k] else -1.0
            for c in range(3):
                total = 0.0
                for q in range(first, last):
                    total += old[row, q, c]
                vectors[row, k, c] = sign * total
    gm[:] = gm[order].copy()
    chain[:] = chain[order].copy()
    return True
