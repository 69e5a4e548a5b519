"""Hashes: the standard's own numbers, and equal exactly when the data are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from astropipe.artifacts import hashing
from astropipe.artifacts.hashing import canonical_json, content_digests, content_sha256, file_sha256, text_sha256

# FIPS 180-2, appendix B.1: SHA-256 of "abc".
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_hashes_are_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert text_sha256("abc") == file_sha256(tmp_path / "abc") == ABC


def test_json_is_canonical() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "Ω"}) == '{"a":"Ω","b":[1,2.5]}'


def _hash(path: Path, write: Callable[[h5py.File], object]) -> str:
    with h5py.File(path, "w") as file:
        write(file)
        return content_sha256(content_digests(file))


def _base(file: h5py.File) -> None:
    file.create_dataset("g/x", data=np.arange(6.0).reshape(2, 3)).attrs["units"] = "km"
    file["text"] = ["a", "bc"]


CHANGES: dict[str, Callable[[h5py.File], object]] = {
    "value": lambda file: file["g/x"].__setitem__((0, 0), 1e-300),
    "sign of zero": lambda file: file["g/x"].__setitem__((0, 0), -0.0),
    "unit": lambda file: file["g/x"].attrs.__setitem__("units", "m"),
    "text": lambda file: file["text"].__setitem__(0, "ab"),
    "text moved to the neighbour": lambda file: file["text"].__setitem__(slice(None), ["ab", "c"]),
    "empty group": lambda file: file.create_group("h"),
    "root attribute": lambda file: file.attrs.__setitem__("title", "t"),
    "name": lambda file: file.move("g/x", "g/y"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_changes_the_hash(change: str, tmp_path: Path) -> None:
    def changed(file: h5py.File) -> None:
        _base(file)
        CHANGES[change](file)

    assert _hash(tmp_path / "a.h5", _base) != _hash(tmp_path / "b.h5", changed)


@pytest.mark.parametrize(("dtype", "shape"), [("f4", (2, 3)), ("f8", (3, 2)), ("f8", (6,)), (">f8", (2, 3))])
def test_dtype_and_shape_belong_to_the_data(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    def write(file: h5py.File, dtype: str, shape: tuple[int, ...]) -> None:
        file.create_dataset("x", data=np.zeros(shape, dtype))

    first = _hash(tmp_path / "a.h5", lambda file: write(file, "f8", (2, 3)))
    assert first != _hash(tmp_path / "b.h5", lambda file: write(file, dtype, shape))


def test_layout_and_provenance_do_not_belong_to_the_data(tmp_path: Path) -> None:
    def other(file: h5py.File) -> None:
        file["text"] = ["a", "bc"]
        dataset = file.create_dataset("g/x", data=np.arange(6.0).reshape(2, 3), chunks=(1, 3), compression="gzip")
        dataset.attrs["units"] = "km"
        file["provenance/config"] = "{}"
        file.attrs["astropipe_version"] = "9"

    assert _hash(tmp_path / "a.h5", _base) == _hash(tmp_path / "b.h5", other)


def test_the_hash_of_a_large_array_does_not_depend_on_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _hash(tmp_path / "a.h5", _base)
    monkeypatch.setattr(hashing, "_BLOCK_BYTES", 1)
    assert _hash(tmp_path / "b.h5", _base) == before


@pytest.mark.parametrize("data", [2.5, np.empty((0, 3)), np.empty((3, 0)), "text", np.array([b"a", b"b"])])
def test_scalars_empty_arrays_and_text_have_digests(data: object, tmp_path: Path) -> None:
    assert _hash(tmp_path / "a.h5", lambda file: file.__setitem__("x", data)) != _hash(
        tmp_path / "b.h5", lambda file: None
    )
