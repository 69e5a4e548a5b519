"""Medium-resolution spectra of LAMOST: the FITS files of DR6 and DR7 (one row a pixel) and of DR9 and later (vectors).

A file holds one target on one plate and night: ``COADD_B`` and ``COADD_R`` where they could be made, and single
exposures ``B-<LMJM>`` and ``R-<LMJM>``, named by their local modified Julian minute. Their number varies, so HDUs are
found by name only. Columns are FLUX, IVAR, LOGLAM (DR9: WAVELENGTH), and ANDMASK and ORMASK (coadds) or PIXMASK.

What is decided here:

* A pixel is masked where ANDMASK or PIXMASK is not 0, IVAR is not > 0, or a value is not finite. ORMASK, which is set
  where *any* exposure had a problem, is not used: the coadd has left out that exposure there.
* A coadd arm with S/N < 2 is masked throughout, and FAILED_COADD is set. Without any coadd in the file, the coadd is an
  observation without arms with the same flag, so that a batch keeps one row for each file.
* An observation without a usable pixel is returned with its flags. A file whose structure is wrong is an error.
* Wavelengths are taken as they are. ``VACUUM = F`` sets AIR_WAVELENGTHS and ``HELIO = F`` sets NOT_HELIOCENTRIC;
  files without these keywords count as vacuum and heliocentric, as the survey states for all of them.
* Red single exposures are written with falling wavelengths; they are turned round.
"""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astropipe.runtime.errors import InputError, UsageError
from astropipe.spectra.flags import FAILED_COADD_LIMIT, SpectrumFlag
from astropipe.spectra.observations import ARM_NAMES, COADD, Arm, ArmName, Observation, make_arm, pixel_flags

Exposures = Literal["coadd", "single", "all"]

_HDU_NAME = re.compile(r"COADD_(?P<coadd>[BR])|(?P<single>[BR])-(?P<lmjm>\d+)")
_ARMS: Mapping[str, ArmName] = {"B": "blue", "R": "red"}
# Wide enough for every medium-resolution file, too narrow for the low-resolution arms (3700-5900 and 5700-9100 Å).
_WINDOW_A: Mapping[ArmName, tuple[float, float]] = {"blue": (4_700.0, 5_600.0), "red": (6_100.0, 7_100.0)}
_KEYWORDS = {
    "obsid": "OBSID",
    "designation": "DESIG",
    "objname": "OBJNAME",
    "ra": "RA",
    "dec": "DEC",
    "lmjd": "LMJD",
    "mjd": "MJD",
    "planid": "PLANID",
    "spid": "SPID",
    "fiberid": "FIBERID",
    "fibermask": "FIBERMAS",
    "data_release": "DATA_V",
    "date_obs": "DATE-OBS",
    "helio_rv_km_s": "HELIO_RV",
}
_GZIP_MAGIC = b"\x1f\x8b"
# What astropy raises for damaged files, by where the damage is.


def read_lamost(path: str | Path, exposures: Exposures = "coadd") -> list[Observation]:
    """Read one medium-resolution FITS file of LAMOST, plain or gzipped.

    Parameters
    ----------
    path : path
        The file.
    exposures : str
        ``coadd`` for the coadds, ``single`` for the single exposures in the order of time, ``all`` for both.

    Returns
    -------
    list of Observation
        The coadd first. Its id is the OBSID (the name of the file, where there is none) with the exposure:
        ``589002051-coadd``.

    Raises
    ------
    UsageError
        If ``exposures`` is none of the three.
    InputError
        If the file is missing, damaged, no FITS file, a low-resolution spectrum or without spectra, or if an HDU lacks
        columns, is named twice, or has wavelengths that are unsorted or double; the message names the file and the HDU.
    """
    path = Path(path)
    if exposures not in get_args(Exposures):
        raise UsageError(f"exposures={exposures!r} is not known; choose from {', '.join(get_args(Exposures))}")
    hdus = load_fits(path)
    found = _spectra_of(hdus, path)
    wanted = [key for key in found if exposures == "all" or (key == COADD) == (exposures == COADD)]
    if exposures == "coadd" and not wanted:
        wanted = [COADD]
    if not wanted:
        raise InputError(f"{path}: there are no single exposures; ask for exposures='coadd'")
    return [_observation(path, hdus[0].header, key, found.get(key, {})) for key in wanted]


