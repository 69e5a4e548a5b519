"""Figures of the spectra stage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from astropipe.artifacts import Artifact
from astropipe.plots.style import COLOURS
from astropipe.runtime.errors import InputError

Array = NDArray[np.float64]

_ELEMENTS = ("Fe", "C", "N", "O", "Mg", "Al", "Si", "S", "K", "Ca", "Ti", "Cr", "Mn", "Ni", "Cu")
_LABELS = {
    "t_eff": r"$T_\mathrm{eff}$ [K]",
    "log_g": r"$\log g$ [dex]",
    **{f"{element.lower()}_h": f"[{element}/H] [dex]" for element in _ELEMENTS},
}
_N_COLUMNS = 6
# Signal-to-noise ratios of the red arm between which errors are shown apart.
_SNR_EDGES = (5.0, 15.0, 35.0, 75.0, 150.0, 400.0)
_FEWEST = 10
# Stars of a point of the figure of precision, about, and most points of a label.
_STARS_PER_BIN, _MOST_BINS = 30, 8
# A star for whose figures no label is compared: too few pixels, or not read at all (bits of the column flags).
_NO_LABELS = (1 << 6) | (1 << 7)


def kiel(artifacts: Sequence[Artifact]) -> Figure:
    """Draw gravity over effective temperature, coloured by iron, of the stars of a catalog; flagged ones in grey."""
    (artifact,) = artifacts
    table = artifact.table()
    t_eff, log_g, fe_h = (_values(table, name) for name in ("t_eff", "log_g", "fe_h"))
    known = np.isfinite(t_eff)
    clean = known & (np.asarray(table["flags"]) == 0)
    figure = Figure(figsize=(6.5, 5))
    axes = figure.subplots()
    flagged = known & ~clean
    axes.scatter(t_eff[flagged], log_g[flagged], s=6, color="0.75", linewidths=0, label=f"flagged ({flagged.sum()})")
    points = axes.scatter(
        t_eff[clean], log_g[clean], c=fe_h[clean], s=6, linewidths=0, cmap="viridis", label=f"clean ({clean.sum()})"
    )
    if clean.any():
        axes.errorbar(
            0.08,
            0.92,
            xerr=0.5 * _share(axes, np.median(_values(table, "t_eff_err")[clean]), t_eff[known]),
            yerr=0.5 * _share(axes, np.median(_values(table, "log_g_err")[clean]), log_g[known]),
            transform=axes.transAxes,
            color="black",
            capsize=2,
        )
        axes.text(0.12, 0.92, "median error", transform=axes.transAxes, va="center", fontsize=8)
        figure.colorbar(points, ax=axes, label="[Fe/H] [dex]")
    axes.set(xlabel=_LABELS["t_eff"], ylabel=_LABELS["log_g"])
    axes.invert_xaxis()
    axes.invert_yaxis()
    axes.legend(loc="lower right", fontsize=8)
    return figure


def _share(axes: Axes, error: float, values: Array) -> float:
    """Return the length of an error bar, both sides, as a share of the axis over these values."""
    low, high = axes.margins() or (0.05, 0.05)
    span = float(np.ptp(values)) * (1.0 + low + high)
    return 2.0 * error / span if span > 0.0 else 0.0


def examples(artifacts: Sequence[Artifact]) -> Figure:
    """Draw spectra with their models and masks.

    Raises
    ------
    InputError
        If the catalog holds no models, or is of other spectra.
    """
    spectra, catalog = artifacts
    if "model" not in catalog.file:
        raise InputError(f"{catalog.path}: holds no models; predict with --set spectra.predict.models=true")
    table = catalog.table()
    ids = {str(name): row for row, name in enumerate(spectra.table()["id"])}
    wavelength = np.asarray(spectra.file["wavelength"])
    gap = int(np.argmax(np.diff(wavelength))) + 1
    n = min(4, len(table))
    figure = Figure(figsize=(13, 2.4 * n))
    grid = figure.subplots(n, 2, squeeze=False, sharey="row")
    for row in range(n):
        name = str(table["id"][row])
        if name not in ids:
            raise InputError(f"{catalog.path}: has {name}, which is not among the spectra of {spectra.path}")
        flux = np.asarray(spectra.file["flux"][ids[name]], dtype=float)
        mask = np.asarray(spectra.file["mask"][ids[name]])
        model = np.asarray(catalog.file["model"][row], dtype=float)
        for axes, part in zip(grid[row], (slice(0, gap), slice(gap, None)), strict=True):
            _example(axes, wavelength[part], flux[part], mask[part], model[part])
        level = np.nanmedian(model)
        grid[row, 0].set(ylabel="flux", ylim=(0.0, 1.45 * level) if np.isfinite(level) else (0.0, 1.5))
        grid[row, 0].set_title(_caption(table, row), fontsize=9, loc="left")
    for axes in grid[-1]:
        axes.set(xlabel="vacuum wavelength [Å]")
    grid[0, 1].legend(loc="upper right", fontsize=8, ncols=3)
    return figure


def _example(axes: Axes, wavelength: Array, flux: Array, mask: NDArray[np.bool_], model: Array) -> None:
    shown = np.where(mask, np.nan, flux)
    axes.plot(wavelength, shown, color="0.45", lw=0.5, label="spectrum")
    axes.plot(wavelength, model, color=COLOURS[1], lw=0.7, label="model")
    axes.fill_between(
        wavelength, 0, 1, where=mask, color=COLOURS[0], alpha=0.25, transform=axes.get_xaxis_transform(), lw=0,
        label="masked",
    )  # fmt: skip
    axes.margins(x=0.0)


def _caption(table: Any, row: int) -> str:
    def value(name: str) -> float:
        return float(getattr(table[name][row], "value", table[name][row]))

    return (
        f"{table['id'][row]}: {value('t_eff'):.0f} ± {value('t_eff_err'):.0f} K, log g {value('log_g'):.2f} ± "
        f"{value('log_g_err'):.2f}, [Fe/H] {value('fe_h'):.2f} ± {value('fe_h_err'):.2f}, "
        f"S/N {value('snr_blue'):.0f} and {value('snr_red'):.0f}"
    )


def label_errors(artifacts: Sequence[Artifact]) -> Figure:
    """Draw predicted less true labels of simulated spectra over the truth, by signal-to-noise ratio."""
    true, predicted, _, snr = _compared(artifacts)
    figure, grid = _panels()
    for axes, (name, text) in zip(grid, _LABELS.items(), strict=False):
        for i, (low, high) in enumerate(pairwise(_SNR_EDGES)):
            inside = (snr >= low) & (snr < high)
            error = predicted[name][inside] - true[name][inside]
            axes.scatter(
                true[name][inside], error, s=2, alpha=0.4, linewidths=0, color=COLOURS[i], label=f"S/N {low:g}-{high:g}"
            )
        axes.axhline(0.0, color="black", lw=0.6)
        limit = np.quantile(np.abs(predicted[name] - true[name]), 0.99)
        axes.set(title=text, ylim=(-limit, limit))
    figure.supxlabel("true label")
    figure.supylabel("predicted - true")
    _legend(figure, grid)
    return figure


def label_pulls(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the distribution of (predicted - true) / error with the unit Gaussian, and the coverage of the intervals."""
    true, predicted, error, snr = _compared(artifacts)
    figure, grid = _panels()
    edges = np.linspace(-4.0, 4.0, 33)
    middle = 0.5 * (edges[1:] + edges[:-1])
    for axes, (name, text) in zip(grid, _LABELS.items(), strict=False):
        pull = (predicted[name] - true[name]) / error[name]
        for i, (low, high) in enumerate(pairwise(_SNR_EDGES)):
            inside = (snr >= low) & (snr < high)
            if inside.sum() >= _FEWEST:
                axes.hist(
                    pull[inside],
                    edges.tolist(),
                    density=True,
                    histtype="step",
                    color=COLOURS[i],
                    label=f"S/N {low:g}-{high:g}",
                )
        axes.plot(middle, np.exp(-0.5 * middle**2) / np.sqrt(2.0 * np.pi), color="black", lw=0.8, label="unit Gaussian")
        within = [100.0 * np.mean(np.abs(pull) < limit) for limit in (1.0, 1.96)]
        axes.set_title(f"{text.split(' [')[0]}: {within[0]:.0f} %, {within[1]:.0f} %", fontsize=9)
        axes.set(yticks=[])
    figure.supxlabel("(predicted - true) / error; above: share within 1 and 1.96 errors (68 %, 95 %)")
    _legend(figure, grid)
    return figure


