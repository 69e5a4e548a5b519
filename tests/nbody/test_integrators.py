from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import pytest
from kepler import kepler_state, period

from astropipe.nbody import agekyan_anosova, integrate, integrate_batch, named_system, stack
from astropipe.nbody.conserved import linear_momentum
from astropipe.nbody.integration import IntegrationResult

METHODS = ("hermite4", "leapfrog", "yoshida4", "yoshida6")


def run_named(name: str, t_end: float | None = None, **options: Any) -> tuple[Any, IntegrationResult]:
    system = named_system(name)
    end = system.period if t_end is None else t_end
    return system, integrate(system.masses, system.positions, system.velocities, end, G=system.G, **options)


def kepler_error(method: str, n_steps: int) -> float:
    """Position error after half a period of an orbit with e = 0.3, starting away from the apsides."""
    P = period(1.0, 0.5, 1.0)
    m, x, v = kepler_state(1.0, 0.5, 1.0, 0.3, 0.1 * P)
    _, exact, _ = kepler_state(1.0, 0.5, 1.0, 0.3, 0.6 * P)
    run = integrate(m, x, v, 0.5 * P, method=method, dt=0.5 * P / n_steps)
    return float(np.abs(run.positions - exact).max())


@pytest.mark.parametrize(
    ("method", "order", "n_steps"),
    [("leapfrog", 2, 400), ("hermite4", 4, 200), ("yoshida4", 4, 400), ("yoshida6", 6, 100)],
)
def test_convergence_order_on_a_kepler_orbit(method: str, order: int, n_steps: int) -> None:
    errors = np.array([kepler_error(method, n) for n in (n_steps, 2 * n_steps, 4 * n_steps)])
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), order, atol=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_kepler_orbit_is_the_analytic_one(method: str) -> None:
    P = period(3.0, 1.0, 2.0)
    m, x, v = kepler_state(3.0, 1.0, 2.0, 0.6, 0.0)
    run = integrate(m, x, v, 2.3 * P, method=method, mu=0.001)
    _, exact_x, exact_v = kepler_state(3.0, 1.0, 2.0, 0.6, 2.3 * P)
    tolerance = 2e-4 if method == "leapfrog" else 1e-8
    np.testing.assert_allclose(run.positions, exact_x, atol=tolerance)
    np.testing.assert_allclose(run.velocities, exact_v, atol=tolerance)


@pytest.mark.parametrize(
    ("mu", "return_error", "evaluations"),
    [(0.1, 9e-5, 169), (0.03, 4e-7, 559), (0.01, 4e-9, 1675), (0.003, 3e-11, 5580)],
)
def test_figure_eight_returns_with_the_published_cost(mu: float, return_error: float, evaluations: int) -> None:
    system, run = run_named("figure-eight", mu=mu)
    assert np.abs(run.positions - system.positions).max() < return_error
    assert run.force_evaluations == evaluations


def test_pythagorean_position_of_brutus() -> None:
    system, run = run_named("pythagorean", t_end=10.0, mu=0.003)
    assert system.reference is not None
    assert system.reference.time == 10.0
    np.testing.assert_allclose(run.positions[system.reference.body], system.reference.position, atol=2e-9)


def test_three_dimensional_orbit_returns() -> None:
    system, run = run_named("O3(1.0)", mu=0.001)
    np.testing.assert_allclose(run.positions, system.positions, atol=5e-12)
    np.testing.assert_allclose(run.velocities, system.velocities, atol=5e-12)


def test_outer_solar_system_is_stable() -> None:
    _, run = run_named("outer-solar-system", t_end=365250.0, method="yoshida6", dt=40.0)
    sun, planets = run.positions[0], run.positions[1:]
    distances = np.linalg.norm(planets - sun, axis=1)
    # Perihelia and aphelia of the giants, a (1 -+ e), with room for the secular change of e over 1000 years.
    for distance, low, high in zip(distances, (4.9, 8.9, 18.0, 29.5), (5.5, 10.2, 20.3, 30.6), strict=True):
        assert low < distance < high
    assert run.energy_error < 1e-9
    assert run.angular_momentum_error < 1e-12


def test_outer_solar_system_against_ias15() -> None:
    rebound = pytest.importorskip("rebound")
    system, run = run_named("outer-solar-system", t_end=20000.0, mu=0.003)
    peer = rebound.Simulation()
    peer.G = system.G
    for m, x, v in zip(system.masses, system.positions, system.velocities, strict=True):
        peer.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
    peer.integrate(20000.0)
    theirs = np.array([[p.x, p.y, p.z] for p in peer.particles])
    np.testing.assert_allclose(run.positions, theirs, atol=1e-9)


