"""Training of the encoder: two random views of each rendered galaxy, which shall tell the same and the truth.

The loss has two parts. Self-supervised: the embeddings of two views of one galaxy agree, while those of a batch spread
out and do not repeat each other (VICReg: Bardes, Ponce & LeCun 2022, eqs. 1-6). Supervised: heads on the embedding read
the class and the continuous truth that the renderer knows. No real galaxy and no human label takes part.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from astropipe.morphology.augmentation import view
from astropipe.morphology.classes import CLASSES
from astropipe.morphology.denoiser import Denoiser
from astropipe.morphology.library import Library, Light
from astropipe.morphology.network import Architecture, ConvNeXt
from astropipe.morphology.rendering.galaxies import TRUTH
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.seeds import stream

_STEPS_BETWEEN_CHECKPOINTS = 200
_WARM_UP = 0.05
_AVERAGE = 0.999
_VALIDATION_SHARE = 0.05


@dataclass(frozen=True)
class TrainingSettings:
    """Schedule of the training.

    Attributes
    ----------
    steps : int
        Batches.
    batch : int
        Galaxies of a batch, each seen twice.
    learning_rate, weight_decay : float
        Of AdamW (Loshchilov & Hutter 2019); the rate rises over the first steps and falls as a cosine.
    label_smoothing : float
        Share of the target probability that is spread over all classes.
    invariance, spread, decorrelation : float
        Weights of the three terms of VICReg.
    precision : {"float32", "bfloat16"}
        Of the products of matrices; the second is faster on processors that have it.
    """

    steps: int = 2000
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.02
    invariance: float = 1.0
    spread: float = 1.0
    decorrelation: float = 0.02
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True)
class Trained:
    """A trained encoder.

    Attributes
    ----------
    network : ConvNeXt
        Averaged over the last steps.
    truth_mean, truth_std : ndarray, shape (len(TRUTH),)
        By which the truths were standardised; the Sersic index as its natural logarithm.
    scores : dict of str to float
        Of galaxies that it has not seen: accuracy of the class, correlation of each truth.
    """

    network: ConvNeXt
    truth_mean: NDArray[np.float32]
    truth_std: NDArray[np.float32]
    scores: dict[str, float]


def standardised(truths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return truths as the network learns them: the Sersic index as its logarithm."""
    values = truths.copy()
    place = TRUTH.index("sersic_index")
    values[:, place] = np.log(np.maximum(values[:, place], 0.1))
    return values


def train(
    library: Library,
    denoiser: Denoiser,
    settings: TrainingSettings,
    seed: int,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[int], None] = lambda done: None,
    device: str = "cpu",
) -> Trained:
    """Train an encoder.

    Parameters
    ----------
    library : Library
        Rendered galaxies; the last twentieth is for the scores only.
    denoiser : Denoiser
        Of what the network sees.
    settings : TrainingSettings
        Schedule.
    seed : int
        Root of the random streams.
    checkpoint : Checkpoint, optional
        Where the state is kept, and from where an interrupted training goes on.
    progress : callable
        Told the number of steps done.
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    InterruptedRunError
        If the run was interrupted; the checkpoint is kept.
    """
    n_learned = len(library) - max(1, int(_VALIDATION_SHARE * len(library)))
    values = standardised(library.truths)
    mean, std = np.nanmean(values[:n_learned], axis=0), np.nanstd(values[:n_learned], axis=0) + 1e-6
    targets = torch.from_numpy((values - mean) / std)
    told = Told(library.on(device), torch.from_numpy(library.classes).to(device), targets.to(device))
    clearing = copy.deepcopy(denoiser).to(device)
    torch.manual_seed(seed)
    network = ConvNeXt(Architecture(classes=CLASSES, truths=TRUTH)).to(device)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
    )
    first = _restore(checkpoint, network, average, optimiser, device)
    for step in range(first, settings.steps):
        if stop_requested() or (checkpoint and step > first and step % _STEPS_BETWEEN_CHECKPOINTS == 0):
            _save(checkpoint, step, network, average, optimiser)
        if stop_requested():
            raise InterruptedRunError(f"interrupted after {step} steps, which are kept; run again with --resume")
        # A stream for each step, so that a training that goes on is the one that was not interrupted.
        rng = torch.Generator(device).manual_seed(int(stream(seed, "morphology.train", step).integers(2**62)))
        chosen = torch.randint(n_learned, (settings.batch,), generator=rng, device=device)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, settings.steps)
        loss = _loss(network, told, clearing, chosen, settings, rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 3.0)
        optimiser.step()
        _follow(average, network, step)
        progress(step + 1)
    held = slice(n_learned, len(library))
    return Trained(average.cpu().eval(), mean, std, score(average, library, denoiser, held, targets, seed))


def _rate(step: int, steps: int) -> float:
    warm = _WARM_UP * steps
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-3)


