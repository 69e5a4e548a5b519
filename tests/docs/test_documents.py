"""What the documents say about the code is true: paths, links, settings, commands, tables."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
import yaml
from astropy.table import Table
from packaging.requirements import Requirement

from astropipe import __version__
from astropipe.artifacts import SCHEMAS
from astropipe.artifacts.citations import bibtex
from astropipe.cli.main import app
from astropipe.cli.verbs import VERBS
from astropipe.config import Config, section
from astropipe.inference.datasets import SHIPPED
from astropipe.runtime import errors

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "data/README.md",
    *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
    *(f"docs/models/{path.name}" for path in (ROOT / "docs" / "models").glob("*.md")),
]
FOLDERS = "astropipe|tests|workflows|profiles|data|docs|benchmarks"


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors that the headings of a page get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text(page)):
        linked = (ROOT / page).parent / target if target else ROOT / page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_are_named_exist(page: str) -> None:
    for path in re.findall(rf"`((?:{FOLDERS})/[a-z\d_./-]*)`", text(page)):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES)
def test_settings_that_are_set_exist(page: str) -> None:
    for path in re.findall(r"--set '?([a-z]+\.[\w.]+)=", text(page)):
        if not path.startswith("stage."):
            section(Config(), path)


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", text(page), re.MULTILINE):
        assert target in targets, target


def test_the_table_of_verbs_is_complete() -> None:
    rows = re.findall(r"^\| `(\w+ \w+)` \| (.+?) \| (.+?) \| (yes|no) \|$", text("docs/cli.md"), re.MULTILINE)
    counts = {"none": "nothing", "at most one": "nothing, or one ", "one": "one ", "many": "one or more "}
    assert [row[0] for row in rows] == [f"{verb.stage} {verb.name}" for verb in VERBS]
    for verb, (_, reads, writes, chunked) in zip(VERBS, rows, strict=True):
        joined = (" or " if verb.count == "one" else ", ").join(f"`{kind}`" for kind in verb.inputs)
        assert reads.startswith(counts[verb.count] + joined)
        assert writes.replace("`", "") == verb.output
        assert (chunked == "yes") == verb.chunked


def test_the_kinds_that_no_verb_writes_are_named() -> None:
    written = {kind for verb in VERBS for kind in verb.output.split(" or ")}
    (sentence,) = re.findall(r"No verb of this version writes (.*?):", text("docs/cli.md"), re.DOTALL)
    assert re.findall(r"`([\w-]+)`", sentence) == [kind for kind in SCHEMAS if kind not in written]


def test_every_command_and_option_has_a_row() -> None:
    page = text("docs/cli.md")
    root = typer.main.get_command(app)
    commands = root.commands  # type: ignore[attr-defined]
    stages = {verb.stage for verb in VERBS} | {"config"}
    for name in [*(set(commands) - stages), *(f"config {name}" for name in commands["config"].commands)]:
        assert re.search(rf"^\| `{name}[ `]", page, re.MULTILINE), name
    for option in commands["nbody"].commands["integrate"].params:
        for name in option.opts:
            assert not name.startswith("--") or re.search(rf"^\| `{name}[ `]", page, re.MULTILINE), name


def test_every_exit_code_has_a_row() -> None:
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.AstropipeError)]
    rows = re.findall(r"^\| (\d+) \|", text("docs/cli.md"), re.MULTILINE)
    assert {str(cls.exit_code) for cls in classes} | {"0", "130"} == set(rows)


@pytest.mark.parametrize("settings", ["tiny.yaml", "default.yaml", "paper.yaml"])
def test_the_numbers_of_jobs_are_right(settings: str, tmp_path: Path) -> None:
    label = "default" if settings == "default.yaml" else f"`workflows/config/{settings}`"
    (row,) = re.findall(rf"^\| {re.escape(label)} \| (\d+) \| (\d+) \|$", text("docs/workflow.md"), re.MULTILINE)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--dry-run",
        "--quiet",
        "rules",
    ]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(
        [*command, "--configfile", str(ROOT / "workflows" / "config" / settings)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    counts = dict(re.findall(r"^(\w+) +(\d+)$", run.stdout + run.stderr, re.MULTILINE))
    assert (counts["total"], counts["nbody_integrate"]) == row


def test_every_direct_dependency_has_its_line() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    listed = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    rows = "\n".join(re.findall(r"^\|.*$", text("docs/dependencies.md"), re.MULTILINE)).lower()
    cells = {name.strip() for cell in rows.split("|") for name in cell.split(",")}
    names = {Requirement(line).name.lower() for line in listed}
    assert names <= cells, names - cells


def test_every_data_set_has_a_true_row() -> None:
    rows = re.findall(r"^\| `(\S+)` \| (\d+) \|.*\| (.*?) \|$", text("data/README.md"), re.MULTILINE)
    for name, count, _ in rows:
        path = ROOT / "data" / name
        files = [path] if path.is_file() else [f for f in path.glob("*.ecsv") if not f.stem.endswith("-covariance")]
        assert [len(Table.read(file)) for file in files] == [int(count)], name
    assert {name.split("/")[0] for name, _, _ in rows} == {
        path.parent.name for path in (ROOT / "data").glob("*/*.ecsv")
    }
    last = " ".join(row[2] for row in rows)
    assert {name for name in SHIPPED if f"`{name}`" in last} == set(SHIPPED)


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == __version__
    assert tomllib.loads(text("pyproject.toml"))["project"]["version"] == __version__
    assert f"{{{__version__}}}" in bibtex(["astropipe"])
    assert __version__ in text("CHANGELOG.md")
