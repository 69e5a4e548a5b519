"""Catalogs of galaxies on a picture, from any table that astropy reads: positions, and what else is known of each."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, Table
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

from astropipe.morphology.cut_options import CutOptions
from astropipe.runtime.errors import InputError

TABLE_ENDINGS = (".csv", ".ecsv", ".vot", ".votable", ".xml", ".cat", ".txt", ".dat", ".asc", ".tsv")

Array = NDArray[np.float64]

_FROM_ONE = {"x": ("x_image", "xwin_image", "xpeak_image"), "y": ("y_image", "ywin_image", "ypeak_image")}
_ALIASES = {
    "id": ("id", "ident", "number", "objid", "obj_id", "object_id", "source_id", "name"),
    "x": ("x", "x_px", "xcentroid", "x_centroid", "xc", "xcen"),
    "y": ("y", "y_px", "ycentroid", "y_centroid", "yc", "ycen"),
    "ra": ("ra", "ra_deg", "raj2000", "_raj2000", "alpha_j2000", "alphawin_j2000", "alpha", "ra_icrs"),
    "dec": ("dec", "dec_deg", "dej2000", "_dej2000", "dej2000", "delta_j2000", "deltawin_j2000", "delta", "de_icrs"),
    "mag": ("mag", "mag_auto", "mag_best", "mag_iso", "magnitude"),
    # No short names: z is a magnitude as often.
    **{name: (name,) for name in ("redshift", "age", "age_err")},
}


class _Quantity(NamedTuple):
    """In which unit a column counts, also where the catalog names none, what it is in words, and its limits."""

    unit: u.UnitBase
    kind: str
    remedy: str
    limits: tuple[float, float] | None = None


_ANGLE = _Quantity(u.deg, "angle", "give degrees")
# What lies beyond the limits stands for an unknown value, or is in another unit.
_AGE = _Quantity(u.Gyr, "time", "give Gyr", (0.0, 100.0))
_QUANTITIES = {
    "ra": _ANGLE,
    "dec": _ANGLE,
    "redshift": _Quantity(u.dimensionless_unscaled, "redshift", "redshifts have none", (-1.0, 1000.0)),
    "age": _AGE,
    "age_err": _AGE,
}
_KNOWN = ("ra", "dec", "mag", "redshift", "age", "age_err")


@dataclass(frozen=True)
class Positions:
    """Rows of a catalog, n of them, in their order.

    Attributes
    ----------
    ids : list of str
        Names, each once.
    x, y : ndarray, shape (n,)
        Pixel coordinates from 0 at the centre of the first pixel; NaN where there is no position.
    known : dict of str to ndarray, shape (n,)
        What the catalog gives of ``ra`` and ``dec`` in degrees, ``mag``, ``redshift``, ``age`` and ``age_err`` in Gyr;
        NaN where a row has no value.
    faults : list of str
        What had to be changed.
    """

    ids: list[str]
    x: Array
    y: Array
    known: dict[str, Array]
    faults: list[str]

    def __len__(self) -> int:
        return len(self.ids)


def read_positions(path: Path, wcs: WCS | None, options: CutOptions) -> Positions:
    """Read a catalog.

    Parameters
    ----------
    path : Path
        CSV, ECSV, VOTable, FITS or ASCII table (SExtractor's too). Columns are found by their usual names: id (IDENT,
        NUMBER, OBJID), x and y (X_IMAGE), ra and dec (ALPHA_J2000, degrees unless the unit says otherwise), mag
        (MAG_AUTO), redshift, age and age_err (Gyr unless the unit says otherwise).
    wcs : WCS or None
        Of the picture.
    options : CutOptions
        Of which ``positions`` and ``first_pixel`` count.

    Raises
    ------
    InputError
        If the table cannot be read, is empty, has no positions that the picture knows, a column in a unit of something
        else, or a redshift or age that cannot be one.
    """
    table = _read(path)
    n = len(table)
    if n == 0:
        raise InputError(f"{path}: the catalog has no row; give at least one position")
    found = {what: _column(table, what, path) for what in _KNOWN}
    known = {what: values for what, values in found.items() if values is not None}
    x, y = _pixels(table, path, options.first_pixel)
    has_pixels, has_sky = x is not None and y is not None, "ra" in known and "dec" in known
    if not (options.positions == "sky" or has_pixels):
        x = y = None
    if options.positions == "sky" or (options.positions == "auto" and not has_pixels):
        if not has_sky:
            raise InputError(f"{path}: no x and y, nor ra and dec, among {', '.join(table.colnames)}; name columns so")
        if wcs is None:
            raise InputError(f"{path}: gives ra and dec, but its picture has no celestial coordinates; give x and y")
        x, y = _to_pixels(wcs, known["ra"], known["dec"])
    elif not has_pixels:
        raise InputError(f"{path}: no x and y among {', '.join(table.colnames)}; name the columns so")
    name = _find(table.colnames, _ALIASES["id"])
    given = [str(each).strip() for each in table[name]] if name else [str(row) for row in range(1, n + 1)]
    ids = unique(given)
    faults = []
    if ids != given:
        first = next(new for new, old in zip(ids, given, strict=True) if new != old)
        faults.append(f"{path}: column {name} gives the same name to several rows; later ones were renamed as {first}")
    x, y = (np.full(n, np.nan) if each is None else each for each in (x, y))
    return Positions(ids, x, y, known, faults)


def sky_of(wcs: WCS | None, x: Array, y: Array) -> tuple[Array, Array]:
    """Right ascension and declination (ICRS, degrees) of pixels; NaN without celestial coordinates."""
    if wcs is None or len(x) == 0:
        return np.full(len(x), np.nan), np.full(len(x), np.nan)
    place = wcs.pixel_to_world(x, y).icrs
    return np.asarray(place.ra.deg), np.asarray(place.dec.deg)


def unique(names: Iterable[str]) -> list[str]:
    """Return names in which repeated ones have -2, -3 and so on appended."""
    names = list(names)
    taken, result = set(names), []
    seen: set[str] = set()
    for name in names:
        new, number = name, 1
        while new in seen or (number > 1 and new in taken):
            number += 1
            new = f"{name}-{number}"
        seen.add(new)
        result.append(new)
    return result


def _read(path: Path) -> Table:
    name = path.name.lower()
    try:
        with warnings.catch_warnings():
            # Units that are not in the standard do not matter for positions.
            warnings.simplefilter("ignore")
            if ".fit" in name:
                return Table.read(path)
            if name.endswith((".vot", ".votable", ".xml")):
                return Table.read(path, format="votable")
            if name.endswith((".ecsv", ".csv")):
                return Table.read(path, format="ascii.ecsv" if name.endswith(".ecsv") else "ascii.csv")
            return Table.read(path, format="ascii")
    except Exception as error:  # astropy's readers raise many kinds, by what the guess met last
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: not a readable table ({reason}); write a line of column names, then rows") from error


def _find(names: Iterable[str], aliases: tuple[str, ...]) -> str | None:
    by_lower = {name.lower(): name for name in names}
    return next((by_lower[alias] for alias in aliases if alias in by_lower), None)


def _floats(column: Column, where: str) -> Array:
    try:
        values = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: not all values are numbers") from error
    return np.asarray(values)


def _pixels(table: Table, path: Path, first_pixel: int) -> tuple[Array | None, Array | None]:
    found: list[Array | None] = []
    for what in ("x", "y"):
        name, first = _find(table.colnames, _ALIASES[what]), first_pixel
        if name is None:
            name, first = _find(table.colnames, _FROM_ONE[what]), 1
        found.append(None if name is None else _floats(table[name], f"{path}: column {name}") - first)
    return found[0], found[1]


def _column(table: Table, what: str, path: Path) -> Array | None:
    """Return a column in its unit, NaN where a row has no value; None if there is no such column."""
    name = _find(table.colnames, _ALIASES[what])
    if name is None:
        return None
    where, quantity = f"{path}: column {name}", _QUANTITIES.get(what)
    if quantity is None:
        return _floats(table[name], where)
    hint = " (sexagesimal values must be converted to degrees)" if quantity is _ANGLE else ""
    values = _floats(table[name], where + hint)
    unit = table[name].unit if isinstance(table[name], Column | MaskedColumn) else None
    if unit is not None:
        try:
            values = np.asarray((values * u.Unit(unit)).to_value(quantity.unit))
        except (u.UnitConversionError, TypeError, ValueError) as error:
            raise InputError(f"{where} has the unit {unit}, which is no {quantity.kind}; {quantity.remedy}") from error
    if quantity.limits is not None:
        low, high = quantity.limits
        wrong = np.flatnonzero((values <= low) | (values >= high))
        if len(wrong):
            raise InputError(
                f"{where}: {values[wrong[0]]:g} in row {wrong[0] + 1} does not lie between {low:g} and {high:g}; "
                f"leave unknown values empty; {quantity.remedy}"
            )
    return values


def _to_pixels(wcs: WCS, ra: Array, dec: Array) -> tuple[Array, Array]:
    x, y = np.full(len(ra), np.nan), np.full(len(ra), np.nan)
    good = np.isfinite(ra) & (np.abs(dec) <= 90.0)
    place = SkyCoord(ra[good], dec[good], unit="deg").transform_to(wcs_to_celestial_frame(wcs))
    angles = place.spherical.lon.deg, place.spherical.lat.deg
    # Points on the far side of the sky do not converge; they come back as NaN or far outside.
    x[good], y[good] = wcs.all_world2pix(*angles, 0, quiet=True, ra_dec_order=True)
    return x, y
