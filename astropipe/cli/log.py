"""What the command line says, on standard error and in a log file."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from astropipe.runtime.errors import OutputError


@dataclass
class _State:
    quiet: bool = False
    verbose: bool = False
    file: Path | None = None


_state = _State()


def configure(*, quiet: bool = False, verbose: bool = False, file: Path | None = None) -> None:
    """Set how much is said, and a file to which everything said is appended.

    Raises
    ------
    OutputError
        If the log file cannot be opened.
    """
    _state.quiet, _state.verbose, _state.file = quiet, verbose, None
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.open("a").close()
        except OSError as error:
            raise OutputError(f"cannot write log file {file}: {error.strerror}; choose another --log-file") from error
        _state.file = file


def say(message: str) -> None:
    """Say what was done."""
    _append(message)
    if not _state.quiet:
        print(message, file=sys.stderr)


def complain(message: str) -> None:
    """Say what went wrong, even when quiet."""
    _append(message)
    print(message, file=sys.stderr)


def verbose() -> bool:
    """Return whether tracebacks are wanted."""
    return _state.verbose


def _append(message: str) -> None:
    # What is said goes to standard error in any case: a log that can no longer be written must not end a run.
    if _state.file is not None:
        with suppress(OSError), _state.file.open("a", encoding="utf-8") as file:
            file.write(message + "\n")
