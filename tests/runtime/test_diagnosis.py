"""`doctor`: what it looks at, and what it advises about each problem. The machine is simulated where it matters."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small import Write

from astropipe.runtime import diagnosis
from astropipe.runtime.diagnosis import Diagnosis, diagnose
from astropipe.runtime.errors import OutputError


def _by_subject(findings: list[Diagnosis]) -> dict[str, Diagnosis]:
    return {finding.subject: finding for finding in findings}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Diagnosis]:
    return _by_subject(diagnose(tmp_path_factory.mktemp("doctor")))


def test_everything_is_looked_at(here: dict[str, Diagnosis]) -> None:
    expected = {"python", "numpy", "h5py", "torch", "cores", "blas threads", "gpu", "slurm"}
    expected |= {"folder", "write lock", "hdf5 locking"}
    assert expected <= set(here)
    assert here["numpy"].state == metadata.version("numpy")
    assert here["hdf5 locking"].state.startswith("works") and here["hdf5 locking"].advice == ""


def test_nothing_stays_in_the_folder(tmp_path: Path) -> None:
    assert [finding.advice for finding in diagnosis._folder(tmp_path)] == ["", "", ""]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("numba", "h5py"):
            raise metadata.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    found = _by_subject(list(diagnosis._versions()))
    assert found["numba"] == Diagnosis("numba", "not installed", "needed for nbody: pip install 'astropipe[nbody]'")
    assert found["h5py"].fatal and "pip install astropipe" in found["h5py"].advice
    assert found["numpy"].advice == ""


def test_more_threads_than_cores_is_advised_against(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = {"user_api": "blas", "internal_api": "openblas", "num_threads": 9}
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [pool])
    monkeypatch.setattr(diagnosis, "available_cores", lambda: 2)
    found = _by_subject(list(diagnosis._threads()))
    assert "OMP_NUM_THREADS=2" in found["blas threads"].advice


@pytest.mark.parametrize("where", ["nowhere", "file"])
def test_what_is_no_folder_is_fatal(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (found,) = diagnosis._folder(tmp_path / where)
    assert found.fatal and "give a folder that exists" in found.advice


def _raise(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "change its permissions"),
        (errno.EROFS, "the file system is read-only"),
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the quota of this user is used up"),
    ],
)
def test_a_folder_that_cannot_be_written_is_fatal_and_said_once(
    number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "_write", _raise(OSError(number, os.strerror(number))))
    # A read-only file system refuses this too.
    monkeypatch.setattr(Path, "unlink", _raise(OSError(number, os.strerror(number))))
    (found,) = diagnosis._folder(tmp_path)
    assert found.fatal and found.subject == "folder"
    assert str(tmp_path) in found.state and os.strerror(number) in found.state and advice in found.advice


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 kB, where the tests may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_found(full_disk: Path) -> None:
    (found,) = diagnosis._folder(full_disk)
    assert found.fatal and "the disk is full" in found.advice
    assert list(full_disk.iterdir()) == []


@pytest.mark.parametrize(("number", "fatal"), [(errno.ENOLCK, False), (errno.EOPNOTSUPP, False), (errno.EIO, True)])
def test_a_folder_without_the_lock_of_the_writer_is_advised_about(
    number: int, fatal: bool, tmp_path: Path, minimal: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", _raise(OSError(number, os.strerror(number))))
    found = _by_subject(list(diagnosis._folder(tmp_path)))["write lock"]
    assert found.fatal is fatal and found.advice and os.strerror(number) in found.state
    # What doctor says is what the writer does.
    if fatal:
        with pytest.raises(OutputError):
            minimal(tmp_path / "a.h5")
    else:
        assert minimal(tmp_path / "a.h5").exists()


@pytest.mark.parametrize(
    ("stderr", "status", "state"),
    [
        ("Traceback\nOSError: [Errno 37] No locks available\n", 1, "OSError: [Errno 37] No locks available"),
        ("", -9, "the trial ended with status -9"),
    ],
)
def test_a_folder_without_the_locks_of_hdf5_is_advised_about(
    stderr: str, status: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=status, stderr=stderr))
    found = _by_subject(list(diagnosis._folder(tmp_path)))["hdf5 locking"]
    assert not found.fatal and "HDF5_USE_FILE_LOCKING=BEST_EFFORT" in found.advice and state in found.state


def test_a_lock_that_never_comes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_PROBE_SECONDS", 0.01)
    found = _by_subject(list(diagnosis._folder(tmp_path)))["hdf5 locking"]
    assert found.advice and "no answer within" in found.state


def test_libraries_that_cannot_be_loaded_are_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    found = _by_subject(list(diagnosis._threads()))
    assert found["threads"].fatal and "threadpoolctl" in found["threads"].state


@pytest.mark.parametrize(
    ("available", "driver", "state", "advised"),
    [(True, True, "H100", False), (False, True, "a driver is there", True), (False, False, "none", False)],
)
def test_the_gpu(available: bool, driver: bool, state: str, advised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(is_available=lambda: available, get_device_name=lambda _: "NVIDIA H100")
    monkeypatch.setattr(diagnosis.util, "find_spec", lambda _: True)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, __version__="2"))  # type: ignore[arg-type]
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi" if driver else None)
    found = diagnosis._gpu()
    assert state in found.state and bool(found.advice) is advised


@pytest.mark.parametrize(
    ("failing", "state", "advice"),
    [
        (["sinfo"], "sinfo fails", "ask whether the controller is up"),
        (["sacct"], "works, without accounting", "slurm-status-command: squeue"),
        ([], "works, with accounting: snakemake --profile profiles/slurm", ""),
    ],
)
def test_slurm(failing: list[str], state: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], *, check: bool, **_: Any) -> SimpleNamespace:
        failed = command[0] in failing
        if failed and check:
            raise subprocess.CalledProcessError(1, command)
        return SimpleNamespace(returncode=int(failed))

    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/sbatch")
    monkeypatch.setattr(subprocess, "run", run)
    found = diagnosis._slurm()
    assert state in found.state and advice in found.advice


def test_slurm_without_its_accounting_command_is_slurm_without_accounting(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> SimpleNamespace:
        if command[0] == "sacct":
            raise FileNotFoundError("sacct")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/sbatch")
    monkeypatch.setattr(subprocess, "run", run)
    assert "without accounting" in diagnosis._slurm().state


def test_no_slurm_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert diagnosis._slurm() == Diagnosis("slurm", "no sbatch on this machine; snakemake runs jobs locally")
