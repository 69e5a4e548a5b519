"""From polar strips to features: a picture network, the size it takes, and what it wants the pixels to be.

The authors resize a strip to 224 x 224 with Pillow's bilinear filter, in 8 bits, and give the grey levels over 255 to
all three colour channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Encoder:
    """A network that turns pictures into features.

    Attributes
    ----------
    name : str
        Says what it is.
    n_features : int
        Features of a picture.
    network : callable
        From a tensor (n, 3, size, size) to one (n, n_features).
    size : int
        Rows, and columns, of its pictures.
    mean, std : tuple of float
        Of the three channels, by which the pixels are standardised; the authors' ConvNeXt gets them as they are.
    device : str
        Of torch, on which the network is.
    """

    name: str
    n_features: int
    network: Callable[[torch.Tensor], torch.Tensor]
    size: int = 224
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    device: str = "cpu"

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the features of grey images of shape (n, rows, columns), shape (n, n_features)."""
        return encode(self, images)


def encode(encoder: Encoder, images: NDArray[np.uint8], *, batch_size: int = 16) -> NDArray[np.float64]:
    """Return the features of grey images.

    Parameters
    ----------
    encoder : Encoder
        The network and what it wants.
    images : ndarray of uint8, shape (n, rows, columns)
        Grey levels of any size.
    batch_size : int
        Pictures that the network gets at a time.

    Returns
    -------
    ndarray, shape (n, n_features)
    """
    mean, std = (torch.tensor(values, device=encoder.device).view(1, 3, 1, 1) for values in (encoder.mean, encoder.std))
    features = np.empty((len(images), encoder.n_features))
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            grey = torch.from_numpy(resized(images[part], encoder.size)).to(encoder.device)
            pictures = (grey[:, None].expand(-1, 3, -1, -1) / 255.0 - mean) / std
            features[part] = encoder.network(pictures).double().cpu().numpy()
    return features


def resized(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return 8-bit images brought to a square by Pillow's bilinear filter, shape (n, size, size)."""
    bilinear = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(image).resize((size, size), bilinear)) for image in images])
