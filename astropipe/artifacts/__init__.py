"""The only way in or out of a stage: artifacts with a schema, written atomically, read checked, traced by hashes."""

from astropipe.artifacts.provenance import InputRecord, Provenance
from astropipe.artifacts.reader import Artifact, open_artifact
from astropipe.artifacts.schemas import SCHEMAS, Schema, schema
from astropipe.artifacts.writer import ArtifactWriter, create_artifact

__all__ = [
    "SCHEMAS",
    "Artifact",
    "ArtifactWriter",
    "InputRecord",
    "Provenance",
    "Schema",
    "create_artifact",
    "open_artifact",
    "schema",
]
