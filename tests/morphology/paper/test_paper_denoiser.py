"""The denoising autoencoder: less noise against a known truth, seeds, sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from astropipe.morphology.paper.denoiser import Denoiser, denoise, train_denoiser
from astropipe.runtime.errors import UsageError


def _galaxies(rng: np.random.Generator, n: int, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices((size, size)) - (size - 1) / 2.0
    clean = np.stack([20.0 + 200.0 * np.exp(-(rows**2 + columns**2) / 2.0 / w**2) for w in rng.uniform(1.5, 4.0, n)])
    return clean, np.clip(np.rint(clean + rng.normal(0.0, 20.0, clean.shape)), 0, 255).astype(np.uint8)


def test_noise_is_lower_afterwards() -> None:
    rng = np.random.default_rng(1)
    clean, noisy = _galaxies(rng, 64)
    cleaned = denoise(train_denoiser(noisy, rng, 300, code_size=8, channels=8), noisy)
    before, after = (np.sqrt(np.mean((images - clean) ** 2)) for images in (noisy, cleaned))
    assert after < 0.8 * before


def test_same_seed_same_pixels() -> None:
    _, noisy = _galaxies(np.random.default_rng(2), 12, 10)

    def cleaned(seed: int) -> np.ndarray:
        return denoise(train_denoiser(noisy, np.random.default_rng(seed), 3, channels=2), noisy, batch_size=5)

    np.testing.assert_array_equal(cleaned(5), cleaned(5))
    assert np.any(cleaned(5) != cleaned(6))


@pytest.mark.parametrize("size", [12, 13, 14, 15])
def test_any_size_comes_back(size: int) -> None:
    assert Denoiser(size, channels=2)(torch.zeros(3, size, size)).shape == (3, size, size)


def test_layers_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(values.shape) for name, values in Denoiser(100).named_parameters()}
    assert shapes["conv_1.weight"] == (16, 1, 5, 5)
    assert shapes["encode.weight"] == (10_000, 10_000)
    assert sum(np.prod(shape) for shape in shapes.values()) == pytest.approx(200e6, rel=0.01)


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 image and 1 step"):
        train_denoiser(np.zeros((0, 8, 8), dtype=np.uint8), np.random.default_rng(0), 1)
