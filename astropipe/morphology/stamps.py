"""Stamps: images of single galaxies with their masks, noise, pixel scale and what else is known of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 64
"""Stamps that are worked on together. What is read in whole batches, counted from the first row of an artifact, has the
same results in any part of it (`astropipe.runtime.batches`)."""


@dataclass(frozen=True)
class Stamps:
    """Images of n galaxies, each in the middle of a square of `size` pixels.

    Attributes
    ----------
    ids : list of str
        Name of each galaxy.
    images : ndarray of float32, shape (n, size, size)
        Less the sky, linear in flux unless the flag STRETCHED says otherwise; 0 where nothing is known.
    masks : ndarray of bool, shape (n, size, size)
        True where a pixel belongs to something else, is damaged, or lies outside the picture.
    sky_rms : ndarray, shape (n,)
        Standard deviation of the sky in the unit of the images.
    pixel_scale_arcsec : ndarray, shape (n,)
        Size of a pixel of the stamp; a galaxy too large for the stamp was averaged to larger pixels. NaN if unknown.
    psf_fwhm_arcsec : ndarray, shape (n,)
        Full width at half maximum of the point spread function; NaN if unknown.
    flags : ndarray of int64, shape (n,)
        See `GalaxyFlag`.
    columns : dict of str to ndarray
        What else is known of each galaxy, by the names of the schema: ``ra``, ``dec``, ``x``, ``y``, ``mag``, and of
        rendered galaxies the truth.
    """

    ids: list[str]
    images: NDArray[np.float32]
    masks: NDArray[np.bool_]
    sky_rms: NDArray[np.float64]
    pixel_scale_arcsec: NDArray[np.float64]
    psf_fwhm_arcsec: NDArray[np.float64]
    flags: NDArray[np.int64]
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> int:
        """Rows, and columns, of a stamp."""
        return int(self.images.shape[1])

    def rows(self, place: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Stamps:
        """Return some of the galaxies."""
        wanted = np.arange(len(self))[place]
        names = ("images", "masks", "sky_rms", "pixel_scale_arcsec", "psf_fwhm_arcsec", "flags")
        return replace(
            self,
            ids=[self.ids[i] for i in wanted],
            columns={name: values[wanted] for name, values in self.columns.items()},
            **{name: getattr(self, name)[wanted] for name in names},
        )
