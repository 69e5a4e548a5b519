"""Training of the reader on rendered stamps that went through all that real ones go through: measured, then encoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from astropipe.morphology.encoding import Seen
from astropipe.morphology.reader import Reader, ReaderSizes
from astropipe.runtime.seeds import stream

_BATCH = 256
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 0.05
_DROPOUT = 0.3
_WARM_UP_STEPS = 100
_LABEL_SMOOTHING = 0.02
_VALIDATION_SHARE = 0.05
# So often the profile of a stamp is held back, that the reader can do without.
_HELD_BACK = 0.1


@dataclass(frozen=True)
class Examples:
    """What a reader learns from, n galaxies.

    Attributes
    ----------
    seen : Seen
        What the reader reads.
    classes : ndarray of int64, shape (n,)
        Places in `astropipe.morphology.classes.CLASSES`.
    truths : ndarray of float32, shape (n, truths)
        Standardised; NaN where one has no meaning.
    """

    seen: Seen
    classes: NDArray[np.int64]
    truths: NDArray[np.float32]


def joined_examples(parts: Sequence[Examples]) -> Examples:
    """Return the examples of several parts as one."""
    seen = (np.concatenate([getattr(part.seen, name) for part in parts]) for name in ("features", "profile", "linear"))
    return Examples(
        Seen(*seen), np.concatenate([part.classes for part in parts]), np.concatenate([part.truths for part in parts])
    )


def train_reader(examples: Examples, n_classes: int, epochs: int, seed: int) -> tuple[Reader, dict[str, float]]:
    """Train a reader.

    Parameters
    ----------
    examples : Examples
        The last twentieth is for the scores only.
    n_classes, epochs : int
        Number of classes, and how often all are seen.
    seed : int
        Root of the random streams.

    Returns
    -------
    Reader
        In evaluation mode.
    dict of str to float
        Share of galaxies not seen whose class it tells: of stamps, and of pictures.
    """
    torch.manual_seed(int(stream(seed, "morphology.reader").integers(2**62)))
    features, profile, linear, classes, truths = (
        torch.from_numpy(np.ascontiguousarray(values))
        for values in (
            *(examples.seen.features, examples.seen.profile, examples.seen.linear),
            *(examples.classes, examples.truths),
        )
    )
    n_learned = len(classes) - max(1, int(_VALIDATION_SHARE * len(classes)))
    sizes = ReaderSizes(features=features.shape[1], profile=profile.shape[1], classes=n_classes, truths=truths.shape[1])
    reader = Reader(sizes, _DROPOUT)
    reader.standardise_by(features[:n_learned], profile[:n_learned][linear[:n_learned]])
    optimiser = torch.optim.AdamW(reader.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    batches = math.ceil(n_learned / _BATCH)
    reader.train()
    for step in range(epochs * batches):
        if step % batches == 0:
            order = torch.randperm(n_learned)
        rows = order[step % batches :: batches]
        for group in optimiser.param_groups:
            falling = 0.5 * (1 + math.cos(math.pi * step / (epochs * batches)))
            group["lr"] = _LEARNING_RATE * min((step + 1) / _WARM_UP_STEPS, falling)
        shown = linear[rows] & (torch.rand(len(rows)) >= _HELD_BACK)
        _, logits, read = reader(features[rows], profile[rows], shown)
        known = torch.isfinite(truths[rows])
        loss = functional.cross_entropy(logits, classes[rows], label_smoothing=_LABEL_SMOOTHING)
        loss = loss + functional.smooth_l1_loss(read[known], truths[rows][known])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    reader.eval()
    with torch.inference_mode():
        held = slice(n_learned, None)
        right = reader(features[held], profile[held], linear[held])[1].argmax(dim=1) == classes[held]
    kinds = {"stamps": linear[held], "pictures": ~linear[held]}
    return reader, {f"accuracy_{name}": float(right[rows].float().mean()) for name, rows in kinds.items()}
