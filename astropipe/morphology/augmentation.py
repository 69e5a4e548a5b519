"""Rendered galaxies as many telescopes would see them: what the encoder learns to look through.

A view lays a galaxy along its axis, as far as noise lets that be seen, mirrors, scales and shifts it, adds companions
and stars, blurs it, adds noise with or without correlation, loses a part, and stretches it as surveys and
picture-makers do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from astropipe.morphology.denoiser import Denoiser
from astropipe.morphology.standard import (
    RADII_IN_VIEW,
    SOFTENING_IN_SKY_RMS,
    from_middle,
    moments,
    shown,
    stretched,
    turned_and_scaled,
)

# What is taken for the noise of the sky, in units of what it is: resampled pixels have less, and estimates err.
_TAKEN_FOR_NOISE = (0.8, 2.0)


def uniform(n: int, low: float, high: float, rng: torch.Generator) -> torch.Tensor:
    """Return uniform random numbers, shape (n,)."""
    return low + (high - low) * torch.rand(n, generator=rng, device=rng.device)


def log_uniform(n: int, low: float, high: float, rng: torch.Generator) -> torch.Tensor:
    """Return random numbers whose logarithm is uniform, shape (n,)."""
    return torch.exp(uniform(n, math.log(low), math.log(high), rng))


def view(
    images: torch.Tensor, r50_px: torch.Tensor, size: int, rng: torch.Generator, denoiser: Denoiser
) -> torch.Tensor:
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
    denoiser : Denoiser
        Of the second channel.

    Returns
    -------
    Tensor, shape (n, 2, size, size)
        See `astropipe.morphology.standard.shown`; both channels of pictures are the same.
    """
    look = _look(len(images), rng)
    light, r50 = _light(images, r50_px, size, look, rng)
    light = _blurred(light, r50, rng)
    recorded = _holes(_exposed(light, _noise(light, r50, look, rng), rng), rng)
    result = images.new_empty(len(images), 2, size, size)
    linear = look.linear
    result[linear] = shown(recorded[linear], look.sky_rms(r50)[linear], denoiser)
    result[~linear] = _pictured(recorded, look.soft(r50), look)[~linear, None]
    return result


