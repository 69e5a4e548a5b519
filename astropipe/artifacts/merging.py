"""Join the catalogs of chunks into one: rows in order of their id, so that the cut leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy.table import QTable, vstack

from astropipe.artifacts.provenance import Provenance
from astropipe.artifacts.reader import open_artifact, reading
from astropipe.artifacts.validation import CATALOG
from astropipe.artifacts.writer import create_artifact
from astropipe.runtime.errors import ArtifactError, InputError, UsageError
from astropipe.runtime.run import Chunk, names_of

_BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class _Part:
    """The catalog of one chunk, the names and shapes of arrays with a row for each of its rows, and its attributes."""

    path: Path
    kind: str
    title: str
    provenance: Provenance
    chunk: Chunk
    table: QTable
    arrays: dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
    attributes: dict[str, dict[str, Any]]


def merge(paths: Sequence[Path], output: Path) -> int:
    """Write the rows of the catalogs of all chunks of one run as one catalog.

    A catalog alone is sorted by ``id`` where there is one. With arrays that have a row for each of its rows it stays in
    the order of the chunks, which is that of their input.

    The provenance of the result has configuration, seed, citations and inputs of the chunks, and the chunks
    as further inputs. The order in which the files are named does not matter.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    InputError
        If there is nothing to merge, a file holds arrays of other axes than the rows of its table, the
        files differ in what they hold or in
        configuration, seed or input, a chunk is missing or given twice, or an id occurs twice.
    """
    if not paths:
        raise InputError("there is nothing to merge; give the chunk files")
    parts = sorted((_read(path) for path in paths), key=lambda part: part.chunk.index)
    first = parts[0]
    for part in parts[1:]:
        _check_belongs(part, first)
    _check_complete(parts)
    table = vstack([part.table for part in parts], metadata_conflicts="silent")
    if not first.arrays:
        table = _sorted_by_id(table)
    inputs = [part.path for part in parts]
    command = " ".join(["astropipe", "merge", *names_of(inputs)])
    origin = replace(first.provenance, inputs=first.provenance.shared_inputs)
    provenance = Provenance.derived(command, origin, inputs=inputs)
    with create_artifact(output, first.kind, title=first.title, provenance=provenance) as artifact:
        artifact.write_table(table, CATALOG)
        for name, (shape, dtype) in first.arrays.items():
            _join(artifact.create_array(name, (len(table), *shape), dtype), name, parts)
        for group, values in first.attributes.items():
            artifact.write_attributes(group, values)
    return len(table)


def _read(path: Path) -> _Part:
    with open_artifact(path) as artifact:
        schema = artifact.schema
        present = [field for field in schema.datasets if field.name in artifact.file]
        if not schema.columns or any(field.dims[:1] != (schema.rows,) for field in schema.datasets):
            raise InputError(f"{path} is a {artifact.kind} artifact, which is more than a table; merge takes catalogs")
        arrays = {
            field.name: (artifact.file[field.name].shape[1:], artifact.file[field.name].dtype) for field in present
        }
        provenance = artifact.provenance
        try:
            chunk = Chunk.parse(provenance.chunk) if provenance.chunk else Chunk()
        except UsageError as error:
            raise ArtifactError(f"{path}: its provenance names no valid chunk ({error}); make it again") from error
        groups = {field.name.partition("@")[0] for field in schema.attributes}
        attributes = {group: artifact.attributes(group) for group in sorted(groups) if group in artifact.file}
        return _Part(path, artifact.kind, artifact.title, provenance, chunk, artifact.table(), arrays, attributes)


def _join(joined: h5py.Dataset, name: str, parts: Sequence[_Part]) -> None:
    """Fill an array with those of the parts, block by block."""
    start = 0
    for part in parts:
        with open_artifact(part.path) as artifact, reading(part.path, f"{name!r} is"):
            dataset = artifact.file[name]
            step = max(1, _BLOCK_BYTES // max(1, dataset.dtype.itemsize * int(np.prod(dataset.shape[1:]))))
            for row in range(0, len(dataset), step):
                block = dataset[row : row + step]
                joined[start : start + len(block)] = block
                start += len(block)


def _check_belongs(part: _Part, first: _Part) -> None:
    """Refuse a catalog that is no chunk of the run of another."""
    here, there = _common(part), _common(first)
    for what in {**there, **here}:
        if (one := here.get(what, "absent")) != (other := there.get(what, "absent")):
            raise InputError(
                f"{part.path} does not belong with {first.path}: {what} is {one} in the first and {other} in the "
                "second; merge the chunks of one run only"
            )


def _common(part: _Part) -> dict[str, str]:
    """Return what all chunks of one run have in common, by its name in messages."""
    inputs = enumerate(part.provenance.shared_inputs, start=1)
    return {
        "the kind": part.kind,
        "the title": repr(part.title),
        "the seed": str(part.provenance.seed),
        "the number of chunks": str(part.chunk.count),
        "the list of attributes": str(part.attributes),
        "the list of arrays": ", ".join(part.arrays) or "none",
        **{f"the setting {key}": value for key, value in _flat(part.provenance.config)},
        **{f"the content hash of input {number}": record.sha256 for number, record in inputs},
        **{f"the unit of column {name}": str(part.table[name].unit or "none") for name in part.table.colnames},
    }


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings of a nested configuration by their path, ``nbody.integrate.mu``."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif path:
        yield path, json.dumps(value, ensure_ascii=False)


def _check_complete(parts: Sequence[_Part]) -> None:
    """Refuse chunks that are not each part of the rows exactly once; they are in order of their index."""
    for one, other in pairwise(parts):
        if one.chunk == other.chunk:
            what = "all rows" if one.chunk.count == 1 else f"chunk {one.chunk}"
            raise InputError(f"{one.path} and {other.path} both hold {what} of the run; give each chunk once")
    count = parts[0].chunk.count
    if missing := sorted(set(range(1, count + 1)) - {part.chunk.index for part in parts}):
        named = ", ".join(str(Chunk(index, count)) for index in missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise InputError(
            f"{len(missing)} of the {count} chunks are missing: {named}; {parts[0].path} is {parts[0].chunk}. "
            "Make them with --chunk and give the files of all chunks"
        )


def _sorted_by_id(table: QTable) -> QTable:
    if "id" not in table.colnames:
        return table
    ids, counts = np.unique(table["id"], return_counts=True)
    if np.any(counts > 1):
        raise InputError(f"id {ids[counts > 1][0]} occurs in more than one chunk; give the chunks of one run only")
    return table[np.argsort(table["id"], kind="stable")]
