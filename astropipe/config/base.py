"""What all configuration models share: no unknown keys, immutable, every field described."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the configuration. Every field has a description, which the generated YAML shows as a comment."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return advice on a name that is not valid: the nearest one, or all of them."""
    names = list(valid)
    if near := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {near[0]!r}?"
    return f"valid here: {', '.join(names)}" if names else "no keys are valid here"


def section_type(annotation: Any) -> type[Section] | None:
    """Return the section class that an annotation stands for, or None for plain values."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return None


def unknown_keys(model: type[Section], values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield a message for every key, at any depth, that the model does not have."""
    for key, value in values.items():
        field = model.model_fields.get(key)
        if field is None:
            yield f"unknown key {prefix}{key}; {nearest(str(key), model.model_fields)}"
            continue
        if not isinstance(value, Mapping):
            continue
        if inner := section_type(field.annotation):
            yield from unknown_keys(inner, value, f"{prefix}{key}.")
        elif inner := _mapping_of_sections(field.annotation):
            for name, entry in value.items():
                if isinstance(entry, Mapping):
                    yield from unknown_keys(inner, entry, f"{prefix}{key}.{name}.")


def _mapping_of_sections(annotation: Any) -> type[Section] | None:
    arguments = get_args(annotation)
    return section_type(arguments[1]) if len(arguments) == 2 else None