def _follow(average: ConvNeXt, network: ConvNeXt, step: int) -> None:
    weight = 1 - min(_AVERAGE, (step + 1) / (step + 10))
    with torch.no_grad():
        for mean, new in zip(average.parameters(), network.parameters(), strict=True):
            mean.lerp_(new, weight)


@dataclass(frozen=True)
class Told:
    """What a network is told of the galaxies of a library, on its device: light, classes, and standardised truths."""

    light: Light
    classes: torch.Tensor
    truths: torch.Tensor


def _loss(
    network: ConvNeXt,
    told: Told,
    denoiser: Denoiser,
    chosen: torch.Tensor,
    settings: TrainingSettings,
    rng: torch.Generator,
) -> torch.Tensor:
    size = network.architecture.input_px
    low = torch.autocast(rng.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
    with torch.no_grad(), low:
        light = told.light(chosen)
        pair = torch.cat([view(*light, size, rng, denoiser) for _ in range(2)])
    with low:
        embedding, logits, truths = (read.float() for read in network(pair))
    twice = torch.cat((chosen, chosen))
    wanted = told.truths[twice]
    known = torch.isfinite(wanted)
    read = functional.smooth_l1_loss(truths[known], wanted[known])
    named = functional.cross_entropy(logits, told.classes[twice], label_smoothing=settings.label_smoothing)
    first, second = embedding.chunk(2)
    agreement = functional.mse_loss(first, second)
    spread = torch.stack([functional.relu(1 - torch.sqrt(half.var(dim=0) + 1e-4)).mean() for half in (first, second)])
    repeated = torch.stack([_repetition(half) for half in (first, second)])
    return (
        named
        + read
        + settings.invariance * agreement
        + settings.spread * spread.mean()
        + settings.decorrelation * repeated.mean()
    )


def _repetition(embedding: torch.Tensor) -> torch.Tensor:
    centred = embedding - embedding.mean(dim=0)
    covariance = centred.T @ centred / (len(embedding) - 1)
    off_diagonal = covariance - torch.diag(torch.diagonal(covariance))
    return (off_diagonal**2).sum() / embedding.shape[1]


def score(
    network: ConvNeXt,
    library: Library,
    denoiser: Denoiser,
    rows: slice,
    targets: torch.Tensor,
    seed: int,
    batch: int = 128,
) -> dict[str, float]:
    """Return how well a network tells class and truths of one random view of each of some galaxies."""
    rng = torch.Generator().manual_seed(int(stream(seed, "morphology.score").integers(2**62)))
    places = torch.arange(*rows.indices(len(library)))
    network, light = network.cpu().eval(), library.on("cpu")
    logits, truths = [], []
    with torch.inference_mode():
        for chosen in places.split(batch):
            _, told, read = network(view(*light(chosen), network.architecture.input_px, rng, denoiser))
            logits.append(told)
            truths.append(read)
    found = torch.cat(logits).argmax(dim=1).numpy()
    scores = {"accuracy": float(np.mean(found == library.classes[rows]))}
    for i, name in enumerate(TRUTH):
        wanted, got = targets[rows, i].numpy(), torch.cat(truths)[:, i].numpy()
        known = np.isfinite(wanted)
        with np.errstate(invalid="ignore"):  # of a few galaxies, all may have the same truth
            scores[f"correlation_{name}"] = float(np.corrcoef(wanted[known], got[known])[0, 1])
    return scores


def _save(
    checkpoint: Checkpoint | None,
    step: int,
    network: ConvNeXt,
    average: ConvNeXt,
    optimiser: torch.optim.Optimizer,
) -> None:
    if checkpoint is None:
        return
    arrays: dict[str, NDArray[np.generic]] = {"step": np.array(step)}
    for prefix, module in (("network", network), ("average", average)):
        arrays |= {f"{prefix}.{name}": value.cpu().numpy() for name, value in module.state_dict().items()}
    for i, state in optimiser.state_dict()["state"].items():
        arrays |= {f"optimiser.{i}.{name}": value.cpu().numpy() for name, value in state.items()}
    checkpoint.save(arrays)


def _restore(
    checkpoint: Checkpoint | None,
    network: ConvNeXt,
    average: ConvNeXt,
    optimiser: torch.optim.Optimizer,
    device: str,
) -> int:
    arrays = checkpoint.load() if checkpoint else None
    if arrays is None:
        return 0
    for prefix, module in (("network", network), ("average", average)):
        module.load_state_dict(
            {name: torch.from_numpy(arrays[f"{prefix}.{name}"]).to(device) for name in module.state_dict()}
        )
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in arrays.items():
        if key.startswith("optimiser."):
            _, i, name = key.split(".")
            state.setdefault(int(i), {})[name] = torch.from_numpy(np.asarray(value))
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(arrays["step"])
