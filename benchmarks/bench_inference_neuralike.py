"""The published method beside exact nested sampling of the same seeds: calls and bias, as a table of docs/inference.md.

python benchmarks/bench_inference_neuralike.py [--problems NAME ...] [--toy-seeds 5] [--cosmology-seeds 3]

Some two minutes on one core for a run of two parameters, hours for all. Runs that the CSV has already are not made
again: delete it to begin anew.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import astuple, dataclass, fields
from itertools import groupby, product
from pathlib import Path

import numpy as np
from bench_inference_emulated import REFERENCE_LOGZ, W0WA

from astropipe.config.inference import NeuralikeConfig
from astropipe.inference import NestedResult, NeuralikeResult, Problem, problem, sample

RESULTS = Path(__file__).parent / "results"
CSV = RESULTS / "inference-neuralike.csv"
PROBLEMS = (
    ("gaussian", {"n_parameters": 2}),
    ("himmelblau", {}),
    ("ring", {}),
    ("shells", {"n_parameters": 2}),
    ("eggbox", {}),
    (W0WA, {}),
)
METHODS = ("exact", "neuralike", "neuralike, genetic start")
N_LIVE, DLOGZ, FIRST_SEED = 500, 0.1, 3000


@dataclass(frozen=True)
class Row:
    """One run."""

    problem: str
    method: str
    seed: int
    n_true_calls: int
    n_calls: int
    logz: float
    logz_err: float
    truth: float
    converged: bool
    trained: int
    accepted: int
    switched_off: int
    emulated_weight: float
    rmse: float
    overhead_seconds: float

    @property
    def pull(self) -> float:
        """Deviation from the truth in quoted errors."""
        return (self.logz - self.truth) / self.logz_err


def run(name: str, task: Problem, method: str, seed: int) -> Row:
    """Sample once."""
    result = sample(
        task.log_likelihood,
        task.prior,
        method="exact" if method == "exact" else "neuralike",
        neuralike=NeuralikeConfig(genetic_start=method == METHODS[2]),
        n_live=N_LIVE,
        dlogz=DLOGZ,
        vectorized=True,
        seed=seed,
    )
    assert isinstance(result, NestedResult)
    history = (0, 0, 0, 0.0, np.nan)
    if isinstance(result, NeuralikeResult):
        accepted = [training.rmse for training in result.trainings if training.end != "rejected"]
        history = (
            len(result.trainings),
            result.n_accepted,
            result.n_switched_off,
            result.emulated_weight,
            float(np.median(accepted)) if accepted else np.nan,
        )
    truth = REFERENCE_LOGZ[name] if task.log_evidence is None else task.log_evidence
    return Row(
        name,
        method,
        seed,
        result.n_true_calls,
        result.n_calls,
        result.logz,
        result.logz_err,
        truth,
        result.converged,
        *history,
        result.overhead_seconds,
    )


def summary(rows: list[Row]) -> str:
    """Return the line of a table."""
    n = len(rows)
    pulls = np.array([row.pull for row in rows])
    errors = np.array([row.logz - row.truth for row in rows])
    spread = f"{np.std(pulls, ddof=1):.2f}" if n > 1 else "–"
    cells = [
        rows[0].problem,
        rows[0].method,
        str(n),
        f"{np.median([row.n_true_calls for row in rows]):.0f}",
        f"{np.median([row.n_calls for row in rows]):.0f}",
        f"{np.mean(errors):+.2f} ({np.min(errors):+.2f} to {np.max(errors):+.2f})",
        f"{np.median([row.logz_err for row in rows]):.2f}",
        f"{np.mean(pulls):+.2f}",
        spread,
        str(np.count_nonzero(np.abs(pulls) > 3.0)),
    ]
    if rows[0].method == "exact":
        return " | ".join([*cells, "–", "–", "–"])
    known = [row.rmse for row in rows if np.isfinite(row.rmse)]
    return " | ".join(
        [
            *cells,
            " / ".join(str(sum(getattr(row, key) for row in rows)) for key in ("trained", "accepted", "switched_off")),
            f"{np.median([row.emulated_weight for row in rows]):.0%}",
            f"{np.median(known):.2f}" if known else "–",
        ]
    )


def read() -> list[Row]:
    """Return the rows of earlier runs."""
    if not CSV.exists():
        return []
    kinds = {"problem": str, "method": str, "converged": "True".__eq__, "seed": int}
    kinds |= dict.fromkeys(("n_true_calls", "n_calls", "trained", "accepted", "switched_off"), int)
    with CSV.open(encoding="utf-8", newline="") as file:
        return [
            Row(**{key: kinds.get(key, float)(value) for key, value in row.items()}) for row in csv.DictReader(file)
        ]


def write(rows: list[Row]) -> None:
    """Write the rows as CSV and the table as Markdown."""
    order = [name for name, _ in PROBLEMS]
    rows = sorted(rows, key=lambda row: (order.index(row.problem), METHODS.index(row.method), row.seed))
    with CSV.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)
    lines = [f"| {summary(list(group))} |" for _, group in groupby(rows, lambda row: (row.problem, row.method))]
    head = (
        "problem",
        "method",
        "runs",
        "true calls, median",
        "all calls, median",
        "ln Z − truth, mean (range)",
        "quoted error, median",
        "(ln Z − truth) / error, mean",
        "scatter",
        "beyond 3 σ",
        "networks trained / accepted / switched off",
        "posterior weight emulated, median",
        "held-out rms in ln L, median",
    )
    note = (
        f"{N_LIVE} live points, `dlogz` {DLOGZ:g}, the settings of the model; neuralike is approximate. Networks are "
        "counted over all runs. The same seed draws the same first live points, but for the genetic start."
    )
    table = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines]
    text = "\n".join(["The published method over seeds", "", *table, "", note, ""])
    (RESULTS / "inference-neuralike.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Make the runs that are missing; write all rows and the table after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problems", nargs="+", choices=[name for name, _ in PROBLEMS], help="only these")
    parser.add_argument("--toy-seeds", type=int, default=5)
    parser.add_argument("--cosmology-seeds", type=int, default=3)
    arguments = parser.parse_args()
    done = {(row.problem, row.method, row.seed) for row in read()}
    counts = {name: arguments.cosmology_seeds if name == W0WA else arguments.toy_seeds for name, _ in PROBLEMS}
    # All problems with one seed before any with two.
    for index, (name, options), method in product(range(max(counts.values())), PROBLEMS, METHODS):
        seed = FIRST_SEED + index
        wanted = index < counts[name] and (not arguments.problems or name in arguments.problems)
        if wanted and (name, method, seed) not in done:
            row = run(name, problem(name, **options), method, seed)
            print(row, flush=True)
            # Read again: another process may have written meanwhile.
            write([*read(), row])
    if CSV.exists():
        write(read())


if __name__ == "__main__":
    main()
