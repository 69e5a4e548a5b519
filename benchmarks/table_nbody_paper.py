"""Make table and figure of the published baseline: learned policies against each fixed mu, error against cost.

Run ``python benchmarks/table_nbody_paper.py [POLICY.h5 ...] [--output DIR] [--figure FILE]``; it takes minutes and
trains nothing. The policies are artifacts of ``astropipe nbody train`` with ``policy: paper``. Systems are those of Saz
Ulibarrena & Portegies Zwart (2025), seeds 0-99, and 200 held-out ones, 1000-1199, 300 decisions each. Evaluations are
those of AMUSE's Hermite, replayed; wall time is that of the compiled loop with observation and inference, on one core,
without the overhead of AMUSE's messages that dominates the paper's times.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astropipe.artifacts import open_artifact
from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.paper.policy import Evaluation, Network, evaluate
from astropipe.nbody.paper.records import HELD_OUT_SEEDS, PAPER_SEEDS, policy_of
from astropipe.nbody.paper.task import TaskConfig, rules
from astropipe.plots.style import COLOURS, use_style

SETS = {"0-99": PAPER_SEEDS, "1000-1199": HELD_OUT_SEEDS}
COLUMNS = {
    "error p50": ("error_p50", "{:.1e}"),
    "error p90": ("error_p90", "{:.1e}"),
    "error p99": ("error_p99", "{:.1e}"),
    "mean log10 error": ("error_log10_mean", "{:.2f}"),
    "evaluations p50": ("evaluations_p50", "{:.2e}"),
    "evaluations mean": ("evaluations_mean", "{:.2e}"),
    "wall p50 [ms]": ("wall_p50", "{:.2f}"),
}
HEADER = ("systems", "μ, or defects of the training", *COLUMNS)
FIXED = "μ = "
REFERENCE = "μ = 0.01"
LEGEND = "Large symbols: medians of a trained policy, with quartiles; small ones: single systems"
MARKERS = "o^svPXD"
# Black is that of the fixed mu.
POLICY_COLOURS = tuple(colour for colour in COLOURS if colour != "#000000")
# A third of a decade is as fine as a hundred systems can show.
_BINS_A_DECADE = 3


class Look(NamedTuple):
    """How the policies of one group are drawn; only the first two groups have their systems in the figure."""

    colour: str
    marker: str
    headline: bool


def group_of(title: str) -> str:
    """Return the title of a policy without the seed of its training."""
    return title.rpartition(", seed ")[0] or title


def contestants(paths: Sequence[Path]) -> dict[str, tuple[Network | int, TaskConfig]]:
    """Return every mu, smallest last, and the stored policies by title."""
    task = TaskConfig()
    mu = rules(task).mu
    found: dict[str, tuple[Network | int, TaskConfig]] = {
        f"{FIXED}{mu[action]:.3g}": (action, task) for action in reversed(range(mu.size))
    }
    for path in paths:
        with open_artifact(path, "policy") as artifact:
            names = [name for name in Network._fields if name != "n_hidden"]
            weights = {name: artifact.array(f"weights/{name}") for name in names}
            found[artifact.title] = policy_of(weights, artifact.text("architecture"))
    return found


def play(seeds: range, field: Mapping[str, tuple[Network | int, TaskConfig]]) -> dict[str, Evaluation]:
    """Play all systems with all contestants."""
    return {name: evaluate(policy, seeds, task) for name, (policy, task) in field.items()}


def rows(name_of_set: str, played: Mapping[str, Evaluation]) -> list[tuple[str, ...]]:
    """Return the rows of one set of systems."""
    table = []
    for name, evaluation in played.items():
        summary = evaluation.summary()
        summary["wall_p50"] *= 1e3
        table.append((name_of_set, name, *(form.format(summary[key]) for key, form in COLUMNS.values())))
    return table


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Return the table as Markdown."""
    lines = [" | ".join(HEADER), " | ".join("---" for _ in HEADER), *(" | ".join(row) for row in table)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def draw(played: Mapping[str, Evaluation]) -> Figure:
    """Draw error against evaluations and against wall time, with histograms on the margins, as the paper does.

    Every system of the first two groups of policies is a point; of the others the medians are shown, with quartiles.
    """
    figure = Figure(figsize=(11, 6.8))
    axes = figure.subplots(2, 3, width_ratios=(4, 4, 1.4), height_ratios=(1, 4), sharex="col", sharey="row")
    axes[0, 2].set_axis_off()
    fixed = {name: evaluation for name, evaluation in played.items() if name.startswith(FIXED)}
    learned = {name: evaluation for name, evaluation in played.items() if name not in fixed}
    groups = enumerate(dict.fromkeys(map(group_of, learned)))
    looks = {group: Look(POLICY_COLOURS[k % 7], MARKERS[k % 7], k < 2) for k, group in groups}
    for column, measure in enumerate(("evaluations", "wall")):
        costs = {name: getattr(evaluation, measure) for name, evaluation in played.items()}
        _systems(axes[1, column], costs, fixed, learned, looks)
        _medians(axes[1, column], {name: (costs[name], fixed[name].error) for name in fixed})
        _middles(axes[1, column], {name: (costs[name], learned[name].error) for name in learned}, looks)
        _margin(axes[0, column], costs, looks, "vertical")
    _margin(axes[1, 2], {name: evaluation.error for name, evaluation in played.items()}, looks, "horizontal")
    axes[1, 0].set(xscale="log", yscale="log", xlabel="force evaluations of a system")
    axes[1, 1].set(xscale="log", xlabel="wall time of a system with all decisions [s]")
    axes[1, 0].set_ylabel("final energy error |ΔE/E|")
    axes[0, 0].set_ylabel("systems")
    axes[1, 2].set_xlabel("systems")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    grey, grey_label = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        [*handles, *grey], [*labels, *grey_label], loc="outside lower center", ncols=4, fontsize=9, title=LEGEND
    )
    return figure


