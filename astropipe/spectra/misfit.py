"""What residuals have beyond their known variances: one more variance of equal size over an arm."""

from __future__ import annotations

import torch
from torch import Tensor

from astropipe.spectra.pairs import SIZES


def excess_variance(residual: Tensor, weights: Tensor) -> Tensor:
    """Return the variance that residuals have beyond their inverse variances, shape (n, 2); 0 where less."""
    parts = []
    for part, weight in zip(residual.split(SIZES, dim=1), weights.split(SIZES, dim=1), strict=True):
        # The best estimate while the excess is small: precise pixels count most.
        parts.append(((weight * part) ** 2 - weight).sum(1) / (weight**2).sum(1).clamp_min(1e-30))
    return torch.stack(parts, dim=1).clamp_min(0.0)


def excess_error(weights: Tensor) -> Tensor:
    """Return the standard error of `excess_variance` where there is none, shape (n, 2)."""
    return torch.stack([(0.5 * (part**2).sum(1)).clamp_min(1e-30).rsqrt() for part in weights.split(SIZES, dim=1)], 1)


def with_variance(weights: Tensor, variance: Tensor) -> Tensor:
    """Return inverse variances with a variance per arm on top."""
    parts = weights.split(SIZES, dim=1)
    return torch.cat([part / (1.0 + part * variance[:, i : i + 1]) for i, part in enumerate(parts)], dim=1)
