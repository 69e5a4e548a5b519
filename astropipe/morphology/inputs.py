"""The pictures, and their catalogs, that the paths, folders and patterns of a call stand for."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from astropipe.morphology.pictures import FITS_ENDINGS, PICTURE_ENDINGS, is_picture
from astropipe.morphology.positions import TABLE_ENDINGS
from astropipe.runtime.errors import InputError


@dataclass(frozen=True)
class Input:
    """A picture and, where there is one, the catalog of its galaxies."""

    picture: Path
    catalog: Path | None = None


def list_inputs(inputs: Sequence[str | Path]) -> list[Input]:
    """Return the pictures that paths, folders and patterns stand for, with their catalogs.

    A folder stands for all pictures in it and below it, by name. A table is the catalog of the picture named right
    before it, or right after it if it comes first.

    Raises
    ------
    InputError
        If a path does not exist, a folder or pattern gives no picture, or a catalog has no picture of its own.
    """
    found: list[Input] = []
    waiting: Path | None = None
    for path in (each for given in inputs for each in _files(given)):
        table = path.name.lower().endswith(TABLE_ENDINGS) or not is_picture(path)
        if table and found and found[-1].catalog is None and waiting is None:
            found[-1] = replace(found[-1], catalog=path)
        elif table and not found and waiting is None:
            waiting = path
        elif table:
            raise InputError(f"{path}: a catalog without a picture; name each catalog right after its picture")
        else:
            found.append(Input(path, waiting))
            waiting = None
    if waiting is not None or not found:
        raise InputError(f"{waiting or 'no input'}: no picture is given; name FITS, PNG or JPEG files or a folder")
    return found


def _files(given: str | Path) -> list[Path]:
    path = Path(given)
    if path.is_dir():
        endings = (*FITS_ENDINGS, *PICTURE_ENDINGS)
        inside = sorted(item.relative_to(path) for item in path.rglob("*") if item.is_file())
        hidden = (any(part.startswith(".") for part in item.parts) for item in inside)
        files = [
            path / item
            for item, skipped in zip(inside, hidden, strict=True)
            if not skipped and item.name.lower().endswith(endings)
        ]
        if not files:
            raise InputError(f"{path}: the folder holds no FITS, PNG or JPEG file")
        return files
    if path.is_file():
        return [path]
    if glob.has_magic(str(given)):
        files = sorted(Path(item) for item in glob.glob(str(given), recursive=True) if Path(item).is_file())
        if files:
            return files
        raise InputError(f"{given}: no file matches the pattern")
    raise InputError(f"{path}: no such file or folder; check the path")


def stem(path: Path) -> str:
    """Return the name of a file without its ending."""
    ending = next(
        (each for each in sorted(FITS_ENDINGS, key=len, reverse=True) if path.name.lower().endswith(each)), ""
    )
    return path.name[: -len(ending)] if ending else path.stem
