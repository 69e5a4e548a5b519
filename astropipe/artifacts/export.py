"""Artifacts in the formats of other tools: FITS, VOTable, CSV, ECSV, Markdown, GetDist, ArviZ netCDF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from astropy.table import Column, MaskedColumn, QTable, Table

from astropipe.artifacts.reader import Artifact, open_artifact
from astropipe.artifacts.storage import writable_hdf5
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.files import replacing

_TABLES = {
    "fits": (".fits", {"format": "fits"}),
    "votable": (".vot", {"format": "votable"}),
    "csv": (".csv", {"format": "ascii.csv"}),
    "ecsv": (".ecsv", {"format": "ascii.ecsv"}),
}
POSTERIOR = "posterior"


def export(
    path: Path, to: str, output: Path | None = None, *, table: str = "catalog", force: bool = False
) -> list[Path]:
    """Write an artifact in another format.

    Parameters
    ----------
    path : Path
        The artifact.
    to : {"fits", "votable", "csv", "ecsv", "markdown", "getdist", "arviz"}
        The format. The last two need a posterior; a posterior's draws are reached with ``table="posterior"``.
    output : Path, optional
        The file to write, its folder made where it does not exist; default: the artifact's name with another ending,
        beside it. For ``getdist`` the root of ``.txt``, ``.paramnames`` and ``.ranges``.
    table : str
        Path of the table in the artifact, or ``"posterior"`` for the draws.
    force : bool
        Replace existing files.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UsageError
        If the format is unknown or the output exists.
    InputError
        If the artifact has no such table or is no posterior.
    OutputError
        If a file cannot be written.
    """
    writers: dict[str, tuple[str, Callable[[Artifact, Path], list[Path]]]] = {
        **{name: (ending, _table_writer(table, options)) for name, (ending, options) in _TABLES.items()},
        "markdown": (".md", _markdown_writer(table)),
        "getdist": ("", _getdist),
        "arviz": (".nc", _arviz),
    }
    if to not in writers:
        raise UsageError(f"cannot export to {to!r}; the formats are {', '.join(writers)}")
    ending, write = writers[to]
    output = output or path.with_suffix(ending)
    for target in _targets(output, to):
        if target.resolve() == path.resolve():
            raise UsageError(f"{target} is the artifact itself; choose another --output")
        if target.exists() and not force:
            raise UsageError(f"{target} exists already; use --force to replace it, or choose another --output")
    with open_artifact(path) as artifact:
        if to in ("getdist", "arviz") and artifact.kind != POSTERIOR:
            raise InputError(f"{path} is a {artifact.kind} artifact; {to} takes a posterior")
        return write(artifact, output)


def _targets(output: Path, to: str) -> list[Path]:
    if to != "getdist":
        return [output]
    return [output.with_name(output.name + ending) for ending in (".txt", ".paramnames", ".ranges")]


def _read_table(artifact: Artifact, path: str) -> QTable:
    if path == POSTERIOR and artifact.kind == POSTERIOR:
        return posterior_draws(artifact)
    if path not in artifact.file or f"{path}.__table_column_meta__" not in artifact.file:
        raise InputError(
            f"{artifact.path} has no table {path!r}; a {artifact.kind} artifact keeps its data in arrays "
            "(astropipe inspect shows them), which h5py and astropipe.artifacts.open_artifact read"
        )
    return artifact.table(path)


def posterior_draws(artifact: Artifact) -> QTable:
    """Return the equal-weight draws of a posterior as a table, one column a parameter."""
    names = [str(name) for name in artifact.table()["parameter"]]
    return QTable({name: np.ravel(artifact.array(f"posterior/{name}")) for name in names})


def _table_writer(table: str, options: dict[str, str]) -> Callable[[Artifact, Path], list[Path]]:
    def write(artifact: Artifact, output: Path) -> list[Path]:
        columns = _read_table(artifact, table)
        columns.meta = {"TITLE": artifact.title, "SCHEMA": artifact.schema.id, "SHA256": artifact.content_sha256}
        if options["format"] == "fits":
            columns = _ascii(columns)
        with replacing(output) as partial:
            columns.write(partial, overwrite=True, **options)
        return [output]

    return write


def _ascii(table: QTable) -> QTable:
    """Return a table whose text FITS can hold, which knows ASCII only: others become their code points."""
    table.meta = {name: _escaped(text) for name, text in table.meta.items()}
    for name in table.colnames:
        if table[name].dtype.kind == "U":
            mask = getattr(table[name], "mask", None)
            texts = [_escaped(text) for text in np.asarray(table[name]).tolist()]
            table[name] = Column(texts, dtype=str) if mask is None else MaskedColumn(texts, dtype=str, mask=mask)
    return table


def _escaped(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _markdown_writer(table: str) -> Callable[[Artifact, Path], list[Path]]:
    def write(artifact: Artifact, output: Path) -> list[Path]:
        with replacing(output) as partial:
            partial.write_text(markdown_table(_read_table(artifact, table)), encoding="utf-8")
        return [output]

    return write


def markdown_table(table: Table) -> str:
    """Return a table as Markdown, units in the head, numbers to 5 significant digits, NaN as an empty cell."""
    units = {name: getattr(table[name], "unit", None) for name in table.colnames}
    head = [f"{name} [{units[name]}]" if units[name] else name for name in table.colnames]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in zip(*(np.ma.asarray(table[name].value) for name in table.colnames), strict=True):
        lines.append(f"| {' | '.join(_cell(value) for value in row)} |")
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if np.ma.is_masked(value):
        return ""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.5g}"
    return str(value).replace("|", "\\|")


def _getdist(artifact: Artifact, output: Path) -> list[Path]:
    """Weighted samples in GetDist's text form: weight, -ln L, parameters."""
    table = artifact.table()
    sampled = table[table["sampled"]]
    log_weights = artifact.array("nested/log_weights")
    weights = np.exp(log_weights - log_weights.max())
    rows = np.column_stack([weights, -artifact.array("nested/log_likelihoods"), artifact.array("nested/samples")])
    names = "".join(f"{row['parameter']}\t{row['latex']}\n" for row in sampled)
    ranges = "".join(f"{row['parameter']} {_bound(row['prior_low'])} {_bound(row['prior_high'])}\n" for row in sampled)
    chain, paramnames, limits = _targets(output, "getdist")
    with replacing(chain) as partial:
        # Rows whose weight has underflowed to 0 carry nothing, and GetDist refuses them.
        np.savetxt(partial, rows[weights > 0], fmt="%.10g")
    for target, text in ((paramnames, names), (limits, ranges)):
        with replacing(target) as partial:
            partial.write_text(text, encoding="utf-8")
    return [chain, paramnames, limits]


def _bound(value: float) -> str:
    return f"{value:.10g}" if np.isfinite(value) else "N"


def _copy_with_dimensions(source: h5py.Group, target: h5py.Group) -> None:
    """Copy datasets whose axes are named by scales of their own group; copied references would point nowhere."""
    for name, dataset in source.items():
        copy = target.create_dataset(name, data=dataset[()])
        for key in ("units", "description"):
            if key in dataset.attrs:
                copy.attrs[key] = dataset.attrs[key]
    for name, dataset in source.items():
        if dataset.is_scale:
            target[name].make_scale(name)
            continue
        for axis, scales in enumerate(dataset.dims):
            target[name].dims[axis].attach_scale(target[scales[0].name.rpartition("/")[2]])


def _arviz(artifact: Artifact, output: Path) -> list[Path]:
    """Copy the groups that ArviZ knows to a file of their own: netCDF-4 is HDF5 with named dimensions."""
    with replacing(output) as partial, writable_hdf5(partial, "w") as target:
        for group in (POSTERIOR, "sample_stats"):
            _copy_with_dimensions(artifact.file[group], target.create_group(group))
    return [output]
