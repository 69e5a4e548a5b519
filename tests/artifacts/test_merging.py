"""Merging: the result does not show how the work was cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy import units
from astropy.table import Column, MaskedColumn, QTable
from small import Write, table

from astropipe.artifacts import InputRecord, Provenance, create_artifact, open_artifact
from astropipe.artifacts.citations import citations
from astropipe.artifacts.merging import merge
from astropipe.artifacts.verification import verify
from astropipe.runtime.errors import ArtifactError, InputError
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


@pytest.fixture
def origin(folder: Path, provenance: Provenance, minimal: Write) -> Provenance:
    """Where the uncut catalog comes from."""
    systems = InputRecord.of(minimal(folder / "systems.h5", "systems"))
    return replace(provenance, inputs=(systems,), citations=("Makino1992",))


def _write(path: Path, part: QTable, origin: Provenance, chunk: str = "", title: str = "t") -> Path:
    # Text columns as a stage makes them from the rows of its chunk: as wide as these need.
    part = QTable(
        {name: Column(part[name].tolist()) if part[name].dtype.kind == "U" else part[name] for name in part.colnames}
    )
    with create_artifact(path, "triples-catalog", title=title, provenance=replace(origin, chunk=chunk)) as artifact:
        artifact.write_table(part)
    return path


def _cut(folder: Path, rows: QTable, origin: Provenance, count: int) -> list[Path]:
    chunks = [Chunk(index, count) for index in range(1, count + 1)]
    return [
        _write(folder / f"{one.index}-of-{count}.h5", rows[one.rows(len(rows))], origin, str(one)) for one in chunks
    ]


def test_the_content_does_not_depend_on_the_cut(folder: Path, rows: QTable, origin: Provenance) -> None:
    hashes = set()
    for count in (1, 3, 12):
        assert merge(_cut(folder, rows, origin, count), folder / "all.h5") == 50
        with open_artifact(folder / "all.h5") as artifact:
            found = artifact.table()
            hashes.add(artifact.content_sha256)
    with open_artifact(_write(folder / "whole.h5", rows, origin)) as uncut:
        assert hashes == {uncut.content_sha256}
    assert found["id"].tolist() == list(range(50))
    assert found["family"].tolist() == rows["family"].tolist()
    assert found["escaper"].tolist() == rows["escaper"].tolist()
    np.testing.assert_array_equal(found["semi_major_axis"], rows["semi_major_axis"])


def test_the_order_of_the_files_does_not_change_a_byte(folder: Path, rows: QTable, origin: Provenance) -> None:
    parts = _cut(folder, rows, origin, 3)
    merge(parts, folder / "a.h5")
    for order in (parts[::-1], [parts[1], parts[0], parts[2]]):
        merge(order, folder / "b.h5")
        assert (folder / "a.h5").read_bytes() == (folder / "b.h5").read_bytes()


def test_the_result_knows_what_its_chunks_knew(folder: Path, rows: QTable, origin: Provenance) -> None:
    parts = _cut(folder, rows, origin, 2)
    merge(parts, folder / "all.h5")
    with open_artifact(folder / "all.h5") as artifact:
        found = artifact.provenance
    assert (found.config, found.seed, found.citations) == (origin.config, 7, ("Makino1992",))
    assert found.inputs == (*origin.inputs, *(InputRecord.of(part) for part in parts))
    assert found.chunk == "" and found.command == "astropipe merge 1-of-2.h5 2-of-2.h5"
    assert "Makino1992" in citations([folder / "all.h5"])
    assert [finding.state for finding in verify([folder / "all.h5"])] == ["ok"] * 4
    for part in parts:
        part.unlink()
    assert "Makino1992" in citations([folder / "all.h5"]), "also where the chunks are gone"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2, 4], r"1 of the 4 chunks are missing: 3/4; .*1-of-4\.h5 is 1/4"),
        ([2], r"3 of the 4 chunks are missing: 1/4, 3/4, 4/4"),
        ([1, 2, 2, 3, 4], r"2-of-4\.h5 and .*2-of-4\.h5 both hold chunk 2/4"),
    ],
)
def test_a_set_with_gaps_or_doubles_is_refused(
    given: list[int], message: str, folder: Path, rows: QTable, origin: Provenance
) -> None:
    parts = _cut(folder, rows, origin, 4)
    with pytest.raises(InputError, match=message):
        merge([parts[index - 1] for index in given], folder / "all.h5")
    assert not (folder / "all.h5").exists()


def test_chunks_of_different_cuts_are_refused(folder: Path, rows: QTable, origin: Provenance) -> None:
    of_two, of_three = _cut(folder, rows, origin, 2), _cut(folder, rows, origin, 3)
    with pytest.raises(InputError, match="the number of chunks is 3 in the first and 2 in the second"):
        merge([of_two[0], of_three[1], of_three[2]], folder / "all.h5")


def test_two_uncut_catalogs_are_refused(folder: Path, rows: QTable, origin: Provenance) -> None:
    parts = [_write(folder / "a.h5", rows[:20], origin), _write(folder / "b.h5", rows[20:], origin)]
    with pytest.raises(InputError, match="both hold all rows of the run"):
        merge(parts, folder / "all.h5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"test": {"key": 2.5, "name": "Ω"}}}, "the setting test.key is 2.5 in the first and 1.5"),
        ({"config": {"test": {"name": "Ω"}}}, "the setting test.key is absent in the first and 1.5"),
        ({"config": {"test": {"key": 1.5, "name": "Ω", "more": None}}}, "test.more is null in the first and absent"),
        ({"seed": 8}, "the seed is 8 in the first and 7 in the second"),
        (
            {"inputs": (InputRecord("systems.h5", "astropipe.systems", "f" * 64),)},
            "the content hash of input 1 is ffff",
        ),
        ({"inputs": ()}, "the content hash of input 1 is absent in the first"),
    ],
)
def test_chunks_of_other_runs_are_refused(
    change: dict[str, Any], message: str, folder: Path, rows: QTable, origin: Provenance
) -> None:
    parts = _cut(folder, rows, origin, 2)
    other = _write(folder / "other.h5", rows[25:], replace(origin, **change), "2/2")
    with pytest.raises(InputError, match=rf"other\.h5 does not belong with .*1-of-2\.h5: .*{message}"):
        merge([other, parts[0]], folder / "all.h5")


def test_an_input_under_another_name_is_the_same_input(folder: Path, rows: QTable, origin: Provenance) -> None:
    renamed = replace(origin, inputs=(replace(origin.inputs[0], name="copy.h5"),))
    parts = [_write(folder / "a.h5", rows[:20], origin, "1/2"), _write(folder / "b.h5", rows[20:], renamed, "2/2")]
    assert merge(parts, folder / "all.h5") == 50


def test_an_id_given_twice_is_refused(folder: Path, rows: QTable, origin: Provenance) -> None:
    parts = [_write(folder / "a.h5", rows[:20], origin, "1/2"), _write(folder / "b.h5", rows[19:], origin, "2/2")]
    with pytest.raises(InputError, match="id 19 occurs in more than one chunk"):
        merge(parts, folder / "m.h5")
    assert not (folder / "m.h5").exists()


def test_a_chunk_that_is_none_is_refused(folder: Path, rows: QTable, origin: Provenance) -> None:
    with pytest.raises(ArtifactError, match=r"a\.h5: its provenance names no valid chunk.*'5/4'"):
        merge([_write(folder / "a.h5", rows, origin, "5/4")], folder / "m.h5")


def test_a_file_that_records_no_chunk_holds_all_rows(folder: Path, rows: QTable, origin: Provenance) -> None:
    """Artifacts written before it was recorded have no such attribute."""
    path = _write(folder / "a.h5", rows, origin)
    with h5py.File(path, "r+") as file:
        del file["provenance"].attrs["chunk"]
    assert merge([path], folder / "m.h5") == 50


def test_other_kinds_and_titles_are_refused(folder: Path, rows: QTable, origin: Provenance, minimal: Write) -> None:
    first = _write(folder / "a.h5", rows[:20], origin, "1/2")
    for other in (minimal(folder / "b.h5", "metrics"), _write(folder / "c.h5", rows[20:], origin, "2/2", "other")):
        with pytest.raises(InputError, match=r"does not belong with .* the (kind|title) is"):
            merge([first, other], folder / "m.h5")


def test_other_units_and_columns_are_refused(folder: Path, rows: QTable, origin: Provenance) -> None:
    first = _write(folder / "a.h5", rows[:20], origin, "1/2")
    n_body_units, more = rows[20:].copy(), rows[20:].copy()
    for name in (name for name in rows.colnames if rows[name].unit):
        n_body_units[name] = n_body_units[name].value * units.dimensionless_unscaled
    more["extra"] = 1.0
    for other in (_write(folder / "b.h5", n_body_units, origin, "2/2"), _write(folder / "c.h5", more, origin, "2/2")):
        with pytest.raises(InputError, match=rf"{other.name}.*column"):
            merge([first, other], folder / "m.h5")


@pytest.mark.parametrize("kind", ["posterior", "cluster-snapshots"])
def test_what_is_more_than_a_table_is_refused(kind: str, folder: Path, minimal: Write) -> None:
    with pytest.raises(InputError, match="more than a table"):
        merge([minimal(folder / "a.h5", kind)], folder / "m.h5")


def test_nothing_to_merge_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="nothing to merge"):
        merge([], folder / "m.h5")


def test_rows_without_ids_keep_the_order_of_the_chunks(folder: Path, origin: Provenance) -> None:
    paths = []
    for index, name in ((1, "b.h5"), (2, "a.h5")):
        paths.append(folder / name)
        with create_artifact(
            folder / name, "metrics", title="t", provenance=replace(origin, chunk=f"{index}/2")
        ) as artifact:
            part = table("metrics", 2)
            part["subject"] = [f"{index}.1", f"{index}.2"]
            artifact.write_table(part)
    merge(sorted(paths), folder / "m.h5")
    with open_artifact(folder / "m.h5") as artifact:
        assert artifact.table()["subject"].tolist() == ["1.1", "1.2", "2.1", "2.2"]
