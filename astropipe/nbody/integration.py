"""Integrate one system or a batch: the entry points for users, with or without units."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.checks import check_options, check_save_times, check_systems
from astropipe.nbody.events import events_of
from astropipe.nbody.integrators import Controls
from astropipe.nbody.outcomes import DEFAULT_ESCAPE_FACTOR
from astropipe.nbody.policy import Policy, best_method, mu_of_tolerance, shipped_policy
from astropipe.nbody.runs import UNLIMITED, BatchRun, whole_numbers
from astropipe.nbody.steps import DERIVATIVES, STAGES, TIME_TRANSFORMED
from astropipe.nbody.timesteps import RULES
from astropipe.nbody.units import plain_arguments
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InputError, UsageError

# Share of the tolerance by which the energy may jump between two looks of the guard.
GUARD = 0.1
# A run that missed its tolerance starts again with steps of half the size, this often.
MAX_RESTARTS = 2


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
class Encounters:
    """Encounters of one system: minima of the separation of two bodies, interpolated between steps, in order of time.

    Attributes
    ----------
    times : array of shape (n_encounters,)
    pairs : array of int, shape (n_encounters, 2)
        The two bodies.
    separations : array of shape (n_encounters,)
    total : int
        How many there were; more than are listed where max_encounters was too small.
    """

    times: Any
    pairs: IntArray
    separations: Any
    total: int


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
        ``ok``: t_end was reached, within the tolerance if one was asked for; ``escape``: the same, stopped because a
        body escaped; ``tolerance-not-met``: the energy error is above the tolerance, in spite of repetitions with
        smaller steps; ``max-force-evaluations``: out of budget; ``step-underflow``: the step fell below 1e-24 of the
        interval; ``collision``: two bodies came so close that their force is not finite; ``running``: not at its end.
    energy_error, angular_momentum_error : float, or array of shape (n,)
        Absolute errors about the barycentre, relative to the initial values, or to the natural scale where an initial
        value is next to nothing (`astropipe.nbody.integrators.energy_scale`,
        `astropipe.nbody.conserved.angular_momentum_scale`). Massless bodies enter neither.
    force_evaluations : int, or array of shape (n,)
        Evaluations of all forces of the system: the first one and all work that was thrown away included.
    redone_evaluations : int, or array of shape (n,)
        Those that the guard and the repetitions threw away.
    restarts : int, or array of shape (n,)
        How often the run started again.
    closest_approach : ClosestApproach
    encounters : Encounters
        If encounter_distance was given; for a batch, a list with one for each system.
    trajectory : Trajectory or None
        If save_times were given.
    masses, G : array or Quantity
        As given.
    """

    positions: Any
    velocities: Any
    time: Any
    status: Any
    energy_error: Any
    angular_momentum_error: Any
    force_evaluations: Any
    redone_evaluations: Any
    restarts: Any
    closest_approach: ClosestApproach
    encounters: Any
    trajectory: Trajectory | None
    masses: Any
    G: Any

    @cached_property
    def events(self) -> list[Any]:
        """Encounters, the closest approach and escapes as a list of `Event`; for a batch, one list for each system."""
        return events_of(self)


@dataclass(frozen=True)
class Options:
    """Keywords of `integrate` and `integrate_batch`, which describe them."""

    tolerance: float = 1e-6
    method: str = "auto"
    timestep: str = "learned"
    mu: float | None = None
    dt: Any = None
    policy: Policy | None = None
    G: Any = 1.0
    t_start: Any = 0.0
    max_force_evaluations: int = 10_000_000
    stop_on_escape: bool = False
    save_times: Any = None
    encounter_distance: Any = None
    max_encounters: int = 1000


