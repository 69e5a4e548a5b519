"""Which galaxies of a morphology catalog are taken as chronometers: by class and score, or by the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.runtime.errors import InputError
from astropipe.runtime.seeds import stream

Score = Literal["agreement", "probability"]


@dataclass(frozen=True)
class GalaxyAges:
    """Galaxies with redshifts and ages, shape [n] each.

    Attributes
    ----------
    redshift
        Redshifts.
    age
        Ages of their stars in Gyr.
    """

    redshift: NDArray[np.float64]
    age: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.redshift)

    def rows(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> GalaxyAges:
        """Return some of the galaxies."""
        return GalaxyAges(self.redshift[chosen], self.age[chosen])


def read_catalog(path: Path) -> QTable:
    """Read a ``morphology-catalog`` whose galaxies have redshifts and ages; rows without one of them are left out.

    Raises
    ------
    InputError
        If a column is missing.
    ArtifactError
        If the file is damaged or of another kind.
    """
    with open_artifact(path, "morphology-catalog") as artifact:
        table = artifact.table()
    if missing := [name for name in ("redshift", "age") if name not in table.colnames]:
        raise InputError(
            f"{path}: the galaxies have no {' and no '.join(missing)}; simulated ones get them by "
            "morphology.simulate.chronometers.enabled, others from the columns of their stamps"
        )
    return table[np.isfinite(table["redshift"]) & np.isfinite(table["age"])]


def ages_of(table: QTable) -> GalaxyAges:
    """Return redshifts and ages of all galaxies of a catalog."""
    return GalaxyAges(
        np.asarray(table["redshift"], dtype=np.float64),
        np.asarray(table["age"].to_value(u.Gyr), dtype=np.float64),
    )


def selected(table: QTable, classes: Sequence[str], score: Score, min_score: float) -> NDArray[np.bool_]:
    """Say which galaxies are of some classes with a score that is high enough.

    Parameters
    ----------
    table
        A morphology catalog.
    classes
        Classes that are taken.
    score
        ``agreement``: galaxies called one of the classes, by the agreement of the votes on that; ``probability``: the
        sum of the probabilities of the classes, whatever the galaxy is called.
    min_score
        Lowest score that is taken.
    """
    if score == "probability":
        return np.asarray(sum(np.asarray(table[f"probability_{name.lower()}"]) for name in classes) >= min_score)
    called = np.isin(np.asarray(table["morphology"]).astype(str), list(classes))
    return called & (np.asarray(table["agreement"]) >= min_score)


def true_classes(table: QTable, stamps: Path) -> tuple[NDArray[np.str_], dict[str, float]]:
    """Return the true class of each galaxy of a catalog, and the universe that it was simulated in.

    Parameters
    ----------
    table
        The catalog.
    stamps
        The ``stamps`` artifact of simulated galaxies that the catalog was made of.

    Raises
    ------
    InputError
        If the stamps have no such truth, or are not those of the catalog.
    """
    with open_artifact(stamps, "stamps") as artifact:
        truth = artifact.table()
        if "morphology" not in truth.colnames or "truth" not in artifact.file:
            raise InputError(
                f"{stamps}: the galaxies have no true classes and ages; simulate them with "
                "morphology.simulate.chronometers.enabled"
            )
        universe = {name: float(value) for name, value in artifact.attributes("truth").items()}
    known = dict(zip(np.asarray(truth["id"]).astype(str), np.asarray(truth["morphology"]).astype(str), strict=True))
    ids = np.asarray(table["id"]).astype(str)
    if strangers := [name for name in ids if name not in known]:
        raise InputError(f"{stamps}: there is no galaxy {strangers[0]}; give the stamps that the catalog was made of")
    return np.array([known[name] for name in ids]), universe


def mixed(wanted: NDArray[np.bool_], purity: float, seed: int) -> NDArray[np.intp]:
    """Return as many galaxies as there are wanted ones, of which some were exchanged for others, both at random.

    Parameters
    ----------
    wanted
        Which galaxies are of the right kind, shape [n].
    purity
        Share of right ones among those that are returned, but for rounding.
    seed
        Seed of the choice.

    Raises
    ------
    InputError
        If there are not so many others.
    """
    right, others = np.flatnonzero(wanted), np.flatnonzero(~wanted)
    n_others = round((1.0 - purity) * len(right))
    if n_others > len(others):
        raise InputError(
            f"a purity of {purity:g} needs {n_others} galaxies of other classes, but there are {len(others)}; raise it"
        )
    rng = stream(seed, "inference.galaxy-ages.mixed")
    kept = rng.choice(right, len(right) - n_others, replace=False)
    return np.sort(np.concatenate([kept, rng.choice(others, n_others, replace=False)]))
