"""The published networks beside our fit: the same stars and noise, errors and likelihood of the truth.

Each contestant has its rows in ``spectra-networks.csv``, with a digest of the survey they were measured on: networks
that took hours to train keep theirs while the fit goes on, but only as long as the survey is the same to the bit.
"""

from __future__ import annotations

import argparse
import csv
import hashlib

import numpy as np
from numpy.typing import NDArray
from spectra_sets import RESULTS, SNR, Case, simulated_case, write_table

from astropipe.spectra.fitting import Fitter
from astropipe.spectra.instrument import Damage
from astropipe.spectra.labels import LABELS
from astropipe.spectra.paper.ensemble import read_networks
from astropipe.spectra.paper.samples import network_inputs

# As in the survey on which they were trained: networks take no missing arms and no gaps, and know no atmosphere.
WHOLE = Damage(gap_rate=0.0, missing_arm_rate=0.0, air_mass=(0.0, 0.0))
ROWS = RESULTS / "spectra-networks.csv"
COLUMNS = ("contestant", "survey", "parameters_1e6", "snr", "label", "rms", "nll")
Row = dict[str, str]


def surprise(error: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean negative logarithm of the Gaussian likelihood of the truth per label, shape (17,)."""
    return np.asarray(np.mean(0.5 * np.log(2.0 * np.pi * sigma**2) + 0.5 * (error / sigma) ** 2, axis=0))


def networks(fitter: Fitter, options: argparse.Namespace) -> None:
    """Compare with networks, which are told the true radial velocity."""
    ensembles = {path.stem: read_networks(path) for path in options.networks}
    cases = {snr: simulated_case(fitter, snr, options.n, WHOLE, model_error=False) for snr in SNR}
    digest = _digest(cases)
    rows: list[Row] = []

    def add(name: str, size: float, snr: float, error: NDArray[np.float64], sigma: NDArray[np.float64]) -> None:
        scores = zip(LABELS, np.sqrt(np.mean(error**2, axis=0)), surprise(error, sigma), strict=True)
        for label, rms, nll in scores:
            values = (name, digest, f"{size:.1f}", f"{snr:.0f}", label.symbol, _number(rms, label.symbol), f"{nll:.2f}")
            rows.append(dict(zip(COLUMNS, values, strict=True)))

    for snr, case in cases.items():
        inputs, usable = network_inputs(case.recorded.flux, case.recorded.ivar, case.stars.rv_km_s)
        add("fit", fitter.emulator.n_parameters / 1e6, snr, case.error[usable], case.rows.errors[usable])
        for name, ensemble in ensembles.items():
            labels, errors = ensemble.predict(inputs[usable])
            truth = case.stars.labels[usable, : len(LABELS)]
            add(name, ensemble.n_parameters / 1e6, snr, labels - truth, errors)
    measured = {row["contestant"] for row in rows}
    rows += [row for row in _earlier() if row["contestant"] not in measured and row["survey"] == digest]
    with ROWS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    _write(rows, options.n)


def _digest(cases: dict[float, Case]) -> str:
    """Return a digest of all that a contestant sees or is to find."""
    digest = hashlib.sha256()
    for case in cases.values():
        for values in (case.stars.labels, case.stars.rv_km_s, case.recorded.flux, case.recorded.ivar):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _number(rms: float, symbol: str) -> str:
    return f"{rms:.0f}" if symbol == "Teff" else f"{rms:.3f}"


def _earlier() -> list[Row]:
    """Return the rows of earlier runs."""
    if not ROWS.exists():
        return []
    with ROWS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(rows: list[Row], n: int) -> None:
    """Write the table of all contestants."""
    names = list(dict.fromkeys(row["contestant"] for row in rows))
    found = {(row["contestant"], row["snr"], row["label"]): row for row in rows}
    cells = [(f"{snr:.0f}", label.symbol) for snr in SNR for label in LABELS]
    head = ["label"]
    for snr in SNR:
        head += [f"S/N {snr:.0f}: rms {names[0]}", *names[1:], f"NLL {names[0]}", *names[1:]]
    lines = [
        [symbol, *(found[name, f"{snr:.0f}", symbol][key] for snr in SNR for key in ("rms", "nll") for name in names)]
        for symbol in (label.symbol for label in LABELS)
    ]

    def share(name: str, key: str) -> float:
        return float(np.mean([float(found["fit", *cell][key]) < float(found[name, *cell][key]) for cell in cells]))

    note = " ".join(
        f"Against {name} ({found[name, *cells[0]]['parameters_1e6']} million parameters): lower rms in "
        f"{share(name, 'rms'):.0%} of the cells, lower NLL in {share(name, 'nll'):.0%}."
        for name in names[1:]
    )
    write_table("networks", f"Fit and published networks, {n} spectra for each S/N", head, lines, note)
