"""``astropipe spectra fetch``: not a verb, for it writes a folder of files from the network, and no artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from astropipe.cli import log
from astropipe.cli.stages import ConfigFiles, LogFile, Quiet, Settings, Verbose

_EPILOG = (
    "Settings: astropipe config show spectra.fetch. The token of your account at lamost.org is read from the "
    "environment variable LAMOST_TOKEN."
)


def add(group: typer.Typer) -> None:
    """Add the command to the group of the spectra stage."""
    group.command(epilog=_EPILOG)(fetch)


def fetch(
    table: Annotated[
        Path, typer.Argument(help="Table with a column of observation numbers: CSV, ECSV, FITS, VOTable.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to fill; what is there is kept.")],
    config: ConfigFiles = None,
    set_: Settings = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Download medium-resolution spectra of LAMOST, with checksums."""
    from astropipe.config import load
    from astropipe.runtime import interruption
    from astropipe.spectra import fetching

    log.configure(quiet=quiet, verbose=verbose, file=log_file)
    settings = load(config or [], set_ or []).spectra.fetch
    with interruption.listening():
        summary = fetching.fetch(table, output, settings, complain=log.complain, quiet=quiet)
    log.say(f"{output}: {summary}")
