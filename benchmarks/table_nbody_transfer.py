"""Make the table of the transfer: the shipped policy on integrators on which it was not trained, beside the power rule.

Run ``python benchmarks/table_nbody_transfer.py [--systems 200] [--output DIR]``; it takes minutes. Both start from the
accuracy parameter that belongs to integrator and tolerance; a ratio below 1 says that the policy saves evaluations
there. Means over systems, with the 68 % interval of the ratio from 1,000 bootstraps over systems.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from nbody_sets import Systems, cold_starts, paper_triples, spheres, unequal_triples

from astropipe.nbody import integrate_batch

# Tolerances that an order can reach within some ten thousand evaluations.
METHODS = {
    "hermite6": (1e-3, 1e-5, 1e-7),
    "hermite8": (1e-5, 1e-7, 1e-9),
    "hermite4": (1e-3, 1e-5),
    "leapfrog": (1e-2,),
    "yoshida4": (1e-3,),
    "yoshida6": (1e-3, 1e-5),
    "logh2": (1e-2,),
    "logh4": (1e-3,),
    "logh6": (1e-3, 1e-5),
}
TRAINED = ("hermite6", "hermite8")
HEADER = ("set", "integrator", "tolerance", "evaluations, power", "learned", "ratio", "flagged, power", "learned")


def row(name: str, systems: Systems, method: str, tolerance: float) -> tuple[str, ...]:
    """Return one row of the table."""
    runs = [
        integrate_batch(*systems, method=method, tolerance=tolerance, timestep=rule, max_force_evaluations=400_000)
        for rule in ("power", "learned")
    ]
    costs = np.array([run.force_evaluations for run in runs], dtype=float)
    rng = np.random.default_rng(1)
    drawn = rng.integers(costs.shape[1], size=(1000, costs.shape[1]))
    low, high = np.percentile(costs[1][drawn].mean(axis=1) / costs[0][drawn].mean(axis=1), [16, 84])
    means = costs.mean(axis=1)
    title = f"{method} (trained on)" if method in TRAINED else method
    flagged = [str(int(np.sum(run.status != "ok"))) for run in runs]
    ratio = f"{means[1] / means[0]:.2f} ({low:.2f}-{high:.2f})"
    return name, title, f"{tolerance:g}", f"{means[0]:.0f}", f"{means[1]:.0f}", ratio, *flagged


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Return the table as Markdown."""
    lines = [" | ".join(HEADER), " | ".join("---" for _ in HEADER), *(" | ".join(line) for line in table)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def main() -> None:
    """Print the table, and write it where --output says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, help="folder for nbody-transfer.md")
    parser.add_argument("--systems", type=int, default=200, help="systems of a set")
    options = parser.parse_args()
    n = options.systems
    sets = {"a": paper_triples(n), "b": cold_starts(n)}
    table = [row(s, sets[s], method, tol) for method, tols in METHODS.items() for tol in tols for s in sets]
    others = {"c": unequal_triples(n), "d, N = 4": spheres(n, 4), "d, N = 5": spheres(n, 5)}
    table += [row(s, others[s], "auto", tol) for s in others for tol in (1e-3, 1e-5, 1e-7, 1e-9)]
    print(markdown(table))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "nbody-transfer.md").write_text(markdown(table))


if __name__ == "__main__":
    main()
