"""Clusters in ``cluster-snapshots`` artifacts, read and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.table import MaskedColumn, QTable

from astropipe.artifacts import Artifact, Provenance, create_artifact
from astropipe.nbody.clusters.checks import check_cluster, check_times
from astropipe.nbody.clusters.diagnostics import FRACTIONS
from astropipe.nbody.clusters.initial import Cluster
from astropipe.nbody.clusters.integration import ClusterResult
from astropipe.nbody.clusters.scale import Scale
from astropipe.runtime.errors import InputError, UsageError


def write_cluster(output: Path, title: str, cluster: Cluster, provenance: Provenance) -> None:
    """Write a cluster at one time."""
    scale = cluster.scale
    time: Any = np.array([cluster.time])
    state = [time, cluster.positions[None], cluster.velocities[None]]
    if scale is not None:
        state = [values * unit for values, unit in zip(state, (scale.time, scale.length, scale.velocity), strict=True)]
    _write(output, title, cluster, state, _particles(cluster), None, "", provenance)


def write_result(output: Path, title: str, cluster: Cluster, run: ClusterResult, provenance: Provenance) -> None:
    """Write the snapshots, the log and the escapes of a cluster."""
    table = _particles(cluster)
    n, twins = cluster.n_stars, len(run.twin_offset)
    table["heavy"] = np.r_[run.heavy, np.zeros(cluster.n_massless, np.bool_)]
    table["bound"] = run.bound
    companion = np.r_[run.companion, np.full(cluster.n_massless, -1)]
    table["companion"] = MaskedColumn(companion, mask=companion < 0)
    table["escape_time"], table["escape_speed"] = run.escape_time, run.escape_speed
    step_error = np.full(len(table), np.nan)
    step_error[n : n + twins] = getattr(run.twin_offset, "value", run.twin_offset)
    unit = getattr(run.twin_offset, "unit", None)
    table["step_error"] = step_error if unit is None else step_error * unit
    state = [run.times, run.positions, run.velocities]
    _write(output, title, cluster, state, table, run, run.status, provenance)


def _particles(cluster: Cluster) -> QTable:
    n, m = cluster.n_stars, cluster.n_massless
    table = QTable({"id": np.arange(n + m), "class": np.repeat(["star", "massless"], [n, m])})
    table["mass"] = _masses(cluster)
    return table


def _masses(cluster: Cluster) -> Any:
    masses = np.r_[cluster.masses, np.zeros(cluster.n_massless)]
    return masses if cluster.scale is None else masses * cluster.scale.mass


def _write(
    output: Path,
    title: str,
    cluster: Cluster,
    state: list[Any],
    table: QTable,
    run: ClusterResult | None,
    status: str,
    provenance: Provenance,
) -> None:
    scale = cluster.scale
    with create_artifact(output, "cluster-snapshots", title=title, provenance=provenance) as artifact:
        artifact.write_table(table)
        artifact.write_array("masses", _masses(cluster))
        for name, values in zip(("times", "positions", "velocities"), state, strict=True):
            artifact.write_array(name, values)
        units_of: tuple[Any, Any] = (None, None) if scale is None else (scale.mass, scale.length)
        for name, unit in zip(("masses", "positions"), units_of, strict=True):
            # As text: a number would lose its unit, and repr keeps every digit.
            artifact.write_attributes(
                name, {"nbody_unit": "" if unit is None else f"{float(unit.value)!r} {unit.unit}"}
            )
        if run is not None:
            for name, values in run.log.items():
                artifact.write_array(f"log/{name}", values)
            artifact.write_array("log/fractions", np.array(FRACTIONS))
            artifact.write_attributes("log", {"status": status, "interactions": run.interactions})


def read_cluster(source: Artifact) -> Cluster:
    """Return the cluster of the last snapshot of an artifact.

    Raises
    ------
    InputError
        If it cannot be integrated; the message names the file and the particle.
    """
    times, masses = source.array("times"), source.array("masses")
    positions, velocities = source.array("positions")[-1], source.array("velocities")[-1]
    units_given = [source.attributes(name)["nbody_unit"] for name in ("masses", "positions")]
    stars = np.asarray(source.table()["class"]) == "star"
    n = int(stars.sum())
    try:
        if not stars[:n].all():
            raise InputError("stars must come before massless particles")
        scale = None
        if all(units_given):
            scale = Scale(*(units.Quantity(text) for text in units_given))
            masses, positions, velocities, times = (
                (values / unit).to_value("")
                for values, unit in (
                    (masses, scale.mass),
                    (positions, scale.length),
                    (velocities, scale.velocity),
                    (times, scale.time),
                )
            )
        check_cluster(masses[:n], positions, velocities)
        if len(times) > 1:
            check_times(times[1:], times[0])
    except (InputError, UsageError) as error:
        raise InputError(f"{source.path}: {error}") from error
    return Cluster(masses[:n], positions, velocities, scale, float(times[-1]))
