"""Forces, steps, pairs and tides of clusters, against sums in numpy, orbits of Kepler, Hill's equations and REBOUND."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from kepler import kepler_state, period

from astropipe.config.clusters import ClusterStartConfig
from astropipe.nbody.clusters import Controls, cluster_of, make_cluster, oort_tide, point_mass_tide
from astropipe.nbody.clusters.diagnostics import energies
from astropipe.nbody.clusters.forces import forces, pair_times, potentials, scratch, sharing
from astropipe.nbody.clusters.layout import get, put, sources
from astropipe.nbody.clusters.orbit import apocentre, follow_orbit
from astropipe.nbody.clusters.run import ClusterRun
from astropipe.nbody.clusters.state import KICKS_GIVEN, PAIRS_ENDED, PAIRS_MADE
from astropipe.nbody.clusters.stepping import END, fitting_level, level_of, next_level, step_of
from astropipe.nbody.clusters.tides import add_tide
from astropipe.nbody.conserved import potential_energy, total_energy
from astropipe.runtime.errors import UsageError

NO_PAIRS = {"pair_disturbance": 0.0}


def run_of(masses: Any, positions: Any, velocities: Any, **controls: Any) -> ClusterRun:
    cluster = cluster_of(masses, positions, velocities)
    return ClusterRun(cluster.masses, cluster.positions, cluster.velocities, Controls(**controls))


def plummer(n: int, seed: int = 1, **changes: Any) -> Any:
    return make_cluster(ClusterStartConfig(n_stars=n, masses="equal", **changes), seed)


def cluster_run(cluster: Any, **controls: Any) -> ClusterRun:
    return ClusterRun(cluster.masses, cluster.positions, cluster.velocities, Controls(**controls))


def energy_error(run: ClusterRun, cluster: Any) -> float:
    n = len(cluster.masses)
    before = total_energy(cluster.masses, cluster.positions[:n], cluster.velocities[:n])
    positions, velocities = run.phase()
    return abs(float(total_energy(cluster.masses, positions[:n], velocities[:n]) / before) - 1.0)


@pytest.mark.parametrize("n", [2, 31, 33, 200])
def test_forces_are_those_of_a_sum_over_pairs(n: int) -> None:
    rng = np.random.default_rng(n)
    masses, x, v = rng.uniform(0.1, 1.0, n), rng.normal(size=(n, 3)), rng.normal(size=(n, 3))
    out = np.empty((n, 6))
    forces(sources(masses, x, v), np.hstack([x, v]), n, sharing(), scratch(), out)
    dx, dv = x[None] - x[:, None], v[None] - v[:, None]
    r = np.linalg.norm(dx, axis=2)
    np.fill_diagonal(r, np.inf)
    pull = (masses / r**3)[..., None]
    alpha = ((dx * dv).sum(axis=2) / r**2)[..., None]
    wanted = np.hstack([(pull * dx).sum(axis=1), (pull * (dv - 3.0 * alpha * dx)).sum(axis=1)])
    np.testing.assert_allclose(out, wanted, rtol=1e-11, atol=1e-11 * np.abs(wanted).max())
    depth = np.empty(n)
    potentials(sources(masses, x, v), x, depth)
    assert 0.5 * masses @ depth == pytest.approx(float(potential_energy(masses, x)), rel=1e-12)


def test_times_of_pairs_are_the_shortest_of_all_pairs() -> None:
    rng = np.random.default_rng(5)
    n, m = 70, 9
    masses, x, v = rng.uniform(0.1, 1.0, n), rng.normal(size=(n + m, 3)), rng.normal(size=(n + m, 3))
    own, out = np.r_[masses, np.zeros(m)], np.empty(n + m)
    pair_times(sources(masses, x[:n], v[:n]), np.hstack([x, v]), own, out)
    r, speed = (np.linalg.norm(values[:n] - values[:, None], axis=2) for values in (x, v))
    np.fill_diagonal(r, np.inf)
    wanted = np.minimum(r / np.maximum(speed, 1e-300), np.sqrt(r**3 / (own[:, None] + masses))).min(axis=1)
    np.testing.assert_allclose(out, wanted, rtol=1e-13)


def test_tiles_give_back_what_was_put() -> None:
    values = np.random.default_rng(0).normal(size=(77, 3))
    tiles = sources(np.ones(77), values, -values)
    np.testing.assert_array_equal(get(tiles, 0, 77), values)
    put(tiles, 0, 2.0 * values)
    np.testing.assert_array_equal(get(tiles, 3, 77), -values)


def test_levels_are_the_largest_steps_that_fit() -> None:
    assert [level_of(step, 1.0) for step in (2.0, 1.0, 0.99, 0.5, 0.3, 2.0**-40)] == [0, 0, 1, 1, 2, 40]
    assert level_of(1e-300, 1.0) == 41
    assert next_level(3, 5, 7) == 5
    # A step grows by a factor of 2 at most, and only where the grid of the longer step allows it.
    assert next_level(3, 0, 2 * step_of(3)) == 2
    assert next_level(3, 0, 3 * step_of(3)) == 3
    assert fitting_level(0, END) == 0
    assert fitting_level(0, 3 * step_of(5)) == 5


@pytest.mark.parametrize("e", [0.0, 0.5, 0.99, 0.99999])
@pytest.mark.parametrize("turns", [0.001, 0.5, 0.9, 1000.3])
def test_pairs_follow_keplers_orbit(e: float, turns: float) -> None:
    # From an arbitrary phase; the oracle solves Kepler's equation by bisection.
    start, later = 0.3, 0.3 + turns
    unit = period(1.0, 2.0, 0.01)
    states = []
    for phase in (start, later):
        _, x, v = kepler_state(1.0, 2.0, 0.01, e, phase * unit)
        states.append(np.r_[x[1] - x[0], v[1] - v[0]])
    out = np.empty(6)
    follow_orbit(3.0, states[0], turns * unit, out)
    # Phases of many turns are known to their share of double precision.
    size = np.r_[np.full(3, 0.01), np.full(3, np.abs(states[1][3:]).max())]
    np.testing.assert_allclose(out / size, states[1] / size, atol=1e-10 * max(1.0, turns) / (1.0 - e))
    assert apocentre(3.0, states[0]) == pytest.approx(0.01 * (1.0 + e), rel=1e-9)


@pytest.mark.parametrize("e", [1.0, 1.0001, 1.5, 20.0])
@pytest.mark.parametrize("way", [(-3.0, -1e-3), (-2.0, 3.0), (-1e-3, 0.1), (0.0, 5.0)])
def test_stars_that_pass_follow_a_parabola_or_a_hyperbola(e: float, way: tuple[float, float]) -> None:
    # States at two anomalies, and the time between them: Barker's equation, and Kepler's for hyperbolas.
    mass, q = 3.0, 0.01
    states, times = [], []
    for u in way:
        if e == 1.0:
            place, rate = [q * (1.0 - u * u), 2.0 * q * u], [-2.0 * q * u, 2.0 * q]
            unit, pace = math.sqrt(2.0 * q**3 / mass), 1.0 + u * u
            times.append(unit * (u + u**3 / 3.0))
        else:
            a, b = q / (e - 1.0), q * math.sqrt((e + 1.0) / (e - 1.0))
            place, rate = [a * (e - math.cosh(u)), b * math.sinh(u)], [-a * math.sinh(u), b * math.cosh(u)]
            unit, pace = math.sqrt(a**3 / mass), e * math.cosh(u) - 1.0
            times.append(unit * (e * math.sinh(u) - u))
        states.append(np.r_[place, 0.0, np.array(rate) / (unit * pace), 0.0])
    out = np.empty(6)
    follow_orbit(mass, states[0], times[1] - times[0], out)
    for part in (slice(0, 3), slice(3, 6)):
        # Deep in a fall, digits are lost in the ratio of the first distance to the last one.
        lost = max(1.0, np.linalg.norm(states[0][:3]) / np.linalg.norm(states[1][:3]))
        np.testing.assert_allclose(out[part], states[1][part], atol=1e-12 * lost * np.linalg.norm(states[1][part]))


def test_stars_converge_with_order_4() -> None:
    # Equal steps: eta so large that all take the longest one, once the short first ones have grown.
    masses, x, v = kepler_state(1.0, 0.5, 1.0, 0.3, 0.0)
    end = 4.0
    _, wanted, _ = kepler_state(1.0, 0.5, 1.0, 0.3, end)
    errors = []
    for step in (2.0**-6, 2.0**-7, 2.0**-8):
        run = run_of(masses, x, v, eta=1e3, longest_step=step, **NO_PAIRS)
        run.advance(end)
        errors.append(np.abs(run.phase().positions - wanted).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 4.0, atol=0.2)


def heavy_star(n: int, **controls: Any) -> ClusterRun:
    """Massless particles around one star: a static potential, with a second star that is next to nothing, far away."""
    starts = [kepler_state(1.0, 0.0, 1.0, 0.9 * k / max(1, n - 1), 0.1 + k)[1:] for k in range(n)]
    x = np.array([s[0][1] - s[0][0] for s in starts])
    v = np.array([s[1][1] - s[1][0] for s in starts])
    stars = np.array([[0.0, 0.0, 0.0], [1e6, 0.0, 0.0]])
    cluster = cluster_of([1.0, 1e-20], stars, np.zeros((2, 3)), x, v)
    return ClusterRun(cluster.masses, cluster.positions, cluster.velocities, Controls(**controls))


def test_massless_particles_converge_with_order_4() -> None:
    errors = []
    for step in (2.0**-6, 2.0**-7, 2.0**-8):
        run = heavy_star(1, massless_eta=1e3, longest_step=step)
        run.advance(4.0)
        _, x, _ = kepler_state(1.0, 0.0, 1.0, 0.0, 4.1)
        errors.append(np.abs(run.phase().positions[2] - (x[1] - x[0])).max())
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 4.0, atol=0.2)


def test_massless_particles_keep_their_energy_in_a_static_potential() -> None:
    run = heavy_star(10, massless_eta=0.005, n_twins=10)
    run.advance(10 * 2 * math.pi)
    positions, velocities = (part[2:] for part in run.phase())
    energy = 0.5 * (velocities**2).sum(axis=1) - 1.0 / np.linalg.norm(positions, axis=1)
    np.testing.assert_allclose(energy, -0.5, rtol=2e-5)
    # Each is measured by its twin, whose step is half as long and whose error is a 16th or less: within a factor of 2.
    wanted = np.array([kepler_state(1.0, 0.0, 1.0, 0.1 * k, 0.1 + k + 20 * math.pi)[1] for k in range(10)])
    errors = np.linalg.norm(positions - (wanted[:, 1] - wanted[:, 0]), axis=1)
    assert ((run.twin_offsets() > 0.5 * errors) & (run.twin_offsets() < 2.0 * errors)).all()


def test_a_small_cluster_agrees_with_rebound() -> None:
    rebound = pytest.importorskip("rebound")
    cluster = plummer(16, seed=3)
    simulation = rebound.Simulation()
    for m, x, v in zip(cluster.masses, cluster.positions, cluster.velocities, strict=True):
        simulation.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
    simulation.integrate(1.0)
    wanted = np.array([p.xyz for p in simulation.particles])
    errors = []
    for eta in (0.02, 0.00125):
        run = cluster_run(cluster, eta=eta, **NO_PAIRS)
        run.advance(1.0)
        errors.append(np.abs(run.phase().positions - wanted).max())
    # A sixteenth of eta is a quarter of the step: 256 times less, or near it, as blocks quantise steps.
    assert errors[0] < 1e-4 and errors[1] < 1e-6 and errors[0] / errors[1] > 60


def test_energy_and_angular_momentum_are_kept() -> None:
    cluster = plummer(64)
    run = cluster_run(cluster)
    run.advance(2.0)
    assert energy_error(run, cluster) < 1e-6
    finer = cluster_run(cluster, eta=0.005)
    finer.advance(2.0)
    # Half of the step of a scheme of order 4.
    assert energy_error(finer, cluster) < energy_error(run, cluster) / 8


def test_a_kicked_pair_in_a_triple_agrees_with_rebound() -> None:
    rebound = pytest.importorskip("rebound")
    masses = np.array([0.5, 0.5, 1.0])
    _, x_in, v_in = kepler_state(0.5, 0.5, 0.01, 0.6, 0.002)
    _, x_out, v_out = kepler_state(1.0, 1.0, 0.2, 0.3, 0.1)
    # The orbits are perpendicular, so that the inner eccentricity changes (Kozai-Lidov).
    turn = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    x = np.vstack([x_in @ turn.T + x_out[0], x_out[1]])
    v = np.vstack([v_in @ turn.T + v_out[0], v_out[1]])
    end = 2.0
    simulation = rebound.Simulation()
    for m, p, u in zip(masses, x, v, strict=True):
        simulation.add(m=m, x=p[0], y=p[1], z=p[2], vx=u[0], vy=u[1], vz=u[2])
    simulation.integrate(end)
    run = run_of(masses, x, v, eta=0.002)
    run.advance(end)
    assert run.counts[PAIRS_MADE] == 1 and run.counts[PAIRS_ENDED] == 0 and run.counts[KICKS_GIVEN] > 5000
    positions, velocities = run.phase()

    def eccentricity_vector(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        dx, dv = x[1] - x[0], v[1] - v[0]
        return np.asarray(np.cross(dv, np.cross(dx, dv)) - dx / np.linalg.norm(dx))

    wanted_x = np.array([p.xyz for p in simulation.particles])
    wanted_v = np.array([p.vxyz for p in simulation.particles])
    wanted = eccentricity_vector(wanted_x, wanted_v)
    assert abs(np.linalg.norm(wanted) - 0.6) > 0.01
    np.testing.assert_allclose(eccentricity_vector(positions, velocities), wanted, atol=2e-3)
    np.testing.assert_allclose(positions[2], wanted_x[2], atol=1e-4)


def test_pairs_keep_the_energy_of_hard_binaries_at_less_cost() -> None:
    cluster = plummer(40, seed=5, binary_fraction=0.25, shortest_axis=1e-3, longest_axis=3e-3)
    with_pairs, without = cluster_run(cluster), cluster_run(cluster, **NO_PAIRS)
    for run in (with_pairs, without):
        run.advance(1.0)
    assert with_pairs.counts[PAIRS_MADE] >= 8
    assert energy_error(with_pairs, cluster) < 0.1 * energy_error(without, cluster)
    assert with_pairs.star_forces < 0.5 * without.star_forces


def test_two_stars_that_fall_into_each_other_end_the_run_and_say_so() -> None:
    run = run_of([1.0, 1.0], [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], np.zeros((2, 3)), **NO_PAIRS)
    assert run.advance(10.0)
    assert run.status in ("step-underflow", "collision")
    assert run.time < 10.0


@pytest.mark.parametrize("sideways", [0.0, 1e-4, 1e-2])
def test_two_stars_that_fall_into_each_other_beside_a_third_pass(sideways: float) -> None:
    """Pericentres of 0, 2e-12 and 2e-8, with tides too strong for a pair of a whole orbit."""
    masses = np.full(3, 0.5)
    x = np.array([[-0.01, 0.0, 0.0], [0.01, 0.0, 0.0], [0.15, 0.0, 0.0]])
    v = np.array([[0.0, 0.5 * sideways, 0.0], [0.0, -0.5 * sideways, 0.0], np.zeros(3)])
    before, end = float(total_energy(masses, x, v)), 0.0075
    run, steps_alone = run_of(masses, x, v), run_of(masses, x, v, **NO_PAIRS)
    run.advance(0.0025)
    assert run.counts[PAIRS_MADE] == 0
    run.advance(end)
    steps_alone.advance(end)
    assert run.status == "ok" and run.counts[PAIRS_MADE] == run.counts[PAIRS_ENDED] == 1
    positions, velocities = run.phase()
    assert float(total_energy(masses, positions, velocities)) == pytest.approx(before, rel=3e-6)
    if steps_alone.status == "ok":
        assert abs(float(total_energy(masses, *steps_alone.phase())) / before - 1.0) > 0.01
    # Pericentres of nothing end as small ones do, of which IAS15 is able.
    rebound = pytest.importorskip("rebound")
    simulation = rebound.Simulation()
    for m, p, u in zip(masses, x, (5e-3, -5e-3, 0.0), strict=True):
        simulation.add(m=m, x=p[0], y=p[1], z=p[2], vy=u)
    simulation.integrate(end)
    wanted = np.array([p.xyz for p in simulation.particles])
    np.testing.assert_allclose(positions, wanted, atol=2e-5)


def test_massless_particles_change_no_bit_of_the_stars() -> None:
    start = {"binary_fraction": 0.3, "shortest_axis": 1e-3}
    runs = []
    for m in (0, 500):
        cluster = plummer(64, n_massless=m, **start)
        run = cluster_run(cluster, n_twins=5)
        run.advance(0.5)
        runs.append(run)
    assert runs[0].counts[PAIRS_MADE] > 0
    for part in range(2):
        np.testing.assert_array_equal(runs[0].phase()[part], runs[1].phase()[part][:64])


def test_a_pause_anywhere_changes_no_bit() -> None:
    cluster = plummer(50, n_massless=100, binary_fraction=0.2, shortest_axis=1e-3)
    whole = cluster_run(cluster, n_twins=3)
    whole.advance(0.3)
    whole.advance(0.5)
    paused = cluster_run(cluster, n_twins=3)
    pauses = 0
    for goal in (0.3, 0.5):
        while not paused.advance(goal, 20_000):
            pauses += 1
            other = cluster_run(cluster, n_twins=3)
            other.restore({name: values.copy() for name, values in paused.arrays().items()})
            paused = other
    assert pauses > 10
    for mine, theirs in zip(paused.phase(), whole.phase(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert paused.interactions == whole.interactions


def test_goals_lie_ahead() -> None:
    run = cluster_run(plummer(10))
    run.advance(0.1)
    with pytest.raises(UsageError, match="cannot go on"):
        run.advance(0.05)


def test_the_jerk_of_the_tide_is_the_rate_of_its_acceleration() -> None:
    tide = oort_tide(0.7, -0.4, 0.1)
    x, v, h, time = np.array([0.3, -0.2, 0.5]), np.array([0.1, 0.4, -0.3]), 1e-5, 0.7
    at = []
    for step in (-h, 0.0, h):
        force = np.zeros(6)
        add_tide(tide, time + step, np.r_[x + step * v, v], force)
        at.append(force)
    np.testing.assert_allclose(at[1][3:], (at[2][:3] - at[0][:3]) / (2 * h), atol=1e-8)


def test_a_star_far_from_all_others_moves_on_an_epicycle() -> None:
    # Around a point mass the epicycle closes after one orbit, in 1 : 2 (Binney & Tremaine 2008, section 3.2.3).
    omega = 0.5
    tide = point_mass_tide(omega)
    assert tide.radial == pytest.approx(3 * omega**2) and tide.vertical == pytest.approx(omega**2)
    amplitude = 0.1
    start = np.array([amplitude, 0.0, 0.05])
    # In the turning frame x = X cos(Omega t), y = -2 X sin(Omega t): y' = -2 Omega X, plus the turn of the frame.
    velocity = np.array([0.0, -2.0 * omega * amplitude + omega * amplitude, 0.0])
    cluster = cluster_of([1e-13, 1e-13], [start, -start], [velocity, -velocity])
    run = ClusterRun(cluster.masses, cluster.positions, cluster.velocities, Controls(tide=tide, eta=1e-3))
    quarter = 0.5 * math.pi / omega
    run.advance(quarter)
    # After a quarter x = 0, y = -2 X along the orbit, which points in the direction -x of the axes that do not turn.
    np.testing.assert_allclose(run.phase().positions[0], [2 * amplitude, 0.0, 0.0], atol=1e-6)
    run.advance(4 * quarter)
    np.testing.assert_allclose(run.phase().positions[0], start, atol=1e-6)


def test_the_jacobi_energy_of_a_cluster_in_a_tidal_field_is_kept() -> None:
    cluster = plummer(64)
    tide = oort_tide(0.1, -0.08, 0.005)
    run = cluster_run(cluster, tide=tide, eta=0.01)

    def jacobi() -> float:
        positions, velocities = run.phase()
        return energies(cluster.masses, positions, velocities, np.ones(64, bool), tide, run.time).energy

    before = jacobi()
    run.advance(3.0)
    assert jacobi() == pytest.approx(before, rel=1e-6)
    positions, velocities = run.phase()
    # The field does work: the energy without it is not kept.
    assert abs(float(total_energy(cluster.masses, positions, velocities)) / -0.25 - 1.0) > 1e-4


def test_a_field_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="give no tidal field"):
        oort_tide(-1.0, 2.0)
