import numpy as np
import pytest
import torch
from scipy.ndimage import rotate

from astropipe.morphology import standard
from astropipe.morphology.augmentation import direction_in_noise, view
from astropipe.morphology.denoiser import Denoiser
from astropipe.morphology.rendering.galaxies import render
from astropipe.morphology.rendering.survey import convolved


def _blob(size, x, y, sigma):
    axis = torch.arange(size) - (size - 1) / 2
    return torch.exp(-0.5 * ((axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2) / sigma**2)


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.5, 5.0])
def test_scaling_keeps_the_centre_and_divides_lengths(scale):
    image = _blob(256, 0.0, 0.0, 20.0)[None]
    seen = standard.turned_and_scaled(image, 64, torch.tensor([scale]))[0]
    wanted = _blob(64, 0.0, 0.0, 20.0 / scale)
    assert float((seen - wanted).abs().max()) < 0.02


def test_a_place_comes_to_the_centre_and_the_turn_is_that_asked_for():
    image = (_blob(128, 20.0, -10.0, 4.0) + 0.5 * _blob(128, 30.0, -10.0, 4.0))[None]
    seen = standard.turned_and_scaled(
        image, 64, torch.ones(1), centre=torch.tensor([[20.0, -10.0]]), angle=torch.tensor([np.pi / 2])
    )[0]
    wanted = _blob(64, 0.0, 0.0, 4.0) + 0.5 * _blob(64, 0.0, -10.0, 4.0)
    assert float((seen - wanted).abs().max()) < 0.05


@pytest.mark.parametrize("angle", [-2.9, -1.5, -0.4, 0.0, 0.3, 1.2, 2.5])
def test_the_direction_is_that_of_the_heavier_half_of_an_ellipse(angle):
    axis = torch.arange(96) - 47.5
    x, y = axis[None, :] - 3.0, axis[:, None] + 2.0
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    ellipse = torch.exp(-0.5 * (along**2 / 100.0 + across**2 / 25.0)) * (1 + 0.2 * torch.tanh(along))
    found = standard.moments(ellipse[None], torch.tensor([8.0]), torch.tensor([[3.0, -2.0]])).direction()
    assert np.angle(np.exp(1j * (float(found) - angle))) == pytest.approx(0.0, abs=1e-4)


def test_a_galaxy_is_seen_alike_however_it_lies():
    galaxy = convolved(render("LTD", np.random.default_rng(4), size=128, r50_px=12.0).image, 4.0) * 1e5
    turned = np.stack([rotate(galaxy, angle, reshape=False, order=3) for angle in (0.0, 33.0, 90.0, 171.0, -100.0)])
    n = len(turned)
    seen = standard.network_input(
        torch.from_numpy(turned.astype(np.float32)),
        torch.zeros(n, 128, 128, dtype=torch.bool),
        torch.full((n,), 2.0),
        torch.full((n,), 12.0),
        torch.ones(n, dtype=torch.bool),
        64,
        Denoiser(),
    ).detach()[:, 0]
    for one in seen[1:]:
        assert float((one - seen[0]).abs().mean()) < 0.005


def test_masked_pixels_are_filled_by_those_opposite():
    image = _blob(32, 0.0, 0.0, 5.0)[None]
    spoiled, mask = image.clone(), torch.zeros(1, 32, 32, dtype=torch.bool)
    spoiled[0, 4:9, 18:25], mask[0, 4:9, 18:25] = 99.0, True
    torch.testing.assert_close(standard.filled(spoiled, mask), image)


def test_the_stretch_lifts_the_faint_and_ends_at_one():
    image = _blob(64, 0.0, 0.0, 8.0)[None] * 1000
    shown = standard.stretched(image, torch.tensor([2.0]))[0]
    assert 0.9 < float(shown.max()) < 1.1
    faint = image[0] / image.max()
    inside = (faint > 0.02) & (faint < 0.5) & standard.disk(64)
    assert bool((shown[inside] > faint[inside]).all())
    assert float(shown[0, 0]) == 0.0


def test_linear_and_stretched_pictures_of_one_galaxy_look_alike():
    galaxy = render("LTD", np.random.default_rng(1), size=128, r50_px=14.0)
    linear = torch.from_numpy(convolved(galaxy.image, 4.2))[None] * 1e5
    # Pixels of the view are larger, so that its noise is lower.
    softening = 2 * 2.0 / (galaxy.r50_px * 2 * standard.RADII_IN_VIEW / 64)
    picture = torch.asinh(linear / softening) * 40
    both = standard.network_input(
        torch.cat((linear, picture)),
        torch.zeros(2, 128, 128, dtype=torch.bool),
        torch.tensor([2.0, 1.0]),
        torch.full((2,), galaxy.r50_px),
        torch.tensor([True, False]),
        64,
        Denoiser(),
    ).detach()
    # But for the order of stretching and interpolation. Pictures are not denoised.
    assert float((both[0, 0] - both[1, 0]).abs().mean()) < 0.005
    assert float((both[0, 0] - both[1, 0]).abs().max()) < 0.1
    torch.testing.assert_close(both[1, 0], both[1, 1])


def test_views_are_those_of_the_generator_and_within_their_range():
    galaxies = [render(name, np.random.default_rng(2), size=128, r50_px=16.0) for name in ("SPH", "LTD")]
    images = torch.from_numpy(np.stack([one.image for one in galaxies]))
    r50 = torch.tensor([one.r50_px for one in galaxies], dtype=torch.float32)
    denoiser = Denoiser().requires_grad_(False)
    one, same = (view(images, r50, 64, torch.Generator().manual_seed(7), denoiser) for _ in range(2))
    torch.testing.assert_close(one, same)
    assert one.shape == (2, 2, 64, 64)
    assert float(one.max()) <= 2.0 and float(one.min()) >= -1.0


@pytest.mark.parametrize("snr", [10.0, 40.0])
def test_learning_finds_axes_in_noise_as_wrongly_as_use_does(snr):
    n, r50 = 600, 8.0
    axis = torch.arange(64) - 31.5
    x, y = axis[None, :], axis[:, None]
    light = torch.exp(-0.5 * (x**2 / 7.4**2 + y**2 / 6.2**2))
    # Half of the light lies within about the half-light radius.
    light = (light / light.sum()).expand(n, 64, 64)
    radii, rng = torch.full((n,), r50), torch.Generator().manual_seed(5)
    sky_rms = 0.5 / (snr * np.sqrt(np.pi) * r50)
    noisy = light + sky_rms * torch.randn(light.shape, generator=rng)
    used = standard.moments(noisy, radii, torch.zeros(n, 2)).direction()
    learned = direction_in_noise(light, radii, torch.full((n,), snr), rng)
    # Mean of the cosine of twice the error: halves of an axis are the same.
    one, other = (float(torch.cos(2 * angle).mean()) for angle in (used, learned))
    assert 0.1 < other < 0.99
    assert one == pytest.approx(other, abs=0.08)
