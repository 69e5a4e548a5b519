"""The 8-bit stretch: what imageio makes of the same pixels, and the authors' own stamps."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.stats import norm

from astropipe.morphology.paper.stretch import grey_levels

REAL = Path(__file__).parents[4] / "shared" / "data" / "galaxies"


def test_levels_are_linear_between_the_extremes_of_each_image() -> None:
    ramp = np.linspace(-3.0, 7.0, 256).reshape(16, 16)
    grey = grey_levels(np.stack([ramp, 1e-6 * ramp]))
    np.testing.assert_array_equal(grey[0].ravel(), np.arange(256))
    np.testing.assert_array_equal(grey[1], grey[0])


def test_half_a_level_goes_down() -> None:
    image = np.array([[0.0, 255.0], [100.5, 100.51]])
    np.testing.assert_array_equal(grey_levels(image[None])[0], [[0, 255], [100, 101]])


def test_levels_are_those_of_imageio() -> None:
    util = pytest.importorskip("imageio.core.util", reason="imageio, with which the authors write, is not installed")
    for image in np.random.default_rng(0).normal(size=(5, 50, 50)):
        np.testing.assert_array_equal(grey_levels(image[None])[0], util.image_as_uint(image, 8))


def test_flat_image_is_black() -> None:
    assert grey_levels(np.full((1, 4, 4), 3.0)).max() == 0


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real galaxies of ../shared/data/galaxies are not here")
def test_the_authors_stamps_are_stretched_linearly_from_their_minimum() -> None:
    """In a linear picture the sky is as far above black as the lowest of so many normal deviates; else it is not."""

    def height(grey: np.ndarray) -> float:
        border = np.ones(grey.shape, dtype=bool)
        border[8:-8, 8:-8] = False
        sky = np.median(grey[border])
        sigma = 1.4826 * np.median(np.abs(grey[border] - sky))
        return float(sky / sigma / norm.isf(0.5614 / grey.size))

    with h5py.File(REAL / "usmorph-sample.h5") as file:
        theirs = file["images"][:]
    assert np.all(theirs.min(axis=(1, 2)) == 0)
    assert np.all(theirs.max(axis=(1, 2)) == 255)
    np.testing.assert_array_equal(grey_levels(theirs.astype(float)), theirs)
    with h5py.File(REAL / "cosmos-dev.h5") as file:
        shapes = zip(file["images"][:], file["shape"][:], strict=True)
        linear = [image[:rows, :columns] for image, (rows, columns) in shapes if min(rows, columns) >= 48]
    ours = [height(grey_levels(image[None])[0]) for image in linear]
    square_root = [height(grey_levels(np.sqrt(image - image.min())[None])[0]) for image in linear]
    # Of a single stamp it is known to 10 per cent.
    assert np.median([height(grey) for grey in theirs]) == pytest.approx(1.0, abs=0.1)
    assert np.median(ours) == pytest.approx(1.0, abs=0.1)
    assert np.median(square_root) > 1.7
