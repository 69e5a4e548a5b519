"""Measure what chunks of each stage cost, and say from that what catalogs of survey size take.

Run ``python benchmarks/bench_scaling.py [--parts chunks,parallel,dag] [--output DIR]`` on a machine that does nothing
else. ``chunks`` runs one job for few and for many objects: their difference is the cost of an object, the rest that of
a job. ``parallel`` runs 1, 2, 4 ... equal jobs at a time, up to twice the cores. ``dag`` lets Snakemake plan the
largest surveys.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results"
BIN = Path(sys.executable).parent
# One thread a job, as the workflow gives its jobs.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


@dataclass(frozen=True)
class Stage:
    """A stage whose objects go through chunks.

    Attributes
    ----------
    title : str
        What its objects are.
    simulate : list of str
        Command that makes objects, without their number, its output and the seed.
    number : str
        Setting of their number.
    apply : list of str
        Command that works through them, without input and output.
    few, many : int
        Numbers of objects of two jobs.
    survey : int
        Objects of the catalog that is extrapolated to.
    """

    title: str
    simulate: list[str]
    number: str
    apply: list[str]
    few: int
    many: int
    survey: int


STAGES = {
    "nbody": Stage(
        "Agekyan-Anosova triples to t = 100",
        ["nbody", "simulate", "--set", "nbody.simulate.family=agekyan-anosova"],
        "nbody.simulate.n_systems",
        ["nbody", "integrate", "--set", "nbody.integrate.t_end=100", "--set", "nbody.integrate.stop_on_escape=true"],
        100,
        2_000,
        1_000_000,
    ),
    "spectra": Stage(
        "spectra", ["spectra", "simulate"], "spectra.simulate.n_spectra", ["spectra", "predict"], 64, 3_000, 2_370_000
    ),
    "morphology": Stage(
        "galaxies of 64 x 64 pixels",
        ["morphology", "simulate", "--set", "morphology.simulate.size=64"],
        "morphology.simulate.n_galaxies",
        ["morphology", "encode"],
        32,
        1_500,
        99_806,
    ),
}


@dataclass(frozen=True)
class Cost:
    """What a job took: seconds of wall clock and of a core, largest memory in MB, bytes read and written."""

    wall: float
    cpu: float
    memory: float
    read: int
    written: int


def astropipe(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a command."""
    command = [str(BIN / "astropipe"), *arguments, "--quiet"]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL)


def made(stage: Stage, n: int, folder: Path) -> Path:
    """Make n objects; return their file."""
    path = folder / f"{stage.number.split('.')[0]}-{n}.h5"
    if not path.exists():
        job = astropipe(*stage.simulate, "--set", f"{stage.number}={n}", "--seed", "1", "--output", str(path))
        if job.wait():
            sys.exit(f"making {path} failed")
    return path


def run(stage: Stage, source: Path, output: Path) -> Cost:
    """Run one job to its end and measure it."""
    begun = time.perf_counter()
    job = astropipe(*stage.apply, str(source), "--threads", "1", "--force", "--output", str(output))
    _, status, usage = os.wait4(job.pid, 0)
    wall = time.perf_counter() - begun
    if status:
        sys.exit(f"{' '.join(stage.apply)} {source} failed")
    sizes = source.stat().st_size, output.stat().st_size
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, *sizes)


def chunks(folder: Path) -> list[list[str]]:
    """Measure two jobs of each stage; the first of all fills the caches of files and compiled code."""
    lines = []
    for stage in STAGES.values():
        few, many = made(stage, stage.few, folder), made(stage, stage.many, folder)
        run(stage, few, folder / "out.h5")
        low, high = run(stage, few, folder / "out.h5"), run(stage, many, folder / "out.h5")
        more = stage.many - stage.few
        each = (high.cpu - low.cpu) / more
        job = low.cpu - stage.few * each
        jobs = 200
        hours = (stage.survey * each + jobs * job) / 3600.0
        lines.append(
            [
                stage.title,
                f"{job:.1f} s",
                f"{each * 1e3:.2f} ms",
                f"{high.memory:.0f} MB",
                f"{(high.read - low.read) / more / 1e3:.2f} kB",
                f"{(high.written - low.written) / more / 1e3:.2f} kB",
                f"{stage.survey:,}",
                f"{hours:.1f} h",
                f"{hours / jobs * 60.0:.1f} min",
            ]
        )
        print(lines[-1], flush=True)
    return lines


