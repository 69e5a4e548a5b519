"""Small artifacts of every kind, made from the schemas themselves, and what tests of several packages share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.table import Column, QTable

from astropipe.artifacts import ArtifactWriter, schema
from astropipe.artifacts.schemas import AXIS_LENGTHS, Field

ROOT = Path(__file__).resolve().parents[1]
Write = Callable[..., Path]
Python = Callable[..., subprocess.CompletedProcess[str]]


def column(field: Field, rows: int) -> Any:
    """Return a column that fits a field, its rows all different (but for booleans)."""
    numbers = np.arange(rows)
    match field.kind:
        case "text":
            return Column([f"{field.name}-{number}" for number in numbers])
        case "bool":
            return Column(numbers % 2 == 0)
        case "int":
            return Column(numbers.astype(np.int64))
    values = 0.5 + numbers
    return values * units.Unit(field.unit) if field.unit else Column(values)


def table(kind: str, rows: int = 3) -> QTable:
    """Return a table with all columns that a kind describes."""
    return QTable({field.name: column(field, rows) for field in schema(kind).columns})


def fill(artifact: ArtifactWriter, rows: int = 3) -> None:
    """Write the least that the schema of an artifact asks for."""
    kind = artifact.schema
    if kind.columns:
        artifact.write_table(table(kind.kind, rows))
    lengths = {name: 2 + i for i, name in enumerate(dict.fromkeys(n for f in kind.datasets for n in f.dims))}
    lengths.update(AXIS_LENGTHS)
    if kind.rows:
        lengths[kind.rows] = rows
    for field in kind.datasets:
        path = field.name.replace("*", "first")
        if field.kind == "text":
            artifact.write_text(path, '{"layers": [1, 2]}')
            continue
        shape = tuple(lengths[name] for name in field.dims) or (2, 3)
        dtype = {"float": np.float64, "int": np.int64, "bool": np.bool_}[field.kind]
        artifact.write_array(path, np.arange(np.prod(shape)).reshape(shape).astype(dtype), unit=field.unit)
    plain = {"float": 0.25, "int": 4, "bool": True, "text": "some"}
    for field in kind.attributes:
        path, name = field.name.split("@")
        artifact.write_attributes(path, {name: plain[field.kind]})
