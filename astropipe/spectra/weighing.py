"""What every pair of pixels counts: noise, error of the emulator and excess together, in one pass over a spectrum.

These are sums and products of a dozen arrays of the size of the batch. Taken one after the other each of them would go
through the memory and not stay in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from astropipe.spectra.known_error import KnownError
from astropipe.spectra.pairs import SIZES

_COSMIC_SIGMA = 5.0
_TINY = 1e-30
_ARMS = (0, SIZES[0], SIZES[0] + SIZES[1])

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Weighed:
    """A batch of n spectra, weighed.

    Attributes
    ----------
    weights : Tensor, shape (n, N_PAIRS)
        Inverse variances with the excess on top; 0 where a pair is not used.
    pull : Tensor, shape (n, N_PAIRS)
        Weights times residuals.
    spikes : Tensor, shape (n, N_PAIRS)
        Whether a pair stands out upwards, so that it is not used.
    excess : Tensor, shape (n, 2)
        The variance that residuals of an arm have beyond what is known.
    """

    weights: Tensor
    pull: Tensor
    spikes: Tensor
    excess: Tensor


def known_weights(ivar: Tensor, level: Tensor, error: KnownError) -> Tensor:
    """Return inverse variances of noise and emulator together, shape (n, N_PAIRS); 0 where the emulator ends.

    Parameters
    ----------
    ivar : Tensor, shape (n, N_PAIRS)
        Inverse variances of the noise.
    level : Tensor, shape (n, N_PAIRS)
        The continuum in units of the flux.
    error : KnownError
        That of the emulator.
    """
    known = torch.empty_like(ivar)
    _known(*_arrays(ivar, level, *vars(error).values(), known))
    return known


def weigh(flux: Tensor, ivar: Tensor, level: Tensor, model: Tensor, error: KnownError, spikes: Tensor) -> Weighed:
    """Weigh spectra by all errors, known and found.

    Parameters
    ----------
    flux, ivar, level, model : Tensor, shape (n, N_PAIRS)
        Observed flux, inverse variance of its noise, continuum, and spectrum in units of the continuum.
    error : KnownError
        That of the emulator.
    spikes : Tensor, shape (n, N_PAIRS)
        What stood out before, from which the excess is not found.
    """
    known, pull = torch.empty_like(ivar), torch.empty_like(ivar)
    found, excess = torch.empty_like(spikes), torch.empty(len(ivar), 2)
    _known(*_arrays(ivar, level, *vars(error).values(), known))
    _weigh(*_arrays(flux, level, model, known, spikes, pull, found, excess))
    return Weighed(known, pull, found, excess)


def _arrays(*tensors: Tensor) -> tuple[NDArray[np.generic], ...]:
    return tuple(tensor.contiguous().numpy() for tensor in tensors)


# Sums may be taken in any order, so that loops run on whole vectors of the processor.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _known(
    ivar: Floats,
    level: Floats,
    table: Floats,
    row: NDArray[np.int64],
    share: Floats,
    factor: Floats,
    always: Floats,
    ends: NDArray[np.int64],
    core: NDArray[np.int64],
    known: Floats,
) -> None:
    one = np.float32(1.0)
    for i in range(len(ivar)):
        cool, hot = table[row[i]], table[row[i] + 1]
        for arm in range(2):
            first, last = _ARMS[arm], _ARMS[arm + 1]
            begin, end = first + ends[i, arm, 0], first + ends[i, arm, 1]
            known[i, first:begin] = 0.0
            known[i, end:last] = 0.0
            for j in range(begin, end):
                variance = (cool[j] + share[i] * (hot[j] - cool[j])) * factor[i] + always[j]
                noise = ivar[i, j]
                known[i, j] = noise / (one + noise * variance * level[i, j] * level[i, j])
        known[i, core[i, 0] : core[i, 1]] = 0.0


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _weigh(
    flux: Floats, level: Floats, model: Floats, known: Floats, spikes: Mask, pull: Floats, found: Mask, excess: Floats
) -> None:
    """Find the excess of each arm; turn known weights into weights, in place; find what stands out."""
    one, none, limit = np.float32(1.0), np.float32(0.0), np.float32(_COSMIC_SIGMA**2)
    for i in range(len(flux)):
        for arm in range(2):
            first, last = _ARMS[arm], _ARMS[arm + 1]
            beyond, size = none, none
            # The best estimate while the excess is small: precise pixels count most.
            for j in range(first, last):
                residual = flux[i, j] - level[i, j] * model[i, j]
                weight = none if spikes[i, j] else known[i, j]
                pulled = weight * residual
                pull[i, j] = residual
                beyond += pulled * pulled - weight
                size += weight * weight
            more = max(beyond / max(size, np.float32(_TINY)), none)
            excess[i, arm] = more
            for j in range(first, last):
                weight = known[i, j] / (one + known[i, j] * more)
                residual = pull[i, j]
                spike = (residual > none) & (residual * residual * weight > limit)
                found[i, j] = spike
                weight = none if spike else weight
                known[i, j] = weight
                pull[i, j] = weight * residual
