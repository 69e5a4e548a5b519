"""ConvNeXt (Liu et al. 2022) for galaxies: small, its parameters named as in the transformers library.

The heads read, from an embedding of few numbers, what is known of rendered galaxies: their class and the values of
`astropipe.morphology.rendering.galaxies.TRUTH`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network; the default is ConvNeXt-atto.

    Attributes
    ----------
    depths, widths : tuple of int
        Blocks and channels of each stage.
    patch : int
        Pixels that the first layer puts together.
    channels : int
        Of the images.
    input_px : int
        Rows and columns of the images it was trained on.
    embedding : int
        Numbers of the embedding.
    classes : tuple of str
        Classes of the first head.
    truths : tuple of str
        Quantities of the second head.
    """

    depths: tuple[int, ...] = (2, 2, 6, 2)
    widths: tuple[int, ...] = (40, 80, 160, 320)
    patch: int = 4
    channels: int = 2
    input_px: int = 64
    embedding: int = 64
    classes: tuple[str, ...] = ()
    truths: tuple[str, ...] = ()


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of images."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise, shape (n, channels, rows, columns)."""
        y = nn.functional.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
        return y.permute(0, 3, 1, 2)


class Block(nn.Module):
    """A block of ConvNeXt: wide convolution of each channel, then a perceptron of each pixel, scaled and added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.layernorm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        # Liu et al. begin with 1e-6, for deeper networks that learn for longer.
        self.layer_scale_parameter = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform, shape (n, channels, rows, columns)."""
        y = self.layernorm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.pwconv2(nn.functional.gelu(self.pwconv1(y))) * self.layer_scale_parameter
        return x + y.permute(0, 3, 1, 2)


class Stage(nn.Module):
    """Blocks of one width, after a step down in size."""

    def __init__(self, before: int, channels: int, depth: int) -> None:
        super().__init__()
        down = [] if before == 0 else [ChannelNorm(before), nn.Conv2d(before, channels, 2, stride=2)]
        self.downsampling_layer = nn.ModuleList(down)
        self.layers = nn.ModuleList(Block(channels) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform, shape (n, channels, rows, columns)."""
        for layer in (*self.downsampling_layer, *self.layers):
            x = layer(x)
        return x


class ConvNeXt(nn.Module):
    """From images to features, an embedding, and what the heads read from it.

    Parameters
    ----------
    architecture : Architecture
        Sizes.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths = architecture.widths
        self.embeddings = nn.ModuleDict(
            {
                "patch_embeddings": nn.Conv2d(
                    architecture.channels, widths[0], architecture.patch, stride=architecture.patch
                ),
                "layernorm": ChannelNorm(widths[0]),
            }
        )
        pairs = zip((0, *widths), widths, architecture.depths, strict=False)
        self.encoder = nn.ModuleDict({"stages": nn.ModuleList(Stage(*sizes) for sizes in pairs)})
        self.layernorm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.embed = nn.Linear(widths[-1], architecture.embedding)
        self.class_head = nn.Linear(architecture.embedding, len(architecture.classes))
        self.truth_head = nn.Linear(architecture.embedding, len(architecture.truths))
        self.apply(_begin)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return features, shape (n, widths[-1]), of images, shape (n, channels, input_px, input_px)."""
        x = self.embeddings["layernorm"](self.embeddings["patch_embeddings"](images))
        for stage in self.encoder["stages"]:
            x = stage(x)
        return self.layernorm(x.mean(dim=(2, 3)))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the embedding, the logits of the classes and the standardised truths of images."""
        embedding = self.embed(self.features(images))
        return embedding, self.class_head(embedding), self.truth_head(embedding)


def _begin(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
