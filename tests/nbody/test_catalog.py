from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from kepler import kepler_state

from astropipe.nbody import integrate_batch, saz_ulibarrena_triple, stack, triples_catalog
from astropipe.nbody.catalog import DESCRIPTIONS
from astropipe.runtime.errors import UsageError


def escape_and_binary() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row 0: a third body leaves a binary with a = 0.02; row 1: it stays on a wide orbit, a stable hierarchy."""
    m, x, v = kepler_state(0.5, 0.5, 0.02, 0.1, 0.0)
    third = np.array([0.2, 0.0, 0.0])
    return (
        np.tile(np.append(m, 1e-6), (2, 1)),
        np.stack([np.vstack([x, third]), np.vstack([x, third])]),
        np.stack([np.vstack([v, [5.0, 0, 0]]), np.vstack([v, [0, np.sqrt(1 / 0.2), 0]])]),
    )


def test_columns_and_values() -> None:
    systems = escape_and_binary()
    run = integrate_batch(*systems, 1.0, timestep="power", stop_on_escape=True)
    catalog = triples_catalog(systems[0], run, ids=[7, 9])
    assert catalog.colnames == list(DESCRIPTIONS)
    assert all(catalog[name].info.description for name in catalog.colnames)
    assert list(catalog["id"]) == [7, 9]
    assert list(catalog["outcome"]) == ["binary+escaper", "hierarchical"]
    assert list(catalog["status"]) == ["escape", "ok"]
    assert list(catalog["escaper"].filled(-1)) == [2, -1]
    np.testing.assert_array_equal(catalog["binary_primary"], [0, 0])
    np.testing.assert_array_equal(catalog["binary_secondary"], [1, 1])
    np.testing.assert_allclose(catalog["semi_major_axis"], 0.02, rtol=1e-4)
    np.testing.assert_allclose(catalog["eccentricity"], 0.1, atol=1e-3)
    np.testing.assert_allclose(catalog["period"], 2 * np.pi * 0.02**1.5, rtol=1e-4)
    np.testing.assert_allclose(catalog["closest_approach"], 0.018, rtol=1e-4)
    np.testing.assert_array_equal(catalog["closest_primary"], [0, 0])
    np.testing.assert_array_equal(catalog["closest_secondary"], [1, 1])
    assert catalog["lifetime"][0] == catalog["time"][0] < 1.0
    assert np.isnan(catalog["lifetime"][1])
    assert catalog["time"][1] == 1.0


def test_nothing_bound_is_masked_or_nan() -> None:
    m, x = np.ones((1, 3)), np.array([[[0.0, 0, 0], [10, 0, 0], [0, 10, 0]]])
    catalog = triples_catalog(m, integrate_batch(m, x, x, 0.1, timestep="power"))
    assert list(catalog["outcome"]) == ["ionised"]
    assert all(catalog[name].mask.all() for name in ("escaper", "binary_primary", "binary_secondary"))
    assert np.isnan(catalog["semi_major_axis"]).all()


def test_units_are_those_of_the_result() -> None:
    systems = stack([saz_ulibarrena_triple(np.random.default_rng([2, i])) for i in range(5)])
    masses = systems.masses * u.Msun
    state = masses, systems.positions * u.au, systems.velocities * (u.km / u.s)
    run = integrate_batch(*state, 3e4 * u.day, timestep="power")
    catalog = triples_catalog(masses, run)
    assert {catalog[name].unit for name in ("time", "lifetime", "period", "closest_time")} == {u.day}
    assert {catalog[name].unit for name in ("semi_major_axis", "closest_approach")} == {u.au}
    # Kepler's third law ties the columns together, in the units that they claim.
    total = 2 * u.Msun
    third_law = (catalog["semi_major_axis"] ** 3 / catalog["period"] ** 2).to_value(u.au**3 / u.yr**2)
    np.testing.assert_allclose(third_law, total.value, rtol=2e-4)


def test_foreign_results_are_refused() -> None:
    systems = escape_and_binary()
    run = integrate_batch(*systems, 0.01, timestep="power")
    with pytest.raises(UsageError, match="not of one batch"):
        triples_catalog(systems[0][:1], run)
    with pytest.raises(UsageError, match="have units"):
        triples_catalog(systems[0] * u.Msun, run)
