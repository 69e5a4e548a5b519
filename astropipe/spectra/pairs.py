"""Recorded spectra in pairs of pixels: half the numbers, and, at this resolution, all of the information."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from astropipe.spectra.pixels import OBSERVED, PIXEL_KM_S

SIZES = tuple(arm.size // 2 for arm in OBSERVED)
"""Pairs of each arm."""
N_PAIRS = sum(SIZES)


@dataclass(frozen=True)
class Pairs:
    """A batch of spectra in pairs of pixels, each of shape (n, N_PAIRS).

    Attributes
    ----------
    flux : Tensor
        Weighted mean of the two in units of ``scale``; 0 where nothing is usable.
    ivar : Tensor
        Inverse variance of the mean.
    offset_km_s : Tensor
        Where the weight lies, from the middle of the pair: not 0 if one of the two is masked.
    narrower_km2_s2 : Tensor
        By how much the variance of the weight within the pair falls short of that of two equal pixels, in (km/s)².
    scale : Tensor, shape (n, 1)
        What was divided out of the flux: about its level, as physical units would overflow in single precision.
    """

    flux: Tensor
    ivar: Tensor
    offset_km_s: Tensor
    narrower_km2_s2: Tensor
    scale: Tensor

    def __len__(self) -> int:
        return len(self.flux)

    def rows(self, rows: Tensor) -> Pairs:
        """Return some of the spectra."""
        return Pairs(*(values[rows] for values in vars(self).values()))


def pair(flux: NDArray[np.floating], ivar: NDArray[np.floating]) -> Pairs:
    """Average neighbouring pixels by their inverse variance.

    Parameters
    ----------
    flux, ivar : ndarray, shape (n, N_PIXELS)
        Inverse variance 0 masks. Units of the flux are free.
    """
    used = np.asarray(ivar) > 0.0
    level = np.sum(np.abs(flux), axis=1, where=used, dtype=np.float64) / np.maximum(used.sum(axis=1), 1)
    scale = np.where(level > 0.0, level, 1.0)[:, None]
    f = torch.from_numpy((flux / scale).astype(np.float32)).reshape(len(flux), -1, 2)
    w = torch.from_numpy((ivar * scale**2).astype(np.float32)).reshape(len(flux), -1, 2)
    total = w.sum(2)
    usable = total > 0.0
    safe = torch.where(usable, total, torch.ones_like(total))
    mean = (f * w).sum(2) / safe
    right = w[:, :, 1] / safe
    # Of no use where nothing is usable, and 0 there.
    right = torch.where(usable, right, torch.full_like(right, 0.5))
    full = (0.5 * PIXEL_KM_S) ** 2
    return Pairs(
        mean,
        total,
        (right - 0.5) * PIXEL_KM_S,
        full * (1.0 - 4.0 * right * (1.0 - right)),
        torch.from_numpy(scale).float(),
    )
