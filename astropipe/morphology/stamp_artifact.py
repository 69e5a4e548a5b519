"""Stamps as an artifact, written and read in blocks: a survey of them does not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.artifacts.reader import reading
from astropipe.artifacts.rounding import rounded
from astropipe.artifacts.writer import ArtifactWriter
from astropipe.morphology.stamps import BATCH, Stamps
from astropipe.runtime.batches import whole_batches
from astropipe.runtime.errors import ArtifactError

BLOCK = 4 * BATCH
"""Stamps that are read together."""
_UNITS = {
    **{"ra": u.deg, "dec": u.deg, "x": u.pix, "y": u.pix, "mag": u.mag, "r_e": u.arcsec, "inclination": u.deg},
    **{"age": u.Gyr, "age_err": u.Gyr},
}
_OWN = {"id", "pixel_scale", "sky_rms", "psf_fwhm", "flags"}
# Bits after the leading one that are kept of brightness: 1 in 8,000, far below the noise; what is rounded compresses.
_BITS = 12


class StampWriter:
    """Writes stamps to a ``stamps`` artifact as they come.

    Parameters
    ----------
    artifact : ArtifactWriter
        The artifact.
    size : int
        Rows and columns of a stamp.
    """

    def __init__(self, artifact: ArtifactWriter, size: int) -> None:
        self._artifact = artifact
        self._images = artifact.create_array("images", (0, size, size), np.float32, compression=1, growing=True)
        self._masks = artifact.create_array("masks", (0, size, size), bool, compression=1, growing=True)
        self._tables: list[dict[str, NDArray[Any]]] = []

    def __len__(self) -> int:
        return len(self._images)

    def add(self, stamps: Stamps, files: Sequence[str] | None = None) -> None:
        """Append stamps, with the file of each where there is one."""
        self._artifact.append(self._images, rounded(stamps.images, _BITS))
        self._artifact.append(self._masks, stamps.masks)
        columns = known_columns(stamps, files) | {
            "pixel_scale": stamps.pixel_scale_arcsec,
            "psf_fwhm": stamps.psf_fwhm_arcsec,
            "sky_rms": stamps.sky_rms,
            "flags": stamps.flags,
        }
        self._tables.append(columns)

    def finish(self) -> None:
        """Write the table."""
        table = joined_table(self._tables)
        for name in ("pixel_scale", "psf_fwhm"):
            table[name] = table[name] * u.arcsec
        self._artifact.write_table(table)


def known_columns(stamps: Stamps, files: Sequence[str] | None) -> dict[str, NDArray[Any]]:
    """Return what is known of stamps beside their images, by the names of columns."""
    columns: dict[str, NDArray[Any]] = {"id": np.array(stamps.ids, dtype=str)}
    columns |= stamps.columns
    if files is not None:
        columns["file"] = np.array(files, dtype=str)
    return columns


def joined_table(parts: Sequence[dict[str, NDArray[Any]]]) -> QTable:
    """Return one table of the columns that any part has; where a part lacks one, NaN or an empty text."""
    names = dict.fromkeys(name for part in parts for name in part)
    table = QTable()
    for name in names:
        like = next(part[name] for part in parts if name in part)
        blank = "" if like.dtype.kind == "U" else np.nan
        values = [part.get(name, np.full(len(part["id"]), blank)) for part in parts]
        table[name] = np.concatenate(values) * _UNITS[name] if name in _UNITS else np.concatenate(values)
    return table


def count_stamps(path: Path) -> int:
    """Return the number of stamps of an artifact."""
    with open_artifact(path, "stamps") as artifact:
        return int(artifact.file["images"].shape[0])


def stamp_blocks(
    path: Path, rows: slice | None = None, skip: int = 0
) -> Iterator[tuple[Stamps, list[str] | None, slice]]:
    """Read stamps in blocks of whole batches.

    Parameters
    ----------
    path : Path
        A ``stamps`` artifact.
    rows : slice, optional
        Those that are wanted.
    skip : int
        Number of these that are behind already.

    Yields
    ------
    Stamps, list of str or None, slice
        The stamps, the file of each where the artifact says it, and which of them are wanted; others are there because
        they are worked on together with these.

    Raises
    ------
    ArtifactError
        If the artifact is damaged, of another kind, or its stamps are not square.
    """
    with open_artifact(path, "stamps") as artifact:
        table = artifact.table()
        shape = artifact.file["images"].shape
        if shape[1] != shape[2]:
            raise ArtifactError(f"{path}: its stamps have {shape[1]} x {shape[2]} pixels; they must be square")
        first, last, _ = (rows or slice(None)).indices(shape[0])
        for place, wanted in whole_batches(slice(first, last), shape[0], batch=BATCH, block=BLOCK, skip=skip):
            with reading(path, "a block of stamps is"):
                images = np.asarray(artifact.file["images"][place], dtype=np.float32)
                masks = np.asarray(artifact.file["masks"][place], dtype=bool)
            part = table[place]
            files = [str(each) for each in part["file"]] if "file" in table.colnames else None
            yield _stamps(part, images, masks), files, wanted


def _stamps(table: QTable, images: NDArray[np.float32], masks: NDArray[np.bool_]) -> Stamps:
    n = len(table)

    def plain(name: str, unit: u.Unit | None, default: float) -> NDArray[Any]:
        if name not in table.colnames:
            return np.full(n, default)
        values = table[name]
        return np.asarray(values.to_value(unit) if unit is not None else values)

    others = [name for name in table.colnames if name not in _OWN | {"file"}]
    finite = np.isfinite(images)
    return Stamps(
        ids=[str(each) for each in table["id"]],
        images=np.where(finite, images, np.float32(0.0)),
        masks=masks | ~finite,
        sky_rms=plain("sky_rms", None, np.nan).astype(np.float64),
        pixel_scale_arcsec=plain("pixel_scale", u.arcsec, np.nan).astype(np.float64),
        psf_fwhm_arcsec=plain("psf_fwhm", u.arcsec, np.nan).astype(np.float64),
        flags=plain("flags", None, 0).astype(np.int64),
        columns={name: plain(name, _UNITS.get(name), np.nan) for name in others},
    )
