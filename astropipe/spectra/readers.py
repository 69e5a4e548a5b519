"""Spectra from files of any kind: LAMOST, tables, arrays, and what specutils can read.

===========================  ==========================================================================================
file                         what it must hold
===========================  ==========================================================================================
LAMOST FITS (.gz)            see `astropipe.spectra.lamost`
FITS table, ECSV, CSV, text  columns wavelength (or loglam), flux, ivar or error, and optionally mask (not 0: do not
use)
``.npz``, HDF5               arrays of the same names: one spectrum [pixels], or many [spectra, pixels] with optional id
other FITS                   whatever specutils recognises, where it is installed
===========================  ==========================================================================================

Wavelengths without a unit are in Angstrom. Metadata of a table (attributes of HDF5) may give ``id``, ``medium``
(``air``
or ``vacuum``) and ``heliocentric`` (true or false). Pixels beyond the two arms are dropped. Nothing is smoothed: a
spectrum of another resolution has to be brought to that of LAMOST first.
"""

from __future__ import annotations

import glob
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.runtime.errors import InputError, MissingDependencyError, UsageError
from astropipe.runtime.files import UNREADABLE_NPZ
from astropipe.spectra.flags import SpectrumFlag
from astropipe.spectra.lamost import Exposures, is_lamost, load_fits, read_lamost
from astropipe.spectra.observations import ARM_NAMES, COADD, Arm, ArmName, Observation, make_arm, pixel_flags
from astropipe.spectra.pixels import OBSERVED
from astropipe.spectra.wavelengths import air_to_vacuum

Medium = Literal["vacuum", "air"]
Array = NDArray[np.float64]

_FITS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz")
_TABLES = (".ecsv", ".csv", ".txt", ".dat", ".asc", ".tsv")
_ARRAYS = (".npz", ".h5", ".hdf5")
_ALIASES = {
    "wavelength": ("wavelength", "wavelength_a", "wave", "lambda", "wl", "spectral_axis"),
    "loglam": ("loglam", "log_wavelength"),
    "flux": ("flux",),
    "ivar": ("ivar", "inverse_variance", "invvar"),
    "error": ("error", "err", "sigma", "flux_error", "flux_err", "uncertainty", "std"),
    "mask": ("mask", "andmask", "pixmask"),
    "id": ("id", "name"),
}
# Interpolation to the pixels needs one neighbour beyond each end, also of coarse spectra.
_MARGIN_A = 5.0


@dataclass(frozen=True)
class _Columns:
    """One or many spectra as a file has them, before the arms are cut out; the mask is true where unusable."""

    wavelength_a: Array
    flux: Array
    ivar: Array
    mask: NDArray[np.bool_]
    meta: Mapping[str, Any]
    ids: tuple[str, ...] = ()


def read_observations(
    path: str | Path, exposures: Exposures = "coadd", *, medium: Medium = "vacuum"
) -> list[Observation]:
    """Read all spectra of one file.

    Parameters
    ----------
    path : path
        The file; its kind is seen from its name and, for FITS, its content.
    exposures : str
        Of LAMOST files: ``coadd``, ``single`` or ``all``. Other files count as coadds.
    medium : str
        ``air`` converts the wavelengths from air to vacuum. With ``vacuum`` they are taken as they are, and a file
        that says itself that it is in air is flagged AIR_WAVELENGTHS.

    Returns
    -------
    list of Observation
        In the order of the file.

    Raises
    ------
    UsageError
        If an option is not known, or ``medium="air"`` is asked for a file that says that it is in vacuum.
    MissingDependencyError
        If only specutils could read the file and it is not installed.
    InputError
        If the file cannot be used; the message names it and the remedy.
    """
    path = Path(path)
    if medium not in get_args(Medium):
        raise UsageError(f"medium={medium!r} is not known; choose vacuum or air")
    if exposures not in get_args(Exposures):
        raise UsageError(f"exposures={exposures!r} is not known; choose from {', '.join(get_args(Exposures))}")
    name = path.name.lower()
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    if name.endswith(_FITS):
        hdus = load_fits(path)
        if is_lamost(hdus):
            return [_in_vacuum(each, medium) for each in read_lamost(path, exposures)]
        columns = _read_fits_table(path, hdus)
        columns = _read_specutils(path) if columns is None else columns
    elif name.endswith(_TABLES):
        columns = _columns_of(_read_table(path), path)
    elif name.endswith(_ARRAYS):
        columns = _read_npz(path) if name.endswith(".npz") else _read_hdf5(path)
    else:
        known = ", ".join((*_FITS, *_TABLES, *_ARRAYS))
        raise InputError(f"{path}: the kind of file is not known; its name must end in one of {known}")
    return [_in_vacuum(each, medium) for each in _observations(path, columns, medium)]


