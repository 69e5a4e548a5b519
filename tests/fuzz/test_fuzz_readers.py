"""Damaged files are read or refused, with every reader: no crash, no other error, no endless loop, no gigabytes.

`found.csv` keeps what once went wrong: reader, kind of file, seed. These are tried in every run, some new ones too, and
thousands with ``-m slow``.
"""

from __future__ import annotations

import contextlib
import csv
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable
from hypothesis import given, settings
from hypothesis import strategies as st
from lamost_files import coadds, vectors_hdu, write
from PIL import Image
from small import Write

from astropipe.config import load
from astropipe.runtime.errors import AstropipeError
from astropipe.runtime.shipped import weights_file
from astropipe.spectra.readers import read_observations

SCRIPT = Path(__file__).with_name("damaging.py")
GUIDED = Path(__file__).with_name("guided.py")
FOUND = Path(__file__).with_name("found.csv")
SECONDS = "60"
FILES = (
    ("artifact", "triples.h5"),
    ("artifact", "posterior.h5"),
    ("policy", "nbody-timestep.h5"),
    ("emulator", "spectra-emulator.h5"),
    ("encoder", "galaxy-encoder.h5"),
    ("spectra", "rows.fits"),
    ("spectra", "vectors.fits"),
    ("spectra", "star.ecsv"),
    ("spectra", "star.csv"),
    ("spectra", "star.npz"),
    ("labels", "labels.csv"),
    ("labels", "labels.fits"),
    ("picture", "picture.fits"),
    ("picture", "picture.png"),
    ("settings", "settings.yaml"),
)


@pytest.fixture
def source(folder: Path, minimal: Write) -> Path:
    """Return a folder with a sound file of each name."""
    minimal(folder / "triples.h5", "triples-catalog", rows=20)
    minimal(folder / "posterior.h5", "posterior", rows=20)
    for name in ("nbody-timestep.h5", "spectra-emulator.h5", "galaxy-encoder.h5"):
        (folder / name).symlink_to(weights_file(name))
    write(folder / "rows.fits", *coadds(), OBSID=1)
    write(folder / "vectors.fits", *coadds(kind=vectors_hdu), OBSID=1)
    wavelength = np.arange(6302.0, 6798.0, 0.5)
    star = {"wavelength": wavelength, "flux": np.ones_like(wavelength), "error": np.full_like(wavelength, 0.1)}
    np.savez(folder / "star.npz", **star)
    QTable(star).write(folder / "star.csv", format="ascii.csv")
    QTable(star | {"wavelength": wavelength * u.AA}).write(folder / "star.ecsv")
    labels = QTable({"id": ["a", "b"], "teff": [5000.0, 4000.0], "logg": [4.0, 2.0], "fe_h": [0.0, -1.0]})
    labels.write(folder / "labels.csv", format="ascii.csv")
    labels.write(folder / "labels.fits")
    pixels = np.random.default_rng(1).normal(100.0, 1.0, (64, 64)).astype(np.float32)
    fits.PrimaryHDU(pixels, fits.Header({"PIXSCALE": 0.03})).writeto(folder / "picture.fits")
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / "picture.png")
    (folder / "settings.yaml").write_text(
        "seed: 3\nworkflow:\n  results: a\n  ensembles: {x: {integrate: {t_end: 2}}}\n"
    )
    return folder


def run(reader: str, path: Path, folder: Path, first: int, count: int) -> None:
    command = [sys.executable, str(SCRIPT), reader, str(path), str(folder), str(first), str(count)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=3_000, check=False)
    last = result.stdout.split()[-1] if result.stdout.split() else "none"
    assert result.returncode == 0, f"{reader} {path.name}, seed {last}: {result.returncode}\n{result.stderr[-3000:]}"


@pytest.mark.parametrize(("reader", "name"), [file for file in FILES if file[0] not in ("emulator", "encoder")])
def test_damaged_files_are_read_or_refused(reader: str, name: str, source: Path, tmp_path: Path) -> None:
    run(reader, source / name, tmp_path, 0, 10)


@pytest.mark.slow
@pytest.mark.parametrize(("reader", "name"), FILES)
def test_many_damaged_files_are_read_or_refused(reader: str, name: str, source: Path, tmp_path: Path) -> None:
    run(reader, source / name, tmp_path, 10, 2_000)


@pytest.mark.slow
@pytest.mark.parametrize(("reader", "name"), [file for file in FILES if file[0] not in ("emulator", "encoder")])
def test_damage_that_reaches_new_branches_is_read_or_refused(
    reader: str, name: str, source: Path, tmp_path: Path
) -> None:
    pytest.importorskip("atheris", reason="atheris is not installed: pip install 'astropipe[fuzz]'")
    command = [sys.executable, str(GUIDED), reader, str(source / name), str(tmp_path), SECONDS]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, f"{reader} {name}: {result.returncode}\n{result.stderr[-3000:]}"


def test_what_once_went_wrong_does_not_any_more(source: Path, tmp_path: Path) -> None:
    with FOUND.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            run(row["reader"], source / row["file"], tmp_path, int(row["seed"]), 1)


_KEYS = st.sampled_from(["seed", "workflow", "nbody", "integrate", "ensembles", "results", "t_end", "posteriors", "x"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(_VALUES)
def test_settings_of_any_shape_are_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("any") / "settings.yaml"
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    with contextlib.suppress(AstropipeError):
        load([path])


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system [touch ran]", "a: !!python/name:os.system ''"])
def test_settings_run_no_code(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(AstropipeError):
        load([tmp_path / "settings.yaml"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["star.npz", "star.npy"])
def test_pickled_arrays_are_refused(name: str, tmp_path: Path) -> None:
    objects = np.array([{"flux": 1}], dtype=object)
    if name.endswith("npz"):
        np.savez(tmp_path / name, wavelength=objects, flux=objects, error=objects)
    else:
        np.save(tmp_path / name, objects, allow_pickle=True)
    with pytest.raises(AstropipeError):
        read_observations(tmp_path / name)


def test_an_array_whose_header_is_no_text_is_refused(tmp_path: Path) -> None:
    # Found by guided.py: numpy tokenises such a header, and lets the tokeniser's error pass.
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "star.npz", "w") as archive:
        archive.writestr("flux.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(16))
    with pytest.raises(AstropipeError, match="not a readable npz file"):
        read_observations(tmp_path / "star.npz")