def exposures(
    images: torch.Tensor, r50_px: torch.Tensor, size: int, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return two exposures of one random view of each galaxy: the same light, other noise.

    Parameters
    ----------
    images, r50_px, size, rng
        See `view`.

    Returns
    -------
    first, second : Tensor, shape (n, size, size)
        In units of the noise of the sky, about: what one takes for it is often wrong.
    variance : Tensor, shape (n, size, size)
        Of the noise, in the same units.
    """
    look = _look(len(images), rng)
    light, r50 = _light(images, r50_px, size, look, rng)
    light = _blurred(light, r50, rng)
    noise = _noise(light, r50, look, rng)
    unit = (look.sky_rms(r50) * log_uniform(len(images), *_TAKEN_FOR_NOISE, rng))[:, None, None]
    return _exposed(light, noise, rng) / unit, _exposed(light, noise, rng) / unit, (noise.sigma / unit) ** 2


def direction_in_noise(
    images: torch.Tensor, r50_px: torch.Tensor, snr: torch.Tensor, rng: torch.Generator
) -> torch.Tensor:
    """Return where the axes of galaxies would be found in noise; either half of an axis may be taken.

    Parameters
    ----------
    images, r50_px, rng
        See `view`.
    snr : Tensor, shape (n,)
        Signal-to-noise ratio inside of the half-light radii.

    Returns
    -------
    Tensor, shape (n,)
        As `astropipe.morphology.standard.Moments.direction`, in radians.
    """
    n = len(images)
    clean = moments(images, r50_px, images.new_zeros(n, 2))
    # The weighted sums of x² - y² and of 2 x y over a sky of standard deviation s have that of the square root of pi
    # times s r50³; s is 0.5 / (snr r50) over the same root.
    noise = 0.5 * r50_px**2 / snr
    xy, difference = noise * torch.randn(2, n, generator=rng, device=rng.device)
    angle = 0.5 * torch.atan2(clean.xy + xy, clean.difference + difference)
    return angle + math.pi * (torch.rand(n, generator=rng, device=rng.device) < 0.5)


def _light(
    images: torch.Tensor, r50_px: torch.Tensor, size: int, look: _Look, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the light of views, shape (n, size, size), and the radii that the galaxies have in them, shape (n,)."""
    n = len(images)
    # A picture is scaled by the radius that one measures in it: its stretch lifts the faint outer parts.
    apparent = torch.where(look.linear, r50_px, _radius_in_picture(images, r50_px, look))
    r50 = size / (2 * RADII_IN_VIEW) / log_uniform(n, 0.7, 1.4, rng) * r50_px / apparent
    scale = r50_px / r50
    shift = torch.randn(n, 2, generator=rng, device=rng.device) * (0.06 * r50_px)[:, None]
    seen = (
        turned_and_scaled(
            images,
            size,
            scale,
            angle=direction_in_noise(images, r50_px, look.snr, rng),
            flip=torch.sign(torch.rand(n, generator=rng, device=rng.device) - 0.5),
            centre=shift,
        )
        * (scale**2)[:, None, None]
    )
    return seen + _companions(images, r50_px, r50, size, rng), r50


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
    linear = torch.rand(n, generator=rng, device=rng.device) < 0.5
    softening = torch.where(linear, 1.0, log_uniform(n, 0.3, 30.0, rng))
    black = torch.where(~linear & (torch.rand(n, generator=rng, device=rng.device) < 0.4), 0.0, -1.0)
    saturated = ~linear & (torch.rand(n, generator=rng, device=rng.device) < 0.6)
    white = torch.where(saturated, uniform(n, 0.45, 1.0, rng), 1.2)
    return _Look(log_uniform(n, 20.0, 1000.0, rng), linear, softening, black, white)


def _radius_in_picture(images: torch.Tensor, r50_px: torch.Tensor, look: _Look) -> torch.Tensor:
    """Return the half-light radii in pixels that the galaxies have once stretched, shape (n,)."""
    picture = _pictured(images, look.soft(r50_px), look)
    rows = images.shape[-1]
    axis = from_middle(rows, images.device)
    radius = torch.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    ring = torch.clamp(radius, max=rows / 2 - 0.5).to(torch.int64).flatten()
    light = images.new_zeros(len(images), rows // 2).index_add_(1, ring, picture.clamp(min=0).flatten(1)).cumsum(dim=1)
    return 1.0 + (light < 0.5 * light[:, -1:]).sum(dim=1)


def _pictured(images: torch.Tensor, softening: torch.Tensor, look: _Look) -> torch.Tensor:
    """Return images stretched by anything between what the network sees of stamps and a linear scale, then cut."""
    picture = stretched(images, softening)
    picture = torch.minimum(torch.maximum(picture, look.black[:, None, None]), look.white[:, None, None])
    return picture / torch.clamp(look.white, max=1.0)[:, None, None]


def _companions(
    images: torch.Tensor, r50_px: torch.Tensor, r50: torch.Tensor, size: int, rng: torch.Generator
) -> torch.Tensor:
    """Return smaller galaxies of the same batch beside a third of the galaxies."""
    n = len(images)
    other = torch.randperm(n, generator=rng, device=rng.device)
    smaller = log_uniform(n, 0.12, 0.5, rng)
    scale = r50_px[other] / (r50 * smaller)
    apart, turn = r50 * uniform(n, 1.6, 3.2, rng), uniform(n, 0.0, 2 * math.pi, rng)
    place = torch.stack((torch.cos(turn), torch.sin(turn)), dim=1) * (apart * scale)[:, None]
    light = log_uniform(n, 0.01, 0.5, rng) * (torch.rand(n, generator=rng, device=rng.device) < 0.35)
    beside = turned_and_scaled(images[other], size, scale, centre=-place)
    return beside * (light * scale**2)[:, None, None]


def _blurred(images: torch.Tensor, r50: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    n, size = len(images), images.shape[-1]
    sigma = (log_uniform(n, 0.06, 1.2, rng) * r50 / 2.355)[:, None, None]
    exponent = torch.where(torch.rand(n, generator=rng, device=rng.device) < 0.5, 1.0, 5 / 6)[:, None, None]
    blur = torch.exp(-((2 * math.pi**2 * sigma**2 * _wave_numbers2(size, rng.device)) ** exponent))
    return torch.fft.irfft2(torch.fft.rfft2(images) * blur, s=(size, size))


def _wave_numbers2(size: int, device: torch.device) -> torch.Tensor:
    return torch.fft.fftfreq(size, device=device)[:, None] ** 2 + torch.fft.rfftfreq(size, device=device)[None, :] ** 2


@dataclass(frozen=True)
class _Noise:
    """What the exposures of n views share: standard deviation and level, and how the noise is coloured."""

    sigma: torch.Tensor
    level: torch.Tensor
    colour: torch.Tensor


def _noise(light: torch.Tensor, r50: torch.Tensor, look: _Look, rng: torch.Generator) -> _Noise:
    n, size = len(light), light.shape[-1]
    # Noise of pixels larger than those of the view, or of images that were resampled, is correlated.
    correlation = (2.5 * uniform(n, 0.0, 1.0, rng) ** 2)[:, None, None]
    colour = torch.exp(-2 * math.pi**2 * correlation**2 * _wave_numbers2(size, rng.device))
    sky_rms = look.sky_rms(r50)[:, None, None]
    # Photons of the galaxy itself make noise too where it is much brighter than the sky.
    photons = torch.clamp(light, min=0.0) * sky_rms / log_uniform(n, 3.0, 300.0, rng)[:, None, None]
    return _Noise(
        torch.sqrt(sky_rms**2 + photons),
        0.15 * torch.randn(n, 1, 1, generator=rng, device=rng.device) * sky_rms,
        colour,
    )


def _exposed(light: torch.Tensor, noise: _Noise, rng: torch.Generator) -> torch.Tensor:
    white = torch.fft.rfft2(torch.randn(light.shape, generator=rng, device=rng.device))
    coloured = torch.fft.irfft2(white * noise.colour, s=light.shape[1:])
    return light + noise.sigma * coloured / coloured.std(dim=(1, 2), keepdim=True) + noise.level


def _holes(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Fill a round part of some images by the part opposite, as the mask of a neighbour is filled."""
    n, size = len(images), images.shape[-1]
    turn, apart = uniform(n, 0.0, 2 * math.pi, rng), size * uniform(n, 0.22, 0.5, rng)
    radius = size * uniform(n, 0.04, 0.18, rng) * (torch.rand(n, generator=rng, device=rng.device) < 0.25)
    axis = from_middle(size, rng.device)
    x, y = apart * torch.cos(turn), apart * torch.sin(turn)
    distance2 = (axis[None, None, :] - x[:, None, None]) ** 2 + (axis[None, :, None] - y[:, None, None]) ** 2
    return torch.where(distance2 < radius[:, None, None] ** 2, images.flip(1, 2), images)
