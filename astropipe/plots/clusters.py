"""Figures of star clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from astropipe.artifacts import Artifact
from astropipe.plots.style import COLOURS
from astropipe.runtime.errors import InputError

_SMALLEST_ERROR = 1e-16
# Of some hundred stars, smaller shares are single ones.
_LEAST = 0.1
_CLASSES = {"stars": COLOURS[0], "heavy": COLOURS[1], "massless": COLOURS[2]}
_NAMES = {"stars": "stars, by mass", "heavy": "heavy stars", "massless": "massless particles"}
_KINDS = {"star": COLOURS[0], "massless": COLOURS[2]}


def _plain(values: Any) -> tuple[NDArray[Any], str]:
    """Return values and their unit in brackets."""
    return np.asarray(getattr(values, "value", values)), f" [{getattr(values, 'unit', None) or 'N-body units'}]"


def _log(artifact: Artifact, name: str) -> tuple[NDArray[Any], str]:
    if "log" not in artifact.file:
        raise InputError(
            f"{artifact.path} has not been integrated yet; give what astropipe nbody integrate makes of it"
        )
    return _plain(artifact.array(f"log/{name}"))


def _has_massless(artifact: Artifact) -> bool:
    return bool((np.asarray(artifact.table()["class"]) == "massless").any())


def radii(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the Lagrangian radii of stars, heavy stars and massless particles against time, and the core radius."""
    artifact = artifacts[0]
    time, time_unit = _log(artifact, "time")
    fractions = np.asarray(artifact.array("log/fractions"))
    shown = [name for name in _CLASSES if name != "massless" or _has_massless(artifact)]
    figure = Figure(figsize=(3.4 * len(shown), 4.2))
    all_axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, name in zip(all_axes, shown, strict=True):
        values, unit = _log(artifact, f"radii_{name}")
        for k, fraction in enumerate(fractions):
            if fraction < _LEAST:
                continue
            shade = 0.35 + 0.65 * fraction
            axes.plot(time, values[:, k], color=_CLASSES[name], alpha=shade, linewidth=1.1)
            axes.annotate(f"{fraction:.0%}", (time[-1], values[-1, k]), fontsize=7, va="center")
        axes.set(xlabel=f"time{time_unit}", yscale="log", title=_NAMES[name])
    core, unit = _log(artifact, "core_radius")
    all_axes[0].plot(time, core, color="0.3", linewidth=0.9, linestyle=":", label="core radius")
    all_axes[0].legend(loc="lower left", fontsize=8)
    all_axes[0].set_ylabel(f"radius{unit}")
    relaxation, _ = _log(artifact, "relaxation_time")
    figure.suptitle(f"{artifact.title}\nfirst half-mass relaxation time {relaxation[0]:.3g}{time_unit}", fontsize=9)
    return figure


def energy(artifacts: Sequence[Artifact]) -> Figure:
    """Draw energy error, cost of the stars and bound pairs against time, for one or more runs."""
    figure = Figure(figsize=(9, 3.8))
    error_axes, cost_axes = figure.subplots(1, 2)
    for k, artifact in enumerate(artifacts):
        time, time_unit = _log(artifact, "time")
        colour = COLOURS[k % len(COLOURS)]
        errors = np.maximum(np.abs(_log(artifact, "energy_error")[0][1:]), _SMALLEST_ERROR)
        error_axes.plot(time[1:], errors, color=colour, label=artifact.title, linewidth=1.0)
        rate = np.diff(_log(artifact, "force_evaluations")[0]) / np.diff(time)
        cost_axes.step(time[1:], rate, where="pre", color=colour, linewidth=1.0)
        error_axes.set_xlabel(f"time{time_unit}")
        cost_axes.set_xlabel(f"time{time_unit}")
    error_axes.set(yscale="log", ylabel="energy error |ΔE/E|")
    cost_axes.set(yscale="log", ylabel="forces on stars per unit of time")
    error_axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=8)
    return figure


def escapes(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the share of stars and massless particles that has escaped against time, and the speeds of those."""
    artifact = artifacts[0]
    time, time_unit = _log(artifact, "time")
    table = artifact.table()
    if "escape_time" not in table.colnames:
        raise InputError(f"{artifact.path} has no escapes; give what this version of astropipe nbody integrate writes")
    kinds = np.asarray(table["class"])
    when, _ = _plain(table["escape_time"])
    speed, speed_unit = _plain(table["escape_speed"])
    figure = Figure(figsize=(9, 3.8))
    share_axes, speed_axes = figure.subplots(1, 2)
    gone = np.isfinite(when)
    bins = np.geomspace(speed[gone].min(), speed[gone].max() * 1.001, 16) if gone.any() else np.array([0.1, 1.0])
    for kind, colour in _KINDS.items():
        chosen = gone & (kinds == kind)
        n = int((kinds == kind).sum())
        if not n:
            continue
        steps = np.r_[time[0], np.sort(when[chosen]), time[-1]]
        shares = np.r_[np.arange(chosen.sum() + 1), chosen.sum()] / n
        label = f"{'stars' if kind == 'star' else 'massless particles'} ({chosen.sum()} of {n})"
        share_axes.step(steps, shares, where="post", color=colour, label=label)
        if chosen.any():
            weights = np.full(chosen.sum(), 1.0 / chosen.sum())
            speed_axes.hist(speed[chosen], bins, weights=weights, histtype="step", color=colour)
    share_axes.set(xlabel=f"time{time_unit}", ylabel="share that has escaped")
    share_axes.legend(fontsize=8)
    speed_axes.set(xlabel=f"speed at escape{speed_unit}", ylabel="share of the escaped", xscale="log")
    speed_axes.xaxis.set_minor_formatter(NullFormatter())
    figure.suptitle(artifact.title, fontsize=9)
    return figure


def cluster_map(artifacts: Sequence[Artifact]) -> Figure:
    """Draw where stars and massless particles are, at the first snapshot and at the last one."""
    artifact = artifacts[0]
    positions, unit = _plain(artifact.array("positions"))
    times, time_unit = _plain(artifact.array("times"))
    masses, _ = _plain(artifact.array("masses"))
    stars = np.asarray(artifact.table()["class"]) == "star"
    sizes = np.clip(60.0 * masses[stars] / masses.max(), 1.5, None)
    centre = np.average(positions[:, stars], axis=1, weights=masses[stars])
    # The same field for both, in which nine in ten are at the end.
    width = np.quantile(np.abs(positions[-1] - centre[-1])[:, :2].max(axis=1), 0.9)
    figure = Figure(figsize=(9, 4.6))
    for axes, k in zip(figure.subplots(1, 2, sharex=True, sharey=True), (0, -1), strict=True):
        x, y = (positions[k] - centre[k])[:, :2].T
        axes.plot(x[~stars], y[~stars], ".", markersize=1.2, color=_KINDS["massless"], alpha=0.6, rasterized=True)
        axes.scatter(x[stars], y[stars], s=sizes, color=_KINDS["star"], linewidths=0, zorder=3)
        axes.set(xlabel=f"x{unit}", title=f"time {times[k]:.4g}{time_unit}", xlim=(-width, width), ylim=(-width, width))
        axes.set_aspect("equal")
    figure.axes[0].set_ylabel(f"y{unit}")
    figure.suptitle(artifact.title, fontsize=9)
    return figure
