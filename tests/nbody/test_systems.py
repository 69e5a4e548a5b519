from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import get_body_barycentric
from astropy.time import Time
from scipy.stats import kstest

from astropipe.nbody import (
    agekyan_anosova,
    cold_start,
    named_system,
    named_systems,
    plummer_sphere,
    saz_ulibarrena_triple,
    saz_ulibarrena_triple_legacy,
    stack,
)
from astropipe.nbody.conserved import (
    barycentre,
    kinetic_energy,
    linear_momentum,
    potential_energy,
    total_energy,
)
from astropipe.runtime.errors import UsageError


def streams(n: int, seed: int = 11) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, i]) for i in range(n)]


def test_saz_ulibarrena_boxes_are_filled() -> None:
    masses, positions, velocities = stack([saz_ulibarrena_triple(rng) for rng in streams(2000)])
    assert (masses == 1.0).all()
    second, third = (positions[:, i] - positions[:, 0] for i in (1, 2))
    for values, low, high in (
        (second[:, 0], 5, 20),
        (second[:, 1], 0, 10),
        (third[:, 0], -10, 0),
        (third[:, 1], 5, 20),
    ):
        assert kstest(values, "uniform", args=(low, high - low)).pvalue > 1e-3
    assert (positions[..., 2] == 0.0).all()
    np.testing.assert_allclose(velocities[:, 0] - velocities[:, 2], np.tile([0.0, 10.0, 0.0], (2000, 1)))
    np.testing.assert_allclose(velocities[:, 1] - velocities[:, 2], np.tile([-10.0, 0.0, 0.0], (2000, 1)))
    np.testing.assert_allclose(barycentre(masses, positions), 0.0, atol=1e-14)
    np.testing.assert_allclose(linear_momentum(masses, velocities), 0.0, atol=1e-14)


def test_legacy_seeding_follows_the_published_order() -> None:
    # The first four doubles of numpy's legacy stream for seed 0 (its manual prints 0.5488135, 0.71518937, ...).
    draws = (0.5488135039273248, 0.7151893663724195, 0.6027633760716439, 0.5448831829968969)
    positions = saz_ulibarrena_triple_legacy(0).positions
    np.testing.assert_allclose(positions[1] - positions[0], [5 + 15 * draws[0], 10 * draws[1], 0], rtol=1e-14)
    np.testing.assert_allclose(positions[2] - positions[0], [-10 * draws[2], 5 + 15 * draws[3], 0], rtol=1e-14)


