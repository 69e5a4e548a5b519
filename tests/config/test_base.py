"""What all sections share."""

from __future__ import annotations

import pytest
from pydantic import Field

from astropipe.config.base import Section, nearest, unknown_keys


class _Inner(Section):
    width: int = Field(1, description="some")


class _Outer(Section):
    inner: _Inner = Field(_Inner(), description="some")
    named: dict[str, _Inner] = Field({}, description="some")
    free: dict[str, int] = Field({}, description="some")


@pytest.mark.parametrize(
    ("name", "valid", "advice"),
    [
        ("widt", ["width", "height"], "did you mean 'width'?"),
        ("colour", ["width", "height"], "valid here: width, height"),
        ("any", [], "no keys are valid here"),
    ],
)
def test_advice_on_a_name(name: str, valid: list[str], advice: str) -> None:
    assert nearest(name, valid) == advice


def test_unknown_keys_are_found_in_sections_and_in_mappings_of_sections_only() -> None:
    values = {"inner": {"a": 1}, "named": {"first": {"width": 1}, "second": {"b": 1}}, "free": {"c": 1}, "d": 1}
    assert [message.split(";")[0] for message in unknown_keys(_Outer, values)] == [
        "unknown key inner.a",
        "unknown key named.second.b",
        "unknown key d",
    ]
