"""Integrate one system or a batch: the entry points for users, with or without units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.checks import check_options, check_save_times, check_systems
from astropipe.nbody.conserved import conservation_errors
from astropipe.nbody.integrators import STATUS_NAMES, Controls, evolve, evolve_batch
from astropipe.nbody.outcomes import DEFAULT_ESCAPE_FACTOR
from astropipe.nbody.steps import STAGES
from astropipe.nbody.units import Units, plain_arguments
from astropipe.runtime.errors import InputError, UsageError

# Systems differ in cost by orders of magnitude: threads take small portions so that none waits for another.
_SYSTEMS_PER_PORTION = 8


@dataclass(frozen=True)
class ClosestApproach:
    """The closest approach of any two bodies (at least one of them with mass), interpolated between steps.

    Attributes
    ----------
    separation : float, or array of shape (n,)
        Least separation.
    pair : array of int, shape (2,) or (n, 2)
        The two bodies.
    time : float, or array of shape (n,)
        When it happened.
    """

    separation: Any
    pair: IntArray
    time: Any


@dataclass(frozen=True)
class Trajectory:
    """States at the save times; NaN for times that a run did not reach.

    Attributes
    ----------
    times : array of shape (n_saved,)
    positions, velocities : arrays of shape (n_saved, N, 3) or (n, n_saved, N, 3)
    """

    times: Any
    positions: Any
    velocities: Any


@dataclass(frozen=True)
class IntegrationResult:
    """What `integrate` and `integrate_batch` return; for a batch of n systems, every value is an array over them.

    With Quantities as input, lengths, velocities and times are Quantities in the units of positions, velocities, t_end.

    Attributes
    ----------
    positions, velocities : arrays of shape (N, 3) or (n, N, 3)
        State at the end of the run.
    time : float, or array of shape (n,)
        Time of that state; earlier than t_end if the status is not ``ok``.
    status : str, or array of str
        ``ok``: t_end was reached; ``escape``: stopped because a body escaped; ``max-force-evaluations``: out of
        budget; ``step-underflow``: the step fell below 1e-24 of the interval; ``collision``: two bodies came so
        close that their force is not finite.
    energy_error, angular_momentum_error : float, or array of shape (n,)
        Absolute errors relative to the initial values (`astropipe.nbody.conserved.conservation_errors`; its
        docstring says what they are relative to where an initial value is zero).
    force_evaluations : int, or array of shape (n,)
        Evaluations of all forces of the system, the first one included.
    closest_approach : ClosestApproach
    trajectory : Trajectory or None
        If save_times were given.
    """

    positions: Any
    velocities: Any
    time: Any
    status: Any
    energy_error: Any
    angular_momentum_error: Any
    force_evaluations: Any
    closest_approach: ClosestApproach
    trajectory: Trajectory | None


def integrate(
    masses: Any,
    positions: Any,
    velocities: Any,
    t_end: Any,
    *,
    method: str = "hermite4",
    mu: float = 0.01,
    dt: Any = None,
    G: Any = 1.0,
    t_start: Any = 0.0,
    max_force_evaluations: int = 10_000_000,
    stop_on_escape: bool = False,
    save_times: Any = None,
) -> IntegrationResult:
    """Integrate one system of bodies under their mutual Newtonian gravity.

    Parameters
    ----------
    masses : array or Quantity of shape (N,)
        Masses, N >= 2; 0 makes a test particle.
    positions, velocities : arrays or Quantities of shape (N, 3)
        Initial state.
    t_end : float or Quantity
        Time to which to integrate.
    method : {"hermite4", "leapfrog", "yoshida4", "yoshida6"}
        Integrator (`astropipe.nbody.steps`).
    mu : float
        Accuracy parameter of the variable step (`astropipe.nbody.timesteps`).
    dt : float or Quantity, optional
        Fixed step; then mu is not used.
    G : float or Quantity
        Gravitational constant; with Quantities, astropy's value unless given as a Quantity.
    t_start : float or Quantity
        Time of the initial state.
    max_force_evaluations : int
        Budget.
    stop_on_escape : bool
        Stop when a body has escaped (`astropipe.nbody.outcomes`); looked at every 16 steps.
    save_times : array or Quantity of shape (n_saved,), optional
        Times, not decreasing, at which to keep the state. Steps are shortened to land on them.

    Returns
    -------
    IntegrationResult
        Final state, status, errors, cost, closest approach, trajectory.

    Raises
    ------
    InputError
        If the system cannot be integrated: wrong shapes, NaN, negative masses, no mass, coincident bodies.
    UsageError
        If the options make no sense, or Quantities and plain numbers are mixed.

    Examples
    --------
    >>> from astropipe.nbody import integrate, named_system
    >>> eight = named_system("figure-eight")
    >>> run = integrate(eight.masses, eight.positions, eight.velocities, eight.period, mu=0.01)
    >>> run.status, bool(abs(run.positions - eight.positions).max() < 1e-8)
    ('ok', True)
    """
    return _integrate(True, masses, positions, velocities, t_end, method, mu, dt, G, t_start,
                      max_force_evaluations, stop_on_escape, save_times)  # fmt: skip


def integrate_batch(
    masses: Any,
    positions: Any,
    velocities: Any,
    t_end: Any,
    *,
    method: str = "hermite4",
    mu: float = 0.01,
    dt: Any = None,
    G: Any = 1.0,
    t_start: Any = 0.0,
    max_force_evaluations: int = 10_000_000,
    stop_on_escape: bool = False,
    save_times: Any = None,
) -> IntegrationResult:
    """Integrate a batch of systems, each as `integrate` does, in parallel over numba's threads.

    The result for a system does not depend on the others or on the number of threads, bit for bit.

    Parameters
    ----------
    masses : array or Quantity of shape (n, N)
        Masses of n systems of N bodies.
    positions, velocities : arrays or Quantities of shape (n, N, 3)
        Initial states.
    t_end, method, mu, dt, G, t_start, max_force_evaluations, stop_on_escape, save_times
        As in `integrate`, the same for all systems.

    Returns
    -------
    IntegrationResult
        With one more axis in front of every array; trajectories have shape (n, n_saved, N, 3).

    Raises
    ------
    InputError, UsageError
        As `integrate`; messages name the system by its row.
    """
    return _integrate(False, masses, positions, velocities, t_end, method, mu, dt, G, t_start,
                      max_force_evaluations, stop_on_escape, save_times)  # fmt: skip


def _integrate(
    single: bool,
    masses: Any,
    positions: Any,
    velocities: Any,
    t_end: Any,
    method: str,
    mu: float,
    dt: Any,
    G: Any,
    t_start: Any,
    max_force_evaluations: int,
    stop_on_escape: bool,
    save_times: Any,
) -> IntegrationResult:
    """Strip units, check, run, and pack the result; see `integrate` for the arguments."""
    arguments = {
        "masses": masses, "positions": positions, "velocities": velocities,
        "t_end": t_end, "t_start": t_start, "dt": dt, "save_times": save_times,
    }  # fmt: skip
    plain, constant, units = plain_arguments(arguments, G)
    m, x, v = _batch_arrays(plain["masses"], plain["positions"], plain["velocities"], single=single)
    begin, end = _number("t_start", plain["t_start"]), _number("t_end", plain["t_end"])
    fixed_step = None if plain["dt"] is None else _number("dt", plain["dt"])
    if not 0.0 < constant < np.inf:
        raise UsageError(f"G = {constant} must be positive and finite")
    check_options(method, mu, fixed_step, begin, end, max_force_evaluations)
    saved = np.array([] if save_times is None else plain["save_times"], dtype=np.float64)
    check_save_times(saved, begin, end)
    check_systems(m, x, v, single=single)
    controls = Controls(
        stages=np.array(STAGES[method]),
        t_start=begin,
        t_end=end,
        mu=float(mu),
        fixed_step=fixed_step or 0.0,
        max_force_evaluations=int(max_force_evaluations),
        escape_factor=DEFAULT_ESCAPE_FACTOR if stop_on_escape else 0.0,
        G=constant,
        save_times=saved,
    )
    columns = _run(m, x, v, controls, single=single)
    if save_times is None:
        columns["trajectory"] = None
    return _pack(columns, units, single=single)


def _number(name: str, value: Any) -> float:
    """Return one plain number, or say that there should be one."""
    if np.ndim(value) != 0:
        raise UsageError(f"{name} must be one number for all systems, got an array of shape {np.shape(value)}")
    return float(value)


def _batch_arrays(
    masses: Any, positions: Any, velocities: Any, *, single: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return float64 copies with a system axis, (n, N), (n, N, 3), (n, N, 3), after a look at the shapes."""
    try:
        m, x, v = (np.array(values, dtype=np.float64, order="C") for values in (masses, positions, velocities))
    except (TypeError, ValueError) as error:
        raise InputError(f"masses, positions and velocities must be arrays of numbers: {error}") from error
    expected = 1 if single else 2
    if m.ndim != expected or x.shape != (*m.shape, 3) or v.shape != (*m.shape, 3):
        wanted = "[N], [N, 3] and [N, 3]" if single else "[n, N], [n, N, 3] and [n, N, 3]"
        raise InputError(
            f"masses, positions and velocities must have shapes {wanted}, got {m.shape}, {x.shape} and {v.shape}; "
            f"for {'many systems use integrate_batch' if single else 'one system use integrate'}"
        )
    return (m[None], x[None], v[None]) if single else (m, x, v)


