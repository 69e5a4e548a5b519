"""Energy error against forces of clusters: an eta for all stars beside the one that the learned policy chooses.

Clusters of 64 to 256 stars, Plummer spheres and King models (W0 = 6), equal masses and Kroupa's, to t = 5. Their seeds
are small numbers; those of the training (`astropipe.nbody.clusters.eta_training`) are drawn from 2^62. Runs of a set
differ only in what chooses eta. The error of a run is the largest of ten looks at its energy.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from astropipe.config.clusters import ClusterStartConfig
from astropipe.nbody import total_energy
from astropipe.nbody.clusters import Controls, EtaPolicy, make_cluster, shipped_eta_policy
from astropipe.nbody.clusters.run import ClusterRun
from astropipe.plots.style import COLOURS, use_style

HERE = Path(__file__).parent
CURVES = HERE / "results" / "clusters-eta.csv"
FIGURE = HERE.parent / "docs" / "figures" / "clusters-eta.png"
KINDS = [(profile, masses) for profile in ("plummer", "king") for masses in ("equal", "kroupa")]
# Name of a set, stars, seeds, share of binaries. Axes of binaries are from 0.001 to 0.01.
SETS = (
    ("64 stars", 64, range(20), 0.0),
    ("128 stars", 128, range(15), 0.0),
    ("256 stars", 256, range(8), 0.0),
    ("64 stars, binaries", 64, range(5), 0.05),
)
FIXED = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14)
TARGETS = (3e-8, 1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4)
T_END, LOOKS = 5.0, 10
STATISTICS = {"median": 0.5, "90 %": 0.9, "worst": 1.0}
Table = list[dict[str, str]]


def _controls() -> Iterator[tuple[str, float, Controls]]:
    for eta in FIXED:
        yield "fixed eta", eta, Controls(eta=eta)
    for target in TARGETS:
        yield "learned, target", target, Controls(eta_policy=EtaPolicy(shipped_eta_policy(), target))


def _measure(cluster: Any, controls: Controls) -> tuple[float, int]:
    """Return the largest energy error of a run, and its forces on stars."""
    run = ClusterRun(cluster.masses, cluster.positions, cluster.velocities, controls)
    energy = float(total_energy(cluster.masses, cluster.positions, cluster.velocities))
    errors = []
    for time in np.linspace(0.0, T_END, LOOKS + 1)[1:]:
        run.advance(float(time))
        errors.append(abs(float(total_energy(cluster.masses, *run.phase())) / energy - 1.0))
    return max(errors), run.star_forces


def eta() -> Table:
    """Run all sets, keep their curves, draw them, and return them as a table."""
    rows = []
    for name, n, seeds, binaries in SETS:
        starts = [
            ClusterStartConfig(profile=profile, masses=masses, n_stars=n, binary_fraction=binaries, shortest_axis=1e-3)
            for profile, masses in KINDS
        ]
        clusters = [make_cluster(start, seed) for start in starts for seed in seeds]
        for rule, value, controls in _controls():
            errors, forces = zip(*(_measure(cluster, controls) for cluster in clusters), strict=True)
            statistics = {key: f"{np.quantile(errors, share):.2e}" for key, share in STATISTICS.items()}
            row = {"set": name, "runs": str(len(clusters)), "rule": rule, "value": f"{value:g}"}
            rows.append(row | statistics | {"forces": f"{np.mean(forces):.4e}"})
    with CURVES.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    use_style()
    _figure(rows).savefig(FIGURE, dpi=150)
    return [
        {
            "set": row["set"],
            "eta": f"{row['rule']} {row['value']}",
            **{f"energy error, {key}": f"{float(row[key]):.1e}" for key in STATISTICS},
            "forces on stars, mean": f"{float(row['forces']):.2e}",
        }
        for row in rows
    ]


def gain() -> Table:
    """Return forces of the learned eta over those of a fixed one at equal error, from the curves of `eta`."""
    rows = list(csv.DictReader(CURVES.open(encoding="utf-8")))
    table = []
    for name in dict.fromkeys(row["set"] for row in rows):
        line = {"set": name}
        for key, errors in (("median", (1e-6, 1e-5)), ("90 %", (1e-5, 1e-4)), ("worst", (1e-5, 1e-4))):
            curves = [_curve(rows, name, rule, key) for rule in ("fixed eta", "learned, target")]
            for error in errors:
                fixed, learned = (_forces_at(*curve, error) for curve in curves)
                ratio = learned / fixed
                line[f"{key} {error:.0e}"] = f"{ratio:.2f}" if np.isfinite(ratio) else ""
        table.append(line)
    return table


def _curve(rows: Table, name: str, rule: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    own = [row for row in rows if (row["set"], row["rule"]) == (name, rule)]
    return np.array([float(row[key]) for row in own]), np.array([float(row["forces"]) for row in own])


def _forces_at(errors: np.ndarray, forces: np.ndarray, error: float) -> float:
    """Return the forces that hold an error, interpolated along the front of a curve; NaN outside of it."""
    # Nothing that costs more and errs more is part of the front.
    front = np.array([e < errors[forces < f].min(initial=np.inf) for e, f in zip(errors, forces, strict=True)])
    order = np.argsort(errors[front])
    x, y = np.log(errors[front][order]), np.log(forces[front][order])
    return float(np.exp(np.interp(np.log(error), x, y, left=np.nan, right=np.nan)))


def _figure(rows: Table) -> Figure:
    figure = Figure(figsize=(11, 8.4))
    names = list(dict.fromkeys(row["set"] for row in rows))
    grid = figure.subplots(len(STATISTICS), len(names), sharex="col", sharey="row")
    for column, name in enumerate(names):
        for axes, key in zip(grid[:, column], STATISTICS, strict=True):
            for rule, colour, marker in (("fixed eta", COLOURS[1], "o"), ("learned, target", "black", "s")):
                errors, forces = _curve(rows, name, rule, key)
                axes.plot(forces, errors, color=colour, marker=marker, markersize=4, label=rule.split(",")[0])
            axes.set(xscale="log", yscale="log", ylabel=f"{key} |ΔE/E|" if column == 0 else "")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda forces, _: f"{forces / 1e3:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
        grid[0, column].set_title(name)
        grid[-1, column].set_xlabel("thousand forces on stars")
    grid[0, 0].legend()
    return figure