def parallel(folder: Path) -> list[list[str]]:
    """Run equal jobs at a time; the rate of one is 1."""
    lines = []
    counts = [2**power for power in range(12) if 2**power <= 2 * (os.cpu_count() or 1)]
    for stage in STAGES.values():
        source = made(stage, stage.many, folder)
        rates = []
        for count in counts:
            begun = time.perf_counter()
            jobs = [
                astropipe(*stage.apply, str(source), "--threads", "1", "--force", "--output", str(folder / f"{i}.h5"))
                for i in range(count)
            ]
            if any([job.wait() for job in jobs]):
                sys.exit(f"{stage.title}: a job of {count} failed")
            rates.append(count / (time.perf_counter() - begun))
        lines.append([stage.title, *(f"{rate / rates[0]:.2f}" for rate in rates)])
        print(lines[-1], flush=True)
    return [["", *(str(count) for count in counts)], *lines]


def dag(folder: Path) -> list[list[str]]:
    """Let Snakemake plan all three surveys together."""
    survey = {
        "ensembles": {"triples": {"simulate": {"n_systems": STAGES["nbody"].survey}}},
        "surveys": {"stars": {"simulate": {"n_spectra": STAGES["spectra"].survey}}},
        "galaxy_surveys": {"galaxies": {"simulate": {"n_galaxies": STAGES["morphology"].survey}}},
        "clusters": {},
        "boxes": {},
        "pictures": {},
    }
    (folder / "survey.yaml").write_text(yaml.safe_dump({"workflow": survey}), encoding="utf-8")
    command = [str(BIN / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--dry-run", "--quiet", "rules"]
    begun = time.perf_counter()
    job = subprocess.Popen(
        [*command, "--configfile", "survey.yaml"], cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert job.stdout is not None
    total = next(line.split()[1] for line in job.stdout if line.startswith("total"))
    job.stdout.read()
    _, status, usage = os.wait4(job.pid, 0)
    if status:
        sys.exit("the dry run failed")
    wall, cpu = time.perf_counter() - begun, usage.ru_utime + usage.ru_stime
    return [[total, f"{wall:.0f} s", f"{cpu:.0f} s", f"{usage.ru_maxrss / 1024:.0f} MB"]]


def markdown(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return f"*{title}*\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="chunks,parallel,dag")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    parts = options.parts.split(",")
    with TemporaryDirectory() as name:
        folder = Path(name)
        if "chunks" in parts:
            head = [
                "objects",
                "a job",
                "an object",
                "memory",
                "read",
                "written",
                "catalog of",
                "core hours",
                "a job of 200",
            ]
            table = markdown("Jobs of one core: cost of a job and of an object", head, chunks(folder))
            (options.output / "scaling-chunks.md").write_text(table, encoding="utf-8")
        if "parallel" in parts:
            head, *lines = parallel(folder)
            title = f"Rate of several jobs at a time over that of one, on {os.cpu_count()} cores"
            (options.output / "scaling-parallel.md").write_text(markdown(title, head, lines), encoding="utf-8")
        if "dag" in parts:
            title = "Dry run of a million triples, 2.37 million spectra, 99,806 galaxies and the posteriors"
            head = ["jobs", "wall clock", "CPU time", "memory"]
            (options.output / "scaling-dag.md").write_text(markdown(title, head, dag(folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
