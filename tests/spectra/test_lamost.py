"""LAMOST files: both layouts, single exposures, what is masked, and what damaged or foreign files get."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lamost_files import SIZE, arm_columns, coadds, rows_hdu, vectors_hdu, write

from astropipe.runtime.errors import InputError, UsageError
from astropipe.spectra.flags import SpectrumFlag
from astropipe.spectra.lamost import read_lamost

REAL = Path(__file__).parents[3] / "shared" / "data" / "lamost"


def test_rows_and_vectors_give_the_same_numbers(tmp_path: Path) -> None:
    (old,) = read_lamost(write(tmp_path / "a.fits", *coadds()))
    (new,) = read_lamost(write(tmp_path / "b.fits", *coadds(kind=vectors_hdu)))
    for name in ("blue", "red"):
        np.testing.assert_allclose(old.arms[name].wavelength_a, new.arms[name].wavelength_a, rtol=1e-12)
        np.testing.assert_array_equal(old.arms[name].flux, new.arms[name].flux)
    assert old.flags == new.flags == 0


def test_a_compressed_file_reads_as_the_plain_one(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.fits", *coadds())
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_lamost(plain)[0].arms["red"].flux, read_lamost(packed)[0].arms["red"].flux)


def test_headers_become_metadata_and_the_id(tmp_path: Path) -> None:
    (observation,) = read_lamost(write(tmp_path / "a.fits", *coadds(), OBSID=987))
    assert observation.id == "987-coadd"
    assert observation.meta["ra"] == 290.5
    assert observation.arms["blue"].hdu == "COADD_B"


def test_single_exposures_come_in_the_order_of_time_with_falling_red_pixels_turned_round(tmp_path: Path) -> None:
    red = {key: values[::-1] for key, values in arm_columns("R").items()}
    path = write(
        tmp_path / "a.fits",
        *coadds(),
        rows_hdu("R-84000020", red),
        rows_hdu("B-84000020", arm_columns("B")),
        rows_hdu("B-84000005", arm_columns("B")),
    )
    early, late = read_lamost(path, "single")
    assert (early.exposure, late.exposure) == ("84000005", "84000020")
    assert np.all(np.diff(late.arms["red"].wavelength_a) > 0.0)
    np.testing.assert_array_equal(late.arms["red"].flux, arm_columns("R")["FLUX"])
    assert [each.exposure for each in read_lamost(path, "all")] == ["coadd", "84000005", "84000020"]
    assert early.flags & SpectrumFlag.MISSING_RED


def test_bad_pixels_are_masked_and_a_problem_of_one_exposure_is_not(tmp_path: Path) -> None:
    columns = arm_columns("B")
    columns["FLUX"][3], columns["IVAR"][4], columns["IVAR"][5] = np.nan, 0.0, np.inf
    columns["ANDMASK"][6], columns["ORMASK"][7] = 1, 1
    (observation,) = read_lamost(write(tmp_path / "a.fits", rows_hdu("COADD_B", columns, 30.0), *coadds("R")))
    assert np.flatnonzero(observation.arms["blue"].mask).tolist() == [3, 4, 5, 6]
    assert np.all(observation.arms["blue"].ivar[3:7] == 0.0)
    assert np.isfinite(observation.arms["blue"].flux).all()


def test_a_failed_coadd_is_masked_and_flagged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", rows_hdu("COADD_B", arm_columns("B"), 0.3), *coadds("R"))
    (observation,) = read_lamost(path)
    assert observation.arms["blue"].n_usable == 0
    assert observation.flags & SpectrumFlag.FAILED_COADD
    assert observation.flags & SpectrumFlag.MISSING_BLUE


def test_a_file_without_coadds_is_flagged_and_keeps_its_row(tmp_path: Path) -> None:
    (observation,) = read_lamost(write(tmp_path / "a.fits", rows_hdu("B-84000005", arm_columns("B"))))
    assert observation.arms == {}
    assert observation.flags & SpectrumFlag.FAILED_COADD


def test_a_missing_arm_is_flagged(tmp_path: Path) -> None:
    (observation,) = read_lamost(write(tmp_path / "a.fits", *coadds("B")))
    assert SpectrumFlag.names(observation.flags) == ("MISSING_RED",)


@pytest.mark.parametrize(
    ("card", "flag"), [("VACUUM", SpectrumFlag.AIR_WAVELENGTHS), ("HELIO", SpectrumFlag.NOT_HELIOCENTRIC)]
)
def test_headers_that_speak_against_the_wavelengths_are_flagged(card: str, flag: int, tmp_path: Path) -> None:
    (observation,) = read_lamost(write(tmp_path / "a.fits", *coadds(), **{card: False}))
    assert observation.flags == flag


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_file_is_named(kept: float, packed: bool, tmp_path: Path) -> None:
    whole = write(tmp_path / "a.fits", *coadds(), N_EXTEN=3).read_bytes()
    whole = gzip.compress(whole) if packed else whole
    path = tmp_path / ("cut.fits.gz" if packed else "cut.fits")
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match=r"cut\.fits.*download it again"):
        read_lamost(path)


def _without(column: str) -> fits.BinTableHDU:
    return rows_hdu("COADD_B", {key: values for key, values in arm_columns("B").items() if key != column}, 30.0)


def _changed(column: str, pixel: int, value: float) -> fits.BinTableHDU:
    columns = arm_columns("B")
    columns[column][pixel] = value
    return rows_hdu("COADD_B", columns, 30.0)


@pytest.mark.parametrize(
    ("hdus", "message"),
    [
        ([_without("IVAR")], "HDU COADD_B lacks IVAR"),
        ([_without("LOGLAM")], "HDU COADD_B lacks LOGLAM or WAVELENGTH"),
        ([_without("ANDMASK")], "HDU COADD_B lacks ANDMASK or PIXMASK"),
        ([*coadds("B"), *coadds("B")], "HDU COADD_B occurs twice"),
        ([rows_hdu("SPECTRUM", arm_columns("B"))], "no HDU is called COADD_B.* it has .*SPECTRUM"),
        ([_changed("LOGLAM", 10, 3.6)], "HDU COADD_B.*pixels 9 and 10 are not in order"),
        ([_changed("LOGLAM", 10, 1e-5 * 369_109)], "twice the same"),
        ([_changed("LOGLAM", 10, np.nan)], "not a positive number"),
        ([_changed("LOGLAM", SIZE - 1, 5000.0)], "must hold log10"),
        ([rows_hdu("COADD", arm_columns("B"))], "low-resolution"),
    ],
)
def test_a_wrong_structure_is_named(hdus: list[fits.BinTableHDU], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "star.fits", *hdus)
    with pytest.raises(InputError, match=rf"star\.fits.*{message}"):
        read_lamost(path)


def test_an_old_low_resolution_image_is_named(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(np.zeros((5, 3909), dtype=np.float32))
    hdu.header["TELESCOP"] = "LAMOST"
    hdu.writeto(tmp_path / "spec-55862-B6201_sp01-001.fits")
    with pytest.raises(InputError, match="low-resolution spectrum of LAMOST"):
        read_lamost(tmp_path / "spec-55862-B6201_sp01-001.fits")


def test_low_resolution_wavelengths_in_a_medium_resolution_name_are_named(tmp_path: Path) -> None:
    columns = arm_columns("B")
    columns["LOGLAM"] = np.linspace(3.57, 3.95, SIZE)
    with pytest.raises(InputError, match="beyond the blue arm"):
        read_lamost(write(tmp_path / "a.fits", rows_hdu("COADD_B", columns)))


def test_other_files_and_options_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_text("no fits at all")
    with pytest.raises(InputError, match=r"a\.fits: not a FITS file"):
        read_lamost(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"b\.fits: cannot be read"):
        read_lamost(tmp_path / "b.fits")
    with pytest.raises(UsageError, match="exposures='both'"):
        read_lamost(tmp_path / "a.fits", "both")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no single exposures"):
        read_lamost(write(tmp_path / "c.fits", *coadds()), "single")


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real spectra of ../shared/data/lamost are not here")
def test_all_real_files_are_read_and_the_failed_coadd_is_found() -> None:
    coadded = {path.name[:9]: read_lamost(path)[0] for path in sorted(REAL.glob("med-*.fits.gz"))}
    assert len(coadded) == 4
    failed = coadded.pop("med-58269")
    assert failed.flags & SpectrumFlag.FAILED_COADD
    assert all(arm.n_usable == 0 for arm in failed.arms.values())
    for observation in coadded.values():
        assert observation.flags == 0
        assert observation.arms["blue"].snr > 50.0
        # The survey's pixels lie on whole steps of 1e-5 in the logarithm, to single precision.
        steps = np.log10(observation.arms["blue"].wavelength_a) / 1e-5
        assert np.max(np.abs(steps - np.rint(steps))) < 0.03


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real spectra of ../shared/data/lamost are not here")
def test_real_single_exposures_are_read() -> None:
    counts = [len(read_lamost(path, "single")) for path in sorted(REAL.glob("med-*.fits.gz"))]
    assert counts == [4, 5, 4, 4]
