"""Spectra in batches from artifacts and files, in their order, each with its name, file and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.artifacts.reader import reading
from astropipe.runtime.batches import whole_batches
from astropipe.runtime.errors import ArtifactError, AstropipeError, InputError
from astropipe.spectra.flags import LOW_SNR_LIMIT, SpectrumFlag
from astropipe.spectra.lamost import Exposures
from astropipe.spectra.observations import Observation
from astropipe.spectra.pixels import N_PIXELS, OBSERVED, arm_slices, to_pixels, wavelengths_a
from astropipe.spectra.prediction import BATCH
from astropipe.spectra.readers import Medium, find_files, read_observations

BLOCK = 8 * BATCH
"""Spectra of an artifact that are read together."""
SKY_UNITS = {"ra": u.deg, "dec": u.deg, "magnitude": u.mag}
"""Columns on the place and the brightness of a star, which a catalog takes over from spectra that have them."""
# The pixels of an artifact are ours if they agree to a hundredth of a pixel.
_SAME_PIXELS = 2.3e-7


@dataclass(frozen=True)
class Batch:
    """Spectra that were read together, n of them.

    Attributes
    ----------
    ids, files, hdus : list of str
        Name of each spectrum, its file and where in it.
    flux, ivar : ndarray of float32, shape (n, N_PIXELS)
        Flux of artifacts as it is, of files in units of its median; inverse variance is 0 where masked.
    snr : ndarray, shape (n, 2)
        Median signal-to-noise ratio per pixel of the blue and the red arm.
    flags : ndarray of int64, shape (n,)
        What is known to be wrong.
    sky : ndarray, shape (n, 3)
        Right ascension and declination in deg, and magnitude; NaN where an input has none.
    faults : list of str
        Messages of files that could not be read.
    done : tuple of int
        Number of inputs, and of rows of the next one, that are behind after this batch.
    wanted : slice
        The spectra that were asked for; others are there because they are computed together with these.
    """

    ids: list[str]
    files: list[str]
    hdus: list[str]
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    snr: NDArray[np.float64]
    flags: NDArray[np.int64]
    sky: NDArray[np.float64]
    faults: list[str]
    done: tuple[int, int]
    wanted: slice


def list_inputs(inputs: Sequence[Path]) -> list[Path]:
    """Return the files that inputs stand for: artifacts and files as they are, the FITS files of folders by name.

    Raises
    ------
    InputError
        If a path does not exist or a folder holds no FITS file.
    """
    return find_files(inputs)


def is_artifact(path: Path) -> bool:
    """Whether a file is an artifact of this package, of whatever kind."""
    if not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r", locking=False) as file:
            return "schema" in file.attrs
    except OSError:
        return False


def count_rows(path: Path) -> int:
    """Return the number of spectra of an artifact; 1 for a file, which may turn out to hold several."""
    if not is_artifact(path):
        return 1
    with open_artifact(path, "spectra") as artifact:
        return int(artifact.file["flux"].shape[0])


def batches(
    paths: Sequence[Path],
    *,
    exposures: Exposures,
    medium: Medium,
    rows: slice | None = None,
    files: slice | None = None,
    start: tuple[int, int] = (0, 0),
) -> Iterator[Batch]:
    """Read spectra in batches of bounded size, which do not depend on the part that is wanted.

    Parameters
    ----------
    paths : sequence of Path
        As `list_inputs` gave them.
    exposures, medium : str
        See `read_observations`.
    rows : slice, optional
        Of the one artifact that is given, the rows wanted.
    files : slice, optional
        Of the paths, those wanted.
    start : tuple of int
        Where to go on, as `Batch.done` said.

    Yields
    ------
    Batch
        In the order of inputs and rows. A file that cannot be read is one row with the flag UNREADABLE; a fault of an
        artifact is raised, as it concerns all that follows.

    Raises
    ------
    ArtifactError
        If an artifact is damaged, of another kind, or on other pixels.
    """
    begin, end, _ = (files or slice(None)).indices(len(paths))
    index, row = max(start[0], begin), start[1]
    while index < end:
        if is_artifact(paths[index]):
            for batch in _artifact_batches(paths[index], rows or slice(None), row):
                yield replace(batch, done=(index, batch.done[1]))
            index, row = index + 1, 0
            continue
        together = _files_together(paths, index)
        stop = min(together.stop, end)
        wanted = slice(index - together.start, stop - together.start)
        yield _files_batch(paths[together], wanted, exposures, medium, done=(stop, 0))
        index = stop


def files_read(paths: Sequence[Path], files: slice) -> slice:
    """Return the paths that are read where some of them are wanted."""
    return slice(_files_together(paths, files.start).start, _files_together(paths, files.stop - 1).stop)


def _files_together(paths: Sequence[Path], index: int) -> slice:
    """Return what is read together with a path: its neighbours in as many paths as `BATCH`, artifacts each alone."""
    first, stop = index, index + 1
    if not is_artifact(paths[index]):
        low = index // BATCH * BATCH
        while first > low and not is_artifact(paths[first - 1]):
            first -= 1
        while stop < min(low + BATCH, len(paths)) and not is_artifact(paths[stop]):
            stop += 1
    return slice(first, stop)


def check_pixels(path: Path, wavelength_a: NDArray[np.floating]) -> None:
    """See that the wavelengths of an artifact are those of the pixels of this stage.

    Raises
    ------
    ArtifactError
        If they are not.
    """
    if wavelength_a.shape != (N_PIXELS,) or np.max(np.abs(wavelength_a / wavelengths_a() - 1.0)) > _SAME_PIXELS:
        raise ArtifactError(
            f"{path}: its {len(wavelength_a)} wavelengths are not the {N_PIXELS} pixels of this stage; give "
            "spectra on other pixels as tables or arrays, which are put on them"
        )


def _artifact_batches(path: Path, rows: slice, skip: int) -> Iterator[Batch]:
    with open_artifact(path, "spectra") as artifact:
        check_pixels(path, np.asarray(artifact.file["wavelength"]))
        table = artifact.table()
        ids, sky = [str(each) for each in table["id"]], _sky(table)
        first, last, _ = rows.indices(len(ids))
        for place, wanted in whole_batches(slice(first, last), len(ids), batch=BATCH, block=BLOCK, skip=skip):
            with reading(path, "a block of spectra is"):
                flux = np.asarray(artifact.file["flux"][place], dtype=np.float32)
                ivar = np.asarray(artifact.file["ivar"][place], dtype=np.float32)
                mask = np.asarray(artifact.file["mask"][place])
            bad = mask | ~np.isfinite(flux) | ~np.isfinite(ivar) | ~(ivar > 0.0)
            flux, ivar = np.where(bad, np.float32(0.0), flux), np.where(bad, np.float32(0.0), ivar)
            snr = median_snr(flux, ivar)
            yield Batch(
                ids=ids[place],
                files=[str(path)] * len(flux),
                hdus=[f"row {row}" for row in range(place.start, place.stop)],
                flux=flux,
                ivar=ivar,
                snr=snr,
                flags=quality_flags(ivar, snr),
                sky=sky[place],
                faults=[],
                done=(0, place.start + wanted.stop - first),
                wanted=wanted,
            )


def _sky(table: QTable) -> NDArray[np.float64]:
    """Return places and magnitudes of the spectra of an artifact, shape (n, 3)."""
    unknown = np.full(len(table), np.nan)
    return np.column_stack(
        [table[name].to_value(unit) if name in table.colnames else unknown for name, unit in SKY_UNITS.items()]
    )


def median_snr(flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> NDArray[np.float64]:
    """Median S/N per usable pixel of each arm, 0 without any, shape (n, 2)."""
    ratio = np.where(ivar > 0.0, flux * np.sqrt(ivar), np.nan)
    result = np.zeros((len(flux), len(OBSERVED)))
    for i, place in enumerate(arm_slices().values()):
        seen = ~np.isnan(ratio[:, place]).all(axis=1)
        result[seen, i] = np.nanmedian(ratio[seen, place], axis=1)
    return result


def quality_flags(ivar: NDArray[np.float32], snr: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the flags LOW_SNR, MISSING_BLUE and MISSING_RED of spectra, shape (n,)."""
    flags = np.where((snr >= LOW_SNR_LIMIT).any(axis=1), 0, int(SpectrumFlag.LOW_SNR))
    for flag, place in zip((SpectrumFlag.MISSING_BLUE, SpectrumFlag.MISSING_RED), arm_slices().values(), strict=True):
        flags |= np.where((ivar[:, place] > 0.0).any(axis=1), 0, int(flag))
    return flags.astype(np.int64)


