"""Star clusters of ``cluster-snapshots`` artifacts as a spectrograph needs them: masses, places, speeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.runtime.errors import InputError, UsageError

Floats = NDArray[np.float64]

_ITERATIONS, _TOLERANCE = 500, 1e-10


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The stars of a cluster at one time.

    Attributes
    ----------
    mass_msun : ndarray, shape (n,)
        Masses.
    position_pc, velocity_km_s : ndarray, shape (n, 3)
        Relative to the barycentre; the third axis points away from the observer.
    """

    mass_msun: Floats
    position_pc: Floats
    velocity_km_s: Floats


def read_snapshot(path: Path, index: int) -> Snapshot:
    """Read the stars of one snapshot; massless particles are left out.

    Raises
    ------
    UsageError
        If there is no such snapshot.
    InputError
        If the cluster is in N-body units.
    ArtifactError
        If the file is no cluster.
    """
    with open_artifact(path, "cluster-snapshots") as artifact:
        star = np.asarray(artifact.table()["class"]) == "star"
        masses, positions, velocities = (artifact.array(name) for name in ("masses", "positions", "velocities"))
    if not -len(positions) <= index < len(positions):
        raise UsageError(f"{path} has {len(positions)} snapshots; spectra.simulate.cluster.snapshot = {index} is none")
    if not all(isinstance(values, u.Quantity) for values in (masses, positions, velocities)):
        raise InputError(
            f"{path} is in N-body units, in which stars have no brightness; make the cluster with "
            "--set 'nbody.simulate.cluster.virial_radius=1 pc'"
        )
    mass = masses.to_value(u.Msun)[star]
    position = positions[index].to_value(u.pc)[star]
    velocity = velocities[index].to_value(u.km / u.s)[star]
    return Snapshot(mass, *(values - np.average(values, axis=0, weights=mass) for values in (position, velocity)))


def plummer_radius(position: Floats) -> float:
    """Return the scale radius of the Plummer sphere from which positions (n, 3) are most likely drawn.

    Each has the density a² (r² + a²)^(-5/2), up to a constant, so that the likelihood is largest where
    2 / a² = 5 <1 / (r² + a²)>.
    """
    square = np.sum(position**2, axis=1)
    a_squared = float(np.median(square))
    for _ in range(_ITERATIONS):
        before = a_squared
        a_squared = 0.4 / float(np.mean(1.0 / (square + before)))
        if abs(a_squared / before - 1.0) < _TOLERANCE:
            break
    return float(np.sqrt(a_squared))
