"""What is measured on clusters, against analytic models."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy import units
from scipy.integrate import quad

from astropipe.config.clusters import ClusterStartConfig
from astropipe.nbody.clusters import (
    ClusterIntegration,
    ClusterOptions,
    Controls,
    cluster_of,
    integrate_cluster,
    make_cluster,
    point_mass_tide,
)
from astropipe.nbody.clusters.diagnostics import (
    FRACTIONS,
    bound_pairs,
    density_centre,
    energies,
    half_mass_relaxation_time,
    lagrangian_radii,
)
from astropipe.nbody.clusters.tides import NO_TIDE
from astropipe.nbody.systems import plummer_state
from astropipe.runtime.errors import UsageError

HALF = FRACTIONS.index(0.5)


def test_the_centre_and_the_core_of_a_plummer_sphere() -> None:
    n = 20_000
    x, _ = plummer_state(np.random.default_rng(1), n)
    shift = np.array([3.0, -2.0, 1.0])
    centre = density_centre(np.full(n, 1.0 / n), x + shift)
    a = 3.0 * math.pi / 16.0
    # r_c^2 = int rho^2 r^2 dm / int rho^2 dm, with rho ~ (1 + r^2)^(-5/2).
    moments = [quad(lambda r, k=k: r ** (2 + k) * (1 + r * r) ** -7.5, 0, np.inf)[0] for k in (0, 2)]
    np.testing.assert_allclose(centre.place, shift, atol=0.03)
    # The density by the sixth neighbour scatters by 40 per cent, which is not correlated with place.
    assert centre.core_radius == pytest.approx(a * math.sqrt(moments[1] / moments[0]), rel=0.03)


def test_lagrangian_radii_of_a_uniform_sphere() -> None:
    radii = np.random.default_rng(2).uniform(size=100_000) ** (1 / 3)
    np.testing.assert_allclose(lagrangian_radii(radii, np.ones(len(radii))), np.cbrt(FRACTIONS), rtol=0.01)
    # Weights count, and not numbers: the outer half of the particles has no mass to speak of.
    weights = np.where(radii < 0.5, 1.0, 1e-12)
    assert lagrangian_radii(radii, weights)[HALF] == pytest.approx(0.5 * 0.5 ** (1 / 3), rel=0.01)
    assert np.isnan(lagrangian_radii(np.empty(0), np.empty(0))).all()


def test_the_relaxation_time_is_spitzers() -> None:
    # Spitzer (1987): 1.7e5 yr (N)^(1/2) (r_h / pc)^(3/2) (m / Msun)^(-1/2) / log10(N gamma) x 0.4 ... in these units:
    n, m, r = 1e5, 1.0 * units.Msun, 3.0 * units.pc
    from astropy.constants import G

    wanted = 0.138 * n**0.5 * r**1.5 / (m**0.5 * G**0.5 * math.log(0.11 * n))
    unit = (units.pc**3 / (G * units.Msun)) ** 0.5
    assert half_mass_relaxation_time(n, 3.0, n) == pytest.approx((wanted / unit).to_value(""))
    # Some hundred million years, as of a small globular cluster.
    assert 100 < wanted.to_value("Myr") < 1500


def test_energies_count_a_binary_as_one() -> None:
    # A hard binary that leaves a heavy star: each member is deeply bound to the other, and the pair escapes.
    masses = np.array([1.0, 0.01, 0.01])
    speed, orbital = 3.0, math.sqrt(0.02 / 1e-4) / 2
    x = np.array([[0.0, 0.0, 0.0], [1.0, 5e-5, 0.0], [1.0, -5e-5, 0.0]])
    v = np.array([[0.0, 0.0, 0.0], [speed, 0.0, orbital], [speed, 0.0, -orbital]])
    state = energies(masses, x, v, np.array([True, False, False]), NO_TIDE, 0.0)
    np.testing.assert_array_equal(state.companion, [-1, 2, 1])
    np.testing.assert_allclose(state.specific[1:], 0.5 * speed**2 - 1.0, rtol=1e-6)
    assert state.energy < 0.5 * 0.02 * speed**2 - 0.02 - 0.4 * 0.0001 / 1e-4


def test_who_is_bound_to_no_one_has_no_companion() -> None:
    x = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    np.testing.assert_array_equal(bound_pairs(np.ones(3), x, np.zeros((3, 3))), [1, 0, -1])
    np.testing.assert_array_equal(bound_pairs(np.ones(3), x, 9.0 * np.eye(3)), [-1, -1, -1])


def test_escapes_have_their_time_and_speed() -> None:
    made = make_cluster(ClusterStartConfig(n_stars=50, n_massless=20, masses="equal"), seed=1)
    made.velocities[[7, 60]] = [[30.0, 0.0, 0.0], [0.0, 20.0, 0.0]]
    run = integrate_cluster(made, np.linspace(0.0, 2.0, 9)[1:], ClusterOptions(escape_radius=10.0, logs_per_snapshot=5))
    escaped = np.flatnonzero(np.isfinite(run.escape_time))
    np.testing.assert_array_equal(escaped, [7, 60])
    # They pass 10 at speeds of 30 and 20, and are seen at the next row of the log, 0.05 apart.
    for particle, speed in ((7, 30.0), (60, 20.0)):
        assert 10 / speed - 0.05 < run.escape_time[particle] < 10 / speed + 0.1
        assert run.escape_speed[particle] == pytest.approx(speed, rel=0.02)
    assert not run.bound[escaped].any()
    assert run.log["bound_stars"][-1] <= 0.98 and run.log["bound_massless"][-1] <= 0.95
    assert np.isfinite(run.log["radii_massless"]).all()


def test_in_a_tidal_field_who_is_beyond_has_escaped() -> None:
    made = make_cluster(ClusterStartConfig(n_stars=40, masses="equal"), seed=1)
    tide = point_mass_tide(0.2)
    radius = tide.radius(1.0)
    assert radius == pytest.approx((1 / (3 * 0.04)) ** (1 / 3))
    made.positions[3] = [3.0 * radius, 0.0, 0.0]
    run = integrate_cluster(made, [0.1], ClusterOptions(Controls(tide=tide)))
    assert run.escape_time[3] == 0.0 and not run.bound[3]
    assert np.isnan(run.log["angular_momentum_error"]).all()


def test_a_virial_cluster_with_binaries_has_a_virial_ratio_of_a_half() -> None:
    made = make_cluster(ClusterStartConfig(n_stars=200, binary_fraction=0.5, longest_axis=1e-3), seed=2)
    run = ClusterIntegration(made, [1.0], ClusterOptions()).result()
    assert run.log["virial_ratio"][0] == pytest.approx(0.5, abs=0.01)
    assert run.log["pairs"][0] > 60


def test_times_must_increase() -> None:
    made = make_cluster(ClusterStartConfig(n_stars=10), seed=1)
    with pytest.raises(UsageError, match=r"must increase, but entry 1, 1.0, is not after the one before"):
        integrate_cluster(made, [2.0, 1.0])
    with pytest.raises(UsageError, match="not after the time of the cluster"):
        integrate_cluster(made, [0.0, 1.0])
    in_units = make_cluster(ClusterStartConfig(n_stars=10, virial_radius="1 pc"), seed=1)
    with pytest.raises(UsageError, match="times need one too"):
        integrate_cluster(in_units, [1.0])


def test_a_snapshot_lies_at_its_time_whatever_lies_between() -> None:
    made = make_cluster(ClusterStartConfig(n_stars=20, masses="equal"), seed=4)
    coarse = integrate_cluster(made, [0.5, 1.0], ClusterOptions(logs_per_snapshot=1))
    fine = integrate_cluster(made, [0.5, 1.0], ClusterOptions(logs_per_snapshot=8))
    # Intervals are cut by powers of two: these times are met anyway.
    np.testing.assert_array_equal(coarse.positions, fine.positions)
    assert len(coarse.log["time"]) == 3 and len(fine.log["time"]) == 17


def test_quantities_come_back_in_units() -> None:
    masses = np.full(10, 2.0) * units.Msun
    x, v = plummer_state(np.random.default_rng(3), 10)
    cluster = cluster_of(masses, x * units.pc, v * units.km / units.s)
    run = integrate_cluster(cluster, [1e5, 2e5] * units.yr)
    assert run.times.unit == units.Myr and run.times[-1].to_value("yr") == pytest.approx(2e5)
    np.testing.assert_allclose(run.positions[0].to_value("pc"), x, rtol=1e-12)
    # Much faster than gravity could bind them: they go straight on.
    straight = x + (v * units.km / units.s * 2e5 * units.yr).to_value("pc")
    np.testing.assert_allclose(run.positions[-1].to_value("pc"), straight, atol=0.02)
