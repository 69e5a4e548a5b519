"""What ``astropipe doctor`` looks at: versions, threads, GPU, file locking, SLURM."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from astropipe.runtime.compute import available_cores

_LIBRARIES = ("numpy", "scipy", "astropy", "h5py", "numba", "dynesty", "getdist", "torch", "snakemake")
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
    """Look at everything; the folder is where file locking and writing are tried."""
    return [
        Diagnosis("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *_versions(),
        *_threads(),
        _gpu(),
        *_locking(folder),
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
    import numpy as np
    from threadpoolctl import threadpool_info

    cores = available_cores()
    yield Diagnosis("cores", f"{cores} usable by this process, {os.cpu_count()} in the machine")
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


def _locking(folder: Path) -> Iterator[Diagnosis]:
    subject = "hdf5 locking"
    setting = os.environ.get("HDF5_USE_FILE_LOCKING", "not set")
    if not folder.is_dir():
        yield Diagnosis("folder", f"{folder} is not a folder", "give a folder that exists", fatal=True)
        return
    probe = folder / f".astropipe-doctor-{os.getpid()}.h5"
    try:
        _try_lock(probe)
    except PermissionError as error:
        yield Diagnosis("folder", f"{folder}: {error.strerror}", "choose a folder that you may write to", fatal=True)
    except OSError as error:
        yield Diagnosis(
            subject,
            f"fails on {folder.resolve()} ({error}); HDF5_USE_FILE_LOCKING {setting}",
            "astropipe itself does not lock, but other tools may: export HDF5_USE_FILE_LOCKING=BEST_EFFORT",
        )
    else:
        yield Diagnosis(subject, f"works on {folder.resolve()}; HDF5_USE_FILE_LOCKING {setting}")
    finally:
        probe.unlink(missing_ok=True)


def _try_lock(probe: Path) -> None:
    """Write and read a file with HDF5's own locking, in a process of its own: the setting is read at start."""
    code = (
        "import h5py, sys\n"
        "with h5py.File(sys.argv[1], 'w', locking=True) as f: f['x'] = 1\n"
        "with h5py.File(sys.argv[1], 'r', locking=True) as f: assert f['x'][()] == 1\n"
    )
    probe.touch()
    result = subprocess.run([sys.executable, "-c", code, str(probe)], capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(result.stderr.strip().splitlines()[-1])


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
