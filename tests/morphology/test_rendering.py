import numpy as np
import pytest
from scipy.special import gammainc

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.rendering import components
from astropipe.morphology.rendering.galaxies import TRUTH, index_of_concentration, light_radii_px, render
from astropipe.morphology.rendering.survey import Survey, convolved, simulate


@pytest.mark.parametrize("n", [1.0, 2.5, 4.0, 6.0])
def test_the_growth_curve_of_a_sersic_profile_is_the_incomplete_gamma_function(n):
    # Graham & Driver (2005, eq. 2); b to the precision of the series of Ciotti & Bertin.
    r_e = 14.0
    image = components.sersic(components.plane(401), n, r_e)
    b = 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2)
    axis = np.arange(401) - 200
    radius = np.hypot(axis[:, None], axis[None, :])
    for r in (3.0, 7.0, 14.0, 35.0):
        inside, all_ = (image * np.clip(edge + 0.5 - radius, 0, 1) for edge in (r, 60.0))
        share = inside.sum() / all_.sum()
        wanted = gammainc(2 * n, b * (r / r_e) ** (1 / n)) / gammainc(2 * n, b * (60 / r_e) ** (1 / n))
        assert share == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize(("n", "r_e"), [(2.5, 10.0), (4.0, 10.0), (6.0, 16.0), (4.0, 1.0)])
@pytest.mark.parametrize("axis_ratio", [1.0, 0.6])
def test_cusps_are_integrated_over_pixels(n, r_e, axis_ratio):
    image = components.sersic(components.plane(64, axis_ratio=axis_ratio), n, r_e)
    b = 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2)
    # An ellipse inside the central 2 x 2 pixels and one around them bound their share, by the growth curve.
    wanted = (
        gammainc(2 * n, b * (1.0 / r_e) ** (1 / n)),
        gammainc(2 * n, b * (np.sqrt(2) / axis_ratio / r_e) ** (1 / n)),
    )
    total = image.sum() / gammainc(2 * n, b * (32.0 / r_e) ** (1 / n))
    share = image[31:33, 31:33].sum() / total
    assert wanted[0] * 0.98 < share < wanted[1] * 1.02


def test_concentration_of_an_exponential_disk_and_of_a_de_vaucouleurs_profile():
    # An exponential disk of scale 1 has r20 = 0.824 and r80 = 2.994, from 1 - (1 + r) exp(-r).
    for share, r in ((0.2, 0.8244), (0.8, 2.9943)):
        assert 1 - (1 + r) * np.exp(-r) == pytest.approx(share, abs=1e-4)
    assert index_of_concentration(5 * np.log10(2.9943 / 0.8244)) == pytest.approx(1.0, abs=0.01)
    # Bershady, Jangren & Conselice (2000, sec. 3.1): 5.2 for a de Vaucouleurs profile.
    assert index_of_concentration(5.2) == pytest.approx(4.0, abs=0.15)


def test_an_edge_on_disk_falls_as_sech_squared():
    image = components.edge_on(components.plane(101), scale=12.0, height=4.0)
    column = image[:, 60] / image[50, 60]
    z = np.arange(101) - 50
    np.testing.assert_allclose(column, 1 / np.cosh(z / 4.0) ** 2, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("n_arms", [2, 3])
def test_spiral_arms_lie_on_a_logarithmic_spiral(n_arms):
    rng = np.random.default_rng(4)
    where = components.plane(201)
    pitch = np.radians(20.0)
    density = components.arms(where, rng, n_arms=n_arms, pitch_rad=pitch, width=0.08, start=15.0, fading=150.0)
    # Seen in coordinates that wind with the arms, the light of all radii falls on the same n_arms angles.
    ring = (where.radius > 30) & (where.radius < 80)
    wound = where.angle[ring] - np.log(where.radius[ring]) / np.tan(pitch)
    harmonics = [abs(np.sum(density[ring] * np.exp(1j * m * wound))) / density[ring].sum() for m in range(1, 7)]
    assert int(np.argmax(harmonics)) + 1 in (n_arms, 2 * n_arms)
    assert max(harmonics) > 0.4


def test_spots_have_the_flux_that_they_are_given():
    image = np.zeros((80, 80), dtype=np.float32)
    components.add_spots(
        image, np.array([3.3, -20.0]), np.array([-7.1, 12.0]), np.array([1.5, 2.5]), np.array([2.0, 5.0])
    )
    assert image.sum() == pytest.approx(7.0, rel=1e-3)


@pytest.mark.parametrize("morphology", CLASSES)
def test_galaxies_have_unit_flux_the_wanted_radius_and_their_truth(morphology):
    reached = []
    for seed in range(12):
        galaxy = render(morphology, np.random.default_rng(seed), size=128, r50_px=12.0)
        assert galaxy.image.min() >= 0
        assert galaxy.image.sum() == pytest.approx(1.0, rel=1e-4)
        assert set(galaxy.truth) == set(TRUTH)
        assert galaxy.r50_px == pytest.approx(light_radii_px(galaxy.image, (0.5,))[0])
        reached.append(galaxy.r50_px)
    assert np.median(reached) == pytest.approx(12.0, rel=0.1)


def test_the_truth_tells_the_classes_apart():
    truth = {
        name: [render(name, np.random.default_rng(seed), size=96, r50_px=10.0).truth for seed in range(40)]
        for name in CLASSES
    }
    assert min(one["bulge_fraction"] for one in truth["SPH"]) == 1.0
    assert max(one["arm_strength"] for one in truth["ETD"]) == 0.0
    assert (
        np.median([one["sersic_index"] for one in truth["SPH"]])
        > 3
        > np.median([one["sersic_index"] for one in truth["LTD"]])
    )
    assert min(one["disturbance"] for one in truth["IRR"]) >= 0.3


def test_parts_of_a_survey_are_parts_of_the_same_galaxies():
    survey = Survey(size=64)
    whole, part = simulate(survey, 5, 0, 8), simulate(survey, 5, 3, 6)
    np.testing.assert_array_equal(whole.images[3:6], part.images)
    assert whole.ids[3:6] == part.ids


def test_the_noise_and_the_signal_of_a_survey_are_those_asked_for():
    survey = Survey(size=96, snr=(100.0, 100.0), noise_correlation_px=0.0)
    stamps = simulate(survey, 2, 0, 24)
    edge = np.concatenate([stamps.images[:, :6].ravel(), stamps.images[:, -6:].ravel()])
    assert 1.4826 * np.median(np.abs(edge)) == pytest.approx(1.0, rel=0.05)
    axis = np.arange(96) - 47.5
    radius = np.hypot(axis[:, None], axis[None, :])
    r50_px = stamps.columns["r_e"] / survey.pixel_scale_arcsec
    clean = ~stamps.masks.any(axis=(1, 2))
    # Half of the light, but for what the blur moves out of the circle.
    snr = [
        image[radius < r].sum() / np.sqrt(np.pi * r**2)
        for image, r in zip(stamps.images[clean], r50_px[clean], strict=True)
    ]
    assert 75 < np.median(snr) < 105


def test_a_blurred_point_is_a_moffat_profile_of_the_wanted_width():
    point = np.zeros((65, 65), dtype=np.float32)
    point[32, 32] = 1.0
    image = convolved(point, 6.0)
    assert image.sum() == pytest.approx(1.0, rel=1e-3)
    assert image[32, 35] == pytest.approx(image[32, 32] / 2, rel=1e-3)
    shifted = convolved(point, 6.0, (2.5, 0.0))
    assert shifted[32, 34] == pytest.approx(shifted[32, 35], rel=1e-3)
