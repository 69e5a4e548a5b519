"""Does a file hold what its schema promises? All faults are found in one go."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
from astropy.table.meta import get_header_from_yaml

from astropipe.artifacts.attributes import text_attribute
from astropipe.artifacts.hashing import PROVENANCE
from astropipe.artifacts.schemas import AXIS_LENGTHS, Field, Schema

CATALOG = "catalog"


def faults(file: h5py.File, schema: Schema) -> Iterator[str]:
    """Yield every way in which the content of a file differs from its schema."""
    if schema.columns:
        yield from _catalog_faults(file, schema)
    for field in schema.required_datasets:
        if not any(field.matches(path) for path in _datasets(file)):
            yield f"dataset {field.name} is missing ({field.description})"
    for path in _datasets(file):
        described = schema.describe(path)
        if described is not None:
            dataset = file[path]
            for fault in described.faults(dataset.dtype, text_attribute(dataset, "units"), dataset.ndim):
                yield f"dataset {fault}" if described.name == path else f"dataset {path}: {fault}"
    yield from _length_faults(file, schema)
    for field in schema.attributes:
        path, _, name = field.name.partition("@")
        if field.required and (path not in file or name not in file[path].attrs):
            yield f"attribute {field.name} is missing ({field.description})"


def _length_faults(file: h5py.File, schema: Schema) -> Iterator[str]:
    """Yield where axes of one name differ in length: a masses array of other systems than the positions."""
    lengths = {name: (length, f"axis {name} always has") for name, length in AXIS_LENGTHS.items()}
    for owner, name, length in _axes(file, schema):
        expected, since = lengths.setdefault(name, (length, f"{owner} has"))
        if length != expected:
            yield f"{owner} has {length} entries along axis {name}, but {since} {expected}"


def _axes(file: h5py.File, schema: Schema) -> Iterator[tuple[str, str, int]]:
    """Yield owner, name and length of every axis that the schema names; the rows of the table come first."""
    if schema.rows and isinstance(file.get(CATALOG), h5py.Dataset):
        yield f"the table /{CATALOG}", schema.rows, len(file[CATALOG])
    for path in _datasets(file):
        described = schema.describe(path)
        # Another number of axes is a fault of its own.
        if described is not None and file[path].ndim == len(described.dims):
            yield from ((f"dataset {path}", *axis) for axis in zip(described.dims, file[path].shape, strict=True))


def _datasets(file: h5py.File) -> list[str]:
    paths: list[str] = []
    file.visititems(lambda path, item: paths.append(path) if isinstance(item, h5py.Dataset) else None)
    return [path for path in paths if path.split("/")[0] != PROVENANCE]


def column_units(file: h5py.File, path: str = CATALOG) -> dict[str, str]:
    """Return the units of the columns of a table, read from the header that astropy stores beside it."""
    lines = [line.decode() for line in file[f"{path}.__table_column_meta__"]]
    header = get_header_from_yaml(lines)
    return {column["name"]: str(column.get("unit", "")) for column in header["datatype"]}


def _catalog_faults(file: h5py.File, schema: Schema) -> Iterator[str]:
    if CATALOG not in file or not isinstance(file[CATALOG], h5py.Dataset):
        yield "the table /catalog is missing"
        return
    table = file[CATALOG]
    units = column_units(file)
    for field in schema.columns:
        if field.name not in (table.dtype.names or ()):
            if field.required:
                yield f"column {field.name} is missing ({field.description})"
            continue
        yield from _column_faults(field, table, units)


def _column_faults(field: Field, table: h5py.Dataset, units: dict[str, str]) -> Iterator[str]:
    base, shape = table.dtype[field.name].base, table.dtype[field.name].shape
    for fault in field.faults(base, units.get(field.name), len(shape)):
        yield f"column {fault}"
