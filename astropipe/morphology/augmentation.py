"""Rendered galaxies as many telescopes would see them: what the encoder learns to look through.

A view turns, mirrors, scales and shifts a galaxy, adds companions and stars, blurs it, adds noise with or without
correlation, loses a part, and stretches it as surveys and picture-makers do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from astropipe.morphology.standard import RADII_IN_VIEW, SOFTENING_IN_SKY_RMS, stretched, turned_and_scaled


def uniform(n: int, low: float, high: float, rng: torch.Generator) -> torch.Tensor:
    """Return uniform random numbers, shape (n,)."""
    return low + (high - low) * torch.rand(n, generator=rng)


def log_uniform(n: int, low: float, high: float, rng: torch.Generator) -> torch.Tensor:
    """Return random numbers whose logarithm is uniform, shape (n,)."""
    return torch.exp(uniform(n, math.log(low), math.log(high), rng))


def view(images: torch.Tensor, r50_px: torch.Tensor, size: int, rng: torch.Generator) -> torch.Tensor:
    """Return one random view of each galaxy, as the network sees it.

    Parameters
    ----------
    images : Tensor, shape (n, rows, rows)
        Galaxies without noise, of unit flux.
    r50_px : Tensor, shape (n,)
        Their half-light radii.
    size : int
        Rows and columns of the views.
    rng : torch.Generator
        All that is random.

    Returns
    -------
    Tensor, shape (n, size, size)
        See `astropipe.morphology.standard.stretched`.
    """
    n = len(images)
    look = _look(n, rng)
    # A picture is scaled by the radius that one measures in it: its stretch lifts the faint outer parts.
    apparent = torch.where(look.linear, r50_px, _radius_in_picture(images, r50_px, look))
    r50 = size / (2 * RADII_IN_VIEW) / log_uniform(n, 0.7, 1.4, rng) * r50_px / apparent
    scale = r50_px / r50
    shift = torch.randn(n, 2, generator=rng) * (0.06 * r50_px)[:, None]
    seen = (
        turned_and_scaled(
            images,
            size,
            scale,
            angle=uniform(n, 0.0, 2 * math.pi, rng),
            flip=torch.sign(torch.rand(n, generator=rng) - 0.5),
            centre=shift,
        )
        * (scale**2)[:, None, None]
    )
    seen = seen + _companions(images, r50_px, r50, size, rng)
    return _displayed(_recorded(seen, r50, look, rng), r50, look, rng)


@dataclass(frozen=True)
class _Look:
    """How galaxies are recorded and shown; each a tensor of shape (n,).

    `snr` is the signal-to-noise ratio inside the half-light radius; `softening` that of the stretch, in units of that
    of `standard`. `linear` ones are stamps. The others are pictures, whose sky may be cut at black and whose core at
    `white`, a share of the stretched peak.
    """

    snr: torch.Tensor
    linear: torch.Tensor
    softening: torch.Tensor
    black: torch.Tensor
    white: torch.Tensor

    def sky_rms(self, r50: torch.Tensor) -> torch.Tensor:
        """Return the noise of a pixel for galaxies of unit flux and given radii in pixels."""
        return 0.5 / (self.snr * math.sqrt(math.pi) * r50)

    def soft(self, r50: torch.Tensor) -> torch.Tensor:
        """Return the brightness at which the stretch turns logarithmic."""
        return SOFTENING_IN_SKY_RMS * self.softening * self.sky_rms(r50)


def _look(n: int, rng: torch.Generator) -> _Look:
    linear = torch.rand(n, generator=rng) < 0.5
    softening = torch.where(linear, 1.0, log_uniform(n, 0.3, 30.0, rng))
    black = torch.where(~linear & (torch.rand(n, generator=rng) < 0.4), 0.0, -1.0)
    saturated = ~linear & (torch.rand(n, generator=rng) < 0.6)
    white = torch.where(saturated, uniform(n, 0.45, 1.0, rng), 1.2)
    return _Look(log_uniform(n, 20.0, 1000.0, rng), linear, softening, black, white)


def _radius_in_picture(images: torch.Tensor, r50_px: torch.Tensor, look: _Look) -> torch.Tensor:
    """Return the half-light radii in pixels that the galaxies have once stretched, shape (n,)."""
    shown = _shown(images, look.soft(r50_px), look)
    rows = images.shape[-1]
    axis = torch.arange(rows) - (rows - 1) / 2
    radius = torch.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    ring = torch.clamp(radius, max=rows / 2 - 0.5).to(torch.int64).flatten()
    light = torch.zeros(len(images), rows // 2).index_add_(1, ring, shown.clamp(min=0).flatten(1)).cumsum(dim=1)
    return 1.0 + (light < 0.5 * light[:, -1:]).sum(dim=1)


def _shown(images: torch.Tensor, softening: torch.Tensor, look: _Look) -> torch.Tensor:
    shown = stretched(images, softening)
    shown = torch.minimum(torch.maximum(shown, look.black[:, None, None]), look.white[:, None, None])
    return shown / torch.clamp(look.white, max=1.0)[:, None, None]


def _companions(
    images: torch.Tensor, r50_px: torch.Tensor, r50: torch.Tensor, size: int, rng: torch.Generator
) -> torch.Tensor:
    """Return smaller galaxies of the same batch beside a third of the galaxies."""
    n = len(images)
    other = torch.randperm(n, generator=rng)
    smaller = log_uniform(n, 0.12, 0.5, rng)
    scale = r50_px[other] / (r50 * smaller)
    apart, turn = r50 * uniform(n, 1.6, 3.2, rng), uniform(n, 0.0, 2 * math.pi, rng)
    place = torch.stack((torch.cos(turn), torch.sin(turn)), dim=1) * (apart * scale)[:, None]
    light = log_uniform(n, 0.01, 0.5, rng) * (torch.rand(n, generator=rng) < 0.35)
    beside = turned_and_scaled(images[other], size, scale, centre=-place)
    return beside * (light * scale**2)[:, None, None]


def _recorded(images: torch.Tensor, r50: torch.Tensor, look: _Look, rng: torch.Generator) -> torch.Tensor:
    """Return blurred images with noise."""
    n, size = len(images), images.shape[-1]
    k2 = torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size)[None, :] ** 2
    sigma = (log_uniform(n, 0.06, 1.2, rng) * r50 / 2.355)[:, None, None]
    exponent = torch.where(torch.rand(n, generator=rng) < 0.5, 1.0, 5 / 6)[:, None, None]
    blur = torch.exp(-((2 * math.pi**2 * sigma**2 * k2) ** exponent))
    # Noise of pixels larger than those of the view, or of images that were resampled, is correlated.
    correlation = (2.5 * uniform(n, 0.0, 1.0, rng) ** 2)[:, None, None]
    colour = torch.exp(-2 * math.pi**2 * correlation**2 * k2)
    noise = torch.fft.irfft2(torch.fft.rfft2(torch.randn(n, size, size, generator=rng)) * colour, s=(size, size))
    noise = noise / noise.std(dim=(1, 2), keepdim=True)
    sky_rms = look.sky_rms(r50)[:, None, None]
    blurred = torch.fft.irfft2(torch.fft.rfft2(images) * blur, s=(size, size))
    # Photons of the galaxy itself make noise too where it is much brighter than the sky.
    photons = torch.clamp(blurred, min=0.0) * sky_rms / log_uniform(n, 3.0, 300.0, rng)[:, None, None]
    offset = 0.15 * torch.randn(n, generator=rng)[:, None, None] * sky_rms
    return blurred + torch.sqrt(sky_rms**2 + photons) * noise + offset


def _displayed(images: torch.Tensor, r50: torch.Tensor, look: _Look, rng: torch.Generator) -> torch.Tensor:
    """Return images as the network sees stamps, or pictures stretched by anything between that and a linear scale."""
    return _shown(_holes(images, rng), look.soft(r50), look)


def _holes(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Fill a round part of some images by the part opposite, as the mask of a neighbour is filled."""
    n, size = len(images), images.shape[-1]
    turn, apart = uniform(n, 0.0, 2 * math.pi, rng), size * uniform(n, 0.22, 0.5, rng)
    radius = size * uniform(n, 0.04, 0.18, rng) * (torch.rand(n, generator=rng) < 0.25)
    axis = torch.arange(size) - (size - 1) / 2
    x, y = apart * torch.cos(turn), apart * torch.sin(turn)
    distance2 = (axis[None, None, :] - x[:, None, None]) ** 2 + (axis[None, :, None] - y[:, None, None]) ** 2
    return torch.where(distance2 < radius[:, None, None] ** 2, images.flip(1, 2), images)
