"""Figures of the morphology stage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from astropipe.artifacts import Artifact
from astropipe.artifacts.schemas.morphology import CLASSES
from astropipe.plots.style import COLOURS
from astropipe.runtime.errors import InputError

Array = NDArray[np.float64]

UNCLASSIFIED = "UNC"
_COLOUR = dict(zip((*CLASSES, UNCLASSIFIED), (COLOURS[3], COLOURS[1], COLOURS[0], COLOURS[2], "0.7"), strict=True))
_LONG = {
    "SPH": "spheroids",
    "ETD": "early-type disks",
    "LTD": "late-type disks",
    "IRR": "irregulars",
    UNCLASSIFIED: "unclassified",
}
_IN_ROW = 12
_FEWEST = 5
_PAGE_ROWS = 4
# In the column that says how a galaxy got its class.
_SECOND_STEP = 2
_MAP_AXES = {
    "pca": ("first principal component", "second principal component"),
    "umap": ("UMAP 1", "UMAP 2"),
}
# Straight lines of Lotz et al. (2008, ApJ 672, 177, eqs. 4 and 5) that part mergers, and early from late types.
_MERGERS = (-0.14, 0.33)
_EARLY = (0.14, 0.80)


def class_mosaic(artifacts: Sequence[Artifact]) -> Figure:
    """Draw galaxies of each class: those by the votes, from most to least agreement, then those by the second step.

    Raises
    ------
    InputError
        If the catalog has no examples.
    """
    table, images, rows = _examples(artifacts)
    names = np.asarray(table["morphology"]).astype(str)
    sure, second = _confidence(table, names)
    sure, second = sure[rows], second[rows]
    shown = [name for name in (*CLASSES, UNCLASSIFIED) if (names[rows] == name).any()]
    members = [np.flatnonzero(names[rows] == name) for name in shown]
    lines = [2 if len(some) > _IN_ROW else 1 for some in members]
    ratios = [*(n * 0.8 + 0.2 for n in lines), 0.2]
    figure = Figure(figsize=(_IN_ROW * 0.8, sum(ratios)))
    parts = figure.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0]
    for part, name, some, n_lines in zip(parts, shown, members, lines, strict=False):
        ranked = some[np.lexsort([-sure[some], second[some]])]
        chosen = ranked[np.unique(np.linspace(0, len(ranked) - 1, n_lines * _IN_ROW).astype(int))]
        in_class = np.count_nonzero(names == name)
        part.suptitle(f"{name}, {_LONG[name]}: {in_class} of {len(table)}", fontsize=9, color=_COLOUR[name])
        texts = [f"p {sure[i]:.2f}" if second[i] else f"{sure[i]:.2f}" for i in chosen]
        _strip(part.subplots(n_lines, _IN_ROW, squeeze=False).ravel(), images[chosen], texts)
    note = "agreement of the votes, or p: probability by the second step"
    parts[-1].text(0.5, 0.5, note, ha="center", va="center", fontsize=7, color="0.4")
    return figure


def _confidence(table: Any, names: NDArray[np.str_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return how sure each galaxy's class is, and whether that is a probability by the second step."""
    sure, second = _values(table, "agreement").copy(), np.zeros(len(table), dtype=bool)
    if "step" in table.colnames:
        second = np.asarray(table["step"]) == _SECOND_STEP
    for name in CLASSES:
        chosen = second & (names == name)
        if chosen.any():
            sure[chosen] = _values(table, f"probability_{name.lower()}")[chosen]
    return sure, second


