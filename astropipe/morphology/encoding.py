"""Stamps to features, with the shipped encoder or one of its replacements.

Every encoder takes stamps and half-light radii, and returns numbers that do not depend on how a galaxy is turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.denoiser import Denoiser
from astropipe.morphology.network import ConvNeXt
from astropipe.morphology.polar import fourier_features
from astropipe.morphology.profiles import ring_profiles
from astropipe.morphology.reader import Reader
from astropipe.morphology.rendering.galaxies import TRUTH
from astropipe.morphology.stamps import Stamps
from astropipe.morphology.standard import filled, network_input

Precision = Literal["float32", "bfloat16"]
# Few enough galaxies that what the network makes of them stays in the cache, and in memory that need not be asked for
# again and again; of fewer its weights would be read too often.
_TOGETHER = 24


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


@dataclass(frozen=True)
class View:
    """How n galaxies are looked at.

    Attributes
    ----------
    r50_px : ndarray, shape (n,)
        Half-light radii in pixels of the stamps; finite and positive.
    centre_px : ndarray, shape (n, 2)
        Column and row of the centres in the stamps, from 0.
    linear : ndarray of bool, shape (n,)
        False for pictures stretched for display.
    """

    r50_px: NDArray[np.floating]
    centre_px: NDArray[np.floating]
    linear: NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """What is seen of n galaxies before it is read: arguments of `astropipe.morphology.reader.Reader`.

    Attributes
    ----------
    features : ndarray of float32, shape (n, n_features)
        Of the network.
    profile : ndarray of float32, shape (n, n_profile)
        See `astropipe.morphology.profiles.ring_profiles`.
    linear : ndarray of bool, shape (n,)
        Whether the profile says something.
    """

    features: NDArray[np.float32]
    profile: NDArray[np.float32]
    linear: NDArray[np.bool_]


def see(network: ConvNeXt, denoiser: Denoiser, stamps: Stamps, view: View, precision: Precision = "float32") -> Seen:
    """Return what a network and the rings say of stamps.

    Parameters
    ----------
    network : ConvNeXt
        A trained network.
    denoiser : Denoiser
        That with which it was trained.
    stamps : Stamps
        The galaxies.
    view : View
        How to look at them.
    precision : {"float32", "bfloat16"}
        Of the matrix products of denoiser and network.
    """
    size = network.architecture.input_px
    parts: list[NDArray[np.float32]] = [np.empty((0, network.architecture.widths[-1]), dtype=np.float32)]
    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(), half:
        for start in range(0, len(stamps), _TOGETHER):
            rows = slice(start, start + _TOGETHER)
            seen = network_input(
                torch.from_numpy(np.ascontiguousarray(stamps.images[rows])),
                torch.from_numpy(np.ascontiguousarray(stamps.masks[rows])),
                torch.from_numpy(stamps.sky_rms[rows].astype(np.float32)),
                torch.from_numpy(np.asarray(view.r50_px[rows], dtype=np.float32)),
                torch.from_numpy(np.ascontiguousarray(view.linear[rows])),
                size,
                denoiser,
                torch.from_numpy(np.asarray(view.centre_px[rows] - (stamps.size - 1) / 2, dtype=np.float32)),
            )
            parts.append(network.features(seen).float().numpy())
    fwhm_px = stamps.psf_fwhm_arcsec / stamps.pixel_scale_arcsec
    known = view.linear & np.isfinite(stamps.sky_rms) & (stamps.sky_rms > 0)
    sky_rms = np.where(known, stamps.sky_rms, 1.0)
    profile = ring_profiles(stamps.images, stamps.masks, sky_rms, view.r50_px, view.centre_px, fwhm_px)
    return Seen(np.concatenate(parts), profile, known)


def encode(seen: Seen, reader: Reader, *, truth_mean: NDArray[np.floating], truth_std: NDArray[np.floating]) -> Encoded:
    """Return what a reader says of what was seen.

    Parameters
    ----------
    seen : Seen
        From `see`.
    reader : Reader
        A trained reader.
    truth_mean, truth_std : ndarray, shape (truths,)
        By which truths were standardised.
    """
    with torch.inference_mode():
        embedding, logits, truths = reader(
            torch.from_numpy(seen.features), torch.from_numpy(seen.profile), torch.from_numpy(seen.linear)
        )
        probabilities = torch.softmax(logits, dim=1).numpy()
    truths = truths.numpy() * truth_std + truth_mean
    return Encoded(seen.features, embedding.numpy(), probabilities, truths.astype(np.float32))


def encode_by_harmonics(stamps: Stamps, r50_px: NDArray[np.floating]) -> Encoded:
    """Return the features of `astropipe.morphology.polar.fourier_features`, where no network is wanted."""
    images = filled(torch.from_numpy(stamps.images), torch.from_numpy(stamps.masks)).numpy()
    return featured(fourier_features(images, r50_px, stamps.sky_rms))


def featured(features: NDArray[np.float32]) -> Encoded:
    """Return what an encoder says that has features only."""
    n = len(features)
    unknown = (np.full((n, len(names)), np.nan, dtype=np.float32) for names in (CLASSES, TRUTH))
    return Encoded(features, features, *unknown)
