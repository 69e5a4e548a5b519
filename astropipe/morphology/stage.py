"""The verbs of the morphology stage: simulated surveys, stamps of pictures, the encoder, features, classes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.config.morphology import (
    ClassifyConfig,
    CutConfig,
    EncodeConfig,
    EvaluateConfig,
    SimulateConfig,
    TrainConfig,
)
from astropipe.morphology import classification, describing
from astropipe.morphology.catalog import ARRAYS, FeatureRows, catalog_table
from astropipe.morphology.classes import CLASSES
from astropipe.morphology.encoder_artifact import SHIPPED, Reference
from astropipe.morphology.examples import Thumbnails, read_thumbnails
from astropipe.morphology.galaxies import Galaxies
from astropipe.morphology.naming import read_names
from astropipe.morphology.stamp_artifact import StampWriter
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InputError, InterruptedRunError, UsageError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.run import Run, checkpoint_path
from astropipe.runtime.shipped import weights_file

_CITATIONS = ("Fang2025", "Liu2022", "Bardes2022", "Lotz2004", "Barbary2016")
_SECONDS_BETWEEN_CHECKPOINTS = 120.0
_SIMULATED_TOGETHER = 200


def simulate(inputs: Sequence[Path], output: Path, config: SimulateConfig, run: Run) -> str:
    """Simulate a survey of galaxies and write their stamps with the truth as a ``stamps`` artifact.

    Parameters
    ----------
    inputs : sequence of Path
        None.
    output : Path
        The artifact.
    config : SimulateConfig
        Which galaxies, how observed.
    run : Run
        Gives the seed and the chunk; chunks of one survey are parts of the same galaxies.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    UsageError
        If the chunk is empty.
    MissingDependencyError
        If GalSim is to draw and is not installed.
    InterruptedRunError
        If the run was interrupted.
    """
    from astropipe.morphology.rendering.chronometers import Chronometers
    from astropipe.morphology.rendering.surveys import survey_of

    rows = run.chunk.rows(config.n_galaxies)
    n = rows.stop - rows.start
    if n == 0:
        raise UsageError(f"chunk {run.chunk} is empty: there are {config.n_galaxies} galaxies only")
    provenance = Provenance.of_run("morphology.simulate", config, run, citations=_CITATIONS)
    draw = survey_of(config, run.seed)
    with (
        create_artifact(output, "stamps", title="Simulated galaxies", provenance=provenance) as artifact,
        run.progress("simulate", n, "galaxies") as reporter,
    ):
        writer = StampWriter(artifact, config.size)
        for first in range(rows.start, rows.stop, _SIMULATED_TOGETHER):
            if stop_requested():
                raise InterruptedRunError("interrupted; simulations have no checkpoint: run again with --force")
            writer.add(draw(first, min(first + _SIMULATED_TOGETHER, rows.stop)))
            reporter.update(len(writer))
        writer.finish()
        if config.chronometers.enabled:
            artifact.write_attributes("truth", Chronometers(config.chronometers, run.seed).truth())
    return f"{n} simulated galaxies"


def cut(inputs: Sequence[Path], output: Path, config: CutConfig, run: Run) -> str:
    """Cut galaxies out of pictures and write them as a ``stamps`` artifact.

    Parameters
    ----------
    inputs : sequence of Path
        FITS files, mosaics each with its catalog after it, PNG and JPEG pictures, folders of them.
    output : Path
        The artifact.
    config : CutConfig
        How galaxies are found and cut out.
    run : Run
        Gives the chunk: a part of the files, or of the catalog of the one mosaic.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InputError
        If an input does not exist, or none can be read; a single file that cannot is a galaxy with a flag.
    InterruptedRunError
        If the run was interrupted.
    """
    galaxies = Galaxies(inputs, config, run.chunk)
    if galaxies.artifacts:
        raise InputError(f"{galaxies.artifacts[0]}: an artifact, from which nothing can be cut; give pictures")
    provenance = Provenance.of_run("morphology.cut", config, run, inputs=galaxies.files, citations=_CITATIONS)
    with (
        create_artifact(output, "stamps", title="Galaxies", provenance=provenance) as artifact,
        run.progress("cut", None, "galaxies") as reporter,
    ):
        writer = StampWriter(artifact, config.size)
        for block in galaxies.blocks():
            _warn(block.faults)
            writer.add(block.stamps, block.files)
            reporter.update(len(writer))
            if stop_requested():
                raise InterruptedRunError("interrupted; cutting has no checkpoint: run again with --force")
        writer.finish()
        n = len(writer)
    return f"{n} galaxies"


def _warn(faults: Sequence[str]) -> None:
    for fault in faults:
        print(f"warning: {fault}", file=sys.stderr)


def train(inputs: Sequence[Path], output: Path, config: TrainConfig, run: Run) -> str:
    """Train the encoder on rendered galaxies and write it; see `astropipe.morphology.encoder_training`.

    Parameters
    ----------
    inputs : sequence of Path
        None: the galaxies are rendered.
    output : Path
        The ``encoder`` artifact.
    config : TrainConfig
        Sizes and schedule.
    run : Run
        Gives seed, device, and what to do with a checkpoint.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InterruptedRunError
        If the run was interrupted; the checkpoint of the training is kept.
    """
    from astropipe.morphology.making_encoder import make_encoder

    return make_encoder(output, config, run, _CITATIONS)


def encode(inputs: Sequence[Path], output: Path, config: EncodeConfig, run: Run) -> str:
    """Measure and encode galaxies and write ``galaxy-features``, a row for each in the order of the inputs.

    Parameters
    ----------
    inputs : sequence of Path
        ``stamps`` artifacts.
    output : Path
        The artifact.
    config : EncodeConfig
        What describes a galaxy.
    run : Run
        Gives the chunk, and what to do with a checkpoint. Neighbours of a chunk are read too, as the results of
        galaxies that are worked on together depend on each other in the last digits: the same comes out in one piece.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InputError
        If an input is no stamps artifact, or the encoder does not fit.
    InterruptedRunError
        If the run was interrupted; a checkpoint is kept.
    """
    galaxies = Galaxies(inputs, CutConfig(), run.chunk)
    if not galaxies.artifacts:
        raise InputError(f"{inputs[0]}: no stamps artifact; make one with astropipe morphology cut")
    provenance = Provenance.of_run(
        "morphology.encode",
        config,
        run,
        inputs=[*galaxies.files, *_encoder_files(config.encoder)],
        citations=_CITATIONS,
    )
    rows = _described(galaxies, config, run, Checkpoint(checkpoint_path(output), provenance.run_key, anew=run.force))
    with create_artifact(output, "galaxy-features", title="Features of galaxies", provenance=provenance) as artifact:
        artifact.write_table(rows.table())
        for name in ARRAYS if config.features else ARRAYS[1:]:
            artifact.write_array(name, rows.array(name))
    run.discard_checkpoint(output)
    return f"{len(rows)} galaxies"


def _encoder_files(name: str | None) -> list[Path]:
    if name is None:
        return [weights_file(SHIPPED)]
    return [Path(name)] if Path(name).is_file() else []


def _described(
    galaxies: Galaxies,
    config: EncodeConfig,
    run: Run,
    checkpoint: Checkpoint | None,
    thumbnails: Thumbnails | None = None,
) -> FeatureRows:
    """Measure and encode galaxies, from a checkpoint on where there is one."""
    encode_stamps = describing.stamp_encoder(config.encoder, config.precision)
    measure_stamps = describing.stamp_measurer(config.measures)
    rows = FeatureRows(checkpoint.load() if checkpoint else None, features=config.features)
    saved_at = time.monotonic()
    with run.progress("encode", galaxies.total, "galaxies") as reporter:
        for block in galaxies.blocks(rows.done):
            _warn(block.faults)
            rows.add(
                block.stamps,
                block.files,
                describing.describe(block.stamps, encode_stamps, measure_stamps, threads=run.threads),
                block.done,
                block.wanted,
            )
            if thumbnails is not None:
                thumbnails.add(block.stamps.rows(block.wanted))
            reporter.update(len(rows))
            if checkpoint and (stop_requested() or time.monotonic() - saved_at > _SECONDS_BETWEEN_CHECKPOINTS):
                checkpoint.save(rows.arrays())
                saved_at = time.monotonic()
            if stop_requested():
                kept = f", which are kept in {checkpoint.path}; run again with --resume" if checkpoint else ""
                raise InterruptedRunError(f"interrupted after {len(rows)} galaxies{kept}")
    return rows


def classify(inputs: Sequence[Path], output: Path, config: ClassifyConfig, run: Run) -> str:
    """Classify galaxies and write a ``morphology-catalog``, a row for each in the order of the inputs.

    Parameters
    ----------
    inputs : sequence of Path
        One ``galaxy-features`` artifact, with the ``stamps`` it is of where mosaics are wanted; or ``stamps``
        artifacts, or pictures, which are described first.
    output : Path
        The artifact.
    config : ClassifyConfig
        The votes, the names and the second step; how pictures are cut and described.
    run : Run
        Gives the seed.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InputError
        If there are fewer galaxies than groups, or an input cannot be used.
    InterruptedRunError
        If the run was interrupted.
    """
    features = [path for path in inputs if _kind(path) == "galaxy-features"]
    if len(features) > 1:
        raise UsageError("several galaxy-features artifacts were given; join chunks of one run with astropipe merge")
    files = list(inputs)
    thumbnails = Thumbnails()
    stamps = [path for path in inputs if path not in features]
    if features:
        table, arrays = _read_features(features[0])
    else:
        galaxies = Galaxies(inputs, config.cut)
        files = galaxies.files
        described = _described(galaxies, config.encode, run, None, thumbnails)
        table, arrays = described.table(), {name: described.array(name) for name in ARRAYS[1:]}
    reference = describing.reference_of(config.encode.encoder)
    names = read_names(Path(config.names)) if config.names else {}
    provenance = Provenance.of_run(
        "morphology.classify",
        config,
        run,
        inputs=[*files, *_encoder_files(config.encode.encoder), *([Path(config.names)] if config.names else [])],
        citations=_CITATIONS,
    )
    result = classification.classify(
        arrays["embedding"],
        describing.quantities(lambda name: np.asarray(getattr(table[name], "value", table[name])), arrays["truths"]),
        reference,
        _settings(config),
        seed=run.seed,
        threads=run.threads,
        names=names,
    )
    images, rows = (
        read_thumbnails(stamps, result, config.examples)
        if features and stamps
        else thumbnails.chosen(result, config.examples)
    )
    with create_artifact(output, "morphology-catalog", title="Morphology of galaxies", provenance=provenance) as new:
        new.write_table(catalog_table(table, result))
        new.write_array("map", result.map)
        new.write_text("map_method", config.map)
        new.write_array("groups/medians", result.named.medians)
        new.write_text("groups/names", json.dumps(_group_summary(result, reference)))
        if len(rows):
            new.write_array("mosaic/images", images)
            new.write_array("mosaic/galaxy", rows)
    counts = ", ".join(f"{np.count_nonzero(result.morphology == name)} {name}" for name in CLASSES)
    return f"{len(table)} galaxies, {np.count_nonzero(result.kept)} kept by the vote: {counts}"


def _kind(path: Path) -> str:
    import h5py

    if not (path.is_file() and h5py.is_hdf5(path)):
        return ""
    with open_artifact(path) as artifact:
        return artifact.kind


def _read_features(path: Path) -> tuple[QTable, dict[str, NDArray[Any]]]:
    with open_artifact(path, "galaxy-features") as artifact:
        return artifact.table(), {name: np.asarray(artifact.array(name)) for name in ARRAYS[1:]}


def _settings(config: ClassifyConfig) -> classification.Settings:
    names = classification.Settings.__dataclass_fields__
    return classification.Settings(**{name: getattr(config, name) for name in names})


def _group_summary(result: classification.Classified, reference: Reference) -> list[dict[str, Any]]:
    return [
        {
            "group": group,
            "name": name,
            "galaxies": int(np.count_nonzero(result.groups == group)),
            "kept": int(np.count_nonzero((result.groups == group) & result.kept)),
            "probabilities": dict(zip(CLASSES, np.round(likely, 4).tolist(), strict=True)),
            "medians": {
                quantity: None if np.isnan(value) else round(float(value), 4)
                for quantity, value in zip(reference.quantities, medians, strict=True)
            },
        }
        for group, (name, likely, medians) in enumerate(
            zip(result.named.names, result.named.probabilities, result.named.medians, strict=True)
        )
    ]


def evaluate(inputs: Sequence[Path], output: Path, config: EvaluateConfig, run: Run) -> str:
    """Compare catalogs with the truth of simulated galaxies and write a ``metrics`` artifact.

    Parameters
    ----------
    inputs : sequence of Path
        Pairs of a ``stamps`` artifact with true classes and the ``morphology-catalog`` made of it.
    output : Path
        The artifact.
    config : EvaluateConfig
        What is asked of the purity.
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
        If the stamps have no true classes, or the ids of a pair differ.
    """
    from astropipe.morphology.evaluation import quality

    if len(inputs) % 2:
        raise UsageError("astropipe morphology evaluate takes pairs of files: STAMPS CATALOG [STAMPS CATALOG ...]")
    provenance = Provenance.of_run("morphology.evaluate", config, run, inputs=inputs)
    rows: list[tuple[Any, ...]] = []
    for stamps, catalog in zip(inputs[::2], inputs[1::2], strict=True):
        with open_artifact(stamps, "stamps") as artifact:
            truth = artifact.table()
        with open_artifact(catalog, "morphology-catalog") as artifact:
            subject, found = artifact.title, artifact.table()
            named = json.loads(artifact.text("groups/names"))
        try:
            rows += [(subject, *row) for row in quality(truth, found, named, config.min_purity)]
        except InputError as error:
            raise InputError(f"{stamps}, {catalog}: {error}") from error
    names = ("subject", "measure", "value", "error", "unit", "expected", "expected_error", "source")
    with create_artifact(output, "metrics", title="Quality of the morphology catalogs", provenance=provenance) as new:
        new.write_table(QTable(rows=rows, names=names))
    return f"{len(rows)} measures of {len(inputs) // 2} catalogs"
