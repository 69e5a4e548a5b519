"""Attributes of HDF5 objects as plain Python values; text is stored at fixed length.

Text of variable length, which h5py writes by default, lies in a heap of the file that carries no checksum: there a
flipped bit can send the HDF5 library into an endless loop.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

# What the HDF5 dimension-scale and netCDF conventions keep for themselves: addresses, not data.
_CONVENTIONS = frozenset({"DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid", "_nc3_strict"})


def set_attribute(item: h5py.Group | h5py.Dataset, name: str, value: Any) -> None:
    """Set an attribute to a number, a text, an array of numbers or a list of texts."""
    array = np.asarray(value)
    if array.dtype.kind == "U":
        array = np.char.encode(array, "utf-8")
        item.attrs.create(name, array, dtype=h5py.string_dtype("utf-8", max(1, array.itemsize)))
    else:
        item.attrs[name] = value


def attributes(item: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Return the attributes of an object in order of name: numbers, texts, and arrays of them."""
    return {name: _plain(item.attrs[name]) for name in sorted(item.attrs) if name not in _CONVENTIONS}


def text_attribute(item: h5py.Group | h5py.Dataset, name: str) -> str:
    """Return an attribute as text; empty where there is none."""
    return str(_plain(item.attrs[name])) if name in item.attrs else ""


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.char.decode(value, "utf-8") if value.dtype.kind == "S" else value
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
