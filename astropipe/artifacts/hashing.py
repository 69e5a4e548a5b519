"""Content hashes: equal exactly when the data are equal, whatever the file's internal layout.

Each object (the root, a group, a dataset) has a digest over its attributes, dtype, shape and values. The
content hash of a file is the digest over all of these by path, `/provenance` left out, so that a damaged byte
can be named by the object it sits in, and so that the same data reached on two ways have the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from astropipe.artifacts.attributes import attributes

PROVENANCE = "provenance"

# Root attributes that describe the file rather than the data.
_BOOKKEEPING = frozenset({"content_sha256", "provenance_sha256", "astropipe_version"})
_BLOCK_BYTES = 1 << 24


def canonical_json(value: Any) -> str:
    """Write a value as JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _attributes(item: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    hidden = _BOOKKEEPING if item.name == "/" else frozenset()
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in attributes(item).items()
        if name not in hidden
    }


def _blocks(dataset: h5py.Dataset) -> Iterator[bytes]:
    """Yield the values of a dataset as bytes in C order, a bounded part at a time."""
    if dataset.dtype.hasobject:
        for value in np.ravel(dataset[()]):
            raw = value if isinstance(value, bytes) else str(value).encode()
            yield len(raw).to_bytes(8, "little") + raw
    elif dataset.ndim == 0 or dataset.size == 0:
        yield np.asarray(dataset[()]).tobytes()
    else:
        rows = max(1, _BLOCK_BYTES // max(1, dataset.dtype.itemsize * dataset.size // dataset.shape[0]))
        for start in range(0, dataset.shape[0], rows):
            yield np.ascontiguousarray(dataset[start : start + rows]).tobytes()


def object_digest(item: h5py.Group | h5py.Dataset) -> str:
    """Return the digest of one object: attributes, and for a dataset dtype, shape and values.

    Raises
    ------
    OSError
        If the values cannot be read (a checksum of HDF5 itself failed).
    """
    digest = hashlib.sha256(canonical_json(_attributes(item)).encode())
    if isinstance(item, h5py.Dataset):
        dtype = "object" if item.dtype.hasobject else str(np.dtype(item.dtype).descr)
        digest.update(canonical_json([dtype, list(item.shape)]).encode())
        for block in _blocks(item):
            digest.update(block)
    return digest.hexdigest()


def content_objects(file: h5py.File) -> Iterator[h5py.Group | h5py.Dataset]:
    """Yield the root and all objects below it in order of path, `/provenance` left out."""
    yield file
    paths: list[str] = []
    file.visit(paths.append)
    for path in sorted(paths):
        if path.split("/")[0] != PROVENANCE:
            yield file[path]


def content_digests(file: h5py.File) -> dict[str, str]:
    """Return the digest of every object by path."""
    return {str(item.name): object_digest(item) for item in content_objects(file)}


def content_sha256(digests: Mapping[str, str]) -> str:
    """Return the content hash of a file from the digests of its objects."""
    return text_sha256(canonical_json(dict(digests)))
