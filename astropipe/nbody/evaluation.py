"""The quality of a catalog of integrated systems, as numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from astropy.table import QTable

Row = tuple[str, float, float, str, float, float, str]


def quality(catalog: QTable, failure_energy_error: float) -> Iterator[Row]:
    """Yield the measures of a catalog: measure, value, error, unit, expected, expected error, source.

    Energy errors are absolute and relative; a fraction has the standard error of a binomial share.

    Parameters
    ----------
    catalog : QTable
        A ``triples-catalog``.
    failure_energy_error : float
        Energy error above which a system counts as failed; NaN counts as failed too.
    """
    error = np.abs(np.asarray(catalog["energy_error"]))
    cost = np.asarray(catalog["force_evaluations"], dtype=float)
    n = len(catalog)
    yield _row("systems", n)
    for share in (50, 90, 95, 99):
        yield _row(f"energy_error_p{share}", float(np.nanpercentile(error, share)))
    yield _row("failed_fraction", *_fraction(~(error <= failure_energy_error)))
    yield _row("angular_momentum_error_p99", float(np.nanpercentile(np.abs(catalog["angular_momentum_error"]), 99)))
    yield _row("force_evaluations_mean", float(cost.mean()), float(cost.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan)
    # An outcome reached with a wrong energy, or not reached at all, says nothing: shares are of the others.
    usable = np.isin(np.asarray(catalog["status"], dtype=str), ("ok", "escape"))
    yield _row("usable", *_fraction(usable))
    for column in ("outcome", "status"):
        for name in sorted(set(catalog[column])):
            rows = usable if column == "outcome" else np.ones(n, dtype=bool)
            if rows.any():
                yield _row(f"{column} {name}", *_fraction(np.asarray(catalog[column] == name)[rows]))


def _fraction(selected: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[float, float]:
    share = float(np.mean(selected))
    return share, float(np.sqrt(share * (1 - share) / len(selected)))


def _row(measure: str, value: float, error: float = np.nan) -> Row:
    return measure, value, error, "", np.nan, np.nan, ""
