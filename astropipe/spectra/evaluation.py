"""Predicted against true labels of simulated spectra: errors, coverage of intervals, agreement of the covariance."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.runtime.errors import InputError
from astropipe.spectra.flags import SpectrumFlag
from astropipe.spectra.labels import LABELS

SIMULATED = "simulated spectra"
# Of a normal distribution, the shares within one and 1.96 standard deviations.
COVERAGE_68, COVERAGE_95 = 0.6827, 0.95
_WITHIN_68, _WITHIN_95 = 1.0, 1.959964
# Rows without labels, or with labels that are not meant to be used.
_NOT_COMPARED = SpectrumFlag.FEW_PIXELS | SpectrumFlag.UNREADABLE

Measure = tuple[str, float, float, str, float, float, str]
"""Measure, value, its standard error, unit, expected value, its error, source of the expectation."""


def matched(truth: Table, found: Table) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return true labels, predicted ones and their standard errors, shape (n, 17) each.

    Raises
    ------
    InputError
        If the truth lacks labels, or the ids of the two differ.
    """
    missing = [label.name for label in LABELS if label.name not in truth.colnames]
    if missing:
        raise InputError(f"the spectra have no true {', '.join(missing)}: only simulated spectra can be evaluated")
    ids = (np.asarray(truth["id"]).astype(str), np.asarray(found["id"]).astype(str))
    if ids[0].shape != ids[1].shape or (ids[0] != ids[1]).any():
        raise InputError("the ids differ: the catalog was not made of these spectra, or of a part of them only")

    def columns(table: Table, suffix: str = "") -> NDArray[np.float64]:
        names = [f"{label.name}{suffix}" for label in LABELS]
        return np.stack([np.asarray(getattr(table[name], "value", table[name]), dtype=float) for name in names], axis=1)

    return columns(truth), columns(found), columns(found, "_err")


def quality(truth: Table, found: Table, snr_edges: Sequence[float]) -> list[Measure]:
    """Measure a catalog against the truth.

    Parameters
    ----------
    truth : Table
        Catalog of the ``spectra`` artifact.
    found : Table
        ``stellar-catalog`` of the same spectra.
    snr_edges : sequence of float
        Edges of the bins of S/N of the red arm.

    Returns
    -------
    list of tuple
        Rows of a ``metrics`` artifact, per label and bin: root mean square error, mean error, and coverage of the 68
        and
        95 per cent intervals, and the same for the radial velocity.
    """
    true, predicted, error = matched(truth, found)
    usable = (np.asarray(found["flags"]) & int(_NOT_COMPARED)) == 0
    usable &= np.isfinite(predicted).all(axis=1)
    snr = np.asarray(found["snr_red"], dtype=float)
    rv = [np.asarray(getattr(table["rv"], "value", table["rv"]), dtype=float) for table in (truth, found)]
    rv_err = np.asarray(getattr(found["rv_err"], "value", found["rv_err"]), dtype=float)
    rows: list[Measure] = []
    for low, high in itertools.pairwise(snr_edges):
        inside = usable & (snr >= low) & (snr < high)
        if not inside.any():
            continue
        where = f"S/N {low:g}-{high:g}"
        for i, label in enumerate(LABELS):
            rows += _measures(label.name, where, predicted[inside, i] - true[inside, i], error[inside, i], label.unit)
        rows += _measures("rv", where, (rv[1] - rv[0])[inside], rv_err[inside], "km/s")
    return rows


def _measures(name: str, where: str, error: NDArray[Any], sigma: NDArray[Any], unit: str) -> list[Measure]:
    known = np.isfinite(error) & np.isfinite(sigma)
    if not known.any():
        return []
    error, sigma = error[known], sigma[known]
    n = len(error)
    rms = float(np.sqrt(np.mean(error**2)))
    rows: list[Measure] = [
        (f"{name} rms, {where}", rms, rms / np.sqrt(2.0 * n), unit, np.nan, np.nan, SIMULATED),
        (f"{name} bias, {where}", float(error.mean()), rms / np.sqrt(n), unit, 0.0, np.nan, SIMULATED),
    ]
    for text, within, expected in (("68 %", _WITHIN_68, COVERAGE_68), ("95 %", _WITHIN_95, COVERAGE_95)):
        share = float(np.mean(np.abs(error) <= within * sigma))
        rows.append(
            (
                f"{name} coverage {text}, {where}",
                share,
                float(np.sqrt(expected * (1.0 - expected) / n)),
                "",
                expected,
                np.nan,
                SIMULATED,
            )
        )
    return rows
