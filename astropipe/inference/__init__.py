"""Posteriors: cosmological backgrounds, likelihoods of real data, priors, and nested sampling.

`sample` runs nested sampling for any likelihood and prior; `problem` gives a registered problem by name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropipe.inference.nested import sample
    from astropipe.inference.priors import Prior
    from astropipe.inference.problems import Problem, problem, problem_names
    from astropipe.inference.results import NestedResult

# Where each public name lives; loaded at first use (PEP 562), because dynesty and scipy take a second to import.
_HOMES = {
    "NestedResult": "results",
    "Prior": "priors",
    "Problem": "problems",
    "problem": "problems",
    "problem_names": "problems",
    "sample": "nested",
}

__all__ = ["NestedResult", "Prior", "Problem", "problem", "problem_names", "sample"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
