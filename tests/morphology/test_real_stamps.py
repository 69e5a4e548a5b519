"""Stamps of real galaxies: HST F814W cutouts of COSMOS with their catalog, and stretched ones."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from astropipe.morphology.cut_options import CutOptions
from astropipe.morphology.flags import UNUSABLE, GalaxyFlag
from astropipe.morphology.sources import stamps_from_arrays

REAL = Path(__file__).parents[3] / "shared" / "data" / "galaxies"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason="the real galaxies of ../shared/data/galaxies are not here"),
]


def test_cosmos_galaxies_are_found_with_the_noise_of_their_catalog() -> None:
    with h5py.File(REAL / "cosmos-dev.h5") as file:
        images = [image[:rows, :columns] for image, (rows, columns) in zip(file["images"], file["shape"], strict=True)]
        rms = np.sqrt(file["catalogue/NOISE_VARIANCE"][:])
    large = [i for i, image in enumerate(images) if min(image.shape) >= 24]
    stamps = stamps_from_arrays([images[i] for i in large], pixel_scale_arcsec=0.03, options=CutOptions(size=100))
    assert not (stamps.flags & int(UNUSABLE | GalaxyFlag.FAINT)).any()
    assert np.mean(stamps.flags & int(GalaxyFlag.OFF_CENTRE) != 0) < 0.05
    # Resampling takes up to a quarter of what is not correlated between pixels.
    assert 0.75 < np.median(stamps.sky_rms / rms[large]) < 1.1


def test_clumpy_and_merging_galaxies_stay_whole() -> None:
    with h5py.File(REAL / "galaxy-zoo-dev.h5") as file:
        classes = file["class"].asstr()[:]
        images = file["images"][:][np.isin(classes, ["clumpy", "irregular/merger"])]
    stamps = stamps_from_arrays(list(images), stretched=True)
    bright = np.array([np.mean(mask[44:84, 44:84]) for mask in stamps.masks])
    assert np.mean(bright < 0.05) > 0.9
