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
from astropipe.config.inference import SampleConfig
from astropipe.config.nbody import IntegrateConfig
from astropipe.config.spectra import PredictConfig
from astropipe.runtime.errors import ArtifactError, InputError
from astropipe.runtime.run import Chunk, Run


def test_it_comes_back_as_it_was_written(folder: Path) -> None:
    written = Provenance(
        command="astropipe nbody integrate 'Ω.h5'",
        config={"nbody": {"mu": 0.01, "dt": None, "names": ["α"]}},
        seed=2**63,
        inputs=(InputRecord("a.h5", "astropipe.systems", "0" * 64),),
        packages={"numpy": "2.0"},
        citations=("Makino1992", "Aarseth2003"),
        git_commit="abc-dirty",
        chunk="3/20",
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
        replace(provenance, chunk="1/2"),
        replace(provenance, git_commit="other"),
        replace(provenance, git_commit=f"{provenance.git_commit}-dirty"),
        *(replace(provenance, packages={name: "9"}) for name in ("numpy", "numba", "dynesty")),
    ]
    assert len({key, *(other.run_key for other in changed)}) == len(changed) + 1


def test_the_run_key_of_a_real_run_knows_the_versions_of_its_libraries() -> None:
    run = Provenance.of_run("nbody.integrate", IntegrateConfig(), Run())
    assert run.packages["numba"] == metadata.version("numba")
    updated = replace(run, packages={**run.packages, "numba": "9"})
    assert updated.run_key != run.run_key


def test_the_run_key_does_not_change_with_what_does_not_decide(provenance: Provenance) -> None:
    same = [
        replace(provenance, packages={"matplotlib": "9"}),
        replace(provenance, citations=("Makino1992",)),
        replace(provenance, config=dict(reversed(provenance.config.items()))),
    ]
    assert {other.run_key for other in same} == {provenance.run_key}


def _of_data(path: Path | str, source: Path) -> Provenance:
    config = SampleConfig(problem="cosmology", options={"data": [path, "union3"], "name": "union3"})
    return Provenance.of_run("inference.sample", config, Run(seed=3), sources=[source])


def test_the_folder_of_a_data_file_is_not_recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for number in (1, 2):
        source = folder / str(number) / "my hz.ecsv"
        source.parent.mkdir()
        source.write_text("the same")
        monkeypatch.chdir(source.parent)
        found += [_of_data(str(source), source), _of_data(source, source), _of_data("my hz.ecsv", Path("my hz.ecsv"))]
        found.append(_of_data(f"../{number}/my hz.ecsv", source))
    assert all(one == found[0] for one in found)
    assert found[0].config["inference"]["sample"]["options"]["data"] == ["my hz.ecsv", "union3"]
    assert str(folder) not in found[0].command and "my hz.ecsv" in found[0].command
    with h5py.File(folder / "p.h5", "w") as file:
        found[0].write(file)


def test_data_of_equal_name_and_other_content_are_other_runs(folder: Path) -> None:
    keys = set()
    for text in ("one", "two"):
        source = folder / text / "hz.ecsv"
        source.parent.mkdir()
        source.write_text(text)
        keys.add(_of_data(str(source), source).run_key)
    assert len(keys) == 2


def test_what_only_looks_like_the_path_of_an_input_stays(folder: Path) -> None:
    (folder / "hz.ecsv").write_text("1")
    config = _of_data("elsewhere/hz.ecsv", folder / "hz.ecsv").config
    assert config["inference"]["sample"]["options"]["data"][0] == "elsewhere/hz.ecsv"


@pytest.mark.parametrize(("chunk", "recorded"), [(Chunk(), ""), (Chunk(1, 1), ""), (Chunk(3, 20), "3/20")])
def test_the_chunk_of_a_run_is_recorded(chunk: Chunk, recorded: str) -> None:
    assert Provenance.of_run("nbody.integrate", IntegrateConfig(), Run(chunk=chunk)).chunk == recorded


def test_a_run_over_thousands_of_files_can_be_written(folder: Path) -> None:
    """Attributes of HDF5 end at 64 kB."""
    files = [folder / f"spec-{number:020d}.csv" for number in range(3_000)]
    for file in files:
        file.write_text("1")
    provenance = Provenance.of_run("spectra.predict", PredictConfig(), Run(), inputs=files)
    with h5py.File(folder / "a.h5", "w") as file:
        provenance.write(file)
        again = Provenance.read(file)
    assert again.inputs == provenance.inputs and len(again.inputs) == 3_000
    assert "and 2997 more" in again.command


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
