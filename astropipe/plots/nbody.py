"""Figures of the nbody stage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from astropipe.artifacts import Artifact
from astropipe.plots.style import COLOURS

# Double precision cannot tell smaller relative errors from none.
_SMALLEST_ERROR = 1e-17
_OUTCOME_COLOURS = {
    "binary+escaper": COLOURS[0],
    "hierarchical": COLOURS[2],
    "interplay": COLOURS[1],
    "ionised": COLOURS[3],
    "partial-escape": COLOURS[4],
    "binary": COLOURS[5],
}


def energy_errors(artifacts: Sequence[Artifact]) -> Figure:
    """Draw, for one or more catalogs, the share of systems above each energy error, and error against cost."""
    figure = Figure(figsize=(9, 4))
    share_axes, cost_axes = figure.subplots(1, 2)
    for artifact in artifacts:
        table = artifact.table()
        errors = np.maximum(np.abs(np.asarray(table["energy_error"])), _SMALLEST_ERROR)
        ordered = np.sort(errors)
        share_axes.step(ordered, 1 - np.arange(len(ordered)) / len(ordered), label=f"{artifact.title} ({len(table)})")
        cost_axes.scatter(table["force_evaluations"], errors, s=4, alpha=0.5, linewidths=0)
    share_axes.set(xscale="log", yscale="log", xlabel="energy error |ΔE/E|", ylabel="share of systems above")
    share_axes.legend(loc="lower left", fontsize=8)
    cost_axes.set(xscale="log", yscale="log", xlabel="force evaluations of the system", ylabel="energy error |ΔE/E|")
    return figure


def outcome_map(artifacts: Sequence[Artifact]) -> Figure:
    """Draw outcome and lifetime of cold starts over the Agekyan-Anosova map."""
    systems, catalog = artifacts[0].table(), artifacts[1].table()
    where = {int(row): index for index, row in enumerate(systems["id"])}
    rows = [where[int(row)] for row in catalog["id"]]
    x, y = np.asarray(systems["map_x"])[rows], np.asarray(systems["map_y"])[rows]
    figure = Figure(figsize=(9.5, 4.6))
    outcome_axes, time_axes = figure.subplots(1, 2, sharex=True, sharey=True)
    outcomes = np.asarray(catalog["outcome"])
    for outcome, colour in _OUTCOME_COLOURS.items():
        chosen = outcomes == outcome
        if chosen.any():
            label = f"{outcome} ({chosen.mean():.0%})"
            outcome_axes.scatter(x[chosen], y[chosen], s=6, color=colour, linewidths=0, label=label)
    outcome_axes.legend(loc="upper right", markerscale=2, fontsize=8, handletextpad=0.1)
    end = float(np.max(np.asarray(catalog["time"])))
    points = time_axes.scatter(x, y, c=np.asarray(catalog["time"]), s=6, linewidths=0)
    figure.colorbar(points, ax=time_axes, label=f"time until escape, at most {end:g} [N-body units]")
    outcome_axes.set(title=f"outcome at t ≤ {end:g}", ylabel="y of the third body")
    time_axes.set(title="lifetime")
    edge = np.linspace(0, np.pi / 3, 200)
    for axes in (outcome_axes, time_axes):
        axes.plot(np.cos(edge) - 0.5, np.sin(edge), color="0.5", linewidth=0.8)
        axes.set(xlabel="x of the third body", aspect="equal")
    return figure


def orbits(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the paths of the bodies in their plane of motion, and the distances of all pairs against time."""
    artifact = artifacts[0]
    times, positions = artifact.array("times"), artifact.array("positions")
    unit = f" [{positions.unit}]" if hasattr(positions, "unit") else " [N-body units]"
    time_unit = f" [{times.unit}]" if hasattr(times, "unit") else " [N-body units]"
    t, x = np.asarray(getattr(times, "value", times)), np.asarray(getattr(positions, "value", positions))[0]
    figure = Figure(figsize=(10, 4.4))
    path_axes, distance_axes = figure.subplots(1, 2)
    _draw_paths(path_axes, x)
    path_axes.set(xlabel=f"x{unit}", ylabel=f"y{unit}", aspect="equal", title=artifact.title)
    path_axes.title.set_fontsize(9)
    for i, j in combinations(range(x.shape[1]), 2):
        distance_axes.plot(t, np.linalg.norm(x[:, i] - x[:, j], axis=1), linewidth=0.9, label=f"{i + 1}–{j + 1}")
    distance_axes.set(xlabel=f"time{time_unit}", ylabel=f"distance of the pair{unit}", yscale="log")
    distance_axes.legend(title="bodies", fontsize=8, ncols=2)
    row = artifact.table()[0]
    figure.supxlabel(f"|ΔE/E| = {row['energy_error']:.1e}, {row['force_evaluations']:,} force evaluations", fontsize=9)
    return figure


def _draw_paths(axes: Axes, x: NDArray[Any]) -> None:
    for body in range(x.shape[1]):
        axes.plot(x[:, body, 0], x[:, body, 1], linewidth=0.7, color=COLOURS[body % len(COLOURS)])
        axes.plot(*x[0, body, :2], "o", markersize=4, color=COLOURS[body % len(COLOURS)], label=str(body + 1))
    axes.legend(title="start of body", fontsize=8, loc="best")
