"""The figure of posteriors of simulated data against the truth by which these were simulated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure, SubFigure

from astropipe.artifacts import Artifact
from astropipe.plots.style import COLOURS
from astropipe.runtime.errors import InputError

TRUTH = "truth of the simulation"
COLUMNS = 3
LABELS = {
    "log10_mass": r"$\log_{10}(M / M_\odot)$",
    "log10_scale_radius": r"$\log_{10}(a / \mathrm{pc})$",
    "systemic_velocity": r"$v_\mathrm{sys}$ [km/s]",
    "fe_h_mean": r"mean [Fe/H] [dex]",
    "fe_h_scatter": r"scatter of [Fe/H] [dex]",
    "field_fraction": r"fraction of field stars",
}
"""How parameters are written; others by their names."""


def recovery(artifacts: Sequence[Artifact]) -> Figure:
    """Draw posterior means against true values, one panel a parameter, and below each the difference in sigmas.

    Raises
    ------
    InputError
        If the metrics hold no posterior of simulated data.
    """
    table = artifacts[0].table()
    rows = table[(np.asarray(table["source"]) == TRUTH) & np.isfinite(np.asarray(table["expected_error"]))]
    names = list(dict.fromkeys(str(name) for name in rows["measure"]))
    if not names:
        raise InputError(
            f"{artifacts[0].path} has no posterior of simulated data with a known truth; evaluate such posteriors "
            "together with the spectra that were simulated"
        )
    lines = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(10.0, 3.9 * lines))
    n = int(np.count_nonzero(np.asarray(rows["measure"]) == names[0]))
    figure.suptitle(
        f"{n} posteriors of simulated data: shares of truths that central intervals hold, and bias in posterior sd",
        fontsize=10,
    )
    panels = figure.subfigures(lines, COLUMNS, squeeze=False).flat
    for name, panel in zip(names, panels, strict=False):
        _draw(panel, name, rows[np.asarray(rows["measure"]) == name], table)
    return figure


def _draw(panel: SubFigure, name: str, rows: QTable, table: QTable) -> None:
    truth, mean, sd = (np.asarray(rows[column]) for column in ("expected", "value", "error"))
    above, below = panel.subplots(2, 1, sharex=True, height_ratios=[2.2, 1.0])
    low, high = float(min(truth.min(), (mean - sd).min())), float(max(truth.max(), (mean + sd).max()))
    above.axline((low, low), slope=1.0, color="0.6", linewidth=0.8)
    style = {"fmt": "o", "markersize": 3, "linewidth": 0.9, "color": COLOURS[0]}
    above.errorbar(truth, mean, yerr=sd, **style)
    above.set(ylabel="posterior, mean ± sd", title=_said(name, table), ylim=_widened(low, high))
    above.title.set_size(8)
    for sigmas, grey in ((2.0, "0.93"), (1.0, "0.85")):
        below.axhspan(-sigmas, sigmas, color=grey, linewidth=0)
    below.errorbar(truth, (mean - truth) / sd, yerr=np.ones_like(sd), **style)
    largest = max(3.2, 1.2 + float(np.abs((mean - truth) / sd).max()))
    below.set(xlabel=f"true {LABELS.get(name, name)}", ylabel="difference\n[sd]", ylim=(-largest, largest))
    below.set_xlim(*_widened(float(truth.min()), float(truth.max())))


def _widened(low: float, high: float) -> tuple[float, float]:
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.1
    return low - margin, high + margin


def _said(name: str, table: QTable) -> str:
    """Return coverage and bias of a parameter, where several posteriors tell them."""
    measures = {str(row["measure"]): row for row in table}
    if f"{name}_bias" not in measures:
        return ""
    bias, *shares = (measures[f"{name}_{what}"] for what in ("bias", "coverage_68", "coverage_95"))
    inside = ", ".join(f"{row['expected']:.0%} holds {row['value']:.0%}" for row in shares)
    return f"{inside}; bias {bias['value']:+.2f} ± {bias['error']:.2f}"
