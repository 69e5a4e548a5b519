"""The encoder from beginning to end: galaxies rendered, the network trained, measured and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, open_artifact
from astropipe.config.morphology import TrainConfig
from astropipe.morphology import describing
from astropipe.morphology.classes import CLASSES
from astropipe.morphology.denoiser import Denoiser
from astropipe.morphology.denoiser_training import train_denoiser
from astropipe.morphology.encoder_artifact import Encoder, Reference, read_encoder, write_encoder
from astropipe.morphology.encoder_training import TrainingSettings, standardised, train
from astropipe.morphology.encoding import see
from astropipe.morphology.library import render_library
from astropipe.morphology.measures import measure
from astropipe.morphology.network import Architecture, ConvNeXt
from astropipe.morphology.reader_training import Examples, joined_examples, train_reader
from astropipe.morphology.rendering.galaxies import TRUTH
from astropipe.morphology.rendering.survey import Survey, simulate
from astropipe.morphology.rendering.variety import varied_stamps
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.compute import resolve_device
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.run import Run, checkpoint_path

# The range of surveys that the encoder is for.
_REFERENCE = Survey(snr=(30.0, 300.0))
_TOGETHER = 200

Module = TypeVar("Module", bound=torch.nn.Module)


@dataclass(frozen=True)
class Eye:
    """What sees galaxies: denoiser and network, and what is told of their training.

    Attributes
    ----------
    denoiser, network : Denoiser, ConvNeXt
        In evaluation mode, with weights in half precision.
    truth_mean, truth_std : ndarray, shape (truths,)
        By which truths were standardised.
    scores : dict of str to float
        Of galaxies that the network has not seen, and its size.
    training : dict
        Schedule, seed and number of galaxies.
    """

    denoiser: Denoiser
    network: ConvNeXt
    truth_mean: NDArray[np.float32]
    truth_std: NDArray[np.float32]
    scores: dict[str, float]
    training: dict[str, Any]


def make_encoder(output: Path, config: TrainConfig, run: Run, citations: Sequence[str]) -> str:
    """Train an encoder and write it; see `astropipe.morphology.stage.train`."""
    kept = None if config.encoder is None else Path(config.encoder)
    # The encoder whose network is kept is no input: its record is taken over, and shipped weights begin every chain.
    recorded = config.model_copy(update={"encoder": None if kept is None else kept.name})
    provenance = Provenance.of_run("morphology.train", recorded, run, citations=citations)
    eye = _kept_eye(kept) if kept is not None else _trained_eye(output, config, run, provenance)
    with run.progress("stamps", config.n_stamps, "galaxies") as reporter:
        examples = make_examples(
            eye.network,
            eye.denoiser,
            (eye.truth_mean, eye.truth_std),
            config.n_stamps,
            run.seed,
            threads=run.threads,
            progress=reporter.update,
        )
    reader, reader_scores = train_reader(examples, len(CLASSES), config.epochs, run.seed)
    encoder = Encoder(eye.denoiser, eye.network, in_half_precision(reader), eye.truth_mean, eye.truth_std)
    with run.progress("reference", config.n_reference, "galaxies") as reporter:
        reference = make_reference(encoder, config.n_reference, run.seed, threads=run.threads, progress=reporter.update)
    scores = eye.scores | {"rendered stamps": float(config.n_stamps)} | _named(reader_scores)
    write_encoder(output, encoder, reference, scores, eye.training, provenance)
    run.discard_checkpoint(output)
    return f"encoder, accuracy {reader_scores['accuracy_stamps']:.3f} on rendered stamps"


def _trained_eye(output: Path, config: TrainConfig, run: Run, provenance: Provenance) -> Eye:
    """Train denoiser and network on rendered galaxies."""
    settings = TrainingSettings(
        steps=config.steps, batch=config.batch, learning_rate=config.learning_rate, precision=config.precision
    )
    device = resolve_device(run.device)
    with run.progress("render", config.n_galaxies, "galaxies") as reporter:
        library = render_library(config.n_galaxies, run.seed, threads=run.threads, progress=reporter.update)
    with run.progress("denoiser", config.denoiser_steps, "steps") as reporter:
        denoiser = train_denoiser(
            *(library, Architecture().input_px, config.denoiser_steps, run.seed),
            progress=reporter.update,
            device=device,
        )
    denoiser = in_half_precision(denoiser)
    with run.progress("train", config.steps, "steps") as reporter:
        trained = train(
            library,
            denoiser,
            settings,
            run.seed,
            checkpoint=Checkpoint(checkpoint_path(output), provenance.run_key, anew=run.force),
            progress=reporter.update,
            device=device,
        )
    network = in_half_precision(trained.network)
    scores = {
        "parameters": float(sum(value.numel() for value in network.parameters())),
        "rendered galaxies": float(config.n_galaxies),
    }
    training = {"settings": asdict(settings), "seed": run.seed, "rendered galaxies": config.n_galaxies}
    return Eye(denoiser, network, trained.truth_mean, trained.truth_std, scores | _named(trained.scores), training)


def _kept_eye(path: Path) -> Eye:
    """Return denoiser and network of an encoder that there is."""
    encoder = read_encoder(path)
    with open_artifact(path, "encoder") as artifact:
        scores = {str(row["measure"]): float(row["value"]) for row in artifact.table()}
        training = artifact.record("training") | {"denoiser and network of": artifact.content_sha256}
    return Eye(encoder.denoiser, encoder.network, encoder.truth_mean, encoder.truth_std, scores, training)


def _named(scores: Mapping[str, float]) -> dict[str, float]:
    return {name.replace("_", " ", 1): value for name, value in scores.items()}


def in_half_precision(module: Module) -> Module:
    """Return a network with weights as they will be read from a file."""
    module.load_state_dict({name: value.half().float() for name, value in module.state_dict().items()})
    return module.eval()


def make_examples(
    network: ConvNeXt,
    denoiser: Denoiser,
    scale: tuple[NDArray[np.float32], NDArray[np.float32]],
    n: int,
    seed: int,
    *,
    threads: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> Examples:
    """Render stamps and pictures, measure them, and show them to the network: what the reader learns from.

    Parameters
    ----------
    network : ConvNeXt
        A trained network.
    denoiser : Denoiser
        That with which it was trained.
    scale : tuple of ndarray, each of shape (truths,)
        Mean and standard deviation of the truths.
    n, seed : int
        Number of galaxies, and root seed.
    threads : int
        Processes that work; never changes a result.
    progress : callable
        Told the number of galaxies done.
    """
    work = partial(_examples, network, denoiser, scale, seed, n)
    parts = []
    with ExitStack() as stack:
        every: Callable[..., Iterable[Examples]] = map
        if threads > 1:
            every = stack.enter_context(get_context("spawn").Pool(threads, _one_thread)).imap
        for part in every(work, range(0, n, _TOGETHER)):
            if stop_requested():
                raise InterruptedRunError("interrupted while stamps were rendered; run again with --resume")
            parts.append(part)
            progress(min(len(parts) * _TOGETHER, n))
    return joined_examples(parts)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _examples(
    network: ConvNeXt,
    denoiser: Denoiser,
    scale: tuple[NDArray[np.float32], NDArray[np.float32]],
    seed: int,
    n: int,
    first: int,
) -> Examples:
    stamps = varied_stamps(seed, first, min(first + _TOGETHER, n))
    rows, view, _ = describing.viewed(stamps, measure(stamps))
    stamps = stamps.rows(rows)
    seen = see(network, denoiser, stamps, view)
    mean, std = scale
    truths = standardised(np.column_stack([stamps.columns[name] for name in TRUTH]).astype(np.float32))
    classes = np.array([CLASSES.index(name) for name in stamps.columns["morphology"]])
    return Examples(seen, classes, ((truths - mean) / std).astype(np.float32))


def make_reference(
    encoder: Encoder, n: int, seed: int, *, threads: int = 1, progress: Callable[[int], None] = lambda done: None
) -> Reference:
    """Return what encoder and measurements say of galaxies that are rendered for it."""
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
