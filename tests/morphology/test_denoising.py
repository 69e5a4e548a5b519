from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from astropipe.morphology.denoising import DenoiserSettings, denoised, exposures, train_denoiser
from astropipe.morphology.rendering.survey import Survey, simulate


@pytest.fixture(scope="module")
def denoiser():
    return train_denoiser(DenoiserSettings(channels=16, layers=5, pairs=240, steps=250), seed=1)


def test_pairs_share_light_and_not_noise():
    one, other = exposures(3, 40)
    sky = [images[:, :8, :8] for images in (one, other)]
    assert np.std(sky[0]) == pytest.approx(1.0, abs=0.1)
    noise = (one - other).std(axis=(1, 2))
    assert np.median(noise) == pytest.approx(np.sqrt(2), abs=0.1), "noise that is not shared adds in quadrature"


def test_it_removes_more_noise_than_a_gaussian_and_less_light(denoiser):
    # Against the mean of many exposures of the same galaxies: what neither exposure alone knows.
    survey = Survey(size=64, snr=(60.0, 60.0), noise_correlation_px=0.3)
    stamps = simulate(survey, 9, 0, 24)
    truth = simulate(Survey(size=64, snr=(1e5, 1e5), noise_correlation_px=0.3), 9, 0, 24)
    light = truth.images * 60.0 / 1e5
    inner = np.hypot(*np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5)) < 20

    def error(images):
        return np.sqrt(np.mean((images - light)[:, inner] ** 2))

    ours = error(denoised(stamps, denoiser).images)
    smoothed = min(error(gaussian_filter(stamps.images, (0, s, s))) for s in (0.5, 0.8, 1.2, 1.8))
    assert ours < 0.5 * error(stamps.images)
    assert ours < smoothed


def test_it_knows_no_unit(denoiser):
    stamps = simulate(Survey(size=48, snr=(50.0, 50.0)), 2, 0, 4)
    one = denoised(stamps, denoiser)
    other = denoised(replace(stamps, images=stamps.images * 7, sky_rms=stamps.sky_rms * 7), denoiser)
    np.testing.assert_allclose(other.images, one.images * 7, rtol=1e-3, atol=1e-2)
