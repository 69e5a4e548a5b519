"""Every kind of artifact, by name."""

from __future__ import annotations

import difflib

from astropipe.artifacts.schemas import clusters, flow, inference, morphology, nbody, spectra
from astropipe.artifacts.schemas.base import AXIS_LENGTHS, Field, Schema
from astropipe.runtime.errors import UsageError

__all__ = ["AXIS_LENGTHS", "SCHEMAS", "Field", "Schema", "schema"]

SCHEMAS: dict[str, Schema] = {
    schema.kind: schema
    for schema in (
        *nbody.SCHEMAS,
        *clusters.SCHEMAS,
        *flow.SCHEMAS,
        *spectra.SCHEMAS,
        *morphology.SCHEMAS,
        *inference.SCHEMAS,
    )
}


def schema(kind: str) -> Schema:
    """Return the schema of a kind.

    Raises
    ------
    UsageError
        If there is no such kind; the message names the nearest one.
    """
    if kind in SCHEMAS:
        return SCHEMAS[kind]
    near = difflib.get_close_matches(kind, SCHEMAS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(SCHEMAS)}"
    raise UsageError(f"unknown artifact kind {kind!r}; {hint}")
