"""The baseline from stamps to groups: stretch, denoise, unroll, encode, reduce, cluster three times, vote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.flags import UNUSABLE
from astropipe.morphology.paper.clustering import cluster
from astropipe.morphology.paper.convnext import load_convnext, random_convnext_atto
from astropipe.morphology.paper.denoiser import denoise, train_denoiser
from astropipe.morphology.paper.efficientnet import load_efficientnet_lite0
from astropipe.morphology.paper.polar import polar_strips
from astropipe.morphology.paper.reduction import most_components, reduce_features
from astropipe.morphology.paper.stretch import grey_levels
from astropipe.morphology.paper.vote import VoteRule, vote
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.seeds import stream

EncoderName = Literal["convnext-folder", "efficientnet-lite0", "random-convnext-atto"]
Encode = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
_STAGE = "morphology.paper"


@dataclass(frozen=True)
class PaperSettings:
    """Settings of the baseline; the defaults are those of the authors' code, but for the encoder's weights.

    Attributes
    ----------
    encoder : str
        ``convnext-folder`` (the paper's), ``efficientnet-lite0`` or ``random-convnext-atto``.
    convnext_folder : path, optional
        Of ``convnext-folder``: configuration and weights, see `load_convnext`.
    n_groups : int
        Clusters of each method.
    n_components : int
        Principal axes of the features; as many as there are if the data have fewer.
    rule : str
        What it means that the clusterings agree, see `astropipe.morphology.paper.vote`.
    denoiser_steps : int
        Batches with which the denoiser is trained on the stamps; 0 leaves it out. A batch takes 2 to 4 s of one
        core with stamps of 100 pixels: hours in all.
    seed : int
        Of all that is drawn.
    device : str
        Of torch.
    """

    encoder: EncoderName = "convnext-folder"
    convnext_folder: Path | None = None
    n_groups: int = 20
    n_components: int = 800
    rule: VoteRule = "overwrite"
    denoiser_steps: int = 2000
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class PaperResult:
    """Groups of galaxies.

    Attributes
    ----------
    groups : ndarray of int64, shape (n,)
        Group of k-means, 0 to n_groups - 1; -1 of a stamp that is not usable.
    kept : ndarray of bool, shape (n,)
        Whether all three clusterings agree.
    features : ndarray, shape (n, n_features)
        Of the encoder, before the reduction; NaN of a stamp that is not usable.
    n_components : int
        Principal axes that were used.
    messages : tuple of str
        What was done otherwise than asked.
    """

    groups: NDArray[np.int64]
    kept: NDArray[np.bool_]
    features: NDArray[np.float64]
    n_components: int
    messages: tuple[str, ...] = ()


def classify_as_paper(stamps: Stamps, settings: PaperSettings, *, encode: Encode | None = None) -> PaperResult:
    """Group galaxies as the paper does.

    Stamps that are flagged unusable have no part in it. Masks are not used: the authors leave neighbours in.

    Parameters
    ----------
    stamps : Stamps
        The paper's are 100 pixels of 0.03 arcsec wide.
    settings : PaperSettings
        See there.
    encode : callable, optional
        Takes the place of the encoder of the settings: from 8-bit strips (n, 125, 2 size) to features (n, n_features).

    Raises
    ------
    UsageError
        If a setting is not known, or the folder of the encoder is missing.
    MissingDependencyError
        If the encoder needs a library that is not installed.
    InputError
        If there are too few or too many galaxies, or the encoder's weights cannot be used.
    """
    usable = np.flatnonzero((stamps.flags & int(UNUSABLE)) == 0)
    if len(usable) < max(settings.n_groups, 2):
        raise InputError(
            f"{len(usable)} usable stamps cannot make {settings.n_groups} groups; lower n_groups or give more galaxies"
        )
    encode = encode or make_encoder(settings)
    features = encode(paper_strips(stamps.images[usable], settings))
    groups, kept, n_components, messages = group_features(features, settings)
    everything = PaperResult(
        np.full(len(stamps), -1, dtype=np.int64),
        np.zeros(len(stamps), dtype=bool),
        np.full((len(stamps), features.shape[1]), np.nan),
        n_components,
        messages,
    )
    everything.groups[usable], everything.kept[usable], everything.features[usable] = groups, kept, features
    return everything


def make_encoder(settings: PaperSettings) -> Encode:
    """Load the encoder that the settings name."""
    if settings.encoder == "convnext-folder":
        if settings.convnext_folder is None:
            raise UsageError(
                "encoder='convnext-folder' needs convnext_folder: a folder with config.json and the weights"
            )
        return load_convnext(settings.convnext_folder, device=settings.device)
    if settings.encoder == "efficientnet-lite0":
        return load_efficientnet_lite0(device=settings.device)
    if settings.encoder == "random-convnext-atto":
        return random_convnext_atto(stream(settings.seed, f"{_STAGE}.encoder"), device=settings.device)
    raise UsageError(f"encoder={settings.encoder!r} is not known; choose from {', '.join(get_args(EncoderName))}")


def paper_strips(images: NDArray[np.float32], settings: PaperSettings) -> NDArray[np.uint8]:
    """Bring linear images (n, size, size) to the polar strips that are encoded, shape (n, 125, 2 size)."""
    grey = grey_levels(images)
    if settings.denoiser_steps:
        rng = stream(settings.seed, f"{_STAGE}.denoiser")
        grey = denoise(train_denoiser(grey, rng, settings.denoiser_steps, device=settings.device), grey)
    return polar_strips(grey)


def group_features(
    features: NDArray[np.float64], settings: PaperSettings
) -> tuple[NDArray[np.int64], NDArray[np.bool_], int, tuple[str, ...]]:
    """Reduce features (n, n_features), cluster and vote; return groups, kept, axes used and messages."""
    most = most_components(*features.shape)
    n_components = min(settings.n_components, most)
    messages: tuple[str, ...] = ()
    if n_components < settings.n_components:
        messages = (
            f"{len(features)} galaxies with {features.shape[1]} features have {most} principal axes: "
            f"{most} are used, not {settings.n_components}",
        )
    reduced = reduce_features(features, n_components)
    found = cluster(reduced.values, settings.n_groups, stream(settings.seed, f"{_STAGE}.clustering"))
    result = vote(found.k_means, (found.ward, found.birch), settings.n_groups, settings.rule)
    return result.groups, result.kept, n_components, messages
