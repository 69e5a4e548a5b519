"""`inspect`: what an artifact holds, as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py

from astropipe.artifacts.attributes import attributes, text_attribute
from astropipe.artifacts.hashing import PROVENANCE
from astropipe.artifacts.reader import Artifact, open_artifact
from astropipe.artifacts.validation import CATALOG, column_units


def describe(path: Path) -> str:
    """Return kind, title, table columns, datasets, attributes and provenance of an artifact, one line each."""
    with open_artifact(path) as artifact:
        return "\n".join(_lines(artifact))


def _lines(artifact: Artifact) -> Iterator[str]:
    file = artifact.file
    yield f"{artifact.path}: {artifact.title}"
    yield f"  kind        {artifact.kind} {text_attribute(file, 'schema_version')} ({artifact.schema.description})"
    yield f"  content     {artifact.content_sha256}"
    yield from _table_lines(artifact)
    yield from _dataset_lines(artifact)
    for path, item in file.items():
        if path != PROVENANCE and isinstance(item, h5py.Group):
            yield from (f"  attribute   {path}@{name} = {value}" for name, value in artifact.attributes(path).items())
    provenance = artifact.provenance
    yield f"  command     {provenance.command}"
    if provenance.chunk:
        yield f"  chunk       {provenance.chunk}"
    yield f"  code        astropipe {provenance.astropipe_version} {provenance.git_commit}"
    yield from (f"  input       {record.name} ({record.schema}) {record.sha256}" for record in provenance.inputs)


def _table_lines(artifact: Artifact) -> Iterator[str]:
    if CATALOG not in artifact.file:
        return
    table = artifact.file[CATALOG]
    units = column_units(artifact.file)
    described = {field.name: field.description for field in artifact.schema.columns}
    yield f"  table       /{CATALOG}, {len(table)} rows"
    for name in table.dtype.names:
        if not name.endswith(".mask"):
            unit = f" [{units[name]}]" if units.get(name) else ""
            yield f"    {name}{unit}  {table.dtype[name]}  {described.get(name, '')}"


def _dataset_lines(artifact: Artifact) -> Iterator[str]:
    found: list[str] = []
    artifact.file.visititems(lambda path, item: found.append(path) if isinstance(item, h5py.Dataset) else None)
    for path in found:
        if path.split("/")[0] not in (PROVENANCE, CATALOG, f"{CATALOG}.__table_column_meta__"):
            dataset = artifact.file[path]
            about = attributes(dataset)
            unit = f" [{about['units']}]" if about.get("units") else ""
            text = about.get("description", "")
            yield f"  dataset     /{path}{unit}  {dataset.dtype} {dataset.shape}  {text}"
            for name, value in about.items():
                if name not in ("units", "description", "dims"):
                    yield f"  attribute   {path}@{name} = {value}"
