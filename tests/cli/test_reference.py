"""The generated reference of verbs and settings: up to date, and complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from astropipe.cli.reference import write
from astropipe.cli.verbs import VERBS, Verb

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    write(tmp_path / "settings.md")
    assert PAGE.read_text(encoding="utf-8") == (tmp_path / "settings.md").read_text(encoding="utf-8"), (
        "docs/settings.md differs from the code: run make generate"
    )


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.section)
def test_every_verb_is_there(verb: Verb) -> None:
    assert f"\n## {verb.stage} {verb.name}\n\n{verb.summary}\n" in PAGE.read_text(encoding="utf-8")
