"""The emulator as an artifact: trained on a grid, measured on spectra that it has not seen, written with its card."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.config.spectra import TrainConfig
from astropipe.runtime.errors import InputError
from astropipe.runtime.run import Run
from astropipe.spectra.emulator import INPUT_NAMES, RESOLUTION, REST, TIO_T_EFF_K, Emulator
from astropipe.spectra.emulator_training import TrainingSettings, fit_teacher, teach, to_rest_pixels, with_errors

# Regions of labels in which the error is told apart: name, from and to in t_eff, from and to in log_g.
REGIONS = (
    ("giants below 4500 K", 0.0, TIO_T_EFF_K, -1.0, 3.5),
    ("dwarfs below 4500 K", 0.0, TIO_T_EFF_K, 3.5, 6.0),
    ("giants 4500-5500 K", TIO_T_EFF_K, 5_500.0, -1.0, 3.5),
    ("dwarfs 4500-5500 K", TIO_T_EFF_K, 5_500.0, 3.5, 6.0),
    ("above 5500 K", 5_500.0, 1e5, -1.0, 6.0),
)
_LEAST_SPECTRA = 200


def train_emulator(grid: Path, output: Path, config: TrainConfig, run: Run, citations: Sequence[str]) -> str:
    """Train the emulator on a ``synthetic-grid`` and write it; see `stage.train`.

    Raises
    ------
    InputError
        If the grid has too few spectra.
    """
    began = time.perf_counter()
    with open_artifact(grid, "synthetic-grid") as artifact:
        grid_sha256 = artifact.content_sha256
        table = artifact.table()
        labels = np.stack([np.asarray(table[name], dtype=np.float64) for name in INPUT_NAMES], axis=1)
        held_out = np.asarray(table["held_out"], dtype=bool)
        good = np.asarray(table["status"]) == "ok"
        spectra = np.concatenate(
            [
                to_rest_pixels(
                    np.asarray(artifact.file[f"wavelength_{arm.name}"], dtype=np.float64),
                    np.asarray(artifact.file[f"flux_{arm.name}"], dtype=np.float64),
                    arm,
                )
                for arm in REST
            ],
            axis=1,
        )
    known = good & ~held_out
    if known.sum() < _LEAST_SPECTRA:
        raise InputError(f"{grid}: {known.sum()} spectra to learn from; at least {_LEAST_SPECTRA} are needed")
    settings = TrainingSettings(
        n_components=config.n_components,
        n_subset=config.n_subset,
        iterations=config.iterations,
        n_stars=config.n_stars,
        epochs=config.epochs,
    )
    with run.progress("Gaussian processes", 1, "of the steps") as reporter:
        teacher = fit_teacher(
            labels[known],
            spectra[known],
            settings,
            seed=run.seed,
            report=lambda done, all_: reporter.update(done / all_),
        )
    with run.progress("network", config.epochs, "epochs") as reporter:
        emulator = teach(teacher, labels[known], settings, seed=run.seed, report=lambda done, _: reporter.update(done))
    emulator = with_errors(emulator, teacher, labels[known], seed=run.seed)
    # As it will be read again: in half precision.
    emulator = Emulator.of_arrays(emulator.arrays())
    new = good & held_out
    scores = [("parameters", float(emulator.n_parameters), ""), ("training spectra", float(known.sum()), "")]
    scores += emulator_scores(emulator, labels[new], spectra[new])
    # The grid is too large to go with the emulator, so that it is named in the record of the training, not as an input:
    # what is made with the emulator can then be verified back to its beginning.
    provenance = Provenance.of_run("spectra.train", config, run, citations=citations)
    arrays = emulator.arrays()
    with create_artifact(
        output, "spectrum-emulator", title="Emulator of stellar spectra", provenance=provenance
    ) as new_:
        new_.write_table(Table(rows=scores, names=("measure", "value", "unit")))
        for name, values in arrays.items():
            new_.write_array(f"weights/{name}", values)
        new_.write_text("architecture", json.dumps(_architecture(emulator, list(arrays))))
        training = {
            "settings": asdict(settings),
            "seed": run.seed,
            "grid_content_sha256": grid_sha256,
            "spectra": int(known.sum()),
            "held_out": int(new.sum()),
            "machine": platform.machine(),
            "minutes": round((time.perf_counter() - began) / 60.0, 1),
        }
        new_.write_text("training", json.dumps(training))
        domain = {
            name: [float(low), float(high)]
            for name, low, high in zip(INPUT_NAMES, emulator.low, emulator.high, strict=True)
        }
        new_.write_text("domain", json.dumps(domain))
    return f"emulator of {int(known.sum())} spectra, {emulator.n_parameters} parameters"


def _architecture(emulator: Emulator, names: list[str]) -> dict[str, object]:
    return {
        "kind": "principal components of a network of labels",
        "inputs": [*INPUT_NAMES, "t_eff below 4500 K"],
        "layers": [list(weight.shape) for weight in emulator.weights],
        "activation": "SiLU",
        "resolution": RESOLUTION,
        "pixels": {arm.name: [arm.first, arm.size] for arm in REST},
        "weights": names,
    }


def emulator_scores(
    emulator: Emulator, labels: NDArray[np.float64], spectra: NDArray[np.floating]
) -> list[tuple[str, float, str]]:
    """Measure the error of an emulator on spectra that it has not seen, by region of labels.

    Parameters
    ----------
    emulator : Emulator
        The emulator.
    labels : ndarray, shape (n, 18)
        Labels of the spectra.
    spectra : ndarray, shape (n, pixels of REST)
        The spectra.

    Returns
    -------
    list of (measure, value, unit)
        Root mean square in per cent of the continuum over all pixels of a region, and the median star's.
    """
    with torch.no_grad():
        error = emulator.spectra(torch.from_numpy(labels).float()).numpy() - spectra
    square = np.mean(error.astype(np.float64) ** 2, axis=1)
    scores = [("spectra held out", float(len(labels)), "")]
    inside = [
        ("all", np.ones(len(labels), dtype=bool)),
        (f"above {TIO_T_EFF_K:.0f} K", labels[:, 0] >= TIO_T_EFF_K),
        *(
            (name, (labels[:, 0] >= cool) & (labels[:, 0] < hot) & (labels[:, 1] >= low) & (labels[:, 1] < high))
            for name, cool, hot, low, high in REGIONS
        ),
    ]
    for name, rows in inside:
        if rows.any():
            scores.append((f"rms, {name} ({rows.sum()})", 100.0 * float(np.sqrt(square[rows].mean())), "%"))
            scores.append((f"median star, {name} ({rows.sum()})", 100.0 * float(np.median(np.sqrt(square[rows]))), "%"))
    return scores
