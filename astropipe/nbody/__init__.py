"""Orbits: few-body systems, integrators, outcomes.

Inputs: `saz_ulibarrena_triple`, `agekyan_anosova`, `plummer_sphere`, `named_system`, collected by `stack`.
Integration: `integrate` for one system, `integrate_batch` for many, with plain arrays or astropy Quantities; an
`Integration` can pause, be saved and go on. `from_rebound` and `to_rebound` exchange systems with REBOUND.
Boxes: `write_box_snapshots` writes particles of yours for the statistics of `astropipe.nbody.flow`.
Results: `classify` says who is bound to whom and who escapes, `triples_catalog` makes the table,
`total_energy` and its neighbours in `astropipe.nbody.conserved` check them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropipe.nbody.catalog import triples_catalog
    from astropipe.nbody.conserved import angular_momentum, to_barycentre, total_energy
    from astropipe.nbody.events import Event
    from astropipe.nbody.flow.boxes import write_box_snapshots
    from astropipe.nbody.integration import Integration, IntegrationResult, Options, integrate, integrate_batch
    from astropipe.nbody.outcomes import Outcome, classify
    from astropipe.nbody.policy import Policy, read_policy
    from astropipe.nbody.rebound_bridge import from_rebound, to_rebound
    from astropipe.nbody.systems import (
        agekyan_anosova,
        cold_start,
        named_system,
        named_systems,
        plummer_sphere,
        saz_ulibarrena_triple,
        saz_ulibarrena_triple_legacy,
        stack,
    )

# Where each public name lives; loaded at first use (PEP 562), because numba takes a second to import.
_HOMES = {
    "triples_catalog": "catalog",
    "angular_momentum": "conserved",
    "to_barycentre": "conserved",
    "total_energy": "conserved",
    "Event": "events",
    "Integration": "integration",
    "IntegrationResult": "integration",
    "Options": "integration",
    "integrate": "integration",
    "integrate_batch": "integration",
    "Outcome": "outcomes",
    "classify": "outcomes",
    "Policy": "policy",
    "read_policy": "policy",
    "from_rebound": "rebound_bridge",
    "to_rebound": "rebound_bridge",
    "agekyan_anosova": "systems",
    "cold_start": "systems",
    "named_system": "systems",
    "named_systems": "systems",
    "plummer_sphere": "systems",
    "saz_ulibarrena_triple": "systems",
    "saz_ulibarrena_triple_legacy": "systems",
    "stack": "systems",
    "write_box_snapshots": "flow.boxes",
}

__all__ = [
    "Event",
    "Integration",
    "IntegrationResult",
    "Options",
    "Outcome",
    "Policy",
    "agekyan_anosova",
    "angular_momentum",
    "classify",
    "cold_start",
    "from_rebound",
    "integrate",
    "integrate_batch",
    "named_system",
    "named_systems",
    "plummer_sphere",
    "read_policy",
    "saz_ulibarrena_triple",
    "saz_ulibarrena_triple_legacy",
    "stack",
    "to_barycentre",
    "to_rebound",
    "total_energy",
    "triples_catalog",
    "write_box_snapshots",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
