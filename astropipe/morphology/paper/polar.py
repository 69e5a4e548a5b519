"""The adaptive polar transform (APCT) of Fang et al. 2023 (AJ 165, 35) as the authors' code has it, pixel by pixel.

The origin is the brightest pixel, the zero angle the direction of the darkest one, of equals that nearest the middle of
the frame: a turned galaxy should give the same strip. Five things of the code are kept that one would not write:

- both are single pixels, so that noise moves the origin and turns the strip;
- the origin is the last of the four subpixels of the enlarged pixel, half a pixel from its centre;
- rows or columns before the first wrap around to the other side of the frame, those behind the last are black;
- the column between the two mirrored halves stays black, and radius 0 stands in the first column;
- π is cut after nine digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PI = 3.141592653
ANGLE_STEP = 0.05
"""Radians from one row of the strip to the next; 125 rows."""
ENLARGEMENT = 2
"""Each pixel is repeated so often along both axes before the strip is read."""


def polar_strips(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Unroll images around their brightest pixels.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, size, size)
        Grey levels, see `grey_levels`.

    Returns
    -------
    ndarray of uint8, shape (n, 125, 2 size)
        Angle in steps of `ANGLE_STEP` along the rows. The columns hold, with R = size radii in half pixels, radius
        0, then R-1 down to 1, a black column, and 1 up to R-1.
    """
    strips = np.empty((len(images), int(2.0 * _PI / ANGLE_STEP), 2 * (images.shape[-1] * ENLARGEMENT // 2)), np.uint8)
    for strip, image in zip(strips, images, strict=True):
        strip[:] = _mirrored(_unrolled(image))
    return strips


def extreme_pixels(image: NDArray[np.uint8]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return row and column of the brightest and of the darkest pixel, of equals that nearest the middle of the frame.

    Of those equally near the first in reading order is taken.
    """
    rows, columns = np.indices(image.shape)
    distance2 = (rows - image.shape[0] // 2) ** 2 + (columns - image.shape[1] // 2) ** 2

    def nearest(level: np.uint8) -> tuple[int, int]:
        where = np.where(image == level, distance2, np.iinfo(distance2.dtype).max)
        row, column = np.unravel_index(int(where.argmin()), image.shape)
        return int(row), int(column)

    return nearest(image.max()), nearest(image.min())


def _zero_angle(d_row: int, d_column: int) -> float:
    """Return the angle of a direction, from the column axis towards the row axis; 0 where there is none."""
    if d_row == 0 and d_column == 0:
        # An image of one value; the authors' code ends here with an error.
        return 0.0
    angle = float(np.arctan(abs(d_row) / abs(d_column))) if d_column else np.pi / 2.0
    if d_row >= 0:
        return angle if d_column >= 0 else _PI - angle
    return -angle if d_column >= 0 else _PI + angle


def _unrolled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Read the image along rays, nearest pixel towards 0."""
    (row, column), (dark_row, dark_column) = extreme_pixels(image)
    enlarged = image.repeat(ENLARGEMENT, axis=0).repeat(ENLARGEMENT, axis=1)
    last = ENLARGEMENT - 1
    zero = _zero_angle((dark_row - row) * ENLARGEMENT, (dark_column - column) * ENLARGEMENT)
    angles = zero + np.arange(int(2.0 * _PI / ANGLE_STEP)) * ANGLE_STEP
    radii = np.arange(len(enlarged) // 2)
    columns = np.trunc(radii * np.cos(angles)[:, None] + (column * ENLARGEMENT + last)).astype(np.intp)
    rows = np.trunc(radii * np.sin(angles)[:, None] + (row * ENLARGEMENT + last)).astype(np.intp)
    height, width = enlarged.shape
    inside = (rows >= -height) & (rows < height) & (columns >= -width) & (columns < width)
    # Negative indices count from the end: this is how the authors' frame wraps around.
    return np.where(inside, enlarged[np.where(inside, rows, 0), np.where(inside, columns, 0)], np.uint8(0))


def _mirrored(strip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Double the columns as the authors do: radius 0 first, the outside in, a black column, the inside out."""
    outwards = strip[:, 1:]
    black = np.zeros((len(strip), 1), dtype=strip.dtype)
    return np.concatenate([strip[:, :1], outwards[:, ::-1], black, outwards], axis=1)
