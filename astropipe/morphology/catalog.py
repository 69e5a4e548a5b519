"""Tables of galaxies: rows of measurements as they come, the table of features, the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.classification import Classified, Settings, classify
from astropipe.morphology.describing import Described, describe, quantities, reference_of, stamp_encoder
from astropipe.morphology.measure_columns import MEASURE_COLUMNS
from astropipe.morphology.stamp_artifact import joined_table, known_columns
from astropipe.morphology.stamps import Stamps

ARRAYS = ("features", "embedding", "probabilities", "truths")
"""What an encoder says, see `astropipe.morphology.encoding.Encoded`."""
KNOWN = ("ra", "dec", "x", "y", "mag", "redshift", "age", "age_err", "file")
"""Columns that are handed on from the stamps."""


class FeatureRows:
    """What is known of galaxies, in blocks as they come.

    Parameters
    ----------
    saved : dict of str to array, optional
        What `arrays` gave to a checkpoint.
    features : bool
        Whether the output of the encoder before the embedding is kept.
    """

    def __init__(self, saved: dict[str, NDArray[Any]] | None = None, *, features: bool = True) -> None:
        self.done = (0, 0)
        self._columns: list[dict[str, NDArray[Any]]] = []
        self._arrays: dict[str, list[NDArray[np.float32]]] = {}
        self._names = ARRAYS if features else ARRAYS[1:]
        if saved is None:
            return
        done = saved.pop("done")
        self.done = (int(done[0]), int(done[1]))
        self._arrays = {name: [saved.pop(f"array:{name}")] for name in self._names if f"array:{name}" in saved}
        self._columns = [
            {
                name: np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
                for name, values in saved.items()
            }
        ]

    def __len__(self) -> int:
        return sum(len(part["id"]) for part in self._columns)

    def add(
        self,
        stamps: Stamps,
        files: Sequence[str] | None,
        described: Described,
        done: tuple[int, int],
        wanted: slice = slice(None),
    ) -> None:
        """Append galaxies, of which those that are wanted; `done` is where these end in the inputs."""
        known = known_columns(stamps, files)
        columns = {name: known[name] for name in ("id", *KNOWN) if name in known}
        columns |= {"flags": described.flags} | described.measures.values
        self._columns.append({name: values[wanted] for name, values in columns.items()})
        for name in self._names:
            self._arrays.setdefault(name, []).append(getattr(described.encoded, name)[wanted])
        self.done = done

    def table(self) -> QTable:
        """Return the table of ``galaxy-features``."""
        table = joined_table(self._columns)
        for column in MEASURE_COLUMNS:
            if column.unit not in ("", "flux"):
                table[column.name] = np.asarray(getattr(table[column.name], "value", table[column.name])) * u.Unit(
                    column.unit
                )
        return table

    def array(self, name: str) -> NDArray[np.float32]:
        """Return one of `ARRAYS` of all galaxies."""
        return np.concatenate(self._arrays[name])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all for a checkpoint."""
        table = joined_table(self._columns)
        result: dict[str, NDArray[Any]] = {"done": np.array(self.done)}
        for name in table.colnames:
            values = np.asarray(getattr(table[name], "value", table[name]))
            result[name] = np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values
        return result | {f"array:{name}": self.array(name) for name in self._arrays}


def classify_galaxies(
    stamps: Stamps, settings: Settings | None = None, *, encoder: str | None = None, seed: int = 0, threads: int = 1
) -> QTable:
    """Measure, encode and classify galaxies.

    Parameters
    ----------
    stamps : Stamps
        The galaxies, as `astropipe.morphology.stamps_from_arrays` makes them of pictures.
    settings : Settings, optional
        The votes and the second step.
    encoder : str, optional
        See ``morphology.encode.encoder`` of the configuration; the encoder that comes with astropipe by default.
    seed, threads : int
        Root seed; parts that are worked on at a time, which never changes a result.

    Returns
    -------
    QTable
        A row for each galaxy in their order, with the columns of a ``morphology-catalog`` (docs/artifacts.md) and
        units.

    Raises
    ------
    InputError
        If there are too few galaxies for the groups.
    """
    described = describe(stamps, stamp_encoder(encoder), threads=threads)
    rows = FeatureRows()
    rows.add(stamps, None, described, (1, 0))
    reference = reference_of(encoder)
    values = quantities(described.measures.__getitem__, described.encoded.truths)
    embedding = described.encoded.embedding
    result = classify(embedding, values, reference, settings or Settings(), seed=seed, threads=threads)
    return catalog_table(rows.table(), result)


def catalog_table(features: QTable, classified: Classified) -> QTable:
    """Return the table of a ``morphology-catalog``.

    Parameters
    ----------
    features : QTable
        The table of ``galaxy-features``.
    classified : Classified
        Classes of the same galaxies.
    """
    table = QTable({"id": features["id"]})
    for name in KNOWN:
        if name in features.colnames:
            table[name] = features[name]
    for name in ("groups", "morphology", "agreement", "kept", "step"):
        table["group" if name == "groups" else name] = getattr(classified, name)
    for i, name in enumerate(CLASSES):
        table[f"probability_{name.lower()}"] = classified.probabilities[:, i]
    table["flags"] = features["flags"]
    for column in MEASURE_COLUMNS:
        if column.name in features.colnames:
            table[column.name] = features[column.name]
    return table
