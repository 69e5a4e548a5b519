"""Make the figures of docs/nbody.md from the table of ``make bench-nbody``, and the steps along one encounter.

Run ``python benchmarks/figures_nbody.py [--results DIR] [--figures DIR]`` after bench_nbody.py.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astropipe.nbody import Integration, Options, named_system
from astropipe.nbody.arrays import FloatArray
from astropipe.plots.style import COLOURS, use_style

HERE = Path(__file__).parent
PANELS = {"a": "(a) triples of the paper, 30 yr", "b": "(b) cold starts, t = 10"}
MARKERS = "osv^DPX<>*"
# Black is for the learned rule; the palette repeats with other markers.
OTHERS = tuple(colour for colour in COLOURS if colour != "#000000")
# Around the closest approach of the Pythagorean problem, in its units of time.
ENCOUNTER = (15.73, 15.93)
PAIR_MASS = 9.0
RULES = {"learned": COLOURS[0], "power": COLOURS[1]}


def front(table: Path) -> Figure:
    """Draw the error below which 95 % and 99 % of the systems end, against the mean cost."""
    rows = list(csv.DictReader(table.open()))
    figure = Figure(figsize=(11, 8.4))
    grid = figure.subplots(2, 2, sharex="col", sharey="row")
    for column, (name, title) in enumerate(PANELS.items()):
        own = [row for row in rows if row["set"] == name]
        groups = list(dict.fromkeys(row["group"] for row in own))
        for axes, quantile, label in zip(grid[:, column], ("p95", "p99"), ("95 %", "99 %"), strict=True):
            for k, group in enumerate(groups):
                _fronts(axes, [row for row in own if row["group"] == group], quantile, k)
            axes.axhline(1e-5, color="0.7", linewidth=0.8, zorder=0)
            axes.set(xscale="log", yscale="log", ylim=(1e-10, 3.0), xlim=(2e2, 1e5))
            axes.set_ylabel(f"{label} of the systems end below |ΔE/E|" if column == 0 else "")
        grid[0, column].set_title(title)
        grid[1, column].set_xlabel("mean force evaluations of a system")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def _fronts(axes: Axes, rows: list[dict[str, str]], quantile: str, k: int) -> None:
    """Draw one line for each contestant of a group; only the first has a label."""
    learned = rows[0]["group"].endswith("learned")
    for number, name in enumerate(dict.fromkeys(row["contestant"] for row in rows)):
        own = [row for row in rows if row["contestant"] == name]
        axes.plot(
            [float(row["evaluations"]) for row in own],
            [max(float(row[quantile]), 1e-16) for row in own],
            marker=MARKERS[k % len(MARKERS)],
            markersize=4 if learned else 3.5,
            linewidth=1.6 if learned else 0.9,
            color="black" if learned else OTHERS[k % len(OTHERS)],
            alpha=1.0 if number == 0 else 0.45,
            label=f"{rows[0]['group']} (5 trainings)"
            if learned and number == 0
            else rows[0]["group"]
            if number == 0
            else None,
            zorder=3 if learned else 2,
        )


def steps_of(timestep: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return times, steps and the smallest separation along the Pythagorean problem up to t = 16."""
    system = named_system("pythagorean")
    options = Options(tolerance=1e-6, timestep=timestep)
    run = Integration(system.masses, system.positions, system.velocities, 16.0, options, single=True)
    times, separations = [0.0], [3.0]
    while not run.advance(1):
        result = run.result()
        if result.time > times[-1]:
            times.append(result.time)
            x = result.positions
            separations.append(min(float(np.linalg.norm(x[i] - x[j])) for i, j in ((0, 1), (0, 2), (1, 2))))
    return np.array(times), np.diff(times), np.array(separations)


def encounter() -> Figure:
    """Draw the step along the closest encounter of the Pythagorean problem, and what it is of the pair's own time."""
    figure = Figure(figsize=(7.2, 5.6))
    upper, lower = figure.subplots(2, 1, sharex=True)
    for rule, colour in RULES.items():
        times, steps, separations = steps_of(rule)
        closest = times[np.argmin(separations)]
        # A step begins at times[:-1], where the rule looks at the separation.
        begin, separation = times[:-1] - closest, separations[:-1]
        inside = (times[:-1] > ENCOUNTER[0]) & (times[:-1] < ENCOUNTER[1])
        label = f"{rule} ({inside.sum()} steps)"
        look = {"color": colour, "markersize": 4, "linewidth": 0.7}
        upper.plot(begin[inside], steps[inside], ".-", label=label, **look)
        own = np.sqrt(separation[inside] ** 3 / PAIR_MASS)
        lower.plot(begin[inside], steps[inside] / own, ".-", **look)
    upper.set(yscale="log", ylabel="time step Δt")
    upper.set_xscale("symlog", linthresh=1e-6)
    lower.set(ylabel="Δt / √(r³/GM) of the pair", xlabel="time since the closest approach [N-body units, G = 1]")
    upper.legend()
    return figure


def main() -> None:
    """Write both figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder with nbody-front.csv")
    parser.add_argument("--figures", type=Path, default=HERE.parent / "docs" / "figures", help="folder of the figures")
    options = parser.parse_args()
    use_style()
    front(options.results / "nbody-front.csv").savefig(options.figures / "nbody-front.png")
    encounter().savefig(options.figures / "nbody-steps.png")


if __name__ == "__main__":
    main()
