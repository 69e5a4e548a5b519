"""The one way to write an artifact: a temporary file beside the final name, checked, then renamed.

A final name therefore means a complete file. A run that dies leaves the old file, or none.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from astropy import units
from astropy.io.misc.hdf5 import write_table_hdf5
from astropy.table import Table
from numpy.typing import NDArray

from astropipe import __version__
from astropipe.artifacts import hashing
from astropipe.artifacts.attributes import set_attribute
from astropipe.artifacts.provenance import Provenance, provenance_sha256, write_text
from astropipe.artifacts.schemas import Schema, schema
from astropipe.artifacts.storage import StorageError, writable_hdf5
from astropipe.artifacts.validation import faults
from astropipe.runtime.errors import ArtifactError, AstropipeError, OutputError
from astropipe.runtime.files import NO_LOCKS, remedy

_CHUNK_BYTES = 1 << 20


class ArtifactWriter:
    """What `create_artifact` gives to its ``with`` block: write tables, arrays, texts and attributes."""

    def __init__(self, file: h5py.File, kind: Schema) -> None:
        self._file, self.schema = file, kind

    def write_table(self, table: Table, path: str = "catalog") -> None:
        """Write an astropy table that ``QTable.read(file, path=path)`` gives back with its units."""
        write_table_hdf5(table, self._file, path=path, serialize_meta=True)

    def write_array(
        self,
        path: str,
        values: Any,
        *,
        unit: str | None = None,
        description: str = "",
        dims: Sequence[str] = (),
    ) -> None:
        """Write an array, or an astropy Quantity, as a dataset of its own.

        Parameters
        ----------
        path : str
            Path in the file.
        values : array_like or Quantity
            The values; a Quantity brings its unit.
        unit : str, optional
            Unit of plain values.
        description, dims : str, sequence of str
            Default to what the schema says of this path.
        """
        if isinstance(values, units.Quantity):
            unit, values = values.unit.to_string(), values.value
        array = np.asarray(values)
        if array.dtype.kind == "U":
            array = np.char.encode(array, "utf-8")
        dataset = self.create_array(path, array.shape, array.dtype, unit=unit, description=description, dims=dims)
        dataset[...] = array

    def create_array(
        self,
        path: str,
        shape: tuple[int, ...],
        dtype: Any,
        *,
        unit: str | None = None,
        description: str = "",
        dims: Sequence[str] = (),
        compression: int = 4,
        growing: bool = False,
    ) -> h5py.Dataset:
        """Make an empty dataset to be filled block by block, for arrays that do not fit in memory.

        Chunked on axis 0, shuffled, compressed and checksummed. Parameters as in `write_array`; ``compression`` is the
        level of gzip, of which 1 is several times as fast as 4 and makes noise a few per cent larger. With ``growing``
        the number of rows is not known yet: `append` adds to those that `shape` says.
        """
        storage: dict[str, Any] = {}
        if growing or (shape and np.prod(shape) > 0):
            row_bytes = np.dtype(dtype).itemsize * int(np.prod(shape[1:]))
            rows = int(max(1, _CHUNK_BYTES // max(1, row_bytes)))
            storage = {
                "maxshape": (None, *shape[1:]) if growing else None,
                "chunks": (rows if growing else min(rows, shape[0]), *shape[1:]),
                "shuffle": True,
                "compression": "gzip",
                "compression_opts": compression,
                "fletcher32": True,
            }
        dataset = self._file.create_dataset(path, shape, dtype, **storage)
        described = self.schema.describe(path)
        if unit is not None:
            set_attribute(dataset, "units", unit)
        if text := description or (described.description if described else ""):
            set_attribute(dataset, "description", text)
        if names := tuple(dims) or (described.dims if described else ()):
            set_attribute(dataset, "dims", names)
        return dataset

    def append(self, dataset: h5py.Dataset, rows: NDArray[Any]) -> None:
        """Add rows to a dataset that grows."""
        start = len(dataset)
        dataset.resize(start + len(rows), axis=0)
        dataset[start:] = rows

    def write_text(self, path: str, text: str) -> None:
        """Write a text, for example the JSON of an architecture, as a dataset."""
        group_path, _, name = path.rpartition("/")
        group = self._file.require_group(group_path) if group_path else self._file
        write_text(group, name, text)

    def write_attributes(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Set attributes of a group or dataset; the group is made where it does not exist."""
        item = self._file[path] if path in self._file else self._file.create_group(path)
        for name, value in attributes.items():
            set_attribute(item, name, value)

    def attach_dimensions(self, path: str, scales: Sequence[str]) -> None:
        """Name the axes of a dataset by coordinate datasets, as netCDF (and so ArviZ) wants them."""
        for axis, scale in enumerate(scales):
            if not self._file[scale].is_scale:
                self._file[scale].make_scale(scale.rpartition("/")[2])
            self._file[path].dims[axis].attach_scale(self._file[scale])


