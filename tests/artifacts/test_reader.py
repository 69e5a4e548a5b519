"""Reading: whatever is wrong with a file, one paragraph says what and what to do, and the command line exits with 3."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.table import Table
from small import ROOT, Write

from astropipe.artifacts import open_artifact
from astropipe.runtime.errors import ArtifactError


def _attribute(name: str, value: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value

    return change


def _without_attribute(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs["schema"]


def _without_dataset(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["catalog"]


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _beheaded(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _replaced_by(raw: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(raw) and None


def _removed(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


BAD = {
    "missing": (_removed, "does not exist", "check the path"),
    "folder": (_folder, "is a folder", "give the files in it"),
    "empty": (_replaced_by(b""), "is empty", "make it again"),
    "text": (_replaced_by(b"t_eff,log_g\n5777,4.44\n"), "is not an HDF5 file", "give an artifact"),
    "truncated": (_truncated, "is truncated or damaged", "copy it again or make it again"),
    "beheaded": (_beheaded, "is truncated or damaged", "copy it again or make it again"),
    "foreign": (_without_attribute, "is HDF5 but not an astropipe artifact", "give a file written by astropipe"),
    "unknown kind": (_attribute("schema", "astropipe.dust-map"), "'dust-map'", "update astropipe"),
    "newer": (_attribute("schema_version", "7.2"), "newer than", "update astropipe"),
    "older": (_attribute("schema_version", "0.9"), "older than", "astropipe migrate"),
    "no version": (_attribute("schema_version", "?"), "states no schema version", "make it again"),
    "no catalog": (_without_dataset, "the table /catalog is missing", "make it again"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_file_that_cannot_be_used_is_explained(fault: str, folder: Path, minimal: Write) -> None:
    spoil, what, remedy = BAD[fault]
    path = minimal(folder / "a.h5", "stellar-catalog")
    spoil(path)
    with pytest.raises(ArtifactError) as error, open_artifact(path):
        pass
    message = str(error.value)
    assert what in message and remedy in message and str(path) in message
    assert "\n\n" not in message and len(message) < 1000


def test_on_the_command_line_every_fault_is_exit_code_3(tmp_path: Path, minimal: Write) -> None:
    """One process for all of them: `run` is called as the console script does."""
    for fault, (spoil, _, _) in BAD.items():
        spoil(minimal(tmp_path / f"{fault}.h5", "stellar-catalog"))
    code = (
        "import sys\n"
        "from astropipe.cli.main import run\n"
        "for path in sys.argv[1:]:\n"
        "    sys.argv = ['astropipe', 'inspect', path]\n"
        "    try: run()\n"
        "    except SystemExit as end: print(end.code)\n"
    )
    files = [str(tmp_path / f"{fault}.h5") for fault in BAD]
    result = subprocess.run([sys.executable, "-c", code, *files], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["3"] * len(BAD)
    assert result.stderr.count("error: ") == len(BAD) and "Traceback" not in result.stderr


def test_the_wrong_kind_is_named_with_the_one_that_is_needed(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "stellar-catalog")
    with pytest.raises(ArtifactError, match=r"stellar-catalog artifact, but this needs 'posterior' or 'metrics'"):  # noqa: SIM117
        with open_artifact(path, "posterior", "metrics"):
            pass
    with open_artifact(path, "posterior", "stellar-catalog") as artifact:
        assert artifact.kind == "stellar-catalog"


def test_a_newer_minor_version_is_read(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5")
    _attribute("schema_version", "1.9")(path)
    with open_artifact(path) as artifact:
        assert len(artifact.table()) == 3


def test_missing_columns_and_wrong_units_are_named_together(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "stellar-catalog")
    with h5py.File(path, "r+") as file:
        table = Table.read(file, path="catalog")
        table.remove_columns(["log_g", "rv_err"])
        table["t_eff"].unit = "m"
        table.write(file, path="catalog", serialize_meta=True, append=True, overwrite=True)
    with pytest.raises(ArtifactError) as error, open_artifact(path):
        pass
    for part in ("column log_g is missing", "column rv_err is missing", "column t_eff: has unit 'm'"):
        assert part in str(error.value)


def test_missing_arrays_axes_and_attributes_are_named_together(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "posterior")
    with h5py.File(path, "r+") as file:
        del file["nested/samples"]
        del file["nested"].attrs["logz"]
        del file["sample_stats/log_likelihood"]
        file["sample_stats/log_likelihood"] = np.zeros(3)
    with pytest.raises(ArtifactError) as error, open_artifact(path):
        pass
    for part in ("nested/samples is missing", "nested@logz is missing", "should have 2 (chain, draw)"):
        assert part in str(error.value)


def test_asking_for_what_is_not_there_is_an_artifact_error(folder: Path, minimal: Write) -> None:
    with open_artifact(minimal(folder / "a.h5")) as artifact:
        for ask in (artifact.table, artifact.array, artifact.text, artifact.attributes):
            with pytest.raises(ArtifactError, match="there is no 'nowhere'"):
                ask("nowhere")


def test_attributes_are_plain_python_values(folder: Path, minimal: Write) -> None:
    with open_artifact(minimal(folder / "a.h5", "posterior")) as artifact:
        found = artifact.attributes("nested")
    assert (found["logz"], found["n_live"], found["converged"], found["problem"]) == (0.25, 4, True, "some")
    assert {type(value) for value in found.values()} == {float, int, bool, str}


def test_a_file_that_may_not_be_read_is_explained(
    folder: Path, minimal: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so that the refusal is simulated."""
    path = minimal(folder / "a.h5")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(h5py, "File", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ArtifactError, match="check its permissions"), open_artifact(path):
        pass


def test_no_lock_is_needed(folder: Path, minimal: Write) -> None:
    """Another program may hold a lock on the file, and some file systems have no locks at all."""
    path = minimal(folder / "a.h5")
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with open_artifact(path) as artifact:
            assert artifact.kind == "triples-catalog"
