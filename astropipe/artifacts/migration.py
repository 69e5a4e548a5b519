"""Artifacts of older major versions, turned into present ones by registered functions.

A schema that takes a major step registers how the content of the version before becomes the new one:

    @migration("stellar-catalog", 1)
    def _(old: h5py.File, new: ArtifactWriter) -> None: ...

`migrate` applies the steps one after the other and writes a new artifact, whose provenance has what that of
the old one has and names it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import h5py

from astropipe.artifacts.provenance import Provenance
from astropipe.artifacts.reader import open_unchecked
from astropipe.artifacts.writer import ArtifactWriter, create_artifact
from astropipe.runtime.errors import ArtifactError

Step = Callable[[h5py.File, ArtifactWriter], None]

_steps: dict[tuple[str, int], Step] = {}


def migration(kind: str, from_major: int) -> Callable[[Step], Step]:
    """Register a function that turns major version ``from_major`` of a kind into the present one."""

    def register(step: Step) -> Step:
        _steps[kind, from_major] = step
        return step

    return register


def migrate(path: Path, output: Path) -> None:
    """Write an artifact of an older major version as one of the present version.

    Raises
    ------
    ArtifactError
        If the file is no artifact, is not older, or no function for its version is registered.
    """
    with open_unchecked(path) as old:
        kind = old.kind
        major = old.major
        if major >= old.schema.major:
            raise ArtifactError(f"{path} has version {major} of {kind}, which needs no migration; use it as it is")
        if (kind, major) not in _steps:
            raise ArtifactError(
                f"{path} has version {major} of {kind}, for which there is no migration; make it again from its inputs"
            )
        command, origin = shlex.join(["astropipe", "migrate", path.name]), old.provenance
        provenance = Provenance.derived(command, origin, inputs=[path], chunk=origin.chunk)
        with create_artifact(output, kind, title=old.title, provenance=provenance) as new:
            _steps[kind, major](old.file, new)
