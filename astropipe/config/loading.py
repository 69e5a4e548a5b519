"""From YAML files and ``--set key=value`` to one validated configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from astropipe.config.base import Section, nearest, unknown_keys
from astropipe.config.root import Config
from astropipe.runtime.errors import ConfigError

_S = TypeVar("_S", bound=Section)


_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """A loader that refuses a key given twice and reads 1e-3 as a number.

    YAML would silently take the last of two values; YAML 1.1, which PyYAML reads, takes 1e-3 for a text.
    """


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = []
    for key_node, _ in node.value:
        if key_node.tag == _MERGE:
            continue
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise ConfigError(f"line {key_node.start_mark.line + 1}: key {key!r} is given twice; keep one")
        seen.append(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises
    ------
    ConfigError
        If it is missing, is no YAML, gives a key twice, or holds something else than a mapping.
    """
    try:
        with path.open(encoding="utf-8") as file:
            values = yaml.load(file, _Loader)
    except OSError as error:
        raise ConfigError(f"cannot read configuration {path}: {error.strerror}; check --config") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {path} is not valid YAML: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"configuration {path}, {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"configuration {path} must hold keys and values, not {type(values).__name__}")
    return values


def parse_setting(text: str) -> tuple[list[str], Any]:
    """Split ``stage.section.key=value`` into its keys and its value, which is read as YAML.

    Raises
    ------
    ConfigError
        If there is no ``=``, an empty key, or the value is no YAML.
    """
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set takes stage.key=value, for example nbody.integrate.mu=0.01, not {text!r}")
    try:
        return keys, yaml.load(value, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: the value is not valid YAML: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"--set {text!r}, {error}") from None


def _put(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = tree.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {'.'.join(keys)}: {key} is a value, not a section")
        tree = inner
    tree[keys[-1]] = value


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with changes laid over it, section by section."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def resolve(values: Mapping[str, Any], source: str = "the configuration") -> Config:
    """Validate a tree of settings and fill in the defaults.

    Raises
    ------
    ConfigError
        Naming every key that is unknown, with the nearest valid one, and every value that does not fit.
    """
    return validate_section(Config, values, source)


def validate_section(model: type[_S], values: Mapping[str, Any], source: str, prefix: str = "") -> _S:
    """Validate the settings of one section; see `resolve`."""
    if unknown := list(unknown_keys(model, values, prefix)):
        raise ConfigError(f"{source}: " + "; ".join(unknown))
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{source}: " + "; ".join(_explain(error, prefix))) from error


def _explain(error: ValidationError, prefix: str) -> Iterable[str]:
    for fault in error.errors():
        key = prefix + ".".join(str(part) for part in fault["loc"])
        yield f"{key} = {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def load(files: Iterable[Path] = (), settings: Iterable[str] = ()) -> Config:
    """Read configuration files, later ones over earlier ones, and ``--set`` options over them all.

    Raises
    ------
    ConfigError
        See `read_yaml`, `parse_setting` and `resolve`.
    """
    values: dict[str, Any] = {}
    sources = []
    for path in files:
        values = merge(values, read_yaml(Path(path)))
        sources.append(str(path))
    for text in settings:
        keys, value = parse_setting(text)
        _put(values, keys, value)
        sources.append("--set")
    return resolve(values, " + ".join(dict.fromkeys(sources)) or "the configuration")


def section(config: Section, path: str) -> Any:
    """Return a part of the configuration by its dotted path, for example ``"nbody.integrate"``.

    Raises
    ------
    ConfigError
        If there is no such part; the message names the nearest.
    """
    value: Any = config
    for key in path.split(".") if path else []:
        names = type(value).model_fields if isinstance(value, Section) else {}
        if key not in names:
            raise ConfigError(f"there is no {path!r} in the configuration; {nearest(key, names)}")
        value = getattr(value, key)
    return value
