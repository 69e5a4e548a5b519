"""How the loops of this stage are compiled: numba with strict IEEE arithmetic and a disk cache that is never stale."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import CellType, FunctionType
from typing import Any, TypeVar, cast

import numba
from numba.core.dispatcher import Dispatcher

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function at its first call, without fast-math, and keep the machine code on disk.

    Sums keep the order in which they are written, and a division by zero gives inf or NaN, as in IEEE 754.
    """
    return cast(F, numba.njit(cache=True, error_model="numpy")(_tied_to_callees(function)))


def inlined_kernel(function: F) -> F:
    """Compile like `kernel`, and merge the function into its callers: for what the loop over steps calls.

    A call hands over seven words per array, which for three bodies is comparable to the work itself.
    """
    return cast(F, numba.njit(cache=True, error_model="numpy", forceinline=True)(_tied_to_callees(function)))


def parallel_kernel(function: F) -> F:
    """Compile like `kernel`, with `numba.prange` loops shared between threads."""
    return cast(F, numba.njit(cache=True, error_model="numpy", parallel=True)(_tied_to_callees(function)))


def _tied_to_callees(function: Callable[..., Any]) -> FunctionType:
    """Return the function with a closure cell that holds a digest of all source files it is compiled from.

    numba looks only at the file of the function itself when it decides whether its cache is fresh, so a change
    in a kernel of another module would go unnoticed in its callers. Closure cells are part of numba's cache key.
    """
    assert isinstance(function, FunctionType)
    sources = sorted({Path(__file__), *_source_files(function, set())})
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    code = function.__code__
    tied = FunctionType(
        code.replace(co_freevars=(*code.co_freevars, "sources_digest")),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        (*(function.__closure__ or ()), CellType(digest)),
    )
    tied.__doc__, tied.__annotations__ = function.__doc__, function.__annotations__
    tied.__qualname__, tied.__module__ = function.__qualname__, function.__module__
    return tied


def _source_files(function: FunctionType, seen: set[FunctionType]) -> set[Path]:
    """Return the source files of a kernel and of the kernels it calls, directly or not."""
    seen.add(function)
    files = {Path(inspect.getfile(function))}
    for name in function.__code__.co_names:
        callee = function.__globals__.get(name)
        if isinstance(callee, Dispatcher) and callee.py_func not in seen:
            files |= _source_files(callee.py_func, seen)
    return files
