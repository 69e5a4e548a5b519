"""Initial conditions of clusters, against the models that they sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from astropy import constants, units
from scipy.integrate import quad

from astropipe.config.clusters import ClusterStartConfig
from astropipe.nbody.clusters import cluster_of, make_cluster
from astropipe.nbody.clusters.binaries import draw_orbits
from astropipe.nbody.clusters.king import king_model, king_state
from astropipe.nbody.clusters.masses import kroupa_masses
from astropipe.nbody.conserved import barycentre, kinetic_energy, potential_energy
from astropipe.nbody.systems import plummer_state
from astropipe.runtime.errors import InputError, UsageError


def cluster(seed: int = 1, **changes: Any) -> Any:
    return make_cluster(ClusterStartConfig(**changes), seed)


# King (1966), table II: log c of models by their central depth.
@pytest.mark.parametrize(
    ("w0", "concentration"), [(1.0, 0.296), (3.0, 0.672), (5.0, 1.030), (7.0, 1.528), (9.0, 2.120), (12.0, 2.740)]
)
def test_king_models_have_the_published_concentrations(w0: float, concentration: float) -> None:
    assert king_model(w0).concentration == pytest.approx(concentration, abs=2e-3)


@pytest.mark.parametrize("w0", [3.0, 7.0])
def test_a_king_sample_is_in_equilibrium_and_has_an_edge(w0: float) -> None:
    model = king_model(w0)
    n = 4000
    x, v = king_state(np.random.default_rng(1), n, w0)
    masses = np.full(n, 1.0 / n)
    kinetic, potential = float(kinetic_energy(masses, v)), float(potential_energy(masses, x))
    # Henon units: U = -1/2 (its scatter over seeds is a per cent), and 2 K = |U| in equilibrium.
    assert potential == pytest.approx(-0.5, rel=0.03)
    assert kinetic / -potential == pytest.approx(0.5, rel=0.03)
    edge = model.radius[-1] / model.virial_radius
    radii = np.linalg.norm(x, axis=1)
    assert 0.8 * edge < radii.max() <= edge
    # Where a star moves faster than the escape speed of the edge, the distribution function would not be King's.
    depth = np.interp(radii * model.virial_radius, model.radius, model.depth) * model.virial_radius / model.mass[-1]
    assert (0.5 * (v**2).sum(axis=1) <= depth * (1 + 1e-3) + 1e-6).all()


def test_a_plummer_sample_has_the_radii_and_the_energy_of_the_model() -> None:
    n = 20_000
    x, v = plummer_state(np.random.default_rng(2), n, mass_cutoff=1.0)
    a = 3.0 * math.pi / 16.0
    radii = np.sort(np.linalg.norm(x, axis=1))
    # M(r) = r^3 / (r^2 + a^2)^(3/2); half of the mass within a / sqrt(2^(2/3) - 1).
    assert radii[n // 2] == pytest.approx(a / math.sqrt(2 ** (2 / 3) - 1), rel=0.02)
    # E = -3 pi / 64 G M^2 / a, that is -1/4, of which 3 pi / 64 / a is kinetic: its scatter is 1 / sqrt(n).
    assert float(kinetic_energy(np.full(n, 1 / n), v)) == pytest.approx(3 * math.pi / 64 / a, rel=0.03)


@pytest.mark.parametrize(("low", "high"), [(0.08, 8.0), (0.01, 100.0), (0.5, 2.0)])
def test_kroupa_masses_have_the_mean_of_the_three_power_laws(low: float, high: float) -> None:
    def law(m: float) -> float:
        if m < 0.08:
            return m**-0.3 / 0.08
        return m**-1.3 if m < 0.5 else 0.5 * m**-2.3

    points = [p for p in (0.08, 0.5) if low < p < high]
    number = quad(law, low, high, points=points, limit=200)[0]
    mean = quad(lambda m: m * law(m), low, high, points=points, limit=200)[0] / number
    square = quad(lambda m: m * m * law(m), low, high, points=points, limit=200)[0] / number
    n = 200_000
    masses = kroupa_masses(np.random.default_rng(3), n, low, high)
    assert low <= masses.min() and masses.max() <= high
    assert abs(masses.mean() - mean) < 4 * math.sqrt((square - mean**2) / n)
    share = quad(law, max(low, 0.5), high)[0] / number
    assert abs(np.mean(masses > 0.5) - share) < 4 * math.sqrt(share * (1 - share) / n) + 1e-12


def test_henon_units_and_the_virial_ratio_are_exact() -> None:
    for ratio in (0.5, 0.2, 0.0):
        made = cluster(n_stars=200, virial_ratio=ratio, profile="king")
        kinetic = float(kinetic_energy(made.masses, made.velocities))
        potential = float(potential_energy(made.masses, made.positions))
        assert made.masses.sum() == pytest.approx(1.0)
        assert kinetic + potential == pytest.approx(-0.25)
        assert kinetic / -potential == pytest.approx(ratio, abs=1e-12)
        np.testing.assert_allclose(barycentre(made.masses, made.positions), 0.0, atol=1e-14)


def test_stars_do_not_depend_on_massless_particles_and_more_begin_with_the_fewer() -> None:
    few, more, none = (cluster(n_stars=50, n_massless=m) for m in (300, 1500, 0))
    np.testing.assert_array_equal(few.positions, more.positions[:350])
    np.testing.assert_array_equal(none.velocities, more.velocities[:50])
    assert not np.array_equal(cluster(2, n_stars=50).positions, none.positions)


def test_massless_particles_follow_the_profile_of_the_stars() -> None:
    made = cluster(n_stars=1000, n_massless=20_000, masses="equal")
    radii = [np.median(np.linalg.norm(part, axis=1)) for part in (made.positions[:1000], made.positions[1000:])]
    # The standard error of the median radius of 1000 stars is 3 per cent.
    assert radii[0] / radii[1] == pytest.approx(1.0, abs=0.1)


def test_binaries_have_the_distributions_asked_for() -> None:
    n = 5000
    masses = np.random.default_rng(0).uniform(0.5, 2.0, n)
    orbits = draw_orbits(np.random.default_rng(4), masses, (1e-4, 1e-2))
    r, v2 = np.linalg.norm(orbits[:, :3], axis=1), (orbits[:, 3:] ** 2).sum(axis=1)
    axis = 1.0 / (2.0 / r - v2 / masses)
    spin = np.cross(orbits[:, :3], orbits[:, 3:])
    eccentricity2 = np.clip(1.0 - (spin**2).sum(axis=1) / (masses * axis), 0.0, 1.0)
    # Uniform in ln a: the mean is the middle; thermal: e^2 is uniform. Both with their standard errors.
    width = math.log(100.0)
    assert axis.min() >= 1e-4 * (1 - 1e-9) and axis.max() <= 1e-2 * (1 + 1e-9)
    assert abs(np.log(axis).mean() - math.log(1e-3)) < 4 * width / math.sqrt(12 * n)
    assert abs(eccentricity2.mean() - 0.5) < 4 / math.sqrt(12 * n)
    np.testing.assert_allclose(
        (spin / np.linalg.norm(spin, axis=1)[:, None]).mean(axis=0), 0.0, atol=4 / math.sqrt(3 * n)
    )


def test_barycentres_of_binaries_take_the_places_of_stars() -> None:
    made = cluster(n_stars=300, binary_fraction=0.5, masses="equal")
    pairs = made.positions[:200].reshape(100, 2, 3)
    separation = np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=1)
    assert separation.max() < 2e-2
    x = np.concatenate([pairs.mean(axis=1), made.positions[200:]])
    v = np.concatenate([made.velocities[:200].reshape(100, 2, 3).mean(axis=1), made.velocities[200:]])
    masses = np.r_[np.full(100, 2.0), np.ones(100)] / 300
    assert float(kinetic_energy(masses, v) + potential_energy(masses, x)) == pytest.approx(-0.25)


def test_units_are_those_of_gravity() -> None:
    made = cluster(n_stars=100, masses="equal", virial_radius="2 pc", total_mass="500 Msun")
    period2 = (2 * units.pc) ** 3 / (constants.G * 500 * units.Msun)
    assert made.scale.time.to_value("Myr") == pytest.approx((period2**0.5).to_value("Myr"))
    again = cluster_of(
        made.masses * made.scale.mass,
        made.positions * made.scale.length,
        (made.velocities * made.scale.velocity).to("m/s"),
    )
    # The virial radius of the sample is the unit, as the sample was scaled to it.
    assert again.scale is not None and again.scale.length.to_value("pc") == pytest.approx(2.0)
    np.testing.assert_allclose(again.velocities, made.velocities, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lowest_mass": 2.0, "highest_mass": 1.0}, "masses between 2.0 and 1.0 Msun"),
        ({"shortest_axis": 0.1}, "shortest axis must be below the longest"),
        ({"total_mass": "10 Msun"}, "without virial_radius"),
        ({"virial_radius": "3 Msun"}, "virial_radius = '3 Msun' must be a positive number with a unit"),
        ({"virial_radius": "-1 pc"}, "must be a positive number"),
    ],
)
def test_impossible_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cluster(**changes)


BAD = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@pytest.mark.parametrize(
    ("masses", "positions", "message"),
    [
        ([1.0, 0.0, 1.0], BAD, "particle 1: mass 0.0 of a star must be positive"),
        ([1.0, 1.0, -2.0], BAD, "particle 2: mass -2.0 of a star must be positive"),
        ([1.0, np.nan, 1.0], BAD, "particle 1: mass nan is not finite"),
        ([1.0, 1.0, 1.0], BAD + np.inf, "particle 0: position .* is not finite"),
        ([1.0, 1.0, 1.0], BAD[[0, 1, 1]], "particle 1 and particle 2 are at the same place"),
        ([1.0], BAD[:1], "at least 2 stars"),
        ([1.0, 1.0], BAD, r"cluster needs masses \[n\]"),
    ],
)
def test_impossible_particles_are_named(masses: list[float], positions: np.ndarray, message: str) -> None:
    velocities = np.zeros_like(positions)
    if len(masses) == 2:
        velocities = velocities[:2]
    with pytest.raises(InputError, match=message):
        cluster_of(masses, positions, velocities)


def test_quantities_and_numbers_do_not_mix() -> None:
    with pytest.raises(UsageError, match="have units and the others have none"):
        cluster_of([1.0, 1.0] * units.Msun, BAD[:2], BAD[:2])
