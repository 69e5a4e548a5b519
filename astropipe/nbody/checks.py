"""What a system must be before it is integrated; every complaint names the system and the bodies at fault."""

from __future__ import annotations

import math

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.policy import LOWEST_TOLERANCE
from astropipe.nbody.steps import METHODS
from astropipe.nbody.timesteps import RULES
from astropipe.runtime.errors import InputError, UsageError


def check_systems(masses: FloatArray, positions: FloatArray, velocities: FloatArray, *, single: bool) -> None:
    """Refuse systems that cannot be integrated.

    Parameters
    ----------
    masses : array of shape (n, N)
    positions, velocities : arrays of shape (n, N, 3)
        A batch.
    single : bool
        The user gave one system: do not call it system 0.

    Raises
    ------
    InputError
        For fewer than 2 bodies, NaN or infinite values, negative masses, systems without mass, coincident bodies.
    """
    n_bodies = masses.shape[1]
    if n_bodies < 2:
        raise InputError(f"a system needs at least 2 bodies, got {n_bodies}")

    def place(system: int, body: int) -> str:
        return f"body {body}" if single else f"system {system}, body {body}"

    for name, values in (("mass", masses), ("position", positions), ("velocity", velocities)):
        bad = np.argwhere(~np.isfinite(values))
        if bad.size:
            system, body = int(bad[0, 0]), int(bad[0, 1])
            raise InputError(
                f"{place(system, body)}: {name} {values[system, body]} is not finite; remove or correct it"
            )
    bad = np.argwhere(masses < 0.0)
    if bad.size:
        system, body = int(bad[0, 0]), int(bad[0, 1])
        raise InputError(
            f"{place(system, body)}: mass {masses[system, body]} is negative; it must be >= 0 (0: test particle)"
        )
    massless = np.flatnonzero(masses.sum(axis=1) == 0.0)
    if massless.size:
        which = "masses" if single else f"system {massless[0]}: masses"
        raise InputError(f"{which} are all 0; at least one must be positive")
    pair = first_coincident_pair(positions)
    if pair is not None:
        system, i, j = pair
        raise InputError(
            f"{place(system, i)} and body {j} are at the same place, {positions[system, i]}; "
            "merge them or move them apart"
        )


def first_coincident_pair(positions: FloatArray) -> tuple[int, int, int] | None:
    """Return system and bodies of the first pair at one place: equal rows are neighbours after a lexical sort."""
    order = np.lexsort((positions[..., 2], positions[..., 1], positions[..., 0]), axis=-1)
    ordered = np.take_along_axis(positions, order[..., None], axis=1)
    same = np.argwhere((ordered[:, 1:] == ordered[:, :-1]).all(axis=-1))
    if not same.size:
        return None
    system, at = int(same[0, 0]), int(same[0, 1])
    i, j = sorted((int(order[system, at]), int(order[system, at + 1])))
    return system, i, j


def check_options(
    method: str,
    rule: str,
    tolerance: float,
    mu: float | None,
    dt: float | None,
    t_start: float,
    t_end: float,
    max_force_evaluations: int,
) -> None:
    """Refuse options that make no sense.

    Raises
    ------
    UsageError
        For an unknown method or rule, a tolerance out of reach, mu, dt or max_force_evaluations not positive, a rule
        without its number, an end before the start.
    """
    for what, value, known in (("method", method, METHODS), ("timestep", rule, RULES)):
        if value not in known:
            raise UsageError(f"{what} {value!r} is not known; choose one of {', '.join(known)}")
    for name, number in (("mu", mu), ("dt", dt)):
        if number is not None and not 0.0 < number < math.inf:
            raise UsageError(f"{name} = {number} must be positive and finite")
    if rule == "shared" and mu is None:
        raise UsageError("timestep 'shared' needs its accuracy parameter mu, for example mu=0.01")
    if rule == "fixed" and dt is None:
        raise UsageError("timestep 'fixed' needs its step dt")
    if rule in ("power", "learned") and not LOWEST_TOLERANCE <= tolerance < 1.0:
        raise UsageError(
            f"tolerance = {tolerance} is out of reach: double precision allows {LOWEST_TOLERANCE:g}, and 1 asks for "
            "nothing; choose a value between"
        )
    if not (math.isfinite(t_start) and math.isfinite(t_end) and t_end >= t_start):
        raise UsageError(
            f"t_end = {t_end} must be finite and not before t_start = {t_start}; "
            "to go back in time, reverse the velocities"
        )
    if max_force_evaluations < 1:
        raise UsageError(f"max_force_evaluations = {max_force_evaluations} must be at least 1")


def check_save_times(save_times: FloatArray, t_start: float, t_end: float) -> None:
    """Refuse output times that are not a list of increasing times within the interval.

    Raises
    ------
    UsageError
        Naming the first time at fault.
    """
    if save_times.ndim != 1:
        raise UsageError(f"save_times must be a list of times, got an array of shape {save_times.shape}")
    outside = np.flatnonzero(~((save_times >= t_start) & (save_times <= t_end)))
    if outside.size:
        raise UsageError(
            f"save_times[{outside[0]}] = {save_times[outside[0]]} is not between "
            f"t_start = {t_start} and t_end = {t_end}"
        )
    back = np.flatnonzero(np.diff(save_times) < 0.0)
    if back.size:
        raise UsageError(f"save_times must not decrease, but save_times[{back[0] + 1}] is earlier than the one before")
