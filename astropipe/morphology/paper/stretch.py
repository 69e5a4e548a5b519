"""Grey levels: each stamp stretched linearly from its darkest to its brightest pixel, in 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def grey_levels(images: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Stretch images to 8 bits, each by its own minimum and maximum.

    The authors write the pixels of a cut-out as PNG and leave the scaling to the library imageio, which is linear and
    rounds to the nearest level. Sky and noise so get other levels in a faint galaxy than in a bright one.

    Parameters
    ----------
    images : ndarray, shape (n, rows, columns)
        Finite pixel values, in any unit.

    Returns
    -------
    ndarray of uint8, shape (n, rows, columns)
        0 at the minimum and 255 at the maximum of each image; all 0 where an image has one value everywhere.
    """
    values = np.asarray(images, dtype=np.float64)
    low = values.min(axis=(1, 2), keepdims=True)
    span = values.max(axis=(1, 2), keepdims=True) - low
    scaled = np.divide(values - low, span, out=np.zeros_like(values), where=span > 0.0)
    # Just below one half, as imageio has it: a level and a half becomes the lower one.
    return (scaled * 255.0 + 0.499999999).astype(np.uint8)
