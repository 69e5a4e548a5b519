"""What the training of a policy hands over, whichever policy it is, and the ``policy`` artifact made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, create_artifact


class PolicyRecord(TypedDict):
    """What a ``policy`` artifact holds.

    Attributes
    ----------
    title : str
        Title of the artifact, by which tables and figures tell policies apart.
    weights : dict of str to array
        Datasets ``weights/NAME``.
    architecture, training, domain : str
        JSON texts.
    curve, tests : dict of str to array
        Columns of the learning curve, and of the tests on which the weights were chosen.
    scores : list of tuple
        Rows ``measure``, ``value``, ``unit`` of the catalog.
    """

    title: str
    weights: dict[str, NDArray[Any]]
    architecture: str
    training: str
    domain: str
    curve: dict[str, NDArray[Any]]
    tests: NotRequired[dict[str, NDArray[Any]]]
    scores: list[tuple[str, float, str]]


def write_policy(output: Path, record: PolicyRecord, provenance: Provenance) -> None:
    """Write a ``policy`` artifact; see `astropipe.artifacts.create_artifact` for what can go wrong."""
    with create_artifact(output, "policy", title=record["title"], provenance=provenance) as artifact:
        artifact.write_table(Table(rows=record["scores"], names=("measure", "value", "unit")))
        for name, values in record["weights"].items():
            artifact.write_array(f"weights/{name}", values)
        artifact.write_text("architecture", record["architecture"])
        artifact.write_text("training", record["training"])
        artifact.write_text("domain", record["domain"])
        for group, columns in (("curve", record["curve"]), ("tests", record.get("tests", {}))):
            for name, column in columns.items():
                # Numbers of episodes and seeds too: the columns of a group are of one kind.
                artifact.write_array(f"{group}/{name}", np.asarray(column, dtype=np.float64))
