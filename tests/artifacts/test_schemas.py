"""The language of schemas, and what house.md promises of the kinds."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.artifacts.schemas import SCHEMAS, Field, schema
from astropipe.runtime.errors import UsageError

KINDS = {
    *("systems", "policy", "trajectories", "triples-catalog", "cluster-snapshots", "spectra", "spectral-network"),
    *("box-snapshots", "flow-statistics"),
    *("synthetic-grid", "spectrum-emulator"),
    *("stellar-catalog", "stamps", "encoder", "galaxy-features", "morphology-catalog"),
    *("posterior", "sirens", "metrics"),
}


def test_every_kind_of_the_contract_has_a_schema() -> None:
    assert set(SCHEMAS) == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_names_are_unique_and_described(kind: str) -> None:
    described = schema(kind)
    for fields in (described.columns, described.datasets, described.attributes):
        assert len({field.name for field in fields}) == len(fields)
        assert all(field.description for field in fields)


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'triples-catalog'"):
        schema("triple-catalog")


@pytest.mark.parametrize(
    ("dtype", "kind", "fits"),
    [
        ("f8", "float", True),
        ("i8", "float", False),
        ("u2", "int", True),
        ("?", "bool", True),
        ("i8", "bool", False),
        ("S3", "text", True),
        ("f8", "text", False),
    ],
)
def test_a_field_checks_the_kind_of_values(dtype: str, kind: str, fits: bool) -> None:
    faults = list(Field("x", "some", kind).faults(np.dtype(dtype), None, 0))  # type: ignore[arg-type]
    assert (faults == []) is fits


@pytest.mark.parametrize(
    ("unit", "or_dimensionless", "fits"),
    [
        ("pc", False, True),
        ("kg", False, False),
        (None, False, False),
        ("", True, True),
        (None, True, True),
        ("kg", True, False),
        ("no unit", False, False),
    ],
)
def test_a_field_checks_the_unit_by_conversion(unit: str | None, or_dimensionless: bool, fits: bool) -> None:
    field = Field("x", "some", unit="au", or_dimensionless=or_dimensionless)
    assert (list(field.faults(np.dtype("f8"), unit, 0)) == []) is fits


def test_a_field_names_the_axes_it_should_have() -> None:
    (fault,) = Field("x", "some", dims=("system", "body")).faults(np.dtype("f8"), None, 1)
    assert "has 1 axes, should have 2 (system, body)" in fault


def test_an_exact_path_is_described_before_a_pattern() -> None:
    described = schema("posterior").describe("posterior/chain")
    assert described is not None and described.name == "posterior/chain"
    pattern = schema("posterior").describe("posterior/H0")
    assert pattern is not None and pattern.name == "posterior/*"
    assert schema("posterior").describe("nowhere") is None
