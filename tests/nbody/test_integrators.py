from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from kepler import kepler_state, period

from astropipe.nbody import (
    agekyan_anosova,
    classify,
    from_rebound,
    integrate,
    integrate_batch,
    named_system,
    stack,
    to_rebound,
)
from astropipe.nbody.conserved import linear_momentum
from astropipe.nbody.integration import Integration, IntegrationResult, Options
from astropipe.nbody.steps import METHODS, STAGES
from astropipe.runtime.errors import UsageError


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
    [
        ("leapfrog", 2, 400),
        ("hermite4", 4, 200),
        ("hermite6", 6, 60),
        ("hermite8", 8, 30),
        ("yoshida4", 4, 400),
        ("yoshida6", 6, 100),
        ("logh2", 2, 200),
        ("logh4", 4, 200),
        ("logh6", 6, 60),
    ],
)
def test_convergence_order_on_a_kepler_orbit(method: str, order: int, n_steps: int) -> None:
    errors = np.array([kepler_error(method, n) for n in (n_steps, 2 * n_steps, 4 * n_steps)])
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), order, atol=0.15 if order < 6 else 0.5)


@pytest.mark.parametrize("method", METHODS)
def test_kepler_orbit_is_the_analytic_one(method: str) -> None:
    P = period(3.0, 1.0, 2.0)
    m, x, v = kepler_state(3.0, 1.0, 2.0, 0.6, 0.0)
    run = integrate(m, x, v, 2.3 * P, method=method, timestep="shared", mu=0.001)
    _, exact_x, exact_v = kepler_state(3.0, 1.0, 2.0, 0.6, 2.3 * P)
    tolerance = {"leapfrog": 2e-4, "logh2": 1e-3}.get(method, 1e-8)
    np.testing.assert_allclose(run.positions, exact_x, atol=tolerance)
    np.testing.assert_allclose(run.velocities, exact_v, atol=tolerance)


@pytest.mark.parametrize(
    ("mu", "return_error", "evaluations"),
    [(0.1, 9e-5, 169), (0.03, 4e-7, 559), (0.01, 4e-9, 1675), (0.003, 3e-11, 5580)],
)
def test_figure_eight_returns_with_the_published_cost(mu: float, return_error: float, evaluations: int) -> None:
    system, run = run_named("figure-eight", method="hermite4", timestep="shared", mu=mu)
    assert np.abs(run.positions - system.positions).max() < return_error
    assert run.force_evaluations == evaluations


def test_pythagorean_position_of_brutus() -> None:
    system, run = run_named("pythagorean", t_end=10.0, timestep="power", tolerance=1e-10)
    assert system.reference is not None
    assert system.reference.time == 10.0
    np.testing.assert_allclose(run.positions[system.reference.body], system.reference.position, atol=2e-9)


def test_three_dimensional_orbit_returns() -> None:
    system, run = run_named("O3(1.0)", timestep="power", tolerance=1e-12)
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
    pytest.importorskip("rebound")
    system, run = run_named("outer-solar-system", t_end=20000.0, timestep="power", tolerance=1e-12)
    peer = to_rebound(system.masses, system.positions, system.velocities, G=system.G)
    peer.integrate(20000.0)
    np.testing.assert_allclose(run.positions, from_rebound(peer).positions, atol=1e-9)


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
    run = integrate(m, x, v, 1.0, method=method, timestep="shared", mu=0.02)
    np.testing.assert_allclose(linear_momentum(m, run.velocities), linear_momentum(m, v), atol=1e-12)
    assert run.angular_momentum_error < (1e-12 if method in STAGES else 1e-6)


@pytest.mark.parametrize("method", ["hermite4", "hermite6", "hermite8", "leapfrog", "yoshida4", "yoshida6"])
def test_evaluations_are_counted(method: str) -> None:
    _, run = run_named("figure-eight", t_end=1.0, method=method, dt=0.01)
    # One at the start; the higher Hermite schemes correct their first step three times.
    expected = {"hermite4": 101, "hermite6": 103, "hermite8": 103, "leapfrog": 101, "yoshida4": 301, "yoshida6": 701}
    assert run.force_evaluations == expected[method]


def test_output_times_are_hit_exactly() -> None:
    times = [0.0, 0.1, 0.1, 1.0 / 3.0, 0.7, 1.0]
    system, run = run_named("figure-eight", t_end=1.0, save_times=times, timestep="power", tolerance=1e-9)
    assert run.trajectory is not None
    assert run.time == 1.0
    np.testing.assert_array_equal(run.trajectory.positions[0], system.positions)
    np.testing.assert_array_equal(run.trajectory.positions[1], run.trajectory.positions[2])
    np.testing.assert_array_equal(run.trajectory.positions[-1], run.positions)
    for time, state in zip(times, run.trajectory.positions, strict=True):
        direct = integrate(system.masses, system.positions, system.velocities, time, timestep="power", tolerance=1e-11)
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
    system, run = run_named("figure-eight", t_end=0.0, save_times=[0.0], timestep="power")
    np.testing.assert_array_equal(run.positions, system.positions)
    assert (run.status, run.force_evaluations, run.energy_error) == ("ok", 1, 0.0)


