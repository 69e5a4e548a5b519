"""Catalogs of galaxies with ages in a universe of astropy, as the morphology stage would write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.cosmology import FlatLambdaCDM
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.artifacts import Provenance, create_artifact

Array = NDArray[np.float64]

H0, OMEGA_M, FORMED = 67.36, 0.3153, 3.0
UNIVERSE = FlatLambdaCDM(H0=H0, Om0=OMEGA_M)
LATE_SHARE = 0.5


def passive_age(redshift: Array) -> Array:
    """Ages in Gyr of stars that formed at one time."""
    return np.asarray((UNIVERSE.age(redshift) - UNIVERSE.age(FORMED)).to_value(u.Gyr))


def galaxies(n: int, impurity: float, scatter: float, seed: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Redshifts, ages in Gyr, and which are of early type; the others are half as old on average."""
    rng = np.random.default_rng(seed)
    redshift = rng.uniform(0.1, 1.4, n)
    early = rng.random(n) >= impurity
    passive = passive_age(redshift)
    age = np.where(early, passive + scatter * rng.normal(size=n), rng.uniform(0.2, 0.8, n) * passive)
    return redshift, age, early


def write(folder: Path, redshift: Array, age: Array, early: NDArray[np.bool_], called: NDArray[np.bool_]) -> list[str]:
    """Write catalog and stamps of galaxies that are, and are called, of early type; return their paths."""
    n = len(redshift)
    ids = np.array([f"g{i:06d}" for i in range(n)])
    origin = Provenance(command="test", config={})
    catalog, stamps = folder / "galaxies.h5", folder / "stamps.h5"
    table = QTable({"id": ids, "group": np.zeros(n, int), "morphology": np.where(called, "ETD", "LTD")})
    table["agreement"] = np.where(called, 0.9, 0.7)
    table["kept"] = np.ones(n, bool)
    for name, values in (("sph", 0.1), ("etd", np.where(called, 0.8, 0.1)), ("ltd", np.where(called, 0.1, 0.8))):
        table[f"probability_{name}"] = values * np.ones(n)
    table["redshift"], table["age"], table["age_err"] = redshift, age * u.Gyr, 0.1 * age * u.Gyr
    with create_artifact(catalog, "morphology-catalog", title="t", provenance=origin) as artifact:
        artifact.write_table(table)
    truth = QTable({"id": ids, "morphology": np.where(early, "SPH", "IRR"), "sky_rms": np.ones(n)})
    truth["pixel_scale"] = np.ones(n) * u.arcsec
    with create_artifact(stamps, "stamps", title="t", provenance=origin) as artifact:
        artifact.write_table(truth)
        for name in ("images", "masks"):
            artifact.write_array(name, np.zeros((n, 2, 2), np.float32 if name == "images" else bool))
        artifact.write_attributes("truth", {"h0": H0, "omega_m": OMEGA_M, "late_age_share": LATE_SHARE})
    return [str(catalog), str(stamps)]
