"""Posteriors next to published values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table

from astropipe.artifacts import Artifact, open_artifact

Row = tuple[str, str, float, float, str, float, float, float, str]
_COLUMNS = ("subject", "measure", "value", "error", "unit", "expected", "expected_error", "deviation", "source")


def compare(posteriors: Sequence[Path], published: Path) -> Table:
    """Return one row for each parameter of each posterior, and rows on the run itself.

    Parameters
    ----------
    posteriors : sequence of Path
        ``posterior`` artifacts.
    published : Path
        ECSV table with columns problem, parameter, value, error, origin, source.

    Returns
    -------
    Table
        Columns of a ``metrics`` artifact. ``deviation`` is (value - expected) in units of the expected error; for
        the evidence, of the quadratic sum of both errors.
    """
    expected = Table.read(published, format="ascii.ecsv")
    rows: list[Row] = []
    for path in posteriors:
        with open_artifact(path, "posterior") as artifact:
            rows += _rows(artifact, expected)
    return Table(rows=rows, names=_COLUMNS)


def _rows(artifact: Artifact, expected: Table) -> Iterator[Row]:
    run = artifact.attributes("nested")
    problem = str(run["problem"])
    subject = artifact.provenance.config.get("inference", {}).get("sample", {}).get("label") or problem
    if run.get("approximate", False):
        subject = f"{subject} ({run['method']}, approximate)"
    known = {row["parameter"]: row for row in expected[expected["problem"] == problem]}
    for row in artifact.table():
        name = str(row["parameter"])
        mean, sd = float(row["mean"]), float(row["sd"])
        value, error, source = _reference(known.get(name))
        deviation = (mean - value) / error
        yield subject, name, mean, sd, str(row["unit"]), value, error, deviation, source
    value, error, source = _reference(known.get("logz"))
    logz, logz_err = float(run["logz"]), float(run["logz_err"])
    deviation = (logz - value) / np.hypot(logz_err, error)
    yield subject, "logz", logz, logz_err, "", value, error, deviation, source
    for name in ("ess", "n_true_calls", "insertion_rank_p", "converged"):
        if name in run:
            yield subject, name, float(run[name]), np.nan, "", np.nan, np.nan, np.nan, ""


def _reference(row: Table.Row | None) -> tuple[float, float, str]:
    if row is None:
        return np.nan, np.nan, ""
    return float(row["value"]), float(row["error"]), f"{row['source']} ({row['origin']})"
