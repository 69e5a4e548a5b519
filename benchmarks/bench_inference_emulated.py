"""Measure sampling with an emulated likelihood: true calls, error and bias over seeds.

Run ``python benchmarks/bench_inference_emulated.py PROBLEM [--dimensions D] [--seeds FIRST LAST] [--output FILE]``.
One CSV row a seed, overhead in CPU seconds; at the end the mean and scatter of (ln Z − truth) / error are printed.
Where the problem has no known evidence, give the best estimate with --truth.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.emulated import sample_emulated
from astropipe.inference.problems import problem

COLUMNS = ("problem", "seed", "n_true_calls", "logz", "logz_err", "truth", "converged", "ess", "overhead_seconds")


def main() -> None:
    """Run the seeds and write a row after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem")
    parser.add_argument("--dimensions", type=int, help="n_parameters of a toy problem")
    parser.add_argument("--seeds", type=int, nargs=2, default=(1000, 1019), metavar=("FIRST", "LAST"))
    parser.add_argument("--precision", type=float, default=0.02)
    parser.add_argument("--min-ess", type=float, default=300.0)
    parser.add_argument("--max-calls", type=int, default=2000)
    parser.add_argument("--truth", type=float)
    parser.add_argument("--output", type=argparse.FileType("w"), default=sys.stdout)
    arguments = parser.parse_args()
    options = {"n_parameters": arguments.dimensions} if arguments.dimensions else {}
    task = problem(arguments.problem, **options)
    truth = arguments.truth if task.log_evidence is None else task.log_evidence
    name = arguments.problem + (f"-{arguments.dimensions}d" if arguments.dimensions else "")
    writer = csv.writer(arguments.output)
    writer.writerow(COLUMNS)
    pulls, calls, flagged = [], [], 0
    for seed in range(arguments.seeds[0], arguments.seeds[1] + 1):
        inside = 0.0

        def timed(x: NDArray[np.float64]) -> NDArray[np.float64]:
            nonlocal inside
            begin = time.process_time()
            values = task.log_likelihood(x)
            inside += time.process_time() - begin
            return values

        begin = time.process_time()
        result = sample_emulated(
            timed,
            task.prior,
            precision=arguments.precision,
            min_ess=arguments.min_ess,
            max_calls=arguments.max_calls,
            seed=seed,
        )
        overhead = time.process_time() - begin - inside
        writer.writerow(
            (
                name,
                seed,
                result.n_true_calls,
                f"{result.logz:.4f}",
                f"{result.logz_err:.4f}",
                "" if truth is None else f"{truth:.4f}",
                int(result.converged),
                f"{result.diagnostics.ess:.0f}",
                f"{overhead:.1f}",
            )
        )
        arguments.output.flush()
        if not result.converged:
            flagged += 1
            print(f"# seed {seed}: {'; '.join(result.diagnostics.reasons)}", file=sys.stderr)
        else:
            calls.append(result.n_true_calls)
            if truth is not None:
                pulls.append((result.logz - truth) / result.logz_err)
    print(
        f"# {len(calls)} converged, {flagged} flagged; median calls {np.median(calls or [np.nan]):.0f}", file=sys.stderr
    )
    if len(pulls) > 1:
        worst = np.max(np.abs(pulls))
        print(
            f"# pull: mean {np.mean(pulls):+.2f}, scatter {np.std(pulls, ddof=1):.2f}, worst {worst:.1f}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
