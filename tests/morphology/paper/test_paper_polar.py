"""The polar transform against a pixel-by-pixel reading of its description, and shapes whose strip is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from astropipe.morphology.paper.polar import extreme_pixels, polar_strips

MIDDLE = 50


def _frame(level: int = 50) -> np.ndarray:
    """Return a flat frame with the brightest pixel in its middle."""
    image = np.full((100, 100), level, dtype=np.uint8)
    image[MIDDLE, MIDDLE] = 255
    return image


def _by_hand(image: np.ndarray) -> np.ndarray:
    """Read the strip one pixel after the other, with the pixel's own arithmetic."""
    size = len(image)

    def pick(level: int) -> tuple[int, int]:
        places = [(r, c) for r in range(size) for c in range(size) if image[r, c] == level]
        return min(places, key=lambda place: ((place[0] - size // 2) ** 2 + (place[1] - size // 2) ** 2, *place))

    (row, column), (dark_row, dark_column) = pick(image.max()), pick(image.min())
    zero = math.atan2(dark_row - row, dark_column - column)
    strip = np.zeros((125, 2 * size), dtype=np.uint8)
    for step in range(125):
        for radius in range(size):
            r = int(2 * row + 1 + radius * math.sin(zero + 0.05 * step))
            c = int(2 * column + 1 + radius * math.cos(zero + 0.05 * step))
            if max(r, c) >= 2 * size or min(r, c) < -2 * size:
                continue
            level = image[(r % (2 * size)) // 2, (c % (2 * size)) // 2]
            if radius == 0:
                strip[step, 0] = level
            else:
                strip[step, size + radius] = strip[step, size - radius] = level
    return strip


@pytest.mark.parametrize("seed", range(4))
def test_strip_is_that_of_the_description(seed: int) -> None:
    image = np.random.default_rng(seed).integers(1, 255, (40, 40), dtype=np.uint8)
    image[tuple(np.random.default_rng(seed + 10).integers(0, 40, 2))] = 255
    image[tuple(np.random.default_rng(seed + 20).integers(0, 40, 2))] = 0
    (strip,) = polar_strips(image[None])
    # π of nine digits moves a pixel that lies on the edge between two; at most a handful.
    assert np.mean(strip != _by_hand(image)) < 1e-3


def test_ring_becomes_straight_columns() -> None:
    rows, columns = np.indices((100, 100)) - MIDDLE
    image = np.where(np.abs(np.hypot(rows, columns) - 20.0) < 3.0, 200, _frame()).astype(np.uint8)
    image[0, 0] = 0
    (strip,) = polar_strips(image[None])
    # Radius 20 pixels is 40 half pixels, on both sides of the black column.
    assert np.all(strip[:, 100 + 40] == 200)
    assert np.all(strip[:, 100 - 40] == 200)
    assert np.all(strip[:, [100 + 20, 100 + 60]] == 50)


@pytest.mark.parametrize(
    ("d_row", "d_column"), [(0, 25), (15, 20), (25, 0), (15, -20), (0, -25), (-15, -20), (-25, 0), (-15, 20)]
)
def test_first_row_points_at_the_darkest_pixel(d_row: int, d_column: int) -> None:
    image = _frame()
    image[MIDDLE + d_row, MIDDLE + d_column] = 0
    (strip,) = polar_strips(image[None])
    assert strip[0, 100 + 50] == 0
    # A quarter of a turn later there is sky.
    assert strip[31, 100 + 50] == 50


def test_columns_are_mirrored_with_a_black_one_between() -> None:
    image = np.random.default_rng(3).integers(1, 255, (100, 100), dtype=np.uint8)
    image[48, 53] = 255
    (strip,) = polar_strips(image[None])
    assert strip.shape == (125, 200)
    assert np.all(strip[:, 0] == 255)
    assert np.all(strip[:, 100] == 0)
    np.testing.assert_array_equal(strip[:, 101:], strip[:, 99:0:-1])


def test_a_quarter_turn_changes_few_pixels_of_a_smooth_galaxy() -> None:
    rows, columns = np.indices((101, 101)) - 50
    image = (200 * np.exp(-np.hypot(rows / 2.0, columns) / 8.0)).astype(np.uint8)
    image[50, 50], image[20, 50] = 255, 0
    image[image == 0], image[20, 50] = 1, 0
    first, turned = polar_strips(np.stack([image, np.rot90(image)]))
    assert np.mean(np.abs(first.astype(int) - turned) > 10) < 0.05


def test_of_equal_pixels_the_nearest_to_the_middle_counts_and_then_the_first() -> None:
    image = np.full((9, 9), 7, dtype=np.uint8)
    image[[0, 4, 4], [0, 2, 6]] = 200
    image[[8, 6], [8, 4]] = 1
    assert extreme_pixels(image) == ((4, 2), (6, 4))


def test_behind_the_last_row_is_black_and_before_the_first_the_frame_wraps() -> None:
    rows = np.repeat(np.arange(10, 110, dtype=np.uint8)[:, None], 100, axis=1)
    near_end, near_start = rows.copy(), rows.copy()
    near_end[90, 50], near_end[95, 50] = 255, 0
    near_start[10, 50], near_start[5, 50] = 255, 0
    down, up = polar_strips(np.stack([near_end, near_start]))
    # 80 half pixels from the origin: half row 261 of 200, and half row -59, which is row 70 from the other side.
    assert down[0, 100 + 80] == 0
    assert up[0, 100 + 80] == rows[70, 50]


def test_flat_frame_gives_a_flat_strip() -> None:
    (strip,) = polar_strips(np.full((1, 20, 20), 9, dtype=np.uint8))
    assert strip[:, 20].max() == 0
    assert set(np.unique(strip)) == {0, 9}
