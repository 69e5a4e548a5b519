"""Redshifts and ages of simulated galaxies: against astropy, the same in chunks, and handed on to the catalog."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from astropy.table import QTable
from pydantic import ValidationError

from astropipe.artifacts import open_artifact
from astropipe.artifacts.merging import merge
from astropipe.config.morphology import ChronometersConfig, ClassifyConfig, SimulateConfig
from astropipe.morphology import stage
from astropipe.morphology.rendering.chronometers import Chronometers
from astropipe.runtime.run import Chunk, Run

AGES = ChronometersConfig(enabled=True)
UNIVERSE = FlatLambdaCDM(H0=AGES.h0, Om0=AGES.omega_m)
N = 4000


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray]:
    classes = np.array(["SPH", "ETD", "LTD", "IRR"] * (N // 4))
    return {"class": classes} | Chronometers(AGES, seed=3).columns(np.arange(N), classes)


def test_early_types_are_as_old_as_the_time_since_they_formed(columns: dict[str, np.ndarray]) -> None:
    early = np.isin(columns["class"], ["SPH", "ETD"])
    z, age, error = (columns[name][early] for name in ("redshift", "age", "age_err"))
    passive = (UNIVERSE.age(z) - UNIVERSE.age(AGES.formation_redshift)).to_value("Gyr")
    pull = (age - passive) / np.hypot(error, AGES.formation_scatter_gyr)
    assert abs(pull.mean()) < 4 / np.sqrt(N / 2)
    assert pull.std() == pytest.approx(1.0, abs=0.06)
    assert z.min() > AGES.redshift_low and z.max() < AGES.redshift_high


def test_other_types_are_younger_by_the_share_that_is_recorded(columns: dict[str, np.ndarray]) -> None:
    late = np.isin(columns["class"], ["LTD", "IRR"])
    z, age = columns["redshift"][late], columns["age"][late]
    share = age / (UNIVERSE.age(z) - UNIVERSE.age(AGES.formation_redshift)).to_value("Gyr")
    assert share.mean() == pytest.approx(Chronometers(AGES, 3).truth()["late_age_share"], abs=4 * 0.18 / np.sqrt(N / 2))
    assert abs(np.corrcoef(z, share)[0, 1]) < 4 / np.sqrt(N / 2)


def test_galaxies_appear_as_large_as_their_distance_says(columns: dict[str, np.ndarray]) -> None:
    factors = Chronometers(AGES, seed=3).size_factors(np.arange(50))
    theirs = UNIVERSE.angular_diameter_distance(columns["redshift"][:50])
    expected = (UNIVERSE.angular_diameter_distance(0.5) / theirs).value
    np.testing.assert_allclose(factors, expected, rtol=1e-10)


def test_ages_reach_the_catalog_and_do_not_depend_on_chunks(tmp_path: Path) -> None:
    config = SimulateConfig(n_galaxies=60, size=64, snr_low=100, snr_high=200, chronometers=AGES)
    parts = [tmp_path / f"{index}.h5" for index in (1, 2)]
    for index, path in enumerate(parts, start=1):
        stage.simulate([], path, config, Run(seed=4, chunk=Chunk(index, 2)))
    stage.simulate([], tmp_path / "stamps.h5", config, Run(seed=4))
    merge(parts, tmp_path / "merged.h5")
    with open_artifact(tmp_path / "stamps.h5") as whole, open_artifact(tmp_path / "merged.h5") as merged:
        assert whole.attributes("truth") == {"h0": AGES.h0, "omega_m": AGES.omega_m, "late_age_share": 0.5}
        assert merged.content_sha256 == whole.content_sha256
    stage.classify([tmp_path / "stamps.h5"], tmp_path / "galaxies.h5", ClassifyConfig(n_groups=3, n_runs=4), Run())
    stamps, galaxies = (QTable.read(tmp_path / name, path="catalog") for name in ("stamps.h5", "galaxies.h5"))
    for name in ("redshift", "age", "age_err"):
        np.testing.assert_array_equal(np.asarray(galaxies[name]), np.asarray(stamps[name]))
    assert galaxies["age"].unit == "Gyr"


@pytest.mark.parametrize(
    "changes",
    [{"redshift_low": 2.0}, {"formation_redshift": 1.2}, {"late_share_low": 0.9}],
    ids=lambda each: next(iter(each)),
)
def test_ranges_must_be_in_order(changes: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=r"must rise in this order|exchange them"):
        ChronometersConfig(**changes)
