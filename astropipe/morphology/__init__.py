"""Stage 3, galaxies: unsupervised classes from images, with an agreement score for each.

`stamps_from_arrays` makes stamps of pictures, `classify_galaxies` gives them classes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropipe.morphology.catalog import classify_galaxies
    from astropipe.morphology.classification import Settings
    from astropipe.morphology.flags import GalaxyFlag
    from astropipe.morphology.measures import measure
    from astropipe.morphology.rendering.survey import Survey, simulate
    from astropipe.morphology.sources import stamps_from_arrays
    from astropipe.morphology.stamps import Stamps

# Where each public name lives; loaded at first use (PEP 562): torch takes seconds to import.
_HOMES = {
    "GalaxyFlag": "flags",
    "Settings": "classification",
    "Stamps": "stamps",
    "Survey": "rendering.survey",
    "classify_galaxies": "catalog",
    "measure": "measures",
    "simulate": "rendering.survey",
    "stamps_from_arrays": "sources",
}

__all__ = [
    "GalaxyFlag",
    "Settings",
    "Stamps",
    "Survey",
    "classify_galaxies",
    "measure",
    "simulate",
    "stamps_from_arrays",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
