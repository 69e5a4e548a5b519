"""Stamps from pictures: positions and noise fieldst the truth, neighbours, coordinates, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.modeling.models import Gaussian2D, Sersic2D
from astropy.table import Column, MaskedColumn, Table
from astropy.wcs import WCS
from PIL import Image
from scipy.ndimage import zoom

from astropipe.artifacts import open_artifact
from astropipe.artifacts.merging import merge
from astropipe.config.morphology import CutConfig
from astropipe.morphology import stage
from astropipe.morphology.cut_options import CutOptions
from astropipe.morphology.cutting import Cut, cut_middle
from astropipe.morphology.fields import make_field
from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.inputs import list_inputs
from astropipe.morphology.positions import unique
from astropipe.morphology.resampling import overlap_matrix, resampling_matrix
from astropipe.morphology.sources import Batch, batches, stamps_from_arrays
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.run import Chunk, Run

SKY, RMS = 3.0, 0.1


def picture(shape: tuple[int, int], *models: object, seed: int = 1, rms: float = RMS, sky: float = SKY) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = sum((model(x, y) for model in models), np.zeros(shape))  # type: ignore[operator]
    return (sky + light + np.random.default_rng(seed).normal(0.0, rms, shape)).astype(np.float32)


def gaussian(x: float, y: float, height: float = 5.0, sigma: float = 4.0) -> Gaussian2D:
    return Gaussian2D(height, x, y, sigma, sigma)


def exponential(x: float, y: float, amplitude: float = 2.0, radius: float = 8.0, ellip: float = 0.0) -> Sersic2D:
    return Sersic2D(amplitude, radius, 1.0, x, y, ellip, 0.5)


def has(flags: int, flag: GalaxyFlag) -> bool:
    return bool(flags & flag)


def read_all(*inputs: Path, **options: object) -> list[Batch]:
    return list(batches(list_inputs(inputs), CutOptions(**options)))  # type: ignore[arg-type]


def masked_at(found: Cut, x: float, y: float) -> bool:
    """Whether the stamp masks what stands at a place of the picture."""
    half = (len(found.mask) - 1) / 2
    row, column = (round(half + (at - centre) / found.factor) for at, centre in ((y, found.y), (x, found.x)))
    return bool(found.mask[row, column])


# Positions, noise and resampling


@pytest.mark.parametrize("model", [gaussian(70.3, 61.7), exponential(66.45, 59.2, ellip=0.5), gaussian(64.0, 64.5)])
def test_centre_and_noise_are_recovered(model: Gaussian2D) -> None:
    found = cut_middle(picture((128, 130), model), CutOptions(size=96))
    x, y = (model.x_0, model.y_0) if isinstance(model, Sersic2D) else (model.x_mean, model.y_mean)
    assert np.hypot(found.x - x.value, found.y - y.value) < 0.1
    assert found.flags == 0
    field = make_field(picture((128, 130), model), CutOptions(), mosaic=False)
    assert field is not None
    assert float(field.sky.rms) == pytest.approx(RMS, rel=0.05)
    assert float(field.sky.level) == pytest.approx(SKY, abs=0.2 * RMS)


def test_the_galaxy_stands_in_the_middle_of_its_stamp_with_its_light() -> None:
    model = gaussian(40.37, 55.81, height=50.0)
    found = cut_middle(picture((100, 100), model, rms=0.01), CutOptions(size=64))
    y, x = np.mgrid[:64, :64]
    light = found.image.sum()
    assert (found.image * x).sum() / light == pytest.approx(31.5, abs=0.02)
    assert (found.image * y).sum() / light == pytest.approx(31.5, abs=0.02)
    assert light == pytest.approx(2.0 * np.pi * 50.0 * 16.0, rel=0.01)
    assert found.image == pytest.approx(gaussian(31.5, 31.5, 50.0)(x, y), abs=0.3)


def test_noise_of_a_stamp_is_that_of_its_pixels() -> None:
    found = cut_middle(picture((200, 200), gaussian(99.1, 99.6)), CutOptions(size=128))
    y, x = np.mgrid[:128, :128]
    far = np.hypot(x - 63.5, y - 63.5) > 30.0
    assert found.sky_rms == pytest.approx(np.std(found.image[far]), rel=0.05)


def test_a_large_galaxy_is_averaged_to_larger_pixels() -> None:
    image = picture((400, 400), exponential(201.3, 198.8, radius=40.0))
    stamps = stamps_from_arrays([image], pixel_scale_arcsec=0.05, options=CutOptions(size=64, kind="cutouts"))
    factor = stamps.pixel_scale_arcsec[0] / 0.05
    assert 4.0 < factor < 7.0
    # Surface brightness stays: two half-light radii from the middle it is that of the model.
    column = round(31.5 + 40.0 / factor)
    distance = (column - 31.5) * factor
    expected = exponential(0.0, 0.0, radius=40.0)(distance, 0.0)
    assert np.mean(stamps.images[0][31:33, column]) == pytest.approx(expected, rel=0.1)
    # The noise of independent pixels falls with the number that is averaged.
    assert stamps.sky_rms[0] == pytest.approx(RMS / factor, rel=0.1)


def test_resampling_keeps_a_constant_and_follows_a_wave() -> None:
    weights = resampling_matrix(20.3, 1.0, 16, 0, 41)
    assert weights.sum(axis=1) == pytest.approx(np.ones(16))
    wave = np.cos(0.5 * np.arange(41))
    assert weights @ wave == pytest.approx(np.cos(0.5 * (20.3 + np.arange(16) - 7.5)), abs=0.01)
    assert overlap_matrix(20.3, 2.5, 8, 0, 41).sum(axis=1) == pytest.approx(np.ones(8))


# Neighbours, clumps and mergers


def test_a_neighbour_is_masked_and_its_galaxy_is_not() -> None:
    image = picture((128, 128), exponential(63.0, 64.0), gaussian(100.0, 90.0, sigma=2.5))
    found = cut_middle(image, CutOptions())
    assert masked_at(found, 100.0, 90.0)
    assert not masked_at(found, 63.0, 64.0)
    assert found.flags == 0


def test_a_bright_star_beside_a_galaxy_is_masked() -> None:
    image = picture((128, 128), exponential(63.0, 64.0, radius=6.0), gaussian(88.0, 64.0, height=60.0, sigma=1.8))
    found = cut_middle(image, CutOptions())
    assert masked_at(found, 88.0, 64.0)
    assert not masked_at(found, 63.0, 64.0)


def test_clumps_belong_to_their_galaxy() -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, 7)[:6]
    clumps = [gaussian(63.5 + 13 * np.cos(a), 63.5 + 13 * np.sin(a), 2.5, 1.6) for a in angle]
    found = cut_middle(picture((128, 128), exponential(63.5, 63.5, 0.8, 10.0), *clumps), CutOptions())
    assert not any(masked_at(found, each.x_mean.value, each.y_mean.value) for each in clumps)
    assert np.hypot(found.x - 63.5, found.y - 63.5) < 1.0


@pytest.mark.parametrize("distance", [10.0, 16.0])
def test_two_merging_disks_are_one_galaxy(distance: float) -> None:
    first, second = exponential(64.0 - distance / 2, 64.0), exponential(64.0 + distance / 2, 66.0, amplitude=1.5)
    found = cut_middle(picture((128, 128), first, second), CutOptions())
    assert not masked_at(found, first.x_0.value, 64.0)
    assert not masked_at(found, second.x_0.value, 66.0)


def test_two_disks_six_radii_apart_are_two() -> None:
    found = cut_middle(
        picture((160, 160), exponential(80.0, 80.0, radius=6.0), exponential(116.0, 80.0, radius=6.0)), CutOptions()
    )
    assert masked_at(found, 116.0, 80.0)
    assert np.hypot(found.x - 80.0, found.y - 80.0) < 0.5


def test_correlated_noise_is_no_crowd_of_sources() -> None:
    noise = zoom(np.random.default_rng(3).normal(0.0, 1.0, (128, 128)), 2, order=1)
    field = make_field(noise.astype(np.float32), CutOptions(), mosaic=False)
    assert field is not None
    assert field.sky.correlation > 1.5
    assert len(field.sources) <= 4


# Flags


def test_flags_of_what_is_wrong_with_a_stamp() -> None:
    options = CutOptions()
    image = picture((128, 128), exponential(63.0, 64.0))
    holes = image.copy()
    holes[66:69, 60:63] = np.nan
    assert has(cut_middle(holes, options).flags, GalaxyFlag.BAD_PIXELS)
    assert masked_at(cut_middle(holes, options), 61.0, 67.0)
    edge = image.copy()
    edge[:, 66:] = np.nan
    assert has(cut_middle(edge, options).flags, GalaxyFlag.TRUNCATED)
    off = picture((128, 128), gaussian(88.0, 70.0))
    assert cut_middle(off, options).flags == GalaxyFlag.OFF_CENTRE
    crowd = picture((128, 128), exponential(63.0, 64.0, radius=8.0), gaussian(79.0, 64.0, 200.0, 1.3))
    assert has(cut_middle(crowd, options).flags, GalaxyFlag.CROWDED)
    assert cut_middle(picture((128, 128)), options).flags == GalaxyFlag.FAINT
    for empty in (np.full((64, 64), 7.0), np.full((64, 64), np.nan)):
        found = cut_middle(empty.astype(np.float32), options)
        assert found.flags == GalaxyFlag.EMPTY
        assert found.mask.all() and not found.image.any()


def test_a_cutout_smaller_than_the_stamp_is_masked_around() -> None:
    found = cut_middle(picture((48, 40), gaussian(20.0, 24.0, sigma=2.5)), CutOptions(size=64))
    assert found.mask[:, 0].all() and found.mask[0].all()
    assert np.count_nonzero(~found.mask) == pytest.approx(48 * 40, rel=0.1)
    assert not found.image[found.mask & (np.abs(np.arange(64) - 31.5) > 25.0)].any()


# Files


def write_fits(path: Path, image: np.ndarray, **keywords: object) -> Path:
    fits.PrimaryHDU(image, fits.Header(keywords)).writeto(path)
    return path


def sky_header(shape: tuple[int, int], scale_arcsec: float = 0.2) -> fits.Header:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.1, 2.2], [shape[1] / 2, shape[0] / 2]
    turn = np.deg2rad(30.0)
    wcs.wcs.cd = scale_arcsec / 3600.0 * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return wcs.to_header()


def test_fits_cutouts_of_any_kind(tmp_path: Path) -> None:
    image = picture((100, 100), gaussian(50.0, 49.0))
    write_fits(tmp_path / "a.fits", image.astype(">f8"), PIXSCALE=0.05, PSF_FWHM=0.12)
    psf = gaussian(20.0, 20.0, 1.0, 2.0)(*np.mgrid[:41, :41])
    fits.HDUList(
        [fits.PrimaryHDU(), fits.ImageHDU(image[None], sky_header((100, 100))), fits.ImageHDU(psf, name="PSF")]
    ).writeto(tmp_path / "b.fits.gz")
    write_fits(tmp_path / "c.fits", np.round(1000 * image).astype(np.int16), CD1_1=-1e-5, CD2_2=1e-5, SATURATE=7000)
    (batch,) = read_all(tmp_path)
    stamps = batch.stamps
    assert stamps.ids == ["a", "b", "c"] and batch.faults == []
    assert stamps.pixel_scale_arcsec == pytest.approx([0.05, 0.2, 0.036], rel=1e-6)
    assert stamps.psf_fwhm_arcsec[:2] == pytest.approx([0.12, 0.2 * 2.3548 * 2.0], rel=0.02)
    assert np.isnan(stamps.psf_fwhm_arcsec[2])
    assert stamps.flags.tolist() == [0, 0, int(GalaxyFlag.BAD_PIXELS)]
    assert stamps.columns["ra"][1] == pytest.approx(150.1, abs=0.001)


def mosaic_of(tmp_path: Path, places: np.ndarray) -> tuple[Path, WCS]:
    shape = (420, 500)
    image = picture(shape, *(gaussian(x, y, sigma=3.0) for x, y in places))
    header = sky_header(shape)
    fits.PrimaryHDU(image, header).writeto(tmp_path / "mosaic.fits")
    return tmp_path / "mosaic.fits", WCS(header)


PLACES = np.array([[x + 0.3 * y / 100, y + 0.17] for y in (60.0, 200.0, 350.0) for x in (70.0, 250.0, 430.0)])


def by_place(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.lexsort((x, np.round(y, -1)))


def test_mosaic_with_catalogs_of_pixels_and_of_the_sky(tmp_path: Path) -> None:
    mosaic, wcs = mosaic_of(tmp_path, PLACES)
    rough = PLACES + 0.6
    ra, dec = wcs.all_pix2world(*rough.T, 0)
    Table({"x": rough[:, 0], "y": rough[:, 1], "objid": np.arange(9), "mag": np.full(9, 21.0)}).write(
        tmp_path / "x.csv"
    )
    Table({"X_IMAGE": rough[:, 0] + 1, "Y_IMAGE": rough[:, 1] + 1}).write(tmp_path / "one.vot", format="votable")
    Table({"RA": ra, "DEC": dec, "IDENT": np.arange(9)}).write(tmp_path / "sky.fits")
    for catalog in ("x.csv", "one.vot", "sky.fits"):
        (batch,) = read_all(mosaic, tmp_path / catalog, size=64)
        columns = batch.stamps.columns
        assert np.hypot(columns["x"] - PLACES[:, 0], columns["y"] - PLACES[:, 1]).max() < 0.1
        assert not batch.stamps.flags.any()
        assert batch.stamps.sky_rms == pytest.approx(np.full(9, RMS), rel=0.25)
        assert batch.stamps.pixel_scale_arcsec == pytest.approx(np.full(9, 0.2))
        expected = wcs.all_pix2world(columns["x"], columns["y"], 0) if "sky" not in catalog else (ra, dec)
        assert columns["ra"] == pytest.approx(expected[0], abs=1e-7)
        assert columns["dec"] == pytest.approx(expected[1], abs=1e-7)


def test_plain_columns_may_count_from_one(tmp_path: Path) -> None:
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    places = np.array([[150.0, 120.0]])
    Table(places, names=["x", "y"]).write(tmp_path / "empty-sky.csv")
    for first in (0, 1):
        (batch,) = read_all(mosaic, tmp_path / "empty-sky.csv", first_pixel=first)
        assert batch.stamps.flags.tolist() == [int(GalaxyFlag.FAINT)]
        assert batch.stamps.columns["x"].tolist() == [150.0 - first]


def test_rows_outside_and_repeated_names_keep_their_place(tmp_path: Path) -> None:
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    x, y = np.array([*PLACES[:2], [-20.0, 50.0], [np.nan, 3.0], PLACES[2]]).T
    Table({"id": ["p", "q", "p", "r", "p"], "x": x, "y": y}).write(tmp_path / "c.ecsv")
    (batch,) = read_all(mosaic, tmp_path / "c.ecsv")
    assert batch.stamps.ids == ["p", "q", "p-2", "r", "p-3"]
    assert "p-2" in batch.faults[0]
    outside = int(GalaxyFlag.OUTSIDE)
    assert batch.stamps.flags.tolist() == [0, 0, outside, outside, 0]
    assert unique(["a", "a-2", "a"]) == ["a", "a-2", "a-3"]


def test_a_mosaic_without_a_catalog_is_searched_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    monkeypatch.setattr("astropipe.morphology.sources.BLOCK", 4)
    inputs, options = list_inputs([mosaic]), CutOptions(kind="mosaic", size=48, min_area_px=30)
    found = list(batches(inputs, options))
    assert [len(each.stamps) for each in found] == [4, 4, 1]
    x, y = (np.concatenate([batch.stamps.columns[name] for batch in found]) for name in "xy")
    order = by_place(x, y)
    assert x[order] == pytest.approx(PLACES[:, 0], abs=0.1)
    assert y[order] == pytest.approx(PLACES[:, 1], abs=0.1)
    rest = list(batches(inputs, options, start=found[0].done))
    assert [name for each in rest for name in each.stamps.ids] == found[1].stamps.ids + found[2].stamps.ids
    assert np.array_equal(rest[0].stamps.images, found[1].stamps.images)


def test_tiles_give_what_one_piece_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    whole = read_all(mosaic, kind="mosaic", size=48)[0].stamps
    monkeypatch.setattr("astropipe.morphology.mosaics.TILE_PX", 128)
    monkeypatch.setattr("astropipe.morphology.mosaics.MARGIN_PX", 64)
    tiled = read_all(mosaic, kind="mosaic", size=48)[0].stamps
    assert len(tiled) == len(whole) == 9
    first, second = (each.columns["x"][by_place(each.columns["x"], each.columns["y"])] for each in (tiled, whole))
    assert first == pytest.approx(second, abs=0.05)


def test_catalogs_find_their_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    Table(PLACES, names=["x", "y"]).write(tmp_path / "x.csv")
    monkeypatch.setattr("astropipe.morphology.mosaics.TILE_PX", 300)
    monkeypatch.setattr("astropipe.morphology.mosaics.MARGIN_PX", 64)
    # The columns are cut in two, while the rows, longer than a tile without its margins, are not.
    (batch,) = read_all(mosaic, tmp_path / "x.csv", size=48)
    assert not batch.stamps.flags.any()
    assert np.hypot(batch.stamps.columns["x"] - PLACES[:, 0], batch.stamps.columns["y"] - PLACES[:, 1]).max() < 0.1


def test_pictures_of_grey_levels_and_colour(tmp_path: Path) -> None:
    grey = np.clip(20.0 * picture((120, 120), gaussian(60.0, 59.0)), 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([grey, grey // 2, grey // 4], axis=2)).save(tmp_path / "colour.jpg", quality=95)
    (batch,) = read_all(tmp_path)
    stretched, colour = int(GalaxyFlag.STRETCHED), int(GalaxyFlag.COLOUR)
    assert dict(zip(batch.stamps.ids, batch.stamps.flags.tolist(), strict=True)) == {
        "colour": stretched | colour,
        "grey": stretched,
    }
    peak = batch.stamps.images.max(axis=(1, 2))
    assert peak[0] / peak[1] == pytest.approx((1 + 0.5 + 0.25) / 3, rel=0.1)


def test_files_that_cannot_be_used_are_rows_with_a_reason(tmp_path: Path) -> None:
    good = picture((64, 64), gaussian(32.0, 32.0))
    write_fits(tmp_path / "good.fits", good)
    (tmp_path / "broken.fits").write_bytes(b"no FITS file")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    write_fits(tmp_path / "tiny.fits", good[:12, :12])
    write_fits(tmp_path / "scale.fits", good, PIXSCALE=0.0)
    write_fits(tmp_path / "cube.fits", np.stack([good] * 3))
    (batch,) = read_all(tmp_path)
    unreadable = {n for n, f in zip(batch.stamps.ids, batch.stamps.flags, strict=True) if f == GalaxyFlag.UNREADABLE}
    assert unreadable == {"broken", "broken-2", "tiny", "scale", "cube"}
    assert len(batch.faults) == 5
    assert any("PIXSCALE" in each or "pixel scale" in each for each in batch.faults)
    (tmp_path / "good.fits").unlink()
    with pytest.raises(InputError, match="none of 5"):
        read_all(tmp_path)


def test_what_a_large_picture_shows_is_asked_where_it_is_not_certain(tmp_path: Path) -> None:
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    with pytest.raises(InputError, match="kind='cutouts' or kind='mosaic'"):
        read_all(mosaic)
    assert len(read_all(mosaic, kind="cutouts")[0].stamps) == 1


def test_options_and_arrays_that_make_no_sense_are_refused() -> None:
    for wrong in (
        {"pixel_scale_arcsec": 0.0},
        {"pixel_scale_arcsec": -1.0},
        {"pixel_scale_arcsec": 1e4},
        {"size": 8},
        {"kind": "many"},
        {"psf_fwhm_arcsec": -0.1},
        {"first_pixel": 2},
        {"detect_sigma": 0.0},
    ):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            CutOptions(**wrong)  # type: ignore[arg-type]
    image = picture((32, 32))
    for wrong in ({"ids": ["a", "a"]}, {"pixel_scale_arcsec": [0.1, 0.0]}, {"pixel_scale_arcsec": [0.1]}):
        with pytest.raises(InputError):
            stamps_from_arrays([image, image], **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="two dimensions"):
        stamps_from_arrays([image[:8]])


def test_catalogs_that_do_not_fit_are_named(tmp_path: Path) -> None:
    picture_file = write_fits(tmp_path / "m.fits", picture((64, 64), gaussian(32.0, 32.0)))
    for text, message in (("a,b\n1,2\n", "no x and y"), ("ra,dec\n1,2\n", "no celestial"), ("x,y\n", "no row")):
        (tmp_path / "c.csv").write_text(text)
        with pytest.raises(InputError, match=message):
            read_all(picture_file, tmp_path / "c.csv")
    with pytest.raises(InputError, match="no such file"):
        list_inputs([tmp_path / "none.fits"])
    with pytest.raises(InputError, match="without a picture"):
        list_inputs([picture_file, tmp_path / "c.csv", tmp_path / "c.csv"])


def ages_table(**changes: object) -> Table:
    """Return positions with redshifts and ages of three galaxies, of which the second has no age."""
    columns = {"x": PLACES[:3, 0], "y": PLACES[:3, 1], "Redshift": [0.2, 0.5, 0.9], "age": [9.0, np.nan, 4.5]}
    return Table(columns | changes)


@pytest.mark.parametrize("ending", ["ecsv", "fits", "vot"])
def test_redshifts_and_ages_come_from_the_catalog(ending: str, tmp_path: Path) -> None:
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    err = MaskedColumn([500.0, 1.0, 250.0], mask=[False, True, False], unit="Myr")
    ages_table(age_err=err).write(tmp_path / f"c.{ending}", format="votable" if ending == "vot" else None)
    (batch,) = read_all(mosaic, tmp_path / f"c.{ending}", size=64)
    np.testing.assert_array_equal(batch.stamps.columns["redshift"], [0.2, 0.5, 0.9])
    np.testing.assert_array_equal(batch.stamps.columns["age"], [9.0, np.nan, 4.5])
    assert batch.stamps.columns["age_err"] == pytest.approx([0.5, np.nan, 0.25], nan_ok=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": Column([9.0, 7.0, 4.5], unit="km")}, "column age has the unit km, which is no time; give Gyr"),
        ({"age": Column([0.9, 0.7, 0.6], unit="dex")}, "column age has the unit dex, which is no time; give Gyr"),
        ({"Redshift": Column([9.0, 7.0, 4.5], unit="mag")}, "column Redshift has the unit mag, which is no redshift"),
        ({"age": [9e9, 7e9, 4e9]}, r"column age: 9e\+09 in row 1 does not lie between 0 and 100; .*give Gyr"),
        ({"Redshift": [0.2, -99.0, 0.5]}, "column Redshift: -99 in row 2 .* leave unknown values empty"),
        ({"age_err": [0.5, 0.5, 0.0]}, "column age_err: 0 in row 3 does not lie between"),
        ({"age": ["9", "?", "4"]}, "column age: not all values are numbers"),
    ],
)
def test_redshifts_and_ages_that_cannot_be_are_refused(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    ages_table(**changes).write(tmp_path / "c.ecsv")
    with pytest.raises(InputError, match=message):
        read_all(mosaic, tmp_path / "c.ecsv")


@pytest.mark.parametrize("twice", [False, True], ids=["one mosaic", "two mosaics"])
def test_stamps_and_their_ages_do_not_depend_on_chunks(twice: bool, tmp_path: Path) -> None:
    """Of the one mosaic, the second of the chunks has no age."""
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    age = np.where(np.arange(9) < 4, 5.0, np.nan)
    Table({"x": PLACES[:, 0], "y": PLACES[:, 1], "age": age}).write(tmp_path / "c.ecsv")
    inputs = [mosaic, tmp_path / "c.ecsv"] * (2 if twice else 1)
    parts = [tmp_path / f"{index}.h5" for index in (1, 2)]
    for index, part in enumerate(parts, start=1):
        stage.cut(inputs, part, CutConfig(size=64), Run(chunk=Chunk(index, 2)))
    merge(parts, tmp_path / "merged.h5")
    stage.cut(inputs, tmp_path / "whole.h5", CutConfig(size=64), Run())
    with open_artifact(tmp_path / "merged.h5") as merged, open_artifact(tmp_path / "whole.h5") as whole:
        assert merged.content_sha256 == whole.content_sha256
        assert merged.table()["age"].unit == "Gyr"


def test_chunks_of_what_has_no_parts_are_refused(tmp_path: Path) -> None:
    mosaic, _ = mosaic_of(tmp_path, PLACES)
    Table({"x": PLACES[:, 0], "y": PLACES[:, 1]}).write(tmp_path / "c.ecsv")
    for inputs, message in (([mosaic], "leave out --chunk"), ([mosaic, tmp_path / "c.ecsv"], "chunk 1/10 is empty")):
        with pytest.raises(UsageError, match=message):
            stage.cut(inputs, tmp_path / "s.h5", CutConfig(size=64), Run(chunk=Chunk(1, 10)))
        assert not (tmp_path / "s.h5").exists()


def test_hubble_deep_field_holds_hundreds_of_galaxies() -> None:
    data = pytest.importorskip("skimage.data", reason="the Hubble Deep Field picture comes with scikit-image")
    found = read_all(Path(data.__file__).parent / "hubble_deep_field.jpg", kind="mosaic", size=48)
    n = sum(len(each.stamps) for each in found)
    assert 300 < n < 1500
    assert all((each.stamps.flags & GalaxyFlag.COLOUR).all() for each in found)