def group_mosaic(artifacts: Sequence[Artifact]) -> Figure:
    """Draw galaxies of each unsupervised group, with its name, its size and the medians that named it.

    Raises
    ------
    InputError
        If the catalog has no examples.
    """
    table, images, rows = _examples(artifacts)
    groups = json.loads(artifacts[0].text("groups/names"))
    of_row = np.asarray(table["group"])[rows]
    figure = Figure(figsize=(_IN_ROW * 0.8 + 3.0, len(groups) * 0.85))
    grid = figure.add_gridspec(len(groups), _IN_ROW + 4)
    for line, group in enumerate(groups):
        text = figure.add_subplot(grid[line, :4])
        text.axis("off")
        medians = {key: value for key, value in group["medians"].items() if value is not None}
        told = ", ".join(
            f"{symbol} {medians[key]:.2f}"
            for key, symbol in (("concentration", "C"), ("asymmetry", "A"), ("gini", "Gini"), ("m20", "M20"))
            if key in medians
        )
        if "sersic_index" in medians:
            told = f"n {np.exp(medians['sersic_index']):.1f}, {told}"
        text.text(
            0.0,
            0.5,
            f"group {group['group']}: {group['name']}\n{group['galaxies']} galaxies, {group['kept']} kept\n{told}",
            va="center",
            fontsize=7,
            color=_COLOUR.get(group["name"], "black"),
        )
        members = np.flatnonzero(of_row == group["group"])[:_IN_ROW]
        axes = [figure.add_subplot(grid[line, 4 + i]) for i in range(_IN_ROW)]
        _strip(axes, images[members], [""] * len(members))
    return figure


def group_pages(artifacts: Sequence[Artifact]) -> list[Figure]:
    """Draw a page for each unsupervised group: galaxies, the agreement of its votes, and what named it.

    Raises
    ------
    InputError
        If the catalog has no examples.
    """
    table, images, rows = _examples(artifacts)
    groups = json.loads(artifacts[0].text("groups/names"))
    agreement, of_galaxy = _values(table, "agreement"), np.asarray(table["group"])
    pages = []
    for group in groups:
        page = Figure(figsize=(8.3, 5.8))
        page.suptitle(
            f"Group {group['group']}: {group['name']}, {group['galaxies']} galaxies, {group['kept']} kept",
            color=_COLOUR.get(group["name"], "black"),
        )
        left, right = page.subfigures(1, 2, width_ratios=(1.25, 1.0), squeeze=False)[0]
        members = np.flatnonzero(of_galaxy[rows] == group["group"])[: _PAGE_ROWS**2]
        _strip(left.subplots(_PAGE_ROWS, _PAGE_ROWS).ravel(), images[members], [""] * len(members))
        named, votes, text = right.subplots(3, 1, height_ratios=(1.0, 1.0, 2.0))
        probabilities = [group["probabilities"][name] for name in CLASSES]
        named.barh(CLASSES, probabilities, color=[_COLOUR[name] for name in CLASSES])
        named.set(xlim=(0, 1), xlabel="probability of the class")
        named.invert_yaxis()
        votes.hist(agreement[of_galaxy == group["group"]], bins=np.linspace(0, 1, 21).tolist(), color="0.5")
        votes.set(xlim=(0, 1), xlabel="agreement of the votes", ylabel="galaxies")
        text.axis("off")
        known = [(key, value) for key, value in group["medians"].items() if value is not None]
        lines = [f"{_told(key):<30}{value:8.2f}" for key, value in known]
        text.text(0.0, 1.0, "\n".join(["medians", *lines]), va="top", family="monospace", fontsize=6.5)
        pages.append(page)
    return pages


def _told(quantity: str) -> str:
    """Return the name of a quantity by which groups are named as a reader would have it."""
    name = quantity.removeprefix("read_").replace("_", " ").replace("sersic index", "ln Sersic index")
    return f"{name} (encoder)" if quantity.startswith("read_") else name


def _strip(axes: Sequence[Axes], images: NDArray[np.uint8], texts: Sequence[str]) -> None:
    for each in axes:
        each.axis("off")
    for each, image, text in zip(axes, images, texts, strict=False):
        each.imshow(image, cmap="gray", vmin=0, vmax=255, origin="lower")
        if text:
            each.set_title(text, fontsize=6, pad=1)


def _examples(artifacts: Sequence[Artifact]) -> tuple[Any, NDArray[np.uint8], NDArray[np.int64]]:
    (artifact,) = artifacts
    if "mosaic/images" not in artifact.file:
        raise InputError(
            "the catalog holds no stamps for a mosaic; give the stamps to astropipe morphology classify too, with "
            "examples above 0"
        )
    return artifact.table(), np.asarray(artifact.array("mosaic/images")), np.asarray(artifact.array("mosaic/galaxy"))


