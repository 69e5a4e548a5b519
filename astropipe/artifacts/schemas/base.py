"""The language in which artifact kinds are described: columns, datasets, schemas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

Kind = Literal["float", "int", "bool", "text"]

AXIS_LENGTHS = {"xyz": 3}

_NUMPY_KINDS: dict[Kind, str] = {"float": "f", "int": "iu", "bool": "b", "text": "SUO"}


@dataclass(frozen=True)
class Field:
    """A column of a table or a dataset of its own.

    Parameters
    ----------
    name : str
        Column name, or path of the dataset in the file; a path may be a pattern (``weights/*``).
    description : str
        What it means, in one sentence.
    kind : {"float", "int", "bool", "text"}
        The kind of its values.
    unit : str or None
        Unit to which it must be convertible; None for quantities that have no unit.
    or_dimensionless : bool
        Whether a dimensionless value is accepted too (N-body units, G = 1).
    dims : tuple of str
        Names of its axes; for a column, those after the row axis. Axes of one name have one length in a file, see
        `AXIS_LENGTHS` for names that always have the same.
    required : bool
        Whether a file without it is incomplete.
    """

    name: str
    description: str
    kind: Kind = "float"
    unit: str | None = None
    or_dimensionless: bool = False
    dims: tuple[str, ...] = ()
    required: bool = True

    def matches(self, name: str) -> bool:
        """Return whether a path in a file is described by this field."""
        return fnmatchcase(name, self.name)

    def faults(self, dtype: Any, unit: str | None, ndim: int) -> Iterator[str]:
        """Yield what is wrong with a column or dataset of this dtype, unit and number of axes."""
        if dtype.kind not in _NUMPY_KINDS[self.kind]:
            yield f"{self.name}: holds {dtype}, should hold {self.kind}"
        if self.dims and ndim != len(self.dims):
            yield f"{self.name}: has {ndim} axes, should have {len(self.dims)} ({', '.join(self.dims)})"
        if self.unit is not None and not _unit_fits(unit, self.unit, self.or_dimensionless):
            yield f"{self.name}: has unit {unit or 'none'!r}, should be convertible to {self.unit!r}"


def _unit_fits(found: str | None, wanted: str, or_dimensionless: bool) -> bool:
    from astropy import units

    try:
        unit = units.Unit(found or "")
    except ValueError:
        return False
    if or_dimensionless and unit == units.dimensionless_unscaled:
        return True
    return bool(unit.is_equivalent(units.Unit(wanted)))


@dataclass(frozen=True)
class Schema:
    """One kind of artifact.

    Parameters
    ----------
    kind : str
        Its name, for example ``"stellar-catalog"``; the file says ``astropipe.stellar-catalog``.
    version : str
        ``major.minor``. A minor step only adds; a major step needs `astropipe.artifacts.migration`.
    description : str
        What the artifact is, in one sentence.
    columns : tuple of Field
        Columns of the table at ``/catalog``; empty where the kind has no catalog.
    datasets : tuple of Field
        Datasets by path.
    attributes : tuple of Field
        Attributes by path and name (``nested@logz``).
    rows : str
        The axis of the datasets along which the table has its rows; empty where none is.
    """

    kind: str
    version: str
    description: str
    columns: tuple[Field, ...] = ()
    datasets: tuple[Field, ...] = ()
    attributes: tuple[Field, ...] = ()
    rows: str = ""

    @property
    def id(self) -> str:
        """The value of the root attribute ``schema``."""
        return f"astropipe.{self.kind}"

    @property
    def major(self) -> int:
        """Major version."""
        return int(self.version.split(".")[0])

    @cached_property
    def required_datasets(self) -> tuple[Field, ...]:
        """Datasets without which a file is incomplete."""
        return tuple(field for field in self.datasets if field.required)

    def describe(self, path: str) -> Field | None:
        """Return the description of a dataset path, or None where the schema does not know it."""
        exact = (field for field in self.datasets if field.name == path)
        return next(exact, next((field for field in self.datasets if field.matches(path)), None))


def trained_model(kind: str, version: str, description: str) -> Schema:
    """Return the schema that all trained models share: weights, architecture, training, scores and domain."""
    return Schema(
        kind,
        version,
        description,
        columns=(
            Field("measure", "what was measured on held-out data", "text"),
            Field("value", "its value"),
            Field("unit", "unit of the value", "text"),
        ),
        datasets=(
            Field("weights/*", "trained parameters, one dataset each"),
            Field("architecture", "layers and sizes, as JSON", "text"),
            Field("training", "data, seeds, schedule and duration of the training, as JSON", "text"),
            Field("domain", "ranges of the inputs inside which the scores hold, as JSON", "text"),
        ),
    )
