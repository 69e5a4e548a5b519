"""The encoder from beginning to end: galaxies rendered, the network trained, measured and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from astropipe.artifacts import Provenance
from astropipe.config.morphology import TrainConfig
from astropipe.morphology import describing
from astropipe.morphology.encoder_artifact import Encoder, Reference, write_encoder
from astropipe.morphology.encoder_training import Trained, TrainingSettings, render_library, train
from astropipe.morphology.rendering.survey import Survey, simulate
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.compute import resolve_device
from astropipe.runtime.run import Run, checkpoint_path

# The range of surveys that the encoder is for.
_REFERENCE = Survey(snr=(30.0, 300.0))
_TOGETHER = 200


def make_encoder(output: Path, config: TrainConfig, run: Run, citations: Sequence[str]) -> str:
    """Train an encoder and write it; see `astropipe.morphology.stage.train`."""
    provenance = Provenance.of_run("morphology.train", config, run, citations=citations)
    settings = TrainingSettings(
        steps=config.steps, batch=config.batch, learning_rate=config.learning_rate, precision=config.precision
    )
    with run.progress("render", config.n_galaxies, "galaxies") as reporter:
        library = render_library(config.n_galaxies, run.seed, threads=run.threads, progress=reporter.update)
    with run.progress("train", config.steps, "steps") as reporter:
        trained = train(
            library,
            settings,
            run.seed,
            checkpoint=Checkpoint(checkpoint_path(output), provenance.run_key, anew=run.force),
            progress=reporter.update,
            device=resolve_device(run.device),
        )
    trained = as_read_again(trained)
    with run.progress("reference", config.n_reference, "galaxies") as reporter:
        reference = make_reference(trained, config.n_reference, run.seed, threads=run.threads, progress=reporter.update)
    n_parameters = sum(value.numel() for value in trained.network.parameters())
    scores = [
        ("parameters", float(n_parameters), ""),
        ("rendered galaxies", float(config.n_galaxies), ""),
        *((name.replace("_", " ", 1), value, "") for name, value in trained.scores.items()),
    ]
    write_encoder(output, trained, reference, scores, settings, run.seed, config.n_galaxies, provenance)
    run.discard_checkpoint(output)
    return f"encoder of {config.n_galaxies} galaxies, accuracy {trained.scores['accuracy']:.3f} on rendered ones"


def as_read_again(trained: Trained) -> Trained:
    """Return a trained encoder with weights as they will be read: in half precision."""
    network = trained.network
    network.load_state_dict({name: value.half().float() for name, value in network.state_dict().items()})
    return trained


def make_reference(
    trained: Trained, n: int, seed: int, *, threads: int = 1, progress: Callable[[int], None] = lambda done: None
) -> Reference:
    """Return what encoder and measurements say of galaxies that are rendered for it."""
    encoder = Encoder(trained.network, trained.truth_mean, trained.truth_std)
    encode_stamps = describing.encode_by(encoder)
    classes, embedding, values = [], [], []
    for first in range(0, n, _TOGETHER):
        # The training never sees galaxies of this stream.
        stamps = simulate(_REFERENCE, seed + 1, first, min(first + _TOGETHER, n))
        described = describing.describe(stamps, encode_stamps, threads=threads)
        classes.append(stamps.columns["morphology"])
        embedding.append(described.encoded.embedding)
        values.append(describing.quantities(described.measures.__getitem__, described.encoded.truths))
        progress(first + len(stamps))
    known = np.isfinite(np.concatenate(embedding)).all(axis=1)
    return Reference(
        np.concatenate(classes)[known],
        np.concatenate(embedding)[known],
        describing.QUANTITIES,
        np.concatenate(values)[known].astype(np.float32),
    )
