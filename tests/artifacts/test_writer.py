"""Writing: complete or not at all, equal bytes for equal input, one writer at a time, clear errors."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import pytest
from astropy import units
from astropy.table import Column, MaskedColumn, QTable
from small import ROOT, Python, Write, fill, table

from astropipe.artifacts import SCHEMAS, Provenance, create_artifact, open_artifact
from astropipe.runtime.errors import ArtifactError, OutputError


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_kind_is_written_and_read_back(kind: str, folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", kind, rows=4)
    with open_artifact(path, kind) as artifact:
        assert (artifact.kind, artifact.title) == (kind, f"A small {kind}")
        assert artifact.provenance.seed == 7
        assert artifact.provenance.config == {"test": {"key": 1.5, "name": "Ω"}}
        if artifact.schema.columns:
            found, wanted = artifact.table(), table(kind, rows=4)
            assert found.colnames == wanted.colnames
            for name in wanted.colnames:
                np.testing.assert_array_equal(found[name], wanted[name])
        for field in artifact.schema.datasets:
            if field.kind != "text":
                array = artifact.array(field.name.replace("*", "first"))
                expected = np.arange(array.size).astype(array.dtype) * getattr(array, "unit", 1)
                np.testing.assert_array_equal(np.ravel(array), expected)
    assert os.listdir(folder) == ["a.h5"]


def test_plain_astropy_gives_the_units_back(folder: Path, minimal: Write) -> None:
    found = QTable.read(minimal(folder / "a.h5", "stellar-catalog"), path="catalog")
    assert found["t_eff"].unit == units.K
    np.testing.assert_array_equal(found["rv"].to_value("m/s"), [500.0, 1500.0, 2500.0])


def test_plain_h5py_finds_what_an_array_means(folder: Path, minimal: Write) -> None:
    with h5py.File(minimal(folder / "a.h5", "systems")) as file:
        positions = file["positions"]
        assert positions.attrs["units"] == b"au"
        assert list(positions.attrs["dims"]) == [b"system", b"body", b"xyz"]
        assert positions.attrs["description"] == b"barycentric positions"
        assert (positions.fletcher32, positions.shuffle, positions.compression) == (True, True, "gzip")


def test_equal_input_gives_equal_bytes_whenever_and_wherever(tmp_path: Path, minimal: Write) -> None:
    raw = tmp_path / "input.txt"
    raw.write_text("1 2 3")
    (tmp_path / "elsewhere").mkdir()
    first = minimal(tmp_path / "a.h5", "posterior", inputs=(raw,))
    time.sleep(1.1)
    second = minimal(tmp_path / "elsewhere" / "b.h5", "posterior", inputs=(raw,))
    assert first.read_bytes() == second.read_bytes()


def test_arrays_keep_values_units_and_text(folder: Path, provenance: Provenance) -> None:
    path = folder / "a.h5"
    with create_artifact(path, "metrics", title="t", provenance=provenance) as artifact:
        fill(artifact)
        artifact.write_array("extra/speed", [1.0, 2.0] * units.km / units.s)
        artifact.write_array("extra/empty", np.empty((0, 3)))
        artifact.write_array("extra/scalar", 2.5)
        artifact.write_array("extra/names", ["Ω_m", "σ₈", ""])
        artifact.write_text("extra/note", "H₀ in km/s/Mpc")
        artifact.write_text("nothing", "")
    with open_artifact(path) as artifact:
        np.testing.assert_array_equal(artifact.array("extra/speed").to_value("m/s"), [1000.0, 2000.0])
        assert artifact.array("extra/empty").shape == (0, 3)
        assert artifact.array("extra/scalar") == 2.5
        assert artifact.array("extra/names").tolist() == ["Ω_m", "σ₈", ""]
        assert artifact.text("extra/note") == "H₀ in km/s/Mpc"
        assert artifact.text("nothing") == ""


def test_masked_integers_and_unicode_text_come_back(folder: Path, provenance: Provenance) -> None:
    rows = table("triples-catalog")
    rows["escaper"] = MaskedColumn([0, 2, 1], mask=[False, True, False])
    rows["family"] = Column(["Агекян–Аносова", "saz-ulibarrena", "λ"])
    path = folder / "a.h5"
    with create_artifact(path, "triples-catalog", title="t", provenance=provenance) as artifact:
        artifact.write_table(rows)
    with open_artifact(path, "triples-catalog") as artifact:
        found = artifact.table()
    assert found["escaper"].dtype.kind == "i"
    assert found["escaper"].tolist() == [0, None, 1]
    assert found["family"].tolist() == ["Агекян–Аносова", "saz-ulibarrena", "λ"]


def test_an_artifact_larger_than_memory_is_filled_in_blocks(folder: Path, provenance: Provenance) -> None:
    path = folder / "a.h5"
    with create_artifact(path, "cluster-snapshots", title="t", provenance=provenance) as artifact:
        artifact.write_table(QTable({"id": np.arange(5), "class": ["star"] * 5, "mass": np.ones(5) * units.Msun}))
        artifact.write_array("times", [0.0, 1.0], unit="Myr")
        artifact.write_array("masses", np.ones(5), unit="Msun")
        for name, unit in (("positions", "pc"), ("velocities", "km/s")):
            dataset = artifact.create_array(name, (2, 5, 3), np.float64, unit=unit)
            for snapshot in range(2):
                dataset[snapshot] = snapshot
        for name in ("masses", "positions"):
            artifact.write_attributes(name, {"nbody_unit": ""})
    with open_artifact(path) as artifact:
        assert artifact.array("positions")[1, 4, 2] == 1 * units.pc


def test_all_faults_are_named_at_once_and_nothing_is_written(folder: Path, provenance: Provenance) -> None:
    rows = table("stellar-catalog")
    rows.remove_column("log_g")
    rows["t_eff"] = [1.0, 2.0, 3.0] * units.m
    rows["flags"] = [0.5, 0.5, 0.5]
    with (
        pytest.raises(ArtifactError) as error,
        create_artifact(folder / "a.h5", "stellar-catalog", title="t", provenance=provenance) as artifact,
    ):
        artifact.write_table(rows)
    for part in ("log_g is missing", "t_eff: has unit 'm'", "convertible to 'K'", "flags: holds float64"):
        assert part in str(error.value)
    assert os.listdir(folder) == []


def test_an_error_inside_the_block_leaves_the_old_file(folder: Path, minimal: Write, provenance: Provenance) -> None:
    path = minimal(folder / "a.h5")
    before = path.read_bytes()
    with (
        pytest.raises(ZeroDivisionError),
        create_artifact(path, "metrics", title="t", provenance=provenance) as artifact,
    ):
        fill(artifact)
        1 / 0  # noqa: B018
    assert path.read_bytes() == before
    assert os.listdir(folder) == ["a.h5"]


def test_an_input_that_is_missing_is_not_blamed_on_the_output(folder: Path, provenance: Provenance) -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"other\.txt"),
        create_artifact(folder / "a.h5", "metrics", title="t", provenance=provenance),
    ):
        (folder / "other.txt").read_text()


_SLOW_WRITER = """
import sys, time
sys.path.insert(0, "tests")
from astropipe.artifacts import Provenance, create_artifact
from small import fill
with create_artifact(sys.argv[1], "metrics", title="t", provenance=Provenance("killed", {})) as artifact:
    fill(artifact)
    artifact.write_array("large", [0.0] * 100_000)
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writing(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of writing ``a.h5``."""
    command = [sys.executable, "-c", _SLOW_WRITER, str(folder / "a.h5")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def test_a_kill_in_the_middle_leaves_none_and_the_next_write_succeeds(
    folder: Path, writing: subprocess.Popen[str], minimal: Write
) -> None:
    writing.send_signal(signal.SIGKILL)
    writing.wait()
    assert not (folder / "a.h5").exists()
    with open_artifact(minimal(folder / "a.h5")) as artifact:
        assert artifact.kind == "triples-catalog"
    assert os.listdir(folder) == ["a.h5"]


def test_a_kill_in_the_middle_leaves_the_old_file(folder: Path, minimal: Write) -> None:
    before = minimal(folder / "a.h5").read_bytes()
    command = [sys.executable, "-c", _SLOW_WRITER, str(folder / "a.h5")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "writing\n"
        process.kill()
    assert (folder / "a.h5").read_bytes() == before


def test_a_second_writer_is_refused_while_the_first_writes(
    folder: Path, writing: subprocess.Popen[str], minimal: Write
) -> None:
    with pytest.raises(OutputError, match="another process is writing"):
        minimal(folder / "a.h5")
    assert (folder / ".a.h5.partial").exists(), "the first writer's file must not be touched"
    minimal(folder / "b.h5")


def test_a_lock_got_on_a_file_that_was_renamed_meanwhile_is_no_lock(
    folder: Path, minimal: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first writer ends between the second one's open and its lock: its lock is then on the finished file."""
    partial, lock = folder / ".a.h5.partial", fcntl.flock
    seen: list[tuple[int, int]] = []

    def renamed_before(handle: IO[bytes], operation: int) -> None:
        if not seen:
            partial.rename(folder / "finished.h5")
        lock(handle, operation)
        seen.append((os.fstat(handle.fileno()).st_ino, partial.stat().st_ino if partial.exists() else 0))

    monkeypatch.setattr(fcntl, "flock", renamed_before)
    minimal(folder / "a.h5")
    assert seen[-1][0] == seen[-1][1] and len(seen) == 2


def test_file_systems_without_locks_are_written_to(
    folder: Path, minimal: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert minimal(folder / "a.h5").exists()


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "the folder is not writable"),
        (errno.EROFS, "read-only"),
    ],
)
def test_errors_of_the_system_are_explained(
    number: int, advice: str, folder: Path, minimal: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = minimal(folder / "a.h5").read_bytes()

    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match=advice) as error:
        minimal(folder / "a.h5", rows=5)
    assert error.value.exit_code == 3 and str(folder / "a.h5") in str(error.value)
    monkeypatch.undo()
    assert (folder / "a.h5").read_bytes() == before
    assert os.listdir(folder) == ["a.h5"]


