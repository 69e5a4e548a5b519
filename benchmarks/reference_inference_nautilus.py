"""Make reference posteriors and evidences with nautilus, a nested sampler that shares no code with dynesty.

Run ``python benchmarks/reference_inference_nautilus.py [PROBLEM ...] [--output DIR]`` with the extra ``peers``
installed; it takes minutes. Without names it runs the problems whose reference values stand in
data/published-constraints: those of ``w0wa-chronometers-desi-dr2`` are its results, those of the others are of a grid
(benchmarks/cosmology_problems.py), which it confirms. Likelihood, prior, hard constraints and data are those of the
named problem; the sampler alone is another. nautilus [Lange 2023, MNRAS 525, 3181] proposes points from neural networks
and weights them by importance; points of its exploration are discarded, which makes the evidence unbiased.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nautilus import Sampler

from astropipe.inference import Problem, problem

PROBLEMS = ("lcdm-chronometers-31", "lcdm-chronometers-32", "w0wa-chronometers-desi-dr2")
N_LIVE, N_EFF = 2000, 10_000
HEADER = ("problem", "parameter", "mean", "standard deviation", "made by")


def excluded_to_zero(task: Problem) -> Any:
    """Return ln L of points [n, d] that is -inf outside the problem's hard constraints, as in our own runs."""

    def log_likelihood(points: np.ndarray) -> np.ndarray:
        values = np.full(len(points), -np.inf)
        allowed = task.prior.allowed(points)
        values[allowed] = task.log_likelihood(points[allowed])
        return values

    return log_likelihood


def reference(name: str, n_live: int, n_eff: int, seed: int) -> list[Sequence[str]]:
    """Sample one problem; return a row for each parameter and one for the evidence."""
    task = problem(name)
    sampler = Sampler(
        task.prior.transform,
        excluded_to_zero(task),
        n_dim=len(task.prior),
        n_live=n_live,
        vectorized=True,
        pass_dict=False,
        seed=seed,
    )
    sampler.run(n_eff=n_eff, discard_exploration=True)
    points, log_weights, _ = sampler.posterior()
    weights = np.exp(log_weights - log_weights.max())
    means = np.average(points, axis=0, weights=weights)
    sds = np.sqrt(np.average((points - means) ** 2, axis=0, weights=weights))
    made_by = (
        f"nautilus {version('nautilus-sampler')}, n_live {n_live}, n_eff {sampler.n_eff:.0f}, {sampler.n_like} calls"
    )
    rows = [
        (f"`{name}`", f"`{key}`", f"{mean:.4f}", f"{sd:.4f}", made_by)
        for key, mean, sd in zip(task.prior.names, means, sds, strict=True)
    ]
    # The error of a mean of n_eff independent draws; nautilus gives none for ln Z itself.
    return [*rows, (f"`{name}`", "`logz`", f"{sampler.log_z:.3f}", f"{sampler.n_eff**-0.5:.3f}", made_by)]


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", default=PROBLEMS, metavar="PROBLEM")
    parser.add_argument("--n-live", type=int, default=N_LIVE)
    parser.add_argument("--n-eff", type=int, default=N_EFF)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="folder for inference-reference.md")
    arguments = parser.parse_args()
    rows: list[Sequence[str]] = [HEADER, ("---",) * len(HEADER)]
    for name in arguments.problems:
        rows += reference(name, arguments.n_live, arguments.n_eff, arguments.seed)
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    print(text, end="")
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "inference-reference.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
