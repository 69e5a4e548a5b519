"""Structural parameters against analytic Sersic profiles, repeated noise, bad stamps and real galaxies."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import brentq
from scipy.special import gammainc
from scipy.stats import spearmanr
from sersic_stamps import SCALE_ARCSEC, SIZE, clumpy_image, sersic_image, stamps_of

from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.gini_m20 import connected, gini, m20
from astropipe.morphology.measure_columns import MEASURE_COLUMNS
from astropipe.morphology.measures import measure
from astropipe.morphology.multimode import multimode_intensity_deviation
from astropipe.morphology.sersic import blurred, sersic_b
from astropipe.morphology.stamps import Stamps

REAL = Path(__file__).parents[3] / "shared" / "data" / "galaxies" / "cosmos-dev.h5"
FWHM_PX = 3.3


def _analytic(n: float, r_e: float) -> dict[str, float]:
    """Petrosian radius, radii of shares of the light inside 1.5 of it, and C, of a round profile without blurring."""
    b_n = float(sersic_b(np.array(n)))

    def share(r: float) -> float:
        return float(gammainc(2 * n, b_n * (r / r_e) ** (1 / n)))

    def excess(r: float) -> float:
        step = 1e-4 * r
        ring = (share(r + step) - share(r - step)) / (4 * r * step)
        return ring - 0.2 * share(r) / r**2

    petrosian = brentq(excess, 0.5 * r_e, 10 * r_e)
    total = share(1.5 * petrosian)
    r20, r50, r80 = (
        brentq(lambda r, part=part: share(r) - part * total, 1e-6 * r_e, 20 * r_e) for part in (0.2, 0.5, 0.8)
    )
    return {"petrosian_radius": petrosian, "r20": r20, "r50": r50, "r80": r80, "concentration": 5 * np.log10(r80 / r20)}


@pytest.mark.parametrize(
    ("n", "r_e", "tolerance"), [(0.5, 12.0, 0.03), (1.0, 14.0, 0.03), (2.5, 16.0, 0.04), (4.0, 18.0, 0.06)]
)
def test_growth_curve_against_the_incomplete_gamma_function(n: float, r_e: float, tolerance: float) -> None:
    truth = _analytic(n, r_e)
    measured = measure(stamps_of(sersic_image(n, r_e)[None], 0.0))
    for name in ("petrosian_radius", "r20", "r50", "r80"):
        assert measured[name][0] == pytest.approx(truth[name], rel=tolerance), name
    assert measured["concentration"][0] == pytest.approx(truth["concentration"], abs=0.1)


def test_concentration_of_an_exponential_and_of_de_vaucouleurs() -> None:
    # The definition by 1.5 Petrosian radii gives 2.7 (Bershady et al. 2000) and 4.3, not the 5.2 of all light.
    assert _analytic(1.0, 1.0)["concentration"] == pytest.approx(2.7, abs=0.05)
    assert 4.2 < _analytic(4.0, 1.0)["concentration"] < 4.5


def test_sersic_fit_recovers_blurred_profiles_at_any_place_and_angle() -> None:
    cases = [
        (n, r_e, q, angle)
        for n in (1.0, 2.5, 4.0)
        for r_e, q, angle in ((4.0, 1.0, 0.0), (10.0, 0.5, 0.6), (10.0, 0.8, 2.0))
    ]
    images = [sersic_image(n, r_e, q, angle, fwhm_px=FWHM_PX, x=62.8, y=64.1) for n, r_e, q, angle in cases]
    noise = np.random.default_rng(1).normal(0.0, 0.02, (len(cases), SIZE, SIZE))
    found = measure(stamps_of(np.array(images) + noise, 0.02, fwhm_px=FWHM_PX))
    truth = np.array(cases)
    np.testing.assert_allclose(found["sersic_index"], truth[:, 0], rtol=0.1)
    np.testing.assert_allclose(found["r_e_pixels"], truth[:, 1], rtol=0.03)
    np.testing.assert_allclose(found["r_e"], truth[:, 1] * SCALE_ARCSEC, rtol=0.03)
    np.testing.assert_allclose(found["axis_ratio"], truth[:, 2], atol=0.03)
    elongated = truth[:, 2] < 1.0
    np.testing.assert_allclose(found["position_angle"][elongated], np.degrees(truth[elongated, 3]), atol=2.0)
    np.testing.assert_allclose(found["x_centre"], 62.8, atol=0.15)
    np.testing.assert_allclose(found["y_centre"], 64.1, atol=0.15)
    np.testing.assert_allclose(found["asymmetry"], 0.0, atol=0.02)
    assert not found.flags.any()


def test_blurred_profiles_keep_their_light_and_tend_to_the_sharp_one() -> None:
    radii = np.geomspace(0.02, 25.0, 4000)
    for n in (0.7, 1.0, 4.0):
        sharp = -sersic_b(np.array(n)) * (radii ** (1.0 / n) - 1.0)
        narrow = blurred(np.array(n), np.array(1e-3), radii)[:, 0]
        inside = (sharp > -10.0) & (radii > 0.05)
        np.testing.assert_allclose(narrow[inside], sharp[inside], atol=0.05, rtol=0.01)
        light = [
            np.trapezoid(2 * np.pi * radii * np.exp(blurred(np.array(n), np.array(w), radii)[:, 0]), radii)
            for w in (1e-3, 0.3, 1.0)
        ]
        np.testing.assert_allclose(light, light[0], rtol=0.02)


def test_errors_are_the_scatter_of_repeated_noise() -> None:
    names = (
        "r_e_pixels",
        "sersic_index",
        "axis_ratio",
        "concentration",
        "asymmetry",
        "gini",
        "m20",
        "petrosian_radius",
    )
    repeats = 40
    rng = np.random.default_rng(3)
    pulls: dict[str, list[float]] = {name: [] for name in names}
    for image in (
        sersic_image(1.0, 8.0, 0.6, 0.5, fwhm_px=FWHM_PX),
        sersic_image(2.5, 4.0, 0.7, 0.2, fwhm_px=FWHM_PX),
        clumpy_image(),
    ):
        for sky in (0.03, 0.12):
            noisy = image + rng.normal(0.0, sky, (repeats, SIZE, SIZE))
            found = measure(stamps_of(noisy, sky, fwhm_px=FWHM_PX))
            for name in names:
                pulls[name].append(float(np.std((found[name] - found[name].mean()) / found[f"{name}_err"])))
    for name, spread in pulls.items():
        assert 0.75 < np.sqrt(np.mean(np.square(spread))) < 1.3, (name, spread)
        # The worst is the Sersic index of the clumpy galaxy, which is no Sersic profile.
        assert max(spread) < 1.75, (name, spread)


def test_asymmetry_of_sky_noise_alone_is_taken_off() -> None:
    image = sersic_image(1.0, 8.0, 0.6, 0.5, fwhm_px=FWHM_PX)
    noisy = image + np.random.default_rng(4).normal(0.0, 1.0, (40, SIZE, SIZE))
    found = measure(stamps_of(noisy, 1.0, fwhm_px=FWHM_PX))
    assert abs(found["asymmetry"].mean()) < 3.0 * found["asymmetry_err"].mean() / np.sqrt(40)
    assert 0.03 < found["asymmetry_err"].mean() < 0.1


def test_a_second_clump_is_seen_by_asymmetry_m20_and_clump_statistics() -> None:
    smooth = sersic_image(1.0, 8.0, fwhm_px=FWHM_PX)
    clumpy = clumpy_image()
    found = measure(stamps_of(np.array([smooth, clumpy]), 0.01, fwhm_px=FWHM_PX))
    assert found["asymmetry"][0] < 0.01 and found["asymmetry"][1] > 0.4
    assert found["m20"][0] < -1.6 and found["m20"][1] > -1.2
    for name in ("multimode", "intensity", "deviation"):
        assert found[name][0] < 0.05 and found[name][1] > 0.15, name


def test_gini_and_m20_of_a_uniform_disk_and_of_one_pixel() -> None:
    rows, columns = np.indices((SIZE, SIZE))
    disk = np.hypot(rows - 63.5, columns - 63.5) < 20
    images = np.array([disk * 2.0, disk * 0.0], dtype=np.float32)
    images[1, 63, 64] = 1.0
    segment = np.array([disk, disk])
    sky = np.zeros(2)
    value = gini(images, segment, sky)[0]
    assert value[0] == pytest.approx(0.0, abs=1e-6)
    assert value[1] == pytest.approx(1.0)
    # A uniform disk has all pixels at the level of the brightest 20 %.
    assert m20(images[:1], segment[:1], sky[:1])[0][0] == pytest.approx(0.0, abs=1e-6)


def test_gini_of_an_exponential_distribution_of_pixels_is_a_half() -> None:
    values = np.random.default_rng(6).exponential(1.0, (1, SIZE, SIZE)).astype(np.float32)
    assert gini(values, np.ones_like(values, dtype=bool), np.zeros(1))[0][0] == pytest.approx(0.5, abs=0.01)


def test_two_equal_peaks_have_multimode_and_intensity_one() -> None:
    rows, columns = np.indices((SIZE, SIZE))
    image = sum(np.exp(-0.5 * ((rows - 63) ** 2 + (columns - c) ** 2) / 9.0) for c in (57, 69)).astype(np.float32)
    multimode, intensity, deviation = multimode_intensity_deviation(image[None], image[None] > 0.01)
    # The first peak is 6 pixels from the middle of a segment some 10 pixels in radius.
    assert intensity[0] == pytest.approx(1.0, abs=0.1)
    assert 0.4 < deviation[0] < 0.8
    assert multimode[0] == pytest.approx(1.0, abs=0.1)


def test_clumps_are_those_that_a_labelling_of_each_level_finds() -> None:
    rng = np.random.default_rng(5)
    axis = np.arange(48) - 23.5
    bright = np.exp(-np.hypot(axis[:, None], axis[None, :]) / 8.0)
    for smooth in (1.0, 2.0, 4.0):
        knots = smooth * np.abs(ndimage.gaussian_filter(rng.standard_normal((48, 48)), smooth))
        image = (1.0 + bright * (1.0 + 3.0 * knots)).astype(np.float32)
        segment = np.zeros((48, 48), dtype=bool)
        segment[8:40, 8:40] = True
        (found,), _, _ = multimode_intensity_deviation(image[None], segment[None])
        # All pixels are bright enough, but the smoothing of the outline takes its four corners.
        segment[[8, 8, 39, 39], [8, 39, 8, 39]] = False
        ratios = []
        for level in np.sort(image[segment])[(np.arange(0.0, 1.0, 0.02) * (segment.sum() - 1)).astype(int)]:
            labels, _ = ndimage.label((image >= level) & segment, structure=np.ones((3, 3)))
            area = np.sort(np.append(np.bincount(labels.ravel())[1:], 0))[::-1]
            ratios.append((area[1] ** 2 / area[0], area[1] / area[0]))
        assert max(ratios)[0] > 0.0
        assert found == pytest.approx(max(ratios)[1], rel=1e-12)


def test_the_second_of_two_clumps_has_its_share_of_the_light() -> None:
    rows, columns = np.indices((SIZE, SIZE))
    image = sum(
        peak * np.exp(-0.5 * ((rows - 63) ** 2 + (columns - c) ** 2) / 9.0) for peak, c in ((1.0, 57), (0.6, 69))
    ).astype(np.float32)
    _, intensity, deviation = multimode_intensity_deviation(image[None], image[None] > 0.01)
    # A Gaussian that is cut off at a brightness keeps the share (peak - brightness) / peak of its light.
    level = 0.2 * image[image > 0.1].mean()
    assert intensity[0] == pytest.approx((0.6 - level) / (1.0 - level), abs=0.03)
    assert deviation[0] > 0.3


def test_only_what_is_connected_with_its_seed_is_kept() -> None:
    above = np.random.default_rng(6).random((4, 30, 40)) < 0.35
    seeds = np.array([np.flatnonzero(above[0])[0], np.flatnonzero(above[1])[-1], np.flatnonzero(~above[2])[0], 615])
    above[3] = True
    above[3, :, 20] = False
    found = connected(above, seeds)
    for mask, seed, own in zip(above, seeds, found, strict=True):
        labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
        np.testing.assert_array_equal(own, mask & (labels == labels.flat[seed]))
    assert found[0].any() and not found[2].any() and found[3].sum() == 30 * (20 if 615 % 40 < 20 else 19)


def test_masked_pixels_change_little() -> None:
    image = sersic_image(1.5, 9.0, 0.7, 0.4, fwhm_px=FWHM_PX)
    masks = np.zeros((2, SIZE, SIZE), dtype=bool)
    masks[1, 70:82, 66:78] = True
    images = np.array([image, np.where(masks[1], 100.0, image)])
    images[1, 75, 70] = np.nan
    noise = np.random.default_rng(2).normal(0.0, 0.02, image.shape)
    found = measure(stamps_of(images + noise, 0.02, fwhm_px=FWHM_PX, masks=masks))
    for name, tolerance in {
        "r50": 0.02,
        "r_e_pixels": 0.03,
        "flux": 0.02,
        "sersic_index": 0.05,
        "gini": 0.03,
        "concentration": 0.02,
    }.items():
        assert found[name][1] == pytest.approx(found[name][0], rel=tolerance), name
    assert found["m20"][1] == pytest.approx(found["m20"][0], abs=0.05)
    assert found["asymmetry"][1] == pytest.approx(0.0, abs=0.03)


def test_measures_do_not_depend_on_the_unit_of_flux_or_on_the_batch() -> None:
    image = sersic_image(1.0, 8.0, 0.6, 0.5, fwhm_px=FWHM_PX)
    noisy = image + np.random.default_rng(7).normal(0.0, 0.1, (20, SIZE, SIZE))
    whole = measure(stamps_of(noisy, 0.1, fwhm_px=FWHM_PX))
    scaled = measure(stamps_of(noisy * 1e-9, 1e-10, fwhm_px=FWHM_PX))
    parts = [measure(stamps_of(noisy, 0.1, fwhm_px=FWHM_PX).rows(slice(i, i + 7))) for i in (0, 7, 14)]
    for column in MEASURE_COLUMNS:
        factor = 1e-9 if column.unit == "flux" else 1.0
        np.testing.assert_allclose(scaled[column.name], whole[column.name] * factor, rtol=2e-3, atol=2e-4 * factor)
        joined = np.concatenate([part[column.name] for part in parts])
        np.testing.assert_allclose(joined, whole[column.name], rtol=1e-6)


def test_bad_stamps_give_nan_and_a_flag() -> None:
    good = sersic_image(1.0, 8.0, fwhm_px=FWHM_PX).astype(np.float32)
    rng = np.random.default_rng(8)
    point = sersic_image(1.0, 0.4, fwhm_px=FWHM_PX)
    cases: dict[str, tuple[np.ndarray, GalaxyFlag]] = {
        "zero": (np.zeros_like(good), GalaxyFlag.EMPTY),
        "constant": (np.full_like(good, 3.0), GalaxyFlag.EMPTY),
        "not finite": (np.full_like(good, np.nan), GalaxyFlag.EMPTY),
        "noise": (rng.normal(0.0, 0.05, good.shape), GalaxyFlag.FAINT),
        "negative": (-good, GalaxyFlag.FAINT),
        "one pixel": (
            np.where(np.arange(SIZE * SIZE).reshape(good.shape) == 64 * SIZE + 64, 50.0, 0.0),
            GalaxyFlag.TINY,
        ),
        "point": (point, GalaxyFlag.TINY),
        "large": (sersic_image(1.0, 70.0, flux=1e5), GalaxyFlag.TRUNCATED),
        "aside": (sersic_image(1.0, 4.0, x=85.0, y=60.0, fwhm_px=FWHM_PX), GalaxyFlag.OFF_CENTRE),
        "masked": (good, GalaxyFlag.EMPTY),
    }
    masks = np.zeros((len(cases), SIZE, SIZE), dtype=bool)
    masks[-1] = True
    found = measure(stamps_of(np.array([image for image, _ in cases.values()]), 0.05, fwhm_px=FWHM_PX, masks=masks))
    for row, (name, (_, flag)) in enumerate(cases.items()):
        assert found.flags[row] & flag, name
        if flag == GalaxyFlag.EMPTY:
            assert all(np.isnan(values[row]) for values in found.values.values()), name
    assert set(found.values) == {column.name for column in MEASURE_COLUMNS}
    assert len(measure(stamps_of(np.zeros((0, SIZE, SIZE)), 0.1))) == 0
    assert len(measure(stamps_of(rng.normal(size=(3, 16, 16)), 1.0))) == 3


def test_without_noise_scale_or_psf_the_errors_are_unknown_and_the_rest_is_not() -> None:
    image = sersic_image(1.0, 8.0, fwhm_px=FWHM_PX)
    stamps = stamps_of(image[None], np.nan)
    found = measure(Stamps(**{**vars(stamps), "pixel_scale_arcsec": np.array([np.nan])}))
    assert np.isnan(found["r_e"][0]) and np.isnan(found["gini_err"][0]) and np.isnan(found["snr"][0])
    # Without a point spread function the blurred profile is taken for that of the galaxy.
    assert found["r_e_pixels"][0] == pytest.approx(8.2, abs=0.3)
    assert not found.flags[0]


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_file(), reason="the real galaxies of ../shared/data/galaxies are not here")
def test_half_light_radii_of_cosmos_galaxies_agree_with_their_catalogue() -> None:
    with h5py.File(REAL) as file:
        shapes, pictures, catalogue = file["shape"][:], file["images"][:], file["catalogue"]
        radius, magnitude = catalogue["flux_radius"][:], catalogue["MAG"][:]
        flux, sky = catalogue["stamp_flux"][:], np.sqrt(catalogue["NOISE_VARIANCE"][:])
    images = np.zeros((len(shapes), 190, 190), dtype=np.float32)
    masks = np.ones(images.shape, dtype=bool)
    for row, (height, width) in enumerate(shapes):
        y, x = (190 - height) // 2, (190 - width) // 2
        images[row, y : y + height, x : x + width] = pictures[row, :height, :width]
        masks[row, y : y + height, x : x + width] = False
    n = len(shapes)
    stamps = Stamps(
        [str(i) for i in range(n)], images, masks, sky, np.full(n, 0.03), np.full(n, 0.117), np.zeros(n, dtype=np.int64)
    )
    found = measure(stamps)
    bright = magnitude < 25.0
    assert bright.sum() > 20 and np.isfinite(found["sersic_index"][bright]).all()
    # So flux_radius is that of half the light, in pixels of 0.03 arcsec.
    assert spearmanr(found["r50"][bright], radius[bright]).statistic > 0.97
    assert np.median(found["r50"][bright] / radius[bright]) == pytest.approx(1.0, abs=0.05)
    assert np.median(found["flux"][bright] / flux[bright]) == pytest.approx(1.0, abs=0.05)
