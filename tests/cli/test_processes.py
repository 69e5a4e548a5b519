"""The command line in processes of its own: signals, pipes, full disks, and the libraries it loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small import ROOT, Python, Write

# A stage that computes until it is stopped. It stands in for the real ones, whose own tests show that they resume.
_STAGE = """
import sys, time, types
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.run import checkpoint_path

def simulate(inputs, output, settings, run):
    print("running", flush=True)
    for _ in range(3000):
        if stop_requested() and not {deaf}:
            checkpoint_path(output).write_text("half")
            raise InterruptedRunError(f"stopped; run again with --resume to continue {{output}}")
        time.sleep(0.01)

sys.modules["astropipe.nbody.stage"] = types.SimpleNamespace(simulate=simulate)
sys.modules["astropipe.nbody"] = types.SimpleNamespace(stage=None)
from astropipe.cli.main import run
sys.argv = ["astropipe", "nbody", "simulate", "-o", sys.argv[1], "--quiet"]
run()
"""


def _start(output: Path, deaf: bool = False) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _STAGE.format(deaf=deaf), str(output)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "running\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_stage_with_a_checkpoint_and_77(number: int, tmp_path: Path) -> None:
    with _start(tmp_path / "a.h5") as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 77
    assert err == f"error: stopped; run again with --resume to continue {tmp_path / 'a.h5'}\n"
    assert os.listdir(tmp_path) == [".a.h5.checkpoint"]


def test_a_second_ctrl_c_ends_a_stage_that_does_not_listen(tmp_path: Path) -> None:
    with _start(tmp_path / "a.h5", deaf=True) as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "interrupted; no checkpoint was written\n"


@pytest.mark.parametrize("arguments", [["config", "show"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "astropipe.cli.main", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 kB, where the tests may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_exit_code_3(small_disk: Path, tmp_path: Path, minimal: Write) -> None:
    large = minimal(tmp_path / "large.h5", "metrics", rows=2000)
    before = minimal(small_disk / "m.h5", "metrics").read_bytes()
    command = [sys.executable, "-m", "astropipe.cli.main", "merge", large, "-o", small_disk / "m.h5", "--force"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 3
    assert result.stderr.startswith("error: cannot write") and "the disk is full" in result.stderr
    assert result.stderr.count("\n") == 1
    assert (small_disk / "m.h5").read_bytes() == before and os.listdir(small_disk) == ["m.h5"]


@pytest.mark.parametrize("arguments", ["nbody --help", "config --help", "verify --help", "--version", "spectra x"])
def test_what_computes_nothing_loads_nothing_heavy(arguments: str, python: Python) -> None:
    heavy = ["numpy", "h5py", "astropy", "torch", "scipy", "matplotlib", "numba", "dynesty"]
    python(
        "import sys\nfrom astropipe.cli.main import run\n"
        f"sys.argv = ['astropipe', *{arguments.split()}]\n"
        "try: run()\nexcept SystemExit: pass\n"
        f"loaded = [name for name in {heavy} if name in sys.modules]\nassert not loaded, loaded"
    )
