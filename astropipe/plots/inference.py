"""Figures of the inference stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from astropipe.artifacts import Artifact
from astropipe.plots.style import COLOURS
from astropipe.runtime.errors import InputError

SHRINKAGE = "−ln X, shrinkage of the prior volume [nat]"


def getdist_samples(artifact: Artifact) -> Any:
    """Return the weighted samples of a posterior as GetDist knows them, with the hard limits of the priors."""
    from getdist import MCSamples, chains

    chains.print_load_details = False
    table = artifact.table()
    sampled = table[np.asarray(table["sampled"])]
    log_weights = artifact.array("nested/log_weights")
    # The first samples of a run cover the whole prior at next to no weight, and GetDist would scale its axes to them.
    kept = log_weights > log_weights.max() - 14
    names = [str(name) for name in sampled["parameter"]]
    limits = {
        name: [bound if np.isfinite(bound) else None for bound in (float(row["prior_low"]), float(row["prior_high"]))]
        for name, row in zip(names, sampled, strict=True)
    }
    return MCSamples(
        samples=artifact.array("nested/samples")[kept],
        weights=np.exp(log_weights - log_weights.max())[kept],
        loglikes=-artifact.array("nested/log_likelihoods")[kept],
        names=names,
        labels=[_label(row) for row in sampled],
        ranges=limits,
        sampler="nested",
        settings={"smooth_scale_2D": 0.4},
    )


def _label(row: Any) -> str:
    unit = str(row["unit"])
    return f"{row['latex']}\\,[\\mathrm{{{unit.replace(' ', '~')}}}]" if unit else str(row["latex"])


def triangle(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the posteriors of all parameters and pairs of them, 68 and 95 % regions; several overlaid."""
    from getdist import plots

    samples = [getdist_samples(artifact) for artifact in artifacts]
    # GetDist lays its panels out itself.
    with matplotlib.rc_context({"figure.constrained_layout.use": False}):
        plotter = plots.get_subplot_plotter(width_inch=max(4.5, 1.9 * samples[0].n))
        plotter.settings.axes_fontsize = plotter.settings.axes_labelsize = 10
        plotter.settings.title_limit_fontsize = plotter.settings.legend_fontsize = 10
        plotter.triangle_plot(
            samples,
            filled=True,
            legend_labels=[artifact.title for artifact in artifacts] if len(artifacts) > 1 else [],
            contour_colors=list(COLOURS[: len(samples)]),
            title_limit=1 if len(samples) == 1 else 0,
        )
    if len(artifacts) == 1:
        # The upper right is empty in a triangle, but not above a single panel.
        plotter.fig.suptitle(artifacts[0].title, fontsize=11, y=1.0 if samples[0].n > 1 else 1.1)
    figure: Figure = plotter.fig
    return figure


def trace(artifacts: Sequence[Artifact]) -> Figure:
    """Draw how the run went: likelihood, posterior weight and each parameter against the prior volume."""
    artifact = artifacts[0]
    table, run = artifact.table(), artifact.attributes("nested")
    sampled = table[np.asarray(table["sampled"])]
    figure = Figure(figsize=(7, 1.6 * (len(sampled) + 2)))
    axes = figure.subplots(len(sampled) + 2, 1, sharex=True)
    draw_run(artifact, axes[0], axes[1])
    log_volumes = artifact.array("nested/log_volumes")
    weights = np.exp(artifact.array("nested/log_weights"))
    samples = artifact.array("nested/samples")
    for index, row in enumerate(sampled):
        axes[index + 2].scatter(
            -log_volumes, samples[:, index], c=weights / weights.max(), s=3, linewidths=0, rasterized=True
        )
        axes[index + 2].set_ylabel(f"${row['latex']}$" + (f"\n[{row['unit']}]" if row["unit"] else ""))
    axes[-1].set_xlabel(SHRINKAGE)
    evidence = f"ln Z = {run['logz']:.3f} ± {run['logz_err']:.3f}"
    figure.suptitle(f"{artifact.title}\n{evidence}, {run['n_true_calls']:,} likelihood calls", fontsize=10)
    return figure


def draw_run(artifact: Artifact, above: Axes, below: Axes) -> None:
    """Draw ln L and the posterior weight of the samples against the prior volume into two axes."""
    log_volumes, log_likelihoods = artifact.array("nested/log_volumes"), artifact.array("nested/log_likelihoods")
    weights = np.exp(artifact.array("nested/log_weights"))
    above.plot(-log_volumes, log_likelihoods, color=COLOURS[0])
    # The first samples are far below the rest and would flatten everything else.
    above.set(ylabel="ln L", ylim=_useful_range(log_likelihoods, weights))
    below.fill_between(-log_volumes, weights / weights.max(), color=COLOURS[1], linewidth=0)
    below.set(ylabel="posterior\nweight")


def _useful_range(log_likelihoods: NDArray[Any], weights: NDArray[Any]) -> tuple[float, float]:
    top = float(log_likelihoods.max())
    # Samples that carry weight, and as much again below them.
    low = float(log_likelihoods[weights > 1e-6 * weights.max()].min())
    return top - 2.5 * (top - low), top + 0.1 * (top - low)


def constraints(artifacts: Sequence[Artifact]) -> Figure:
    """Draw each measured value that has a published or reference one, as difference in standard errors of that."""
    table = artifacts[0].table()
    if "deviation" not in table.colnames:
        raise InputError(
            f"{artifacts[0].path} compares nothing with published values; give metrics of the inference stage"
        )
    rows = table[np.isfinite(np.asarray(table["deviation"])) & (np.asarray(table["measure"]) != "logz")]
    if not len(rows):
        raise InputError(f"{artifacts[0].path} has no published value for any of its posteriors")
    figure = Figure(figsize=(7.5, 0.9 + 0.3 * len(rows)))
    axes = figure.subplots()
    places = np.arange(len(rows))[::-1]
    expected_error = np.asarray(rows["expected_error"])
    axes.axvspan(-1, 1, color="0.9", label="published or reference, ± 1 standard error")
    axes.axvspan(-0.2, 0.2, color="0.8", label="± 0.2")
    axes.errorbar(
        np.asarray(rows["deviation"]),
        places,
        xerr=np.asarray(rows["error"]) / expected_error,
        fmt="o",
        markersize=4,
        capsize=2,
        label="this run, ± 1 posterior standard deviation",
    )
    axes.set_yticks(places, [f"{row['subject']}  {row['measure']}" for row in rows])
    axes.set(xlabel="(this run − published or reference) / standard error of the latter", ylim=(-0.7, len(rows) - 0.3))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8)
    return figure
