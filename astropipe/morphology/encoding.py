"""Stamps to features, with the shipped encoder or one of its replacements.

Every encoder takes stamps and half-light radii, and returns numbers that do not depend on how a galaxy is turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.network import ConvNeXt
from astropipe.morphology.polar import fourier_features
from astropipe.morphology.rendering.galaxies import TRUTH
from astropipe.morphology.stamps import Stamps
from astropipe.morphology.standard import filled, network_input

BATCH = 64
"""Stamps that go through the network together."""
# Turns by quarters and reflections, exact on the grid of pixels, over which features are averaged: number of quarters,
# and whether it is mirrored. Half of the eight: that the network was trained on turned galaxies does the rest.
_TURNS = ((0, False), (1, False), (2, True), (3, True))


@dataclass(frozen=True)
class Encoded:
    """What an encoder says of n galaxies.

    Attributes
    ----------
    features : ndarray of float32, shape (n, n_features)
        For probes and neighbours.
    embedding : ndarray of float32, shape (n, n_embedding)
        For clustering; of encoders without one the features.
    probabilities : ndarray of float32, shape (n, classes)
        Of the classes of rendered galaxies; NaN from encoders that know none.
    truths : ndarray of float32, shape (n, truths)
        What it reads of `astropipe.morphology.rendering.galaxies.TRUTH`; NaN from encoders that read nothing.
    """

    features: NDArray[np.float32]
    embedding: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    truths: NDArray[np.float32]


def encode(
    network: ConvNeXt,
    stamps: Stamps,
    r50_px: NDArray[np.floating],
    linear: NDArray[np.bool_],
    *,
    truth_mean: NDArray[np.floating],
    truth_std: NDArray[np.floating],
) -> Encoded:
    """Return what a network says of stamps.

    Parameters
    ----------
    network : ConvNeXt
        A trained network.
    stamps : Stamps
        The galaxies.
    r50_px : ndarray, shape (n,)
        Half-light radii in pixels of the stamps; finite and positive.
    linear : ndarray of bool, shape (n,)
        False for pictures stretched for display.
    truth_mean, truth_std : ndarray, shape (truths,)
        By which truths were standardised.
    """
    size = network.architecture.input_px
    parts: list[list[NDArray[np.float32]]] = []
    with torch.inference_mode():
        for start in range(0, len(stamps), BATCH):
            rows = slice(start, start + BATCH)
            seen = network_input(
                torch.from_numpy(np.ascontiguousarray(stamps.images[rows])),
                torch.from_numpy(np.ascontiguousarray(stamps.masks[rows])),
                torch.from_numpy(stamps.sky_rms[rows].astype(np.float32)),
                torch.from_numpy(np.asarray(r50_px[rows], dtype=np.float32)),
                torch.from_numpy(np.ascontiguousarray(linear[rows])),
                size,
            )
            parts.append([value.numpy() for value in _averaged(network, seen)])
    features, embedding, probabilities, truths = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Encoded(features, embedding, probabilities, (truths * truth_std + truth_mean).astype(np.float32))


def _averaged(network: ConvNeXt, seen: torch.Tensor) -> tuple[torch.Tensor, ...]:
    views = [(seen.flip(2) if mirrored else seen).rot90(quarters, (1, 2)) for quarters, mirrored in _TURNS]
    features = torch.stack([network.features(one) for one in views])
    embedding = network.embed(features)
    probabilities = torch.softmax(network.class_head(embedding), dim=2)
    return tuple(value.mean(dim=0) for value in (features, embedding, probabilities, network.truth_head(embedding)))


def encode_by_harmonics(stamps: Stamps, r50_px: NDArray[np.floating]) -> Encoded:
    """Return the features of `astropipe.morphology.polar.fourier_features`, where no network is wanted."""
    images = filled(torch.from_numpy(stamps.images), torch.from_numpy(stamps.masks)).numpy()
    return featured(fourier_features(images, r50_px, stamps.sky_rms))


def featured(features: NDArray[np.float32]) -> Encoded:
    """Return what an encoder says that has features only."""
    n = len(features)
    unknown = (np.full((n, len(names)), np.nan, dtype=np.float32) for names in (CLASSES, TRUTH))
    return Encoded(features, features, *unknown)
