"""The emulator as an artifact: trained on a grid, measured on spectra that it has not seen, written with its card."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.config.spectra import TrainConfig
from astropipe.runtime.errors import InputError, InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.run import Run
from astropipe.spectra.emulator import (
    INPUT_NAMES,
    RESOLUTION,
    REST,
    TIO_T_EFF_K,
    Emulator,
    no_calibration,
    read_emulator,
)
from astropipe.spectra.emulator_calibration import measure_inflation, measure_residuals
from astropipe.spectra.emulator_grid import Grid, LearnedStars, no_stars, read_grid, read_learned
from astropipe.spectra.emulator_training import TrainingSettings, fit_teacher, teach, with_errors
from astropipe.spectra.start import StartNetwork
from astropipe.spectra.start_training import StartSettings, train_start

# Regions of labels in which the error is told apart: name, from and to in t_eff, from and to in log_g.
REGIONS = (
    ("giants below 4500 K", 0.0, TIO_T_EFF_K, -1.0, 3.5),
    ("dwarfs below 4500 K", 0.0, TIO_T_EFF_K, 3.5, 6.0),
    ("giants 4500-5500 K", TIO_T_EFF_K, 5_500.0, -1.0, 3.5),
    ("dwarfs 4500-5500 K", TIO_T_EFF_K, 5_500.0, 3.5, 6.0),
    ("above 5500 K", 5_500.0, 1e5, -1.0, 6.0),
)
_LEAST_SPECTRA = 200
_LEAST_CALIBRATION = 40


def train_emulator(path: Path, output: Path, config: TrainConfig, run: Run, citations: Sequence[str]) -> str:
    """Train the emulator on a ``synthetic-grid`` and write it; see `stage.train`.

    Raises
    ------
    InputError
        If the grid has too few spectra, or one that is to tell errors was learned from.
    """
    grid = read_grid(path, config.n_calibration)
    if grid.calibration.sum() < _LEAST_CALIBRATION:
        raise InputError(
            f"{path}: {grid.calibration.sum()} spectra that are not held out; at least {_LEAST_CALIBRATION} are needed "
            "to measure errors"
        )
    source = config.emulator or config.extend
    earlier = no_stars() if source is None else read_learned(Path(source))
    _check_unseen(path, grid, earlier, source)
    if config.emulator is None:
        learned = earlier + grid.stars()
        emulator = _train_network(path, learned, config, run)
        network: dict[str, object] = {
            "settings": asdict(_settings(config)),
            "seed": run.seed,
            "grid_content_sha256": grid.content_sha256,
            "spectra": len(learned),
            "of_them_from_an_earlier_emulator": len(earlier),
        }
    else:
        learned = earlier
        emulator, network = _kept_network(Path(config.emulator))
    emulator, start = _with_known_errors(emulator, grid, config, run)
    n_parameters = emulator.n_parameters + start.n_parameters
    scores = [
        ("parameters", float(n_parameters), ""),
        ("training spectra", float(len(learned)), ""),
        ("spectra for calibration", float(grid.calibration.sum()), ""),
        *_scores_by_origin(emulator, grid),
    ]
    # The grid is too large to go with the emulator, so that it is named in the record of the training, not as an input:
    # what is made with the emulator can then be verified back to its beginning.
    # Neither is an emulator whose network or stars were taken over: its record is, its folder is not.
    names = {"emulator": config.emulator, "extend": config.extend}
    recorded = config.model_copy(update={key: None if name is None else Path(name).name for key, name in names.items()})
    provenance = Provenance.of_run("spectra.train", recorded, run, citations=citations)
    training = {
        "network": network,
        "seed": run.seed,
        "grid_content_sha256": grid.content_sha256,
        "calibration": int(grid.calibration.sum()),
        "first_calibration_index": int(grid.index[grid.calibration].min()),
        "held_out": int(grid.held_out.sum()),
        "start_spectra": config.n_start,
    }
    with create_artifact(
        output, "spectrum-emulator", title="Emulator of stellar spectra", provenance=provenance
    ) as new:
        new.write_table(Table(rows=scores, names=("measure", "value", "unit")))
        for name, values in (emulator.arrays() | start.arrays() | learned.arrays(emulator)).items():
            new.write_array(f"weights/{name}", values)
        new.write_text("architecture", json.dumps(_architecture(emulator, start)))
        new.write_text("training", json.dumps(training))
        new.write_text("domain", json.dumps(_domain(emulator)))
    return f"emulator of {len(learned)} spectra, {n_parameters} parameters"


def _check_unseen(path: Path, grid: Grid, earlier: LearnedStars, source: str | None) -> None:
    """Raise an error if a star that is to tell errors is one of those that were learned from before."""
    seen = earlier.among(grid.labels) & ~grid.learned
    if seen.any():
        raise InputError(
            f"{path}: star {grid.index[seen][0]}, which is to tell errors, is one of those that {source} learned from; "
            "lower spectra.train.n_calibration, or add stars"
        )


def _domain(emulator: Emulator) -> dict[str, list[float]]:
    return {
        name: [float(low), float(high)]
        for name, low, high in zip(INPUT_NAMES, emulator.low, emulator.high, strict=True)
    }


def _with_known_errors(emulator: Emulator, grid: Grid, config: TrainConfig, run: Run) -> tuple[Emulator, StartNetwork]:
    """Return the emulator with what the calibration stars tell of its errors, and the network that begins its fits."""
    known = grid.calibration
    emulator = replace(emulator, **measure_residuals(emulator, grid.labels[known], grid.spectra[known]))
    with run.progress("network that begins fits", 1, "of the work") as reporter:
        start = train_start(
            emulator, StartSettings(n_spectra=config.n_start), seed=run.seed, report=_unless_stopped(reporter.update)
        )
    start = StartNetwork.of_arrays(start.arrays())
    inflation = measure_inflation(emulator, start, grid.labels[known], grid.spectra[known], seed=run.seed)
    # As it will be read again: in half precision.
    return Emulator.of_arrays(replace(emulator, inflation=inflation).arrays()), start


def _scores_by_origin(emulator: Emulator, grid: Grid) -> list[tuple[str, float, str]]:
    """Measure the error on held-out stars of the population, and on those that were chosen for their temperature."""
    drawn, chosen = grid.held_out & grid.population, grid.held_out & ~grid.population
    return [
        *emulator_scores(emulator, grid.labels[drawn], grid.spectra[drawn]),
        *(
            (f"{measure}, of stars chosen for their temperature", value, unit)
            for measure, value, unit in emulator_scores(emulator, grid.labels[chosen], grid.spectra[chosen])
        ),
    ]


def _kept_network(path: Path) -> tuple[Emulator, dict[str, object]]:
    """Return an emulator without what is known of its errors, and the record of how its network was trained."""
    with open_artifact(path, "spectrum-emulator") as artifact:
        described = artifact.record("training")
    record = described.get("network", described)
    kept = ("settings", "seed", "grid_content_sha256", "spectra", "of_them_from_an_earlier_emulator")
    emulator = read_emulator(path)
    uncalibrated = replace(emulator, **no_calibration(len(emulator.mean), len(emulator.error_t_eff)))
    return uncalibrated, {name: record[name] for name in kept if name in record}


def _unless_stopped(report: Callable[[float], None]) -> Callable[[float], None]:
    """Return a report of progress that ends the training if a stop was requested."""

    def checked(share: float) -> None:
        if stop_requested():
            raise InterruptedRunError("interrupted; the training of an emulator has no checkpoint: run again")
        report(share)

    return checked


def _settings(config: TrainConfig) -> TrainingSettings:
    return TrainingSettings(
        n_components=config.n_components,
        n_subset=config.n_subset,
        iterations=config.iterations,
        n_stars=config.n_stars,
        epochs=config.epochs,
    )


def _train_network(path: Path, learned: LearnedStars, config: TrainConfig, run: Run) -> Emulator:
    labels, spectra = learned.labels, learned.spectra
    if len(labels) < _LEAST_SPECTRA:
        raise InputError(f"{path}: {len(labels)} spectra to learn from; at least {_LEAST_SPECTRA} are needed")
    settings = _settings(config)
    with run.progress("Gaussian processes", 1, "of the steps") as reporter:
        told = _unless_stopped(reporter.update)
        teacher = fit_teacher(labels, spectra, settings, seed=run.seed, report=lambda done, all_: told(done / all_))
    with run.progress("network", config.epochs, "epochs") as reporter:
        told = _unless_stopped(reporter.update)
        emulator = teach(teacher, labels, settings, seed=run.seed, report=lambda done, _: told(done))
    return with_errors(emulator, teacher, labels, seed=run.seed)


def _architecture(emulator: Emulator, start: StartNetwork) -> dict[str, object]:
    return {
        "kind": "principal components of a network of labels",
        "inputs": [*INPUT_NAMES, "t_eff below 4500 K"],
        "layers": [list(weight.shape) for weight in emulator.weights],
        "activation": "SiLU",
        "resolution": RESOLUTION,
        "pixels": {arm.name: [arm.first, arm.size] for arm in REST},
        "weights": list(emulator.arrays()),
        "start": list(start.arrays()),
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
    scores = [("spectra held out", float(len(labels)), "")] if len(labels) else []
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
