import numpy as np
import pytest
from scipy.special import gammainc

from astropipe.morphology.profiles import EDGES, HARMONICS, N_PROFILE, ring_profiles

SIZE, R50 = 129, 9.5
N_RINGS = len(EDGES) - 1
AXIS = np.arange(SIZE) - (SIZE - 1) / 2
RADIUS = np.hypot(AXIS[:, None], AXIS[None, :])
ANGLE = np.arctan2(AXIS[:, None], AXIS[None, :])


def profile_of(image, mask=None, sky_rms=0.01, fwhm_px=3.0, centre=None):
    mask = np.zeros(image.shape, dtype=bool) if mask is None else mask
    rows = ring_profiles(
        image[None].astype(np.float32),
        mask[None],
        np.array([sky_rms]),
        np.array([R50]),
        np.full((1, 2), (len(image) - 1) / 2) if centre is None else np.array([centre]),
        np.array([fwhm_px]),
    )
    return rows[0, : N_RINGS * (3 + len(HARMONICS))].reshape(-1, N_RINGS), rows[0]


def test_the_light_of_an_exponential_disk_in_rings():
    # r50 is 1.678 scale lengths; the light inside r is the incomplete gamma function of order 2.
    scale = R50 / 1.678
    rings, all_ = profile_of(100 * np.exp(-RADIUS / scale))
    inside = gammainc(2, EDGES * 1.678)
    density = np.diff(inside) / np.diff(EDGES**2)
    wanted = np.arcsinh(density / inside[EDGES == 1.0] / 0.01)
    np.testing.assert_allclose(rings[0, 2:], wanted[2:], rtol=0.03)
    assert all_.shape == (N_PROFILE,)
    assert all_[-2] == pytest.approx(np.log(R50)) and all_[-1] == pytest.approx(3.0 / R50, rel=1e-6)


def test_each_harmonic_is_found_where_it_is():
    image = np.exp(-RADIUS / 8) * (1 + 0.3 * np.cos(2 * ANGLE - 0.7) + 0.1 * np.cos(3 * ANGLE))
    rings, _ = profile_of(image, sky_rms=1e-5)
    strength = rings[3:, 5:12].mean(axis=1)
    np.testing.assert_allclose(strength, [0.0, 0.3, 0.1, 0.0], atol=0.03)


def test_turns_and_reflections_change_nothing():
    image = np.random.default_rng(1).normal(np.exp(-RADIUS / 6) * (1 + 0.5 * np.cos(2 * ANGLE)), 0.01)
    mask = RADIUS * np.sin(ANGLE) > 40
    one = profile_of(image, mask)[1]
    for turned, also in ((np.rot90(image), np.rot90(mask)), (image.T, mask.T), (image[::-1], mask[::-1])):
        np.testing.assert_allclose(profile_of(turned.copy(), also.copy())[1], one, atol=2e-4)


def test_what_is_masked_or_outside_does_not_count():
    image = np.exp(-RADIUS / 6)
    spoiled, mask = image.copy(), np.zeros(image.shape, dtype=bool)
    mask[:40, :40] = True
    spoiled[mask] = 1e4
    np.testing.assert_allclose(profile_of(spoiled, mask)[0][0], profile_of(image)[0][0], atol=0.1)
    small = image[40:-40, 40:-40]
    rings, all_ = profile_of(small)
    assert np.isfinite(all_).all() and (rings[:, EDGES[:-1] * R50 > 35] == 0).all()


def test_noise_is_told_from_scatter_of_the_galaxy():
    rng = np.random.default_rng(2)
    smooth = np.full(RADIUS.shape, 10.0)
    rings, _ = profile_of(smooth + rng.normal(0, 0.5, smooth.shape), sky_rms=0.5)
    knotty, _ = profile_of(smooth * (1 + 0.3 * rng.normal(0, 1, smooth.shape)), sky_rms=0.01)
    assert (rings[2, 6:12] < 0.03).all()
    np.testing.assert_allclose(knotty[2, 6:12], 0.3, atol=0.04)


def test_rings_stand_about_the_centre_that_is_given():
    moved = np.hypot(AXIS[:, None] - 2.0, AXIS[None, :] + 3.0)
    middle = (SIZE - 1) / 2
    one = profile_of(np.exp(-moved / 6), centre=(middle - 3.0, middle + 2.0))[0]
    np.testing.assert_allclose(one[:, :10], profile_of(np.exp(-RADIUS / 6))[0][:, :10], atol=1e-3)
    assert profile_of(np.exp(-moved / 6))[0][3, 4] > 0.3, "seen from elsewhere it is lopsided"
