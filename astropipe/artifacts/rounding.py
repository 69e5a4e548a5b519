"""Numbers rounded to the bits that they deserve: what is rounded compresses, and noise fills the rest anyway."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rounded(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Round to a number of bits after the leading one: to 1 in 2^(bits + 1).

    Parameters
    ----------
    values : ndarray of float32
        Finite numbers.
    bits : int
        Of the 23 of single precision, those that are kept.
    """
    drop = 23 - bits
    whole = np.ascontiguousarray(values).view(np.uint32) + np.uint32(1 << (drop - 1))
    return (whole & np.uint32(~((1 << drop) - 1) & 0xFFFFFFFF)).view(np.float32)