@pytest.mark.parametrize("where", ["nowhere/a.h5", "file/a.h5"])
def test_a_folder_that_cannot_be_one_is_an_output_error(where: str, folder: Path, minimal: Write) -> None:
    (folder / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="cannot write"):
        minimal(folder / where)


_FILLING_WRITER = """
import sys
sys.path.insert(0, "tests")
import numpy as np
from astropipe.artifacts import Provenance, create_artifact
from astropipe.runtime.errors import OutputError
from small import fill

def write(path, rows):
    try:
        with create_artifact(path, "metrics", title="t", provenance=Provenance("full", {})) as artifact:
            fill(artifact)
            artifact.write_array("large", np.random.default_rng(1).normal(size=rows))
    except OutputError as error:
        print(error)
"""

_LIMITED_WRITERS = (
    _FILLING_WRITER
    + """
import os, resource
from pathlib import Path
path, rows = Path(sys.argv[1]), 40_000
write(path, rows)
before, size = path.read_bytes(), path.stat().st_size
# Python ignores SIGXFSZ, so that a file over the limit fails with EFBIG, as a full disk does with ENOSPC.
for limit in (0, 100, 5_000, size // 2, size - 5_000, size - 1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    write(path, rows)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
"""
)


def test_a_file_that_cannot_grow_leaves_the_old_one_wherever_it_ends(folder: Path, python: Python) -> None:
    result = python(_LIMITED_WRITERS, folder / "a.h5")
    lines = result.stdout.splitlines()
    assert len(lines) == 6 and all("File too large; check the folder and the disk" in line for line in lines)
    assert result.stderr == "", "HDF5 must not fail again when the process ends"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, where the tests may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("rows", [9_000, 40_000])
def test_a_full_disk_is_named_and_leaves_the_old_file(
    rows: int, small_disk: Path, minimal: Write, python: Python
) -> None:
    before = minimal(small_disk / "a.h5").read_bytes()
    result = python(f"{_FILLING_WRITER}\nwrite(sys.argv[1], {rows})", small_disk / "a.h5")
    assert "the disk is full; free some space" in result.stdout
    assert result.stderr == ""
    assert (small_disk / "a.h5").read_bytes() == before
    assert os.listdir(small_disk) == ["a.h5"]