def is_lamost(hdus: fits.HDUList) -> bool:
    """Whether an open FITS file comes from LAMOST, of medium or low resolution."""
    telescope = str(_card(hdus[0].header, "TELESCOP")).strip().upper()
    return telescope == "LAMOST" or any(_HDU_NAME.fullmatch(_name(hdu)) for hdu in hdus)


def load_fits(path: Path) -> fits.HDUList:
    """Read a FITS file, plain or gzipped, into memory and see that it is whole.

    Raises
    ------
    InputError
        If it is missing, no FITS file, or cut off or damaged.
    """
    try:
        content = path.read_bytes()
        if content[:2] == _GZIP_MAGIC:
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the compressed file is cut off or damaged ({error}); download it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    if not content.startswith(b"SIMPLE  ="):
        raise InputError(f"{path}: not a FITS file; it does not begin with 'SIMPLE  ='")
    with warnings.catch_warnings():
        # Odd header cards are common and harmless; a cut-off file is only a warning to astropy.
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        warnings.filterwarnings("error", message=".*truncated.*")
        try:
            hdus = fits.open(io.BytesIO(content), memmap=False, lazy_load_hdus=False)
            expected = hdus[0].header.get("N_EXTEN")
            for hdu in hdus:
                hdu.data  # noqa: B018 - read now, so that damage shows here
        except Exception as error:  # astropy raises many kinds, by what is broken
            raise InputError(f"{path}: the FITS file is cut off or damaged ({error}); download it again") from error
    # A file that is cut between two HDUs is valid FITS; LAMOST says how many there should be.
    if isinstance(expected, int) and len(hdus) < expected:
        raise InputError(
            f"{path}: the file is cut off: it has {len(hdus)} HDUs and N_EXTEN says {expected}; download it again"
        )
    return hdus


def _card(header: fits.Header, keyword: str) -> Any:
    """Return the value of a header card; None where it is absent or unreadable."""
    try:
        return header.get(keyword)
    except fits.VerifyError:
        return None


def _name(hdu: Any) -> str:
    return str(_card(hdu.header, "EXTNAME") or "").strip().upper()


def _spectra_of(hdus: fits.HDUList, path: Path) -> dict[str, dict[ArmName, Any]]:
    """Return the HDUs by exposure and arm: the coadd first, then by minute."""
    names = [_name(hdu) for hdu in hdus]
    found: dict[str, dict[ArmName, Any]] = {}
    for name, hdu in zip(names, hdus, strict=True):
        match = _HDU_NAME.fullmatch(name)
        if match is not None:
            found.setdefault(match["lmjm"] or COADD, {})[_ARMS[match["coadd"] or match["single"]]] = hdu
    double = [name for name, count in Counter(names).items() if count > 1 and _HDU_NAME.fullmatch(name)]
    if double:
        raise InputError(f"{path}: HDU {double[0]} occurs twice; remove one of the two")
    if not found:
        raise InputError(f"{path}: {_why_none(hdus, names, path)}")
    return dict(sorted(found.items(), key=lambda item: -1 if item[0] == COADD else int(item[0])))


def _why_none(hdus: fits.HDUList, names: list[str], path: Path) -> str:
    # Low resolution: until DR8 an image of five rows in the primary HDU, then one table called COADD.
    if _card(hdus[0].header, "NAXIS") == 2 or "COADD" in names or path.name.startswith("spec-"):
        return (
            "a low-resolution spectrum of LAMOST; this stage reads medium resolution (med-*.fits, HDUs COADD_B and "
            "COADD_R)"
        )
    listed = ", ".join(name or "(no name)" for name in names)
    return f"no HDU is called COADD_B, COADD_R, B-<LMJM> or R-<LMJM>; it has {listed}"


def _observation(path: Path, header: fits.Header, exposure: str, hdus: Mapping[ArmName, Any]) -> Observation:
    flags = SpectrumFlag(0)
    arms = {name: _arm(path, name, hdus[name]) for name in ARM_NAMES if name in hdus}
    if exposure == COADD:
        failed = [name for name, arm in arms.items() if not arm.snr >= FAILED_COADD_LIMIT]
        arms = {name: _masked(arm) if name in failed else arm for name, arm in arms.items()}
        if failed or not arms:
            flags |= SpectrumFlag.FAILED_COADD
    if not _stated(header, "VACUUM"):
        flags |= SpectrumFlag.AIR_WAVELENGTHS
    if not _stated(header, "HELIO"):
        flags |= SpectrumFlag.NOT_HELIOCENTRIC
    meta = _meta(header, exposure, hdus)
    stem = re.sub(r"\.(fits?|gz)", "", path.name, flags=re.IGNORECASE)
    return Observation(
        id=f"{meta.get('obsid', stem)}-{exposure}",
        file=str(path),
        exposure=exposure,
        arms=arms,
        meta=meta,
        flags=int(flags | pixel_flags(arms)),
    )


