"""Posteriors: cosmological backgrounds, likelihoods of real data, priors, exact and emulated sampling.

`sample` gives the posterior and evidence of any likelihood and prior; `problem` gives a registered problem by name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropipe.inference.emulated import EmulatedResult
    from astropipe.inference.neuralike import NeuralikeResult
    from astropipe.inference.priors import Prior
    from astropipe.inference.problems import Problem, problem, problem_names
    from astropipe.inference.problems.external import ExternalLikelihood
    from astropipe.inference.results import NestedResult, PosteriorResult
    from astropipe.inference.sampling import sample

# Where each public name lives; loaded at first use (PEP 562), because dynesty and scipy take a second to import.
_HOMES = {
    "EmulatedResult": "emulated",
    "NestedResult": "results",
    "PosteriorResult": "results",
    "NeuralikeResult": "neuralike",
    "ExternalLikelihood": "problems.external",
    "Prior": "priors",
    "Problem": "problems",
    "problem": "problems",
    "problem_names": "problems",
    "sample": "sampling",
}

__all__ = [
    "EmulatedResult",
    "ExternalLikelihood",
    "NestedResult",
    "NeuralikeResult",
    "PosteriorResult",
    "Prior",
    "Problem",
    "problem",
    "problem_names",
    "sample",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
