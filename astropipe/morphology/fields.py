"""Pictures ready for cutting: the sky subtracted, the sources found, what has no value told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from astropipe.morphology.cut_options import CutOptions
from astropipe.morphology.detection import Image, Mask, Sky, constant_sky, detect, mapped_sky
from astropipe.morphology.pieces import Sources


@dataclass(frozen=True)
class Field:
    """A picture, or a part of one, that is ready for cutting; all arrays have its shape.

    Attributes
    ----------
    image : ndarray of float32
        Less the sky; 0 where there is no value.
    damaged, outside : ndarray of bool
        Pixels without a value: holes, and what is connected to the border.
    sky : Sky
        What was subtracted, and the noise.
    sources : Sources
        All that was found.
    """

    image: Image
    damaged: Mask
    outside: Mask
    sky: Sky
    sources: Sources

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.shape[0], self.image.shape[1]


def make_field(values: Image, options: CutOptions, *, mosaic: bool) -> Field | None:
    """Subtract the sky from a picture and find its sources.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns)
        The picture; not finite where there is no value.
    options : CutOptions
        How.
    mosaic : bool
        Whether the sky is measured in meshes, or as one level.

    Returns
    -------
    Field or None
        None for a picture without a value or with one value everywhere.
    """
    bad = ~np.isfinite(values)
    if bad.all() or np.ptp(values[~bad]) == 0.0:
        return None
    sky = mapped_sky(values, bad, options.background_box_px) if mosaic else constant_sky(values, bad)
    image = np.where(bad, np.float32(0.0), values - sky.level).astype(np.float32)
    outside = _reaching_border(bad) if bad.any() else bad
    return Field(image, bad & ~outside, outside, sky, detect(image, sky, bad, options))


def source_near(sources: Sources, x: float, y: float, radius_px: float) -> int:
    """Return the label of the source at a point, or of that whose outline is nearest within a radius; 0 for none."""
    rows, columns = sources.labels.shape
    first = max(0, math.floor(y - radius_px)), max(0, math.floor(x - radius_px))
    last = min(rows, math.ceil(y + radius_px) + 1), min(columns, math.ceil(x + radius_px) + 1)
    patch = sources.labels[first[0] : last[0], first[1] : last[1]]
    row, column = np.nonzero(patch)
    if len(row) == 0:
        return 0
    distance = np.hypot(row + first[0] - y, column + first[1] - x)
    nearest = int(np.argmin(distance))
    return int(patch[row[nearest], column[nearest]]) if distance[nearest] <= radius_px else 0


def _reaching_border(bad: Mask) -> Mask:
    """Pixels without a value that are connected to the border of the picture."""
    areas, _ = ndimage.label(bad)
    border = np.unique(np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]]))
    return np.isin(areas, border[border > 0])
