"""Figures of galaxies as chronometers: what impure selections do to H0, and the expansion rate from ages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from astropipe.artifacts import Artifact
from astropipe.plots.style import COLOURS
from astropipe.runtime.errors import InputError

Array = NDArray[np.float64]

_MARKERS = "os^DvP"
_GAUSSIAN = re.compile(r"omega_m normal\((\S+), (\S+)\)")
_SHOWN = 300


@dataclass(frozen=True)
class _Selection:
    """The posteriors of one selection over several surveys: purities, and H0 beside the truth, shape [n] each."""

    analysis: str
    how: str
    purity: Array
    pull: Array
    offset: Array
    expected: Array


def impurity(artifacts: Sequence[Artifact]) -> Figure:
    """Draw the bias of H0 against the purity of the galaxies taken as early types, in standard deviations and per cent.

    Raises
    ------
    InputError
        If the metrics hold no posterior of simulated galaxies with a known purity.
    """
    selections = _selections(artifacts[0].table())
    if not selections:
        raise InputError(
            f"{artifacts[0].path} has no posterior of simulated galaxies; evaluate posteriors of chronometers-catalog "
            "with the option truth"
        )
    analyses = list(dict.fromkeys(one.analysis for one in selections))
    figure = Figure(figsize=(2.0 + 2.8 * len(analyses), 6.0))
    panels = figure.subplots(2, len(analyses), sharex=True, sharey="row", squeeze=False)
    for column, analysis in enumerate(analyses):
        own = [one for one in selections if one.analysis == analysis]
        above, below = panels[:, column]
        above.axhspan(-1.0, 1.0, color="0.92", linewidth=0, label="± 1 standard deviation")
        above.set_title(_titled(analysis), fontsize=10)
        _draw(above, own, "pull")
        _draw(below, own, "offset")
        _draw_theory(below, own)
        below.set_xlabel("purity")
    panels[0, 0].set_ylabel("bias of H0\n[posterior standard deviations]")
    panels[1, 0].set_ylabel("bias of H0 [per cent]")
    panels[0, 0].invert_xaxis()
    drawn = [axes.get_legend_handles_labels() for axes in panels[:, 0]]
    named = {name: handle for handles, names in drawn for handle, name in zip(handles, names, strict=True)}
    figure.legend([*named.values()], [*named], loc="outside lower center", ncols=3, fontsize=8)
    figure.suptitle(f"simulated surveys: {max(len(one.pull) for one in selections)}", fontsize=10)
    return figure


def _titled(analysis: str) -> str:
    """Write ``mean, omega_m normal(0.3, 0.01)`` as a title: which ages are taken, and what is known of Ω_m."""
    statistic, _, priors = analysis.partition(", ")
    if not priors:
        return f"{statistic} ages,\n" + r"$\Omega_\mathrm{m}$ free"
    return f"{statistic} ages,\n" + _GAUSSIAN.sub(r"$\\Omega_\\mathrm{m}$ known: \1 ± \2", priors)


def _selections(table: Table) -> list[_Selection]:
    subject, measure = (np.asarray(table[name]).astype(str) for name in ("subject", "measure"))
    found = []
    for name in dict.fromkeys(subject[measure == "purity"]):
        rows = {one: table[(subject == name) & (measure == one)] for one in ("purity", "h0", "h0_expected")}
        truth = np.asarray(rows["h0"]["expected"])
        analysis, _, how = str(rows["purity"]["source"][0]).rpartition(", ")
        found.append(
            _Selection(
                analysis=analysis,
                how=how,
                purity=np.asarray(rows["purity"]["value"]),
                pull=np.asarray(rows["h0"]["deviation"]),
                offset=100.0 * (np.asarray(rows["h0"]["value"]) / truth - 1.0),
                expected=100.0 * (np.asarray(rows["h0_expected"]["value"]) / truth[: len(rows["h0_expected"])] - 1.0),
            )
        )
    return found


def _draw(axes: Axes, selections: Sequence[_Selection], what: str) -> None:
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    for number, how in enumerate(dict.fromkeys(one.how for one in selections)):
        own = sorted((one for one in selections if one.how == how), key=lambda one: float(one.purity.mean()))
        values = [getattr(one, what) for one in own]
        # A single survey tells no scatter.
        error = [float(np.std(each, ddof=1)) / np.sqrt(len(each)) if len(each) > 1 else np.nan for each in values]
        axes.errorbar(
            [float(one.purity.mean()) for one in own],
            [float(each.mean()) for each in values],
            yerr=error,
            fmt=f"{_MARKERS[number % len(_MARKERS)]}-",
            color=COLOURS[number % len(COLOURS)],
            markersize=5,
            linewidth=0.9,
            capsize=2,
            label=how,
        )


def _draw_theory(axes: Axes, selections: Sequence[_Selection]) -> None:
    known = [one for one in selections if len(one.expected)]
    if known:
        purity, expected = (np.concatenate([getattr(one, name) for one in known]) for name in ("purity", "expected"))
        order = np.argsort(purity)
        axes.plot(purity[order], expected[order], color="0.3", linestyle="--", linewidth=1, label="theory, mean ages")


def expansion(artifacts: Sequence[Artifact]) -> Figure:
    """Draw expansion rates from the differences of ages with their errors, the posterior, and the truth if it is known.

    Raises
    ------
    InputError
        If the posterior is not of ages of galaxies in flat ΛCDM.
    """
    artifact = artifacts[0]
    if "chronometers" not in artifact.file or "posterior/h0" not in artifact.file:
        raise InputError(f"{artifact.path} is no posterior of ages of galaxies; sample chronometers-catalog")
    figure = Figure(figsize=(7.0, 4.5))
    axes = figure.subplots()
    ages = _values(artifact, "chronometers/redshift")
    redshift = np.linspace(ages.min(), ages.max(), 60)
    draws = (np.ravel(_values(artifact, f"posterior/{name}"))[:_SHOWN] for name in ("h0", "omega_m"))
    rates = np.array([_rate(redshift, float(h0), float(omega_m)) for h0, omega_m in zip(*draws, strict=True)])
    for level, shade in ((0.95, 0.2), (0.68, 0.35)):
        low, high = np.quantile(rates, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        label = f"posterior, {level:.0%}"
        axes.fill_between(redshift, low, high, color=COLOURS[0], alpha=shade, linewidth=0, label=label)
    if "truth" in artifact.file:
        truth = {str(row["parameter"]): float(row["value"]) for row in artifact.table("truth")}
        curve = _rate(redshift, truth["h0"], truth["omega_m"])
        axes.plot(redshift, curve, color="black", linestyle="--", linewidth=1, label="truth")
    middle, hubble = (_values(artifact, f"chronometers/{name}") for name in ("interval_redshift", "hubble"))
    errors = np.sqrt(np.diag(_values(artifact, "chronometers/hubble_covariance")))
    label = "differences of ages"
    axes.errorbar(middle, hubble, errors, fmt="o", color=COLOURS[3], markersize=4, capsize=2, label=label)
    axes.set(xlabel="redshift", ylabel="H(z) [km/s/Mpc]", ylim=(0.0, 2.0 * float(rates.max())))
    axes.set_title(artifact.title, fontsize=9)
    axes.legend(fontsize=8, loc="upper left")
    return figure


def _values(artifact: Artifact, path: str) -> Array:
    values = artifact.array(path)
    return np.asarray(getattr(values, "value", values))


def _rate(redshift: Array, h0: float, omega_m: float) -> Array:
    return np.asarray(FlatLambdaCDM(H0=h0, Om0=omega_m).H(redshift).value)
