"""Masses of stars after Kroupa (2001, MNRAS 322, 231, eq. 2): a power law in three pieces."""

from __future__ import annotations

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.runtime.errors import UsageError

# dN/dm ~ m^-alpha, in Msun.
_EDGES = np.array([0.01, 0.08, 0.5, np.inf])
_SLOPES = np.array([0.3, 1.3, 2.3])
LIMITS = (0.01, 150.0)


def kroupa_masses(rng: np.random.Generator, n: int, low: float, high: float) -> FloatArray:
    """Return n masses between two limits, in Msun.

    Raises
    ------
    UsageError
        If the limits are not 0.01 <= low < high <= 150.
    """
    if not LIMITS[0] <= low < high <= LIMITS[1]:
        raise UsageError(
            f"masses between {low} and {high} Msun cannot be drawn: Kroupa's law holds from {LIMITS[0]} to {LIMITS[1]}"
        )
    pieces = [k for k in range(3) if _EDGES[k] < high and _EDGES[k + 1] > low]
    edges = np.clip(np.r_[_EDGES[pieces], _EDGES[pieces[-1] + 1]], low, high)
    power = 1.0 - _SLOPES[pieces]
    # The pieces join at their edges.
    heights = np.cumprod(np.r_[1.0, edges[1:-1] ** (_SLOPES[pieces][1:] - _SLOPES[pieces][:-1])])
    counts = heights * (edges[1:] ** power - edges[:-1] ** power) / power
    share = rng.uniform(0.0, counts.sum(), n)
    below = np.r_[0.0, np.cumsum(counts)]
    piece = np.clip(np.searchsorted(below, share, side="right") - 1, 0, len(pieces) - 1)
    into = (share - below[piece]) * power[piece] / heights[piece]
    masses: FloatArray = (edges[piece] ** power[piece] + into) ** (1.0 / power[piece])
    return masses
