"""``astropipe doctor`` and ``astropipe cite``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(doctor)
    app.command()(cite)


def doctor(
    folder: Annotated[Path, typer.Argument(help="Folder on which file locking is tried.")] = Path(),
) -> None:
    """Report versions, threads, GPU, file locking and SLURM, and what to do about each problem."""
    from astropipe.runtime.diagnosis import diagnose

    findings = diagnose(folder)
    for finding in findings:
        print(f"{'ok  ' if finding.advice == '' else 'look'}  {finding.subject:20s}{finding.state}")
        if finding.advice:
            print(f"{'':26s}-> {finding.advice}")
    if any(finding.fatal for finding in findings):
        raise typer.Exit(1)


def cite(
    files: Annotated[list[Path] | None, typer.Argument(help="Artifacts; none: astropipe itself.")] = None,
) -> None:
    """Print in BibTeX what to cite for artifacts, their inputs included."""
    from astropipe.artifacts.citations import bibtex, citations

    print(bibtex(citations(files or [])))