def _run(m: FloatArray, x: FloatArray, v: FloatArray, controls: Controls, *, single: bool) -> dict[str, Any]:
    """Integrate a batch in place, without threads if it is a single system; return the columns of the result."""
    n, n_bodies = m.shape
    before = x.copy(), v.copy()
    saved_x = np.full((n, controls.save_times.size, n_bodies, 3), np.nan)
    saved_v = np.full_like(saved_x, np.nan)
    summary = np.empty((n, 3))
    pair = np.zeros((n, 2), dtype=np.int64)
    status, evaluations = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    if single:
        status[0], evaluations[0] = evolve(m[0], x[0], v[0], controls, saved_x[0], saved_v[0], summary[0], pair[0])
    else:
        with numba.parallel_chunksize(_SYSTEMS_PER_PORTION):
            evolve_batch(m, x, v, controls, saved_x, saved_v, summary, pair, status, evaluations)
    energy_error, angular_momentum_error = conservation_errors(m, before, (x, v), G=controls.G)
    return {
        "positions": x,
        "velocities": v,
        "time": summary[:, 0],
        "status": np.array(STATUS_NAMES)[status],
        "energy_error": energy_error,
        "angular_momentum_error": angular_momentum_error,
        "force_evaluations": evaluations,
        "closest_approach": ClosestApproach(summary[:, 1], pair, summary[:, 2]),
        "trajectory": Trajectory(controls.save_times, saved_x, saved_v),
    }


def _pack(columns: dict[str, Any], units: Units | None, *, single: bool) -> IntegrationResult:
    """Drop the system axis of a single system and give the user's units back."""

    def one(values: Any) -> Any:
        if not single:
            return values
        return values[0].item() if values.ndim == 1 else values[0]

    def same(values: Any) -> Any:
        return values

    length, velocity, time = (units.length_out, units.velocity_out, units.time_out) if units else (same, same, same)
    closest, trajectory = columns["closest_approach"], columns["trajectory"]
    return IntegrationResult(
        positions=length(one(columns["positions"])),
        velocities=velocity(one(columns["velocities"])),
        time=time(one(columns["time"])),
        status=one(columns["status"]),
        energy_error=one(columns["energy_error"]),
        angular_momentum_error=one(columns["angular_momentum_error"]),
        force_evaluations=one(columns["force_evaluations"]),
        closest_approach=ClosestApproach(length(one(closest.separation)), one(closest.pair), time(one(closest.time))),
        trajectory=trajectory
        and Trajectory(time(trajectory.times), length(one(trajectory.positions)), velocity(one(trajectory.velocities))),
    )
