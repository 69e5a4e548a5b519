"""Figures that say whether a posterior is right: errors of the emulator, scatter of runs, ranks of simulated truths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binom

from astropipe.artifacts import Artifact
from astropipe.plots.style import COLOURS
from astropipe.runtime.errors import InputError
from astropipe.runtime.scatter import scatter

EMULATED = "nested/emulated_log_likelihoods"
NOT_SHOWN = 1e-3
"""Share of the posterior, that of lowest likelihood, in which nobody asks how good the emulator was."""


def emulator_errors(artifacts: Sequence[Artifact]) -> Figure:
    """Draw true minus emulated ln L of the points of an emulated posterior: against ln L and over pairs of parameters.

    What was emulated was so before the true value was known, and has entered nothing.

    Raises
    ------
    InputError
        If the posterior holds no emulated values.
    """
    artifact = artifacts[0]
    if EMULATED not in artifact.file:
        raise InputError(
            f"{artifact.path} holds no emulated values: it was sampled exactly, or by an older version; sample again "
            "with inference.sample.method=emulated"
        )
    table = artifact.table()
    sampled = table[np.asarray(table["sampled"])]
    log_likelihoods, weights = artifact.array("nested/log_likelihoods"), np.exp(artifact.array("nested/log_weights"))
    # Samples come in order of rising ln L.
    shown = np.cumsum(weights) > NOT_SHOWN * weights.sum()
    samples, log_likelihoods, weights = artifact.array("nested/samples")[shown], log_likelihoods[shown], weights[shown]
    errors = log_likelihoods - artifact.array(EMULATED)[shown]
    rms = float(np.sqrt(np.average(errors**2, weights=weights)))

    pairs = list(combinations(range(len(sampled)), 2))
    columns = min(4, len(pairs))
    rows = -(-len(pairs) // columns) if pairs else 0
    figure = Figure(figsize=(max(6.0, 2.3 * columns + 0.8), 2.8 + 2.1 * rows))
    heights = [2.8, 2.1 * rows] if pairs else [2.8]
    above, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).flat
    axes = above.subplots()
    axes.axhspan(-rms, rms, color="0.92")
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    axes.scatter(log_likelihoods, errors, s=8, linewidths=0, color=COLOURS[0])
    axes.set(xlabel="true ln L", ylabel="true − emulated ln L")
    held = f"{len(errors)} points that hold {1.0 - NOT_SHOWN:.1%} of the posterior"
    above.suptitle(f"{artifact.title}\n{held}; band: root mean square over it, {rms:.2g}", fontsize=9)
    if pairs:
        # A few large errors must not take the colours from the rest.
        limit = max(float(np.quantile(np.abs(errors), 0.9)), 1e-6)
        order = np.argsort(np.abs(errors))
        labels = [f"${row['latex']}$" + (f" [{row['unit']}]" if row["unit"] else "") for row in sampled]
        grid = below[0].subplots(rows, columns, squeeze=False)
        for plane, (i, j) in zip(grid.flat, pairs, strict=False):
            points = plane.scatter(
                *samples[order][:, [i, j]].T,
                c=errors[order],
                s=9,
                linewidths=0.2,
                edgecolors="0.5",
                cmap="RdBu",
                norm=Normalize(-limit, limit),
            )
            plane.set_xlabel(labels[i], fontsize=8)
            plane.set_ylabel(labels[j], fontsize=8)
            plane.tick_params(labelsize=7)
        for plane in grid.flat[len(pairs) :]:
            plane.axis("off")
        below[0].colorbar(points, ax=grid, label="true − emulated ln L", extend="both", aspect=40)
    return figure


def run_scatter(artifacts: Sequence[Artifact]) -> Figure:
    """Draw ln Z of runs of one problem with different seeds, their quoted errors, and what the scatter says of these.

    Raises
    ------
    InputError
        If the runs are of several problems, or there are less than two of a method.
    """
    runs = [artifact.attributes("nested") for artifact in artifacts]
    if len(problems := sorted({str(run["problem"]) for run in runs})) > 1:
        raise InputError(f"the runs are of several problems, {', '.join(problems)}; give those of one")
    figure = Figure(figsize=(7, 3.5))
    axes = figure.subplots()
    start = 0
    for colour, method in zip(COLOURS, sorted({str(run["method"]) for run in runs}), strict=False):
        own = [run for run in runs if run["method"] == method and run["converged"]]
        logz, errors = (np.array([float(run[key]) for run in own]) for key in ("logz", "logz_err"))
        found = scatter(logz, errors)
        places = start + np.arange(len(own))
        label = f"{method}: scatter / quoted error {found.ratio:.2f} ± {found.ratio_err:.2f}, p = {found.p_value:.2g}"
        axes.errorbar(places, logz, errors, fmt="o", markersize=4, capsize=2, color=colour, label=label)
        axes.hlines(found.mean, start - 0.5, places[-1] + 0.5, color=colour, linewidth=1)
        start = int(places[-1]) + 2
    axes.set(ylabel="ln Z", xlabel="run")
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_xticks([])
    axes.set_title(f"{problems[0]}: runs that converged", fontsize=10)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), fontsize=8)
    return figure


def rank_histograms(ranks: Mapping[str, NDArray[np.int64]], n_draws: int, n_bins: int = 8) -> Figure:
    """Draw histograms of the ranks 0 … `n_draws` of simulated truths, and the band that holds 95 % of uniform ones.

    The only figure that takes arrays: calibration makes no artifact.

    Parameters
    ----------
    ranks : mapping
        Ranks [n] by the title of their panel.
    n_draws : int
        Draws among which truths were ranked.
    n_bins : int
        Number of bins, a divisor of n_draws + 1.
    """
    columns = min(4, len(ranks))
    figure = Figure(figsize=(2.4 * columns, 2.1 * -(-len(ranks) // columns)))
    grid = figure.subplots(-(-len(ranks) // columns), columns, sharex=True, squeeze=False)
    width = (n_draws + 1) // n_bins
    for axes, (title, values) in zip(grid.flat, ranks.items(), strict=False):
        low, high = binom.interval(0.95, len(values), 1.0 / n_bins)
        axes.axhspan(low, high, color="0.9")
        axes.axhline(len(values) / n_bins, color="0.6", linewidth=0.8)
        axes.hist(values, bins=np.arange(n_bins + 1) * width - 0.5, histtype="stepfilled", alpha=0.8)
        axes.set_title(title.replace(": ", "\n"), fontsize=8)
        axes.set_ylim(bottom=0)
    for axes in grid.flat[len(ranks) :]:
        axes.axis("off")
    for axes in grid[-1]:
        axes.set_xlabel("rank of the truth")
    for axes in grid[:, 0]:
        axes.set_ylabel("simulations")
    return figure
