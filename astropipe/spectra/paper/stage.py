"""Reading a simulated survey and training a published network on it, from file to file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, open_artifact
from astropipe.config.spectra import TrainConfig
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.compute import resolve_device
from astropipe.runtime.errors import InputError
from astropipe.runtime.run import Run, checkpoint_path
from astropipe.spectra.labels import LABELS
from astropipe.spectra.paper.ensemble import NetworkEnsemble, write_networks
from astropipe.spectra.paper.samples import network_inputs
from astropipe.spectra.paper.training import Schedule, split_rows, train_networks
from astropipe.spectra.prediction import usable_pixels
from astropipe.spectra.sources import check_pixels

_CITATIONS = {"rrnet": ("Xiong2022",), "starnet": ("Fabbro2018", "Xiong2022")}
_LEAST_SPECTRA = 20
_READ_TOGETHER = 1_000


def read_samples(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read the spectra of a survey as the networks take them, with their true labels.

    Parameters
    ----------
    path : Path
        A ``spectra`` artifact with true labels and velocities.

    Returns
    -------
    inputs : ndarray of float32, shape (n, 7200)
        Of the spectra that the networks can take.
    labels : ndarray, shape (n, 17)
        Their labels in the order of `LABELS`.

    Raises
    ------
    InputError
        If labels or velocities are missing, or nearly all spectra have too many masked pixels.
    """
    with open_artifact(path, "spectra") as artifact:
        table = artifact.table()
        check_pixels(path, np.asarray(artifact.file["wavelength"]))
        missing = [name for name in (*(label.name for label in LABELS), "rv") if name not in table.colnames]
        if missing:
            raise InputError(
                f"{path}: column {missing[0]} is missing; networks learn from spectra with true labels and velocities, "
                "as astropipe spectra simulate writes them"
            )
        labels = np.stack([np.asarray(getattr(table[label.name], "value", table[label.name])) for label in LABELS], 1)
        rv = table["rv"].to_value("km/s")
        parts = []
        for start in range(0, len(table), _READ_TOGETHER):
            rows = slice(start, start + _READ_TOGETHER)
            ivar = np.where(artifact.file["mask"][rows], 0.0, artifact.file["ivar"][rows])
            parts.append(network_inputs(*usable_pixels(artifact.file["flux"][rows], ivar), np.asarray(rv[rows])))
    inputs, usable = (np.concatenate(values) for values in zip(*parts, strict=True))
    usable &= np.isfinite(labels).all(axis=1)
    if usable.sum() < _LEAST_SPECTRA:
        raise InputError(
            f"{path}: {usable.sum()} of {len(usable)} spectra can be used, at least {_LEAST_SPECTRA} are needed; the "
            "networks take no missing arms: simulate with missing_arm_rate and gap_rate 0"
        )
    return inputs[usable], labels[usable].astype(np.float64)


def train_baseline(survey: Path, output: Path, config: TrainConfig, run: Run) -> str:
    """Train RRNet or StarNet on a simulated survey and write it; see `astropipe.spectra.stage.train`."""
    settings = config.network
    schedule = Schedule(**settings.model_dump())
    provenance = Provenance.of_run("spectra.train", config, run, inputs=[survey], citations=_CITATIONS[config.model])
    checkpoint = Checkpoint(checkpoint_path(output), provenance.run_key, anew=run.force)
    inputs, labels = read_samples(survey)
    with run.progress(config.model, 2 * settings.members * settings.epochs, "epochs") as reporter:
        trained = train_networks(
            config.model,
            inputs,
            labels,
            schedule,
            seed=run.seed,
            device=resolve_device(run.device),
            checkpoint=checkpoint,
            progress=reporter,
        )
    known, aside = split_rows(len(inputs), schedule.validation_share, run.seed)
    ensemble = NetworkEnsemble(trained)
    rms = np.sqrt(np.mean((ensemble.predict(inputs[aside])[0] - labels[aside]) ** 2, axis=0))
    scores = [("parameters", float(ensemble.n_parameters), ""), ("training spectra", float(len(known)), "")]
    scores += [
        (f"rms of {label.name}, spectra set aside ({len(aside)})", float(value), label.unit)
        for label, value in zip(LABELS, rms, strict=True)
    ]
    write_networks(output, trained, schedule, scores, provenance)
    run.discard_checkpoint(output)
    return f"{config.model}: {settings.members} networks of each group, {len(known)} spectra"
