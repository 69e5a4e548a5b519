"""FITS files in the layout of LAMOST's medium-resolution survey, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

FIRST = {"B": 369_100, "R": 379_800}
SIZE = 4_000


def arm_columns(arm: str, *, seed: int = 1, snr: float = 30.0) -> dict[str, np.ndarray]:
    """Return columns of one arm with a constant flux of 1000 and its noise."""
    rng = np.random.default_rng(seed)
    flux = rng.normal(1000.0, 1000.0 / snr, SIZE)
    return {
        "LOGLAM": 1e-5 * (FIRST[arm] + np.arange(SIZE)),
        "FLUX": flux,
        "IVAR": np.full(SIZE, (snr / 1000.0) ** 2),
        "ANDMASK": np.zeros(SIZE),
        "ORMASK": np.zeros(SIZE),
    }


def rows_hdu(name: str, columns: Mapping[str, np.ndarray], snr: float | None = None) -> fits.BinTableHDU:
    """Return a table with one row a pixel, as in DR6 and DR7."""
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column(name=key, array=np.asarray(values, dtype=np.float64), format="D")
            for key, values in columns.items()
        ]
    )
    return _named(hdu, name, snr)


def vectors_hdu(name: str, columns: Mapping[str, np.ndarray], snr: float | None = None) -> fits.BinTableHDU:
    """Return a table with one row of vectors and wavelengths in Angstrom, as from DR9 on."""
    columns = {("WAVELENGTH" if key == "LOGLAM" else key): values for key, values in columns.items()}
    columns["WAVELENGTH"] = 10.0 ** np.asarray(columns["WAVELENGTH"])
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column(name=key, array=np.asarray(values, dtype=np.float64)[None], format=f"{len(values)}D")
            for key, values in columns.items()
        ]
    )
    return _named(hdu, name, snr)


def _named(hdu: fits.BinTableHDU, name: str, snr: float | None) -> fits.BinTableHDU:
    hdu.header["EXTNAME"] = name
    if snr is not None:
        hdu.header["SNR"] = snr
    return hdu


def primary(**cards: Any) -> fits.PrimaryHDU:
    """Return a primary HDU as the survey writes it."""
    hdu = fits.PrimaryHDU()
    known = {
        "TELESCOP": "LAMOST",
        "OBSID": 123456,
        "RA": 290.5,
        "DEC": 42.25,
        "LMJD": 58644,
        "VACUUM": True,
        "HELIO": True,
    }
    for key, value in (known | cards).items():
        hdu.header[key] = value
    return hdu


def write(path: Path, *hdus: Any, **cards: Any) -> Path:
    """Write a file; a name that ends in gz is compressed."""
    fits.HDUList([primary(**cards), *hdus]).writeto(path, overwrite=True)
    return path


def coadds(arms: str = "BR", kind: Any = rows_hdu, snr: float = 30.0) -> list[fits.BinTableHDU]:
    """Return the coadds of some arms."""
    return [kind(f"COADD_{arm}", arm_columns(arm, snr=snr), snr) for arm in arms]