def label_precision(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the root mean square error of labels over S/N, with the bound by the Fisher matrix and the prior."""
    true, predicted, error, snr = _compared(artifacts)
    bounds = _bounds(artifacts[1])
    figure, grid = _panels()
    for axes, (name, text) in zip(grid, _LABELS.items(), strict=False):
        centre, rms, spread, bound, told = [], [], [], [], []
        for inside in np.array_split(np.argsort(snr), int(np.clip(len(snr) // _STARS_PER_BIN, 1, _MOST_BINS))):
            missed = predicted[name][inside] - true[name][inside]
            centre.append(np.median(snr[inside]))
            rms.append(np.sqrt(np.mean(missed**2)))
            spread.append(rms[-1] / np.sqrt(2.0 * len(inside)))
            told.append(np.sqrt(np.mean(error[name][inside] ** 2)))
            bound.append(np.sqrt(np.mean(bounds[name][inside] ** 2)))
        axes.errorbar(centre, rms, yerr=spread, fmt="o", ms=3, color=COLOURS[0], label="rms of predicted - true")
        axes.plot(centre, told, color=COLOURS[2], label="standard error of the catalog")
        axes.plot(centre, bound, color=COLOURS[1], ls="--", label="Fisher matrix and prior")
        axes.set(xscale="log", yscale="log", title=text)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    figure.supxlabel("S/N per pixel of the red arm")
    figure.supylabel("error of the label")
    _legend(figure, grid)
    return figure


def _bounds(catalog: Artifact) -> dict[str, Array]:
    """Return the bound of each label of spectra that have labels.

    Raises
    ------
    InputError
        If the catalog holds none.
    """
    if "bound" not in catalog.file:
        raise InputError(f"{catalog.path}: holds no bounds; it is of an earlier version: predict again")
    table = catalog.table()
    used = _with_labels(table)
    return {name: np.asarray(catalog.file["bound"][:, i], dtype=float)[used] for i, name in enumerate(_LABELS)}


def _with_labels(found: Any) -> NDArray[np.bool_]:
    return np.asarray(((np.asarray(found["flags"]) & _NO_LABELS) == 0) & np.isfinite(_values(found, "t_eff")))


def _panels() -> tuple[Figure, list[Axes]]:
    rows = -(-(len(_LABELS) + 1) // _N_COLUMNS)
    figure = Figure(figsize=(2.4 * _N_COLUMNS, 2.2 * rows))
    grid = list(figure.subplots(rows, _N_COLUMNS).flat)
    for axes in grid:
        axes.tick_params(which="both", labelsize=7)
        axes.title.set_fontsize(9)
    for axes in grid[len(_LABELS) :]:
        axes.set_axis_off()
    return figure, grid


def _legend(figure: Figure, grid: list[Axes]) -> None:
    handles, texts = grid[0].get_legend_handles_labels()
    grid[-1].legend(handles, texts, loc="center", fontsize=8, markerscale=3, frameon=False)


def _compared(artifacts: Sequence[Artifact]) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array], Array]:
    """Return true labels, predicted ones, their errors, and S/N of the red arm, of spectra that have labels."""
    spectra, catalog = artifacts
    truth, found = spectra.table(), catalog.table()
    missing = [name for name in _LABELS if name not in truth.colnames]
    if missing:
        raise InputError(f"{spectra.path}: has no true {', '.join(missing)}; only simulated spectra do")
    if len(truth) != len(found) or (np.asarray(truth["id"]) != np.asarray(found["id"])).any():
        raise InputError(f"{catalog.path}: its ids are not those of {spectra.path}; was it made of these spectra?")
    used = _with_labels(found)
    if not used.any():
        raise InputError(f"{catalog.path}: no spectrum has labels; there is nothing to draw")
    return (
        {name: _values(truth, name)[used] for name in _LABELS},
        {name: _values(found, name)[used] for name in _LABELS},
        {name: _values(found, f"{name}_err")[used] for name in _LABELS},
        np.asarray(found["snr_red"], dtype=float)[used],
    )


def _values(table: Any, name: str) -> Array:
    return np.asarray(getattr(table[name], "value", table[name]), dtype=float)
