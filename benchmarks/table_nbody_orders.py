"""Make the accuracy table of the integrators: known orbits and convergence orders, asked against measured.

Run ``python benchmarks/table_nbody_orders.py [--output DIR]``; it takes seconds. The asked return errors and
evaluation counts are those of another implementation of AMUSE's Hermite scheme; the Pythagorean position is Brutus'
converged one, its closest approach and outcome are those of Szebehely & Peters (1967).
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from astropipe.nbody import classify, integrate, named_system
from astropipe.nbody.integration import IntegrationResult

Row = tuple[str, str, str, str]
HEADER = ("case", "quantity", "asked", "measured")
FIGURE_EIGHT = {0.1: (9e-5, 169), 0.03: (4e-7, 559), 0.01: (4e-9, 1675), 0.003: (3e-11, 5580)}
ORDERS = {
    "leapfrog": (2, 400),
    "hermite4": (4, 200),
    "hermite6": (6, 60),
    "hermite8": (8, 30),
    "yoshida4": (4, 400),
    "yoshida6": (6, 100),
    "logh2": (2, 200),
    "logh4": (4, 200),
    "logh6": (6, 60),
}


def run(name: str, t_end: float | None = None, **options: Any) -> tuple[Any, IntegrationResult]:
    """Integrate a named system, for one period unless told otherwise."""
    system = named_system(name)
    end = system.period if t_end is None else t_end
    return system, integrate(system.masses, system.positions, system.velocities, end, G=system.G, **options)


def figure_eight() -> Iterator[Row]:
    """Return errors (largest coordinate) and costs of Hermite after one period."""
    for mu, (error, evaluations) in FIGURE_EIGHT.items():
        system, result = run("figure-eight", method="hermite4", timestep="shared", mu=mu)
        case = f"figure-eight, Hermite mu = {mu}"
        yield case, "return error", f"{error:.0e}", f"{np.abs(result.positions - system.positions).max():.1e}"
        yield case, "force evaluations", str(evaluations), str(result.force_evaluations)


def spatial_orbit() -> Iterator[Row]:
    """Return errors of the three-dimensional orbit O3(1.0) after one period."""
    for tolerance in (1e-6, 1e-9, 1e-12):
        system, result = run("O3(1.0)", tolerance=tolerance)
        error = np.abs(result.positions - system.positions).max()
        yield f"O3(1.0), tolerance {tolerance:.0e}", "return error", "returns", f"{error:.1e}"


def pythagorean() -> Iterator[Row]:
    """Position at t = 10, closest approach, and the outcome."""
    for tolerance in (1e-6, 1e-9, 1e-12):
        system, result = run("pythagorean", t_end=10.0, tolerance=tolerance)
        known = system.reference
        error = np.abs(result.positions[known.body] - known.position).max()
        yield f"Pythagorean, tolerance {tolerance:.0e}", "position error at t = 10", "agrees", f"{error:.1e}"
    system, result = run("pythagorean", t_end=100.0, tolerance=1e-9)
    case, closest = "Pythagorean, tolerance 1e-09", result.closest_approach
    yield case, "closest approach", "4.1e-4 at t = 15.8299", f"{closest.separation:.4e} at t = {closest.time:.4f}"
    yield case, "outcome, escaper", "binary+escaper, m3", _outcome(system, result)
    # A small energy error is no proof of a right outcome.
    system, result = run("pythagorean", t_end=70.0, method="hermite4", timestep="shared", mu=0.01)
    measured = f"{_outcome(system, result)}; energy error {result.energy_error:.0e}"
    yield "Pythagorean, Hermite mu = 0.01", "outcome, escaper at t = 70", "binary+escaper, m3", measured


def _outcome(system: Any, result: IntegrationResult) -> str:
    outcome = classify(system.masses, result.positions, result.velocities)
    left = "none" if outcome.escaper < 0 else system.bodies[outcome.escaper]
    return f"{outcome.label}, {left}"


def kepler_error(method: str, n_steps: int) -> float:
    """Position error after half a period of a circular-to-eccentric (e = 0.3) orbit, from pericentre to apocentre."""
    e = 0.3
    masses, share = np.array([1.0, 0.5]), np.array([[-1.0], [2.0]]) / 3.0
    positions = share * np.array([1.0 - e, 0.0, 0.0])
    velocities = share * np.array([0.0, math.sqrt(1.5 * (1.0 + e) / (1.0 - e)), 0.0])
    half_period = math.pi / math.sqrt(1.5)
    result = integrate(masses, positions, velocities, half_period, method=method, dt=half_period / n_steps)
    apocentre = share * np.array([-(1.0 + e), 0.0, 0.0])
    return float(np.abs(result.positions - apocentre).max())


def orders() -> Iterator[Row]:
    """Convergence order of each method between three step sizes."""
    for method, (order, n_steps) in ORDERS.items():
        errors = np.array([kepler_error(method, n) for n in (n_steps, 2 * n_steps, 4 * n_steps)])
        slopes = ", ".join(f"{slope:.2f}" for slope in np.log2(errors[:-1] / errors[1:]))
        yield f"{method}, Kepler e = 0.3", "convergence order", str(order), slopes


def markdown(table: Sequence[Row]) -> str:
    """Return the table as Markdown."""
    lines = [" | ".join(HEADER), " | ".join("---" for _ in HEADER), *(" | ".join(row) for row in table)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def main() -> None:
    """Print the table, and write it where --output says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, help="folder for nbody-orders.csv and nbody-orders.md")
    options = parser.parse_args()
    table = [*figure_eight(), *spatial_orbit(), *pythagorean(), *orders()]
    print(markdown(table))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "nbody-orders.md").write_text(markdown(table))
        with (options.output / "nbody-orders.csv").open("w", newline="") as file:
            csv.writer(file).writerows([HEADER, *table])


if __name__ == "__main__":
    main()
