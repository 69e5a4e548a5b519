"""The test galaxies: radii and fluxes against Sersic's law, noise, repeatability, and the ranges of the truth."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.morphology.classes import CLASSES
from astropipe.runtime.errors import UsageError
from astropipe.runtime.seeds import stream

galsim = pytest.importorskip("galsim", reason="GalSim is not installed: pip install 'astropipe[galsim]'")

from astropipe.morphology.rendering import galsim_parts as parts  # noqa: E402
from astropipe.morphology.rendering.galsim_galaxies import MAKERS, DustLane  # noqa: E402
from astropipe.morphology.rendering.galsim_renderer import (  # noqa: E402
    COMPANIONS,
    RADII_PX,
    TRUTH,
    render_galaxy,
    render_set,
)
from astropipe.morphology.stamps import Stamps  # noqa: E402

N = 6


@pytest.fixture(scope="module")
def stamps() -> Stamps:
    return render_set(N, (50.0, 100.0), seed=3)


def _inside(image: np.ndarray, radius: float, mask: np.ndarray | bool = False) -> float:
    """Sum within a circle around the middle of the stamp."""
    y, x = np.indices(image.shape) - (image.shape[0] - 1) / 2
    return float(image[(np.hypot(x, y) <= radius) & ~np.asarray(mask)].sum())


def test_the_half_light_radius_of_a_sersic_profile_is_the_one_asked_for():
    # Under a point spread function far smaller than the galaxy, in a stamp that holds all of it.
    psf = galsim.Gaussian(fwhm=0.05)
    for index in (1.0, 2.5):
        image = parts.expose(parts.sersic(7.0, index, 0.3), psf, 512)
        assert image.sum() == pytest.approx(7.0, rel=0.02)
        assert parts.half_light_radius(image) * parts.PIXEL_ARCSEC == pytest.approx(0.3, rel=0.03)


def test_the_half_light_radius_of_a_gaussian_is_that_of_its_formula():
    y, x = np.indices((128, 128))
    image = np.exp(-0.5 * ((x - 60.3) ** 2 + (y - 66.1) ** 2) / 9.0**2)
    assert parts.half_light_radius(image) == pytest.approx(9.0 * np.sqrt(2 * np.log(2)), rel=0.01)


def test_a_disk_seen_from_above_is_sersic_of_index_1_and_a_tilted_one_keeps_its_flux():
    psf = galsim.Gaussian(fwhm=0.09)
    flat = parts.expose(parts.disk(1.0, 0.3, 0.0, 0.1), psf, 128)
    assert flat == pytest.approx(parts.expose(parts.sersic(1.0, 1.0, 0.3), psf, 128), abs=0.02 * flat.max())
    body = parts.sersic(2.0, 0.5, 0.3)
    tilted = parts.expose(parts.tilted(body, np.radians(60), 0.1), psf, 128)
    y, x = np.indices(tilted.shape) - 63.5
    assert tilted.sum() == pytest.approx(2.0, rel=0.01)
    sigma2 = (0.09 / 2.3548 / parts.PIXEL_ARCSEC) ** 2 + 1 / 12
    ratio = ((y**2 * tilted).sum() / 2 - sigma2) / ((x**2 * tilted).sum() / 2 - sigma2)
    assert ratio == pytest.approx(np.cos(np.radians(60)) ** 2 + (0.1 * np.sin(np.radians(60))) ** 2, rel=0.05)


def test_a_cloud_has_the_flux_the_centroid_and_the_width_of_its_points():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.1, 0.2, 5000), rng.normal(-0.2, 0.1, 5000)
    image = parts.expose(parts.cloud(x, y, np.full(5000, 3 / 5000), 0.05), galsim.Gaussian(fwhm=0.09), 128)
    rows, columns = (np.indices(image.shape) - 63.5) * parts.PIXEL_ARCSEC
    total = image.sum()
    assert total == pytest.approx(3.0, rel=0.01)
    assert (columns * image).sum() / total == pytest.approx(x.mean(), abs=0.01)
    assert (rows * image).sum() / total == pytest.approx(y.mean(), abs=0.01)
    spread = np.sqrt((columns**2 * image).sum() / total - x.mean() ** 2)
    assert spread == pytest.approx(np.sqrt(x.var() + 0.05**2 + (0.09 / 2.3548) ** 2), rel=0.03)


def test_the_point_spread_function_is_that_of_the_telescope():
    for number in range(8):
        psf, fwhm_arcsec = parts.draw_psf(np.random.default_rng(number))
        assert 0.09 <= fwhm_arcsec <= 0.12
        assert psf.calculateFWHM() == pytest.approx(fwhm_arcsec, rel=0.05)


def test_the_noise_has_the_rms_asked_for_and_is_correlated():
    noise = np.stack([parts.correlated_noise(128, 2.0, np.random.default_rng(i)) for i in range(6)])
    assert noise.std() == pytest.approx(2.0, rel=0.02)
    assert abs(noise.mean()) < 0.05
    neighbours = (noise[:, :, 1:] * noise[:, :, :-1]).mean() / noise.var()
    expected = parts.load_galsim().getCOSMOSNoise().drawImage(galsim.ImageD(3, 3), scale=parts.PIXEL_ARCSEC).array
    assert neighbours == pytest.approx(expected[1, 2] / expected[1, 1], abs=0.03)
    assert neighbours > 0.1


@pytest.mark.parametrize("morphology", CLASSES)
def test_a_galaxy_is_whole_in_the_middle_and_of_the_size_of_its_class(morphology: str):
    low, high = RADII_PX[morphology]
    for number in range(4):
        image, truth = render_galaxy(morphology, np.random.default_rng(number))
        assert image.dtype == np.float32
        assert image.sum() == pytest.approx(1.0, rel=1e-4)
        assert image.min() > -1e-3 * image.max()
        assert 0.9 * low < truth["r_e"] / parts.PIXEL_ARCSEC < 1.05 * high
        # Half the light in the circle of the truth, less what the centroid's part of a pixel moves.
        assert _inside(image, truth["r_e"] / parts.PIXEL_ARCSEC) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("morphology", CLASSES)
def test_a_maker_gives_a_profile_of_flux_1_that_keeps_it_when_dilated(morphology: str):
    for number in range(8):
        galaxy = MAKERS[morphology](0.3, np.random.default_rng(number))
        assert galaxy.profile.flux == pytest.approx(1.0)
        assert galaxy.dilate(1.7).profile.flux == pytest.approx(1.0)


def test_the_truth_of_each_class_lies_in_its_range():
    galaxies = {name: [MAKERS[name](0.3, np.random.default_rng(i)) for i in range(80)] for name in CLASSES}
    truth = {
        name: {key: np.array([getattr(each, key) for each in rows]) for key in TRUTH if hasattr(rows[0], key)}
        for name, rows in galaxies.items()
    }
    sph, etd, ltd, irr = (truth[name] for name in CLASSES)
    assert sph["sersic_index"].min() >= 2.5
    assert sph["sersic_index"].max() <= 6.0
    assert np.isnan(sph["inclination"]).all()
    assert etd["bulge_fraction"].min() >= 0.25
    assert etd["bulge_fraction"].max() <= 0.7
    assert (etd["arm_strength"] == 0).all()
    assert (etd["clumpiness"] == 0).all()
    assert ltd["bulge_fraction"].max() <= 0.25
    assert ltd["arm_strength"].min() > 0.1
    assert (ltd["bar_strength"] > 0).mean() == pytest.approx(0.35, abs=0.15)
    assert all((each.dust is not None) == (each.inclination > 75) for each in galaxies["LTD"])
    assert irr["clumpiness"].min() > 0
    medians = [np.median(each["sersic_index"]) for each in (sph, etd, ltd, irr)]
    assert medians == sorted(medians, reverse=True)
    for each in truth.values():
        assert (each["axis_ratio"] > 0).all()
        assert (each["axis_ratio"] <= 1).all()


def test_the_dust_takes_its_depth_in_the_lane_and_nothing_far_away():
    dust = DustLane(depth=0.6, offset=0.1, sigma=0.05, length=0.5).dilate(2.0)
    assert dust.transmission(np.array(0.0), np.array(0.2)) == pytest.approx(0.4)
    assert dust.transmission(np.array(0.0), np.array(1.0)) == pytest.approx(1.0)
    assert dust.transmission(np.array(4.0), np.array(0.2)) == pytest.approx(1.0)


def test_a_set_has_as_many_of_each_class_and_level_and_all_columns(stamps: Stamps):
    assert len(stamps) == len(set(stamps.ids)) == 2 * 4 * N
    for level in (50.0, 100.0):
        names, counts = np.unique(stamps.columns["morphology"][stamps.columns["snr"] == level], return_counts=True)
        assert sorted(names) == sorted(CLASSES)
        assert (counts == N).all()
    assert set(stamps.columns) == set(TRUTH)
    assert stamps.images.shape == stamps.masks.shape == (len(stamps), 128, 128)
    assert np.isfinite(stamps.images).all()


def test_the_signal_to_noise_ratio_is_the_one_asked_for(stamps: Stamps):
    radii = stamps.columns["r_e"] / stamps.pixel_scale_arcsec
    measured = [
        _inside(image, radius, mask) / (np.sqrt(np.pi) * radius)
        for image, mask, radius in zip(stamps.images, stamps.masks, radii, strict=True)
    ]
    # Each has its noise, and a centre that is a part of a pixel off; the mean of many has not.
    assert np.mean(measured / stamps.columns["snr"]) == pytest.approx(1.0, abs=0.04)


def test_companions_are_masked_and_what_is_left_is_noise(stamps: Stamps):
    with_companion = stamps.masks.any(axis=(1, 2))
    assert with_companion.mean() == pytest.approx(COMPANIONS, abs=0.15)
    corner = stamps.images[:, :12, :12][~stamps.masks[:, :12, :12]]
    assert corner.std() == pytest.approx(1.0, abs=0.05)


def test_chunks_make_up_the_whole_set_and_seeds_differ():
    whole = render_set(2, (20.0,), seed=4)
    chunks = [render_set(1, (20.0,), seed=4, first=first) for first in (0, 1)]
    for number in range(2):
        part = whole.rows(np.arange(number, 8, 2))
        assert part.ids == chunks[number].ids
        assert (part.images == chunks[number].images).all()
        assert (part.masks == chunks[number].masks).all()
    assert not np.array_equal(whole.images, render_set(2, (20.0,), seed=5).images)


def test_an_undefined_wave_number_of_the_airy_pattern_spoils_no_image():
    # The spheroid of this number met one, and was NaN all over.
    assert np.isfinite(render_set(1, (20.0,), seed=12, first=310).images).all()


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(UsageError, match="SPH, ETD, LTD, IRR"):
        render_galaxy("Sb", stream(0, "test"))
    with pytest.raises(UsageError, match="size=16"):
        render_galaxy("SPH", stream(0, "test"), size=16)
    with pytest.raises(UsageError, match="n_per_class"):
        render_set(0, seed=0)
    with pytest.raises(UsageError, match="positive"):
        render_set(1, (), seed=0)
