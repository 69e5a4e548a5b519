"""Posteriors next to published values, to each other, to a reference run, and to the truth where data are simulated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts import Artifact, open_artifact
from astropipe.artifacts.hashing import canonical_json
from astropipe.artifacts.verification import Library
from astropipe.inference.agreement import agreement
from astropipe.inference.recovery import TRUTH, Recovered, recovery, true_values
from astropipe.runtime.scatter import scatter

Row = tuple[str, str, float, float, str, float, float, float, str]
_COLUMNS = ("subject", "measure", "value", "error", "unit", "expected", "expected_error", "deviation", "source")


@dataclass(frozen=True, eq=False)
class _Posterior:
    """What comparisons between posteriors need of one."""

    subject: str
    problem: str
    identity: str
    settings: str
    method: str
    content: str
    names: tuple[str, ...]
    samples: NDArray[np.float64]
    weights: NDArray[np.float64]
    logz: float
    logz_err: float
    ess: float
    converged: bool
    truth: dict[str, float]


def compare(posteriors: Sequence[Path], published: Path) -> Table:
    """Return rows for each posterior, for the runs of each problem together, and for each posterior beside a reference.

    The first run of a problem by a method is compared with published values; further seeds of it, with that run.
    Runs belong together that have the same problem, with its options and data files, and the same method; where two or
    more converged, their scatter in ln Z is compared with their errors. Emulated posteriors are compared with the
    exact one of the same problem that has most effective samples. A posterior of simulated data is compared with the
    truth of the simulation, which is found by the chain of its inputs, among the files given and in the folder of the
    posterior; where several of a problem converged, their coverage and bias follow.

    Parameters
    ----------
    posteriors : sequence of Path
        ``posterior`` artifacts, and artifacts that these were made from.
    published : Path
        ECSV table with columns problem, parameter, value, error, origin, source.

    Returns
    -------
    Table
        Columns of a ``metrics`` artifact. ``deviation`` is (value - expected) in units of the expected error; for
        the evidence, of the quadratic sum of both errors; for a truth, of the error of the posterior.
    """
    library = Library(posteriors, dict.fromkeys(path.parent for path in posteriors))
    expected = Table.read(published, format="ascii.ecsv")
    rows: list[Row] = []
    runs: list[_Posterior] = []
    for path in posteriors:
        with open_artifact(path) as artifact:
            if artifact.kind != "posterior":
                continue
            run = _posterior(artifact, true_values(path, library))
            first = all((run.identity, run.method) != (other.identity, other.method) for other in runs)
            rows += _rows(artifact, expected if first else expected[:0], run.truth)
            runs.append(run)
    if not runs:
        # Only what posteriors were made from: refused as any other kind is.
        with open_artifact(posteriors[0], "posterior"):
            pass
    # The same run given twice says nothing about scatter.
    runs = sorted({run.content: run for run in runs}.values(), key=lambda run: (run.identity, run.method))
    for _, same in groupby(runs, lambda run: (run.identity, run.method)):
        rows += _scatter_rows([run for run in same if run.converged])
    for _, same in groupby(runs, lambda run: run.identity):
        rows += _agreement_rows(list(same))
    for _, same in groupby(sorted(runs, key=lambda run: run.settings), lambda run: run.settings):
        rows += _recovery_rows([run for run in same if run.converged and run.truth])
    return Table(rows=rows, names=_COLUMNS)


def _rows(artifact: Artifact, expected: Table, truth: dict[str, float]) -> Iterator[Row]:
    run = artifact.attributes("nested")
    problem = str(run["problem"])
    subject = _subject(artifact, problem)
    known = {row["parameter"]: row for row in expected[expected["problem"] == problem]}
    for row in artifact.table():
        name = str(row["parameter"])
        mean, sd = float(row["mean"]), float(row["sd"])
        value, error, source = (truth[name], sd, TRUTH) if name in truth else _reference(known.get(name))
        deviation = (mean - value) / error
        yield subject, name, mean, sd, str(row["unit"]), value, error, deviation, source
    yield from _fact_rows(artifact, subject, truth)
    value, error, source = _reference(known.get("logz"))
    logz, logz_err = float(run["logz"]), float(run["logz_err"])
    deviation = (logz - value) / np.hypot(logz_err, error)
    yield subject, "logz", logz, logz_err, "", value, error, deviation, source
    for name in ("ess", "n_true_calls", "ess_per_call", "insertion_rank_p", "converged"):
        if name in run:
            yield _measured(subject, name, float(run[name]))


def _fact_rows(artifact: Artifact, subject: str, truth: dict[str, float]) -> Iterator[Row]:
    """Yield what a posterior records of simulated data that is no parameter, such as the purity of a selection."""
    if "truth" in artifact.file:
        source = str(artifact.attributes("truth").get("selection", TRUTH))
        parameters = set(artifact.table()["parameter"])
        yield from (_measured(subject, name, truth[name], source=source) for name in truth if name not in parameters)


def _scatter_rows(runs: Sequence[_Posterior]) -> Iterator[Row]:
    """Yield the scatter of ln Z over its quoted error, which should be 1, and the p-value of that."""
    if len(runs) < 2:
        return
    found = scatter(np.array([run.logz for run in runs]), np.array([run.logz_err for run in runs]))
    subject = f"{runs[0].problem}: {found.n} {runs[0].method} runs"
    yield _measured(subject, "logz_mean", found.mean)
    yield _measured(subject, "logz_scatter_over_error", found.ratio, found.ratio_err)
    yield _measured(subject, "logz_scatter_p", found.p_value)


def _agreement_rows(runs: Sequence[_Posterior]) -> Iterator[Row]:
    """Yield how each emulated posterior agrees with the exact one, parameter by parameter."""
    exact = [run for run in runs if run.method == "exact" and run.converged]
    if not exact:
        return
    reference = max(exact, key=lambda run: run.ess)
    source = f"{reference.subject}, exact, {reference.ess:.0f} effective samples"
    for run in runs:
        if run.method == "exact":
            continue
        for i, name in enumerate(run.names):
            found = agreement(run.samples[:, i], run.weights, reference.samples[:, i], reference.weights)
            yield _measured(run.subject, f"{name}_js", found.divergence, found.divergence_err, "nat", source)
            yield _measured(run.subject, f"{name}_js_noise", found.noise, np.nan, "nat", source)
            yield _measured(run.subject, f"{name}_shift", found.shift, np.nan, "sigma", source)
            yield _measured(run.subject, f"{name}_width_ratio", found.width_ratio, np.nan, "", source)


def _recovery_rows(runs: Sequence[_Posterior]) -> Iterator[Row]:
    """Yield coverage and bias over the posteriors of several simulations."""
    if len(runs) < 2:
        return
    names = runs[0].names
    recovered = [
        Recovered(run.samples, run.weights, np.array([run.truth.get(name, np.nan) for name in names])) for run in runs
    ]
    # Where all have one label, it tells them from other settings of the problem.
    labels = {run.subject for run in runs}
    name = labels.pop() if len(labels) == 1 else f"{runs[0].problem}, {runs[0].method}"
    subject = f"{name}: {len(runs)} posteriors of simulations"
    for measure, value, error, unit, expected, deviation in recovery(names, recovered):
        yield subject, measure, value, error, unit, expected, np.nan, deviation, TRUTH


def _measured(subject: str, measure: str, value: float, error: float = np.nan, unit: str = "", source: str = "") -> Row:
    return subject, measure, value, error, unit, np.nan, np.nan, np.nan, source


def _posterior(artifact: Artifact, truth: dict[str, float]) -> _Posterior:
    run, provenance, table = artifact.attributes("nested"), artifact.provenance, artifact.table()
    problem = str(run["problem"])
    options = provenance.config.get("inference", {}).get("sample", {}).get("options", {})
    data = sorted(record.sha256 for record in provenance.inputs)
    return _Posterior(
        subject=_subject(artifact, problem),
        problem=problem,
        identity=canonical_json([problem, options, data]),
        settings=canonical_json([problem, options, run["method"]]),
        method=str(run["method"]),
        content=artifact.content_sha256,
        names=tuple(str(name) for name in table["parameter"][np.asarray(table["sampled"])]),
        samples=artifact.array("nested/samples"),
        weights=np.exp(artifact.array("nested/log_weights")),
        logz=float(run["logz"]),
        logz_err=float(run["logz_err"]),
        ess=float(run["ess"]),
        converged=bool(run["converged"]),
        truth=truth,
    )


def _subject(artifact: Artifact, problem: str) -> str:
    label = artifact.provenance.config.get("inference", {}).get("sample", {}).get("label")
    run = artifact.attributes("nested")
    note = f" ({run['method']}, approximate)" if run.get("approximate", False) else ""
    return f"{label or problem}{note}"


def _reference(row: Table.Row | None) -> tuple[float, float, str]:
    if row is None:
        return np.nan, np.nan, ""
    return float(row["value"]), float(row["error"]), f"{row['source']} ({row['origin']})"