def galaxy_map(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the map of what was clustered, two components or UMAP: by class, and by agreement of the votes."""
    (artifact,) = artifacts
    table, place = artifact.table(), np.asarray(artifact.array("map"))
    names = np.asarray(table["morphology"]).astype(str)
    agreement = _values(table, "agreement")
    known = np.isfinite(place).all(axis=1)
    figure = Figure(figsize=(10, 4.6))
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    for name in (UNCLASSIFIED, *CLASSES):
        members = known & (names == name)
        left.scatter(*place[members].T, s=5, linewidths=0, color=_COLOUR[name], label=f"{name} ({members.sum()})")
    left.legend(markerscale=3, fontsize=8)
    points = right.scatter(*place[known].T, s=5, linewidths=0, c=agreement[known], cmap="viridis", vmin=0, vmax=1)
    figure.colorbar(points, ax=right, label="agreement of the votes")
    method = artifact.text("map_method") if "map_method" in artifact.file else "pca"
    across, up = _MAP_AXES[method]
    for each in (left, right):
        each.set(xlabel=across, ylabel=up)
    return figure


def planes(artifacts: Sequence[Artifact]) -> Figure:
    """Draw Gini over M20 and concentration over asymmetry of each class, with the lines of Lotz et al. (2008)."""
    (artifact,) = artifacts
    table = artifact.table()
    names = np.asarray(table["morphology"]).astype(str)
    figure = Figure(figsize=(10, 4.6))
    for axes, across, up in zip(figure.subplots(1, 2), ("m20", "asymmetry"), ("gini", "concentration"), strict=True):
        x, y = _values(table, across), _values(table, up)
        for name in CLASSES:
            members = (names == name) & np.isfinite(x) & np.isfinite(y)
            axes.scatter(x[members], y[members], s=5, alpha=0.5, linewidths=0, color=_COLOUR[name])
            if members.sum() >= _FEWEST:
                middle, half = _spread(x[members]), _spread(y[members])
                axes.errorbar(
                    middle[1],
                    half[1],
                    xerr=[[middle[1] - middle[0]], [middle[2] - middle[1]]],
                    yerr=[[half[1] - half[0]], [half[2] - half[1]]],
                    color=_COLOUR[name],
                    marker="o",
                    markeredgecolor="black",
                    capsize=3,
                    label=name,
                    zorder=3,
                )
        for line, values in ((x, "x"), (y, "y")):
            inside = line[np.isfinite(line)]
            if len(inside):
                low, high = np.quantile(inside, (0.003, 0.997))
                axes.set(**{f"{values}lim": (low - 0.1 * (high - low), high + 0.1 * (high - low))})
        axes.legend(fontsize=8, title="median, 16 to 84 %", title_fontsize=8)
    gini, concentration = figure.axes[:2]
    ends = np.array(gini.get_xlim())
    gini.plot(ends, _MERGERS[0] * ends + _MERGERS[1], color="0.3", lw=0.8)
    # The two lines meet at M20 = -1.68.
    early = np.array([ends[0], -1.68])
    gini.plot(early, _EARLY[0] * early + _EARLY[1], color="0.3", lw=0.8, ls="--")
    gini.set(xlabel=r"$M_{20}$", ylabel="Gini")
    gini.invert_xaxis()
    concentration.set(xlabel="asymmetry A", ylabel=r"concentration C = $5\,\log_{10}(r_{80}/r_{20})$")
    return figure


def _spread(values: Array) -> Array:
    return np.asarray(np.quantile(values, (0.16, 0.5, 0.84)))


def physical_order(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the distributions of Sersic index and radii of each class in order, with the KS test between neighbours.

    Of the radii one is that of the Sersic profile along the major axis, the other that of the circle with half of the
    light, which needs no profile.
    """
    (artifact,) = artifacts
    table = artifact.table()
    names = np.asarray(table["morphology"]).astype(str)
    in_pixels = _values(table, "r_e_pixels")
    # The size of a pixel is known where a radius is in both units.
    scale = np.divide(_values(table, "r_e"), in_pixels, out=np.full(len(in_pixels), np.nan), where=in_pixels > 0)
    unit = "arcsec" if np.isfinite(scale).any() else "pixel"
    scale = scale if unit == "arcsec" else np.ones(len(in_pixels))
    quantities = {
        "Sersic index n": _values(table, "sersic_index"),
        f"Sersic effective radius, major axis [{unit}]": in_pixels * scale,
        f"radius of half the light, circular [{unit}]": _values(table, "r50") * scale,
    }
    figure = Figure(figsize=(13, 4.2))
    for axes, (label, values) in zip(figure.subplots(1, 3), quantities.items(), strict=True):
        parts = [np.sort(values[(names == name) & np.isfinite(values) & (values > 0)]) for name in CLASSES]
        for name, part in zip(CLASSES, parts, strict=True):
            if len(part) >= _FEWEST:
                axes.plot(
                    part, np.linspace(0, 1, len(part)), color=_COLOUR[name], label=f"{name}, {np.median(part):.2f}"
                )
        tests = [
            f"{one}-{other}: p = {ks_2samp(*pair).pvalue:.1g}"
            for (one, other), pair in zip(pairwise(CLASSES), pairwise(parts), strict=True)
            if min(len(each) for each in pair) >= _FEWEST
        ]
        axes.text(0.98, 0.03, "\n".join(tests), transform=axes.transAxes, ha="right", va="bottom", fontsize=7)
        axes.set_xscale("log")
        together = np.concatenate(parts)
        if len(together):
            axes.set_xlim(*np.percentile(together, (0.3, 99.7)) * (0.9, 1.1))
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend(fontsize=8, title="class, median", title_fontsize=8, loc="upper left")
        axes.set(xlabel=label, ylabel="share of galaxies below")
    return figure


def agreement_purity(artifacts: Sequence[Artifact]) -> Figure:
    """Draw purity against the share of simulated galaxies that is kept, and classes told against true ones.

    Raises
    ------
    InputError
        If the stamps have no true classes, or are not those of the catalog.
    """
    stamps, catalog = artifacts
    truth, found = stamps.table(), catalog.table()
    if "morphology" not in truth.colnames:
        raise InputError("the stamps have no true classes: only simulated galaxies have a purity")
    true, told = (np.asarray(table["morphology"]).astype(str) for table in (truth, found))
    if len(true) != len(told):
        raise InputError(f"{len(true)} stamps and {len(told)} galaxies in the catalog do not belong together")
    groups = np.array([*(each["name"] for each in json.loads(catalog.text("groups/names"))), UNCLASSIFIED])
    group = np.asarray(found["group"])
    right = groups[np.where(group >= 0, group, -1)] == true
    order = np.argsort(-_values(found, "agreement"), kind="stable")
    share = np.arange(1, len(order) + 1) / len(order)
    figure = Figure(figsize=(10, 4.4))
    left, axes = figure.subplots(1, 2)
    purity = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    left.plot(share, purity, color=COLOURS[0])
    kept = float(np.mean(np.asarray(found["kept"])))
    left.axvline(kept, color="0.4", lw=0.8)
    left.text(kept, 0.02, f" kept: {kept:.2f}", transform=left.get_xaxis_transform(), fontsize=8)
    left.axhline(0.95, color="0.7", lw=0.8, ls=":")
    left.set(xlabel="share of galaxies kept, by agreement", ylabel="share of them with the true class", xlim=(0, 1))
    columns = [*CLASSES, UNCLASSIFIED]
    counts = np.array([[np.count_nonzero((true == one) & (told == other)) for other in columns] for one in CLASSES])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(counts):
        axes.text(column, row, value, ha="center", va="center", color="white" if shares[row, column] > 0.5 else "black")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(CLASSES)), CLASSES)
    axes.set(xlabel="class told, both steps", ylabel="true class")
    return figure


def _values(table: Any, name: str) -> Array:
    if name not in table.colnames:
        return np.full(len(table), np.nan)
    return np.asarray(getattr(table[name], "value", table[name]), dtype=np.float64)
