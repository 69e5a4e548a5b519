"""Artifacts of older major versions: converted by a registered step, with the old file in the chain of the new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
from small import Write, table

from astropipe.artifacts import ArtifactWriter, open_artifact
from astropipe.artifacts import migration as module
from astropipe.artifacts.citations import citations
from astropipe.artifacts.hashing import canonical_json, content_digests, content_sha256
from astropipe.artifacts.migration import migrate, migration
from astropipe.artifacts.provenance import provenance_sha256, write_text
from astropipe.artifacts.reader import open_unchecked
from astropipe.artifacts.verification import verify
from astropipe.runtime.errors import ArtifactError


@pytest.fixture
def old(folder: Path, minimal: Write) -> Path:
    """A sound artifact of major version 0, as an earlier astropipe would have written it."""
    path = minimal(folder / "old.h5", "stellar-catalog")
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = "0.3"
        file["note"] = 1.5
        digests = content_digests(file)
        del file["provenance/digests"]
        write_text(file["provenance"], "digests", canonical_json(digests))
        file.attrs["content_sha256"] = content_sha256(digests)
        file.attrs["provenance_sha256"] = provenance_sha256(file)
    return path


@pytest.fixture
def step() -> Iterator[None]:
    @migration("stellar-catalog", 0)
    def _(old: h5py.File, new: ArtifactWriter) -> None:
        rows = table("stellar-catalog")
        rows["log_g"] = float(old["note"][()])
        new.write_table(rows)

    yield
    del module._steps["stellar-catalog", 0]


@pytest.mark.usefixtures("step")
def test_a_registered_step_writes_a_valid_artifact(old: Path, folder: Path) -> None:
    migrate(old, folder / "new.h5")
    with open_artifact(folder / "new.h5", "stellar-catalog") as artifact:
        assert artifact.table()["log_g"].tolist() == [1.5, 1.5, 1.5]
        assert artifact.title == "A small stellar-catalog"
        (origin,) = artifact.provenance.inputs
        with open_unchecked(old) as before:
            then = before.provenance
        assert (artifact.provenance.seed, artifact.provenance.config) == (then.seed, then.config)
    assert (origin.name, origin.schema) == ("old.h5", "astropipe.stellar-catalog")


@pytest.mark.usefixtures("step")
def test_the_chain_of_a_migrated_artifact_holds_the_old_one(old: Path, folder: Path) -> None:
    migrate(old, folder / "new.h5")
    assert [(finding.depth, finding.state) for finding in verify([folder / "new.h5"])] == [(0, "ok"), (1, "ok")]
    assert "astropipe" in citations([folder / "new.h5"])
    with h5py.File(old, "r+") as file:
        file["note"][()] = 2.5
    (_, found) = verify([folder / "new.h5"])
    assert found.state == "damaged" and "/note was changed" in found.message


def test_reading_an_old_artifact_advises_to_migrate(old: Path) -> None:
    with pytest.raises(ArtifactError, match=rf"astropipe migrate {old} --output"), open_artifact(old):
        pass


def test_a_version_without_a_step_is_refused(old: Path, folder: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no migration; make it again from its inputs"):
        migrate(old, folder / "new.h5")


def test_a_present_version_needs_no_migration(folder: Path, minimal: Write) -> None:
    with pytest.raises(ArtifactError, match="needs no migration; use it as it is"):
        migrate(minimal(folder / "a.h5"), folder / "new.h5")


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_what_is_no_artifact_is_refused(content: bytes | None, folder: Path) -> None:
    if content is not None:
        (folder / "a.h5").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\.h5"):
        migrate(folder / "a.h5", folder / "new.h5")


def test_an_artifact_without_a_version_or_of_an_unknown_kind_is_refused(folder: Path, minimal: Write) -> None:
    for name, value in (("schema_version", "?"), ("schema", "astropipe.dust-map")):
        path = minimal(folder / "a.h5")
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value
        with pytest.raises(ArtifactError):
            migrate(path, folder / "new.h5")