@pytest.mark.parametrize("method", ["leapfrog", "yoshida4", "yoshida6"])
def test_fixed_step_compositions_are_time_reversible(method: str) -> None:
    system = named_system("figure-eight")
    there = integrate(system.masses, system.positions, system.velocities, 3.0, method=method, dt=0.01)
    back = integrate(system.masses, there.positions, -there.velocities, 3.0, method=method, dt=0.01)
    np.testing.assert_allclose(back.positions, system.positions, atol=1e-12)
    np.testing.assert_allclose(-back.velocities, system.velocities, atol=1e-12)


def test_leapfrog_energy_error_does_not_grow() -> None:
    m, x, v = kepler_state(1.0, 1.0, 1.0, 0.3, 0.0)
    P = period(1.0, 1.0, 1.0)
    early = integrate(m, x, v, 10 * P, method="leapfrog", dt=P / 100)
    late = integrate(m, x, v, 1000 * P, method="leapfrog", dt=P / 100)
    assert early.energy_error < 2e-3
    assert late.energy_error < 2e-3


@pytest.mark.parametrize("method", METHODS)
def test_momentum_is_conserved(method: str) -> None:
    rng = np.random.default_rng(3)
    m, x, v = rng.uniform(0.1, 1.0, 5), rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    run = integrate(m, x, v, 1.0, method=method, mu=0.02)
    np.testing.assert_allclose(linear_momentum(m, run.velocities), linear_momentum(m, v), atol=1e-12)
    assert run.angular_momentum_error < (1e-12 if method != "hermite4" else 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_evaluations_are_counted(method: str) -> None:
    _, run = run_named("figure-eight", t_end=1.0, method=method, dt=0.01)
    assert run.force_evaluations == 1 + 100 * {"hermite4": 1, "leapfrog": 1, "yoshida4": 3, "yoshida6": 7}[method]


def test_output_times_are_hit_exactly() -> None:
    times = [0.0, 0.1, 0.1, 1.0 / 3.0, 0.7, 1.0]
    system, run = run_named("figure-eight", t_end=1.0, save_times=times, mu=0.01)
    assert run.trajectory is not None
    assert run.time == 1.0
    np.testing.assert_array_equal(run.trajectory.positions[0], system.positions)
    np.testing.assert_array_equal(run.trajectory.positions[1], run.trajectory.positions[2])
    np.testing.assert_array_equal(run.trajectory.positions[-1], run.positions)
    for time, state in zip(times, run.trajectory.positions, strict=True):
        direct = integrate(system.masses, system.positions, system.velocities, time, mu=0.003)
        np.testing.assert_allclose(state, direct.positions, atol=1e-8)


def test_the_clock_does_not_drift() -> None:
    # 0.1 is not a binary fraction: a plain sum of a million steps would be off by 1e-6 and need a step more or less.
    m, x, v = kepler_state(1.0, 1.0, 100.0, 0.0, 0.0)
    run = integrate(m, x, v, 100_000.0, method="leapfrog", dt=0.1)
    assert run.time == 100_000.0
    assert run.force_evaluations == 1_000_001


def test_start_time_only_shifts_the_clock() -> None:
    system = named_system("figure-eight")
    plain = integrate(system.masses, system.positions, system.velocities, 0.5, dt=0.125)
    shifted = integrate(system.masses, system.positions, system.velocities, 8.5, t_start=8.0, dt=0.125)
    np.testing.assert_array_equal(plain.positions, shifted.positions)
    assert shifted.time == 8.5


def test_no_time_means_no_change() -> None:
    system, run = run_named("figure-eight", t_end=0.0, save_times=[0.0])
    np.testing.assert_array_equal(run.positions, system.positions)
    assert (run.status, run.force_evaluations, run.energy_error) == ("ok", 1, 0.0)


def test_status_budget() -> None:
    _, run = run_named("figure-eight", max_force_evaluations=50, save_times=[0.5, 6.0])
    assert run.status == "max-force-evaluations"
    assert run.force_evaluations == 50
    assert 0.0 < run.time < 6.0
    assert np.isnan(run.trajectory.positions[1]).all()


@pytest.mark.parametrize("method", METHODS)
def test_status_of_a_head_on_collision(method: str) -> None:
    x = np.array([[-1.0, 0, 0], [1.0, 0, 0]])
    v = np.array([[1.0, 0, 0], [-1.0, 0, 0]])
    run = integrate([1e-3, 1e-3], x, v, 2.0, method=method, mu=0.1, max_force_evaluations=100_000)
    assert run.status in {"step-underflow", "collision"}
    # Free fall from rest at infinity would pass sooner: with this much energy the bodies meet a little before t = 1.
    assert run.time == pytest.approx(1.0, abs=0.01)
    assert np.isfinite(run.positions).all()
    assert run.closest_approach.separation < 1e-6


def test_status_collision_with_a_fixed_step() -> None:
    # Nearly massless bodies at unit speed and steps of 1/4 stand at one place after 4 steps.
    x = np.array([[-1.0, 0, 0], [1.0, 0, 0]])
    v = np.array([[1.0, 0, 0], [-1.0, 0, 0]])
    run = integrate([1e-300, 1e-300], x, v, 2.0, method="leapfrog", dt=0.25)
    assert run.status == "collision"
    assert run.time == 0.75
    np.testing.assert_array_equal(run.positions[:, 0], [-0.25, 0.25])


def test_stop_on_escape() -> None:
    # A binary with a = 0.02 and a third body that leaves at more than escape speed: escape at distance 20 a = 0.4.
    m, x, v = kepler_state(0.5, 0.5, 0.02, 0.1, 0.0)
    m, x = np.append(m, 0.1), np.vstack([x, [0.2, 0.0, 0.0]])
    v = np.vstack([v, [5.0, 0.0, 0.0]])
    run = integrate(m, x, v, 10.0, stop_on_escape=True)
    assert run.status == "escape"
    distance = np.linalg.norm(run.positions[2] - 0.5 * (run.positions[0] + run.positions[1]))
    assert 0.4 < distance < 0.45
    assert integrate(m, x, v, 0.1).status == "ok"


def test_test_particles_do_not_move_stars() -> None:
    system = named_system("figure-eight")
    rng = np.random.default_rng(8)
    with_tracers = integrate(
        np.append(system.masses, np.zeros(3)),
        np.vstack([system.positions, rng.normal(size=(3, 3))]),
        np.vstack([system.velocities, rng.normal(size=(3, 3))]),
        1.0,
        dt=0.01,
    )
    alone = integrate(system.masses, system.positions, system.velocities, 1.0, dt=0.01)
    np.testing.assert_array_equal(with_tracers.positions[:3], alone.positions)
    assert with_tracers.energy_error == alone.energy_error


def test_massless_planet_on_a_kepler_orbit() -> None:
    m, x, v = kepler_state(1.0, 0.0, 1.0, 0.2, 0.0)
    run = integrate(m, x, v, 5.0, mu=0.003)
    np.testing.assert_allclose(run.positions, kepler_state(1.0, 0.0, 1.0, 0.2, 5.0)[1], atol=1e-8)
    assert run.energy_error == 0.0


def cold_starts(n: int) -> Any:
    return stack([agekyan_anosova(np.random.default_rng([5, i])) for i in range(n)])


@pytest.mark.parametrize("method", ["hermite4", "yoshida4"])
def test_batch_is_single_bit_for_bit(method: str) -> None:
    systems = cold_starts(20)
    options: dict[str, Any] = {"method": method, "mu": 0.02, "save_times": [0.5, 1.5], "stop_on_escape": True}
    batch = integrate_batch(*systems, 3.0, **options)
    for i in range(20):
        one = integrate(*(part[i] for part in systems), 3.0, **options)
        np.testing.assert_array_equal(batch.positions[i], one.positions)
        np.testing.assert_array_equal(batch.velocities[i], one.velocities)
        np.testing.assert_array_equal(batch.trajectory.positions[i], one.trajectory.positions)
        np.testing.assert_array_equal(batch.closest_approach.pair[i], one.closest_approach.pair)
        for name in ("time", "status", "energy_error", "angular_momentum_error", "force_evaluations"):
            assert getattr(batch, name)[i] == getattr(one, name), name
        assert batch.closest_approach.separation[i] == one.closest_approach.separation
        assert batch.closest_approach.time[i] == one.closest_approach.time


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread only")
def test_result_does_not_depend_on_the_number_of_threads() -> None:
    systems = cold_starts(100)
    before = numba.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            numba.set_num_threads(threads)
            results.append(integrate_batch(*systems, 5.0, mu=0.02))
    finally:
        numba.set_num_threads(before)
    one, two = results
    np.testing.assert_array_equal(one.positions, two.positions)
    np.testing.assert_array_equal(one.velocities, two.velocities)
    np.testing.assert_array_equal(one.force_evaluations, two.force_evaluations)
    np.testing.assert_array_equal(one.energy_error, two.energy_error)


def test_an_empty_batch_is_possible() -> None:
    run = integrate_batch(np.empty((0, 3)), np.empty((0, 3, 3)), np.empty((0, 3, 3)), 1.0)
    assert run.positions.shape == (0, 3, 3)
    assert run.status.shape == (0,)


@pytest.mark.slow
def test_pythagorean_outcome_needs_small_steps() -> None:
    # Body 3 escapes and 4, 5 stay as a binary (Szebehely & Peters 1967); converged below mu = 0.003.
    from astropipe.nbody import classify

    system, run = run_named("pythagorean", t_end=100.0, mu=0.0003)
    outcome = classify(system.masses, run.positions, run.velocities)
    assert outcome.label == "binary+escaper"
    assert outcome.escaper == 0
    assert list(outcome.members) == [1, 2]
    assert math.isfinite(outcome.period)
