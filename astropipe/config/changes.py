"""Sections of the configuration with the changes of a job, and what is left of them on a command line."""

from __future__ import annotations

from typing import Any, TypeVar

from astropipe.config.base import Section
from astropipe.config.loading import merge, validate_section
from astropipe.runtime.run import as_options

_S = TypeVar("_S", bound=Section)


def changed(base: _S, changes: dict[str, Any], where: str) -> _S:
    """Return settings with some changes.

    Raises
    ------
    ConfigError
        If they name an unknown key or a value that does not fit; `where` is the path of the changes, for messages.
    """
    return validate_section(type(base), merge(base.model_dump(), changes), "the configuration", f"{where}.")


def as_job_options(where: str, settings: Section) -> str:
    """Write what differs from the defaults as ``--set`` options for a shell; ``where`` is the path of the section."""
    return as_options(where, settings.model_dump(exclude_defaults=True))
