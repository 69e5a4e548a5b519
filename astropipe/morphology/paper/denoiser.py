"""The convolutional autoencoder that cleans the stamps before the polar transform (Zhou et al. 2022, AJ 163, 86).

Two blocks of convolution and 2 x 2 max-pooling, a dense code with as many units as the stamp has pixels, and back by
un-pooling (the value in the upper left of four pixels, zeros in the rest) and transposed convolution; ReLU everywhere.
The input itself is the target: what little cleaning there is comes from the bottleneck of 5 x 5 kernels. With stamps of
100 pixels the two dense layers have 200 million weights: 0.8 GB, and 4 GB while it learns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from astropipe.runtime.errors import UsageError

# As in the authors' config.
BATCH_SIZE = 8
LEARNING_RATE = 3e-4
DECAY = 0.8
DECAY_STEPS = 2000
# Of the layers of which the authors' code is at hand (transposed convolution); taken for the others too.
_WEIGHT_STD = 0.1
_BIAS = 0.1


class Denoiser(nn.Module):
    """The autoencoder.

    Parameters
    ----------
    size : int
        Rows, and columns, of a stamp.
    code_size : int, optional
        Units of the code; as many as pixels if not given, as the authors have it.
    channels : int
        Of each convolution.
    kernel : int
        Rows, and columns, of a convolution; odd.
    generator : torch.Generator, optional
        Draws the start weights.
    """

    def __init__(
        self,
        size: int,
        code_size: int | None = None,
        *,
        channels: int = 16,
        kernel: int = 5,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        half = (size + 1) // 2
        quarter = (half + 1) // 2
        units, pad = channels * quarter**2, kernel // 2
        self.sizes = (size, half, quarter)
        self.conv_1 = nn.Conv2d(1, channels, kernel, padding=pad)
        self.conv_2 = nn.Conv2d(channels, channels, kernel, padding=pad)
        self.encode = nn.Linear(units, code_size or size**2)
        self.decode = nn.Linear(code_size or size**2, units)
        self.deconv_1 = nn.ConvTranspose2d(channels, channels, kernel, padding=pad)
        self.deconv_2 = nn.ConvTranspose2d(channels, 1, kernel, padding=pad)
        for name, weights in self.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(weights, _BIAS)
            else:
                nn.init.trunc_normal_(
                    weights, std=_WEIGHT_STD, a=-2.0 * _WEIGHT_STD, b=2.0 * _WEIGHT_STD, generator=generator
                )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images as the autoencoder has them, shape (n, size, size), 0 or larger."""
        x = functional.relu(self.conv_1(images[:, None]))
        x = functional.relu(self.conv_2(functional.max_pool2d(x, 2, ceil_mode=True)))
        x = functional.max_pool2d(x, 2, ceil_mode=True)
        folded = functional.relu(self.decode(functional.relu(self.encode(x.flatten(1))))).view_as(x)
        x = functional.relu(self.deconv_1(_unpooled(folded, self.sizes[1])))
        return functional.relu(self.deconv_2(_unpooled(x, self.sizes[0])))[:, 0]


def train_denoiser(
    images: NDArray[np.uint8],
    rng: np.random.Generator,
    steps: int,
    *,
    code_size: int | None = None,
    channels: int = 16,
    batch_size: int = BATCH_SIZE,
    device: str = "cpu",
) -> Denoiser:
    """Train the autoencoder on the stamps that it shall clean, as the authors do.

    Adam on half the mean squared error in grey levels; the learning rate falls by a factor 0.8 in 2,000 steps, step by
    step. The authors let it run until somebody stops it.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, size, size)
        Grey levels, see `grey_levels`.
    rng : Generator
        Draws the start weights and the batches.
    steps : int
        Batches; at least 1.
    code_size, channels : int
        See `Denoiser`.
    batch_size : int
        Images of a batch, different ones.
    device : str
        Of torch.

    Returns
    -------
    Denoiser
        On the device, ready for `denoise`.

    Raises
    ------
    UsageError
        If there is no image, or the steps are fewer than 1.
    """
    if len(images) == 0 or steps < 1:
        raise UsageError(f"training takes at least 1 image and 1 step, not {len(images)} and {steps}")
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    model = Denoiser(images.shape[-1], code_size, channels=channels, generator=generator).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, DECAY ** (1.0 / DECAY_STEPS))
    for _ in range(steps):
        batch = _tensor(images[rng.choice(len(images), min(batch_size, len(images)), replace=False)], device)
        optimizer.zero_grad()
        (0.5 * functional.mse_loss(model(batch), batch)).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def denoise(model: Denoiser, images: NDArray[np.uint8], *, batch_size: int = 64) -> NDArray[np.uint8]:
    """Return the images as the autoencoder has them, rounded to 8 bits; values beyond 255 become 255."""
    device = next(model.parameters()).device
    cleaned = np.empty_like(images)
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            cleaned[part] = model(_tensor(images[part], device)).round().clamp(0.0, 255.0).byte().cpu().numpy()
    return cleaned


def _unpooled(x: torch.Tensor, size: int) -> torch.Tensor:
    out = x.new_zeros((*x.shape[:2], size, size))
    out[:, :, ::2, ::2] = x
    return out


def _tensor(images: NDArray[np.uint8], device: Any) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32)).to(device)
