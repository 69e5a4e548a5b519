"""Checkpoints of interrupted runs: arrays in one HDF5 file, replaced as a whole, tied to the run that wrote them."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from astropipe.runtime.errors import ArtifactError, OutputError, UsageError
from astropipe.runtime.run import PARTIAL, begin_anew

# What h5py raises on damaged bytes.
_UNREADABLE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError)
# HDF5 1.10, whose structures carry checksums.
_FORMAT = ("v110", "v110")


class Checkpoint:
    """The saved state of a run.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        Hash of all that decides the result (inputs, configuration, seed). A checkpoint with another key
        belongs to another run and is refused.
    anew : bool
        Drop a checkpoint that would be refused, with a notice, instead.
    """

    def __init__(self, path: Path, key: str, *, anew: bool = False) -> None:
        self.path, self.key, self.anew = path, key, anew

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Return the saved arrays, or None where there is no checkpoint.

        Raises
        ------
        UsageError
            If the checkpoint belongs to a run with other inputs, configuration or seed, and `anew` is off.
        ArtifactError
            If the file is damaged, and `anew` is off.
        """
        if not self.path.exists():
            return None
        try:
            return self._read()
        except (UsageError, ArtifactError) as error:
            if not self.anew:
                raise
            begin_anew(self.path, error)
            return None

    def _read(self) -> dict[str, NDArray[Any]]:
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                key = file.attrs["key"].decode()
                arrays = {name: np.asarray(dataset[()]) for name, dataset in file.items()}
        except _UNREADABLE as error:
            raise ArtifactError(
                f"checkpoint {self.path} cannot be read ({error}); use --force to start afresh"
            ) from error
        if key != self.key:
            raise UsageError(
                f"checkpoint {self.path} belongs to a run with another input, configuration or seed; "
                "resume with the same ones, or use --force to start afresh"
            )
        return arrays

    def save(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace the checkpoint by these arrays; a kill in the middle leaves the old one."""
        # Under a name of its own: a job that a scheduler took for dead may still be writing.
        partial = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}{PARTIAL}")
        try:
            with partial.open("xb") as file:
                file.write(self._as_hdf5(arrays))
                file.flush()
                # Before the rename: after a power cut the name must not stand for bytes that never reached the disk.
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OutputError(
                f"cannot write checkpoint {self.path}: {error}; free space or choose another folder"
            ) from error

    def _as_hdf5(self, arrays: Mapping[str, NDArray[Any]]) -> bytes:
        # In memory first: HDF5 that meets a full disk takes the process down when it ends.
        buffer = io.BytesIO()
        # Their order is kept: it may be that of the columns of a catalog.
        with h5py.File(buffer, "w", libver=_FORMAT, track_order=True) as file:
            # At fixed length: text of variable length lies in a part of the file without checksums.
            file.attrs["key"] = np.bytes_(self.key)
            for name, array in arrays.items():
                chunked = {"chunks": True, "fletcher32": True} if array.size and array.ndim else {}
                file.create_dataset(name, data=array, **chunked)
        return buffer.getvalue()