def _level(observation: Observation) -> float:
    """Return about the level of the flux, by which it is divided: physical units overflow in single precision."""
    values = [np.abs(arm.flux[~arm.mask]) for arm in observation.arms.values() if arm.n_usable]
    level = float(np.median(np.concatenate(values))) if values else 0.0
    return level if level > 0.0 else 1.0


def _files_batch(
    paths: Sequence[Path], wanted: slice, exposures: Exposures, medium: Medium, done: tuple[int, int]
) -> Batch:
    """Read files of which some are wanted; faults of the others are told by who wants them."""
    found: list[Observation] = []
    first_rows = []
    faults = []
    for number, path in enumerate(paths):
        first_rows.append(len(found))
        try:
            found += read_observations(path, exposures, medium=medium)
        except AstropipeError as error:
            if not isinstance(error, InputError):
                raise
            if wanted.start <= number < wanted.stop:
                faults.append(str(error))
            found.append(Observation(path.name, str(path), "", {}, {}, int(SpectrumFlag.UNREADABLE)))
    first_rows.append(len(found))
    rows = slice(first_rows[wanted.start], first_rows[wanted.stop])
    return replace(batch_of(found), faults=faults, done=done, wanted=rows)


def batch_of(found: Sequence[Observation]) -> Batch:
    """Put spectra on the pixels of `OBSERVED`, in units of their level."""
    flux = np.zeros((len(found), N_PIXELS), dtype=np.float32)
    ivar = np.zeros_like(flux)
    snr = np.zeros((len(found), len(OBSERVED)))
    for i, observation in enumerate(found):
        level = _level(observation)
        for j, (pixels, place) in enumerate(zip(OBSERVED, arm_slices().values(), strict=True)):
            arm = observation.arms.get(pixels.name)  # type: ignore[call-overload]
            if arm is not None:
                scaled = arm.flux / level, arm.ivar * level**2
                flux[i, place], ivar[i, place], _ = to_pixels(arm.wavelength_a, *scaled, arm.mask, pixels)
                snr[i, j] = arm.snr
    return Batch(
        ids=[each.id for each in found],
        files=[each.file for each in found],
        hdus=[" ".join(arm.hdu for arm in each.arms.values()) for each in found],
        flux=flux,
        ivar=ivar,
        snr=snr,
        flags=np.array([each.flags for each in found], dtype=np.int64),
        sky=np.full((len(found), len(SKY_UNITS)), np.nan),
        faults=[],
        done=(0, 0),
        wanted=slice(0, len(found)),
    )
