import numpy as np
import pytest
from scipy.ndimage import rotate

from astropipe.morphology import polar
from astropipe.morphology.rendering.galaxies import render


def _galaxy(morphology="LTD", seed=3):
    galaxy = render(morphology, np.random.default_rng(seed), size=129, r50_px=14.0)
    return galaxy.image * 1e5, galaxy.r50_px


def test_a_ring_is_a_line_of_constant_radius():
    axis = np.arange(129) - 64
    radius = np.hypot(axis[:, None], axis[None, :])
    image = np.exp(-0.5 * ((radius - 30.0) / 2.0) ** 2).astype(np.float32)
    strip = polar.polar_images(image[None], np.array([20.0]))[0]
    assert polar.RADII[strip.mean(axis=1).argmax()] == pytest.approx(1.5, abs=0.08)
    assert strip[strip.mean(axis=1).argmax()].std() < 0.03


def test_the_phase_follows_the_turn_of_an_ellipse():
    axis = np.arange(129) - 64
    for angle in (0.2, 0.9, -0.7):
        x = axis[None, :] * np.cos(angle) + axis[:, None] * np.sin(angle)
        y = axis[:, None] * np.cos(angle) - axis[None, :] * np.sin(angle)
        image = np.exp(-np.hypot(x, y / 0.5) / 12).astype(np.float32)
        phase = polar.harmonic_phase(polar.polar_images(image[None], np.array([15.0])))[0]
        # An ellipse is the same after half a turn.
        assert np.angle(np.exp(2j * (phase - angle))) / 2 == pytest.approx(0.0, abs=0.02)


def test_features_do_not_change_with_the_turn():
    image, r50 = _galaxy()
    turned = np.stack([rotate(image, angle, reshape=False, order=3) for angle in range(0, 360, 30)]).astype(np.float32)
    n = len(turned)
    features = polar.fourier_features(turned, np.full(n, r50), np.ones(n))
    cosine = features @ features[0] / np.linalg.norm(features, axis=1) / np.linalg.norm(features[0])
    assert cosine.min() > 0.99


def test_aligned_images_are_the_same_after_a_turn():
    image, r50 = _galaxy()
    both = np.stack([image, np.rot90(image)]).astype(np.float32)
    strips = polar.polar_images(both, np.full(2, r50))
    one, other = polar.aligned(strips)
    plain = np.abs(strips[0] - strips[1]).max()
    # Aligned to half a turn: an ellipse has no head.
    other_half = np.roll(other, polar.N_ANGLES // 2, axis=1)
    assert min(np.abs(one - other).max(), np.abs(one - other_half).max()) < 0.05 * plain
