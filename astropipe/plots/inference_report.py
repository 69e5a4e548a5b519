"""One page on one posterior: what was found, how the run went, whether to believe it, and where it comes from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox, BboxTransformFrom, BboxTransformTo

from astropipe.artifacts import Artifact
from astropipe.plots.inference import SHRINKAGE, draw_run, getdist_samples
from astropipe.plots.style import COLOURS
from astropipe.runtime.errors import UsageError

PAGE = (8.27, 11.69)
"""A4, inches."""

LEAST_ESS, MOST_WEIGHT, LEAST_P = 100.0, 0.05, 0.01
"""Effective samples, share of one sample, and p-value of the insertion ranks, beyond which a reader is warned.

A hundred effective samples give a mean to a tenth of a standard deviation.
"""

SMALL = 7.5
COLUMNS = {"parameter": 0.0, "mean ± sd": 0.22, "68 %": 0.42, "best fit": 0.63, "prior": 0.76}

Finding = tuple[str, str, bool | None]
"""What was looked at, what was found, and whether that is good; None where there is nothing to judge."""


def report(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the page, A4 upright.

    Raises
    ------
    UsageError
        If there is more than one posterior.
    """
    if len(artifacts) > 1:
        raise UsageError(f"the report is about one posterior, not {len(artifacts)}; give one file")
    (artifact,) = artifacts
    figure = _triangle(artifact)
    lines = textwrap.wrap(artifact.title, 80)
    figure.text(0.06, 0.975, "\n".join(lines[:2]), fontsize=10, weight="bold", va="top")
    _write_findings(_panel(figure, 0.68, 0.52, 0.28, 0.41), artifact)
    above = figure.add_axes((0.12, 0.325, 0.35, 0.125))
    below = figure.add_axes((0.59, 0.325, 0.35, 0.125))
    draw_run(artifact, above, below)
    for axes in (above, below):
        axes.set_xlabel(SHRINKAGE, fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        axes.yaxis.label.set_fontsize(SMALL)
    _write_parameters(_panel(figure, 0.06, 0.125, 0.9, 0.155), artifact)
    _write_origin(_panel(figure, 0.06, 0.02, 0.9, 0.095), artifact)
    return figure


def _triangle(artifact: Artifact) -> Figure:
    """Return a page with the triangle plot at its place."""
    from getdist import plots

    with matplotlib.rc_context({"figure.constrained_layout.use": False}):
        samples = getdist_samples(artifact)
        plotter = plots.get_subplot_plotter(width_inch=5.0)
        plotter.settings.scaling = False
        plotter.settings.axes_fontsize, plotter.settings.axes_labelsize = SMALL, 9
        plotter.triangle_plot([samples], filled=True, contour_colors=[COLOURS[0]])
        figure: Figure = plotter.fig
    figure.set_size_inches(*PAGE)
    # A single panel would fill the place of a triangle with next to nothing.
    place = Bbox.from_extents(0.12, 0.52, 0.64, 0.915) if samples.n > 1 else Bbox.from_extents(0.15, 0.65, 0.55, 0.9)
    drawn = Bbox.union([axes.get_position() for axes in figure.axes])
    for axes in figure.axes:
        axes.set_position(axes.get_position().transformed(BboxTransformFrom(drawn) + BboxTransformTo(place)))
    return figure


def _panel(figure: Figure, left: float, low: float, width: float, height: float) -> Axes:
    axes = figure.add_axes((left, low, width, height))
    axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0))
    axes.axis("off")
    return axes


