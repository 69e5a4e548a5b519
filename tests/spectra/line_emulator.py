"""An emulator whose spectra are known without any code: one Gaussian line in each arm."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from astropipe.spectra.emulator import N_INPUTS, REST, Emulator, no_calibration
from astropipe.spectra.pixels import LOG10_STEP, PIXEL_KM_S

WIDTH_KM_S = 25.0
DEPTH = 0.4
CENTRES = (371_000.0, 381_700.25)
"""Where the lines are, in units of 1e-5 of log10 of the wavelength in Angstrom."""


def line(position: np.ndarray, centre: float, sigma_km_s: float, area: float) -> np.ndarray:
    """Return a Gaussian in velocity, of an area in pixels, at positions in steps of 1e-5."""
    sigma = sigma_km_s / PIXEL_KM_S
    return area / (np.sqrt(2.0 * np.pi) * sigma) * np.exp(-0.5 * ((position - centre) / sigma) ** 2)


AREA = DEPTH * np.sqrt(2.0 * np.pi) * WIDTH_KM_S / PIXEL_KM_S


def line_emulator(seed: int = 0, hidden: int = 8) -> Emulator:
    """Return an emulator with the lines as its mean, and two components that a random network of labels scales."""
    arms = [
        1.0 - line(arm.first + np.arange(arm.size), centre, WIDTH_KM_S, AREA)
        for arm, centre in zip(REST, CENTRES, strict=True)
    ]
    mean = torch.from_numpy(np.concatenate(arms)).float()
    generator = torch.Generator().manual_seed(seed)
    sizes = (N_INPUTS + 1, hidden, 2)
    weights = tuple(torch.randn(b, a, generator=generator) / np.sqrt(a) for a, b in itertools.pairwise(sizes))
    biases = tuple(torch.randn(b, generator=generator) for b in sizes[1:])
    basis = torch.stack([1.0 - mean, torch.randn(len(mean), generator=generator)])
    return Emulator(
        centre=torch.tensor([1.0, 3.0, -0.4, *[0.0] * 14, 1.4]),
        scale=torch.tensor([0.15, 1.0, 0.5, *[0.25] * 14, 0.4]),
        weights=weights,
        biases=biases,
        mean=mean,
        basis=basis / basis.norm(dim=1, keepdim=True),
        error_t_eff=torch.tensor([3900.0, 5000.0, 6700.0]),
        error_variance=torch.full((3, len(mean)), 1e-6),
        low=torch.tensor([3800.0, 0.5, -2.0, *[-3.0] * 14, 0.4]),
        high=torch.tensor([7000.0, 5.0, 0.5, *[1.5] * 14, 3.0]),
        **no_calibration(len(mean), 3),
    )


SUN = torch.tensor([5777.0, 4.44, *[0.0] * 15, 1.0])


def step_angstrom(position: np.ndarray) -> np.ndarray:
    """Return the wavelength in Angstrom of a position in steps."""
    return 10.0 ** (LOG10_STEP * position)
