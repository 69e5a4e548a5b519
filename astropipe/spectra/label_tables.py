"""Tables of stellar labels from other catalogs, under our names and units.

Columns are recognised in the spellings of APOGEE-Payne (Teff, Logg, FeH, CH ... CuH), of RRNet and SPCANet (Teff[K],
vmic[km/s]) and others ([Fe/H], fe_h, T_EFF), standard errors by ``_err``, ``_error``, ``e_`` or ``sigma_``. Abundances
must
be relative to hydrogen, [X/H]; columns of [X/Fe] are not taken for them.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Column, QTable, Table
from numpy.typing import NDArray

from astropipe.runtime.errors import InputError
from astropipe.spectra.labels import LABELS, V_MICRO, Label

_OTHER_SPELLINGS = {
    "t_eff": ("effectivetemperature",),
    "v_micro": ("vmic", "vmicro", "vturb", "microturbulence"),
}
_ERROR = re.compile(r"^(?:e|err|sigma)_(?P<after>.+)$|^(?P<before>.+?)_?(?:err|error|unc|sigma)$", re.IGNORECASE)
_REQUIRED = ("t_eff", "log_g", "fe_h")
# Catalogs write -9999 and the like where they have no value; no label lies there.
_SENTINEL = -900.0
_FORMATS = {
    ".ecsv": "ascii.ecsv",
    ".csv": "ascii.csv",
    ".vot": "votable",
    ".xml": "votable",
    ".votable": "votable",
    ".fits": "fits",
    ".fit": "fits",
}


def read_label_table(path: str | Path, id_column: str) -> QTable:
    """Read a table of stellar labels.

    Parameters
    ----------
    path : path
        FITS, CSV, ECSV or VOTable, also gzipped FITS.
    id_column : str
        Name of the column that identifies the stars; case counts only where names differ by nothing else.

    Returns
    -------
    QTable
        Columns ``id`` (text), then those of ``t_eff`` [K], ``log_g``, ``fe_h``, ..., ``cu_h``, ``v_micro`` [km/s] that
        the
        table has, each followed by ``<name>_err`` where given, as float64. Values that are missing, not finite or a
        sentinel (-9999) are NaN. The metadata say ``n_incomplete``, the number of rows with such a label,
        ``n_missing``,
        their number by label, ``absent``, the labels that the table lacks, and ``source``, the file.

    Raises
    ------
    InputError
        If the file cannot be read, the id column is missing, empty or not unique, two columns are the same label,
        Teff, log g or [Fe/H] is missing, a column holds no numbers or has a wrong unit, or no row is complete. The
        message names the file, the columns seen and the remedy.
    """
    path = Path(path)
    table = read_table(path)
    if len(table) == 0:
        raise InputError(f"{path}: the table has no rows; it needs at least one star")
    id_name = _id_name(table, id_column, path)
    spelled = _recognise([name for name in table.colnames if name != id_name], path)
    lacking = [name for name in _REQUIRED if name not in spelled]
    if lacking:
        raise InputError(
            f"{path}: no column for {', '.join(lacking)}; columns are {listed(table)}: rename them to Teff, Logg, FeH"
        )
    result = QTable({"id": _ids(table, id_name, path)}, meta={"source": str(path)})
    missing: dict[str, int] = {}
    incomplete = np.zeros(len(table), dtype=bool)
    for label in (*LABELS, V_MICRO):
        for name in (label.name, f"{label.name}_err"):
            if name not in spelled:
                continue
            values = _values(table[spelled[name]], label, path)
            result[name] = values * u.Unit(label.unit) if label.unit else values
            if name == label.name:
                missing[name] = int(np.count_nonzero(np.isnan(values)))
                incomplete |= np.isnan(values)
    if incomplete.all():
        counts = ", ".join(f"{name} {count}" for name, count in missing.items() if count)
        raise InputError(f"{path}: no row has all labels (missing: {counts}); drop the columns that are never filled")
    result.meta["n_incomplete"] = int(incomplete.sum())
    result.meta["n_missing"] = {name: count for name, count in missing.items() if count}
    result.meta["absent"] = [label.name for label in (*LABELS, V_MICRO) if label.name not in spelled]
    return result


def read_table(path: Path) -> Table:
    """Read a table of any of the kinds that catalogs come in, told by the ending of its name.

    Raises
    ------
    InputError
        If the file is missing, of another kind or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a FITS, CSV, ECSV or VOTable file")
    endings = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    ending = endings[-1] if endings else ""
    if ending not in _FORMATS:
        raise InputError(f"{path}: the kind of table is not known; its name must end in one of {', '.join(_FORMATS)}")
    try:
        # HDU 1 by name of argument: astropy warns where a file has more tables.
        return Table.read(path, format=_FORMATS[ending], **({"hdu": 1} if _FORMATS[ending] == "fits" else {}))
    except Exception as error:  # astropy's readers raise many kinds for damaged files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: not a readable {_FORMATS[ending]} table ({reason}); is it complete?") from error


