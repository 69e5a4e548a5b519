"""RRNet and StarNet in the sizes of Xiong, Li & Liao (2022, ApJS 261, 36), after the text and the public code."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from astropipe.spectra.paper.preprocessing import N_PIXELS

# Labels that are learned together: stellar parameters, and chemical abundances.
LABEL_GROUPS = {
    "SP": ("t_eff", "log_g", "fe_h"),
    "CA": (
        *("c_h", "n_h", "o_h", "mg_h", "al_h", "si_h", "s_h", "k_h", "ca_h", "ti_h", "cr_h", "mn_h", "ni_h", "cu_h"),
    ),
}
_CHANNELS = (4, 8, 16)
_SUB_BAND = 360
_DROPOUT = 0.3


class _Convolution(nn.Conv1d):
    """A convolution of spectra whose channels come last, shape (n, pixels, channels), as a product of matrices.

    For so few channels this is faster on a CPU than the convolution of torch, forward and backward.
    """

    def __init__(self, channels_in: int, channels_out: int, width: int) -> None:
        super().__init__(channels_in, channels_out, width, padding=width // 2)

    def forward(self, x: Tensor) -> Tensor:
        reach, n_pixels = self.kernel_size[0] // 2, x.shape[1]
        if reach:
            padded = functional.pad(x, (0, 0, reach, reach))
            x = torch.cat([padded[:, i : i + n_pixels] for i in range(2 * reach + 1)], dim=2)
        return functional.linear(x, self.weight.transpose(1, 2).flatten(1), self.bias)


class _Pool(nn.Module):
    """Mean of every two pixels, the channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * (x[:, 0::2] + x[:, 1::2])


class _Residual(nn.Module):
    """Two convolutions of width 3 beside a convolution of width 1."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            _Convolution(channels_in, channels_out, 3),
            nn.ReLU(),
            _Convolution(channels_out, channels_out, 3),
        )
        self.shortcut = _Convolution(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.path(x) + self.shortcut(x)


class _Head(nn.Module):
    """Two hidden layers with dropout, then mean and variance of every label."""

    def __init__(self, n_features: int, n_labels: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            *(nn.Linear(n_features, 256), nn.ReLU(), nn.Dropout(_DROPOUT)),
            *(nn.Linear(256, 128), nn.ReLU(), nn.Dropout(_DROPOUT)),
        )
        self.mean = nn.Linear(128, n_labels)
        self.variance = nn.Sequential(nn.Linear(128, n_labels), nn.Softplus())

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(features)
        return self.mean(hidden), self.variance(hidden)


class RRNet(nn.Module):
    """Residual blocks, then a recurrent layer that reads the features of 40 sub-bands in order of wavelength.

    Parameters
    ----------
    n_labels : int
        Number of labels.

    Notes
    -----
    `forward` takes standardised spectra, shape (n, 7200), and gives mean and variance of the standardised labels, each
    of shape
    (n, n_labels). 3.98 million weights.
    """

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        channels = (1, *_CHANNELS)
        blocks: list[nn.Module] = []
        for before, after in pairwise(channels):
            blocks += [_Residual(before, after), _Pool()]
        self.residual = nn.Sequential(*blocks, nn.ReLU())
        self.recurrent = nn.RNN(_SUB_BAND, _SUB_BAND, batch_first=True)
        self.head = _Head(_CHANNELS[-1] * N_PIXELS // 2 ** len(_CHANNELS), n_labels)

    def forward(self, spectra: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the labels, all standardised."""
        bands = self.residual(spectra[:, :, None]).reshape(len(spectra), -1, _SUB_BAND)
        states, _ = self.recurrent(bands)
        return self.head(states.flatten(1))


class StarNet(nn.Module):
    """Two convolutions, pooling and the same head: Fabbro et al. (2018, MNRAS 475, 2978), sized as in the comparison.

    Parameters and outputs as in `RRNet`; 7.4 million weights.
    """

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *(_Convolution(1, 4, 3), nn.ReLU()),
            *(_Convolution(4, 16, 3), nn.ReLU()),
        )
        self.head = _Head(16 * N_PIXELS // 4, n_labels)

    def forward(self, spectra: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the labels, all standardised."""
        features = self.convolutions(spectra[:, :, None])
        brightest = features.unflatten(1, (-1, 4)).amax(dim=2)
        return self.head(brightest.transpose(1, 2).flatten(1))


def gaussian_nll(truth: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Mean negative logarithm of the Gaussian likelihood, without its constant (their equation for the loss)."""
    return torch.mean(0.5 * torch.log(variance) + 0.5 * (truth - mean) ** 2 / variance)


def with_training_noise(spectra: Tensor, generator: torch.Generator) -> Tensor:
    """Add unit noise to a random quarter of the standardised pixels, as their training does from epoch 6 on."""
    noise = torch.randn(spectra.shape, generator=generator)
    chosen = torch.rand(spectra.shape, generator=generator) < 0.25
    return spectra + torch.where(chosen, noise, torch.zeros(()))


def combine(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the mixture of an ensemble, shape (members, n, labels) to (n, labels)."""
    mean = means.mean(0)
    return mean, (means**2 + variances).mean(0) - mean**2
