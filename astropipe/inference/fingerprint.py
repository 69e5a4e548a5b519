"""Identity of a likelihood, so that evaluations of one are never taken for those of another.

The digest covers what a callable *holds* (arrays, numbers, options, closures), walked structurally, because
pickled bytes of equal objects differ between processes. It does not cover the code behind a named function
or a method; `astropipe.inference.evaluator` therefore also recomputes a logged value when a run is resumed.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a likelihood is: a label for people, its parameters in order, and the digest of what it holds."""

    label: str
    names: tuple[str, ...]
    digest: str

    def __str__(self) -> str:
        return f"{self.label} of ({', '.join(self.names)}), digest {self.digest[:12]}"


def identify(log_likelihood: Callable[..., object], names: tuple[str, ...]) -> Identity:
    """Return the identity of a likelihood of the parameters `names`."""
    return Identity(_label(log_likelihood), names, content_digest((log_likelihood, names)))


def content_digest(value: object) -> str:
    """Return the SHA-256 of the content of `value`, the same in every process for equal content."""
    hasher = _Hasher()
    hasher.feed(value)
    return hasher.sha.hexdigest()


def _label(value: object) -> str:
    """Return module and qualified name of a function, a method's owner or an object's class."""
    if isinstance(value, functools.partial):
        return f"partial of {_label(value.func)}"
    if isinstance(value, types.MethodType):
        return f"{_label(value.__self__)}.{value.__name__}"
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(named, '__module__', None)}.{getattr(named, '__qualname__', '')}"


class _Hasher:
    """Walks an object and feeds its content to SHA-256, with type tags and lengths between the parts."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()
        self._open: set[int] = set()

    def feed(self, value: object) -> None:
        if id(value) in self._open:
            self._tag("cycle", 0)
            return
        self._open.add(id(value))
        try:
            self._feed(value)
        finally:
            self._open.discard(id(value))

    def _feed(self, value: object) -> None:
        match value:
            case None | bool() | int() | float() | complex() | str() | bytes() | np.generic():
                self._text(type(value).__name__, repr(value))
            case PurePath():
                # The folder differs between machines; the content is what the likelihood holds.
                self._text("path", value.name)
            case np.ndarray():
                self._text("array", f"{value.dtype.str}{value.shape}")
                self._parts("data", [value.tolist()] if value.dtype.hasobject else [value.tobytes()])
            case list() | tuple():
                self._parts(type(value).__name__, value)
            case Mapping():
                self._parts("mapping", [part for item in value.items() for part in item])
            case set() | frozenset():
                self._parts("set", sorted(content_digest(item) for item in value))
            case functools.partial():
                self._parts("partial", [value.func, value.args, value.keywords])
            case types.MethodType():
                self._parts("method", [value.__self__, value.__name__])
            case types.FunctionType():
                self._function(value)
            case type() | types.BuiltinFunctionType() | np.ufunc():
                self._text("named", _label(value))
            case _:
                self._parts(_label(value), [_state(value)])

    def _function(self, value: types.FunctionType) -> None:
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        self._parts(_label(value), [value.__defaults__, value.__kwdefaults__, cells])
        if "<" in value.__qualname__:
            # Lambdas and local functions share names; only their code tells them apart.
            self._code(value.__code__)

    def _code(self, code: types.CodeType) -> None:
        constants = [item for item in code.co_consts if not isinstance(item, types.CodeType)]
        self._parts("code", [code.co_code, constants, code.co_names])
        for item in code.co_consts:
            if isinstance(item, types.CodeType):
                self._code(item)

    def _tag(self, kind: str, size: int) -> None:
        self.sha.update(f"{kind}:{size};".encode())

    def _text(self, kind: str, text: str) -> None:
        data = text.encode()
        self._tag(kind, len(data))
        self.sha.update(data)

    def _parts(self, kind: str, parts: Sequence[object]) -> None:
        self._tag(kind, len(parts))
        for part in parts:
            self.feed(part)


def _state(value: object) -> dict[str, object]:
    """Return what an object holds: dataclass fields or attributes, without values cached on first use."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    kind = type(value)
    slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ()) if hasattr(value, name)]
    state = {name: getattr(value, name) for name in slots} | dict(getattr(value, "__dict__", {}))
    cached = {name for name in state if isinstance(getattr(kind, name, None), functools.cached_property)}
    return {name: state[name] for name in sorted(set(state) - cached)}
