"""Names for the groups, from a table that somebody wrote after looking at the pictures, as the paper does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.morphology.classes import CLASSES, UNCLASSIFIED
from astropipe.runtime.errors import InputError

_NAMES = (*CLASSES, UNCLASSIFIED)


def read_group_classes(path: str | Path, n_groups: int) -> dict[int, str]:
    """Read which class each group is.

    Parameters
    ----------
    path : path
        YAML (``0: SPH`` in a line for each group) or ECSV with the columns ``group`` and ``class``.
    n_groups : int
        Groups that must have a class.

    Returns
    -------
    dict of int to str
        Class of each group, by its number from 0.

    Raises
    ------
    InputError
        If the file cannot be read, a group is missing, named twice or unknown, or a class is not known.
    """
    path = Path(path)
    try:
        pairs = _yaml_pairs(path) if path.suffix.lower() in (".yaml", ".yml") else _table_pairs(path)
    except InputError:
        raise
    except Exception as error:  # both readers raise many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: not readable ({reason}); write YAML with a line '0: SPH' for each group, or ECSV with the "
            "columns group and class"
        ) from error
    classes: dict[int, str] = {}
    for group, name in pairs:
        if not isinstance(group, int) or isinstance(group, bool) or not 0 <= group < n_groups:
            raise InputError(f"{path}: {group!r} is no group; they are numbered from 0 to {n_groups - 1}")
        if group in classes:
            raise InputError(f"{path}: group {group} stands there twice; leave one")
        if name not in _NAMES:
            raise InputError(f"{path}: group {group} is {name!r}; choose from {', '.join(_NAMES)}")
        classes[group] = name
    lacking = sorted(set(range(n_groups)) - set(classes))
    if lacking:
        raise InputError(
            f"{path}: no class for group {', '.join(map(str, lacking))}; add it, {UNCLASSIFIED} if none fits"
        )
    return classes


def name_groups(groups: NDArray[np.int64], kept: NDArray[np.bool_], classes: Mapping[int, str]) -> NDArray[np.str_]:
    """Return the class of each galaxy, shape (n,): that of its group if it was kept, else unclassified."""
    names = np.array([classes[group] for group in range(len(classes))])
    return np.where(kept, names[groups], UNCLASSIFIED)


class _UniqueLoader(yaml.SafeLoader):
    """Keeps pairs apart: a key that stands there twice is an error, not the last one's."""


def _pairs(loader: yaml.SafeLoader, node: yaml.MappingNode) -> list[tuple[Any, Any]]:
    return [(loader.construct_object(key), loader.construct_object(value)) for key, value in node.value]


_UniqueLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _pairs)


def _yaml_pairs(path: Path) -> list[tuple[Any, Any]]:
    with path.open(encoding="utf-8") as file:
        # A safe loader, see above.
        pairs = yaml.load(file, Loader=_UniqueLoader)
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise InputError(f"{path}: write a line '0: SPH' for each group")
    return pairs


def _table_pairs(path: Path) -> list[tuple[Any, Any]]:
    table = Table.read(path, format="ascii.ecsv")
    lacking = [name for name in ("group", "class") if name not in table.colnames]
    if lacking:
        raise InputError(f"{path}: no column {' and '.join(lacking)}; it needs group and class")
    return list(zip(table["group"].tolist(), table["class"].tolist(), strict=True))
