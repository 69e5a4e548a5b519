"""Commands on artifacts of any kind: verify, inspect, export, plot, merge, migrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from astropipe.cli import log
from astropipe.runtime.errors import UsageError

Files = Annotated[list[Path], typer.Argument(help="Artifacts.")]
OneFile = Annotated[Path, typer.Argument(help="An artifact.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing output.")]


def add(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (verify, inspect, export, plot, merge, migrate):
        app.command()(command)


def verify(
    files: Files,
    search: Annotated[
        list[Path] | None, typer.Option(help="Further folder in which inputs may lie; repeatable.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="An input that is not found is a fault too.")] = False,
) -> None:
    """Recompute hashes and walk the chain of inputs back to the first."""
    from astropipe.artifacts.verification import verify as check

    findings = check(files, search or [])
    for finding in findings:
        print(f"{finding.state:8s}{'  ' * finding.depth}{finding.message or finding.path}")
    sound, damaged, missing = (
        sum(finding.state == state for finding in findings) for state in ("ok", "damaged", "missing")
    )
    print(f"{sound + damaged} files: {sound} sound, {damaged} faulty, {missing} inputs not found")
    if damaged or (strict and missing):
        raise typer.Exit(3)


def inspect(files: Files) -> None:
    """Show kind, columns, datasets and provenance."""
    from astropipe.artifacts.summary import describe

    for path in files:
        print(describe(path))


def export(
    file: OneFile,
    to: Annotated[str, typer.Option("--to", help="fits, votable, csv, ecsv, markdown, getdist or arviz.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; for getdist the root of three files.")
    ] = None,
    table: Annotated[str, typer.Option(help="Path of the table in the artifact.")] = "catalog",
    force: Force = False,
) -> None:
    """Write an artifact in a format of other tools."""
    from astropipe.artifacts.export import export as write

    for path in write(file, to, output, table=table, force=force):
        log.say(str(path))


def plot(
    files: Annotated[list[Path] | None, typer.Argument(help="Artifacts.", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")] = None,
    figure: Annotated[str, typer.Option(help="Which figure; default: the first that fits the kind.")] = "",
    listing: Annotated[bool, typer.Option("--list", help="List the figures and exit.")] = False,
) -> None:
    """Draw a figure of one or more artifacts (PNG, PDF or SVG by the ending of the output)."""
    from astropipe.plots import FIGURES, draw

    if listing:
        for name, drawing in FIGURES.items():
            print(f"{name:24s}{', '.join(drawing.kinds):32s}{drawing.summary}")
        return
    if not files or output is None:
        raise UsageError("plot needs an artifact and --output; astropipe plot --list shows the figures")
    draw(files, output, figure)
    log.say(str(output))


def merge(files: Files, output: Output, force: Force = False) -> None:
    """Join the catalogs of chunks into one, rows by id."""
    from astropipe.artifacts.merging import merge as join

    _may_write(output, force)
    log.say(f"{output}: {join(files, output)} rows")


def migrate(file: OneFile, output: Output, force: Force = False) -> None:
    """Write an artifact of an older major version as one of the present version."""
    from astropipe.artifacts.migration import migrate as convert

    _may_write(output, force)
    convert(file, output)
    log.say(str(output))


def _may_write(output: Path, force: bool) -> None:
    if output.exists() and not force:
        raise UsageError(f"{output} exists already; use --force to replace it, or choose another --output")
