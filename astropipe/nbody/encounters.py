"""Encounters of pairs during a run, with minima interpolated between steps."""

from __future__ import annotations

import math

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.compilation import inlined_kernel, kernel


@kernel
def interpolated_minimum(f0: float, f1: float, d0: float, d1: float) -> tuple[float, float]:
    """Return the minimum on [0, 1] of the cubic with values f0, f1 and slopes d0 < 0 <= d1, and where it is.

    Where the cubic leaves the positive range (a step too coarse to resolve the encounter), the smaller end value
    is returned: an upper bound.
    """
    at = 0.0 if f0 < f1 else 1.0
    least = min(f0, f1)
    c2 = 3.0 * (f1 - f0) - 2.0 * d0 - d1
    c3 = d0 + d1 - 2.0 * (f1 - f0)
    discriminant = c2 * c2 - 3.0 * c3 * d0
    if discriminant >= 0.0:
        s = -d0 / (c2 + math.sqrt(discriminant))
        value = f0 + s * (d0 + s * (c2 + s * c3))
        if 0.0 <= s <= 1.0 and 0.0 < value < least:
            return value, s
    return least, at


@inlined_kernel
def track_encounters(
    chain: IntArray,
    pairs: FloatArray,
    time: float,
    step: float,
    distance: float,
    closest: FloatArray,
    closest_pair: IntArray,
    events: FloatArray,
    n_events: int,
) -> int:
    """Update the closest approach and the list of encounters with one step; make its end the start of the next.

    r^2(t) between the ends of a step is taken as the cubic through both values and slopes (2 r . v), which is exact
    for straight relative motion. A minimum lies inside the step where r . v changes sign from - to +.

    Parameters
    ----------
    chain : array of int, shape (N,)
        Bodies in the order of the chain, which is that of the pairs.
    pairs : array of shape (5, N (N - 1) / 2)
        Squared separation and r . v of each pair at the end of the step (rows 0 and 1), and at its start (rows
        3 and 4, changed in place to those at the end).
    time, step : float
        Time at the end of the step, and its length.
    distance : float
        Minima closer than this are encounters.
    closest : array of shape (2,)
        Least squared separation so far and its time, changed in place.
    closest_pair : array of shape (2,)
        The two bodies of it, changed in place.
    events : array of shape (max_events, 4)
        Encounters: time, two bodies, separation; changed in place as far as it reaches.
    n_events : int
        Number of encounters so far.

    Returns
    -------
    int
        Number of encounters now; more than `events` can hold where some were not written down.
    """
    pair = 0
    for i in range(chain.size):
        for j in range(i + 1, chain.size):
            least, at, turned = pairs[0, pair], 1.0, pairs[4, pair] < 0.0 <= pairs[1, pair]
            if turned:
                least, at = interpolated_minimum(
                    pairs[3, pair], pairs[0, pair], 2.0 * step * pairs[4, pair], 2.0 * step * pairs[1, pair]
                )
            if least < closest[0]:
                closest[0] = least
                closest[1] = time - (1.0 - at) * step
                closest_pair[0] = min(chain[i], chain[j])
                closest_pair[1] = max(chain[i], chain[j])
            if turned and least < distance * distance:
                if n_events < events.shape[0]:
                    events[n_events, 0] = time - (1.0 - at) * step
                    events[n_events, 1] = min(chain[i], chain[j])
                    events[n_events, 2] = max(chain[i], chain[j])
                    events[n_events, 3] = math.sqrt(least)
                n_events += 1
            pairs[3, pair] = pairs[0, pair]
            pairs[4, pair] = pairs[1, pair]
            pair += 1
    return n_events
