"""Figures of a periodic box and of the flow in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import QTable
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from astropipe.artifacts import Artifact
from astropipe.plots.style import COLOURS

# Of the box, the depth of the slice that is shown.
_DEPTH = 1 / 8


def _snapshots(table: QTable) -> list[tuple[str, QTable]]:
    """Return the rows of each snapshot that have pairs, with its redshift."""
    parts = [table[(table["snapshot"] == number) & (table["pairs"] > 0)] for number in np.unique(table["snapshot"])]
    return [(f"z = {max(1 / part['scale_factor'][0] - 1, 0):.3g}", part) for part in parts if len(part)]


def _draw(axes: Axes, rows: QTable, name: str, sign: float = 1.0, **style: Any) -> None:
    """Draw a statistic with its errors over the separation."""
    values, errors = (np.asarray(getattr(rows[column], "value", rows[column])) for column in (name, f"{name}_error"))
    axes.errorbar(rows["r"].value, sign * values, errors, fmt="o-", markersize=3, linewidth=0.9, **style)


def moments(artifacts: Sequence[Artifact]) -> Figure:
    """Draw moments, shape and correlation of the velocities of pairs over their separation, by redshift."""
    artifact = artifacts[0]
    figure = Figure(figsize=(11, 6.6))
    (mean, even, skewness), (odd, kurtosis, correlation) = figure.subplots(2, 3, sharex=True)
    snapshots = _snapshots(artifact.table())
    for (label, rows), colour in zip(snapshots, COLOURS * len(snapshots), strict=False):
        r = rows["r"].value
        _draw(mean, rows, "du1", sign=-1.0, color=colour, label=label)
        mean.plot(r, rows["hubble_flow"].value, color=colour, linestyle="--", linewidth=0.8)
        _draw(even, rows, "du2", color=colour)
        for name, axes in (("du_skewness", skewness), ("du_kurtosis", kurtosis), ("third_relation", odd)):
            _draw(axes, rows, name, color=colour)
        _draw(correlation, rows, "rho_longitudinal", color=colour)
    label, last = snapshots[-1]
    r, second = last["r"].value, last["du2"].value
    even.plot(r[: len(r) // 2], second[0] * (r[: len(r) // 2] / r[0]) ** (2 / 3), color="0.5", linestyle=":")
    even.annotate("r$^{2/3}$", (r[len(r) // 3] / 2, 1.2 * second[0] * (r[len(r) // 3] / r[0]) ** (2 / 3)), color="0.4")
    for axes, level in ((skewness, 0.0), (odd, 1.0), (kurtosis, 3.0), (correlation, 0.5)):
        axes.axhline(level, color="0.5", linestyle=":", linewidth=0.8)
    # Where the mean vanishes, the relation is a ratio of noises.
    odd.set_ylim(-1, 4)
    correlation.set_ylim(-0.4, 1.0)
    mean.set(xscale="log", yscale="log", ylabel=r"$-\langle\Delta u_L\rangle$ [km/s]; dashed: $H a r$")
    even.set(yscale="log", ylabel=r"$\langle\Delta u_L^2\rangle$ [(km/s)$^2$]")
    skewness.set_ylabel(r"skewness of $\Delta u_L$")
    odd.set_ylabel(r"$\langle\Delta u_L^3\rangle\,/\,3\langle\Delta u_L^2\rangle\langle\Delta u_L\rangle$")
    kurtosis.set_ylabel(r"kurtosis of $\Delta u_L$")
    correlation.set_ylabel(r"$\langle u_L u_L'\rangle\,/\,\langle u_L^2\rangle$")
    for axes in (odd, kurtosis, correlation):
        axes.set_xlabel("separation r [comoving Mpc]")
    mean.legend(fontsize=8)
    figure.suptitle(artifact.title, fontsize=9)
    return figure


def distributions(artifacts: Sequence[Artifact]) -> Figure:
    """Draw, for the last snapshot, the densities of three velocities at four separations with their fits."""
    artifact = artifacts[0]
    table = artifact.table()
    rows = np.flatnonzero((table["snapshot"] == table["snapshot"].max()) & (table["pairs"] >= 100))
    chosen = rows[np.linspace(0, len(rows) - 1, 4).astype(int)] if len(rows) else rows
    values = artifact.array("pdf/values")
    titles = {"difference": "velocity difference", "sum": "velocity sum", "velocity": "longitudinal velocity"}
    figure = Figure(figsize=(11, 4.4))
    for axes, (variate, title) in zip(figure.subplots(1, 3, sharey=True), titles.items(), strict=True):
        measured, x, logistic = (artifact.array(f"pdf/{variate}{ending}") for ending in ("", "-x", "-logistic"))
        for shift, (row, colour) in enumerate(zip(chosen, COLOURS, strict=False)):
            # Each a hundredfold below the one before, so that they do not cover each other.
            scale = 100.0**-shift
            seen = measured[row] > 0
            label = f"{table['r'][row].value:.2g} Mpc"
            axes.plot(values[seen], scale * measured[row][seen], "o", markersize=2.5, color=colour, label=label)
            axes.plot(values, scale * x[row], color=colour, linewidth=0.9)
            axes.plot(values, scale * logistic[row], color=colour, linewidth=0.8, linestyle=":")
        axes.set(yscale="log", ylim=(1e-12, 3), xlabel=f"{title} / standard deviation")
        axes.axvline(0.0, color="0.8", linewidth=0.6, zorder=0)
    figure.axes[0].set_ylabel("density, each 100 times lower")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, title="separation", loc="outside right center")
    figure.suptitle(f"{artifact.title}\nlines: X distribution, dotted: logistic distribution", fontsize=9)
    return figure


def slices(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the matter in a slice through a box at each of its times."""
    artifact = artifacts[0]
    table, size = artifact.table(), float(artifact.array("box_size").to_value("Mpc"))
    shown = table[-4:]
    figure = Figure(figsize=(3.1 * len(shown), 3.6))
    for axes, row in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        x = artifact.array(f"snapshots/{row['snapshot']}/positions").to_value("Mpc")
        mean = len(x) * _DEPTH
        cells = int(np.clip(np.sqrt(mean / 2), 16, 256))
        inside = x[:, 2] < _DEPTH * size
        counts, _, _ = np.histogram2d(x[inside, 0], x[inside, 1], cells, [[0, size], [0, size]])
        density = np.maximum(counts.T * cells**2 / mean, 0.1)
        image = axes.imshow(density, origin="lower", extent=(0, size, 0, size), norm=LogNorm(0.1, 100), cmap="inferno")
        axes.set(title=f"z = {row['redshift']:.3g}", xlabel="x [comoving Mpc]")
    figure.axes[0].set_ylabel("y [comoving Mpc]")
    figure.colorbar(image, ax=figure.axes, label="surface density / mean", shrink=0.8)
    figure.suptitle(f"{artifact.title}, slice of {_DEPTH * size:.3g} Mpc", fontsize=9)
    return figure
