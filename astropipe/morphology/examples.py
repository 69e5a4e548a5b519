"""Small pictures of galaxies of each group, for mosaics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.classification import Classified
from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.stamp_artifact import stamp_blocks
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.errors import InputError

SIZE = 64
"""Rows and columns of an example."""
# Of more galaxies the examples are from the first; at 4 kB each.
_MOST = 20_000


def choose(result: Classified, per_group: int, below: int | None = None) -> NDArray[np.int64]:
    """Return rows of galaxies of each group, from those on which most votes agree to those on which fewest do.

    Parameters
    ----------
    result : Classified
        Groups and agreement.
    per_group : int
        Galaxies of a group.
    below : int, optional
        Only rows below this one.
    """
    rows: list[NDArray[np.int64]] = []
    for group in range(len(result.named.names)):
        members = np.flatnonzero(result.groups[:below] == group)
        ranked = members[np.argsort(-result.agreement[members], kind="stable")]
        rows.append(
            ranked[np.unique(np.linspace(0, len(ranked) - 1, per_group).astype(int))] if len(ranked) else ranked
        )
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)


def thumbnails(stamps: Stamps) -> NDArray[np.uint8]:
    """Return the middle halves of stamps as grey levels, shape (n, SIZE, SIZE)."""
    size = stamps.size
    # The middle half, or all of a stamp too small for that.
    width = max(size // 2, min(size, SIZE))
    begin = (size - width) // 2
    places = begin + (np.arange(SIZE) * width) // SIZE
    images = np.where(stamps.masks, np.float32(0.0), stamps.images)[:, places][:, :, places]
    linear = ((stamps.flags & int(GalaxyFlag.STRETCHED)) == 0)[:, None, None]
    noise = np.maximum(np.nan_to_num(stamps.sky_rms, nan=1.0), 1e-30)[:, None, None]
    shown = np.where(linear, np.arcsinh(images / (2 * noise)), images)
    top = np.maximum(np.quantile(shown, 0.998, axis=(1, 2), keepdims=True), 1e-30)
    return np.asarray(np.clip(30 + 225 * shown / top, 0, 255), dtype=np.uint8)


class Thumbnails:
    """The thumbnails of galaxies as they come, as many as fit."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.uint8]] = []
        self._n = 0

    def add(self, stamps: Stamps) -> None:
        """Append galaxies."""
        if self._n < _MOST:
            self._parts.append(thumbnails(stamps))
            self._n += len(stamps)

    def chosen(self, result: Classified, per_group: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the thumbnails of chosen galaxies, and their rows."""
        if not self._parts:
            return np.empty((0, SIZE, SIZE), dtype=np.uint8), np.empty(0, dtype=np.int64)
        rows = choose(result, per_group, self._n)
        return np.concatenate(self._parts)[rows], rows


def read_thumbnails(
    paths: Sequence[Path], result: Classified, per_group: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the thumbnails of chosen galaxies from the stamps of which a catalog is made.

    Raises
    ------
    InputError
        If the stamps are not as many as the galaxies.
    """
    rows = choose(result, per_group)
    images = np.zeros((len(rows), SIZE, SIZE), dtype=np.uint8)
    start = 0
    for path in paths:
        for stamps, _, _ in stamp_blocks(path):
            here = np.flatnonzero((rows >= start) & (rows < start + len(stamps)))
            if len(here):
                images[here] = thumbnails(stamps.rows(rows[here] - start))
            start += len(stamps)
    if start != len(result.groups):
        raise InputError(
            f"{paths[0]}: {start} stamps for the features of {len(result.groups)} galaxies; give the stamps from which "
            "the features were made"
        )
    return images, rows
