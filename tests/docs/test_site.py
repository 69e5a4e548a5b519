"""The documentation as a web site: it builds, and no link in it is broken."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    page = (tmp_path / "site" / "settings" / "index.html").read_text(encoding="utf-8")
    assert "nbody.simulate.n_systems" in page


def test_the_page_of_benchmarks_shows_the_tables_that_are_there() -> None:
    page = runpy.run_path(str(ROOT / "benchmarks" / "page.py"))["page"]()
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == page, "run make bench-page"


def test_every_table_is_on_the_page_of_benchmarks() -> None:
    commands = runpy.run_path(str(ROOT / "benchmarks" / "page.py"))["COMMANDS"]
    named = {name for of_stage in commands.values() for names in of_stage.values() for name in names} | {"machine"}
    assert {path.stem for path in (ROOT / "benchmarks" / "results").glob("*.md")} <= named
