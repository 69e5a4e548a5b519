"""Time a periodic box and the statistics of its flow, and measure the laws of small scales on several boxes.

Run ``python benchmarks/bench_flow.py [--output DIR]`` (half an hour on two cores; the boxes stay in ``results-flow/``
and are not made twice). The tables:

- flow-cost: wall time, processor time and peak memory of each verb on a box of 64^3 particles, each in a process of its
  own;
- flow-separations: what pairs do at redshift 0, by separation, means over boxes with different seeds;
- flow-laws: the laws of small scales, with the scatter of the boxes beside the errors that each box gives itself;
- flow-errors: the same ratio for all separations.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.table import QTable

from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig
from astropipe.nbody import stage
from astropipe.runtime.compute import set_threads
from astropipe.runtime.run import Run

SIZES = {50.0: 3, 100.0: 3}
FAMILY = ("--set", "nbody.simulate.family=box", "--seed", "0")
SEPARATIONS = {
    "xi": "ξ",
    "ratio": "⟨Δu_L⟩ / H a r",
    "root": "⟨Δu_L²⟩^½ [km/s]",
    "du_skewness": "skewness",
    "du_kurtosis": "kurtosis",
    "third_relation": "third relation",
    "fifth_relation": "fifth relation",
    "rho_longitudinal": "ρ_L",
}


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def cost(folder: Path, threads: int) -> list[list[str]]:
    """Run each verb in a process of its own, compiled code in the cache, and return its cost."""
    start, box, flow = (str(folder / f"cost-{name}.h5") for name in ("start", "box", "flow"))
    last = ("--set", "nbody.evaluate.box.snapshots=last")
    commands = {
        "simulate": ("simulate", *FAMILY, "--output", start),
        "integrate to z = 0": ("integrate", start, "--output", box),
        "evaluate one snapshot, no density": (
            *("evaluate", box, *last, "--set", "nbody.evaluate.box.density=false"),
            *("--output", flow),
        ),
        "evaluate one snapshot": ("evaluate", box, *last, "--output", flow),
    }
    rows = []
    for name, arguments in commands.items():
        command = [sys.executable, "-m", "astropipe.cli.main", "nbody", *arguments, "--force", "--quiet"]
        before = time.perf_counter()
        process = subprocess.Popen([*command, "--threads", str(threads)])
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - before
        if status:
            sys.exit(f"{' '.join(command)} failed")
        rows.append([name, f"{wall:.0f}", f"{usage.ru_utime + usage.ru_stime:.0f}", f"{usage.ru_maxrss / 1024:.0f}"])
        print(*rows[-1], flush=True)
    return rows


def measured(folder: Path, size: float, seed: int, threads: int) -> tuple[QTable, QTable]:
    """Return statistics by separation and laws of a box at redshift 0, made where they are not there yet."""
    start, box, flow = (folder / f"{size:g}-mpc-{seed}-{name}.h5" for name in ("start", "box", "flow"))
    run = Run(seed=seed, threads=threads)
    if not flow.exists():
        stage.simulate([], start, SimulateConfig(family="box", box={"size_mpc": size}), run)
        stage.integrate([start], box, IntegrateConfig(box={"redshifts": [0.0]}), run)
        stage.evaluate([box], flow, EvaluateConfig(box={"density": False}), run)
        print(flow, flush=True)
    table = QTable.read(flow, path="catalog")
    for name in ("", "_error"):
        table[f"ratio{name}"] = (table[f"du1{name}"] / table["hubble_flow"]).to_value("")
    table["root"] = np.sqrt(table["du2"].to_value("km2/s2"))
    table["root_error"] = 0.5 * table["du2_error"].to_value("km2/s2") / table["root"]
    return table, QTable.read(flow, path="laws")


def with_error(values: np.ndarray) -> str:
    """Return the mean over boxes, and its standard error from their scatter."""
    return f"{values.mean():.3g} ± {values.std(ddof=1) / np.sqrt(len(values)):.2g}"


def separations(size: float, tables: Sequence[QTable]) -> list[list[str]]:
    """Return the rows of one size of box."""
    rows = []
    for b in range(len(tables[0])):
        values = {name: np.array([float(np.asarray(table[name])[b]) for table in tables]) for name in SEPARATIONS}
        r = np.mean([table["r"][b].value for table in tables])
        rows.append([f"{size:g}", f"{r:.2f}", *(with_error(values[name]) for name in SEPARATIONS)])
    return rows


def laws(size: float, tables: Sequence[QTable]) -> list[list[str]]:
    """Return the rows of one size of box: what is expected and found, scatter and jackknife errors."""
    rows = []
    for i, law in enumerate(tables[0]["law"]):
        values = np.array([table["value"][i] for table in tables])
        scatter, own = values.std(ddof=1), np.sqrt(np.mean([table["error"][i] ** 2 for table in tables]))
        around = f"{tables[0]['r_low'][i].value:.2f}-{tables[0]['r_high'][i].value:.2f}"
        expected = f"{tables[0]['expected'][i]:.3g}"
        rows.append([f"{size:g}", around, law, expected, with_error(values), f"{scatter:.2g}", f"{own:.2g}"])
    return rows


def honesty(tables: Sequence[QTable]) -> str:
    """Return the scatter of the boxes over their jackknife errors, root mean square over statistics and separations."""
    squares = []
    for name in ("du1", "du2", "du_skewness", "rho_longitudinal", "xi"):
        values = np.array([np.asarray(table[name]) for table in tables])
        errors = np.array([np.asarray(table[f"{name}_error"]) for table in tables])
        squares.append(np.var(values, axis=0, ddof=1) / np.mean(errors**2, axis=0))
    by_bin = np.sqrt(np.mean(squares, axis=0))
    third = len(by_bin) // 3
    return ", ".join(
        f"{np.sqrt(np.mean(part**2)):.2f}" for part in (by_bin[:third], by_bin[third:-third], by_bin[-third:])
    )


def main() -> None:
    """Make the boxes and the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", help="folder of the tables")
    parser.add_argument("--folder", type=Path, default=Path("results-flow"), help="folder of the boxes")
    parser.add_argument("--threads", type=int, default=0, help="threads, 0 for all cores")
    parser.add_argument("--parts", nargs="+", default=["cost", "laws"], choices=["cost", "laws"])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    threads = set_threads(options.threads)
    tables = {}
    if "cost" in options.parts:
        head = ["64³ particles, mesh 128³", "wall [s]", "processor [s]", "peak memory [MB]"]
        tables["flow-cost"] = markdown(head, cost(options.folder, threads))
    if "laws" in options.parts:
        found = {
            size: [measured(options.folder, size, seed, threads) for seed in range(count)]
            for size, count in SIZES.items()
        }
        rows = [row for size, boxes in found.items() for row in separations(size, [box[0] for box in boxes])]
        tables["flow-separations"] = markdown(["box [Mpc]", "r [Mpc]", *SEPARATIONS.values()], rows)
        rows = [row for size, boxes in found.items() for row in laws(size, [box[1] for box in boxes])]
        head = ["box [Mpc]", "r [Mpc]", "law", "expected", "mean of the boxes", "scatter", "jackknife error"]
        tables["flow-laws"] = markdown(head, rows)
        rows = [[f"{size:g}", str(len(boxes)), honesty([box[0] for box in boxes])] for size, boxes in found.items()]
        tables["flow-errors"] = markdown(["box [Mpc]", "boxes", "scatter / jackknife: small, middle, large r"], rows)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        print(table)
        (options.output / f"{name}.md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
