"""Options of a problem against the signature of its factory: names, types and limits, before anything is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from astropipe.config.base import nearest
from astropipe.runtime.errors import UsageError

# Strict: a text is no number and a number no text, so that a slip in a configuration is found and not interpreted.
_RULES = ConfigDict(arbitrary_types_allowed=True, strict=True)


def check_options(name: str, factory: Callable[..., Any], options: Mapping[str, object]) -> None:
    """Check the options of the problem `name` against the annotations of its factory.

    An annotation ``Annotated[type, Field(..., description="what is allowed")]`` adds limits, and words for messages.

    Raises
    ------
    UsageError
        If an option is unknown, missing, or not of its type or within its limits. The message names it, what was
        given, and what is allowed.
    """
    parameters = inspect.signature(factory).parameters
    for key in options:
        if key not in parameters:
            advice = nearest(key, parameters) if parameters else "it has none"
            raise UsageError(f"problem {name!r} has no option {key!r}; {advice}")
    annotations = get_type_hints(factory, include_extras=True)
    for key, parameter in parameters.items():
        annotation = annotations.get(key, Any)
        if key in options:
            _check_value(name, key, options[key], annotation)
        elif parameter.default is inspect.Parameter.empty:
            raise UsageError(f"problem {name!r} needs the option {key}: {_allowed(annotation)}")


def _check_value(name: str, key: str, value: object, annotation: Any) -> None:
    try:
        TypeAdapter(annotation, config=_RULES).validate_python(value)
    except ValidationError as error:
        place, found = _fault(key, value, error.errors(include_url=False)[0]["loc"])
        raise UsageError(
            f"problem {name!r}: option {place} = {found!r} does not fit; {key} is {_allowed(annotation)}"
        ) from error


def _fault(key: str, value: object, location: tuple[int | str, ...]) -> tuple[str, object]:
    """Return the path and the value at fault; `location` also holds steps into types, at which the path ends."""
    place = key
    for step in location:
        if isinstance(value, Mapping) and step in value:
            place, value = f"{place}.{step}", value[step]
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(step, int):
            place, value = f"{place}[{step}]", value[step]
        else:
            break
    return place, value


def _allowed(annotation: Any) -> str:
    """Return what an annotation allows: its description, or the type itself."""
    if get_origin(annotation) is Annotated:
        base, *extras = get_args(annotation)
        described = [extra.description for extra in extras if isinstance(extra, FieldInfo) and extra.description]
        return described[0] if described else _allowed(base)
    return inspect.formatannotation(annotation)
