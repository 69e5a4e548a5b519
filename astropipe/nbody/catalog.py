"""The triples catalog: one row a system, with its outcome, its binary, its errors and its cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from astropipe.nbody.arrays import IntArray
from astropipe.nbody.integration import IntegrationResult
from astropipe.nbody.outcomes import DEFAULT_ESCAPE_FACTOR, classify
from astropipe.nbody.units import plain_arguments
from astropipe.runtime.errors import UsageError

DESCRIPTIONS = {
    "id": "Identifier of the system",
    "outcome": "Configuration at the end: interplay, binary, binary+escaper, hierarchical, ionised, partial-escape",
    "status": "How the run ended: ok, escape, tolerance-not-met, max-force-evaluations, step-underflow, collision",
    "time": "Time at the end of the run",
    "lifetime": "Time at which the run stopped because a body had escaped; NaN where none had",
    "escaper": "Index of the outermost escaping body; masked where none escapes",
    "binary_primary": "Index of one member of the most bound pair; masked where no pair is bound",
    "binary_secondary": "Index of the other member of the most bound pair",
    "semi_major_axis": "Semi-major axis of the most bound pair; NaN where no pair is bound",
    "eccentricity": "Eccentricity of the most bound pair",
    "period": "Orbital period of the most bound pair",
    "closest_approach": "Least separation of any two bodies during the run",
    "closest_primary": "Index of one body of the closest approach",
    "closest_secondary": "Index of the other body of the closest approach",
    "closest_time": "Time of the closest approach",
    "energy_error": "Absolute relative error of the energy at the end",
    "angular_momentum_error": "Absolute relative error of the angular momentum at the end",
    "force_evaluations": "Evaluations of all forces of the system, with those that were thrown away",
    "redone_evaluations": "Evaluations that were thrown away by the guard of the tolerance and by repetitions",
    "restarts": "How often the run started again with smaller steps",
}


def triples_catalog(
    masses: Any,
    result: IntegrationResult,
    *,
    ids: Any = None,
    G: Any = 1.0,
    escape_factor: float = DEFAULT_ESCAPE_FACTOR,
) -> Any:
    """Turn a batch and its result into a catalog.

    Parameters
    ----------
    masses : array or Quantity of shape (n, N)
        Masses, as given to `integrate_batch`.
    result : IntegrationResult
        What it returned.
    ids : array of int or str, shape (n,), optional
        Identifiers; 0 ... n - 1 if not given.
    G : float or Quantity
        As given to `integrate_batch`.
    escape_factor : float
        Distance of an escaper in semi-major axes of the binary (`astropipe.nbody.outcomes`).

    Returns
    -------
    astropy.table.QTable
        Columns as in `DESCRIPTIONS`; times and lengths carry the units of the result, or none in N-body units.

    Raises
    ------
    UsageError
        If the result is not that of a batch of the same size, or only one of masses and result has units.
    """
    from astropy.table import QTable

    if np.ndim(masses) != 2 or np.shape(result.positions) != (*np.shape(masses), 3):
        raise UsageError(
            f"masses {np.shape(masses)} and result {np.shape(result.positions)} are not of one batch: "
            "the shapes must be (n, N) and (n, N, 3)"
        )
    state = {"masses": masses, "positions": result.positions, "velocities": result.velocities}
    plain, constant, units = plain_arguments({**state, "t_end": result.time, "t_start": 0.0}, G)
    outcome = classify(
        plain["masses"], plain["positions"], plain["velocities"], G=constant, escape_factor=escape_factor
    )
    nan = np.nan if units is None else np.nan * result.time.unit
    columns = {
        "id": np.arange(len(outcome.label)) if ids is None else np.asarray(ids),
        "outcome": outcome.label,
        "status": result.status,
        "time": result.time,
        "lifetime": np.where(result.status == "escape", result.time, nan),
        "escaper": _indices(outcome.escaper),
        "binary_primary": _indices(outcome.members[:, 0]),
        "binary_secondary": _indices(outcome.members[:, 1]),
        "semi_major_axis": units.length_out(outcome.semi_major_axis) if units else outcome.semi_major_axis,
        "eccentricity": outcome.eccentricity,
        "period": units.time_out(outcome.period) if units else outcome.period,
        "closest_approach": result.closest_approach.separation,
        "closest_primary": result.closest_approach.pair[:, 0],
        "closest_secondary": result.closest_approach.pair[:, 1],
        "closest_time": result.closest_approach.time,
        "energy_error": result.energy_error,
        "angular_momentum_error": result.angular_momentum_error,
        "force_evaluations": result.force_evaluations,
        "redone_evaluations": result.redone_evaluations,
        "restarts": result.restarts,
    }
    catalog = QTable(columns)
    for name, description in DESCRIPTIONS.items():
        catalog[name].info.description = description
    return catalog


def _indices(bodies: IntArray) -> Any:
    """Return indices of bodies as a column in which -1, no body, is masked."""
    from astropy.table import MaskedColumn

    return MaskedColumn(bodies, mask=bodies < 0)
