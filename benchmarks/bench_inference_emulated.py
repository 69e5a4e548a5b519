"""Sampling with an emulated likelihood: true calls, error and bias over seeds, as a table of docs/inference.md.

python benchmarks/bench_inference_emulated.py [--problems NAME ...] [--seeds FIRST LAST] [--precision 0.02]

An hour on one core. The evidences are analytic or by quadrature, but for that of w0waCDM, which is importance
sampling with forty million true values (`--reference`). The seeds were used for nothing else.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import astuple, dataclass, fields
from itertools import groupby
from pathlib import Path

import numpy as np

from astropipe.inference import Problem, problem, sample
from astropipe.inference.emulated.annealing import anneal
from astropipe.inference.emulated.mixture import fit_mixture

RESULTS = Path(__file__).parent / "results"
CSV = RESULTS / "inference-emulated.csv"
W0WA = "w0wa-chronometers-desi-dr2"
PROBLEMS = (
    ("gaussian", {"n_parameters": 5}),
    ("correlated-gaussian", {}),
    ("cut-gaussian", {"cut": -1.0}),
    ("rosenbrock", {}),
    ("ring", {}),
    ("himmelblau", {}),
    ("shells", {"n_parameters": 2}),
    ("loggamma", {}),
    ("eggbox", {}),
    (W0WA, {}),
)
PANTHEON = "w0wa-pantheon-plus"
REFERENCE_LOGZ = {W0WA: -134.9710, PANTHEON: 835.3595}
"""By `--reference`; uncertain by 0.0002 and 0.0015 (the latter with --points 200000)."""


@dataclass(frozen=True)
class Row:
    """One run."""

    problem: str
    n_parameters: int
    seed: int
    n_true_calls: int
    logz: float
    logz_err: float
    truth: float
    converged: bool
    ess: float
    overhead_seconds: float

    @property
    def pull(self) -> float:
        """Deviation from the truth in quoted errors."""
        return (self.logz - self.truth) / self.logz_err


def run(name: str, task: Problem, truth: float, seed: int, precision: float) -> Row:
    """Sample once."""
    result = sample(task.log_likelihood, task.prior, method="emulated", precision=precision, vectorized=True, seed=seed)
    return Row(
        name,
        len(task.prior),
        seed,
        result.n_true_calls,
        result.logz,
        result.logz_err,
        truth,
        result.converged,
        result.diagnostics.ess,
        result.overhead_seconds,
    )


def summary(rows: list[Row]) -> str:
    """Return the line of a table."""
    done = [row for row in rows if row.converged]
    cells = [rows[0].problem, str(rows[0].n_parameters), f"{len(done)} of {len(rows)}"]
    if not done:
        return " | ".join([*cells, f"{np.median([row.n_true_calls for row in rows]):.0f}", "–", "–", "–", "–", "–"])
    pulls = np.array([row.pull for row in done])
    return " | ".join(
        [
            *cells,
            f"{np.median([row.n_true_calls for row in done]):.0f}",
            f"{np.median([row.logz_err for row in done]):.4f}",
            f"{np.mean(pulls):+.2f} ± {np.std(pulls, ddof=1) / np.sqrt(len(pulls)):.2f}",
            f"{np.std(pulls, ddof=1):.2f}",
            f"{np.count_nonzero(np.abs(pulls) > 3.0)}",
            f"{np.median([row.overhead_seconds for row in done]):.0f}",
        ]
    )


def reference_evidence(task: Problem, n_points: int, seed: int = 5) -> tuple[float, float]:
    """Return ln Z and its error from true values at points of a wide mixture."""
    rng = np.random.default_rng(seed)
    d = len(task.prior)

    def allowed(u: np.ndarray) -> np.ndarray:
        return task.prior.allowed(task.prior.transform(u))

    def log_likelihood(u: np.ndarray) -> np.ndarray:
        return task.log_likelihood(task.prior.transform(u))

    particles = anneal(log_likelihood, allowed, d, min(8000, n_points // 10), rng)[-1]
    mixture, highest = fit_mixture(particles.u, rng).widened(1.4), float(particles.log_likelihoods.max())
    total = squares = 0.0
    n = min(50_000, n_points // 10)
    blocks = n_points // n
    for _ in range(blocks):
        u = np.concatenate([mixture.draw(n - n // 10, rng), rng.random((n // 10, d))])
        inside = np.all((u > 0.0) & (u < 1.0), axis=1)
        inside[inside] = allowed(u[inside])
        u = u[inside]
        log_density = np.logaddexp(np.log(0.9) + mixture.log_density(u), np.log(0.1))
        weights = np.exp(log_likelihood(u) - highest - log_density)
        total, squares = total + weights.sum(), squares + np.sum(weights**2)
    z = total / (n * blocks)
    error = np.sqrt((squares / (n * blocks) - z * z) / (n * blocks)) / z
    return float(np.log(z)) + highest, float(error)


def main() -> None:
    """Run the problems, write all rows and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--problems", nargs="+", choices=[name for name, _ in PROBLEMS], help="only these; rows of others are kept"
    )
    parser.add_argument("--seeds", type=int, nargs=2, default=(3100, 3119), metavar=("FIRST", "LAST"))
    parser.add_argument("--precision", type=float, default=0.02)
    parser.add_argument("--reference", choices=list(REFERENCE_LOGZ), help="only compute the evidence of a problem")
    parser.add_argument("--points", type=int, default=40_000_000, help="points at which that takes the likelihood")
    arguments = parser.parse_args()
    if arguments.reference:
        task = problem(arguments.reference)
        print("ln Z = {:.4f} +- {:.4f}".format(*reference_evidence(task, arguments.points)))
        return
    for name, options in PROBLEMS:
        if arguments.problems and name not in arguments.problems:
            continue
        task = problem(name, **options)
        truth = REFERENCE_LOGZ[name] if task.log_evidence is None else task.log_evidence
        rows = []
        for seed in range(arguments.seeds[0], arguments.seeds[1] + 1):
            rows.append(run(name, task, truth, seed, arguments.precision))
            print(rows[-1], flush=True)
        # Read again: another process may have written meanwhile.
        write([row for row in read() if row.problem != name] + rows, arguments.precision)


