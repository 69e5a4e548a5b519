"""A light denoiser of galaxies: a few convolutions that know what the noise of the sky looks like."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

# Convolutions work on blocks of so many pixels squared, each block as channels (Zhang, Zuo & Zhang 2018, FFDNet,
# arXiv 1710.04026): they see farther, and cost a quarter.
_BLOCK = 2
# Brightness, in standard deviations of the sky, up to which noise can be told from light pixel by pixel.
_FAINT = 3.0
# Blocks in a row over which the mean of an image is kept.
_LEVEL = 9


class Denoiser(nn.Module):
    """Convolutions that guess the noise of images in units of the noise of their sky.

    Parameters
    ----------
    channels, layers : int
        Of the 3 x 3 convolutions.
    """

    def __init__(self, channels: int = 32, layers: int = 6) -> None:
        super().__init__()
        self.channels, self.layers = channels, layers
        widths = (2 * _BLOCK**2, *[channels] * (layers - 1), _BLOCK**2)
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            parts += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        self.noise = nn.Sequential(*parts[:-1])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images without what looks like noise.

        Parameters
        ----------
        images : Tensor, shape (n, rows, columns)
            Less the sky, in units of its standard deviation; even numbers of rows and columns.
        """
        if len(images) == 0:  # of which `pixel_unshuffle` makes no blocks
            return images
        # Both scales: that of bright cores, and that of the noise.
        seen = torch.stack((torch.asinh(images), torch.tanh(images / _FAINT)), dim=1)
        blocks = functional.pixel_unshuffle(seen, _BLOCK).contiguous(memory_format=torch.channels_last)
        noise = self.noise(blocks)
        # Noise has no mean. What looks like one is faint light, which would be lost.
        noise = noise - functional.avg_pool2d(
            noise.mean(dim=1, keepdim=True), _LEVEL, stride=1, padding=_LEVEL // 2, count_include_pad=False
        )
        return images - functional.pixel_shuffle(noise, _BLOCK)[:, 0].float()
