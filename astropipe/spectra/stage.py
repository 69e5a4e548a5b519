"""The verbs of the spectra stage: simulated surveys, the emulator, labels of stars."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable, hstack
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.artifacts.rounding import rounded
from astropipe.config.spectra import EvaluateConfig, PredictConfig, SimulateConfig, TrainConfig
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InputError, InterruptedRunError, UsageError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.run import Run, checkpoint_path
from astropipe.runtime.shipped import weights_file
from astropipe.spectra import prediction
from astropipe.spectra.catalog import CatalogRows, catalog_table
from astropipe.spectra.clusters.observing import observe_cluster, truth_table
from astropipe.spectra.clusters.snapshot import read_snapshot
from astropipe.spectra.emulator import INPUT_NAMES, SHIPPED, read_emulator
from astropipe.spectra.fitting import read_fitter
from astropipe.spectra.flags import SpectrumFlag
from astropipe.spectra.instrument import Damage
from astropipe.spectra.pixels import N_PIXELS, wavelengths_a
from astropipe.spectra.simulation import Stars, Survey, draw_any_stars, simulate_rows
from astropipe.spectra.sources import batches, count_rows, files_read, is_artifact, list_inputs

_CITATIONS = ("Ting2019", "Plez2012", "Gustafsson2008", "Heiter2021")
_CLUSTER_CITATIONS = ("Tout1996", "Hurley2000", "Flower1996", "Torres2010")
_SECONDS_BETWEEN_CHECKPOINTS = 120.0


def simulate(inputs: Sequence[Path], output: Path, config: SimulateConfig, run: Run) -> str:
    """Simulate a survey and write its spectra with the true labels as a ``spectra`` artifact.

    Parameters
    ----------
    inputs : sequence of Path
        None, or one ``cluster-snapshots`` artifact whose stars are observed among those of the field.
    output : Path
        The artifact.
    config : SimulateConfig
        Which stars, how observed.
    run : Run
        Gives the seed and the chunk; chunks of one survey are parts of the same stars.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    UsageError
        If the chunk is empty, or the cluster has no such snapshot.
    InputError
        If the cluster is in N-body units, or none of its stars is observed.
    """
    cluster = read_snapshot(inputs[0], config.cluster.snapshot) if inputs else None
    observed = None if cluster is None else observe_cluster(cluster, config.cluster, run.seed)
    n_all = config.n_spectra if observed is None else len(observed)
    rows = run.chunk.rows(n_all)
    n = rows.stop - rows.start
    if n == 0:
        raise UsageError(f"chunk {run.chunk.index}/{run.chunk.count} is empty: there are {n_all} spectra only")
    emulator = read_emulator(_emulator_file(config.emulator))
    survey = Survey(
        snr=(config.snr_low, config.snr_high),
        blue_to_red_snr=config.blue_to_red_snr,
        rv_limit_km_s=config.rv_limit_km_s,
        v_sin_i_limit_km_s=config.v_sin_i_limit_km_s,
        resolution=(config.resolution_low, config.resolution_high),
        damage=Damage(
            masked_fraction=config.masked_fraction,
            gap_rate=config.gap_rate,
            gap_width_a=config.gap_width_a,
            missing_arm_rate=config.missing_arm_rate,
            cosmic_ray_rate=config.cosmic_ray_rate,
            sky_residual=config.sky_residual,
            tilt=config.continuum_tilt,
            air_mass=(config.air_mass_low, config.air_mass_high),
        ),
        model_error=config.model_error,
    )
    provenance = Provenance.of_run(
        "spectra.simulate",
        config,
        run,
        inputs=[*inputs, _emulator_file(config.emulator)],
        citations=(*_CITATIONS, *(_CLUSTER_CITATIONS if inputs else ())),
    )
    title = "Simulated survey" if cluster is None else "Simulated survey of a star cluster"
    stars: list[Stars] = []
    with (
        create_artifact(output, "spectra", title=title, provenance=provenance) as artifact,
        run.progress("simulate", n, "spectra") as reporter,
    ):
        artifact.write_array("wavelength", wavelengths_a(), unit="Angstrom")
        flux, ivar, mask = (
            artifact.create_array(name, (n, N_PIXELS), dtype, compression=1)
            for name, dtype in (("flux", np.float32), ("ivar", np.float32), ("mask", bool))
        )
        done = 0
        draw = draw_any_stars if observed is None else observed.block
        for truth, recorded in simulate_rows(emulator, survey, run.seed, rows.start, rows.stop, draw):
            if stop_requested():
                raise InterruptedRunError("interrupted; simulations have no checkpoint: run again with --force")
            place = slice(done, done + len(truth))
            # To 1 in 8,000 and 1 in 250, far below the noise: what is rounded compresses, and a survey is large.
            flux[place], ivar[place] = rounded(recorded.flux, 12), rounded(recorded.ivar, 7)
            mask[place] = recorded.mask
            stars.append(truth)
            done = place.stop
            reporter.update(done)
        table = _truth_table(stars, rows.start)
        if observed is not None and cluster is not None:
            table = hstack([table, observed.columns(rows)])
            artifact.write_table(truth_table(cluster, config.cluster), "truth")
        artifact.write_table(table)
    return f"{n} simulated spectra"


def _emulator_file(name: str | None) -> Path:
    return weights_file(SHIPPED) if name is None else Path(name)


def _truth_table(stars: list[Stars], first: int) -> QTable:
    labels = np.concatenate([part.labels for part in stars])
    table = QTable({"id": [f"sim-{row:07d}" for row in range(first, first + len(labels))]})
    for i, name in enumerate(INPUT_NAMES):
        unit = {"t_eff": u.K, "v_micro": u.km / u.s}.get(name)
        table[name] = labels[:, i] if unit is None else labels[:, i] * unit
    for name, attribute in (("rv", "rv_km_s"), ("v_sin_i", "v_sin_i_km_s"), ("v_macro", "v_macro_km_s")):
        table[name] = np.concatenate([getattr(part, attribute) for part in stars]) * u.km / u.s
    for name in ("resolution", "snr"):
        values = np.concatenate([getattr(part, name) for part in stars])
        table[f"{name}_blue"], table[f"{name}_red"] = values[:, 0], values[:, 1]
    return table


def predict(inputs: Sequence[Path], output: Path, config: PredictConfig, run: Run) -> str:
    """Read labels from spectra and write a ``stellar-catalog``, a row for each spectrum in the order of the inputs.

    Works in batches, so that memory does not grow with the spectra but for the rows of the catalog. An interrupted run
    leaves a checkpoint beside the output.

    Parameters
    ----------
    inputs : sequence of Path
        ``spectra`` artifacts, files that `readers` can read, and folders of FITS files.
    output : Path
        The artifact.
    config : PredictConfig
        What is read, and with what it is compared.
    run : Run
        Gives the chunk, and what to do with a checkpoint. A chunk is a part of the rows of the one artifact given, or
        of the files. Neighbours of a part are read too, as the results of spectra that are fitted together depend on
        each other in the last digits: the catalog is the same in chunks and in one piece.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InputError
        If an input does not exist, or no file at all can be read. A single file that cannot is a row with the flag
        UNREADABLE and a warning.
    ArtifactError
        If an artifact is damaged or on other pixels.
    InterruptedRunError
        If the run was interrupted; a checkpoint is kept.
    """
    paths, whole = list_inputs(inputs), []
    rows, files = None, slice(0, len(paths))
    if run.chunk.count > 1:
        if len(paths) == 1 and is_artifact(paths[0]):
            part = rows = run.chunk.rows(count_rows(paths[0]))
        else:
            part = files = run.chunk.rows(len(paths))
            whole = paths
        if part.start == part.stop:
            raise UsageError(f"chunk {run.chunk.index}/{run.chunk.count} is empty: ask for fewer chunks")
    emulator_file = _emulator_file(config.emulator)
    network_file = [] if config.network is None else [Path(config.network)]
    provenance = Provenance.of_run(
        "spectra.predict",
        config,
        run,
        inputs=paths[files_read(paths, files)],
        sources=[emulator_file, *network_file],
        chunk_of=whole,
        citations=(*_CITATIONS, "Xiong2022", "Fabbro2018") if network_file else _CITATIONS,
    )
    checkpoint = Checkpoint(checkpoint_path(output), provenance.run_key, anew=run.force)
    catalog = CatalogRows(checkpoint.load())
    read_labels = _reader_of_labels(config, emulator_file, run.threads)
    total = rows.stop - rows.start if rows else sum(count_rows(path) for path in paths[files])
    saved_at = time.monotonic()
    with run.progress("predict", total, "spectra") as reporter:
        for batch in batches(
            paths, exposures=config.exposures, medium=config.medium, rows=rows, files=files, start=catalog.done
        ):
            for fault in batch.faults:
                print(f"warning: {fault}", file=sys.stderr)
            catalog.add(batch, read_labels(batch.flux, batch.ivar))
            reporter.update(min(len(catalog), total))
            if stop_requested() or time.monotonic() - saved_at > _SECONDS_BETWEEN_CHECKPOINTS:
                checkpoint.save(catalog.arrays())
                saved_at = time.monotonic()
            if stop_requested():
                raise InterruptedRunError(
                    f"interrupted after {len(catalog)} spectra, which are kept in {checkpoint.path}; run again with "
                    "--resume"
                )
    arrays = catalog.arrays()
    unreadable = int(np.count_nonzero(arrays["flags"] & SpectrumFlag.UNREADABLE))
    if unreadable == len(catalog):
        raise InputError(
            f"none of the {unreadable} files could be read; the first is {paths[files.start]}, see the warnings"
        )
    title = "Stellar labels" if config.network is None else f"Stellar labels by {Path(config.network).stem}"
    with create_artifact(output, "stellar-catalog", title=title, provenance=provenance) as artifact:
        artifact.write_table(catalog_table(arrays))
        for name in ("information", "bound"):
            artifact.write_array(name, arrays[name])
        if config.models and not network_file:
            artifact.write_array("model", arrays["model"])
        if config.covariance and not network_file:
            artifact.write_array("covariance", arrays["covariance"])
    run.discard_checkpoint(output)
    clean = int(np.count_nonzero(arrays["flags"] == 0))
    return f"{len(catalog)} spectra, {clean} of them without a flag, {unreadable} files not readable"


def _reader_of_labels(
    config: PredictConfig, emulator_file: Path, threads: int
) -> Callable[[NDArray[np.floating], NDArray[np.floating]], prediction.Rows]:
    """Return what reads labels from flux and inverse variance: the fit, or a published network."""
    fitter = read_fitter(emulator_file)
    if config.network is None:
        return partial(prediction.predict, fitter, models=config.models, threads=threads)
    from astropipe.spectra.paper.ensemble import read_networks
    from astropipe.spectra.paper.prediction import predict as predict_by_network

    return partial(predict_by_network, read_networks(Path(config.network)), fitter, threads=threads)


def train(inputs: Sequence[Path], output: Path, config: TrainConfig, run: Run) -> str:
    """Train the emulator, or one of the published networks with which it is compared, and write it.

    Parameters
    ----------
    inputs : sequence of Path
        One ``synthetic-grid`` artifact for the emulator, else one ``spectra`` artifact with true labels.
    output : Path
        The artifact: ``spectrum-emulator``, or ``spectral-network``.
    config : TrainConfig
        What is trained, sizes and schedule.
    run : Run
        Gives the seed, and for networks the device and what to do with a checkpoint.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InputError
        If the input is of the wrong kind, or too little of it is usable.
    InterruptedRunError
        If the training of a network was interrupted; a checkpoint is kept.
    """
    if config.model == "emulator":
        from astropipe.spectra.emulator_artifact import train_emulator

        return train_emulator(inputs[0], output, config, run, _CITATIONS)
    from astropipe.spectra.paper.stage import train_baseline

    return train_baseline(inputs[0], output, config, run)


def evaluate(inputs: Sequence[Path], output: Path, config: EvaluateConfig, run: Run) -> str:
    """Compare catalogs with the truth of simulated spectra and write a ``metrics`` artifact.

    Parameters
    ----------
    inputs : sequence of Path
        Pairs of a ``spectra`` artifact with true labels and the ``stellar-catalog`` made of it.
    output : Path
        The artifact.
    config : EvaluateConfig
        Bins of S/N.
    run : Run
        Seed of the record only: nothing here is random.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    UsageError
        If the files are not in pairs.
    InputError
        If the spectra have no true labels, or the ids of a pair differ.
    """
    from astropipe.spectra.evaluation import quality

    if len(inputs) % 2:
        raise UsageError("astropipe spectra evaluate takes pairs of files: SPECTRA CATALOG [SPECTRA CATALOG ...]")
    provenance = Provenance.of_run("spectra.evaluate", config, run, inputs=inputs)
    rows: list[tuple[Any, ...]] = []
    for spectra, catalog in zip(inputs[::2], inputs[1::2], strict=True):
        with open_artifact(spectra, "spectra") as artifact:
            truth = artifact.table()
        with open_artifact(catalog, "stellar-catalog") as artifact:
            subject, found = artifact.title, artifact.table()
        try:
            rows += [(subject, *row) for row in quality(truth, found, config.snr_edges)]
        except InputError as error:
            raise InputError(f"{spectra}, {catalog}: {error}") from error
    names = ("subject", "measure", "value", "error", "unit", "expected", "expected_error", "source")
    with create_artifact(output, "metrics", title="Quality of the stellar catalogs", provenance=provenance) as new:
        new.write_table(QTable(rows=rows, names=names))
    return f"{len(rows)} measures of {len(inputs) // 2} catalogs"
