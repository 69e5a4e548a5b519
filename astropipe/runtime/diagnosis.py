"""What ``astropipe doctor`` looks at: versions, threads, GPU, the folder of results, SLURM."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from astropipe.runtime.compute import available_cores
from astropipe.runtime.files import NO_LOCKS, remedy

_LIBRARIES = ("numpy", "scipy", "astropy", "h5py", "numba", "dynesty", "getdist", "torch", "snakemake")
# A lock on a network file system whose server does not answer can take for ever.
_PROBE_SECONDS = 60
_EXTRA = {"numba": "nbody", "dynesty": "inference", "getdist": "inference", "torch": "spectra", "snakemake": "workflow"}


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at.

    Parameters
    ----------
    subject, state : str
        What was looked at and what was found.
    advice : str
        What to do; empty when all is well.
    fatal : bool
        Whether astropipe cannot work like this.
    """

    subject: str
    state: str
    advice: str = ""
    fatal: bool = False


def diagnose(folder: Path) -> list[Diagnosis]:
    """Look at everything; the folder is where writing and file locking are tried."""
    return [
        Diagnosis("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *_versions(),
        *_threads(),
        _gpu(),
        *_folder(folder),
        _slurm(),
    ]


def _versions() -> Iterator[Diagnosis]:
    for name in _LIBRARIES:
        try:
            yield Diagnosis(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            extra = _EXTRA.get(name)
            command = f"pip install 'astropipe[{extra}]'" if extra else "pip install astropipe"
            yield Diagnosis(
                name, "not installed", f"needed for {extra or 'everything'}: {command}", fatal=extra is None
            )


def _threads() -> Iterator[Diagnosis]:
    cores = available_cores()
    yield Diagnosis("cores", f"{cores} usable by this process, {os.cpu_count()} in the machine")
    try:
        import numpy as np
        from threadpoolctl import threadpool_info
    except ImportError as error:
        yield Diagnosis("threads", f"not looked at: {error}", "pip install astropipe", fatal=True)
        return
    np.ones((2, 2)) @ np.ones((2, 2))
    for pool in threadpool_info():
        threads = pool["num_threads"]
        advice = f"more threads than cores: set OMP_NUM_THREADS={cores}, or use --threads" if threads > cores else ""
        yield Diagnosis(f"{pool['user_api']} threads", f"{threads} ({pool['internal_api']})", advice)
    if util.find_spec("torch"):
        import torch

        yield Diagnosis("torch threads", str(torch.get_num_threads()))


def _gpu() -> Diagnosis:
    if not util.find_spec("torch"):
        return Diagnosis("gpu", "torch is not installed: not looked for")
    import torch

    if torch.cuda.is_available():
        return Diagnosis("gpu", torch.cuda.get_device_name(0))
    if shutil.which("nvidia-smi"):
        return Diagnosis(
            "gpu",
            f"a driver is there but torch {torch.__version__} does not use it",
            "install a CUDA build of torch to train on the GPU; everything runs on the CPU too",
        )
    return Diagnosis("gpu", "none; everything runs on the CPU")


def _folder(folder: Path) -> Iterator[Diagnosis]:
    """Try in a folder what writing an artifact there takes; lock only where it can be written."""
    if not folder.is_dir():
        yield Diagnosis("folder", f"{folder} is not a folder", "give a folder that exists", fatal=True)
        return
    probe = folder / f".astropipe-doctor-{os.getpid()}.h5"
    try:
        _write(probe)
    except OSError as error:
        yield Diagnosis("folder", f"{folder.resolve()} cannot be written: {error.strerror}", remedy(error), fatal=True)
    else:
        yield Diagnosis("folder", f"{folder.resolve()} can be written")
        yield _writer_lock(probe)
        yield _hdf5_lock(probe)
    finally:
        # A read-only file system refuses even to delete what is not there.
        with suppress(OSError):
            probe.unlink()


def _write(probe: Path) -> None:
    """Write enough that a full disk shows, and bring it there."""
    with probe.open("wb") as file:
        file.write(bytes(1 << 16))
        file.flush()
        os.fsync(file.fileno())


def _writer_lock(probe: Path) -> Diagnosis:
    """Lock a file as the writer of artifacts does."""
    subject = "write lock"
    try:
        with probe.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        without = "astropipe writes without it, but cannot refuse a second run that writes the same output"
        fatal = error.errno not in NO_LOCKS
        return Diagnosis(subject, f"fails ({error.strerror})", remedy(error) if fatal else without, fatal=fatal)
    return Diagnosis(subject, "works: a second run that writes the same output is refused")


def _hdf5_lock(probe: Path) -> Diagnosis:
    """Try HDF5's own locking, in a process of its own: the setting is read at start."""
    subject = "hdf5 locking"
    setting = f"HDF5_USE_FILE_LOCKING {os.environ.get('HDF5_USE_FILE_LOCKING', 'not set')}"
    code = (
        "import h5py, sys\n"
        "with h5py.File(sys.argv[1], 'w', locking=True) as f: f['x'] = 1\n"
        "with h5py.File(sys.argv[1], 'r', locking=True) as f: assert f['x'][()] == 1\n"
    )
    command = [sys.executable, "-c", code, str(probe)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        reason = f"no answer within {_PROBE_SECONDS} s"
    else:
        if result.returncode == 0:
            return Diagnosis(subject, f"works; {setting}")
        reason = (result.stderr.strip().splitlines() or [f"the trial ended with status {result.returncode}"])[-1]
    return Diagnosis(
        subject,
        f"fails ({reason}); {setting}",
        "astropipe reads without HDF5's locks, but other tools may need them: export HDF5_USE_FILE_LOCKING=BEST_EFFORT",
    )


def _slurm() -> Diagnosis:
    if not shutil.which("sbatch"):
        return Diagnosis("slurm", "no sbatch on this machine; snakemake runs jobs locally")
    try:
        subprocess.run(["sinfo", "--noheader"], capture_output=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        return Diagnosis("slurm", f"sbatch is there but sinfo fails ({error})", "ask whether the controller is up")
    try:
        subprocess.run(["sacct", "--noheader"], capture_output=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        accounting = False
    else:
        accounting = True
    if accounting:
        return Diagnosis("slurm", "works, with accounting: snakemake --profile profiles/slurm")
    return Diagnosis(
        "slurm",
        "works, without accounting",
        "keep slurm-status-command: squeue in profiles/slurm, else Snakemake never sees a job end",
    )