def find_files(inputs: Iterable[str | Path]) -> list[Path]:
    """List the files of spectra that paths, folders and patterns stand for.

    A folder stands for all FITS files in it and below it, by name; a pattern such as ``run/*.ecsv`` for its matches, by
    name. Files of other kinds than FITS are found by their name or a pattern only, as a folder often holds tables that
    are no spectra. A file named twice counts once.

    Raises
    ------
    InputError
        If a path does not exist, or a folder or pattern gives no file.
    """
    found: dict[Path, Path] = {}
    for each in inputs:
        path = Path(each)
        if path.is_dir():
            inside = (item.relative_to(path) for item in path.rglob("*") if item.is_file())
            files = [path / item for item in sorted(inside) if _visible(item) and item.name.lower().endswith(_FITS)]
            nothing = f"{path}: the folder holds no FITS file; name other files themselves or by a pattern"
        elif path.is_file():
            files, nothing = [path], ""
        elif glob.has_magic(str(each)):
            files = sorted(Path(item) for item in glob.glob(str(each), recursive=True) if Path(item).is_file())
            nothing = f"{each}: no file matches the pattern"
        else:
            raise InputError(f"{path}: no such file or folder; check the path")
        if not files:
            raise InputError(nothing)
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _visible(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts)


def _in_vacuum(observation: Observation, medium: Medium) -> Observation:
    """Convert an observation to vacuum if the caller says that it is in air."""
    if medium == "vacuum":
        return observation
    flags = SpectrumFlag(observation.flags)
    states_vacuum = observation.meta.get("medium", "vacuum" if "data_release" in observation.meta else "")
    if states_vacuum == "vacuum" and not flags & SpectrumFlag.AIR_WAVELENGTHS:
        raise UsageError(f"{observation.file} says that its wavelengths are in vacuum; leave out medium='air'")
    arms = {name: replace(arm, wavelength_a=air_to_vacuum(arm.wavelength_a)) for name, arm in observation.arms.items()}
    return replace(observation, arms=arms, flags=int(flags & ~SpectrumFlag.AIR_WAVELENGTHS))


def _observations(path: Path, columns: _Columns, medium: Medium) -> list[Observation]:
    """Cut the arms out of each spectrum of a file."""
    rows = columns.flux.reshape(-1, columns.flux.shape[-1])
    ids = columns.ids or (str(columns.meta.get("id", "")) or _stem(path),)
    if len(ids) != len(rows):
        ids = tuple(f"{_stem(path)}-{row}" for row in range(len(rows)))
    flags, meta = _statements(columns.meta, path)
    observations = []
    for row, (name, flux) in enumerate(zip(ids, rows, strict=True)):
        wavelength, ivar = (part if part.ndim == 1 else part[row] for part in (columns.wavelength_a, columns.ivar))
        mask = columns.mask if columns.mask.ndim == 1 else columns.mask[row]
        try:
            arms = _arms(wavelength, flux, ivar, mask, path.name)
        except InputError as error:
            where = f"{path}: spectrum {row} ({name})" if len(rows) > 1 else str(path)
            raise InputError(f"{where}: {error}") from error
        observations.append(Observation(name, str(path), COADD, arms, dict(meta), int(flags | pixel_flags(arms))))
    return observations


def _arms(wavelength: Array, flux: Array, ivar: Array, mask: NDArray[np.bool_], source: str) -> dict[ArmName, Arm]:
    # The whole spectrum is checked first, so that a fault is named by its pixel in the file.
    whole = make_arm("blue", wavelength, flux, ivar, mask)
    arms: dict[ArmName, Arm] = {}
    for name, pixels in zip(ARM_NAMES, OBSERVED, strict=True):
        ends = pixels.wavelength_a[[0, -1]] + np.array([-_MARGIN_A, _MARGIN_A])
        inside = (whole.wavelength_a >= ends[0]) & (whole.wavelength_a <= ends[1])
        if inside.any():
            parts = (part[inside] for part in (whole.wavelength_a, whole.flux, whole.ivar, whole.mask))
            arms[name] = make_arm(name, *parts, hdu=source)
    if not arms:
        blue, red = (pixels.wavelength_a[[0, -1]] for pixels in OBSERVED)
        raise InputError(
            f"wavelengths {whole.wavelength_a[0]:g}-{whole.wavelength_a[-1]:g} Angstrom meet neither arm "
            f"({blue[0]:.0f}-{blue[1]:.0f} and {red[0]:.0f}-{red[1]:.0f}); is the unit right?"
        )
    return arms


