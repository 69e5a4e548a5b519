"""The errors that astropipe raises on purpose, each with the exit code that the command line returns.

Every message names the file, row or key at fault and says what to do about it.
"""

from __future__ import annotations


class AstropipeError(Exception):
    """Base of all deliberate errors; an error of this class itself means a bug in astropipe."""

    exit_code = 1


class UsageError(AstropipeError, ValueError):
    """The call itself is wrong: arguments, options or the configuration (exit code 2)."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration key or value is not valid (exit code 2)."""


class MissingDependencyError(UsageError, ImportError):
    """An optional library that this call needs is not installed (exit code 2)."""


class InputError(AstropipeError, ValueError):
    """The data given cannot be used: the message names the file, row or parameter (exit code 3)."""

    exit_code = 3


class ArtifactError(InputError):
    """An artifact is missing, of the wrong kind, incomplete, damaged or too new (exit code 3)."""


class OutputError(AstropipeError, OSError):
    """The result cannot be written: folder missing, not writable, or disk full (exit code 3)."""

    exit_code = 3


class QualityError(AstropipeError):
    """The run finished but its result misses the quality that was asked for (exit code 4)."""

    exit_code = 4


class InterruptedRunError(AstropipeError):
    """SIGTERM or SIGINT arrived; a checkpoint was written and the run can be resumed (exit code 77)."""

    exit_code = 77
