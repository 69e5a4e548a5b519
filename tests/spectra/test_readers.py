"""Spectra from tables, arrays and folders: equal numbers whatever the file, and an error that names what is wrong."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table
from lamost_files import coadds, write

from astropipe.runtime.errors import InputError, MissingDependencyError, UsageError
from astropipe.spectra.flags import SpectrumFlag
from astropipe.spectra.readers import find_files, read_observations
from astropipe.spectra.wavelengths import vacuum_to_air

WAVELENGTH = np.concatenate([np.arange(4900.0, 5390.0, 0.1), np.arange(6280.0, 6870.0, 0.1)])


def columns() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    flux = 1.0 + 0.01 * rng.standard_normal(len(WAVELENGTH))
    return {"wavelength": WAVELENGTH, "flux": flux, "error": np.full(len(WAVELENGTH), 0.01)}


def _ecsv(path: Path) -> Path:
    table = QTable(columns())
    table["wavelength"] = (table["wavelength"] * u.AA).to(u.nm)
    table.write(path / "star.ecsv")
    return path / "star.ecsv"


def _csv(path: Path) -> Path:
    Table(columns()).write(path / "star.csv")
    return path / "star.csv"


def _text(path: Path) -> Path:
    renamed = {"WAVE": "wavelength", "Flux": "flux", "sigma": "error"}
    values = columns()
    Table({new: values[old] for new, old in renamed.items()}).write(path / "star.dat", format="ascii")
    return path / "star.dat"


def _fits(path: Path) -> Path:
    Table(columns()).write(path / "star.fits")
    return path / "star.fits"


def _npz(path: Path) -> Path:
    values = columns()
    values["ivar"] = values.pop("error") ** -2
    np.savez(path / "star.npz", **values)
    return path / "star.npz"


def _hdf5(path: Path) -> Path:
    with h5py.File(path / "star.h5", "w") as file:
        for name, values in columns().items():
            file[name] = values
        file["wavelength"].attrs["units"] = "Angstrom"
    return path / "star.h5"


@pytest.mark.parametrize("make", [_ecsv, _csv, _text, _fits, _npz, _hdf5])
def test_every_kind_of_file_gives_the_same_spectrum(make: Any, tmp_path: Path) -> None:
    (observation,) = read_observations(make(tmp_path))
    assert observation.id == "star"
    assert observation.flags == 0
    blue, red = observation.arms["blue"], observation.arms["red"]
    for arm in (blue, red):
        ends = arm.wavelength_a[[0, -1]] + [-0.01, 0.01]
        inside = (ends[0] < WAVELENGTH) & (ends[1] > WAVELENGTH)
        np.testing.assert_allclose(arm.wavelength_a, WAVELENGTH[inside], rtol=1e-12)
        np.testing.assert_allclose(arm.flux, columns()["flux"][inside], rtol=1e-12)
    assert len(blue.flux) > 4800
    assert len(red.flux) > 5800
    np.testing.assert_allclose(blue.ivar, 1e4, rtol=1e-9)
    assert blue.snr == pytest.approx(100.0, rel=0.01)


def test_many_spectra_with_ids_and_masks(tmp_path: Path) -> None:
    values = columns()
    flux = np.stack([values["flux"], 2.0 * values["flux"]])
    mask = np.zeros(flux.shape, dtype=int)
    mask[1, :50] = 1
    np.savez(
        tmp_path / "a.npz",
        wavelength=WAVELENGTH,
        flux=flux,
        ivar=np.full(flux.shape, 1e4),
        mask=mask,
        id=["one", "two"],
    )
    one, two = read_observations(tmp_path / "a.npz")
    assert (one.id, two.id) == ("one", "two")
    assert np.count_nonzero(one.arms["blue"].mask) == 0
    assert np.count_nonzero(two.arms["blue"].mask) == 50


def test_air_wavelengths_are_flagged_or_converted_on_demand(tmp_path: Path) -> None:
    values = columns()
    values["wavelength"] = vacuum_to_air(WAVELENGTH)
    table = Table(values, meta={"medium": "air"})
    table.write(tmp_path / "a.ecsv")
    (as_is,) = read_observations(tmp_path / "a.ecsv")
    assert as_is.flags == SpectrumFlag.AIR_WAVELENGTHS
    (converted,) = read_observations(tmp_path / "a.ecsv", medium="air")
    assert converted.flags == 0
    assert converted.arms["blue"].wavelength_a[0] == pytest.approx(4900.0, abs=1e-6)


def test_a_file_that_says_vacuum_is_not_converted_from_air(tmp_path: Path) -> None:
    Table(columns(), meta={"medium": "vacuum"}).write(tmp_path / "a.ecsv")
    with pytest.raises(UsageError, match="leave out medium='air'"):
        read_observations(tmp_path / "a.ecsv", medium="air")


def _spoilt(**changes: Any) -> dict[str, Any]:
    values = columns() | changes
    return {name: array for name, array in values.items() if array is not None}


def _unsorted() -> np.ndarray:
    wavelength = WAVELENGTH.copy()
    wavelength[[5, 6]] = wavelength[[6, 5]]
    return wavelength


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (_spoilt(flux=None), "flux not found among wavelength, error"),
        (_spoilt(error=None), "ivar or error not found"),
        (_spoilt(wavelength=None), "wavelength or loglam not found"),
        (_spoilt(wavelength=_unsorted()), "pixels 5 and 6 are not in order"),
        (_spoilt(wavelength=np.where(np.arange(len(WAVELENGTH)) == 8, WAVELENGTH[7], WAVELENGTH)), "twice the same"),
        (_spoilt(wavelength=WAVELENGTH / 10.0), "meet neither arm"),
        (_spoilt(flux=np.full(len(WAVELENGTH), "bright")), "does not hold numbers"),
        (_spoilt(error=np.ones(4)), "flux has shape"),
    ],
)
def test_bad_arrays_are_named(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **values)
    with pytest.raises(InputError, match=rf"a\.npz.*{message}"):
        read_observations(tmp_path / "a.npz")


def test_pixels_without_a_number_or_an_error_are_masked(tmp_path: Path) -> None:
    values = columns()
    values["flux"][10], values["error"][11], values["error"][12] = np.nan, 0.0, np.inf
    np.savez(tmp_path / "a.npz", **values)
    (observation,) = read_observations(tmp_path / "a.npz")
    assert np.flatnonzero(observation.arms["blue"].mask).tolist() == [10, 11, 12]


def test_all_pixels_masked_is_flagged(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **columns(), mask=np.ones(len(WAVELENGTH)))
    (observation,) = read_observations(tmp_path / "a.npz")
    assert set(SpectrumFlag.names(observation.flags)) == {"MISSING_BLUE", "MISSING_RED", "FEW_PIXELS", "LOW_SNR"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"flux\n1,2,3\n4", "not a readable table"),
        ("a.npz", b"PK not a zip", "not a readable npz file"),
        ("a.h5", b"\x89HDF but cut", "not a readable HDF5 file"),
        ("a.doc", b"", "the kind of file is not known"),
    ],
)
def test_damaged_and_unknown_files_are_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}.*{message}"):
        read_observations(tmp_path / name)


def test_a_missing_file_and_unknown_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_observations(tmp_path / "none.csv")
    path = _csv(tmp_path)
    with pytest.raises(UsageError, match="medium='water'"):
        read_observations(path, medium="water")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="exposures='most'"):
        read_observations(path, "most")  # type: ignore[arg-type]


def test_a_foreign_fits_file_asks_for_specutils(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits.PrimaryHDU(np.ones(100)).writeto(tmp_path / "a.fits")
    wanted = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "specutils":
            raise ImportError(name=name)
        return wanted(name, *args, **kwargs)

    monkeypatch.setattr("importlib.import_module", lambda name: without(name))
    with pytest.raises(MissingDependencyError, match="pip install specutils"):
        read_observations(tmp_path / "a.fits")


def test_folders_patterns_and_names_give_each_file_once_in_order(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    second = write(tmp_path / "night" / "b.fits", *coadds())
    first = write(tmp_path / "night" / "a.fits.gz", *coadds())
    _csv(tmp_path)
    assert find_files([tmp_path]) == [first, second]
    assert find_files([second, tmp_path]) == [second, first]
    assert find_files([str(tmp_path / "*.csv")]) == [tmp_path / "star.csv"]


@pytest.mark.parametrize(
    ("name", "message"), [("none", "no such file or folder"), ("*.txt", "no file matches"), ("", "holds no FITS file")]
)
def test_inputs_that_stand_for_nothing_are_named(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        find_files([tmp_path / name])
