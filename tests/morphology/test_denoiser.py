"""The denoiser: its pairs of exposures, that it learns, and what the shipped one leaves of noise and light."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from astropipe.morphology import standard
from astropipe.morphology.augmentation import exposures
from astropipe.morphology.denoiser import Denoiser
from astropipe.morphology.denoiser_training import train_denoiser
from astropipe.morphology.describing import own_encoder
from astropipe.morphology.library import render_library
from astropipe.morphology.rendering.survey import Survey, simulate

R50_PX = 12.0
INNER = np.hypot(*np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5)) < 28


@pytest.fixture(scope="module")
def library():
    return render_library(120, seed=3)


def _pairs(library, seed):
    return exposures(*library.on("cpu")(torch.arange(len(library))), 64, torch.Generator().manual_seed(seed))


def test_pairs_share_light_and_not_noise(library):
    first, second, variance = _pairs(library, 1)
    noise = (first - second) / torch.sqrt(2 * variance)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.05), "noise that is not shared adds in quadrature"
    assert abs(float(noise.mean())) < 0.02
    assert float(torch.corrcoef(torch.stack((first + second, first - second)).flatten(1))[0, 1].abs()) < 0.05


def test_it_learns_from_noisy_images_alone(library):
    first, second, variance = _pairs(library, 2)

    def fault(images):
        return float(torch.mean((images - second) ** 2 / variance))

    denoiser = train_denoiser(library, 64, 60, seed=1)
    with torch.inference_mode():
        learned = fault(denoiser(first))
    # A noisy image errs by 2, its own noise and that of the other exposure, which is known to nobody.
    assert fault(first) == pytest.approx(2.0, abs=0.05)
    assert 1.0 < learned < 1.7


def _views(snr: float, light_of: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Galaxies as the network sees them before any stretch, and the noise of their sky."""
    stamps = simulate(Survey(snr=(light_of, light_of), noise_correlation_px=0.3), 9, 0, 48)
    scale = torch.full((len(stamps),), R50_PX * 2 * standard.RADII_IN_VIEW / 64)
    images = standard.turned_and_scaled(torch.from_numpy(stamps.images), 64, scale)
    return images * (snr / light_of), torch.from_numpy(stamps.sky_rms.astype(np.float32)) / scale.clamp(min=1.0)


@pytest.mark.parametrize(("snr", "of_gaussian"), [(30.0, 1.0), (100.0, 0.8)])
def test_the_shipped_one_leaves_less_noise_than_the_best_gaussian(snr, of_gaussian):
    encoder = own_encoder(None)
    noisy, noise = _views(snr, snr)
    light, _ = _views(snr, 1e5)
    unit = noise[:, None, None]
    with torch.inference_mode():
        clean = (encoder.denoiser(noisy / unit) * unit).numpy()

    def left(images):
        return np.sqrt(np.mean(((images - light.numpy()) / unit.numpy())[:, INNER] ** 2))

    gaussian = min(left(gaussian_filter(noisy.numpy(), (0, s, s))) for s in (0.5, 0.8, 1.2, 1.8, 2.5))
    assert left(clean) < 0.5 * left(noisy.numpy())
    assert left(clean) < of_gaussian * gaussian
    # What it takes away is noise: it keeps the light within a few percent.
    total = (clean[:, INNER].sum(axis=1) / light.numpy()[:, INNER].sum(axis=1)) - 1
    assert abs(np.median(total)) < 0.02


def test_images_of_another_size_need_no_other_denoiser():
    denoiser = Denoiser(channels=4, layers=3)
    assert denoiser(torch.zeros(2, 48, 80)).shape == (2, 48, 80)
    assert denoiser(torch.zeros(0, 64, 64)).shape == (0, 64, 64)
