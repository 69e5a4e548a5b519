"""A small supervised network that sees each galaxy from sixteen sides, after Dieleman et al. 2015 (MNRAS 450, 1441).

The galaxy is seen upright and turned by 45 degrees, each also mirrored. Of each of the four views the four overlapping
corners are cut out and turned so that the galaxy's middle is in their lower right corner. The sixteen parts go through
one and the same convolutional network, and dense maxout layers join what it says. It learns on galaxies whose class is
known and gives the probabilities of the classes for others. Differences from the paper: one channel instead of three
colours, class probabilities instead of the 37 shares of votes, Adam instead of Nesterov's momentum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from astropipe.morphology.classes import CLASSES
from astropipe.runtime.errors import InputError, UsageError

_N_PARTS = 16
_KERNELS = (6, 5, 3, 3)
# The layers after which the picture is halved.
_POOLED = (0, 1, 3)
# By the median of the absolute deviations, for a normal distribution.
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class ViewSettings:
    """Sizes of the network and how it learns; the defaults of the sizes are those of the paper.

    Attributes
    ----------
    classes : tuple of str
        What it tells apart.
    view_size : int
        Pixels of a view, into which the field is resampled.
    part_size : int
        Pixels of a part, so many from each corner of a view; 37 at least.
    field : float
        Width of a view over that of the stamp.
    filters : tuple of int
        Of the four convolutions.
    dense : int
        Units of each of the two maxout layers, the larger of two linear maps each.
    dropout : float
        Share of the inputs of a dense layer left out while it learns.
    epochs : int
        Times that it sees each galaxy.
    batch_size : int
        Galaxies of a batch.
    learning_rate : float
        Of Adam; it falls to zero along a half cosine.
    shift : float
        Largest shift of a view in learning, over its size (the paper: 4 of 69 pixels).
    zoom : float
        Largest zoom in learning, in and out.
    device : str
        Of torch.
    """

    classes: tuple[str, ...] = CLASSES
    view_size: int = 69
    part_size: int = 45
    field: float = 0.8
    filters: tuple[int, int, int, int] = (32, 64, 128, 128)
    dense: int = 2048
    dropout: float = 0.5
    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 1e-3
    shift: float = 4.0 / 69.0
    zoom: float = 1.3
    device: str = "cpu"


class DielemanNet(nn.Module):
    """The network with the convolutions that the sixteen parts share.

    Parameters
    ----------
    settings : ViewSettings
        Sizes.

    Raises
    ------
    UsageError
        If the parts are larger than the views, or too small for the convolutions.
    """

    def __init__(self, settings: ViewSettings) -> None:
        super().__init__()
        side = settings.part_size
        for layer, kernel in enumerate(_KERNELS):
            side = (side - kernel + 1) // (2 if layer in _POOLED else 1)
        if side < 1 or settings.part_size > settings.view_size:
            raise UsageError(
                f"part_size={settings.part_size}, view_size={settings.view_size}: a part needs 37 pixels or more and "
                "cannot be larger than a view"
            )
        self.settings = settings
        channels = (1, *settings.filters)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels[layer], channels[layer + 1], kernel) for layer, kernel in enumerate(_KERNELS)
        )
        joined = _N_PARTS * settings.filters[-1] * side**2
        self.dense = nn.ModuleList(
            [nn.Linear(joined, 2 * settings.dense), nn.Linear(settings.dense, 2 * settings.dense)]
        )
        self.scores = nn.Linear(settings.dense, len(settings.classes))

    def forward(self, images: torch.Tensor, transforms: torch.Tensor) -> torch.Tensor:
        """Return the scores (n, classes) of images (n, size, size), each seen through a transform (n, 2, 3)."""
        settings = self.settings
        x = parts(images, transforms, settings.view_size, settings.part_size)
        for layer, convolution in enumerate(self.convolutions):
            x = functional.relu(convolution(x))
            if layer in _POOLED:
                x = functional.max_pool2d(x, 2)
        x = x.flatten(1).view(len(images), -1)
        for dense in self.dense:
            x = dense(functional.dropout(x, settings.dropout, self.training))
            # Maxout: the larger of two linear maps.
            x = x.view(len(x), -1, 2).amax(dim=2)
        return self.scores(functional.dropout(x, settings.dropout, self.training))


def parts(images: torch.Tensor, transforms: torch.Tensor, view_size: int, part_size: int) -> torch.Tensor:
    """Cut the sixteen parts out of images.

    Parameters
    ----------
    images : Tensor, shape (n, size, size)
        Pictures with the galaxy in the middle.
    transforms : Tensor, shape (n, 2, 3)
        From coordinates of a view, -1 to 1 along x and y, to those of the picture.
    view_size, part_size : int
        In pixels.

    Returns
    -------
    Tensor, shape (16 n, 1, part_size, part_size)
        The parts of a galaxy follow each other; black outside the picture.
    """
    turn = np.sqrt(0.5)
    upright, turned = [[1.0, 0.0], [0.0, 1.0]], [[turn, -turn], [turn, turn]]
    mirror = images.new_tensor([[-1.0, 0.0], [0.0, 1.0]])
    views = [images.new_tensor(matrix) for matrix in (upright, turned)]
    views += [view @ mirror for view in views]
    seen = torch.stack([torch.cat([transforms[:, :, :2] @ view, transforms[:, :, 2:]], dim=2) for view in views], dim=1)
    grid = functional.affine_grid(seen.flatten(0, 1), [4 * len(images), 1, view_size, view_size], align_corners=False)
    stacked = images[:, None].repeat_interleave(4, dim=0)
    pictures = functional.grid_sample(stacked, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    # A quarter turn brings the next corner to the upper left.
    corners = [torch.rot90(pictures, quarter, (2, 3))[:, :, :part_size, :part_size] for quarter in range(4)]
    return torch.stack(corners, dim=1).flatten(0, 1)


def train_views(
    images: NDArray[np.floating],
    labels: NDArray[np.str_],
    rng: np.random.Generator,
    settings: ViewSettings | None = None,
) -> DielemanNet:
    """Train the network on galaxies of known class, for example those on which the votes agree.

    In each epoch every galaxy is turned by any angle, mirrored or not, shifted and zoomed at random.

    Parameters
    ----------
    images : ndarray, shape (n, size, size)
        Stamps in any unit; see `standardised`.
    labels : ndarray of str, shape (n,)
        Class of each galaxy.
    rng : Generator
        Draws the start weights, the order and the transforms; the same seed gives the same network on the same machine.
    settings : ViewSettings, optional
        Sizes and learning.

    Raises
    ------
    InputError
        If there are no galaxies, labels are missing or not among the classes.
    """
    settings = settings or ViewSettings()
    names = np.asarray(labels)
    if len(images) == 0 or names.shape != (len(images),):
        raise InputError(f"{len(images)} stamps and {names.size} labels: give at least one stamp, and each one label")
    unknown = sorted({str(name) for name in names} - set(settings.classes))
    if unknown:
        raise InputError(
            f"label {', '.join(unknown)}: not among the classes {', '.join(settings.classes)}; leave them out"
        )
    targets = torch.tensor([settings.classes.index(str(name)) for name in names], device=settings.device)
    pictures = torch.from_numpy(standardised(images)).to(settings.device)
    # torch draws start weights and dropout from its global stream; it is left as it was.
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**63)))
        net = DielemanNet(settings).to(settings.device).train()
        batches = -(-len(images) // settings.batch_size)
        optimizer = torch.optim.Adam(net.parameters(), lr=settings.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * batches)
        for _ in range(settings.epochs):
            for chosen in np.array_split(rng.permutation(len(images)), batches):
                transforms = torch.from_numpy(_random_transforms(len(chosen), rng, settings)).to(settings.device)
                optimizer.zero_grad()
                functional.cross_entropy(net(pictures[chosen], transforms), targets[chosen]).backward()
                optimizer.step()
                schedule.step()
    return net.eval()


def predict_views(net: DielemanNet, images: NDArray[np.floating], *, batch_size: int = 64) -> NDArray[np.float64]:
    """Return the probability of each class for each stamp, shape (n, classes), in the order of the net's classes."""
    settings = net.settings
    probabilities = np.empty((len(images), len(settings.classes)))
    upright = torch.tensor([[settings.field, 0.0, 0.0], [0.0, settings.field, 0.0]], device=settings.device)
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            pictures = torch.from_numpy(standardised(images[start : start + batch_size])).to(settings.device)
            scores = net(pictures, upright.expand(len(pictures), 2, 3))
            probabilities[start : start + batch_size] = scores.double().softmax(dim=1).cpu().numpy()
    return probabilities


