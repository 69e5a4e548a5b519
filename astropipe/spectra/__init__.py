"""Stage 2, stars: from medium-resolution spectra to seventeen labels with uncertainties.

`read_spectra` reads LAMOST files, tables and arrays; `measure` reads labels from them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropipe.spectra.catalog import measure
    from astropipe.spectra.fitting import read_fitter
    from astropipe.spectra.flags import SpectrumFlag
    from astropipe.spectra.readers import read_observations as read_spectra

# Where each public name lives, and its name there; loaded at first use (PEP 562): torch takes seconds to import.
_HOMES = {
    "SpectrumFlag": ("flags", "SpectrumFlag"),
    "measure": ("catalog", "measure"),
    "read_fitter": ("fitting", "read_fitter"),
    "read_spectra": ("readers", "read_observations"),
}

__all__ = ["SpectrumFlag", "measure", "read_fitter", "read_spectra"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _HOMES[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), there)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