def test_legacy_seeding_leaves_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (the point of the test)
    saz_ulibarrena_triple_legacy(5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_agekyan_anosova_energy_and_region() -> None:
    starts = [agekyan_anosova(rng) for rng in streams(3000)]
    masses, positions, velocities = stack(starts)
    np.testing.assert_allclose(total_energy(masses, positions, velocities), -0.25, rtol=1e-13)
    assert (velocities == 0.0).all()
    np.testing.assert_allclose(masses.sum(axis=1), 1.0)
    x, y = np.array([start.map_coordinates for start in starts]).T
    assert ((x >= 0) & (y >= 0) & ((x + 0.5) ** 2 + y**2 <= 1)).all()
    # Bodies 0 and 1 are the ends of the longest side, whatever the scale.
    sides = [np.linalg.norm(positions[:, i] - positions[:, j], axis=1) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert (sides[0] >= np.maximum(sides[1], sides[2]) * (1 - 1e-14)).all()

    # Uniform over the area: below x the region holds F(x) = integral of sqrt(1 - (t + 1/2)^2) from 0 to x.
    def area(t: np.ndarray) -> np.ndarray:
        s = t + 0.5
        return 0.5 * (s * np.sqrt(1 - s**2) + np.arcsin(s))

    low, high = area(np.array(0.0)), area(np.array(0.5))
    assert kstest(x, lambda t: (area(np.clip(t, 0, 0.5)) - low) / (high - low)).pvalue > 1e-3


def test_cold_start_of_the_equilateral_triangle() -> None:
    # U = -3 (1/9) / s = -1/4 gives sides of 4/3.
    start = cold_start(0.0, np.sqrt(0.75) * (1 - 1e-15))
    np.testing.assert_allclose(np.linalg.norm(start.positions[0] - start.positions[2]), 4.0 / 3.0, rtol=1e-12)


@pytest.mark.parametrize("point", [(-0.1, 0.2), (0.2, -0.1), (0.4, 0.6), (0.5, 0.0), (float("nan"), 0.1)])
def test_cold_start_outside_of_the_region(point: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="Agekyan-Anosova region"):
        cold_start(*point)


def test_plummer_sphere_has_the_analytic_profile() -> None:
    _, positions, velocities = plummer_sphere(np.random.default_rng(4), 40_000, mass_cutoff=1.0)
    a = 3.0 * np.pi / 16.0
    r = np.linalg.norm(positions, axis=1)
    assert kstest(r, lambda t: t**3 / (t**2 + a**2) ** 1.5).pvalue > 1e-3
    # Half-mass radius a / sqrt(2^(2/3) - 1) = 0.7686 in Henon units; sampling error 0.5 %.
    assert np.median(r) == pytest.approx(a / np.sqrt(2 ** (2 / 3) - 1), rel=0.02)
    # sigma^2(r) = (1/6) / sqrt(r^2 + a^2) in each direction.
    inner = r < 2.0
    ratio = (velocities[inner] ** 2).mean(axis=1) * 6.0 * np.sqrt(r[inner] ** 2 + a**2)
    assert ratio.mean() == pytest.approx(1.0, rel=0.02)
    # Isotropy: radial and total motions share as 1 : 3.
    radial = np.sum(positions * velocities, axis=1) / r
    assert (radial**2).sum() / (velocities**2).sum() == pytest.approx(1.0 / 3.0, rel=0.03)


def test_plummer_sphere_in_henon_units() -> None:
    spheres = stack([plummer_sphere(rng, 500, mass_cutoff=1.0) for rng in streams(40)])
    # T = 1/4 and U = -1/2 on average; the mean of 40 x 500 bodies scatters by about 1 %.
    assert kinetic_energy(spheres.masses, spheres.velocities).mean() == pytest.approx(0.25, rel=0.03)
    assert potential_energy(spheres.masses, spheres.positions).mean() == pytest.approx(-0.5, rel=0.03)
    np.testing.assert_allclose(barycentre(spheres.masses, spheres.positions), 0.0, atol=1e-13)


@pytest.mark.parametrize("virial_ratio", [0.5, 0.1, 0.0])
def test_plummer_sphere_rescaled(virial_ratio: float) -> None:
    rng = np.random.default_rng(9)
    m, x, v = plummer_sphere(rng, 100, masses=rng.uniform(1, 5, 100), virial_ratio=virial_ratio, rescale=True)
    assert m.sum() == pytest.approx(1.0)
    assert total_energy(m, x, v) == pytest.approx(-0.25, rel=1e-12)
    assert kinetic_energy(m, v) / -potential_energy(m, x) == pytest.approx(virial_ratio, rel=1e-12)


@pytest.mark.parametrize(
    "options",
    [{"n": 1}, {"n": 3, "masses": np.ones(2)}, {"n": 2, "masses": np.array([1.0, -1.0])},
     {"n": 2, "virial_ratio": -0.1}, {"n": 2, "virial_ratio": 1.0, "rescale": True}, {"n": 2, "mass_cutoff": 0.0}],
)  # fmt: skip
def test_plummer_sphere_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        plummer_sphere(np.random.default_rng(0), **options)  # type: ignore[arg-type]


def test_systems_depend_on_their_stream_only() -> None:
    for make in (saz_ulibarrena_triple, agekyan_anosova, lambda rng: plummer_sphere(rng, 10)):
        one, other = make(np.random.default_rng(1)), make(np.random.default_rng(1))
        np.testing.assert_array_equal(one.positions, other.positions)
        assert (make(np.random.default_rng(2)).positions != one.positions).any()


def test_stack_wants_equal_sizes() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match=r"same number of bodies, got \[2, 3\]"):
        stack([plummer_sphere(rng, 2), plummer_sphere(rng, 3)])


def test_named_systems_are_complete() -> None:
    assert set(named_systems()) == {
        "figure-eight", "figure-eight-simo", "pythagorean", "O3(1.0)", "outer-solar-system",
    }  # fmt: skip
    for name in named_systems():
        system = named_system(name)
        n = len(system.bodies)
        assert system.masses.shape == (n,)
        assert system.positions.shape == system.velocities.shape == (n, 3)
        assert system.citation
        # All are given in (or, for the planets without Pluto, very near) the barycentric frame.
        np.testing.assert_allclose(barycentre(system.masses, system.velocities), 0.0, atol=1e-8)


def test_named_system_with_a_wrong_name() -> None:
    with pytest.raises(UsageError, match="no system is named 'figure-nine'; there are figure-eight"):
        named_system("figure-nine")


def test_outer_solar_system_is_that_of_1941() -> None:
    """Distances and mutual angles do not depend on the orientation of the axes."""
    system = named_system("outer-solar-system")
    epoch = Time(2430000.5, format="jd", scale="tdb")
    ours = system.positions[1:] - system.positions[0]
    sun = get_body_barycentric("sun", epoch, ephemeris="builtin").xyz
    theirs = np.array(
        [
            (get_body_barycentric(p.lower(), epoch, ephemeris="builtin").xyz - sun).to_value(u.au)
            for p in system.bodies[1:]
        ]
    )
    lengths, their_lengths = np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1)
    np.testing.assert_allclose(lengths, their_lengths, rtol=1e-4)
    cosines = (ours @ ours.T) / np.outer(lengths, lengths)
    their_cosines = (theirs @ theirs.T) / np.outer(their_lengths, their_lengths)
    np.testing.assert_allclose(cosines, their_cosines, atol=5e-4)
