"""The generated reference of artifact kinds: up to date, and complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from astropipe.artifacts import SCHEMAS
from astropipe.artifacts.reference import reference, write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "artifacts.md"


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    write(tmp_path / "artifacts.md")
    assert PAGE.read_text(encoding="utf-8") == (tmp_path / "artifacts.md").read_text(encoding="utf-8"), (
        "docs/artifacts.md differs from the schemas: run make generate"
    )


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_field_of_a_kind_is_there(kind: str) -> None:
    schema = SCHEMAS[kind]
    found = re.search(rf"^### {kind}\n(.*?)(?=^##|\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    section = found[1]
    assert f"`astropipe.{kind}`, version {schema.version}." in section
    rows = re.findall(r"^\| `(.+?)` \|.*\|$", section, re.MULTILINE)
    assert rows == [field.name for field in (*schema.columns, *schema.datasets, *schema.attributes)]
    optional = re.findall(r"^\| `(.+?)` \|.*\(\*optional\*\) \|$", section, re.MULTILINE)
    assert optional == [f.name for f in (*schema.columns, *schema.datasets, *schema.attributes) if not f.required]


def test_rows_have_as_many_cells_as_their_head() -> None:
    width = 0
    for line in reference().splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert not width or not cells or cells == width, line
        width = cells
