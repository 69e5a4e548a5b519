"""The published networks beside our fit: the same stars and noise, errors and likelihood of the truth."""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from spectra_sets import SNR, simulated_case, write_table

from astropipe.spectra.fitting import Fitter
from astropipe.spectra.instrument import Damage
from astropipe.spectra.labels import LABELS
from astropipe.spectra.paper.ensemble import read_networks
from astropipe.spectra.paper.samples import network_inputs

# As in the survey on which they were trained: networks take no missing arms and no gaps, and know no atmosphere.
WHOLE = Damage(gap_rate=0.0, missing_arm_rate=0.0, air_mass=(0.0, 0.0))


def surprise(error: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean negative logarithm of the Gaussian likelihood of the truth per label, shape (17,)."""
    return np.asarray(np.mean(0.5 * np.log(2.0 * np.pi * sigma**2) + 0.5 * (error / sigma) ** 2, axis=0))


def networks(fitter: Fitter, options: argparse.Namespace) -> None:
    """Compare with networks, which are told the true radial velocity."""
    ensembles = {path.stem: read_networks(path) for path in options.networks}
    better: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in ensembles}
    sharper: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in ensembles}
    head = ["label"]
    rows_of = [[label.symbol] for label in LABELS]
    for snr in SNR:
        case = simulated_case(fitter, snr, options.n, WHOLE, model_error=False)
        inputs, usable = network_inputs(case.recorded.flux, case.recorded.ivar, case.stars.rv_km_s)
        truth = case.stars.labels[usable, : len(LABELS)]
        ours = case.error[usable]
        rms = {"fit": np.sqrt(np.mean(ours**2, axis=0))}
        nll = {"fit": surprise(ours, case.rows.errors[usable])}
        for name, ensemble in ensembles.items():
            labels, errors = ensemble.predict(inputs[usable])
            rms[name] = np.sqrt(np.mean((labels - truth) ** 2, axis=0))
            nll[name] = surprise(labels - truth, errors)
            better[name].append(rms["fit"] < rms[name])
            sharper[name].append(nll["fit"] < nll[name])
        head += [f"S/N {snr:.0f}: rms fit", *ensembles, "NLL fit", *ensembles]
        for i, row in enumerate(rows_of):
            row += [f"{values[i]:.0f}" if i == 0 else f"{values[i]:.3f}" for values in rms.values()]
            row += [f"{values[i]:.2f}" for values in nll.values()]
    note = " ".join(
        f"Against {name} ({ensembles[name].n_parameters / 1e6:.1f} million parameters): lower rms in "
        f"{np.mean(better[name]):.0%} of the cells, lower NLL in {np.mean(sharper[name]):.0%}."
        for name in ensembles
    )
    write_table("networks", f"Fit and published networks, {options.n} spectra for each S/N", head, rows_of, note)
