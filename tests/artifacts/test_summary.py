"""`inspect`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small import Write, fill

from astropipe.artifacts import SCHEMAS, Provenance, create_artifact
from astropipe.artifacts.summary import describe


@pytest.mark.parametrize("kind", SCHEMAS)
def test_everything_an_artifact_holds_is_shown(kind: str, folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", kind)
    text = describe(path)
    assert text.startswith(f"{path}: A small {kind}\n")
    for field in SCHEMAS[kind].columns:
        assert f"    {field.name}" in text and field.description in text
    for field in SCHEMAS[kind].datasets:
        assert f"/{field.name.replace('*', 'first')}" in text
    for field in SCHEMAS[kind].attributes:
        assert field.name in text


def test_units_and_origin_are_shown(folder: Path, minimal: Write) -> None:
    (folder / "raw.csv").write_text("1")
    text = describe(minimal(folder / "a.h5", "stellar-catalog", inputs=(folder / "raw.csv",)))
    assert "t_eff [K]  float64  effective temperature" in text
    assert "rv [km / s]" in text
    assert "input       raw.csv (file) 6b86b273ff34fce1" in text, "the SHA-256 of the character 1"


def test_a_chunk_says_which_it_is(folder: Path, provenance: Provenance) -> None:
    for chunk, shown in (("3/20", True), ("", False)):
        path = folder / "a.h5"
        with create_artifact(path, "metrics", title="t", provenance=replace(provenance, chunk=chunk)) as artifact:
            fill(artifact)
        assert ("  chunk       3/20" in describe(path).splitlines()) is shown