def read() -> list[Row]:
    """Return the rows of earlier runs."""
    if not CSV.exists():
        return []
    with CSV.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                name,
                *(int(row[key]) for key in ("n_parameters", "seed", "n_true_calls")),
                *(float(row[key]) for key in ("logz", "logz_err", "truth")),
                row["converged"] == "True",
                *(float(row[key]) for key in ("ess", "overhead_seconds")),
            )
            for row in csv.DictReader(file)
            for name in [row["problem"]]
        ]


def write(rows: list[Row], precision: float) -> None:
    """Write the rows as CSV and the table as Markdown."""
    order = [name for name, _ in PROBLEMS]
    rows = sorted(rows, key=lambda row: (order.index(row.problem), row.seed))
    lines = [f"| {summary(list(group))} |" for _, group in groupby(rows, lambda row: row.problem)]
    with CSV.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)
    head = (
        "problem",
        "parameters",
        "converged",
        "true calls, median",
        "quoted error, median",
        "(ln Z − truth) / error, mean",
        "scatter",
        "beyond 3 σ",
        "overhead, median [s]",
    )
    note = (
        f"`method='emulated'`, precision {precision:g}, at least 300 effective samples, at most 2000 calls. Runs that "
        "did not converge said why and are in no other column but that of the calls. Overhead is wall-clock time "
        "beyond the likelihood on one core."
    )
    table = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines]
    text = "\n".join(["Emulated sampling over seeds", "", *table, "", note, ""])
    (RESULTS / "inference-emulated.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    begin = time.perf_counter()
    main()
    print(f"{time.perf_counter() - begin:.0f} s")
