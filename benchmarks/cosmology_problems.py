"""Print the cost of the cosmological likelihoods, and the posteriors that a grid can integrate.

Run ``python benchmarks/cosmology_problems.py``. Costs are CPU time of one process, a point, for one point at a
time (as a sequential sampler asks) and for batches of 4096 (as a vectorised one does).
"""

from __future__ import annotations

import time

import numpy as np

from astropipe.inference.grid import posterior_on_grid
from astropipe.inference.problems import cosmology  # noqa: F401  registers the problems
from astropipe.inference.problems.base import Problem, problem, problem_names

GRIDS = {
    "lcdm-chronometers-15": [(40.0, 100.0), (0.01, 0.99)],
    "lcdm-chronometers-31": [(40.0, 100.0), (0.01, 0.99)],
    "lcdm-chronometers-32": [(40.0, 100.0), (0.01, 0.99)],
    "lcdm-desi-dr1": [(0.22, 0.38), (95.0, 109.0)],
    "lcdm-desi-dr2": [(0.25, 0.35), (97.0, 106.0)],
    "lcdm-pantheon-40": [(0.1, 0.6)],
    "lcdm-union3": [(0.1, 0.7)],
}


def cost(task: Problem, batch: int, repeats: int) -> float:
    """Return CPU microseconds a point."""
    points = task.prior.transform(np.random.default_rng(0).uniform(size=(batch, len(task.prior))))
    task.log_likelihood(points)
    start = time.process_time()
    for _ in range(repeats):
        task.log_likelihood(points)
    return (time.process_time() - start) / (batch * repeats) * 1e6


def main() -> None:
    """Print both tables."""
    print("| problem | parameters | one point, µs | batch of 4096, µs a point |\n|---|---|---|---|")
    for name in (n for n in problem_names() if n.startswith(("lcdm-", "w0wa"))):
        task = problem(name)
        print(f"| {name} | {len(task.prior)} | {cost(task, 1, 1000):.0f} | {cost(task, 4096, 10):.2f} |")
    print("\n| problem | posterior | ln Z | χ² at the best grid point |\n|---|---|---|---|")
    for name, limits in GRIDS.items():
        task = problem(name)
        grid = posterior_on_grid(task, 400, limits)
        rows = zip(task.prior.names, grid.mean, grid.sd, strict=True)
        text = ", ".join(f"{key} {mean:.4f} ± {sd:.4f}" for key, mean, sd in rows)
        chi2 = task.log_likelihood.chi_squared(grid.best[None, :]).item()
        print(f"| {name} | {text} | {grid.log_evidence:.3f} | {chi2:.2f} |")


if __name__ == "__main__":
    main()
