"""`verify`: recompute the hashes of an artifact and walk the chain of its inputs back to the first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py

from astropipe.artifacts import hashing
from astropipe.artifacts.attributes import text_attribute
from astropipe.artifacts.provenance import LIST, InputRecord, Provenance, provenance_sha256, read_text
from astropipe.artifacts.reader import check, open_unchecked, reading
from astropipe.artifacts.storage import readable_hdf5
from astropipe.runtime.errors import ArtifactError
from astropipe.runtime.shipped import data_folder, picture_folder, supernova_folder, weights_folder

# Inputs lie beside an artifact, in a sister folder, or not far below: a whole disk is never searched.
_SEARCH_DEPTH = 2

# What h5py raises on damaged bytes.
_UNREADABLE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError)

State = Literal["ok", "damaged", "missing"]


@dataclass(frozen=True)
class Finding:
    """What was found about one file of a chain.

    Parameters
    ----------
    path : str
        The file, or the name of an input that was not found.
    depth : int
        Steps back from the file that was asked about.
    state : {"ok", "damaged", "missing"}
        ``missing`` means that an input lies in none of the folders searched, so that the chain ends there.
    message : str
        What is wrong and what to do; empty when nothing is.
    is_artifact : bool
        Whether the file is a sound artifact, rather than any other file.
    """

    path: str
    depth: int
    state: State
    message: str = ""
    is_artifact: bool = False


def damage(path: Path) -> list[str]:
    """Return what is damaged in one artifact, object by object; empty when the file is sound.

    Raises
    ------
    ArtifactError
        If the file cannot be opened as an artifact at all.
    """
    with open_unchecked(path) as artifact, reading(path):
        file = artifact.file
        found = [] if _provenance_sound(file) else ["/provenance was changed"]
        try:
            stated = json.loads(read_text(file[hashing.PROVENANCE], "digests"))
        except _UNREADABLE:
            return [*found, "the digests in /provenance cannot be read"]
        if text_attribute(file, "astropipe_version") != text_attribute(file[hashing.PROVENANCE], "astropipe_version"):
            found.append("the attribute astropipe_version was changed")
        found += list(_changed_objects(file, stated))
        if not found and hashing.content_sha256(stated) != artifact.content_sha256:
            found.append("the attribute content_sha256 does not fit the digests")
        if not found and artifact.major >= artifact.schema.major:
            # The input of a migrated artifact is sound although this version of astropipe no longer reads it.
            check(artifact)
        return found


def _provenance_sound(file: h5py.File) -> bool:
    try:
        return provenance_sha256(file) == text_attribute(file, "provenance_sha256")
    except _UNREADABLE:
        return False


def _changed_objects(file: h5py.File, stated: dict[str, str]) -> Iterator[str]:
    present = set()
    for item in hashing.content_objects(file):
        name = str(item.name)
        present.add(name)
        try:
            digest = hashing.object_digest(item)
        except _UNREADABLE as error:
            yield f"{name} cannot be read ({error})"
            continue
        if name not in stated:
            yield f"{name} was added after the file was written"
        elif digest != stated[name]:
            yield f"{name} was changed"
    yield from (f"{name} is gone" for name in sorted(set(stated) - present))


def _files_below(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the files of a folder and of those below it, hidden and unreadable ones left out."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_file():
            yield entry
        elif depth > 0 and entry.is_dir():
            yield from _files_below(entry, depth - 1)


class Library:
    """Finds the inputs of artifacts by their hash, among some files and then in some folders.

    Parameters
    ----------
    files : iterable of Path
        Files to look among first.
    folders : iterable of Path
        Folders searched, with two levels of folders below them, in this order and only while something is sought.
    """

    def __init__(self, files: Iterable[Path] = (), folders: Iterable[Path] = ()) -> None:
        self._artifacts: dict[str, Path] = {}
        self._others: dict[str, list[Path]] = {}
        packages = [folder for folder in (picture_folder(), supernova_folder()) if folder is not None]
        self._folders = [data_folder(), weights_folder(), *folders, *packages]
        for path in files:
            self._add(path)

    def _add(self, path: Path) -> None:
        self._others.setdefault(path.name, []).append(path)
        # By content: an artifact may have any name.
        if h5py.is_hdf5(path):
            try:
                with readable_hdf5(path) as file:
                    sha256 = text_attribute(file, "content_sha256")
            except _UNREADABLE:
                return
            if sha256:
                self._artifacts.setdefault(sha256, path)

    def find(self, record: InputRecord) -> Path | None:
        """Return the file that a record speaks of, or None where there is none."""
        while (path := self._known(record)) is None and self._folders:
            for found in _files_below(self._folders.pop(0), _SEARCH_DEPTH):
                self._add(found)
        return path

    def _known(self, record: InputRecord) -> Path | None:
        if record.schema != "file":
            return self._artifacts.get(record.sha256)
        candidates = self._others.get(record.name, [])
        return next((path for path in candidates if hashing.file_sha256(path) == record.sha256), None)

    def nearest(self, record: InputRecord) -> Path | None:
        """Return a file with the same name but other content: the input as it is now, or None."""
        return next(iter(self._others.get(record.name, [])), None)


def verify(paths: Iterable[Path], search: Iterable[Path] = ()) -> list[Finding]:
    """Check artifacts and every artifact they were made from.

    Parameters
    ----------
    paths : iterable of Path
        Artifacts to check.
    search : iterable of Path
        Further folders in which inputs may lie; the folder of each artifact and its parent are searched anyway.

    Returns
    -------
    list of Finding
        One for each file asked about, each followed by those of its inputs; a shared input is listed once.
    """
    files = [Path(path) for path in paths]
    own = dict.fromkeys(path.resolve().parent for path in files)
    sisters = dict.fromkeys(folder.parent for folder in own if len(folder.parents) > 1)
    library = Library(files, [*search, *own, *sisters])
    seen: set[Path | InputRecord] = set()
    return [finding for path in files for finding in _walk(path, 0, library, seen)]


def _walk(path: Path, depth: int, library: Library, seen: set[Path | InputRecord]) -> Iterator[Finding]:
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    try:
        found = damage(path)
    except ArtifactError as error:
        yield Finding(str(path), depth, "damaged", str(error))
        return
    if found:
        yield Finding(str(path), depth, "damaged", f"{path}: {'; '.join(found)}; make it again from its inputs")
        return
    yield Finding(str(path), depth, "ok", is_artifact=True)
    with open_unchecked(path) as artifact:
        inputs = Provenance.read(artifact.file).inputs
    for record in (record for record in inputs if record.schema != LIST):
        yield from _walk_input(record, path, depth + 1, library, seen)


def _walk_input(
    record: InputRecord, user: Path, depth: int, library: Library, seen: set[Path | InputRecord]
) -> Iterator[Finding]:
    source = library.find(record)
    if source is None:
        if record in seen:
            return
        seen.add(record)
        changed = library.nearest(record)
        why = f"{changed} has the name but not the content: {user.name} is out of date" if changed else "not found"
        where = f"input {record.name} of {user} ({record.sha256[:12]}…)"
        message = f"{where}: {why}; add its folder with --search or make it again"
        yield Finding(record.name, depth, "missing", message)
    elif record.schema == "file":
        if source.resolve() not in seen:
            seen.add(source.resolve())
            yield Finding(str(source), depth, "ok")
    else:
        yield from _walk(source, depth, library, seen)
