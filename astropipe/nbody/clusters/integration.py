"""Integrate a cluster from snapshot to snapshot: the entry points for users, with or without units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy import units
from numpy.typing import NDArray

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters.checks import check_cluster, check_times
from astropipe.nbody.clusters.initial import Cluster
from astropipe.nbody.clusters.records import Records
from astropipe.nbody.clusters.run import UNLIMITED, ClusterRun, Controls
from astropipe.nbody.clusters.scale import Scale
from astropipe.nbody.conserved import potential_energy
from astropipe.runtime.errors import InputError, UsageError


@dataclass(frozen=True)
class ClusterOptions:
    """How a cluster is integrated and what is written down; lengths and times in its N-body units.

    Attributes
    ----------
    controls : Controls
        Steps, pairs, tidal field.
    logs_per_snapshot : int
        Rows of the log between two snapshots.
    escape_radius : float or None
    heavy_share : float
        See `astropipe.nbody.clusters.records.Records`.
    """

    controls: Controls = field(default_factory=Controls)
    logs_per_snapshot: int = 4
    escape_radius: float | None = None
    heavy_share: float = 0.1


@dataclass(frozen=True)
class ClusterResult:
    """What `integrate_cluster` returns; Quantities if the cluster has a scale.

    Attributes
    ----------
    times : array of shape (n_snapshots,)
        Times of the snapshots that were reached, the first one included.
    positions, velocities : arrays of shape (n_snapshots, n + m, 3)
        Stars, then massless particles.
    status : str
        ``ok``; ``step-underflow``: a step fell below 2^-40 of the longest one; ``collision``: a force is not finite.
    energy_error : float
        Relative error of the energy at the end; with a tidal field of the Jacobi energy.
    log : dict of str to array
        One row a time, the first one included: ``time``, ``energy_error``, ``angular_momentum_error`` (NaN in a tidal
        field), ``virial_ratio``, ``core_radius``, ``relaxation_time``, ``bound_stars``, ``bound_massless`` (shares),
        ``pairs``, ``force_evaluations``, ``massless_force_evaluations``, ``massless_error`` (median distance of
        massless particles from their twins), ``radii_stars``, ``radii_heavy``, ``radii_massless``
        (`astropipe.nbody.clusters.diagnostics.FRACTIONS`), ``centre``.
    escape_time, escape_speed : arrays of shape (n + m,)
        Of particles that escaped; NaN for others.
    bound : array of bool, shape (n + m,)
        Who is bound at the end.
    companion : array of int, shape (n,)
        The star to which a star is bound as its nearest neighbour, at the end; -1 for none.
    twin_offset : array of shape (n_twins,)
        Distance of the first massless particles from their twins, at the end.
    heavy : array of bool, shape (n,)
        The heavy stars.
    interactions : int
        Pulls of one star on one particle that were summed.
    """

    times: Any
    positions: Any
    velocities: Any
    status: str
    energy_error: float
    log: dict[str, Any]
    escape_time: Any
    escape_speed: Any
    bound: NDArray[np.bool_]
    companion: IntArray
    twin_offset: Any
    heavy: NDArray[np.bool_]
    interactions: int


_LOG_UNITS = {
    "time": "time",
    "relaxation_time": "time",
    "core_radius": "length",
    "massless_error": "length",
    "centre": "length",
    "radii_stars": "length",
    "radii_heavy": "length",
    "radii_massless": "length",
}


class ClusterIntegration:
    """The integration of a cluster, which can pause, be saved and go on with the same bits.

    Parameters
    ----------
    cluster : Cluster
        Its state at a time.
    times : sequence of float
        Times of the snapshots after this one, in N-body units, increasing.
    options : ClusterOptions
        How.

    Raises
    ------
    InputError
        If the cluster cannot be integrated (`astropipe.nbody.clusters.checks`).
    UsageError
        If the times do not increase, or the options make no sense.
    """

    def __init__(self, cluster: Cluster, times: Sequence[float], options: ClusterOptions) -> None:
        check_cluster(cluster.masses, cluster.positions, cluster.velocities)
        saved = np.asarray(times, dtype=np.float64)
        check_times(saved, cluster.time)
        _check_controls(options.controls)
        if options.logs_per_snapshot < 1:
            raise UsageError(f"logs_per_snapshot = {options.logs_per_snapshot} must be at least 1")
        self.cluster, self.every = cluster, options.logs_per_snapshot
        edges = np.r_[cluster.time, saved]
        parts = np.arange(1, self.every + 1) / self.every
        # Snapshots lie at their times exactly.
        between = edges[:-1, None] + parts[:-1] * np.diff(edges)[:, None]
        self.goals: FloatArray = np.column_stack([between, edges[1:]]).ravel()
        self._run = ClusterRun(cluster.masses, cluster.positions, cluster.velocities, options.controls, cluster.time)
        self._records = Records(self._run, len(self.goals) + 1, options.escape_radius, options.heavy_share)
        shape = (len(edges), *cluster.positions.shape)
        self._times = edges
        self._positions, self._velocities = np.zeros(shape), np.zeros(shape)
        self._keep(0)

    @property
    def finished(self) -> bool:
        """Whether the last snapshot is made, or the run cannot go on."""
        return self._rows > len(self.goals) or self._run.status != "ok"

    @property
    def systems_done(self) -> float:
        """The share of the time that this one system has behind it."""
        return float((self._run.time - self._times[0]) / (self._times[-1] - self._times[0]))

    @property
    def _rows(self) -> int:
        return int(self._records.done[0])

    def _keep(self, snapshot: int) -> None:
        self._positions[snapshot], self._velocities[snapshot] = self._run.phase()

    def advance(self, max_evaluations: int = UNLIMITED) -> bool:
        """Go on until the end, or until about so many interactions were summed; return whether it is the end."""
        before = self._run.interactions
        while not self.finished:
            left = max_evaluations - (self._run.interactions - before)
            if left <= 0 or not self._run.advance(self.goals[self._rows - 1], left):
                return False
            if self._run.status == "ok":
                self._records.write(self._run)
                snapshot, between = divmod(self._rows - 1, self.every)
                if between == 0:
                    self._keep(snapshot)
        return True

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that is needed to go on, for a checkpoint."""
        made = 1 + (self._rows - 1) // self.every
        return {
            **self._run.arrays(),
            **self._records.arrays(),
            "positions": self._positions[:made],
            "velocities": self._velocities[:made],
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up where `arrays` was called."""
        self._run.restore(arrays)
        for name, values in self._records.arrays().items():
            values[...] = arrays[name]
        for name, values in (("positions", self._positions), ("velocities", self._velocities)):
            values[: len(arrays[name])] = arrays[name]

    def result(self) -> ClusterResult:
        """Return what is there now."""
        made, rows, records = 1 + (self._rows - 1) // self.every, self._rows, self._records
        scale = self.cluster.scale

        def in_units(values: FloatArray, kind: str | None) -> Any:
            return values if scale is None or kind is None else values * getattr(scale, kind)

        return ClusterResult(
            times=in_units(self._times[:made], "time"),
            positions=in_units(self._positions[:made], "length"),
            velocities=in_units(self._velocities[:made], "velocity"),
            status=self._run.status if self.finished else "running",
            energy_error=float(records.log["energy_error"][rows - 1]),
            log={name: in_units(values[:rows], _LOG_UNITS.get(name)) for name, values in records.log.items()},
            escape_time=in_units(records.escape_time, "time"),
            escape_speed=in_units(records.escape_speed, "velocity"),
            bound=records.bound,
            companion=records.companion,
            twin_offset=in_units(self._run.twin_offsets(), "length"),
            heavy=records.heavy,
            interactions=self._run.interactions,
        )


def _check_controls(controls: Controls) -> None:
    for name in ("eta", "massless_eta", "longest_step"):
        if not 0.0 < getattr(controls, name) < math.inf:
            raise UsageError(f"{name} = {getattr(controls, name)} must be positive and finite")
    # Above, kicks are too coarse for the tides: the energy is lost (docs/clusters.md).
    if not 0.0 <= controls.pair_disturbance <= 0.03:
        raise UsageError(f"pair_disturbance = {controls.pair_disturbance} must be between 0 and 0.03")
    if controls.n_twins < 0:
        raise UsageError(f"n_twins = {controls.n_twins} must be 0 or larger")


def cluster_of(
    masses: Any, positions: Any, velocities: Any, massless_positions: Any = None, massless_velocities: Any = None
) -> Cluster:
    """Return a cluster of particles of your own.

    Parameters
    ----------
    masses : array or Quantity of shape (n,)
        Masses of the stars.
    positions, velocities : arrays or Quantities of shape (n, 3)
        Of the stars; all Quantities, or none, which means G = 1.
    massless_positions, massless_velocities : arrays or Quantities of shape (m, 3), optional
        Of massless particles.

    Returns
    -------
    Cluster
        In units of G = 1; with Quantities, of mass of all stars and virial radius of the stars, which are its scale.

    Raises
    ------
    InputError
        If the particles cannot be integrated.
    UsageError
        If Quantities and plain numbers are mixed, or a unit has the wrong dimension.
    """
    given = {"masses": masses, "positions": positions, "velocities": velocities}
    if (massless_positions is None) != (massless_velocities is None):
        raise UsageError("massless particles need both positions and velocities")
    if massless_positions is not None:
        given |= {"massless_positions": massless_positions, "massless_velocities": massless_velocities}
    with_units = [name for name, values in given.items() if isinstance(values, units.Quantity)]
    if with_units and len(with_units) < len(given):
        raise UsageError(
            f"{', '.join(with_units)} have units and the others have none: give all as Quantities, or none"
        )
    scale = None
    if with_units:
        scale = _natural_scale(masses, positions)
        kinds = {"masses": scale.mass, "positions": scale.length, "velocities": scale.velocity}
        try:
            given = {
                name: (values / kinds[name.removeprefix("massless_")]).to_value("") for name, values in given.items()
            }
        except units.UnitConversionError as error:
            raise UsageError(f"a unit does not fit: {error}") from error
    try:
        m, x, v, *free = (np.array(values, dtype=np.float64) for values in given.values())
    except (TypeError, ValueError) as error:
        raise InputError(f"masses, positions and velocities must be arrays of numbers: {error}") from error
    if free:
        x, v = np.concatenate([x, free[0]]), np.concatenate([v, free[1]])
    check_cluster(m, x, v)
    return Cluster(m, x, v, scale)


def _natural_scale(masses: Any, positions: Any) -> Scale:
    try:
        m, x = masses.to_value("Msun"), positions.to_value("pc")
    except units.UnitConversionError as error:
        raise UsageError(f"a unit does not fit: {error}") from error
    return Scale(m.sum() * units.Msun, float(m.sum() ** 2 / (-2.0 * potential_energy(m, x))) * units.pc)


def integrate_cluster(cluster: Cluster, times: Any, options: ClusterOptions | None = None) -> ClusterResult:
    """Integrate a cluster of stars and massless particles.

    Parameters
    ----------
    cluster : Cluster
        From `astropipe.nbody.clusters.make_cluster` or `cluster_of`.
    times : sequence of float, or Quantity
        Times of the snapshots after the present one; a Quantity if the cluster has a scale.
    options : ClusterOptions, optional
        How.

    Returns
    -------
    ClusterResult
        Snapshots, log, escapes, errors, cost.

    Raises
    ------
    InputError, UsageError
        As `ClusterIntegration`.

    Examples
    --------
    >>> from astropipe.config.clusters import ClusterStartConfig
    >>> from astropipe.nbody.clusters import integrate_cluster, make_cluster
    >>> cluster = make_cluster(ClusterStartConfig(n_stars=32, masses="equal"), seed=1)
    >>> run = integrate_cluster(cluster, [0.5, 1.0])
    >>> run.status, bool(abs(run.energy_error) < 1e-5)
    ('ok', True)
    """
    if cluster.scale is not None:
        try:
            times = (times / cluster.scale.time).to_value("")
        except (AttributeError, units.UnitConversionError) as error:
            raise UsageError(f"the cluster has units, so times need one too, such as Myr: {error}") from error
    run = ClusterIntegration(cluster, times, options or ClusterOptions())
    run.advance()
    return run.result()