def _stem(path: Path) -> str:
    name = path.name
    for ending in sorted((*_FITS, *_TABLES, *_ARRAYS), key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem


def _statements(meta: Mapping[str, Any], path: Path) -> tuple[SpectrumFlag, dict[str, str | int | float]]:
    """Read what the metadata of a file say about its wavelengths, and keep what is text or a number."""
    flags = SpectrumFlag(0)
    kept = {
        str(key).lower(): value.item() if isinstance(value, np.generic) else value
        for key, value in meta.items()
        if isinstance(value, str | int | float | np.generic)
    }
    medium = kept.get("medium", "vacuum")
    if medium not in get_args(Medium):
        raise InputError(f"{path}: the metadata give medium = {medium!r}; write vacuum or air")
    if medium == "air":
        flags |= SpectrumFlag.AIR_WAVELENGTHS
    if str(kept.get("heliocentric", True)).lower() in ("false", "0", "no"):
        flags |= SpectrumFlag.NOT_HELIOCENTRIC
    return flags, kept


# Tables


def _read_table(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            ecsv = file.read(7) == b"# %ECSV"
        if ecsv or path.suffix.lower() == ".ecsv":
            return Table.read(path, format="ascii.ecsv")
        if path.suffix.lower() == ".csv":
            return Table.read(path, format="ascii.csv")
        return Table.read(path, format="ascii")
    except Exception as error:  # astropy's readers raise many kinds, by what the guess met last
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: not a readable table ({reason}); write a line of column names, then one line a pixel"
        ) from error


def _read_fits_table(path: Path, hdus: fits.HDUList) -> _Columns | None:
    """Read the first table of a FITS file that has wavelengths and fluxes; None if there is none."""
    for hdu in hdus:
        if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
            table = Table.read(hdu)
            if _find(table.colnames, "flux") and (
                _find(table.colnames, "wavelength") or _find(table.colnames, "loglam")
            ):
                return _columns_of(table, path)
    return None


def _find(names: Iterable[str], what: str) -> str | None:
    """Find the column or array for a quantity: by the first of its aliases that is there."""
    by_lower = {name.lower(): name for name in names}
    return next((by_lower[alias] for alias in _ALIASES[what] if alias in by_lower), None)


def _columns_of(table: Table, path: Path) -> _Columns:
    arrays = {name: table[name] for name in table.colnames}
    units = {name: table[name].unit for name in table.colnames}
    columns = _interpret(arrays, units, dict(table.meta), path)
    if len(table) == 1 and columns.flux.ndim == 2:
        # One row of vectors: one spectrum.
        return replace(columns, ids=())
    return columns


def _interpret(arrays: Mapping[str, Any], units: Mapping[str, Any], meta: Mapping[str, Any], path: Path) -> _Columns:
    """Bring the named arrays of any file to wavelengths in Angstrom, inverse variances and masks."""
    names = {what: _find(arrays, what) for what in _ALIASES}
    lacking = [what for what in ("flux",) if names[what] is None]
    lacking += ["wavelength or loglam"] * (names["wavelength"] is None and names["loglam"] is None)
    lacking += ["ivar or error"] * (names["ivar"] is None and names["error"] is None)
    if lacking:
        raise InputError(f"{path}: {', '.join(lacking)} not found among {', '.join(arrays)}; name the columns so")

    def values(what: str) -> Array:
        return _numbers(arrays[str(names[what])], f"{path}: {names[what]}")

    def unit(what: str) -> u.UnitBase:
        return _unit(units.get(str(names[what])), f"{path}: {names[what]}")

    flux, flux_unit = values("flux"), unit("flux")
    wavelength = _wavelength(names, values, unit, path)
    if names["ivar"] is not None:
        ivar = values("ivar") * _scale(unit("ivar"), flux_unit**-2, f"{path}: {names['ivar']}")
    else:
        error = values("error") * _scale(unit("error"), flux_unit, f"{path}: {names['error']}")
        ivar = np.divide(1.0, error**2, out=np.zeros_like(error), where=error > 0.0)
    mask = np.zeros(flux.shape, dtype=bool) if names["mask"] is None else _numbers_mask(arrays[names["mask"]])
    for part, what in ((wavelength, "wavelength"), (ivar, "ivar or error"), (mask, "mask")):
        if part.shape not in (flux.shape, flux.shape[-1:]) or flux.ndim not in (1, 2):
            raise InputError(
                f"{path}: flux has shape {flux.shape} and {what} {part.shape}; give [pixels] or [spectra, pixels]"
            )
    ids: tuple[str, ...] = ()
    if names["id"] is not None and flux.ndim == 2:
        ids = tuple(
            each.decode() if isinstance(each, bytes) else str(each) for each in np.atleast_1d(arrays[names["id"]])
        )
        if len(ids) != len(flux) or len(set(ids)) != len(ids):
            raise InputError(
                f"{path}: {len(ids)} ids, {len(set(ids))} different, for {len(flux)} spectra; give each one"
            )
    return _Columns(wavelength, flux, ivar, mask, meta, ids)


def _wavelength(names: Mapping[str, str | None], values: Any, unit: Any, path: Path) -> Array:
    if names["wavelength"] is None:
        log10: Array = values("loglam")
        if np.max(log10, initial=0.0) > 10.0:
            raise InputError(f"{path}: {names['loglam']} reaches {np.max(log10):g}; it must be log10 of Angstrom")
        return np.asarray(10.0**log10, dtype=np.float64)
    given = unit("wavelength")
    if given == u.dimensionless_unscaled:
        given = u.AA
    return np.asarray(values("wavelength") * _scale(given, u.AA, f"{path}: {names['wavelength']}"), dtype=np.float64)


def _unit(given: Any, where: str) -> u.UnitBase:
    if given is None or str(given) == "":
        return u.dimensionless_unscaled
    unit = u.Unit(given, parse_strict="silent")
    if isinstance(unit, u.UnrecognizedUnit):
        raise InputError(f"{where} has the unit {given}, which is not known; write it as astropy does")
    return unit


def _scale(given: u.UnitBase, wanted: u.UnitBase, where: str) -> float:
    """Factor between two units; 1 where the given one is not stated."""
    if given == u.dimensionless_unscaled:
        return 1.0
    try:
        return float(given.to(wanted))
    except u.UnitConversionError as error:
        raise InputError(f"{where} has the unit {given}, which does not convert to {wanted or 'none'}") from error


def _numbers(values: Any, where: str) -> Array:
    """Return numbers, NaN where a table has none."""
    try:
        return np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} does not hold numbers ({error})") from error


