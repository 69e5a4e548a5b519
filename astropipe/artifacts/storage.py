"""The file below HDF5, so that a full disk is an error like others.

HDF5 that cannot write its caches when a file closes keeps the file open, tries again when the process ends, and
takes the process down with it. Here no write fails as far as HDF5 can see: the first error is kept, what
comes after it is dropped, and the error is raised once HDF5 has let go of the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import h5py

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

# HDF5 1.10 and later: there, all structures of the file itself carry checksums. In older formats a flipped bit can send
# the HDF5 library into an endless loop, or give other data without a word.
_FORMAT = ("v110", "v110")


def readable_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading, without a lock: finished files never change, and some file systems have no locks.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    try:
        return h5py.File(path, "r", locking=False)
    except OSError:
        # Inside one process HDF5 wants one way of locking for all who open a file, and others lock (ArviZ does).
        return h5py.File(path, "r")


class StorageError(OSError):
    """The system refused a write; its error is the cause."""


class _PatientFile(io.RawIOBase):
    """A file that never fails a write, as h5py wants file objects."""

    def __init__(self, path: Path, mode: Literal["w", "r+"]) -> None:
        self._raw = path.open("wb+" if mode == "w" else "rb+", buffering=0)
        self.error: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view) and self.error is None:
            try:
                done += self._raw.write(view[done:]) or 0
            except OSError as error:
                self.error = error
        return len(view)

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and (step := self._raw.readinto(view[done:])):
            done += step
        view[done:] = bytes(len(view) - done)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._raw.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        self._raw.close()
        super().close()


@contextmanager
def writable_hdf5(path: Path, mode: Literal["w", "r+"]) -> Iterator[h5py.File]:
    """Open an HDF5 file for writing.

    Raises
    ------
    StorageError
        At the end of the block, if anything could not be written.
    OSError
        If the file cannot be opened.
    """
    with _PatientFile(path, mode) as raw:
        try:
            with h5py.File(raw, mode, libver=_FORMAT) as file:
                yield file
        except Exception as error:
            if raw.error is None:
                raise
            # HDF5 missed what had been dropped.
            raise StorageError(*raw.error.args) from error
        if raw.error is not None:
            raise StorageError(*raw.error.args) from raw.error
