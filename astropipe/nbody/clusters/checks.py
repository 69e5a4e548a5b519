"""What a cluster must be before it is integrated; every complaint names the particle at fault."""

from __future__ import annotations

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.checks import first_coincident_pair
from astropipe.runtime.errors import InputError, UsageError


def check_cluster(masses: FloatArray, positions: FloatArray, velocities: FloatArray) -> None:
    """Refuse clusters that cannot be integrated.

    Parameters
    ----------
    masses : array of shape (n,)
        Of the stars.
    positions, velocities : arrays of shape (n + m, 3)
        Of stars, then massless particles.

    Raises
    ------
    InputError
        For wrong shapes, fewer than 2 stars, NaN or infinite values, masses that are not positive, particles at one
        place.
    """
    n = len(masses)
    if masses.ndim != 1 or positions.ndim != 2 or positions.shape[1:] != (3,) or velocities.shape != positions.shape:
        raise InputError(
            "a cluster needs masses [n], and positions and velocities [n + m, 3] of n stars and m massless particles, "
            f"got {masses.shape}, {positions.shape} and {velocities.shape}"
        )
    if n < 2 or len(positions) < n:
        raise InputError(f"a cluster needs at least 2 stars and a position for each, got {n} and {len(positions)}")
    for name, values in (("mass", masses), ("position", positions), ("velocity", velocities)):
        bad = np.argwhere(~np.isfinite(values))
        if bad.size:
            raise InputError(f"particle {bad[0, 0]}: {name} {values[bad[0, 0]]} is not finite; remove or correct it")
    without = np.flatnonzero(masses <= 0.0)
    if without.size:
        raise InputError(
            f"particle {without[0]}: mass {masses[without[0]]} of a star must be positive; "
            "what has no mass is of the class massless"
        )
    pair = first_coincident_pair(positions[None])
    if pair is not None:
        raise InputError(
            f"particle {pair[1]} and particle {pair[2]} are at the same place, {positions[pair[1]]}; "
            "merge them or move them apart"
        )


def check_times(times: FloatArray, start: float) -> None:
    """Refuse times of snapshots that do not increase from the time of the cluster.

    Raises
    ------
    UsageError
        Naming the first time at fault.
    """
    if times.ndim != 1 or not times.size:
        raise UsageError(
            f"times of snapshots must be a list with at least one time, got an array of shape {times.shape}"
        )
    back = np.flatnonzero(~(np.diff(np.r_[start, times]) > 0.0) | ~np.isfinite(times))
    if back.size:
        before = "the time of the cluster" if back[0] == 0 else "the one before"
        raise UsageError(f"snapshot times must increase, but entry {back[0]}, {times[back[0]]}, is not after {before}")
