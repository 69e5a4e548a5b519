"""Join the catalogs of chunks into one: rows in order of their id, so that the cut leaves no trace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.table import QTable, vstack

from astropipe.artifacts.provenance import Provenance
from astropipe.artifacts.reader import open_artifact
from astropipe.artifacts.schemas import schema
from astropipe.artifacts.validation import CATALOG
from astropipe.artifacts.writer import create_artifact
from astropipe.runtime.errors import InputError


def merge(paths: Sequence[Path], output: Path) -> int:
    """Write the rows of several catalogs of one kind as one catalog, sorted by ``id`` where there is one.

    Artifacts that hold more than their table are refused.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    InputError
        If there is nothing to merge, the kinds or titles differ, or an id occurs twice.
    """
    if not paths:
        raise InputError("there is nothing to merge; give the chunk files")
    tables, kinds, titles = [], [], []
    for path in paths:
        with open_artifact(path) as artifact:
            if artifact.schema.datasets:
                raise InputError(
                    f"{path} is a {artifact.kind} artifact, which is more than a table; merge takes catalogs"
                )
            kinds.append(artifact.kind)
            titles.append(artifact.title)
            tables.append(artifact.table())
    for path, kind, title in zip(paths, kinds, titles, strict=True):
        if (kind, title) != (kinds[0], titles[0]):
            raise InputError(
                f"{path} ({kind}: {title}) does not belong with {paths[0]} ({kinds[0]}: {titles[0]}); "
                "merge the chunks of one catalog only"
            )
    for path, table in zip(paths, tables, strict=True):
        if different := sorted(_column_units(table) ^ _column_units(tables[0])):
            raise InputError(
                f"{path} and {paths[0]} differ in column {different[0][0]} or its unit; "
                "merge the chunks of one catalog only"
            )
    table = vstack(tables, metadata_conflicts="silent")
    if "id" in table.colnames:
        ids, counts = np.unique(table["id"], return_counts=True)
        if np.any(counts > 1):
            raise InputError(f"id {ids[counts > 1][0]} occurs in more than one chunk; give each chunk once")
        table = table[np.argsort(table["id"], kind="stable")]
    provenance = Provenance.collect(f"astropipe merge {' '.join(path.name for path in paths)}", {}, inputs=paths)
    with create_artifact(output, schema(kinds[0]).kind, title=titles[0], provenance=provenance) as artifact_writer:
        artifact_writer.write_table(table, CATALOG)
    return len(table)


def _column_units(table: QTable) -> set[tuple[str, str]]:
    return {(name, str(table[name].unit or "")) for name in table.colnames}
