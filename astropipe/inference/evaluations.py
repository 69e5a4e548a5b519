"""Every true likelihood call on disk: the checkpoint of a sampling run.

A sampler is a deterministic function of its seed and of the likelihood values it is given. So a run is
resumed by starting it anew with all values computed before served from this log: the result is bit for bit
that of an uninterrupted run, for any sampler and any version of it, and no pickle is ever read.

Layout of a log: a folder with one shard a process, ``evaluations-NNNN.bin``, each written by one process
only and never changed afterwards. A shard is a header (magic, identity of the likelihood, CRC-32) followed
by records of fixed size, little-endian: the d parameters and ln L as float64, then the CRC-32 of those
bytes. A process that is killed leaves at most one torn record at the end of its shard, which the reader
drops, as it drops any record whose checksum fails.
"""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.fingerprint import Identity
from astropipe.runtime.errors import ArtifactError, InterruptedRunError, OutputError, UsageError

MAGIC = b"ASTROEV1"
SHARDS = "evaluations-*.bin"
FLUSH_SECONDS = 1.0
"""Default of the longest time that an evaluation stays in memory only."""

_LENGTH = struct.Struct("<I")


class EvaluationLog:
    """Known values of one likelihood, and a shard of this process to which new ones are appended.

    Parameters
    ----------
    folder
        Where the shards are; created with the first record.
    identity
        Whose values these are.
    flush_seconds
        Longest time that a record stays in memory only; a record that comes later than this after the last
        write is written at once.

    Raises
    ------
    ArtifactError
        If a shard is not one, or holds values of another likelihood.
    """

    def __init__(self, folder: Path, identity: Identity, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self.folder = folder
        self.identity = identity
        self.flush_seconds = flush_seconds
        self._known = {x: value for shard in shards(folder) for x, value in read_shard(shard, identity)}
        self._record = struct.Struct(f"<{len(identity.names) + 1}d")
        self._descriptor: int | None = None
        self._buffer = bytearray()
        self._flushed = time.monotonic()

    def __len__(self) -> int:
        return len(self._known)

    def lookup(self, x: NDArray[np.float64]) -> float | None:
        """Return ln L at `x`, shape [d], if an earlier session computed it at exactly these bytes."""
        return self._known.get(x.tobytes())

    def last(self) -> tuple[NDArray[np.float64], float] | None:
        """Return the last point read from disk and its ln L, or None when the log was empty."""
        if not self._known:
            return None
        key = next(reversed(self._known))
        return np.frombuffer(key, dtype=np.float64).copy(), self._known[key]

    def append(self, x: NDArray[np.float64], value: float) -> None:
        """Record ln L = `value` at `x`, shape [d].

        Raises
        ------
        OutputError
            If it is time to write and the folder cannot be written to.
        """
        record = self._record.pack(*x, value)
        self._buffer += record
        self._buffer += _LENGTH.pack(zlib.crc32(record))
        if time.monotonic() - self._flushed >= self.flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Hand all records so far to the operating system."""
        self._flushed = time.monotonic()
        if not self._buffer:
            return
        try:
            if self._descriptor is None:
                self._descriptor = _new_shard(self.folder)
                _write(self._descriptor, _header(self.identity))
            _write(self._descriptor, bytes(self._buffer))
        except OSError as error:
            # The shard may now end in half a record: what comes later goes to a new one.
            self._leave_shard()
            raise OutputError(
                f"cannot write likelihood evaluations to {self.folder}: {error.strerror};"
                " free space or choose another checkpoint folder, then resume"
            ) from error
        self._buffer.clear()

    def close(self) -> None:
        """Write what is left, down to the disk, and end this process's shard."""
        self.flush()
        if self._descriptor is not None:
            os.fsync(self._descriptor)
        self._leave_shard()

    def _leave_shard(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def shards(folder: Path) -> list[Path]:
    """Return the shards of a log in the order in which they were begun; none if the folder does not exist."""
    return sorted(folder.glob(SHARDS))


def check_checkpoint(folder: Path | None, resume: bool) -> None:
    """Refuse a folder that holds evaluations unless they are to be used.

    Raises
    ------
    UsageError
        If `folder` holds evaluations and `resume` is false, or there is no folder to resume from.
    """
    if resume and folder is None:
        raise UsageError("resume=True needs the checkpoint folder of the run to resume")
    if folder is not None and not resume and shards(folder):
        raise UsageError(f"{folder} holds evaluations of an earlier run; continue it with resume=True, or delete it")


@contextmanager
def saying_what_is_kept(folder: Path | None) -> Iterator[None]:
    """Add to an InterruptedRunError what the log in `folder` holds and how to continue from it."""
    try:
        yield
    except InterruptedRunError as error:
        kept = f"all evaluations are in {folder}; continue with resume=True" if folder else "nothing was kept"
        raise InterruptedRunError(f"sampling stopped on request; {kept}") from error


def read_shard(path: Path, identity: Identity) -> Iterator[tuple[bytes, float]]:
    """Yield (parameter bytes, ln L) for each intact record of a shard.

    Raises
    ------
    ArtifactError
        If the file is not a shard, cannot be read, or belongs to another likelihood.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    start = _check_header(path, data, identity)
    if start is None:
        return
    size = 8 * (len(identity.names) + 1)
    value = struct.Struct("<d")
    for offset in range(start, len(data) - size - _LENGTH.size + 1, size + _LENGTH.size):
        record = data[offset : offset + size]
        if _LENGTH.unpack_from(data, offset + size)[0] == zlib.crc32(record):
            yield record[:-8], value.unpack_from(record, size - 8)[0]


def _header(identity: Identity) -> bytes:
    text = json.dumps({"label": identity.label, "names": identity.names, "digest": identity.digest}).encode()
    return MAGIC + _LENGTH.pack(len(text)) + text + _LENGTH.pack(zlib.crc32(text))


def _check_header(path: Path, data: bytes, identity: Identity) -> int | None:
    """Return where the records begin, or None when the writer died within the header."""
    expected = _header(identity)
    if data.startswith(expected):
        return len(expected)
    if not data.startswith(MAGIC[: len(data)]):
        raise ArtifactError(f"{path} is not a log of likelihood evaluations; choose another checkpoint folder")
    begin = len(MAGIC) + _LENGTH.size
    if len(data) < begin:
        return None
    end = begin + _LENGTH.unpack_from(data, len(MAGIC))[0]
    if len(data) < end + _LENGTH.size:
        return None
    if zlib.crc32(data[begin:end]) != _LENGTH.unpack_from(data, end)[0]:
        raise ArtifactError(f"{path} has a damaged header; delete this file, the other shards are still good")
    found = json.loads(data[begin:end])
    other = Identity(found["label"], tuple(found["names"]), found["digest"])
    raise ArtifactError(
        f"{path} holds evaluations of another likelihood: {other}; this run has {identity}. "
        "Resume with the likelihood, data and options of the first run, or choose another checkpoint folder"
    )


def _new_shard(folder: Path) -> int:
    """Create the next free shard file; exclusive, so that two processes never share one."""
    folder.mkdir(parents=True, exist_ok=True)
    number = len(shards(folder))
    while True:
        try:
            return os.open(folder / f"evaluations-{number:04d}.bin", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            number += 1


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