def test_status_budget() -> None:
    _, run = run_named("figure-eight", timestep="power", max_force_evaluations=50, save_times=[0.5, 6.0])
    assert run.status == "max-force-evaluations"
    assert 45 < run.force_evaluations <= 50
    assert 0.0 < run.time < 6.0
    assert np.isnan(run.trajectory.positions[1]).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_head_on_collision_is_never_silent(method: str) -> None:
    x = np.array([[-1.0, 0, 0], [1.0, 0, 0]])
    v = np.array([[1.0, 0, 0], [-1.0, 0, 0]])
    run = integrate([1e-3, 1e-3], x, v, 2.0, method=method, timestep="power", max_force_evaluations=100_000)
    assert run.status in {"step-underflow", "collision", "tolerance-not-met", "max-force-evaluations"} or (
        # The logarithmic Hamiltonian passes through the point of collision and comes back, as the exact solution does.
        method.startswith("logh") and run.status == "ok"
    )
    assert np.isfinite(run.positions).all()
    assert run.closest_approach.separation < 3e-3


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
    run = integrate(m, x, v, 10.0, timestep="power", stop_on_escape=True)
    assert run.status == "escape"
    distance = np.linalg.norm(run.positions[2] - 0.5 * (run.positions[0] + run.positions[1]))
    assert 0.4 < distance < 0.45
    assert integrate(m, x, v, 0.1, timestep="power").status == "ok"


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
    # The chain runs through the tracers, so that sums are taken in another order: equal to rounding, not to the bit.
    np.testing.assert_allclose(with_tracers.positions[:3], alone.positions, rtol=0, atol=1e-13)


def test_massless_planet_on_a_kepler_orbit() -> None:
    m, x, v = kepler_state(1.0, 0.0, 1.0, 0.2, 0.0)
    run = integrate(m, x, v, 5.0, timestep="shared", mu=0.003)
    np.testing.assert_allclose(run.positions, kepler_state(1.0, 0.0, 1.0, 0.2, 5.0)[1], atol=1e-8)
    assert run.energy_error == 0.0


def cold_starts(n: int) -> Any:
    return stack([agekyan_anosova(np.random.default_rng([5, i])) for i in range(n)])


@pytest.mark.parametrize("method", ["hermite6", "hermite8", "logh6"])
def test_batch_is_single_bit_for_bit(method: str) -> None:
    systems = cold_starts(20)
    options: dict[str, Any] = {"method": method, "timestep": "power", "save_times": [0.5, 1.5], "stop_on_escape": True}
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
            results.append(integrate_batch(*systems, 5.0, timestep="power"))
    finally:
        numba.set_num_threads(before)
    one, two = results
    np.testing.assert_array_equal(one.positions, two.positions)
    np.testing.assert_array_equal(one.velocities, two.velocities)
    np.testing.assert_array_equal(one.force_evaluations, two.force_evaluations)
    np.testing.assert_array_equal(one.energy_error, two.energy_error)


def test_an_empty_batch_is_possible() -> None:
    run = integrate_batch(np.empty((0, 3)), np.empty((0, 3, 3)), np.empty((0, 3, 3)), 1.0, timestep="power")
    assert run.positions.shape == (0, 3, 3)
    assert run.status.shape == (0,)


def test_pythagorean_outcome() -> None:
    # Body 3 escapes and 4, 5 stay as a binary (Szebehely & Peters 1967).
    system, run = run_named("pythagorean", t_end=100.0, timestep="power", tolerance=1e-9)
    outcome = classify(system.masses, run.positions, run.velocities)
    assert run.status == "ok"
    assert outcome.label == "binary+escaper"
    assert outcome.escaper == 0
    assert list(outcome.members) == [1, 2]
    assert math.isfinite(outcome.period)


@pytest.mark.parametrize("method", ["auto", "hermite6", "logh6"])
def test_the_way_back_is_the_way_there(method: str) -> None:
    system = named_system("figure-eight")
    options: dict[str, Any] = {"method": method, "timestep": "power", "tolerance": 1e-11}
    there = integrate(system.masses, system.positions, system.velocities, 20.0, **options)
    back = integrate(system.masses, there.positions, -there.velocities, 20.0, **options)
    np.testing.assert_allclose(back.positions, system.positions, atol=1e-8)
    np.testing.assert_allclose(-back.velocities, system.velocities, atol=1e-8)


