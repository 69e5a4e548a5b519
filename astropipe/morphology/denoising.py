"""A light denoiser of stamps that has never seen a galaxy without noise: noise2noise on pairs of simulated exposures.

Two exposures of a galaxy have the same light and different noise. A network that guesses one from the other can do no
better than to give the light (Lehtinen et al. 2018, arXiv 1803.04189), because the noise of the other has no mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.rendering.components import roughness
from astropipe.morphology.rendering.galaxies import render
from astropipe.morphology.rendering.survey import convolved
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.seeds import stream

_SIZE = 64
_R50_PX = (3.0, 14.0)
_FWHM_PX = (1.5, 5.0)
_SNR = (15.0, 300.0)
_CORRELATION_PX = (0.0, 0.8)
_TOGETHER = 64


@dataclass(frozen=True)
class DenoiserSettings:
    """Size and schedule of a denoiser.

    Attributes
    ----------
    channels, layers : int
        Of its 3 x 3 convolutions.
    pairs, batch, steps : int
        Pairs of exposures, how many of them are seen together, and how often.
    learning_rate : float
        Of Adam; it falls as a cosine.
    """

    channels: int = 24
    layers: int = 7
    pairs: int = 2000
    batch: int = 32
    steps: int = 800
    learning_rate: float = 2e-3


class Denoiser(nn.Module):
    """Convolutions that guess the noise of an image in units of its sky noise, of any size."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        widths = (2, *[channels] * (layers - 1), 1)
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            parts += [nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
        self.noise = nn.Sequential(*parts[:-1])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images, shape (n, rows, columns), without what looks like noise."""
        # Both scales: that of the noise, and that of bright cores.
        seen = torch.stack((torch.asinh(images), torch.tanh(images / 3.0)), dim=1)
        return images - self.noise(seen)[:, 0]


def exposures(seed: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return pairs of exposures of n rendered galaxies in units of the sky noise, each of shape (n, 64, 64)."""
    pairs = np.empty((2, n, _SIZE, _SIZE), dtype=np.float32)
    for i in range(n):
        rng = stream(seed, "morphology.denoise", i)
        galaxy = render(CLASSES[i % len(CLASSES)], rng, size=_SIZE, r50_px=float(rng.uniform(*_R50_PX)))
        flux = np.exp(rng.uniform(*np.log(_SNR))) * np.sqrt(np.pi) * galaxy.r50_px / 0.5
        light = convolved(galaxy.image, rng.uniform(*_FWHM_PX), rng.uniform(-0.5, 0.5, 2)) * np.float32(flux)
        cutoff = 2 * np.pi * rng.uniform(*_CORRELATION_PX)
        for exposure in pairs[:, i]:
            exposure[:] = light + roughness(_SIZE, rng, slope=0.0, cutoff_px=cutoff)
    return pairs[0], pairs[1]


def train_denoiser(
    settings: DenoiserSettings | None = None, *, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> Denoiser:
    """Train a denoiser; some minutes on one core with the default settings.

    Parameters
    ----------
    settings : DenoiserSettings, optional
        Size and schedule.
    seed : int
        Root of the random streams.
    progress : callable
        Told the number of steps done.

    Returns
    -------
    Denoiser
        In evaluation mode.
    """
    settings = settings or DenoiserSettings()
    rng = stream(seed, "morphology.denoise.train")
    torch.manual_seed(int(rng.integers(2**62)))
    one, other = (torch.from_numpy(images) for images in exposures(seed, settings.pairs))
    denoiser = Denoiser(settings.channels, settings.layers)
    optimiser = torch.optim.Adam(denoiser.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    for step in range(settings.steps):
        rows = torch.from_numpy(rng.integers(settings.pairs, size=settings.batch))
        first, second = (one, other) if step % 2 else (other, one)
        loss = functional.mse_loss(denoiser(first[rows]), second[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        progress(step + 1)
    return denoiser.eval()


def denoised(stamps: Stamps, denoiser: Denoiser) -> Stamps:
    """Return stamps without what looks like noise; masks, flags and the noise they had stay as they were.

    Parameters
    ----------
    stamps : Stamps
        Linear images less the sky, of known noise.
    denoiser : Denoiser
        From `train_denoiser`.
    """
    images = np.empty_like(stamps.images)
    with torch.inference_mode():
        for first in range(0, len(stamps), _TOGETHER):
            rows = slice(first, first + _TOGETHER)
            unit = stamps.sky_rms[rows, None, None].astype(np.float32)
            images[rows] = denoiser(torch.from_numpy(stamps.images[rows] / unit)).numpy() * unit
    return replace(stamps, images=images)
