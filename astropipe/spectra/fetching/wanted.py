"""Which spectra are wanted: a table with a column of observation numbers, and perhaps of checksums and file names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from astropipe.config.spectra import FetchConfig
from astropipe.runtime.errors import InputError
from astropipe.spectra.label_tables import listed, read_table

_FILE_NAME = re.compile(r"\w[\w.+-]*\.(?:fits|fit)(?:\.gz)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """One spectrum.

    Attributes
    ----------
    obsid : str
        Its observation number, digits only.
    sha256, file : str or None
        Checksum, in lower case, and name of the file, where the table gives them.
    """

    obsid: str
    sha256: str | None = None
    file: str | None = None


def read_wanted(path: Path, config: FetchConfig) -> list[Wanted]:
    """Read the table; rows with the same observation number, as catalogs of exposures have them, are one spectrum.

    Parameters
    ----------
    path : Path
        CSV, ECSV, FITS or VOTable.
    config : FetchConfig
        Names of the columns. Checksums and file names are optional, unless a column was named for them.

    Returns
    -------
    list of Wanted
        In the order of the table.

    Raises
    ------
    InputError
        If the table cannot be read, has no rows or lacks a column, a number, checksum or name is none, rows contradict
        each other, or two spectra would get one file; the message names the file, the rows and the remedy.
    """
    table = read_table(path)
    if len(table) == 0:
        raise InputError(f"{path}: the table has no rows; it needs at least one observation number")
    obsids = [_obsid(value, f"{path}, row {row}") for row, value in enumerate(_cells(table, "obsid", config, path))]
    sums = [
        _checked(value, r"[0-9a-f]{64}", f"{path}, row {row}: {value!r} is no SHA-256 (64 hexadecimal digits)")
        for row, value in enumerate(_lower(_cells(table, "sha256", config, path)))
    ]
    no_name = "is no plain name that ends in .fits or .fits.gz; change it, or set spectra.fetch.file_column=null"
    files = [
        _checked(value, _FILE_NAME, f"{path}, row {row}: {value!r} {no_name}")
        for row, value in enumerate(_cells(table, "file", config, path))
    ]
    rows: dict[str, int] = {}
    wanted: dict[str, Wanted] = {}
    for row, new in enumerate(map(Wanted, obsids, sums, files)):
        known = wanted.setdefault(new.obsid, new)
        first = rows.setdefault(new.obsid, row)
        wanted[new.obsid] = _joined(known, new, f"{path}, rows {first} and {row}: obsid {new.obsid}")
    owner: dict[str, str] = {}
    for each in wanted.values():
        if each.file is not None and owner.setdefault(each.file, each.obsid) != each.obsid:
            raise InputError(
                f"{path}: obsids {owner[each.file]} and {each.obsid} have the same file {each.file}; give each its own"
            )
    return list(wanted.values())


def _cells(table: Table, what: str, config: FetchConfig, path: Path) -> list[str | None]:
    """Return a column as text, None where a row or the whole table has no value."""
    key = f"{what}_column"
    name: str | None = getattr(config, key)
    if name is None:
        return [None] * len(table)
    found = [column for column in table.colnames if column == name]
    found = found or [column for column in table.colnames if column.lower() == name.lower()]
    if not found and what != "obsid" and name == FetchConfig.model_fields[key].default:
        return [None] * len(table)
    if len(found) != 1:
        raise InputError(f"{path}: no column {name!r}; columns are {listed(table)}: set spectra.fetch.{key}")
    return [_text(value) for value in table[found[0]]]


def _text(value: Any) -> str | None:
    if np.ma.is_masked(value):
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    # Tables turn a column of numbers with gaps into floating point.
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip() or None


def _lower(values: Iterable[str | None]) -> list[str | None]:
    return [value and value.lower() for value in values]


def _obsid(value: str | None, where: str) -> str:
    if value is None or re.fullmatch(r"[0-9]+", value) is None:
        found = "is empty" if value is None else f"holds {value!r}"
        raise InputError(f"{where}: the column of obsids {found}; it needs a number of digits only")
    return value


def _checked(value: str | None, pattern: str | re.Pattern[str], message: str) -> str | None:
    if value is not None and re.fullmatch(pattern, value) is None:
        raise InputError(message)
    return value


def _joined(one: Wanted, other: Wanted, where: str) -> Wanted:
    for what in ("sha256", "file"):
        values = {getattr(one, what), getattr(other, what)} - {None}
        if len(values) > 1:
            raise InputError(f"{where} with two values of {what}; keep the right one")
    return Wanted(one.obsid, one.sha256 or other.sha256, one.file or other.file)