@contextmanager
def create_artifact(path: str | Path, kind: str, *, title: str, provenance: Provenance) -> Iterator[ArtifactWriter]:
    """Write one artifact; it appears under its name only when the block ends without error.

    Parameters
    ----------
    path : str or Path
        Final name. An existing file is replaced at the very end.
    kind : str
        Kind of the artifact, see `astropipe.artifacts.schemas.SCHEMAS`.
    title : str
        One line for people.
    provenance : Provenance
        Where it comes from.

    Yields
    ------
    ArtifactWriter
        To write the content with.

    Raises
    ------
    ArtifactError
        If the content does not fit the schema; the message names all faults at once.
    OutputError
        If the folder is missing or not writable, the disk is full, or another process writes the same file.
    """
    path = Path(path)
    described = schema(kind)
    with _sole_writer(path) as partial:
        try:
            with _explained(path, StorageError), writable_hdf5(partial, "w") as file:
                _describe(file, described, title, provenance)
                yield ArtifactWriter(file, described)
            with _explained(path, OSError):
                _complete(partial, described)
                os.replace(partial, path)
                _sync(path.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _describe(file: h5py.File, described: Schema, title: str, provenance: Provenance) -> None:
    about = {
        "schema": described.id,
        "schema_version": described.version,
        "astropipe_version": __version__,
        "title": title,
    }
    for name, value in about.items():
        set_attribute(file, name, value)
    provenance.write(file)


def _complete(partial: Path, described: Schema) -> None:
    """Check the content, write its hashes and bring all of it to the disk."""
    with h5py.File(partial, "r", locking=False) as file:
        found = list(faults(file, described))
        digests = hashing.content_digests(file)
    if found:
        raise ArtifactError(f"this is not a complete {described.kind} artifact: " + "; ".join(found))
    with writable_hdf5(partial, "r+") as file:
        set_attribute(file, "content_sha256", hashing.content_sha256(digests))
        write_text(file[hashing.PROVENANCE], "digests", hashing.canonical_json(digests))
        set_attribute(file, "provenance_sha256", provenance_sha256(file))
    _sync(partial)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _sole_writer(path: Path) -> Iterator[Path]:
    """Give the temporary file of an artifact, locked, so that two processes never write the same one.

    A temporary file left by a killed process has no lock and is written over.
    """
    partial = path.with_name(f".{path.name}.partial")
    with ExitStack() as stack:
        with _explained(path, OSError):
            while True:
                handle = stack.enter_context(partial.open("ab"))
                _lock(handle, partial)
                if _is_same_file(handle, partial):
                    break
        yield partial


def _lock(handle: IO[bytes], partial: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(f"another process is writing {partial}; wait for it or choose another --output") from None
    except OSError as error:
        # Some network file systems have no locks; there the scheduler alone keeps writers apart.
        if error.errno not in NO_LOCKS:
            raise


def _is_same_file(handle: IO[bytes], partial: Path) -> bool:
    """Return False when another writer finished, and renamed the file, between our opening it and locking it."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), partial.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _explained(path: Path, kind: type[OSError]) -> Iterator[None]:
    try:
        yield
    except AstropipeError:
        raise
    except kind as error:
        raise OutputError(f"cannot write {path}: {error}; {remedy(error)}. No file was changed") from error
