"""Disturb a small workflow again and again, run it until it is done, and compare its catalogs with undisturbed ones.

Run ``python benchmarks/bench_reliability.py [--seeds 20] [--first 0] [--faults 6]``. Each seed is a run of its own with
faults at random times: processes are killed or terminated, files truncated or changed, the disk filled (where a small
file system can be mounted, which takes root). After each stop, what ``astropipe verify`` calls damaged is deleted, as
docs/reliability.md tells users to do, and the workflow started again. The exit code is 1 where a catalog differs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

from astropipe.artifacts.verification import verify

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results"
SETTINGS = {
    "workflow": {
        "systems_per_chunk": 4,
        "ensembles": {"small": {"simulate": {"n_systems": 8}, "integrate": {"t_end": 10}}},
        "clusters": {},
        "boxes": {},
        "spectra_per_chunk": 100,
        "surveys": {"stars": {"simulate": {"n_spectra": 200}}},
        "galaxies_per_chunk": 60,
        "galaxy_surveys": {
            "field": {"simulate": {"n_galaxies": 120, "size": 64}, "classify": {"n_groups": 4, "n_runs": 6}}
        },
        "pictures": {},
        "posteriors": {"union3": {"sample": {"problem": "lcdm-union3", "n_live": 50, "dlogz": 0.5}}},
    }
}
CATALOGS = (
    "nbody/small/triples.h5",
    "spectra/stars/stars.h5",
    "morphology/field/galaxies.h5",
    "inference/union3/posterior.h5",
    *(f"{stage}/metrics.h5" for stage in ("nbody", "spectra", "morphology", "inference")),
)
# An undisturbed run must fit, and a full disk be filled soon.
_DISK_MB = 200
_LONGEST_S = 300.0
_MOST_STARTS = 30


@dataclass
class Case:
    """One disturbed run.

    Attributes
    ----------
    folder : Path
        Where it runs.
    rng : Generator
        Chooses faults and times.
    disk : bool
        Whether the folder is a small file system of its own.
    faults : Counter
        What was done to it.
    """

    folder: Path
    rng: np.random.Generator
    disk: bool
    faults: Counter[str] = field(default_factory=Counter)


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the workflow in a session of its own."""
    (folder / "settings.yaml").write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", "--nolock"]
    targets = [f"results/{name}" for name in CATALOGS]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [*command, *targets, "--configfile", "settings.yaml"],
            cwd=folder,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def processes(session: int) -> list[tuple[int, str]]:
    """Return the processes of a session with their command lines."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                found.append((int(folder.name), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()))
        except OSError:
            continue
    return found


def _signal(case: Case, run: subprocess.Popen[bytes], what: signal.Signals, *, all_of_them: bool, jobs: bool) -> bool:
    victims = [pid for pid, command in processes(run.pid) if not jobs or "/astropipe " in command]
    if not victims:
        return False
    for pid in victims if all_of_them else [int(case.rng.choice(victims))]:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            continue
    return True


def kill_job(case: Case, run: subprocess.Popen[bytes]) -> bool:
    """Kill one job, as a machine without memory does."""
    return _signal(case, run, signal.SIGKILL, all_of_them=False, jobs=True)


def kill_everything(case: Case, run: subprocess.Popen[bytes]) -> bool:
    """Kill workflow and jobs, as a power cut does."""
    return _signal(case, run, signal.SIGKILL, all_of_them=True, jobs=False)


def kill_snakemake(case: Case, run: subprocess.Popen[bytes]) -> bool:
    """Kill the workflow alone: its jobs go on while the next start makes the same files."""
    run.kill()
    return True


def terminate_jobs(case: Case, run: subprocess.Popen[bytes]) -> bool:
    """Terminate all jobs, as a scheduler does at the wall time: they leave checkpoints."""
    return _signal(case, run, signal.SIGTERM, all_of_them=True, jobs=True)


def _some_file(case: Case) -> Path | None:
    files = sorted(path for path in (case.folder / "results").rglob("*.h5*") if path.is_file())
    return files[int(case.rng.integers(len(files)))] if files else None


def truncate(case: Case, run: subprocess.Popen[bytes]) -> bool:
    """Cut an artifact, unfinished file or checkpoint at a random place."""
    path = _some_file(case)
    if path is None:
        return False
    os.truncate(path, int(path.stat().st_size * case.rng.random()))
    return True


def change_bytes(case: Case, run: subprocess.Popen[bytes]) -> bool:
    """Change sixteen bytes at a random place of an artifact, unfinished file or checkpoint."""
    path = _some_file(case)
    if path is None or path.stat().st_size < 32:
        return False
    with path.open("r+b") as file:
        file.seek(int(case.rng.integers(path.stat().st_size - 16)))
        file.write(case.rng.bytes(16))
    return True


def fill_disk(case: Case, run: subprocess.Popen[bytes]) -> bool:
    """Leave no space for some seconds."""
    if not case.disk:
        return False
    ballast = case.folder / "ballast"
    try:
        with ballast.open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
    except OSError:
        pass
    time.sleep(6.0)
    ballast.unlink()
    return True


FAULTS: dict[str, Callable[[Case, subprocess.Popen[bytes]], bool]] = {
    "a job killed": kill_job,
    "workflow and jobs killed": kill_everything,
    "the workflow alone killed": kill_snakemake,
    "all jobs terminated": terminate_jobs,
    "a file truncated": truncate,
    "bytes of a file changed": change_bytes,
    "the disk full": fill_disk,
}


def repair(folder: Path) -> int:
    """Delete what is damaged, as docs/reliability.md says; return how many files."""
    artifacts = sorted((folder / "results").rglob("*.h5"))
    damaged = {finding.path for finding in verify(artifacts) if finding.state == "damaged"}
    for name in damaged:
        Path(name).unlink(missing_ok=True)
    return len(damaged)


def disturbed(case: Case, n_faults: int) -> dict[str, int]:
    """Run to the end with faults; return how often it was started and how many files were deleted."""
    starts = deleted = 0
    todo = n_faults
    while starts < _MOST_STARTS:
        run = start(case.folder)
        starts += 1
        deadline = time.monotonic() + _LONGEST_S
        strike = time.monotonic() + float(case.rng.uniform(1.0, 12.0))
        while run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
            if todo and time.monotonic() > strike:
                name = str(case.rng.choice(list(FAULTS)))
                if FAULTS[name](case, run):
                    case.faults[name] += 1
                    todo -= 1
                strike = time.monotonic() + float(case.rng.uniform(1.0, 12.0))
        if run.poll() is None:
            kill_everything(case, run)
            raise TimeoutError(f"the workflow hangs; see {case.folder / 'log'}")
        deleted += repair(case.folder)
        if run.returncode == 0 and all((case.folder / "results" / name).is_file() for name in CATALOGS):
            return {"starts": starts, "deleted": deleted}
    raise RuntimeError(f"not done after {_MOST_STARTS} starts; see {case.folder / 'log'}")


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system there; tell whether that was possible."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def main() -> int:
    """Run all seeds and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--faults", type=int, default=6, help="of each seed")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    faults: Counter[str] = Counter()
    starts, deleted, equal = [], 0, 0
    with TemporaryDirectory() as name:
        reference = Path(name) / "undisturbed"
        reference.mkdir()
        if start(reference).wait():
            sys.exit((reference / "log").read_text())
        wanted = {catalog: (reference / "results" / catalog).read_bytes() for catalog in CATALOGS}
        for seed in range(options.first, options.first + options.seeds):
            with small_disk(Path(name) / f"seed-{seed}") as mounted:
                case = Case(Path(name) / f"seed-{seed}", np.random.default_rng(seed), mounted)
                outcome = disturbed(case, options.faults)
                results = case.folder / "results"
                differ = [catalog for catalog in CATALOGS if (results / catalog).read_bytes() != wanted[catalog]]
            print(f"seed {seed}: {outcome}, {dict(case.faults)}, differ: {differ or 'none'}", flush=True)
            faults += case.faults
            starts.append(outcome["starts"])
            deleted += outcome["deleted"]
            equal += not differ
    lines = [f"| {what} | {faults[what]} |" for what in FAULTS]
    note = (
        f"{sum(faults.values())} faults; {np.mean(starts):.1f} starts until done in the mean, {max(starts)} at most; "
        f"{deleted} damaged files found and deleted. In {equal} of {options.seeds} workflows all {len(CATALOGS)} "
        "catalogs equal the undisturbed ones to the byte."
    )
    title = f"*{options.seeds} workflows with at most {options.faults} faults each*"
    text = "\n".join([title, "", "| fault | times |", "|---|---|", *lines, "", note, ""])
    (options.output / "reliability.md").write_text(text, encoding="utf-8")
    print(text)
    return 0 if equal == options.seeds else 1


if __name__ == "__main__":
    sys.exit(main())