@pytest.mark.parametrize("method", ["logh2", "logh4", "logh6"])
def test_logh_keeps_a_nearly_radial_orbit_exactly(method: str) -> None:
    # e = 0.999: two bodies keep their ellipse, whatever the step (Mikkola & Tanikawa 1999; Preto & Tremaine 1999).
    m, x, v = kepler_state(1.0, 1.0, 1.0, 0.999, 0.3)
    P = period(1.0, 1.0, 1.0)
    run = integrate(m, x, v, 5.0 * P, method=method, timestep="shared", mu=0.05)
    assert run.time == 5.0 * P
    assert run.energy_error < 1e-13
    assert run.angular_momentum_error < 1e-13


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-8, 1e-10])
def test_the_tolerance_is_held_or_the_status_says_so(tolerance: float) -> None:
    run = integrate_batch(*cold_starts(60), 10.0, timestep="power", tolerance=tolerance)
    np.testing.assert_array_equal(run.status == "ok", run.energy_error <= tolerance)
    assert np.mean(run.status == "ok") > 0.85


def test_a_tolerance_beyond_rounding_is_flagged() -> None:
    # A nearly head-on fall: the energy at closest approach is known to no better than its last digit.
    x = np.array([[-1.0, 0, 0], [1.0, 0, 0], [30.0, 1.0, 0]])
    v = np.array([[0.0, 1e-4, 0], [0.0, -1e-4, 0], [0, 0, 0]])
    run = integrate([1.0, 1.0, 1e-3], x, v, 10.0, timestep="power", tolerance=1e-12)
    assert run.status == "tolerance-not-met"
    assert run.energy_error > 1e-12


def test_work_that_is_thrown_away_is_counted() -> None:
    systems = cold_starts(60)
    coarse: dict[str, Any] = {"method": "hermite6", "timestep": "power", "mu": 0.3, "tolerance": 1e-8}
    run = integrate_batch(*systems, 5.0, **coarse)
    assert (run.redone_evaluations > 0).mean() > 0.5
    assert (run.redone_evaluations < run.force_evaluations).all()
    assert run.restarts.max() > 0
    assert (run.redone_evaluations[run.restarts > 0] > 100).all()
    # A run whose guard never acted makes the steps of one that has none (a tolerance of almost 1 guards nothing).
    calm = (run.redone_evaluations == 0) & (run.restarts == 0)
    free = integrate_batch(*systems, 5.0, **(coarse | {"tolerance": 0.99}))
    np.testing.assert_array_equal(run.force_evaluations[calm], free.force_evaluations[calm])


def test_a_run_that_pauses_is_one_that_does_not(tmp_path: Path) -> None:
    systems = cold_starts(10)
    options = Options(timestep="power", tolerance=1e-8, save_times=[1.0, 2.5], encounter_distance=0.1)
    whole = Integration(*systems, 4.0, options, single=False)
    assert whole.advance()
    expected = whole.result()
    paused = Integration(*systems, 4.0, options, single=False)
    pauses = 0
    while not paused.advance(37):
        paused.save(tmp_path / "run.h5")
        paused = Integration(*systems, 4.0, options, single=False)
        paused.load(tmp_path / "run.h5")
        pauses += 1
    found = paused.result()
    assert pauses > 5
    for name in ("positions", "velocities", "time", "status", "energy_error", "force_evaluations", "restarts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    np.testing.assert_array_equal(found.trajectory.positions, expected.trajectory.positions)
    for one, other in zip(found.encounters, expected.encounters, strict=True):
        np.testing.assert_array_equal(one.times, other.times)
    other = Integration(*systems, 4.0, Options(timestep="power", tolerance=1e-7), single=False)
    with pytest.raises(UsageError, match="belongs to a run with another"):
        other.load(tmp_path / "run.h5")


def test_saving_changes_no_step() -> None:
    systems = cold_starts(10)
    plain = integrate_batch(*systems, 4.0, timestep="power")
    saved = integrate_batch(*systems, 4.0, timestep="power", save_times=np.linspace(0.0, 4.0, 57))
    np.testing.assert_array_equal(plain.positions, saved.positions)
    np.testing.assert_array_equal(plain.force_evaluations, saved.force_evaluations)


@pytest.mark.parametrize("n_bodies", [2, 5, 16])
def test_masses_a_thousandfold_and_many_bodies(n_bodies: int) -> None:
    rng = np.random.default_rng(n_bodies)
    m = 10.0 ** rng.uniform(-3.0, 0.0, n_bodies)
    m[0] = 1.0
    x, v = rng.normal(size=(n_bodies, 3)), 0.5 * rng.normal(size=(n_bodies, 3))
    run = integrate(m, x, v, 3.0, timestep="power", tolerance=1e-6)
    assert run.status == "ok"
    assert run.energy_error <= 1e-6
    finer = integrate(m, x, v, 3.0, timestep="power", tolerance=1e-11)
    if finer.status == "ok" and finer.closest_approach.separation > 0.1:
        np.testing.assert_allclose(run.positions, finer.positions, atol=1e-3)
