"""The one way to read an artifact: kind and version are checked, and an error says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy import units
from astropy.table import QTable

from astropipe.artifacts.attributes import attributes, text_attribute
from astropipe.artifacts.provenance import Provenance, read_text
from astropipe.artifacts.schemas import SCHEMAS, Schema, schema
from astropipe.artifacts.storage import readable_hdf5
from astropipe.artifacts.validation import CATALOG, faults
from astropipe.runtime.errors import ArtifactError, AstropipeError

_PREFIX = "astropipe."


class Artifact:
    """An open artifact: tables, arrays, texts and provenance. Made by `open_artifact`."""

    def __init__(self, file: h5py.File, described: Schema) -> None:
        self.file, self.schema = file, described
        self.path = Path(file.filename)

    @property
    def kind(self) -> str:
        """Kind of the artifact."""
        return self.schema.kind

    @property
    def major(self) -> int:
        """Major version of the schema by which the file was written.

        Raises
        ------
        ArtifactError
            If it states none.
        """
        with reading(self.path, "the attribute schema_version is"):
            major = text_attribute(self.file, "schema_version").split(".")[0]
        if not major.isdecimal():
            raise ArtifactError(
                f"{self.path} states no schema version; it was damaged or written by other software: make it again"
            )
        return int(major)

    @property
    def title(self) -> str:
        """One line for people."""
        with reading(self.path, "the title is"):
            return text_attribute(self.file, "title")

    @property
    def content_sha256(self) -> str:
        """Content hash as the file states it; `astropipe.artifacts.verify` recomputes it."""
        with reading(self.path, "the attribute content_sha256 is"):
            return text_attribute(self.file, "content_sha256")

    @property
    def provenance(self) -> Provenance:
        """Where the artifact comes from."""
        return Provenance.read(self.file)

    def table(self, path: str = CATALOG) -> QTable:
        """Return a table with units.

        Raises
        ------
        ArtifactError
            If there is no such table, or its bytes are damaged.
        """
        with self._named(path):
            return QTable.read(self.file, path=path, format="hdf5", character_as_bytes=False)

    def array(self, path: str) -> Any:
        """Return a dataset as an array, text decoded; as a Quantity where it has a unit that is not dimensionless.

        Raises
        ------
        ArtifactError
            If there is no such dataset, or its bytes are damaged.
        """
        with self._named(path):
            dataset = self.file[path]
            values = np.asarray(dataset[()])
            if values.dtype.kind == "S":
                return np.char.decode(values, "utf-8")
            unit = units.Unit(text_attribute(dataset, "units"))
            return values if unit == units.dimensionless_unscaled else units.Quantity(values, unit)

    def text(self, path: str) -> str:
        """Return a text dataset."""
        with self._named(path):
            return read_text(self.file, path)

    def record(self, path: str) -> dict[str, Any]:
        """Return a text dataset that holds one JSON object.

        Raises
        ------
        ArtifactError
            If it is missing, damaged or no such object.
        """
        with self._named(path):
            value = json.loads(read_text(self.file, path))
            if not isinstance(value, dict):
                raise TypeError("it is no JSON object")
            return value

    def attributes(self, path: str) -> dict[str, Any]:
        """Return the attributes of a group or dataset as plain Python values."""
        with self._named(path):
            return attributes(self.file[path])

    @contextmanager
    def _named(self, path: str) -> Iterator[None]:
        with reading(self.path, f"{path!r} is"):
            if path not in self.file:
                raise ArtifactError(
                    f"{self.path}: there is no {path!r} in this {self.kind} artifact; see astropipe inspect"
                )
            yield


@contextmanager
def reading(path: Path, subject: str = "the file is") -> Iterator[None]:
    """Turn what reading damaged bytes raises into an `ArtifactError` that names the file and the part.

    h5py, astropy and YAML have no common class for it: a flipped bit can raise almost anything.
    """
    try:
        yield
    except AstropipeError:
        raise
    except Exception as error:
        raise ArtifactError(
            f"{path}: {subject} damaged ({error}); run astropipe verify on the file and make it again"
        ) from error


@contextmanager
def open_artifact(path: str | Path, *kinds: str) -> Iterator[Artifact]:
    """Open an artifact for reading.

    Parameters
    ----------
    path : str or Path
        The file.
    *kinds : str
        Kinds that the caller can use; none means any.

    Yields
    ------
    Artifact
        The open artifact.

    Raises
    ------
    ArtifactError
        If the file is missing, is not HDF5, is truncated, is not an artifact, has another kind, a newer or older
        major version, or lacks something that its schema requires.
    """
    with open_unchecked(path) as artifact:
        if kinds and artifact.kind not in kinds:
            text = artifact.schema.description
            raise ArtifactError(
                f"{path} is a {artifact.kind} artifact, but this needs {' or '.join(map(repr, kinds))}; "
                f"{text[0].lower()}{text[1:]} cannot serve here. "
                "Give a file of the right kind (astropipe inspect FILE shows the kind)"
            )
        check(artifact)
        yield artifact


@contextmanager
def open_unchecked(path: str | Path) -> Iterator[Artifact]:
    """Open an artifact of any version, whatever it holds: for `verify` and `migrate`; see `open_artifact`."""
    path = Path(path)
    with _open_hdf5(path) as file:
        with reading(path):
            described = _described(file, path)
        yield Artifact(file, described)


def check(artifact: Artifact) -> None:
    """Check that an open artifact has the present major version and holds what its schema requires.

    Raises
    ------
    ArtifactError
        Naming all faults at once.
    """
    path, described, major = artifact.path, artifact.schema, artifact.major
    if major > described.major:
        raise ArtifactError(
            f"{path} has version {major} of {described.kind}, newer than the {described.version} that this astropipe "
            f"reads; it was written by astropipe {text_attribute(artifact.file, 'astropipe_version')}: update astropipe"
        )
    if major < described.major:
        raise ArtifactError(
            f"{path} has version {major} of {described.kind}, older than the {described.version} that this astropipe "
            f"reads; convert it with astropipe migrate {path} --output NEW.h5"
        )
    with reading(path):
        found = list(faults(artifact.file, described))
    if found:
        raise ArtifactError(
            f"{path} does not hold what a {described.kind} artifact must: {'; '.join(found)}. "
            "It was changed after it was written, or written by other software: make it again"
        )


@contextmanager
def _open_hdf5(path: Path) -> Iterator[h5py.File]:
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; check the path, or make it with the stage that writes it")
    if path.is_dir():
        raise ArtifactError(f"{path} is a folder; give the files in it, for example {path}/*.h5")
    try:
        file = readable_hdf5(path)
    except OSError as error:
        raise ArtifactError(_not_hdf5(path, error)) from error
    with file:
        yield file


def _not_hdf5(path: Path, error: OSError) -> str:
    try:
        with path.open("rb") as raw:
            head = raw.read(8)
    except OSError as unreadable:
        return f"{path} cannot be read ({unreadable.strerror}); check its permissions"
    if not head:
        return f"{path} is empty; make it again"
    if head == b"\x89HDF\r\n\x1a\n":
        return f"{path} is truncated or damaged HDF5 ({error}); copy it again or make it again"
    return (
        f"{path} is not an HDF5 file (it begins with {head!r}), but astropipe's artifacts are; "
        "give an artifact, or the verb that reads this kind of file"
    )


def _described(file: h5py.File, path: Path) -> Schema:
    name = text_attribute(file, "schema")
    if not name.startswith(_PREFIX):
        raise ArtifactError(
            f"{path} is HDF5 but not an astropipe artifact: the root attribute 'schema' is {name or 'missing'!r}; "
            "give a file written by astropipe"
        )
    kind = name.removeprefix(_PREFIX)
    if kind not in SCHEMAS:
        raise ArtifactError(
            f"{path} is an artifact of kind {kind!r}, which this version of astropipe does not know; update astropipe"
        )
    return schema(kind)
