"""Simulation-based calibration of both methods, as a table and a figure of docs/inference.md.

python benchmarks/bench_inference_calibration.py [--simulations 128] [--only EXPERIMENT METHOD]

Half an hour on one core. Each simulation draws its truth from the prior. Those that stand in the CSV already are not
run again; delete it after a change of the samplers. Table and figure show all rows of the CSV.
"""

from __future__ import annotations

import argparse
import csv
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from astropipe.inference.calibration import (
    COVERED,
    Calibration,
    Experiment,
    calibrate,
    chronometer_experiment,
    gaussian_experiment,
)
from astropipe.plots.inference_checks import rank_histograms
from astropipe.plots.style import use_style

HERE = Path(__file__).parent
CSV = HERE / "results" / "inference-calibration.csv"
EXPERIMENTS = (chronometer_experiment(), gaussian_experiment())
# Small sizes: a defect of the method shows all the more.
METHODS: dict[str, dict[str, Any]] = {
    "exact": {"method": "exact", "n_live": 100, "dlogz": 0.1},
    "emulated": {"method": "emulated", "precision": 0.05, "min_ess": 300},
}
N_DRAWS, AT_A_TIME = 63, 8
COLUMNS = ("experiment", "method", "simulation", "parameter", "rank", *(f"inside_{c:g}" for c in COVERED))


def read() -> list[dict[str, str]]:
    """Return the rows of earlier runs; without a parameter is what did not converge."""
    if not CSV.exists():
        return []
    with CSV.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def run(experiment: Experiment, method: str, simulations: list[int]) -> None:
    """Run simulations and append their rows."""
    found = calibrate(experiment, simulations, n_draws=N_DRAWS, **METHODS[method])
    begin = (experiment.name, method)
    rows: list[tuple[Any, ...]] = [(*begin, i, "", "", "", "") for i in found.dropped]
    for k, i in enumerate(sorted(set(simulations) - set(found.dropped))):
        for j, name in enumerate(found.names):
            rows.append((*begin, i, name, found.ranks[k, j], *found.inside[k, j].astype(int)))
    new = not CSV.exists()
    with CSV.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([COLUMNS, *rows] if new else rows)


def gathered(experiment: Experiment, method: str, rows: list[dict[str, str]]) -> Calibration:
    """Return the calibration that rows of a table describe."""
    own = [row for row in rows if (row["experiment"], row["method"]) == (experiment.name, method)]
    names = experiment.prior.names
    columns = [[row for row in own if row["parameter"] == name] for name in names]
    ranks = np.array([[int(row["rank"]) for row in column] for column in columns]).T
    inside = np.array([[[row[key] == "1" for key in COLUMNS[-2:]] for row in column] for column in columns])
    dropped = tuple(int(row["simulation"]) for row in own if not row["parameter"])
    return Calibration(names, N_DRAWS, ranks, inside.swapaxes(0, 1), dropped)


def lines(experiment: Experiment, method: str, found: Calibration) -> list[str]:
    """Return the lines of the table for one experiment and method."""
    chi2, ks = found.chi_squared_pvalues(), found.ks_pvalues()
    shares, errors = found.coverage(), found.coverage_errors()
    n = len(found.ranks)
    return [
        f"| {experiment.name} | {method} | `{name}` | {n} of {n + len(found.dropped)} | {chi2[i]:.2f} | {ks[i]:.2f} | "
        + " | ".join(f"{share:.3f} ± {error:.3f}" for share, error in zip(shares[i], errors, strict=True))
        + " |"
        for i, name in enumerate(found.names)
    ]


def main() -> None:
    """Run what is missing, write the table and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulations", type=int, default=128)
    parser.add_argument("--only", nargs=2, metavar=("EXPERIMENT", "METHOD"))
    arguments = parser.parse_args()
    for experiment, method in product(EXPERIMENTS, METHODS):
        if arguments.only not in (None, [experiment.name, method]):
            continue
        done = {int(r["simulation"]) for r in read() if (r["experiment"], r["method"]) == (experiment.name, method)}
        missing = sorted(set(range(arguments.simulations)) - done)
        for k in range(0, len(missing), AT_A_TIME):
            run(experiment, method, missing[k : k + AT_A_TIME])
            print(experiment.name, method, k + AT_A_TIME, flush=True)
    rows, table, panels = read(), [], {}
    ran = {(row["experiment"], row["method"]) for row in rows if row["parameter"]}
    for experiment, method in product(EXPERIMENTS, METHODS):
        if (experiment.name, method) in ran:
            found = gathered(experiment, method, rows)
            table += lines(experiment, method, found)
            titles = [f"{experiment.name}, {method}: {name}" for name in found.names]
            panels |= dict(zip(titles, found.ranks.T, strict=True))
    head = ("experiment", "method", "parameter", "runs that converged", "χ² p", "KS p", *(f"{c:.0%}" for c in COVERED))
    note = (
        f"Ranks among {N_DRAWS} draws in 8 bins; shares of truths inside central intervals, with the binomial errors "
        "that they have if the intervals are right. Exact: 100 live points, dlogz 0.1. Emulated: precision 0.05, at "
        "least 300 effective samples."
    )
    text = "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *table, "", note, ""])
    print(text)
    (HERE / "results" / "inference-calibration.md").write_text(text, encoding="utf-8")
    use_style()
    rank_histograms(panels, N_DRAWS).savefig(HERE.parent / "docs" / "figures" / "inference-calibration.png")


if __name__ == "__main__":
    begin = time.perf_counter()
    main()
    print(f"{time.perf_counter() - begin:.0f} s")