def _numbers_mask(values: Any) -> NDArray[np.bool_]:
    """Return True where a mask is not 0; text as tables write it counts too, and a missing entry masks."""
    filled = np.ma.filled(np.ma.asarray(values), 1) if np.ma.isMaskedArray(values) else np.asarray(values)
    if filled.dtype.kind in "US":
        return ~np.isin(np.char.lower(np.char.strip(filled.astype(str))), ("0", "false", "f", "no", ""))
    return np.asarray(filled != 0)


# Arrays


def _read_npz(path: Path) -> _Columns:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except UNREADABLE_NPZ as error:
        raise InputError(
            f"{path}: not a readable npz file ({error}); write it with numpy.savez, without objects"
        ) from error
    meta = {name: array.item() for name, array in arrays.items() if array.ndim == 0}
    return _interpret({name: array for name, array in arrays.items() if array.ndim}, {}, meta, path)


def _read_hdf5(path: Path) -> _Columns:
    try:
        with h5py.File(path, "r") as file:
            if "schema" in file.attrs:
                raise InputError(
                    f"{path}: this is an artifact ({file.attrs['schema']}), not a file of observed spectra"
                )
            sets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
            arrays = {name: item.asstr()[...] if item.dtype.kind == "O" else item[...] for name, item in sets.items()}
            units = {name: item.attrs.get("units", item.attrs.get("unit")) for name, item in sets.items()}
            meta = dict(file.attrs)
    except OSError as error:
        raise InputError(f"{path}: not a readable HDF5 file ({error}); is it complete?") from error
    return _interpret(arrays, units, meta, path)


# specutils


def _read_specutils(path: Path) -> _Columns:
    try:
        specutils = importlib.import_module("specutils")
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: neither a LAMOST file nor a table with wavelength and flux; to try the formats of specutils, "
            "install it with pip install specutils"
        ) from error
    # specutils 2 calls Spectrum what was Spectrum1D.
    reader = getattr(specutils, "Spectrum", None) or specutils.Spectrum1D
    try:
        spectrum = reader.read(path)
    except Exception as error:  # each of its loaders raises what it likes
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: specutils does not recognise it ({reason}); convert it to a table with wavelength, flux and ivar"
        ) from error
    if spectrum.uncertainty is None:
        raise InputError(f"{path}: no errors found in the file; convert it to a table with wavelength, flux and ivar")
    inverse = importlib.import_module("astropy.nddata").InverseVariance
    flux = np.asarray(spectrum.flux.value, dtype=np.float64)
    ivar = np.asarray(spectrum.uncertainty.represent_as(inverse).array, dtype=np.float64)
    mask = np.zeros(flux.shape, dtype=bool) if spectrum.mask is None else np.asarray(spectrum.mask) != 0
    wavelength = np.asarray(spectrum.spectral_axis.to_value(u.AA, u.spectral()), dtype=np.float64)
    return _Columns(wavelength, flux, ivar, mask, {})
