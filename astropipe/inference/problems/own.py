"""Problems in a Python file of the user's: ``path/to/file.py:function``, without a change of astropipe."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astropipe.config.base import nearest
from astropipe.runtime.errors import InputError, UsageError

SEPARATOR = ".py:"


def is_own(name: str) -> bool:
    """Return whether the name of a problem points into a file."""
    return SEPARATOR in name


def own_factory(name: str) -> tuple[Callable[..., Any], Path]:
    """Return the function that ``path/to/file.py:function`` names, and the path of its file.

    The file is imported as a module of its own name, with its folder at the end of the search path, so that worker
    processes find its functions too.

    Raises
    ------
    UsageError
        If the file has no such function, or its name is that of another module.
    InputError
        If the file is missing, or importing it fails.
    """
    stem, _, function = name.rpartition(SEPARATOR)
    path = Path(f"{stem}.py").resolve()
    module = _import(path)
    factory = getattr(module, function, None)
    if not callable(factory):
        functions = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == path.stem]
        raise UsageError(f"{path} has no function {function!r}; {nearest(function, functions)}")
    return factory, path


def _import(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file; a problem of your own is path/to/file.py:function")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        module = importlib.import_module(path.stem)
    except Exception as error:  # whatever the code of the user raises
        raise InputError(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != path:
        raise UsageError(f"{path}: another module is called {path.stem!r} ({found or 'built in'}); rename the file")
    return module