def listed(table: Table, most: int = 40) -> str:
    """Return the names of the columns for a message."""
    names = table.colnames
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _id_name(table: Table, wanted: str, path: Path) -> str:
    if wanted in table.colnames:
        return wanted
    near = [str(name) for name in table.colnames if name.lower() == wanted.lower()]
    if len(near) == 1:
        return near[0]
    raise InputError(
        f"{path}: no id column {wanted!r}; columns are {listed(table)}: name the one that identifies stars"
    )


def _ids(table: Table, name: str, path: Path) -> NDArray[np.str_]:
    column = table[name]
    unknown = np.ma.getmaskarray(np.ma.asarray(column))
    ids = np.array([each.decode() if isinstance(each, bytes) else str(each) for each in column])
    ids = np.char.strip(ids)
    empty = np.flatnonzero(unknown | (ids == "") | (ids == "nan"))
    if empty.size:
        raise InputError(
            f"{path}: column {name} is empty in row {empty[0]} ({empty.size} in all); every star needs an id"
        )
    double = [each for each, count in Counter(ids.tolist()).items() if count > 1]
    if double:
        rows = ", ".join(str(row) for row in np.flatnonzero(ids == double[0])[:5])
        raise InputError(
            f"{path}: {len(double)} ids of column {name} occur more than once, such as {double[0]!r} in rows {rows}; "
            "keep one row a star"
        )
    return ids


def _plain(name: str) -> str:
    """Spell a column without units, brackets, signs and case: ``Teff[K]`` is teff, ``[Fe/H]`` is feh."""
    without_unit = re.sub(r"(?<=\w)[\[(][^\])]*[\])]", "", name)
    return re.sub(r"[^a-z0-9]", "", without_unit.lower())


_SPELLINGS = {
    spelling: label.name
    for label in (*LABELS, V_MICRO)
    for spelling in (_plain(label.name), *_OTHER_SPELLINGS.get(label.name, ()))
}


def _recognise(columns: list[str], path: Path) -> dict[str, str]:
    """Find the columns of our labels and their errors: our name to the name in the table."""
    found: dict[str, str] = {}
    for column in columns:
        name = _SPELLINGS.get(_plain(column))
        if name is None and (match := _ERROR.match(column)):
            label = _SPELLINGS.get(_plain(match["after"] or match["before"]))
            name = f"{label}_err" if label else None
        if name is None:
            continue
        if name in found:
            raise InputError(f"{path}: columns {found[name]!r} and {column!r} both give {name}; remove one of them")
        found[name] = column
    return found


def _values(column: Column, label: Label, path: Path) -> NDArray[np.float64]:
    """Return a column in the unit of its label, NaN where it has no value."""
    try:
        values = np.array(np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: column {column.name} does not hold numbers ({error})") from error
    if values.ndim != 1:
        raise InputError(f"{path}: column {column.name} has shape {values.shape}; one number a star is expected")
    values[~np.isfinite(values) | (values < _SENTINEL)] = np.nan
    # Logarithms come with all kinds of units (dex, log(cm.s**-2), none), which mean the same.
    if label.unit and column.unit is not None:
        try:
            values *= u.Unit(column.unit, parse_strict="silent").to(u.Unit(label.unit))
        except u.UnitConversionError as error:
            raise InputError(
                f"{path}: column {column.name} has the unit {column.unit}; {label.unit} is needed"
            ) from error
    return values
