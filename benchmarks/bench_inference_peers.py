"""Evidences beside other samplers: calls, errors and overhead on the same problems, priors and seeds.

python benchmarks/bench_inference_peers.py [--samplers NAME ...] [--problems NAME ...] [--seeds N] [--missing]

Needs the extra `inference-peers`, a C compiler for UltraNest, and hours of one core. Each run is a process of its own
with a limit on its CPU time, and its row is written when it ends: an interrupted benchmark goes on with `--missing`. A
row that is made again replaces the one of its sampler, problem and seed; `--samplers emulated` makes ours again after a
change. `--sleep 0.01` waits that long in each call and measures wall-clock time, to check what the table computes.
`--table` only writes the table. No setting of ours was chosen on these seeds.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import math
import multiprocessing
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from bench_inference_emulated import PANTHEON, REFERENCE_LOGZ, W0WA
from inference_contestants import CONTESTANTS, Contestant, Target

from astropipe.inference import problem

RESULTS = Path(__file__).parent / "results"
CSV = RESULTS / "inference-peers.csv"
PROBLEMS: dict[str, dict[str, Any]] = {
    W0WA: {},
    PANTHEON: {},
    "gaussian": {"n_parameters": 5},
    "correlated-gaussian": {},
    "himmelblau": {},
    "shells": {"n_parameters": 2},
}
FIRST_SEED, MOST_SEEDS = 4000, 20
COSTS_S = (0.01, 1.0)
PRECISIONS = (0.1, 0.02)
FINISHED, UNFINISHED = "finished", "not finished"


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes
    ----------
    status : str
        Whether it ended within the limit of CPU time, and the exception if it failed.
    n_calls, n_refused : int
        Points at which ln L was computed, and which violated a constraint.
    converged : bool
        What the sampler says of itself.
    overhead_s, wall_s : float
        CPU time beyond the likelihood, of all threads and without imports; wall-clock time of everything.
    sleep_s : float
        Time that each call waited.
    """

    sampler: str
    problem: str
    seed: int
    sleep_s: float
    version: str
    status: str
    n_calls: int
    n_refused: int
    logz: float
    logz_err: float
    truth: float
    converged: bool
    ess: float
    overhead_s: float
    wall_s: float

    @property
    def pull(self) -> float:
        """Deviation from the truth in quoted errors."""
        return (self.logz - self.truth) / self.logz_err


class OutOfTimeError(BaseException):
    """The limit of CPU time is reached; not an Exception, which samplers catch from a likelihood."""


def play(contestant: Contestant, name: str, seed: int, sleep_s: float, limit_s: float) -> Row:
    """Run a sampler on a problem in this process, which ends soon after."""
    task = problem(name, **PROBLEMS[name])
    truth = REFERENCE_LOGZ[name] if task.log_evidence is None else task.log_evidence
    importlib.import_module(contestant.module)
    target = Target(task, sleep_s)
    found, status = (math.nan, math.nan, math.nan, False), FINISHED

    def stop(*_: object) -> None:
        raise OutOfTimeError

    signal.signal(signal.SIGXCPU, stop)
    begin, wall = time.process_time(), time.perf_counter()
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(begin + limit_s), resource.RLIM_INFINITY))
    try:
        found = contestant.play(target, seed)
    except OutOfTimeError:
        status = UNFINISHED
    except Exception as error:
        traceback.print_exc()
        status = f"failed: {type(error).__name__}"
    overhead, wall = time.process_time() - begin - target.cpu_s, time.perf_counter() - wall
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    logz, logz_err, ess, converged = found
    return Row(
        contestant.name,
        name,
        seed,
        sleep_s,
        version(contestant.package),
        status,
        target.n_calls,
        target.n_refused,
        logz,
        logz_err,
        truth,
        converged,
        ess,
        overhead,
        wall,
    )


def _send(there: Connection, *arguments: Any) -> None:
    there.send(play(*arguments))


def played(*arguments: Any) -> Row:
    """Return the row of a run in a process of its own, so that none has another's threads, caches or random state."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(there, *arguments))
    process.start()
    there.close()
    row: Row = here.recv()
    process.join()
    return row


def read() -> list[Row]:
    """Return the rows of earlier runs."""
    if not CSV.exists():
        return []
    parsers: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float, "bool": "True".__eq__}
    with CSV.open(encoding="utf-8", newline="") as file:
        return [
            Row(*(parsers[str(field.type)](row[field.name]) for field in fields(Row))) for row in csv.DictReader(file)
        ]


def key(row: Row) -> tuple[str, str, int, float]:
    """Return what tells a row from others."""
    return row.sampler, row.problem, row.seed, row.sleep_s


def write(row: Row) -> None:
    """Put a row in the place of the one that it replaces."""
    rows = [other for other in read() if key(other) != key(row)] + [row]
    names = [contestant.name for contestant in CONTESTANTS]
    rows.sort(key=lambda row: (list(PROBLEMS).index(row.problem), names.index(row.sampler), row.sleep_s, row.seed))
    with CSV.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a Markdown table, and an empty one."""
    head = list(head)
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines)] + [""]