def _findings(artifact: Artifact) -> Iterator[Finding]:
    run = artifact.attributes("nested")
    log_weights = artifact.array("nested/log_weights")
    weights = np.exp(log_weights - log_weights.max())
    largest = float(weights.max() / weights.sum())
    ess, calls = float(run["ess"]), int(run["n_true_calls"])
    yield "ln Z", f"{run['logz']:.3f} ± {run['logz_err']:.3f}", None
    if run["masked_fraction"] > 0.0:
        yield "ln Z of the allowed prior", f"{run['logz_allowed']:.3f}", None
    yield "information", f"{run['information']:.2f} nat", None
    yield "true likelihood calls", f"{calls:,}", None
    if "n_emulated_calls" in run:
        yield "emulated calls", f"{run['n_emulated_calls']:,}", None
    failed = str(run.get("reasons", "ended by max_calls"))
    yield "converged", "yes" if run["converged"] else failed, bool(run["converged"])
    yield "effective samples", f"{ess:.0f}: means to {ess**-0.5:.2f} σ", ess >= LEAST_ESS
    yield "effective samples a call", f"{ess / calls:.3g}", None
    yield "largest weight", f"{largest:.2%} of the posterior", largest <= MOST_WEIGHT
    if "insertion_rank_p" in run:
        p = float(run["insertion_rank_p"])
        yield (
            "insertion ranks uniform",
            f"p = {p:.2g}" if np.isfinite(p) else "not for dynamic runs",
            p >= LEAST_P if np.isfinite(p) else None,
        )
    if "emulator_rmse" in run:
        yield "emulator's last error of ln L", f"{run['emulator_rmse']:.2g}; costs calls, not truth", None


def _write_findings(axes: Axes, artifact: Artifact) -> None:
    y = 1.0
    for name, found, good in _findings(artifact):
        axes.text(0.0, y, name, fontsize=SMALL, color="0.4", va="top")
        lines = textwrap.wrap(found, 34)
        if good is not None:
            axes.text(
                1.0, y, "good" if good else "look", fontsize=SMALL, weight="bold", ha="right", va="top",
                color=COLOURS[2] if good else COLOURS[3],
            )  # fmt: skip
        axes.text(0.0, y - 0.032, "\n".join(lines), fontsize=9, va="top")
        y -= 0.055 + 0.032 * len(lines)


def _write_parameters(axes: Axes, artifact: Artifact) -> None:
    table = artifact.table()
    step = min(0.13, 1.0 / (len(table) + 1))
    for name, x in COLUMNS.items():
        axes.text(x, 1.0, name, fontsize=SMALL, color="0.4", va="top")
    for k, row in enumerate(table, start=1):
        digits = _digits(float(row["sd"]))
        unit = f" [{row['unit']}]" if row["unit"] else ""
        cells = {
            "parameter": f"${row['latex']}${unit}",
            "mean ± sd": f"{row['mean']:.{digits}f} ± {row['sd']:.{digits}f}",
            "68 %": f"{row['q16']:.{digits}f} … {row['q84']:.{digits}f}",
            "best fit": f"{row['best_fit']:.{digits}f}",
            "prior": str(row["prior"]) if row["sampled"] else "derived from those above",
        }
        for name, text in cells.items():
            axes.text(COLUMNS[name], 1.0 - step * k, text, fontsize=SMALL, va="top")


def _digits(sd: float) -> int:
    """Return how many decimals show two digits of a standard deviation."""
    return max(0, 1 - int(np.floor(np.log10(sd)))) if sd > 0.0 else 3


def _write_origin(axes: Axes, artifact: Artifact) -> None:
    """Write what the page was made from."""
    run, origin = artifact.attributes("nested"), artifact.provenance
    data = ", ".join(f"{record.name} ({record.sha256[:8]})" for record in origin.inputs) or "none"
    libraries = ", ".join(f"{name} {origin.packages[name]}" for name in ("numpy", "dynesty") if name in origin.packages)
    lines: dict[str, Any] = {
        "problem": f"{run['problem']}, method {run['method']}, seed {origin.seed}",
        "data": data,
        "command": origin.command,
        "version": f"astropipe {origin.astropipe_version}, commit {origin.git_commit[:12] or 'unknown'}, {libraries}",
        "content": artifact.content_sha256,
        "cite": ", ".join(origin.citations),
    }
    text = "\n".join(
        "\n".join(textwrap.wrap(f"{name}: {value}", 150, subsequent_indent="    ")[:3]) for name, value in lines.items()
    )
    axes.plot([0.0, 1.0], [1.0, 1.0], color="0.7", linewidth=0.6, clip_on=False)
    axes.text(0.0, 0.94, text, fontsize=6.5, va="top", color="0.25", linespacing=1.35)
