"""Stamps as the network sees them: centred, scaled to one size, stretched, and cut to a disk that no turn changes.

The same functions serve training, where galaxies are rendered, and use, where they are stamps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from astropipe.morphology.denoiser import Denoiser

RADII_IN_VIEW = 2.5
"""Half of the width of the network's view, in half-light radii."""
SOFTENING_IN_SKY_RMS = 2.0
"""Brightness at which the stretch of linear images turns logarithmic, in standard deviations of the sky."""
_BRIGHTEST = 8


def turned_and_scaled(
    images: torch.Tensor,
    size: int,
    scale: torch.Tensor,
    *,
    angle: torch.Tensor | None = None,
    flip: torch.Tensor | None = None,
    centre: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sample images on another grid of pixels.

    Parameters
    ----------
    images : Tensor, shape (n, rows, rows)
        Zero outside.
    size : int
        Rows and columns of the result.
    scale : Tensor, shape (n,)
        Pixels of the image in one pixel of the result. Where above 2, pixels are averaged first.
    angle : Tensor, optional, shape (n,)
        Turn in radians.
    flip : Tensor, optional, shape (n,)
        1, or -1 to mirror.
    centre : Tensor, optional, shape (n, 2)
        What comes to the centre of the result: column and row from the centre of the image, in pixels.
    """
    n, rows = len(images), images.shape[-1]
    levels = torch.clamp(torch.floor(torch.log2(torch.clamp(scale, min=1.0))), max=4).to(torch.int64)
    angle = scale.new_zeros(n) if angle is None else angle
    flip = scale.new_ones(n) if flip is None else flip
    cos, sin = torch.cos(angle), torch.sin(angle)
    shift = scale.new_zeros(n, 2) if centre is None else centre
    result = images.new_empty(n, size, size)
    for level in torch.unique(levels).tolist():
        chosen = torch.nonzero(levels == level)[:, 0]
        source, blocks = images[chosen, None], 2**level
        if level:
            # An edge that does not divide would shift the centre.
            pad = (-rows) % (2 * blocks) // 2
            source = functional.avg_pool2d(functional.pad(source, (pad, pad, pad, pad)), blocks)
        half = source.shape[-1] * blocks / 2
        factor = scale[chosen] * size / 2 / half
        a = torch.stack((cos[chosen] * flip[chosen], -sin[chosen], shift[chosen, 0] / half / factor), dim=1)
        b = torch.stack((sin[chosen] * flip[chosen], cos[chosen], shift[chosen, 1] / half / factor), dim=1)
        grid = functional.affine_grid(
            torch.stack((a, b), dim=1) * factor[:, None, None], [len(chosen), 1, size, size], align_corners=False
        )
        result[chosen] = functional.grid_sample(source, grid, align_corners=False)[:, 0]
    return result


def from_middle(size: int, device: torch.device | None = None) -> torch.Tensor:
    """Return how far the pixels of a row lie from the middle of it, shape (size,)."""
    return torch.arange(size, device=device) - (size - 1) / 2


def disk(size: int, device: torch.device | None = None) -> torch.Tensor:
    """Return which pixels lie within the circle that fits into the square, shape (size, size)."""
    axis = from_middle(size, device)
    return (axis[:, None] ** 2 + axis[None, :] ** 2) < (size / 2) ** 2


def peak(images: torch.Tensor) -> torch.Tensor:
    """Return the brightness of the brightest pixels, without spikes: the least of the top ones, shape (n,)."""
    inner = images * disk(images.shape[-1], images.device)
    return torch.clamp(inner.flatten(1).topk(_BRIGHTEST, dim=1).values[:, -1], min=1e-12)


def stretched(images: torch.Tensor, softening: torch.Tensor | None) -> torch.Tensor:
    """Return images in units of their brightest pixels, the faint parts lifted, cut to the disk.

    Parameters
    ----------
    images : Tensor, shape (n, size, size)
        Less the sky.
    softening : Tensor or None, shape (n,)
        Brightness above which the stretch is logarithmic: about the noise of the sky. None for images that have been
        stretched for display already.

    Notes
    -----
    arcsinh(x / softening), Lupton, Gunn & Szalay (1999), over its value at the brightest pixels; clipped to -0.5, 1.2.
    """
    top = peak(images)[:, None, None]
    if softening is None:
        values = images / top
    else:
        soft = softening[:, None, None]
        values = torch.asinh(images / soft) / torch.asinh(top / soft)
    return torch.clamp(values, -0.5, 1.2) * disk(images.shape[-1], images.device)


def filled(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return images whose masked pixels are those opposite the centre, or 0 where those are masked too."""
    opposite = torch.where(masks.flip(1, 2), images.new_zeros(()), images.flip(1, 2))
    return torch.where(masks, opposite, images)


@dataclass(frozen=True)
class Moments:
    """Moments of the light of n galaxies within about the half-light radius, each a tensor of shape (n,).

    Attributes
    ----------
    x, y : Tensor
        First ones.
    xy, difference : Tensor
        Second ones: of 2 x y, and of x² - y².
    """

    x: torch.Tensor
    y: torch.Tensor
    xy: torch.Tensor
    difference: torch.Tensor

    def direction(self) -> torch.Tensor:
        """Return the direction of the longer axis, towards its heavier half, in radians.

        It turns with the picture, noise included, even where the light is round or both halves weigh the same.
        """
        angle = 0.5 * torch.atan2(self.xy, self.difference)
        heavier = self.x * torch.cos(angle) + self.y * torch.sin(angle) >= 0
        return torch.where(heavier, angle, angle + math.pi)


def moments(images: torch.Tensor, r50_px: torch.Tensor, centre: torch.Tensor) -> Moments:
    """Measure moments of the light.

    Parameters
    ----------
    images : Tensor, shape (n, rows, rows)
        Less the sky, without neighbours.
    r50_px : Tensor, shape (n,)
        Half-light radius: the standard deviation of the Gaussian that weighs the pixels.
    centre : Tensor, shape (n, 2)
        Column and row from the middle of the stamps, in pixels.
    """
    axis = from_middle(images.shape[-1], images.device)
    x, y = axis[None, None] - centre[:, 0, None, None], axis[None, :, None] - centre[:, 1, None, None]
    light = images * torch.exp(-0.5 * (x**2 + y**2) / r50_px[:, None, None] ** 2)
    return Moments(*((light * weight).sum((1, 2)) for weight in (x, y, 2.0 * x * y, x**2 - y**2)))


def network_input(
    images: torch.Tensor,
    masks: torch.Tensor,
    sky_rms: torch.Tensor,
    r50_px: torch.Tensor,
    linear: torch.Tensor,
    size: int,
    denoiser: Denoiser,
    centre: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return stamps as the network sees them: the longer axis of each galaxy along the rows, its heavier half right.

    Parameters
    ----------
    images : Tensor, shape (n, rows, rows)
        Stamps less the sky, the galaxy about in the middle.
    masks : Tensor of bool, shape (n, rows, rows)
        Pixels not to be used: they are filled by those opposite, or by the sky where those are masked too.
    sky_rms, r50_px : Tensor, shape (n,)
        Noise of a pixel, and half-light radius.
    linear : Tensor of bool, shape (n,)
        False for pictures that have been stretched for display.
    size : int
        Rows and columns of the network's view.
    denoiser : Denoiser
        Of the second channel.
    centre : Tensor, optional, shape (n, 2)
        Column and row of the galaxies from the middle of the stamps, in pixels.

    Returns
    -------
    Tensor, shape (n, 2, size, size)
        See `shown`.
    """
    scale = r50_px * 2 * RADII_IN_VIEW / size
    centre = scale.new_zeros(len(images), 2) if centre is None else centre
    whole = filled(images, masks)
    seen = turned_and_scaled(whole, size, scale, angle=moments(whole, r50_px, centre).direction(), centre=centre)
    # The mean over s x s pixels has a noise lower by s; between pixels nothing is gained.
    noise = torch.clamp(sky_rms / torch.clamp(scale, min=1.0), min=1e-12)
    result = seen.new_empty(len(seen), 2, size, size)
    result[linear] = shown(seen[linear], noise[linear], denoiser)
    result[~linear] = stretched(seen[~linear], None)[:, None]
    return result


def shown(images: torch.Tensor, noise: torch.Tensor, denoiser: Denoiser) -> torch.Tensor:
    """Return linear images as the network sees them: stretched, as they are and denoised.

    Parameters
    ----------
    images : Tensor, shape (n, size, size)
        Less the sky.
    noise : Tensor, shape (n,)
        Standard deviation of the sky.
    denoiser : Denoiser
        Of the second channel.

    Returns
    -------
    Tensor, shape (n, 2, size, size)
        See `stretched`.
    """
    unit = noise[:, None, None]
    return torch.stack(
        [stretched(one, SOFTENING_IN_SKY_RMS * noise) for one in (images, denoiser(images / unit) * unit)], dim=1
    )
