"""Lengths of axes: what belongs together in one artifact has one length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small import Write, fill, table

from astropipe.artifacts import SCHEMAS, Provenance, create_artifact, open_artifact
from astropipe.runtime.errors import ArtifactError


def _systems(path: Path, provenance: Provenance, rows: int, **shapes: tuple[int, ...]) -> Path:
    with create_artifact(path, "systems", title="t", provenance=provenance) as artifact:
        artifact.write_table(table("systems", rows))
        for name, unit in (("masses", "Msun"), ("positions", "au"), ("velocities", "km/s")):
            artifact.write_array(name, np.ones(shapes[name]), unit=unit)
    return path


FIT: dict[str, tuple[int, ...]] = {"masses": (4, 3), "positions": (4, 3, 3), "velocities": (4, 3, 3)}


@pytest.mark.parametrize(
    ("rows", "changed", "message"),
    [
        (5, {}, "dataset masses has 4 entries along axis system, but the table /catalog has 5"),
        (4, {"positions": (3, 3, 3)}, "positions has 3 entries along axis system, but the table /catalog has 4"),
        (4, {"velocities": (4, 2, 3)}, "velocities has 2 entries along axis body, but dataset masses has 3"),
        (4, {"positions": (4, 3, 2)}, "positions has 2 entries along axis xyz, but axis xyz always has 3"),
    ],
)
def test_axes_of_one_name_have_one_length(
    rows: int, changed: dict[str, Any], message: str, folder: Path, provenance: Provenance
) -> None:
    with open_artifact(_systems(folder / "fit.h5", provenance, 4, **FIT)) as artifact:
        assert artifact.array("masses").shape == (4, 3)
    with pytest.raises(ArtifactError, match=message):
        _systems(folder / "a.h5", provenance, rows, **{**FIT, **changed})


def test_a_file_changed_by_other_software_is_refused_when_read(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "spectra")
    with h5py.File(path, "r+") as file:
        flux = file["flux"][:2]
        del file["flux"]
        file["flux"] = flux
    with pytest.raises(ArtifactError, match="flux has 2 entries along axis spectrum"), open_artifact(path):
        pass


@pytest.mark.parametrize("kind", [kind for kind, schema in SCHEMAS.items() if schema.columns and schema.datasets])
def test_the_rows_of_a_table_are_tied_to_an_axis_where_they_share_it(
    kind: str, folder: Path, provenance: Provenance
) -> None:
    """Derived parameters of a posterior and snapshots of a box have rows of their own, and weights of a model none."""
    schema = SCHEMAS[kind]
    if kind in ("posterior", "box-snapshots") or any(field.name == "weights/*" for field in schema.datasets):
        assert schema.rows == ""
        return
    assert schema.rows in {name for field in schema.datasets for name in field.dims}
    with (
        pytest.raises(ArtifactError, match=f"axis {schema.rows}"),
        create_artifact(folder / "a.h5", kind, title="t", provenance=provenance) as artifact,
    ):
        fill(artifact, rows=3)
        del artifact._file["catalog"], artifact._file["catalog.__table_column_meta__"]
        artifact.write_table(table(kind, 4))
