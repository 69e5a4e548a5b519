"""Time a periodic box and the statistics of its flow, and compare the scatter of several boxes with their errors.

Run ``python benchmarks/bench_flow.py [--output DIR]``: minutes a box on two cores. Boxes stay in ``results-flow/`` and
are not made twice. The tables:

- flow-cost: wall time, processor time and peak memory of each verb, each in a process of its own, medians over boxes;
- flow-scatter: statistics at redshift 0 by separation, means over boxes with different seeds; their scatter over the
  errors that each box gives itself, root mean square over the statistics.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.table import QTable
from table_flow import SEPARATIONS, markdown, number, with_ratio

COSTS = "costs.csv"


def run(folder: Path, verb: str, output: Path, *arguments: str) -> None:
    """Run a verb in a process of its own, and note what it cost."""
    command = [sys.executable, "-m", "astropipe.cli.main", "nbody", verb, *arguments, "--output", str(output)]
    before = time.perf_counter()
    process = subprocess.Popen([*command, "--force", "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - before
    if status:
        sys.exit(f"{' '.join(command)} failed")
    row = [output.stem, verb, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]
    with (folder / COSTS).open("a", newline="") as file:
        csv.writer(file).writerow(row)
    print(*row, flush=True)


def measured(folder: Path, n_side: int, seed: int, threads: int) -> QTable:
    """Return the statistics of a box at redshift 0, made where they are not there yet."""
    start, box, flow = (folder / f"{n_side}-{seed}-{name}.h5" for name in ("start", "box", "flow"))
    common = ("--seed", str(seed), "--threads", str(threads))
    if not flow.exists():
        family = ("--set", "nbody.simulate.family=box", "--set", f"nbody.simulate.box.n_side={n_side}")
        run(folder, "simulate", start, *family, *common)
        run(folder, "integrate", box, str(start), "--set", "nbody.integrate.box.redshifts=[0.0]", *common)
        run(folder, "evaluate", flow, str(box), "--set", "nbody.evaluate.box.density=false", *common)
    return with_ratio(QTable.read(flow, path="catalog"))


def costs(folder: Path, n_side: int) -> list[list[str]]:
    """Return the cost of each verb, medians over the boxes."""
    with (folder / COSTS).open(newline="") as file:
        rows = [row for row in csv.reader(file) if row[0].startswith(f"{n_side}-")]
    table = []
    for verb in ("simulate", "integrate", "evaluate"):
        numbers = np.array([[float(cell) for cell in row[2:]] for row in rows if row[1] == verb])
        table.append([verb, str(len(numbers)), *(f"{middle:.0f}" for middle in np.median(numbers, axis=0))])
    return table


def scatter(boxes: Sequence[QTable]) -> list[list[str]]:
    """Return a row for each separation: means with their errors, and scatter over the boxes' own errors."""
    rows = []
    for b in range(len(boxes[0])):
        cells, ratios = [], []
        for name in SEPARATIONS:
            values, errors = (np.array([float(box[key][b]) for box in boxes]) for key in (name, f"{name}_error"))
            cells.append(number(values.mean(), values.std(ddof=1) / np.sqrt(len(boxes))))
            ratios.append(values.var(ddof=1) / np.mean(errors**2))
        r = np.mean([box["r"][b].value for box in boxes])
        rows.append([f"{r:.2f}", *cells, f"{np.sqrt(np.mean(ratios)):.2f}"])
    return rows


def main() -> None:
    """Make the boxes and the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", help="folder of the tables")
    parser.add_argument("--folder", type=Path, default=Path("results-flow"), help="folder of the boxes")
    parser.add_argument("--threads", type=int, default=0, help="threads, 0 for all cores")
    parser.add_argument("--boxes", type=int, default=4, help="boxes with different seeds")
    parser.add_argument("--n-side", type=int, default=64, help="particles along each side")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    boxes = [measured(options.folder, options.n_side, seed, options.threads) for seed in range(options.boxes)]
    head = ["verb", "boxes", "wall [s]", "processor [s]", "peak memory [MB]"]
    tables = {
        "flow-cost": markdown(head, costs(options.folder, options.n_side)),
        "flow-scatter": markdown(["r [Mpc]", *SEPARATIONS.values(), "scatter / error"], scatter(boxes)),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        print(table)
        (options.output / f"{name}.md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
