"""Provenance: everything that decides the bytes, nothing that does not."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import h5py
import pytest
from small import Write

from astropipe.artifacts import InputRecord, Provenance, open_artifact
from astropipe.artifacts import provenance as module
from astropipe.artifacts.provenance import git_commit, package_versions
from astropipe.runtime.errors import ArtifactError, InputError


def test_it_comes_back_as_it_was_written(folder: Path) -> None:
    written = Provenance(
        command="astropipe nbody integrate 'Ω.h5'",
        config={"nbody": {"mu": 0.01, "dt": None, "names": ["α"]}},
        seed=2**63,
        inputs=(InputRecord("a.h5", "astropipe.systems", "0" * 64),),
        packages={"numpy": "2.0"},
        citations=("Makino1992", "Aarseth2003"),
        git_commit="abc-dirty",
    )
    with h5py.File(folder / "p.h5", "w") as file:
        written.write(file)
        assert Provenance.read(file) == written


def test_a_run_without_randomness_has_no_seed(folder: Path) -> None:
    with h5py.File(folder / "p.h5", "w") as file:
        Provenance("c", {}).write(file)
        assert Provenance.read(file).seed is None


def test_a_damaged_one_is_an_artifact_error(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5")
    for name, value in (("seed", "seven"), ("config", None)):
        with h5py.File(path, "r+") as file:
            if value is None:
                del file["provenance"][name]
            else:
                file["provenance"].attrs[name] = value
        with open_artifact(path) as artifact, pytest.raises(ArtifactError, match="provenance is missing or damaged"):
            _ = artifact.provenance
        path = minimal(folder / "a.h5")


def test_a_raw_input_is_recorded_by_name_and_hash(folder: Path) -> None:
    (folder / "a.csv").write_bytes(b"1,2\n")
    assert InputRecord.of(folder / "a.csv") == InputRecord("a.csv", "file", hashlib.sha256(b"1,2\n").hexdigest())


def test_foreign_hdf5_is_a_raw_input(folder: Path) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file["x"] = 1
    assert InputRecord.of(folder / "a.h5").schema == "file"


def test_an_artifact_is_recorded_by_its_content(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "systems")
    record = InputRecord.of(path)
    with open_artifact(path) as artifact:
        assert (record.schema, record.sha256) == ("astropipe.systems", artifact.content_sha256)


def test_a_missing_input_is_an_input_error(folder: Path) -> None:
    for path in (folder / "nowhere.csv", folder):
        with pytest.raises(InputError, match="check the path and its permissions"):
            InputRecord.of(path)


def test_the_run_key_changes_with_all_that_decides_the_result(provenance: Provenance) -> None:
    key = provenance.run_key
    assert re.fullmatch("[0-9a-f]{64}", key)
    changed = [
        replace(provenance, command="other"),
        replace(provenance, config={}),
        replace(provenance, seed=8),
        replace(provenance, inputs=(InputRecord("a", "file", "0"),)),
        replace(provenance, inputs=(InputRecord("a", "file", "1"),)),
        replace(provenance, astropipe_version="9"),
    ]
    assert len({key, *(other.run_key for other in changed)}) == 7


def test_the_run_key_does_not_change_with_what_does_not_decide(provenance: Provenance) -> None:
    same = [
        replace(provenance, git_commit="other"),
        replace(provenance, packages={"numpy": "9"}),
        replace(provenance, config=dict(reversed(provenance.config.items()))),
    ]
    assert {other.run_key for other in same} == {provenance.run_key}


def test_the_versions_are_those_of_our_direct_dependencies() -> None:
    plain, nbody = package_versions(), package_versions("nbody")
    assert plain["numpy"] == metadata.version("numpy")
    assert "numba" not in plain and nbody["numba"] == metadata.version("numba")
    assert "llvmlite" not in nbody, "a dependency of a dependency"


def test_the_commit_is_that_of_the_tree_and_says_when_it_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    for changed, suffix in (("", ""), (" M astropipe/x.py", "-dirty")):
        answers = {"rev-parse": "1234abcd", "status": changed}
        monkeypatch.setattr(module, "_git", lambda _, verb, *__, answers=answers: answers[verb])
        monkeypatch.setattr(Path, "exists", lambda _: True)
        git_commit.cache_clear()
        assert git_commit() == "1234abcd" + suffix
    git_commit.cache_clear()


def test_an_installed_package_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    git_commit.cache_clear()
    assert git_commit() == ""
    git_commit.cache_clear()
