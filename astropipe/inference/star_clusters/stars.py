"""Stars of a field around a cluster: which rows of a catalog are fit for use, and where and how they are seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.runtime.errors import InputError

Array = NDArray[np.float64]

_NEEDED = ("ra", "dec", "rv", "rv_err", "fe_h", "fe_h_err")


@dataclass(frozen=True)
class Field:
    """Where the cluster is, and out to where stars were observed.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Centre of the cluster, which is that of the field.
    radius_arcmin : float
        Radius of the circle in which stars were observed.
    distance_pc : float
        Distance of the cluster.
    """

    ra_deg: float
    dec_deg: float
    radius_arcmin: float
    distance_pc: float

    @property
    def radius_pc(self) -> float:
        """Radius of the field at the distance of the cluster."""
        return float(self.distance_pc * np.tan(np.radians(self.radius_arcmin / 60.0)))


@dataclass(frozen=True, eq=False)
class ClusterStars:
    """Stars with what was measured of them, each of shape (n,).

    Attributes
    ----------
    radius_pc : ndarray
        Projected distance from the centre, at the distance of the cluster.
    rv_km_s, rv_err_km_s, fe_h, fe_h_err : ndarray
        Radial velocity and [Fe/H], with standard errors.
    """

    radius_pc: Array
    rv_km_s: Array
    rv_err_km_s: Array
    fe_h: Array
    fe_h_err: Array

    def __len__(self) -> int:
        return len(self.radius_pc)


def read_stars(path: Path, field: Field) -> ClusterStars:
    """Read the stars of a ``stellar-catalog`` that have no flag and lie in the field.

    Raises
    ------
    InputError
        If the catalog has no positions, or no star is left.
    ArtifactError
        If the file is no such catalog.
    """
    with open_artifact(path, "stellar-catalog") as artifact:
        table = artifact.table()
    missing = [name for name in _NEEDED if name not in table.colnames]
    if missing:
        raise InputError(
            f"{path} lacks {', '.join(missing)}: the spectra that it was read from had no positions on the sky"
        )
    stars = select_stars(table, field)
    if not len(stars):
        raise InputError(
            f"{path}: none of its {len(table)} stars is without flags and within {field.radius_arcmin:g} arcmin of "
            f"({field.ra_deg:g}, {field.dec_deg:g}) deg; check ra_deg, dec_deg and field_radius_arcmin"
        )
    return stars


def select_stars(table: QTable, field: Field) -> ClusterStars:
    """Return the rows of a catalog without a flag, with finite values, inside the field."""
    columns = {
        "rv_km_s": table["rv"].to_value(u.km / u.s),
        "rv_err_km_s": table["rv_err"].to_value(u.km / u.s),
        "fe_h": np.asarray(table["fe_h"]),
        "fe_h_err": np.asarray(table["fe_h_err"]),
    }
    distance_deg = separation_deg(
        table["ra"].to_value(u.deg), table["dec"].to_value(u.deg), field.ra_deg, field.dec_deg
    )
    good = (np.asarray(table["flags"]) == 0) & (distance_deg * 60.0 <= field.radius_arcmin)
    good &= np.all([np.isfinite(values) for values in columns.values()], axis=0)
    radius = field.distance_pc * np.tan(np.radians(distance_deg))
    return ClusterStars(radius[good], **{name: values[good] for name, values in columns.items()})


def separation_deg(ra_deg: Array, dec_deg: Array, ra_0_deg: float, dec_0_deg: float) -> Array:
    """Return angles on the sky from a point, by the haversine formula, which keeps its digits at small angles."""
    ra, dec, dec_0 = np.radians(ra_deg - ra_0_deg), np.radians(dec_deg), np.radians(dec_0_deg)
    square = np.sin(0.5 * (dec - dec_0)) ** 2 + np.cos(dec) * np.cos(dec_0) * np.sin(0.5 * ra) ** 2
    return np.asarray(np.degrees(2.0 * np.arcsin(np.sqrt(square))))