def standardised(images: NDArray[np.floating]) -> NDArray[np.float32]:
    """Bring stamps to a common scale: the inverse hyperbolic sine in units of the noise, over its maximum.

    The noise is that of the median absolute deviation, the zero point the median.
    """
    values = np.asarray(images, dtype=np.float64)
    middle = np.median(values, axis=(1, 2), keepdims=True)
    noise = _MAD_TO_SIGMA * np.median(np.abs(values - middle), axis=(1, 2), keepdims=True)
    peak = np.abs(values - middle).max(axis=(1, 2), keepdims=True)
    # A noiseless picture, in which most pixels are equal, is scaled by its peak.
    unit = np.where(noise > 0.0, noise, np.where(peak > 0.0, peak, 1.0))
    stretched = np.arcsinh((values - middle) / unit)
    top = np.abs(stretched).max(axis=(1, 2), keepdims=True)
    return (stretched / np.where(top > 0.0, top, 1.0)).astype(np.float32)


def _random_transforms(n: int, rng: np.random.Generator, settings: ViewSettings) -> NDArray[np.float32]:
    angle = rng.uniform(0.0, 2.0 * np.pi, n)
    scale = settings.field * settings.zoom ** rng.uniform(-1.0, 1.0, n)
    mirror = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    # A view is 2 wide in these coordinates.
    shifts = 2.0 * settings.field * rng.uniform(-settings.shift, settings.shift, (2, n))
    rows = [[cosine * mirror, -sine, shifts[0]], [sine * mirror, cosine, shifts[1]]]
    return np.array(rows).transpose(2, 0, 1).astype(np.float32)
