"""Figures of the nbody stage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from astropipe.artifacts import Artifact
from astropipe.plots.style import COLOURS
from astropipe.runtime.errors import InputError

# Double precision cannot tell smaller relative errors from none.
_SMALLEST_ERROR = 1e-17
# Other states of a run say why its outcome must not be used.
_USABLE = ("ok", "escape")
_UNUSABLE = "not usable"
_OUTCOME_COLOURS = {
    "binary+escaper": COLOURS[0],
    "hierarchical": COLOURS[2],
    "interplay": COLOURS[1],
    "ionised": COLOURS[3],
    "partial-escape": COLOURS[4],
    "binary": COLOURS[5],
    _UNUSABLE: "0.75",
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
    share_axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    cost_axes.set(xscale="log", yscale="log", xlabel="force evaluations of the system", ylabel="energy error |ΔE/E|")
    return figure


def outcome_map(artifacts: Sequence[Artifact]) -> Figure:
    """Draw outcome and lifetime of cold starts over the Agekyan-Anosova map.

    Raises
    ------
    InputError
        If the catalog was not made from the systems, or has a system that is not among them.
    """
    x, y = _map_places(*artifacts)
    catalog = artifacts[1].table()
    # An outcome reached with a wrong energy, or cut short, says nothing about the system.
    usable = np.isin(np.asarray(catalog["status"]), _USABLE)
    groups = np.where(usable, np.asarray(catalog["outcome"]), _UNUSABLE)
    size = float(np.clip(10_000 / len(x), 1, 12))
    figure = Figure(figsize=(6.8, 5.0))
    outcome_axes, time_axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for group, colour in _OUTCOME_COLOURS.items():
        chosen = groups == group
        if chosen.any():
            label = f"{group} ({chosen.mean():.0%})"
            outcome_axes.scatter(x[chosen], y[chosen], s=size, color=colour, linewidths=0, label=label)
    outcome_axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, markerscale=2, fontsize=8)
    times = np.asarray(catalog["time"])
    points = time_axes.scatter(x[usable], y[usable], c=times[usable], s=size, linewidths=0)
    label = f"time until an escape [N-body units]; {times.max():g}: none yet"
    figure.colorbar(points, ax=time_axes, label=label, location="right")
    edge = np.linspace(0, np.pi / 3, 200)
    for axes in (outcome_axes, time_axes):
        axes.plot(np.cos(edge) - 0.5, np.sin(edge), color="0.5", linewidth=0.8)
        axes.set(xlabel="x of the third body", aspect="equal")
    outcome_axes.set_ylabel("y of the third body")
    return figure


def _map_places(systems: Artifact, catalog: Artifact) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where the systems of a catalog lie on the map, in the order of the catalog."""
    if systems.content_sha256 not in {record.sha256 for record in catalog.provenance.inputs}:
        raise InputError(
            f"{catalog.path} was not made from {systems.path}, which is not among its inputs; "
            "astropipe inspect shows them: give the systems that were integrated"
        )
    table = systems.table()
    if not {"map_x", "map_y"} <= set(table.colnames):
        raise InputError(f"{systems.path} has no columns map_x and map_y; give an ensemble of cold starts")
    where = {int(number): row for row, number in enumerate(table["id"])}
    numbers = [int(number) for number in catalog.table()["id"]]
    if unknown := [number for number in numbers if number not in where]:
        raise InputError(
            f"{catalog.path} has {len(unknown)} systems that are not in {systems.path}, "
            f"the first with id {unknown[0]}; integrate the systems again"
        )
    rows = [where[number] for number in numbers]
    return np.asarray(table["map_x"])[rows], np.asarray(table["map_y"])[rows]


def orbits(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the paths of the bodies in the x-y plane, and the distances of all pairs against time."""
    artifact = artifacts[0]
    times, positions = artifact.array("times"), artifact.array("positions")
    t, x = np.asarray(getattr(times, "value", times)), np.asarray(getattr(positions, "value", positions))[0]
    unit, time_unit = (f" [{getattr(values, 'unit', 'N-body units')}]" for values in (positions, times))
    figure = Figure(figsize=(10, 4.6))
    path_axes, distance_axes = figure.subplots(1, 2)
    for body in range(x.shape[1]):
        colour = COLOURS[body % len(COLOURS)]
        path_axes.plot(x[:, body, 0], x[:, body, 1], linewidth=0.7, color=colour)
        path_axes.plot(*x[0, body, :2], "o", markersize=4, color=colour, label=str(body + 1))
    path_axes.legend(title="start of body", fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    path_axes.set(xlabel=f"x{unit}", ylabel=f"y{unit}")
    path_axes.set_aspect("equal", adjustable="datalim")
    # Many bodies have too many pairs to read: then the distances from the heaviest one.
    n, heaviest = x.shape[1], int(np.argmax(np.asarray(artifact.array("masses"))[0]))
    pairs = list(combinations(range(n), 2)) if n <= 3 else [(heaviest, j) for j in range(n) if j != heaviest]
    for i, j in pairs:
        distance_axes.plot(t, np.linalg.norm(x[:, i] - x[:, j], axis=1), linewidth=0.9, label=f"{i + 1}–{j + 1}")
    distance_axes.set(xlabel=f"time{time_unit}", ylabel=f"distance of the pair{unit}", yscale="log")
    distance_axes.legend(title="bodies", fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    row = artifact.table()[0]
    quality = f"|ΔE/E| = {row['energy_error']:.1e}, {row['force_evaluations']:,} force evaluations"
    figure.suptitle(f"{artifact.title}\n{quality}", fontsize=9)
    return figure
