"""Galaxies in blocks from whatever was given: stamps artifacts, or pictures from which they are cut."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py

from astropipe.config.morphology import CutConfig
from astropipe.morphology.cut_options import CutOptions
from astropipe.morphology.inputs import list_inputs
from astropipe.morphology.sources import batches
from astropipe.morphology.stamp_artifact import count_stamps, stamp_blocks
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.errors import UsageError
from astropipe.runtime.run import WHOLE, Chunk
from astropipe.runtime.shipped import picture_file


@dataclass(frozen=True)
class Block:
    """Galaxies that were read together.

    Attributes
    ----------
    stamps : Stamps
        The galaxies.
    files : list of str or None
        The file of each, where it is known.
    faults : list of str
        Messages of what could not be read.
    done : tuple of int
        Number of inputs, and of galaxies of the next one, that are behind after this block.
    wanted : slice
        The galaxies that were asked for; others are there because they are worked on together with these.
    """

    stamps: Stamps
    files: list[str] | None
    faults: list[str]
    done: tuple[int, int]
    wanted: slice


class Galaxies:
    """The galaxies of some inputs, or a chunk of them.

    Parameters
    ----------
    inputs : sequence of Path
        ``stamps`` artifacts, or pictures, folders and catalogs, see `astropipe.morphology.inputs.list_inputs`;
        ``hubble-deep-field`` for the picture of that name.
    cut : CutConfig
        How galaxies are cut out of pictures.
    chunk : Chunk
        Part of the rows of the one artifact, of the catalog of the one mosaic, or of the files.

    Raises
    ------
    UsageError
        If artifacts and pictures are mixed, or the chunk is empty.
    InputError
        If an input does not exist.
    """

    def __init__(self, inputs: Sequence[Path], cut: CutConfig, chunk: Chunk = WHOLE) -> None:
        inputs = [picture_file(str(path)) for path in inputs]
        self.artifacts = [path for path in inputs if path.is_file() and h5py.is_hdf5(path)]
        if self.artifacts and len(self.artifacts) < len(inputs):
            raise UsageError("stamps artifacts and pictures were given together; give them to two runs")
        self._chunk = chunk
        self._options = cut_options(cut)
        catalog = [] if cut.catalog is None else [Path(cut.catalog)]
        self.files = list(self.artifacts)
        if not self.artifacts:
            self._pictures = list_inputs([*inputs, *catalog])
            self.files = [path for each in self._pictures for path in (each.picture, each.catalog) if path is not None]
        self.total = sum(count_stamps(path) for path in self.artifacts) if self.artifacts else None
        self._rows: slice | None = None
        if chunk.count > 1 and self.artifacts:
            if len(self.artifacts) > 1:
                raise UsageError("chunks are parts of one artifact, but several were given; merge them first")
            self._rows = chunk.rows(self.total or 0)
            self.total = self._rows.stop - self._rows.start
            if self.total == 0:
                raise UsageError(f"chunk {chunk} is empty: ask for fewer chunks")

    def blocks(self, start: tuple[int, int] = (0, 0)) -> Iterator[Block]:
        """Read the galaxies; `start` is where to go on, as `Block.done` said."""
        if not self.artifacts:
            for batch in batches(self._pictures, self._options, chunk=self._chunk, start=start):
                yield Block(batch.stamps, batch.files, batch.faults, batch.done, slice(0, len(batch.stamps)))
            return
        index, skip = start
        for number, path in enumerate(self.artifacts[index:], start=index):
            behind = skip if number == index else 0
            for stamps, files, wanted in stamp_blocks(path, self._rows, behind):
                behind += wanted.stop - wanted.start
                yield Block(stamps, files, [], (number, behind), wanted)


def cut_options(config: CutConfig) -> CutOptions:
    """Return the options of the cutting; what is null in the configuration is left to the headers."""
    known = {field.name for field in fields(CutOptions)}
    settings: dict[str, Any] = config.model_dump()
    wanted: dict[str, Any] = {
        name: math.nan if value is None else value for name, value in settings.items() if name in known
    }
    return CutOptions(**wanted)