def summary(contestant: Contestant, rows: list[Row]) -> list[str]:
    """Return the cells of a sampler on a problem."""
    done = [row for row in rows if row.status == FINISHED]
    cells = [contestant.name, f"{sum(row.converged for row in done)} of {len(rows)}"]
    if not done:
        row = rows[0]
        at_least = "> " if row.status == UNFINISHED else ""
        until = (f"{at_least}{row.n_calls}", "–", row.status, f"{at_least}{row.overhead_s:.0f}")
        return [*cells, *until, *["–"] * 6]
    calls, error, overhead, ess = (
        float(np.median([getattr(row, name) for row in done])) for name in ("n_calls", "logz_err", "overhead_s", "ess")
    )
    pulls = [row.pull for row in done]
    return [
        *cells,
        f"{calls:.0f}",
        f"{error:.3f}",
        f"{np.mean(pulls):+.1f}" + (f" ({min(pulls):+.1f} … {max(pulls):+.1f})" if len(pulls) > 1 else ""),
        f"{overhead:.1f}" if overhead < 10.0 else f"{overhead:.0f}",
        "–" if math.isnan(ess) else f"{ess:.0f}",
        "–" if math.isnan(ess) else f"{ess / calls:.3f}",
        *(calls_at(contestant, calls, error, precision) for precision in PRECISIONS),
        *(duration(calls * cost + overhead) for cost in COSTS_S),
    ]


def calls_at(contestant: Contestant, calls: float, error: float, precision: float) -> str:
    """Return the calls to an error of ln Z of `precision`."""
    if contestant.by_live_points:
        return f"{calls * (error / precision) ** 2:.2g}".replace("e+0", "e")
    return f"≤ {calls:.0f}" if error <= precision else "–"


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"


HEAD = (
    "sampler",
    "converged",
    "true calls",
    "quoted error",
    "(ln Z − truth) / error, mean (extremes)",
    "overhead [CPU s]",
    "ESS",
    "ESS per call",
    *(f"calls to {precision:g}" for precision in PRECISIONS),
    "at 10 ms a call",
    "at 1 s a call",
)
NOTE = f"""Medians over seeds from {FIRST_SEED} on. *True calls* are points at which ln L was computed; those that \
violate a constraint are refused before, for all alike. *Overhead* is CPU time beyond the likelihood. *Calls to* an \
error of ln Z: where live points set the error, extrapolated from the run, calls × (quoted error / wanted error)²; \
else those of the run where its error is below, or – where its dial does not set the error. *At 10 ms* and *at 1 s a \
call* are computed, calls × cost + overhead, for the run as it is, on one core. ESS is – where the sample is one of \
the emulator. *Not finished*: ended after {{limit:.0f}} s of CPU time, with its calls until then; one seed."""


def report(limit_s: float) -> str:
    """Return all tables as Markdown."""
    rows = read()
    lines = ["Samplers side by side", ""]
    for name in dict.fromkeys(row.problem for row in rows):
        plain = [row for row in rows if (row.problem, row.sleep_s) == (name, 0.0)]
        groups = [(one, [row for row in plain if row.sampler == one.name]) for one in CONTESTANTS]
        lines += [f"`{name}`, {len(problem(name, **PROBLEMS[name]).prior)} parameters", ""]
        lines += table(HEAD, [summary(one, runs) for one, runs in groups if runs])
    lines += [NOTE.format(limit=limit_s), ""]
    versions = {row.sampler: row.version for row in rows}
    lines += table(
        ("sampler", "version", "settings"),
        [
            (contestant.name, f"{contestant.package} {versions[contestant.name]}", contestant.settings)
            for contestant in CONTESTANTS
            if contestant.name in versions
        ],
    )
    if real := [row for row in rows if row.problem == PANTHEON and row.status == FINISHED]:
        lines += [f"Wall-clock time of `{PANTHEON}` as run: 1590 light curves with their full covariance, one core", ""]
        lines += table(
            ("sampler", "true calls", "quoted error", "wall-clock [s]"),
            [(row.sampler, str(row.n_calls), f"{row.logz_err:.3f}", f"{row.wall_s:.0f}") for row in real],
        )
    if slept := [row for row in rows if row.sleep_s > 0.0]:
        lines += [
            "Wall-clock times measured with a likelihood that sleeps, beside what is computed from the same run",
            "",
        ]
        lines += table(
            ("sampler", "problem", "sleep [s]", "true calls", "computed [s]", "measured [s]"),
            [
                (
                    row.sampler,
                    row.problem,
                    f"{row.sleep_s:g}",
                    str(row.n_calls),
                    f"{row.n_calls * row.sleep_s + row.overhead_s:.0f}",
                    f"{row.wall_s:.0f}",
                )
                for row in slept
            ],
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is asked for, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [contestant.name for contestant in CONTESTANTS]
    parser.add_argument("--samplers", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS), metavar="NAME")
    parser.add_argument("--seeds", type=int, choices=range(1, MOST_SEEDS + 1), help="how many, for all samplers alike")
    parser.add_argument("--missing", action="store_true", help="only runs without a row")
    parser.add_argument("--sleep", type=float, default=0.0, help="seconds that each call waits")
    parser.add_argument("--limit", type=float, default=300.0, help="CPU seconds after which a run is given up")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    for name in [] if arguments.table else arguments.problems:
        constrained = bool(problem(name, **PROBLEMS[name]).prior.constraints)
        for contestant in CONTESTANTS:
            if contestant.name not in arguments.samplers or (contestant.only_constrained and not constrained):
                continue
            for seed in range(FIRST_SEED, FIRST_SEED + (arguments.seeds or contestant.n_seeds)):
                known = {key(row): row for row in read()}
                row = known.get((contestant.name, name, seed, arguments.sleep)) if arguments.missing else None
                if row is None:
                    row = played(contestant, name, seed, arguments.sleep, arguments.limit)
                    write(row)
                    print(row, flush=True)
                if row.status == UNFINISHED:
                    # Another seed would take as long.
                    break
    text = report(arguments.limit)
    (RESULTS / "inference-peers.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