def _headlines(names: Iterable[str], looks: Mapping[str, Look]) -> dict[str, Look]:
    """Return the first policy of each group that is shown in full."""
    found = {group_of(name): name for name in reversed(list(names)) if group_of(name) in looks}
    return {found[group]: look for group, look in looks.items() if look.headline and group in found}


def _systems(
    axes: Axes,
    costs: Mapping[str, FloatArray],
    fixed: Mapping[str, Evaluation],
    learned: Mapping[str, Evaluation],
    looks: Mapping[str, Look],
) -> None:
    """Draw every system with each mu, and with the policies that are shown in full."""
    for name, evaluation in fixed.items():
        label = "each fixed μ, single systems" if name == REFERENCE else None
        axes.scatter(costs[name], evaluation.error, s=7, color="0.78", linewidths=0, label=label)
    for name, look in _headlines(learned, looks).items():
        points: dict[str, Any] = {"color": look.colour, "marker": look.marker, "s": 13, "alpha": 0.45, "linewidths": 0}
        axes.scatter(costs[name], learned[name].error, **points)


def _middles(axes: Axes, learned: Mapping[str, tuple[FloatArray, FloatArray]], looks: Mapping[str, Look]) -> None:
    """Draw the medians of the policies, with the quartiles of cost and error."""
    labelled = set()
    for name, values in learned.items():
        group = group_of(name)
        (left, x, right), (low, y, high) = (np.quantile(value, (0.25, 0.5, 0.75)) for value in values)
        bars: dict[str, Any] = {"xerr": [[x - left], [right - x]], "yerr": [[y - low], [high - y]], "elinewidth": 1.2}
        look: dict[str, Any] = {"color": looks[group].colour, "marker": looks[group].marker, "markeredgecolor": "black"}
        label = None if group in labelled else group
        axes.errorbar(x, y, **bars, **look, markersize=8, markeredgewidth=0.7, linestyle="", label=label, zorder=4)
        labelled.add(group)


def _margin(
    axes: Axes,
    values: Mapping[str, FloatArray],
    looks: Mapping[str, Look],
    orientation: Literal["vertical", "horizontal"],
) -> None:
    """Draw histograms of the policies that are shown in full, and of one mu to compare with."""
    everything = np.concatenate(list(values.values()))
    low, high = np.log10(everything.min()), np.log10(everything.max())
    edges = np.logspace(low, high, max(2, round((high - low) * _BINS_A_DECADE))).tolist()
    axes.hist(values[REFERENCE], edges, orientation=orientation, color="0.82", label=f"{REFERENCE}, histograms")
    for name, look in _headlines(values, looks).items():
        axes.hist(values[name], edges, orientation=orientation, color=look.colour, histtype="step", linewidth=1.6)


def _medians(axes: Axes, fixed: Mapping[str, tuple[FloatArray, FloatArray]]) -> None:
    """Join the medians of cost and error of the fixed values of mu, and name some of them."""
    middles = {name: (np.median(cost), np.median(error)) for name, (cost, error) in fixed.items()}
    axes.plot(
        *zip(*middles.values(), strict=True),
        "-o",
        color="black",
        linewidth=1,
        markersize=3,
        label="each fixed μ, medians",
    )
    for k, name in list(enumerate(middles))[::3]:
        # Outside of the bend of the line: its ends have their room on the right, the rest below.
        at_end = k in (0, len(middles) - 1)
        text: dict[str, Any] = {"ha": "left", "va": "bottom"} if at_end else {"ha": "right", "va": "top"}
        offset = (5, 4) if at_end else (-5, -4)
        plain = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}
        axes.annotate(name, middles[name], textcoords="offset points", xytext=offset, fontsize=8, bbox=plain, **text)


def main() -> None:
    """Print the table, and write table and figure where --output says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("policies", type=Path, nargs="*", help="policy artifacts")
    parser.add_argument("--output", type=Path, help="folder for nbody-paper.csv and nbody-paper.md")
    parser.add_argument("--figure", type=Path, help="file of the figure")
    options = parser.parse_args()
    field = contestants(options.policies)
    played = {name: play(seeds, field) for name, seeds in SETS.items()}
    table = [row for name, evaluations in played.items() for row in rows(name, evaluations)]
    print(markdown(table))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "nbody-paper.md").write_text(markdown(table), encoding="utf-8")
        with (options.output / "nbody-paper.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADER, *table])
    if options.figure:
        use_style()
        draw(played["0-99"]).savefig(options.figure)


if __name__ == "__main__":
    main()
