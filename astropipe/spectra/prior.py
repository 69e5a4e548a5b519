"""What is known of a star before it is observed: a Gaussian about the trends of `population`, in batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from astropipe.spectra.emulator import N_INPUTS
from astropipe.spectra.labels import ELEMENTS
from astropipe.spectra.population import (
    ALPHA_ELEMENTS,
    ALPHA_SLOPE,
    LARGEST_C_TO_O,
    SCATTER_DEX,
    SOLAR_C_TO_O,
    V_MICRO_SCATTER_KM_S,
    scatter_x_fe,
)

# Mean and standard deviation of t_eff, log_g and fe_h: wider than the population, which is no Gaussian.
_STELLAR_MEAN = (5_200.0, 3.2, -0.4)
_STELLAR_SIGMA = (1_000.0, 1.5, 0.8)
_CARBON, _OXYGEN = (2 + ELEMENTS.index(element) for element in ("C", "O"))


@dataclass(frozen=True)
class PriorTerm:
    """The prior about a point: precision matrix, shape (n, 18, 18), and the gradient of its logarithm, (n, 18)."""

    precision: Tensor
    gradient: Tensor


@lru_cache(maxsize=1)
def _constants() -> tuple[Tensor, Tensor, Tensor]:
    alpha = torch.tensor([float(element in ALPHA_ELEMENTS) for element in ELEMENTS[1:]])
    mean = torch.tensor(_STELLAR_MEAN)
    precision = torch.cat(
        [
            torch.tensor(_STELLAR_SIGMA) ** -2,
            torch.from_numpy(scatter_x_fe()).float() ** -2,
            torch.tensor([V_MICRO_SCATTER_KM_S**-2]),
        ]
    )
    return alpha, mean, precision


def x_fe_sigma(labels: Tensor) -> Tensor:
    """Return the standard deviation of [X/Fe] given the other labels but abundances, shape (n, 14), in dex."""
    covariance = torch.linalg.inv(prior_term(labels).precision[:, 3:-1, 3:-1])
    return torch.diagonal(covariance, dim1=1, dim2=2).sqrt()


def stellar_sigma() -> Tensor:
    """Return the standard deviations of t_eff in K, log_g and fe_h in dex, shape (3,)."""
    return torch.tensor(_STELLAR_SIGMA)


def mean_v_micro(t_eff_k: Tensor, log_g: Tensor) -> Tensor:
    """As `population.mean_v_micro`, on tensors."""
    weight = torch.sigmoid((log_g - 3.7) / 0.2)
    return weight * (1.05 + 2.2e-4 * (t_eff_k - 5_750.0)) + (1.0 - weight) * (2.10 - 0.24 * log_g)


def prior_term(labels: Tensor) -> PriorTerm:
    """Return the prior at labels of shape (n, 18).

    The deviations from the trends are independent Gaussians: t_eff, log_g and fe_h about fixed means, [X/Fe] about its
    mean at the iron abundance, v_micro about its mean at t_eff and log_g. Carbon and oxygen are bound together, as
    there is less of the one than of the other: see `_carbon_and_oxygen`.
    """
    alpha, mean, precision = _constants()
    t_eff, log_g, fe_h = labels[:, 0], labels[:, 1], labels[:, 2]
    trend = ALPHA_SLOPE * alpha * (-fe_h).clamp(0.0, 1.0)[:, None]
    v_mean = mean_v_micro(t_eff, log_g)
    deviation = torch.cat(
        [labels[:, :3] - mean, labels[:, 3:-1] - fe_h[:, None] - trend, (labels[:, -1] - v_mean)[:, None]], dim=1
    )
    slope = torch.eye(N_INPUTS, dtype=labels.dtype).repeat(len(labels), 1, 1)
    inside = ((fe_h > -1.0) & (fe_h < 0.0)).to(labels.dtype)
    slope[:, 3:-1, 2] = -1.0 + ALPHA_SLOPE * alpha * inside[:, None]
    slope[:, -1, 0] = -(mean_v_micro(t_eff + 10.0, log_g) - v_mean) / 10.0
    slope[:, -1, 1] = -(mean_v_micro(t_eff, log_g + 0.01) - v_mean) / 0.01
    precision = precision.repeat(len(labels), 1)
    _carbon_and_oxygen(fe_h, deviation, slope, precision)
    weighted = slope * precision[:, :, None]
    return PriorTerm(slope.transpose(1, 2) @ weighted, -(weighted * deviation[:, :, None]).sum(1))


def _carbon_and_oxygen(fe_h: Tensor, deviation: Tensor, slope: Tensor, precision: Tensor) -> None:
    """Replace carbon and oxygen by two independent combinations of them, in place.

    A star has C/O below `LARGEST_C_TO_O`: their difference is a Gaussian cut there, whose mean and variance are taken
    (Johnson, Kotz & Balakrishnan 1994, section 13.10.1). The sum that is independent of it knows of no cut. That the
    variance changes with iron, by a third over the whole range, is not counted as knowledge about iron.
    """
    var_c, var_o = SCATTER_DEX["C"] ** 2, SCATTER_DEX["O"] ** 2
    var_difference = var_c + var_o
    sigma = math.sqrt(var_difference)
    rising = ((fe_h > -1.0) & (fe_h < 0.0)).to(fe_h.dtype)
    cut = (math.log10(LARGEST_C_TO_O) - SOLAR_C_TO_O + ALPHA_SLOPE * (-fe_h).clamp(0.0, 1.0)) / sigma
    hazard = torch.exp(-0.5 * cut**2) / (math.sqrt(2.0 * math.pi) * torch.special.ndtr(cut))
    shrunk = 1.0 - cut * hazard - hazard**2
    mean_by_fe_h = -hazard * (cut + hazard) * ALPHA_SLOPE * rising
    for values in (deviation, slope):
        c, o = values[:, _CARBON].clone(), values[:, _OXYGEN].clone()
        values[:, _CARBON], values[:, _OXYGEN] = c - o, (var_o * c + var_c * o) / var_difference
    deviation[:, _CARBON] += sigma * hazard
    slope[:, _CARBON, 2] -= mean_by_fe_h
    precision[:, _CARBON] = 1.0 / (var_difference * shrunk)
    precision[:, _OXYGEN] = var_difference / (var_c * var_o)