def _masked(arm: Arm) -> Arm:
    nothing, everything = np.zeros(len(arm.ivar)), np.ones(len(arm.mask), dtype=bool)
    return Arm(arm.name, arm.wavelength_a, arm.flux, nothing, everything, arm.snr, arm.hdu)


def _stated(header: fits.Header, keyword: str) -> bool:
    """Whether a keyword is true or absent."""
    return str(_card(header, keyword)).strip().upper() not in ("FALSE", "F", "0", "NO")


def _meta(header: fits.Header, exposure: str, hdus: Mapping[ArmName, Any]) -> dict[str, str | int | float]:
    meta: dict[str, str | int | float] = {}
    for name, keyword in _KEYWORDS.items():
        _put(meta, name, _card(header, keyword))
    if exposure != COADD:
        meta["lmjm"] = int(exposure)
    for arm, hdu in hdus.items():
        # From the first arm that says it: both were exposed together.
        if exposure == COADD:
            minutes = "-".join(str(_card(hdu.header, key)).strip() for key in hdu.header if key.startswith("LMJMLIS"))
            _put(meta, f"lmjm_list_{arm}", minutes)
        elif "exptime_s" not in meta:
            _put(meta, "exptime_s", _card(hdu.header, "EXPTIME"))
            _put(meta, "date_obs", _card(hdu.header, "DATE-OBS"))
    return meta


def _put(meta: dict[str, str | int | float], name: str, value: object) -> None:
    """Keep what a header says, without the blanks that FITS pads with; an empty card says nothing."""
    if isinstance(value, str):
        value = value.strip()
    if isinstance(value, str | int | float) and value != "":
        meta[name] = value


def _arm(path: Path, name: ArmName, hdu: Any) -> Arm:
    where = f"{path}: HDU {_name(hdu)}"
    columns = {str(column).upper() for column in getattr(getattr(hdu, "columns", None), "names", [])}
    mask = next((column for column in ("ANDMASK", "PIXMASK") if column in columns), None)
    wavelength = next((column for column in ("WAVELENGTH", "LOGLAM") if column in columns), None)
    missing = [column for column in ("FLUX", "IVAR") if column not in columns]
    missing += ["LOGLAM or WAVELENGTH"] * (wavelength is None) + ["ANDMASK or PIXMASK"] * (mask is None)
    if missing or wavelength is None or mask is None:
        has = ", ".join(sorted(columns)) or "no table"
        raise InputError(f"{where} lacks {', '.join(missing)}; it has {has}: use the file as the survey publishes it")
    values = _values(hdu, wavelength, where)
    if wavelength == "LOGLAM":
        if np.max(values, initial=0.0) > 10.0:
            raise InputError(f"{where}: LOGLAM reaches {np.max(values):g}; it must hold log10 of Angstrom")
        values = 10.0**values
    snr = _card(hdu.header, "SNR")
    try:
        arm = make_arm(
            name,
            values,
            _values(hdu, "FLUX", where),
            _values(hdu, "IVAR", where),
            _values(hdu, mask, where),
            snr=float(snr) if isinstance(snr, int | float) else None,
            hdu=_name(hdu),
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    low, high = _WINDOW_A[name]
    if arm.wavelength_a[0] < low or arm.wavelength_a[-1] > high:
        raise InputError(
            f"{where} covers {arm.wavelength_a[0]:.0f}-{arm.wavelength_a[-1]:.0f} Angstrom, beyond the {name} arm of "
            "medium resolution; is it a low-resolution spectrum?"
        )
    return arm


def _values(hdu: Any, column: str, where: str) -> NDArray[np.float64]:
    """Return a column as one vector, from one row a pixel or from one row of vectors."""
    values = np.asarray(hdu.data[column], dtype=np.float64)
    if values.ndim > 1 and values.shape[0] != 1:
        raise InputError(f"{where}: column {column} has {values.shape[0]} rows of vectors; one spectrum is expected")
    return values.ravel()