def integrate(
    masses: Any,
    positions: Any,
    velocities: Any,
    t_end: Any,
    *,
    tolerance: float = 1e-6,
    method: str = "auto",
    timestep: str = "learned",
    mu: float | None = None,
    dt: Any = None,
    policy: Policy | None = None,
    G: Any = 1.0,
    t_start: Any = 0.0,
    max_force_evaluations: int = 10_000_000,
    stop_on_escape: bool = False,
    save_times: Any = None,
    encounter_distance: Any = None,
    max_encounters: int = 1000,
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
    tolerance : float
        Relative energy error that the run must not exceed. A run that does, in spite of its guard and of repetitions
        with smaller steps, has the status ``tolerance-not-met``. Used by the learned step and the power rule.
    method : {"auto", "hermite4", "hermite6", "hermite8", "leapfrog", "yoshida4", "yoshida6", "logh2", "logh4", "logh6"}
        Integrator (`astropipe.nbody.steps`); ``auto`` takes the cheapest for the tolerance.
    timestep : {"learned", "power", "shared", "fixed"}
        Step rule (`astropipe.nbody.timesteps`).
    mu : float, optional
        Accuracy parameter in place of the one that belongs to the tolerance; the rule ``shared`` needs it.
    dt : float or Quantity, optional
        Fixed step; stands for timestep="fixed".
    policy : Policy, optional
        A learned policy in place of the shipped one (`astropipe.nbody.policy.read_policy`).
    G : float or Quantity
        Gravitational constant; with Quantities, astropy's value unless given as a Quantity.
    t_start : float or Quantity
        Time of the initial state.
    max_force_evaluations : int
        Budget.
    stop_on_escape : bool
        Stop when a body has escaped (`astropipe.nbody.outcomes`); looked at every 16 steps.
    save_times : array or Quantity of shape (n_saved,), optional
        Times, not decreasing, at which to keep the state; interpolated within steps, which they do not change.
    encounter_distance : float or Quantity, optional
        List minima of separations below this.
    max_encounters : int
        How many of them to keep.

    Returns
    -------
    IntegrationResult
        Final state, status, errors, cost, closest approach, encounters, trajectory.

    Raises
    ------
    InputError
        If the system cannot be integrated: wrong shapes, NaN, negative masses, no mass, coincident bodies.
    UsageError
        If the options make no sense, Quantities and plain numbers are mixed, or the tolerance is below what double
        precision allows.

    Examples
    --------
    >>> from astropipe.nbody import integrate, named_system
    >>> eight = named_system("figure-eight")
    >>> run = integrate(eight.masses, eight.positions, eight.velocities, eight.period, tolerance=1e-10)
    >>> run.status, bool(abs(run.positions - eight.positions).max() < 1e-8)
    ('ok', True)
    """
    options = Options(tolerance, method, timestep, mu, dt, policy, G, t_start, max_force_evaluations, stop_on_escape,
                      save_times, encounter_distance, max_encounters)  # fmt: skip
    run = Integration(masses, positions, velocities, t_end, options, single=True)
    run.advance()
    return run.result()


def integrate_batch(
    masses: Any,
    positions: Any,
    velocities: Any,
    t_end: Any,
    *,
    tolerance: float = 1e-6,
    method: str = "auto",
    timestep: str = "learned",
    mu: float | None = None,
    dt: Any = None,
    policy: Policy | None = None,
    G: Any = 1.0,
    t_start: Any = 0.0,
    max_force_evaluations: int = 10_000_000,
    stop_on_escape: bool = False,
    save_times: Any = None,
    encounter_distance: Any = None,
    max_encounters: int = 1000,
) -> IntegrationResult:
    """Integrate a batch of systems, each as `integrate` does, in parallel over numba's threads.

    The result for a system does not depend on the others or on the number of threads, bit for bit.

    Parameters
    ----------
    masses : array or Quantity of shape (n, N)
        Masses of n systems of N bodies.
    positions, velocities : arrays or Quantities of shape (n, N, 3)
        Initial states.
    t_end, tolerance, method, timestep, mu, dt, policy, G, t_start, max_force_evaluations, stop_on_escape, save_times, \
    encounter_distance, max_encounters
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
    options = Options(tolerance, method, timestep, mu, dt, policy, G, t_start, max_force_evaluations, stop_on_escape,
                      save_times, encounter_distance, max_encounters)  # fmt: skip
    run = Integration(masses, positions, velocities, t_end, options, single=False)
    run.advance()
    return run.result()


class Integration:
    """An integration that can pause, be saved and go on elsewhere with the same bits.

    Parameters
    ----------
    masses, positions, velocities, t_end
        As in `integrate` (single) or `integrate_batch`.
    options : Options
        Their keywords.
    single : bool
        Whether it is one system.

    Raises
    ------
    InputError, UsageError
        As `integrate`.

    Examples
    --------
    >>> from astropipe.nbody import Integration, Options, named_system
    >>> eight = named_system("figure-eight")
    >>> run = Integration(eight.masses, eight.positions, eight.velocities, 1000.0, Options(), single=True)
    >>> run.advance(max_evaluations=500)
    False
    >>> run.advance(), run.result().status
    (True, 'ok')
    """

    def __init__(
        self, masses: Any, positions: Any, velocities: Any, t_end: Any, options: Options, *, single: bool
    ) -> None:
        arguments = {
            "masses": masses, "positions": positions, "velocities": velocities, "t_end": t_end,
            "t_start": options.t_start, "dt": options.dt, "save_times": options.save_times,
            "encounter_distance": options.encounter_distance,
        }  # fmt: skip
        plain, self._constant, self._units = plain_arguments(arguments, options.G)
        m, x, v = _batch_arrays(plain["masses"], plain["positions"], plain["velocities"], single=single)
        if not 0.0 < self._constant < np.inf:
            raise UsageError(f"G = {self._constant} must be positive and finite")
        self._options, self._single, self._masses = options, single, masses
        check_systems(m, x, v, single=single)
        controls = _controls(options, plain)
        listed = 0 if options.encounter_distance is None else options.max_encounters
        self._run = BatchRun(self._constant * m, x, v, controls, listed)

    @property
    def method(self) -> str:
        """The integrator, also where ``auto`` was asked for."""
        return _method(self._options)

    @property
    def rule(self) -> str:
        """The rule of the time step."""
        return _rule(self._options)

    @property
    def finished(self) -> bool:
        """Whether every system has ended."""
        return self._run.running == 0

    @property
    def systems_done(self) -> int:
        """How much is done: the sum of the shares of the time that each system has behind it."""
        return self._run.systems_done

    def advance(self, max_evaluations: int = UNLIMITED) -> bool:
        """Go on with every system until it ends, or has made about so many more force evaluations.

        Returns
        -------
        bool
            Whether every system has ended.
        """
        if max_evaluations < 1:
            raise UsageError(f"max_evaluations = {max_evaluations} must be at least 1")
        self._run.advance(max_evaluations, parallel=not self._single)
        return self.finished

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that is needed to go on, for a checkpoint."""
        return self._run.arrays()

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up where `arrays` was called."""
        self._run.restore(arrays)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint."""
        Checkpoint(Path(path), self._key()).save(self.arrays())

    def load(self, path: str | Path) -> None:
        """Take up where `save` was called on an integration with the same systems and options.

        Raises
        ------
        InputError
            If there is no such file.
        UsageError
            If it belongs to another integration.
        ArtifactError
            If it is damaged.
        """
        arrays = Checkpoint(Path(path), self._key()).load()
        if arrays is None:
            raise InputError(f"{path} does not exist; Integration.save writes it")
        self.restore(arrays)

    def _key(self) -> str:
        """Return a hash of the systems and of all that steers them."""
        parts = [self._run.gm, *self._run.initial, *map(np.asarray, self._run.controls)]
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()

    def result(self) -> IntegrationResult:
        """Return what is there now; systems that have not ended have the status ``running``."""
        columns = self._run.columns()
        units = self._units

        def same(values: Any) -> Any:
            return values

        def one(values: Any) -> Any:
            if not self._single:
                return values
            return values[0].item() if values.ndim == 1 else values[0]

        length, velocity, time = (units.length_out, units.velocity_out, units.time_out) if units else (same,) * 3
        encounters = None
        if self._options.encounter_distance is not None:
            encounters = [
                _encounters(rows, total, length, time)
                for rows, total in zip(columns["encounters"], columns["n_encounters"], strict=True)
            ]
        trajectory = None
        if self._options.save_times is not None:
            saved = columns["saved_positions"], columns["saved_velocities"]
            times = self._run.controls.save_times
            trajectory = Trajectory(time(times), length(one(saved[0])), velocity(one(saved[1])))
        plain = ("status", "energy_error", "angular_momentum_error", "force_evaluations", "redone_evaluations",
                 "restarts")  # fmt: skip
        return IntegrationResult(
            positions=length(one(columns["positions"])),
            velocities=velocity(one(columns["velocities"])),
            time=time(one(columns["time"])),
            closest_approach=ClosestApproach(
                length(one(columns["closest_separation"])),
                one(columns["closest_pair"]),
                time(one(columns["closest_time"])),
            ),
            encounters=encounters[0] if encounters and self._single else encounters,
            trajectory=trajectory,
            masses=self._masses,
            G=self._options.G,
            **{name: one(columns[name]) for name in plain},
        )


def _encounters(rows: FloatArray, total: int, length: Any, time: Any) -> Encounters:
    """Return the encounters of one system."""
    rows = rows[: min(int(total), len(rows))]
    return Encounters(time(rows[:, 0]), whole_numbers(rows[:, 1:3]), length(rows[:, 3]), int(total))


def _method(options: Options) -> str:
    return best_method(options.tolerance) if options.method == "auto" else options.method


def _rule(options: Options) -> str:
    return "fixed" if options.dt is not None else options.timestep


def _controls(options: Options, plain: Mapping[str, Any]) -> Controls:
    """Return what steers the run, after a look at every option."""
    begin, end = _number("t_start", plain["t_start"]), _number("t_end", plain["t_end"])
    fixed_step = None if plain["dt"] is None else _number("dt", plain["dt"])
    distance = plain["encounter_distance"]
    method, rule = _method(options), _rule(options)
    check_options(method, rule, options.tolerance, options.mu, fixed_step, begin, end, options.max_force_evaluations)
    saved = np.array([] if options.save_times is None else plain["save_times"], dtype=np.float64)
    check_save_times(saved, begin, end)
    to_tolerance = rule in ("power", "learned")
    policy = (options.policy or shipped_policy()) if rule == "learned" else None
    mu = options.mu
    if mu is None:
        mu = mu_of_tolerance(method, options.tolerance) if to_tolerance else 0.0
    return Controls(
        highest=DERIVATIVES.get(method, 0),
        stages=np.array(STAGES.get(method, ()), dtype=np.float64),
        transformed=method in TIME_TRANSFORMED,
        rule=RULES.index(rule),
        mu=float(mu),
        fixed_step=fixed_step or 0.0,
        weights=policy.weights if policy else np.empty(0),
        tolerance=float(options.tolerance) if to_tolerance else 0.0,
        guard=GUARD if to_tolerance else 0.0,
        max_restarts=MAX_RESTARTS if to_tolerance else 0,
        t_start=begin,
        t_end=end,
        max_force_evaluations=int(options.max_force_evaluations),
        escape_factor=DEFAULT_ESCAPE_FACTOR if options.stop_on_escape else 0.0,
        encounter_distance=0.0 if distance is None else _number("encounter_distance", distance),
        save_times=saved,
    )


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
