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
    folder: Annotated[Path, typer.Argument(help="Folder in which writing and file locking are tried.")] = Path(),
) -> None:
    """Report versions, threads, GPU, the state of a folder and SLURM, and what to do about each problem."""
    from astropipe.runtime.diagnosis import diagnose
    from astropipe.runtime.errors import OutputError

    findings = diagnose(folder)
    for finding in findings:
        print(f"{'ok  ' if finding.advice == '' else 'look'}  {finding.subject:20s}{finding.state}")
        if finding.advice:
            print(f"{'':26s}-> {finding.advice}")
    if any(finding.fatal for finding in findings):
        raise typer.Exit(OutputError.exit_code)


def cite(
    files: Annotated[list[Path] | None, typer.Argument(help="Artifacts; none: astropipe itself.")] = None,
) -> None:
    """Print in BibTeX what to cite for artifacts, their inputs included."""
    from astropipe.artifacts.citations import bibtex, citations

    print(bibtex(citations(files or [])))
