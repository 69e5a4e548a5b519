"""Boxes of particles as artifacts, and particles from elsewhere as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.cosmology import Cosmology
from astropy.table import QTable

from astropipe.artifacts import Artifact, Provenance, create_artifact
from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.flow.background import Background
from astropipe.nbody.flow.evolution import Snapshot
from astropipe.nbody.flow.velocities import check_particles
from astropipe.runtime.errors import InputError, UsageError

_ENERGY = units.km**2 / units.s**2


@dataclass(frozen=True)
class Box:
    """A periodic box of equal particles.

    Parameters
    ----------
    title : str
        One line for people.
    cosmology : astropy.cosmology.FLRW
        The universe.
    size : float
        Comoving side in Mpc.
    snapshots : sequence of Snapshot
        In order of time.
    """

    title: str
    cosmology: Any
    size: float
    snapshots: Sequence[Snapshot]

    def check(self, numbers: Sequence[int] = ()) -> None:
        """Refuse what is no box, naming snapshot and particle.

        Parameters
        ----------
        numbers : sequence of int
            Numbers of the snapshots in their file, for messages; default their order here.

        Raises
        ------
        InputError
            For times that do not increase or lie after today, another number of particles, particles outside the box,
            values that are not finite.
        """
        if not (np.isfinite(self.size) and self.size > 0.0):
            raise InputError(f"the side of the box is {self.size} Mpc; it must be positive")
        times = np.array([snapshot.a for snapshot in self.snapshots])
        if not times.size:
            raise InputError("there is no snapshot; give at least one")
        if not np.all((times > 0.0) & (times <= 1.0)) or np.any(np.diff(times) <= 0.0):
            raise InputError(f"scale factors of snapshots must increase, from above 0 to at most 1, but are {times}")
        for number, snapshot in zip(numbers or range(times.size), self.snapshots, strict=True):
            try:
                check_particles(snapshot.positions, snapshot.velocities, self.size)
            except InputError as error:
                raise InputError(f"snapshot {number}: {error}") from error
            if len(snapshot.positions) != len(self.snapshots[0].positions):
                raise InputError(
                    f"snapshot {number} has {len(snapshot.positions)} particles, and the first "
                    f"{len(self.snapshots[0].positions)}; each particle must be in all of them"
                )


def write_box_snapshots(
    path: str | Path,
    positions: Any,
    velocities: Any,
    box_size: Any,
    scale_factors: Any,
    cosmology: Any,
    title: str = "Particles from elsewhere",
) -> None:
    """Write particles of yours as a ``box-snapshots`` artifact, for ``astropipe nbody evaluate`` and ``integrate``.

    Parameters
    ----------
    path : str or Path
        The artifact.
    positions : array or Quantity, shape (n, 3) or (snapshots, n, 3)
        Comoving positions in [0, box_size); plain numbers are Mpc.
    velocities : array or Quantity, of the same shape
        Peculiar velocities; plain numbers are km/s.
    box_size : float or Quantity
        Comoving side of the box; a plain number is Mpc.
    scale_factors : float or array of shape (snapshots,)
        When.
    cosmology : astropy.cosmology.FLRW
        The universe, such as ``astropy.cosmology.Planck18``.
    title : str
        One line for people.

    Raises
    ------
    UsageError
        If a unit has the wrong dimension, or the number of times is not that of snapshots.
    InputError
        If particles lie outside the box, or values are not finite, or times do not increase.
    """
    x, u = _plain("positions", positions, "Mpc"), _plain("velocities", velocities, "km/s")
    times = np.atleast_1d(np.asarray(scale_factors, dtype=float))
    if x.ndim == 2:
        x, u = x[np.newaxis], u[np.newaxis]
    if len(x) != len(times) or len(u) != len(times):
        raise UsageError(f"there are {len(x)} snapshots of positions, {len(u)} of velocities and {len(times)} times")
    snapshots = [Snapshot(float(a), *state) for a, *state in zip(times, x, u, strict=True)]
    box = Box(title, cosmology, float(_plain("box_size", box_size, "Mpc")), snapshots)
    box.check()
    write_box(Path(path), box, empty_book(times), Provenance.collect("astropipe.nbody.write_box_snapshots", {}))


def _plain(name: str, values: Any, unit: str) -> FloatArray:
    try:
        return np.asarray(units.Quantity(values, unit).value if hasattr(values, "unit") else values, dtype=float)
    except units.UnitConversionError as error:
        raise UsageError(f"{name} has the wrong unit: {error}") from error


def empty_book(scale_factors: FloatArray) -> QTable:
    """Return the table of snapshots that did not come from a run."""
    unknown = np.full(len(scale_factors), np.nan)
    return QTable(
        {
            "snapshot": np.arange(len(scale_factors)),
            "scale_factor": scale_factors,
            "redshift": 1.0 / scale_factors - 1.0,
            "steps": np.zeros(len(scale_factors), dtype=np.int64),
            "kinetic_energy": unknown * _ENERGY,
            "potential_energy": unknown * _ENERGY,
            "layzer_irvine_error": unknown,
            "momentum_error": unknown,
        }
    )


def write_box(path: Path, box: Box, book: QTable, provenance: Provenance) -> None:
    """Write a box, with the table of `empty_book` filled."""
    first = box.snapshots[0]
    mass = Background(box.cosmology).mean_density * box.size**3 / len(first.positions)
    with create_artifact(path, "box-snapshots", title=box.title, provenance=provenance) as artifact:
        artifact.write_table(book)
        artifact.write_array("box_size", box.size * units.Mpc)
        artifact.write_array("particle_mass", mass * units.Msun)
        artifact.write_text("cosmology", box.cosmology.to_format("yaml"))
        for number, snapshot in enumerate(box.snapshots):
            artifact.write_array(f"snapshots/{number}/positions", snapshot.positions * units.Mpc)
            artifact.write_array(f"snapshots/{number}/velocities", snapshot.velocities * units.km / units.s)


def read_box(artifact: Artifact, *numbers: int) -> Box:
    """Return a box with some of its snapshots, or all of them.

    Raises
    ------
    InputError
        If the content is no box; the message names file, snapshot and particle.
    """
    table = artifact.table()
    chosen = numbers or tuple(range(len(table)))
    snapshots = []
    for number in chosen:
        positions = artifact.array(f"snapshots/{number}/positions").to_value("Mpc")
        velocities = artifact.array(f"snapshots/{number}/velocities").to_value("km/s")
        snapshots.append(Snapshot(float(table["scale_factor"][number]), positions, velocities))
    size = float(artifact.array("box_size").to_value("Mpc"))
    cosmology = Cosmology.from_format(artifact.text("cosmology"), format="yaml")
    box = Box(artifact.title, cosmology, size, snapshots)
    try:
        box.check(chosen)
    except InputError as error:
        raise InputError(f"{artifact.path}: {error}") from error
    return box
