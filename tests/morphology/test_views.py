"""The network of sixteen views: its geometry, and that it learns to tell two rendered kinds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from astropipe.morphology.views import DielemanNet, ViewSettings, parts, predict_views, standardised, train_views
from astropipe.runtime.errors import InputError, UsageError

SMALL = ViewSettings(
    ("ETD", "LTD"), view_size=53, part_size=37, filters=(6, 8, 8, 8), dense=16, epochs=12, batch_size=8,
    learning_rate=3e-3, dropout=0.0,
)  # fmt: skip
UPRIGHT = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])


def _disks(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Render inclined disks, every second with two arms, at any angle and with noise."""
    rows, columns = np.indices((64, 64)) - 31.5
    arms = np.arange(n) % 2 == 1
    images = np.empty((n, 64, 64))
    for image, has_arms in zip(images, arms, strict=True):
        angle = rng.uniform(0.0, 2.0 * np.pi)
        x = columns * np.cos(angle) + rows * np.sin(angle)
        y = rows * np.cos(angle) - columns * np.sin(angle)
        image[:] = np.exp(-np.hypot(x, y / rng.uniform(0.6, 0.9)) / rng.uniform(5.0, 8.0))
        if has_arms:
            winding = rng.choice([-4.0, 4.0]) * np.log1p(np.hypot(x, y))
            image *= 1.0 + 0.9 * np.cos(2.0 * np.arctan2(y, x) - winding)
        image += rng.normal(0.0, 0.02, image.shape)
    return images, np.where(arms, "LTD", "ETD")


def test_it_learns_to_tell_two_kinds() -> None:
    rng = np.random.default_rng(1)
    net = train_views(*_disks(rng, 64), rng, SMALL)
    images, truth = _disks(rng, 60)
    probabilities = predict_views(net, images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert np.mean(np.array(SMALL.classes)[probabilities.argmax(axis=1)] == truth) > 0.9


def test_same_seed_same_network() -> None:
    images, labels = _disks(np.random.default_rng(2), 6)

    def told(seed: int) -> np.ndarray:
        before = torch.random.get_rng_state()
        net = train_views(images, labels, np.random.default_rng(seed), replace(SMALL, epochs=1, dropout=0.5))
        assert torch.equal(torch.random.get_rng_state(), before)
        return predict_views(net, images, batch_size=4)

    np.testing.assert_array_equal(told(3), told(3))
    assert np.any(told(3) != told(4))


def test_upright_view_has_its_corners_turned_to_the_middle() -> None:
    image = torch.rand(1, 51, 51, generator=torch.Generator().manual_seed(1))
    cut = parts(image, UPRIGHT, 51, 37)
    assert cut.shape == (16, 1, 37, 37)
    # The four corners of the upright view come first, then those of the turned and of the mirrored one.
    for quarter in range(4):
        expected = torch.rot90(image[0], quarter, (0, 1))[:37, :37]
        torch.testing.assert_close(cut[quarter, 0], expected, rtol=0.0, atol=1e-5)
        assert cut[quarter, 0, 25, 25] == pytest.approx(float(image[0, 25, 25]), abs=1e-5)
    torch.testing.assert_close(cut[8, 0], torch.flip(image[0], (1,))[:37, :37], rtol=0.0, atol=1e-5)


def test_turned_view_is_turned_by_45_degrees() -> None:
    rows, columns = np.indices((51, 51)) - 25.0
    bar = np.exp(-((rows**2) / 8.0 + columns**2 / 400.0))
    turned_bar = np.exp(-(((rows + columns) ** 2 / 16.0) + (rows - columns) ** 2 / 800.0))
    cut = parts(torch.tensor(bar[None], dtype=torch.float32), UPRIGHT, 51, 51)[[4, 12], 0].numpy()
    inside = np.hypot(rows, columns) < 24.0
    for view, expected in ((cut[0], turned_bar), (cut[1], turned_bar[:, ::-1])):
        assert np.corrcoef(view[inside], expected[inside])[0, 1] > 0.99


def test_sizes_of_the_paper() -> None:
    with torch.device("meta"):
        net = DielemanNet(ViewSettings())
    # 45 pixels become 2 x 2 in 128 maps; sixteen parts join.
    assert net.dense[0].in_features == 16 * 128 * 2 * 2
    assert [tuple(layer.kernel_size) for layer in net.convolutions] == [(6, 6), (5, 5), (3, 3), (3, 3)]


def test_scale_and_zero_point_do_not_matter() -> None:
    images, _ = _disks(np.random.default_rng(5), 4)
    np.testing.assert_allclose(standardised(1e3 * images - 7.0), standardised(images), atol=1e-5)
    assert np.all(standardised(np.ones((1, 8, 8))) == 0.0)


def test_wrong_calls_say_what_to_do() -> None:
    images, labels = _disks(np.random.default_rng(6), 4)
    with pytest.raises(InputError, match="label IRR: not among the classes ETD, LTD"):
        train_views(images, np.array(["ETD", "IRR", "LTD", "ETD"]), np.random.default_rng(0), SMALL)
    with pytest.raises(InputError, match="4 stamps and 3 labels"):
        train_views(images, labels[:3], np.random.default_rng(0), SMALL)
    with pytest.raises(UsageError, match="37 pixels or more"):
        DielemanNet(replace(SMALL, part_size=36))
    DielemanNet(replace(SMALL, part_size=37))
