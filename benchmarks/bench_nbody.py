"""Compare the learned time step with hand-made rules and other codes: accuracy that is reached against its cost.

Run ``python benchmarks/bench_nbody.py [--systems 1000] [--output DIR]`` with the extra ``peers`` installed; it takes
about half an hour on one core. Sets of systems are in nbody_sets.py, contestants in nbody_contestants.py. Every
contestant has a dial (mu, epsilon, tolerance), which is turned from cheap to dear on every set; all force evaluations
count: first ones, those that the guard threw away, those of repetitions. Wall time is that of one core, in one run of
this program for all. The policies are one file for each seed of the training in benchmarks/policies.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, get_type_hints

import numba
import numpy as np
from nbody_contestants import Contestant, contestants
from nbody_sets import Systems, all_sets
from scipy import stats

RESULTS = Path(__file__).parent / "results"
POLICIES = Path(__file__).parent / "policies"
GOAL = 1e-5
# Corner from which the hypervolume of a front is measured: log10 of evaluations and of the error.
CORNER = (5.0, 0.0)
SETS = ("a", "b", "c", "d, N = 4", "d, N = 5")


class Row(NamedTuple):
    """One contestant at one setting on one set."""

    set: str
    contestant: str
    group: str
    setting: float
    p50: float
    p90: float
    p95: float
    p99: float
    mean_log10: float
    above_1e3: int
    above_goal: int
    flagged: int
    unflagged_above_setting: int
    evaluations: float
    evaluations_p99: float
    wall_s: float
    ns_per_evaluation: float


def read_rows(path: Path) -> list[Row]:
    """Return the rows of an earlier run."""
    if not path.exists():
        return []
    kinds = list(get_type_hints(Row).values())
    with path.open(newline="") as file:
        lines = list(csv.reader(file))[1:]
    return [Row(*(kind(text) for kind, text in zip(kinds, line, strict=True))) for line in lines]


def play(name_of_set: str, systems: Systems, contestant: Contestant, setting: float) -> Row:
    """Run one contestant at one setting."""
    played = contestant.play(systems, setting)
    quantiles = (float(np.quantile(played.error, q)) for q in (0.5, 0.9, 0.95, 0.99))
    flagged = np.zeros(len(played.error), dtype=bool) if played.flagged is None else np.asarray(played.flagged)
    return Row(
        name_of_set,
        contestant.name,
        contestant.group or contestant.name,
        setting,
        *quantiles,
        float(np.log10(np.maximum(played.error, 1e-17)).mean()),
        int(np.sum(played.error > 1e-3)),
        int(np.sum(played.error > GOAL)),
        int(flagged.sum()),
        int(np.sum((played.error > setting) & ~flagged)),
        float(played.evaluations.mean()),
        float(np.quantile(played.evaluations, 0.99)),
        played.wall_s,
        played.wall_s / float(played.evaluations.sum()) * 1e9,
    )


def crossing(rows: Sequence[Row], quantile: str, cost: str) -> float:
    """Return the cost at which a quantile of the error falls below the goal, between settings; inf if it never does."""
    ordered = sorted(rows, key=lambda row: row.evaluations)
    for cheap, dear in itertools.pairwise(ordered):
        above, below = getattr(cheap, quantile), getattr(dear, quantile)
        if above > GOAL >= below:
            share = math.log(above / GOAL) / math.log(above / max(below, 1e-17))
            return float(math.exp((1 - share) * math.log(getattr(cheap, cost)) + share * math.log(getattr(dear, cost))))
    first = ordered[0]
    return float(getattr(first, cost)) if getattr(first, quantile) <= GOAL else math.inf


def hypervolume(rows: Iterable[Row]) -> float:
    """Return the area, in square decades, that a front of mean cost and 95 % error dominates up to `CORNER`."""
    points = sorted((math.log10(row.evaluations), math.log10(max(row.p95, 1e-17))) for row in rows)
    area, floor = 0.0, CORNER[1]
    for cost, error in points:
        if error < floor and cost < CORNER[0]:
            area += (CORNER[0] - cost) * (floor - error)
            floor = error
    return area


def by_contestant(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows of each contestant, in order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.contestant, []).append(row)
    return found


def with_interval(values: Sequence[float], form: str) -> str:
    """Return one number, or the mean of several trainings with its 95 % interval (Student's t)."""
    if not all(math.isfinite(value) for value in values):
        return "never" if not any(math.isfinite(value) for value in values) else "not all"
    mean = float(np.mean(values))
    if len(values) == 1:
        return form.format(mean)
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return f"{form.format(mean)} ± {form.format(half)}"


def summary(rows: Sequence[Row], name_of_set: str) -> list[dict[str, str]]:
    """Return one row a group: what it costs to bring 95 % and 99 % of a set below the goal, and its hypervolume."""
    groups: dict[str, list[list[Row]]] = {}
    for own in by_contestant(row for row in rows if row.set == name_of_set).values():
        groups.setdefault(own[0].group, []).append(own)
    table = []
    for group, members in groups.items():
        wall = not math.isnan(members[0][0].wall_s)
        columns = {"set": name_of_set, "contestant": group}
        for quantile, label in (("p95", "95 %"), ("p99", "99 %")):
            costs = [crossing(own, quantile, "evaluations") for own in members]
            walls = [crossing(own, quantile, "wall_s") for own in members] if wall else [math.inf]
            columns[f"evaluations, {label} < 1e-5"] = with_interval(costs, "{:.0f}")
            columns[f"wall [s], {label} < 1e-5"] = with_interval(walls, "{:.2f}") if wall else ""
        columns["hypervolume"] = with_interval([hypervolume(own) for own in members], "{:.2f}")
        table.append(columns)
    return table


def failures(rows: Sequence[Row], name_of_set: str, most: float) -> list[dict[str, str]]:
    """Return one row a group: fewest systems above 1e-3 at a mean cost up to `most`, and whether all were flagged."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.set == name_of_set and row.evaluations <= most:
            groups.setdefault(row.group, []).append(row)
    table = []
    for group, own in groups.items():
        best = min(own, key=lambda row: (row.above_1e3, row.evaluations))
        table.append(
            {
                "set": name_of_set,
                "contestant": group,
                "setting": f"{best.setting:g}",
                "above 1e-3": str(best.above_1e3),
                "p50": f"{best.p50:.1e}",
                "p99": f"{best.p99:.1e}",
                "evaluations": f"{best.evaluations:.0f}",
                "wall [s]": "" if math.isnan(best.wall_s) else f"{best.wall_s:.2f}",
            }
        )
    return table


def tolerances(rows: Sequence[Row], group: str) -> list[dict[str, str]]:
    """Return one row a set and tolerance: share that held it, was flagged, or missed it silently."""
    table = []
    for row in rows:
        if row.group == group and row.contestant.endswith("seed 1") and 1e-9 <= row.setting <= 1e-3:
            table.append(
                {
                    "set": row.set,
                    "tolerance": f"{row.setting:g}",
                    "flagged": str(row.flagged),
                    "missed and not flagged": str(row.unflagged_above_setting),
                    "error p50": f"{row.p50:.1e}",
                    "error p99": f"{row.p99:.1e}",
                    "evaluations": f"{row.evaluations:.0f}",
                }
            )
    return table


def markdown(table: Sequence[dict[str, str]]) -> str:
    """Return a table as Markdown."""
    lines = [" | ".join(table[0]), " | ".join("---" for _ in table[0]), *(" | ".join(row.values()) for row in table)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def main() -> None:
    """Run everything, print the tables, and write them where --output says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for nbody-front.csv and the tables")
    parser.add_argument("--systems", type=int, default=1000, help="systems of a set")
    parser.add_argument("--sets", nargs="*", default=SETS, help="sets to run again; none: only the tables are made")
    parser.add_argument("--no-peers", action="store_true", help="without REBOUND")
    options = parser.parse_args()
    numba.set_num_threads(1)
    field = contestants(sorted(POLICIES.glob("*.h5")), peers=not options.no_peers)
    table_file = options.output / "nbody-front.csv"
    rows = [row for row in read_rows(table_file) if row.set not in options.sets]
    for name in options.sets:
        systems = all_sets(options.systems)[name]
        for contestant in field:
            if contestant.sets and name not in contestant.sets:
                continue
            contestant.play(systems.first(2), contestant.dial[0])  # compiles
            for setting in contestant.dial:
                rows.append(play(name, systems, contestant, setting))
                row = rows[-1]
                print(f"{name} {row.contestant} {setting:g}: p95 {row.p95:.1e} nf {row.evaluations:.0f}", flush=True)
    tables = {
        "nbody-front": [line for name in SETS for line in summary(rows, name)],
        "nbody-failures": failures(rows, "b", 1.5e4),
        "nbody-tolerance": tolerances(rows, "tolerance, learned"),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    with table_file.open("w", newline="") as file:
        csv.writer(file).writerows([Row._fields, *rows])
    for name, table in tables.items():
        if not table:
            continue
        print(markdown(table))
        (options.output / f"{name}.md").write_text(markdown(table))


if __name__ == "__main__":
    main()
