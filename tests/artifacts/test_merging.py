"""Merging: the result does not show how the work was cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.table import Column, MaskedColumn, QTable, vstack
from small import Write, table

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.artifacts.merging import merge
from astropipe.artifacts.verification import verify
from astropipe.runtime.errors import InputError
from astropipe.runtime.run import Chunk


@pytest.fixture
def rows() -> QTable:
    """A catalog with masked integers, NaN and text whose width differs from row to row."""
    full = table("triples-catalog", 50)
    bound = np.arange(50) % 7 > 0
    full["escaper"] = MaskedColumn(np.arange(50) % 3, mask=bound)
    full["semi_major_axis"][::5] = np.nan
    full["family"] = Column(["Ω" * (1 + number % 4) for number in range(50)])
    return full


def _write(path: Path, part: QTable, provenance: Provenance, title: str = "t") -> Path:
    # Text columns as a stage makes them from the rows of its chunk: as wide as these need.
    part = QTable(
        {name: Column(part[name].tolist()) if part[name].dtype.kind == "U" else part[name] for name in part.colnames}
    )
    with create_artifact(path, "triples-catalog", title=title, provenance=provenance) as artifact:
        artifact.write_table(part)
    return path


def test_the_content_does_not_depend_on_the_cut(folder: Path, rows: QTable, provenance: Provenance) -> None:
    hashes = set()
    for count in (1, 3, 7):
        parts = [
            _write(folder / f"{i}-of-{count}.h5", rows[Chunk(i, count).rows(50)], provenance)
            for i in range(1, count + 1)
        ]
        # In whatever order the shell names them.
        assert merge(sorted(parts), folder / "all.h5") == 50
        with open_artifact(folder / "all.h5") as artifact:
            found = artifact.table()
            hashes.add(artifact.content_sha256)
    assert len(hashes) == 1
    assert found["id"].tolist() == list(range(50))
    assert found["family"].tolist() == rows["family"].tolist()
    assert found["escaper"].tolist() == rows["escaper"].tolist()
    np.testing.assert_array_equal(found["semi_major_axis"], rows["semi_major_axis"])
    assert verify([folder / "all.h5"])[-1].state == "ok" and len(verify([folder / "all.h5"])) == 8


def test_an_uncut_catalog_equals_a_merged_one(folder: Path, rows: QTable, provenance: Provenance) -> None:
    whole = _write(folder / "whole.h5", rows, provenance)
    merge(
        [_write(folder / "b.h5", rows[20:], provenance), _write(folder / "a.h5", rows[:20], provenance)],
        folder / "m.h5",
    )
    with open_artifact(whole) as first, open_artifact(folder / "m.h5") as second:
        assert first.content_sha256 == second.content_sha256


def test_an_id_given_twice_is_refused(folder: Path, rows: QTable, provenance: Provenance) -> None:
    parts = [_write(folder / "a.h5", rows[:20], provenance), _write(folder / "b.h5", rows[19:], provenance)]
    with pytest.raises(InputError, match="id 19 occurs in more than one chunk"):
        merge(parts, folder / "m.h5")
    assert not (folder / "m.h5").exists()


def test_other_kinds_and_titles_are_refused(folder: Path, rows: QTable, provenance: Provenance, minimal: Write) -> None:
    first = _write(folder / "a.h5", rows[:20], provenance)
    for other in (minimal(folder / "b.h5", "metrics"), _write(folder / "c.h5", rows[20:], provenance, "other")):
        with pytest.raises(InputError, match="does not belong with"):
            merge([first, other], folder / "m.h5")


def test_other_units_and_columns_are_refused(folder: Path, rows: QTable, provenance: Provenance) -> None:
    first = _write(folder / "a.h5", rows[:20], provenance)
    n_body_units, more = rows[20:].copy(), rows[20:].copy()
    for name in (name for name in rows.colnames if rows[name].unit):
        n_body_units[name] = n_body_units[name].value * units.dimensionless_unscaled
    more["extra"] = 1.0
    for other in (_write(folder / "b.h5", n_body_units, provenance), _write(folder / "c.h5", more, provenance)):
        with pytest.raises(InputError, match=rf"{other.name}.*column"):
            merge([first, other], folder / "m.h5")


@pytest.mark.parametrize("kind", ["systems", "posterior", "cluster-snapshots"])
def test_what_is_more_than_a_table_is_refused(kind: str, folder: Path, minimal: Write) -> None:
    with pytest.raises(InputError, match="more than a table"):
        merge([minimal(folder / "a.h5", kind)], folder / "m.h5")


def test_nothing_to_merge_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="nothing to merge"):
        merge([], folder / "m.h5")


def test_rows_without_ids_keep_the_order_of_the_files(folder: Path, minimal: Write) -> None:
    paths = [minimal(folder / "b.h5", "metrics", rows=2), minimal(folder / "a.h5", "metrics", rows=3)]
    merge(paths, folder / "m.h5")
    with open_artifact(folder / "m.h5") as artifact:
        expected = vstack([table("metrics", 2), table("metrics", 3)])
        assert artifact.table()["subject"].tolist() == expected["subject"].tolist()
