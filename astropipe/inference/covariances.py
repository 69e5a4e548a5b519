"""Covariance matrices of measurements: from standard errors, listed pairs and shared systematics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.runtime.errors import InputError

Array = NDArray[np.float64]


def listed_covariance(table: Table, size: int, unit: u.UnitBase, path: Path) -> Array:
    """Return the symmetric matrix [size, size] whose lower triangle `table` lists pair by pair.

    Parameters
    ----------
    table
        Columns ``row``, ``column`` (counted from 0, column ≤ row) and ``covariance``; pairs not listed are 0.
    size
        Number of measurements.
    unit
        Unit of the covariance; a column without unit is dimensionless.
    path
        File of the table, for messages.

    Raises
    ------
    InputError
        If a column is missing, or an entry is not finite, outside the matrix, above the diagonal, or listed
        twice; the message gives the line.
    """
    row, column = (np.asarray(table_column(table, name, path), dtype=np.int64) for name in ("row", "column"))
    values = column_values(table, "covariance", unit, path)
    matrix = np.zeros((size, size))
    seen: set[tuple[int, int]] = set()
    for i, j, value in zip(row.tolist(), column.tolist(), values.tolist(), strict=True):
        if not 0 <= j <= i < size:
            raise InputError(
                f"{path}: covariance of row {i}, column {j} is outside the lower triangle of {size} x {size}; "
                "count rows from 0 and list each pair once with column <= row"
            )
        if (i, j) in seen:
            raise InputError(f"{path}: covariance of row {i}, column {j} is listed twice; keep one")
        seen.add((i, j))
        matrix[i, j] = matrix[j, i] = value
    return matrix


def shared_systematics(table: Table, z: Array, hubble: Array, correlated: NDArray[np.bool_], path: Path) -> Array:
    """Return the covariance that chronometers share through stellar physics, in (km/s/Mpc)².

    Moresco et al. 2020 (ApJ 898, 82): H_i H_j (imf_i imf_j + sps_i sps_j), with the fractional errors from the
    initial mass function and the stellar population model interpolated linearly in redshift, constant outside
    the table, and zero for points that are not `correlated`.

    Parameters
    ----------
    table
        Columns ``z``, ``imf`` and ``sps``, the latter two in per cent.
    z, hubble, correlated
        Redshift, H [km/s/Mpc] and whether the point takes part, shape [m].
    path
        File of the table, for messages.
    """
    nodes = column_values(table, "z", u.dimensionless_unscaled, path)
    total = np.zeros((len(z), len(z)))
    for name in ("imf", "sps"):
        fraction = np.interp(z, nodes, column_values(table, name, u.dimensionless_unscaled, path))
        error = np.where(correlated, hubble * fraction, 0.0)
        total += np.outer(error, error)
    return total


def check_positive_definite(covariance: Array, path: Path) -> None:
    """Raise InputError, naming the weakest combination of rows, unless all eigenvalues are positive."""
    # Correlations rather than covariances, so that units and scales of the rows play no part.
    scale = np.sqrt(np.clip(np.diag(covariance), 1e-300, None))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    if values[0] <= 1e-12:
        rows = ", ".join(str(i) for i in np.argsort(-np.abs(vectors[:, 0]))[:3])
        raise InputError(
            f"{path}: the covariance is not positive definite (smallest eigenvalue of the correlation matrix "
            f"{values[0]:.2g}, mostly in rows {rows}); check for a repeated row, a correlation beyond 1, "
            "or a missing diagonal"
        )


def table_column(table: Table, name: str, path: Path) -> NDArray[np.generic]:
    """Return one column as an array; raise InputError if it is absent or has masked entries."""
    if name not in table.colnames:
        raise InputError(f"{path}: no column {name!r}; the file has {', '.join(table.colnames)}")
    column = table[name]
    masked = np.flatnonzero(np.asarray(getattr(column, "mask", np.zeros(len(column), bool))))
    if masked.size:
        raise InputError(f"{path}: row {masked[0]} has no {name!r}; fill it in or remove the row")
    return np.asarray(column)


def column_values(table: Table, name: str, unit: u.UnitBase, path: Path) -> Array:
    """Return one column as finite floats in `unit`; raise InputError naming the row or the unit at fault."""
    raw = table_column(table, name, path)
    given = u.Unit(table[name].unit) if table[name].unit is not None else u.dimensionless_unscaled
    try:
        factor = float(given.to(unit))
    except (u.UnitConversionError, ValueError) as error:  # ValueError: a unit that astropy does not know
        said = given.to_string() or "no unit"
        raise InputError(f"{path}: column {name!r} is in {said}, needs {unit.to_string()}") from error
    try:
        values = np.asarray(raw, dtype=np.float64) * factor
    except ValueError as error:
        raise InputError(f"{path}: column {name!r} must hold numbers: {error}") from error
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise InputError(f"{path}: row {bad[0]} has {name} = {values[bad[0]]}; correct or remove the row")
    return values
