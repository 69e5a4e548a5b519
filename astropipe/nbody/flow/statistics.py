"""All that is measured of the flow in one snapshot, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy import units
from astropy.table import QTable, vstack

from astropipe.config.flow import FlowConfig
from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.flow.background import Background
from astropipe.nbody.flow.density import delaunay_density
from astropipe.nbody.flow.distributions import Family, Fit, fit, logistic_log_density, x_log_density
from astropipe.nbody.flow.evolution import Snapshot
from astropipe.nbody.flow.groups import Groups, friends_of_friends
from astropipe.nbody.flow.velocities import PairStatistics, jackknife_error, pair_statistics, regions_of

VARIATES = ("difference", "sum", "velocity")
FAMILIES: tuple[Family, ...] = ("x", "logistic")
_SPEED = units.km / units.s
# Of each statistic that has a unit, the power of the speed in it.
_POWERS = {
    **{f"{name}{n}": n for name in ("du", "su", "u") for n in range(1, 7)},
    **dict.fromkeys(("correlation_total", "correlation_longitudinal", "correlation_transverse"), 2),
    "structure_transverse": 2,
}
# Edges of the histograms: velocities in standard deviations, and decimal logarithms of the density over its mean.
PDF_EDGES = np.linspace(-8.0, 8.0, 65)
DENSITY_EDGES = np.linspace(-2.0, 5.0, 36)


@dataclass(frozen=True)
class FlowStatistics:
    """Tables of one snapshot or several.

    Parameters
    ----------
    pairs : QTable
        One row for each snapshot and bin of separation: the catalog of a ``flow-statistics`` artifact.
    pdfs : dict
        Densities of velocities in standard deviations, [rows, values], by name of the variate, with ``-x`` or
        ``-logistic`` behind for the fitted ones.
    laws, fits, one_point, density : QTable
        Laws of small scales; fitted distributions; velocities in and out of haloes; mass and volume by density.
    """

    pairs: QTable
    pdfs: dict[str, FloatArray]
    laws: QTable
    fits: QTable
    one_point: QTable
    density: QTable

    @classmethod
    def joined(cls, parts: list[FlowStatistics]) -> FlowStatistics:
        """Return the statistics of several snapshots as one."""
        names = ("pairs", "laws", "fits", "one_point", "density")
        tables = {name: vstack([getattr(part, name) for part in parts]) for name in names}
        pdfs = {name: np.concatenate([part.pdfs[name] for part in parts]) for name in parts[0].pdfs}
        return cls(pdfs=pdfs, **tables)


def flow_statistics(
    number: int, snapshot: Snapshot, box_size: float, background: Background, config: FlowConfig, seed: int = 0
) -> FlowStatistics:
    """Measure the flow in a snapshot.

    Parameters
    ----------
    number : int
        Number of the snapshot, for the tables.
    snapshot : Snapshot
        The particles.
    box_size : float
        Comoving side of the box in Mpc.
    background : Background
        The universe.
    config : FlowConfig
        What is measured.
    seed : int
        Of the choice of pairs where there are too many.
    """
    separation = box_size / np.cbrt(len(snapshot.positions))
    edges = np.geomspace(
        config.r_min_mpc or 0.2 * separation, config.r_max_mpc or 0.5 * box_size, config.n_bins + 1
    )  # fmt: skip
    pairs = pair_statistics(
        snapshot.positions,
        snapshot.velocities,
        edges,
        box_size,
        max_pairs=config.max_pairs,
        regions_per_side=config.regions_per_side,
        seed=seed,
    )
    groups = friends_of_friends(snapshot.positions, box_size, config.linking_length * separation, config.min_members)
    expansion = background.hubble(snapshot.a) * snapshot.a
    law_range = (config.law_r_min_mpc or separation, config.law_r_max_mpc or 3.0 * separation)
    regions = regions_of(snapshot.positions, box_size, config.regions_per_side)
    fits = [
        {
            (variate, family): fit(sample[:, i], family, where)
            for i, variate in enumerate(VARIATES)
            for family in FAMILIES
        }
        for sample, where in zip(pairs.samples, pairs.sample_regions, strict=True)
    ]
    tables = (
        _pair_table(pairs, expansion),
        _law_table(pairs, expansion, *law_range),
        _fit_table(pairs, fits),
        _one_point_table(snapshot.velocities, groups, regions, config.regions_per_side**3),
        _density_table(snapshot.positions, box_size) if config.density else QTable(),
    )
    for table in tables:
        if table.colnames:
            table.add_column(np.full(len(table), number), 0, "snapshot")
            table.add_column(np.full(len(table), snapshot.a), 1, "scale_factor")
    return FlowStatistics(tables[0], _pdfs(pairs, fits), *tables[1:])


def _pair_table(pairs: PairStatistics, expansion: float) -> QTable:
    values, errors = pairs.values(), pairs.errors()
    table = QTable(
        {
            "r_low": pairs.edges[:-1] * units.Mpc,
            "r_high": pairs.edges[1:] * units.Mpc,
            "r": values["r"] * units.Mpc,
            "pairs": pairs.pairs.astype(np.int64),
            "share": pairs.shares,
            "hubble_flow": expansion * values["r"] * _SPEED,
        }
    )
    for name in values:
        if name != "r":
            unit = _SPEED ** _POWERS.get(name, 0)
            table[name], table[f"{name}_error"] = values[name] * unit, errors[name] * unit
    return table


def _pdfs(pairs: PairStatistics, fits: Sequence[Mapping[tuple[str, Family], Fit]]) -> dict[str, FloatArray]:
    """Return the densities of the kept pairs and of the fits, each [bins, values]; NaN where there are no pairs."""
    deviations = [np.std(sample, axis=0) if len(sample) else np.zeros(3) for sample in pairs.samples]
    pdfs = {}
    for i, variate in enumerate(VARIATES):
        pdfs[variate] = np.array([_pdf(sample[:, i]) for sample in pairs.samples])
        for family in FAMILIES:
            found = [one[variate, family] for one in fits]
            rows = [_fitted(one, deviation[i]) for one, deviation in zip(found, deviations, strict=True)]
            pdfs[f"{variate}-{family}"] = np.array(rows)
    return pdfs


def _pdf(values: FloatArray) -> FloatArray:
    deviation = float(np.std(values)) if values.size else 0.0
    if deviation == 0.0:
        return np.full(len(PDF_EDGES) - 1, np.nan)
    counts, _ = np.histogram(values / deviation, PDF_EDGES)
    return np.asarray(counts / values.size / np.diff(PDF_EDGES))


def _fitted(found: Fit, deviation: float) -> FloatArray:
    values = 0.5 * (PDF_EDGES[1:] + PDF_EDGES[:-1]) * deviation
    if np.isnan(found.scale):
        return np.full(values.shape, np.nan)
    if np.isnan(found.alpha):
        return deviation * np.exp(logistic_log_density(values, found.location, found.scale))
    return deviation * np.exp(x_log_density(values, found.location, found.scale, found.alpha))


def _laws(values: dict[str, FloatArray], expansion: float, inside: np.ndarray) -> dict[str, FloatArray]:
    """Return what is said of small scales, from statistics [..., bins], over the bins chosen."""
    chosen = {name: array[..., inside] for name, array in values.items()}
    ln_r = np.log(chosen["r"])
    centred = ln_r - ln_r.mean(axis=-1, keepdims=True)

    def slope(moment: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.sum(centred * np.log(moment), axis=-1) / np.sum(centred**2, axis=-1))

    return {
        "stable clustering": np.mean(chosen["du1"] / (expansion * chosen["r"]), axis=-1),
        **{f"slope of du{n}": slope(chosen[f"du{n}"]) for n in (2, 4, 6)},
        **{f"slope of -du{n}": slope(-chosen[f"du{n}"]) for n in (1, 3, 5)},
        "third relation": np.mean(chosen["third_relation"], axis=-1),
        "fifth relation": np.mean(chosen["fifth_relation"], axis=-1),
        "longitudinal correlation": np.mean(chosen["rho_longitudinal"], axis=-1),
        "skewness": np.mean(chosen["du_skewness"], axis=-1),
    }


_EXPECTED = {
    "stable clustering": -1.0,
    "slope of du2": 2 / 3,
    "slope of du4": 2 / 3,
    "slope of du6": 2 / 3,
    "slope of -du1": 1.0,
    "slope of -du3": 1.0,
    "slope of -du5": 1.0,
    "third relation": 1.0,
    "fifth relation": 1.0,
    "longitudinal correlation": 0.5,
    "skewness": 0.0,
}


def _law_table(pairs: PairStatistics, expansion: float, low: float, high: float) -> QTable:
    middles = np.sqrt(pairs.edges[1:] * np.maximum(pairs.edges[:-1], 1e-300))
    inside = (middles >= low) & (middles <= high)
    if inside.any():
        values = _laws(pairs.values(), expansion, inside)
        errors = {name: jackknife_error(left) for name, left in _laws(pairs.left_out(), expansion, inside).items()}
    else:
        values = errors = dict.fromkeys(_EXPECTED, np.array(np.nan))
    return QTable(
        {
            "law": list(_EXPECTED),
            "value": [float(values[name]) for name in _EXPECTED],
            "error": [float(errors[name]) for name in _EXPECTED],
            "expected": list(_EXPECTED.values()),
            "r_low": np.full(len(_EXPECTED), low) * units.Mpc,
            "r_high": np.full(len(_EXPECTED), high) * units.Mpc,
        }
    )


def _fit_table(pairs: PairStatistics, fits: Sequence[Mapping[tuple[str, Family], Fit]]) -> QTable:
    rows = [
        (r, *key, len(sample), found)
        for r, sample, bin_fits in zip(pairs.values()["r"], pairs.samples, fits, strict=True)
        for key, found in bin_fits.items()
    ]
    table = QTable(
        {
            "r": [row[0] for row in rows] * units.Mpc,
            "variate": [row[1] for row in rows],
            "family": [row[2] for row in rows],
            "sample": [row[3] for row in rows],
        }
    )
    for name in ("location", "scale"):
        table[name] = [getattr(row[4], name) for row in rows] * _SPEED
        table[f"{name}_error"] = [getattr(row[4], f"{name}_error") for row in rows] * _SPEED
    for name in ("alpha", "alpha_error", "log_likelihood", "distance"):
        table[name] = [getattr(row[4], name) for row in rows]
    return table


def _one_point_table(velocities: FloatArray, groups: Groups, regions: IntArray, n_regions: int) -> QTable:
    """Return velocity dispersion and kurtosis, generalised to the sixth power, of classes of particles."""
    inside = groups.inside
    halo = groups.mean_velocities(velocities)[groups.labels[inside]]
    classes = {
        "all": (velocities, regions),
        "halo": (velocities[inside], regions[inside]),
        "out of halo": (velocities[~inside], regions[~inside]),
        "of haloes": (halo, regions[inside]),
        "within haloes": (velocities[inside] - halo, regions[inside]),
    }
    rows = []
    for name, (u, where) in classes.items():
        sums = np.stack([np.bincount(where, np.sum(u**n, axis=1), n_regions) for n in (0, 2, 4, 6)])
        total = sums.sum(axis=1, keepdims=True)
        value, left = _dispersion(total), _dispersion(total - sums)
        found = fit(u.ravel()[:: max(1, u.size // 60_000)], "x") if name != "of haloes" else None
        rows.append(
            (
                name,
                len(u),
                len(u) / len(velocities),
                *(x for i in range(3) for x in (value[i, 0], jackknife_error(left[i]))),
                np.nan if found is None else found.alpha,
            )
        )
    names = ("class", "particles", "fraction", "dispersion", "dispersion_error", "kurtosis", "kurtosis_error")
    table = QTable(rows=rows, names=(*names, "kurtosis6", "kurtosis6_error", "alpha"))
    for name in ("dispersion", "dispersion_error"):
        table[name] = table[name] * _SPEED
    return table


def _dispersion(sums: FloatArray) -> FloatArray:
    """Return dispersion, kurtosis and its like of the sixth power (15 for a Gaussian), from sums of powers."""
    with np.errstate(invalid="ignore", divide="ignore"):
        second, fourth, sixth = sums[1:] / sums[0]
        return np.stack([np.sqrt(second), fourth / second**2, sixth / second**3])


def _density_table(positions: FloatArray, box_size: float) -> QTable:
    """Return the shares of mass and volume by density over its mean."""
    contrast = delaunay_density(positions, box_size) * box_size**3 / len(positions)
    logs = np.clip(np.log10(contrast), DENSITY_EDGES[0], DENSITY_EDGES[-1])
    mass, _ = np.histogram(logs, DENSITY_EDGES)
    volume, _ = np.histogram(logs, DENSITY_EDGES, weights=1.0 / contrast)
    return QTable(
        {
            "log10_density_low": DENSITY_EDGES[:-1],
            "log10_density_high": DENSITY_EDGES[1:],
            "mass_fraction": mass / len(positions),
            "volume_fraction": volume / len(positions),
        }
    )
