"""``astropipe``: the entry point, and how errors become exit codes."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated, NoReturn

import typer

from astropipe import __version__
from astropipe.cli import fetching, files, log, settings, system
from astropipe.cli.stages import add_stages
from astropipe.runtime.errors import AstropipeError

app = typer.Typer(
    name="astropipe",
    help="Orbits, spectra, images and cosmological data to catalogs with honest uncertainties.",
    epilog="Exit codes: 0 done; 1 bug; 2 usage or configuration; 3 a file cannot be read or written; "
    "4 quality gate failed; 77 interrupted, a checkpoint was written: run again with --resume.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        print(f"astropipe {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


fetching.add(add_stages(app)["spectra"])
files.add(app)
system.add(app)
app.add_typer(settings.app, name="config")


def run() -> None:
    """Run the command line and exit with the code that the error at hand stands for."""
    # What an earlier call in this process asked for (--quiet, --log-file) holds for that call alone.
    log.configure()
    try:
        app()
    except AstropipeError as error:
        log.complain(f"error: {error}")
        if log.verbose():
            traceback.print_exc()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as end:
        # Typer has met these first and chosen a code.
        if end.code == 130:
            _interrupted()
        if isinstance(end.__context__, BrokenPipeError):
            # The reader of our output (head, less) has gone: nothing is wrong.
            sys.exit(0)
        raise
    except Exception:
        log.complain(traceback.format_exc())
        log.complain("error: this is a bug in astropipe; please report it with the lines above")
        sys.exit(1)


def _interrupted() -> NoReturn:
    log.complain("interrupted; no checkpoint was written")
    sys.exit(130)


if __name__ == "__main__":
    run()
