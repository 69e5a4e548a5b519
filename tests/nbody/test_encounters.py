from __future__ import annotations

import math

import numpy as np
import pytest
from kepler import kepler_state, period

from astropipe.nbody import integrate
from astropipe.nbody.encounters import interpolated_minimum


def test_straight_flyby_is_exact() -> None:
    # r^2 = b^2 + v^2 (t - t0)^2 over a step from t = 0 to 1 with b = 0.3, v = 2, t0 = 0.35
    def r2(t: float) -> float:
        return 0.09 + 4.0 * (t - 0.35) ** 2

    value, at = interpolated_minimum(r2(0), r2(1), 8.0 * (0 - 0.35), 8.0 * (1 - 0.35))
    assert value == pytest.approx(0.09, rel=1e-12)
    assert at == pytest.approx(0.35, rel=1e-12)


def test_a_step_too_coarse_falls_back_to_the_smaller_end() -> None:
    assert interpolated_minimum(1.0, 2.0, -50.0, 50.0) == (1.0, 0.0)
    assert interpolated_minimum(2.0, 1.0, -50.0, 50.0) == (1.0, 1.0)


@pytest.mark.parametrize("method", ["hermite4", "hermite8", "yoshida6", "logh6"])
def test_pericentre_of_an_eccentric_orbit(method: str) -> None:
    a, e = 1.3, 0.8
    P = period(1.0, 2.0, a)
    m, x, v = kepler_state(1.0, 2.0, a, e, -0.37 * P)
    run = integrate(m, x, v, 0.8 * P, method=method, timestep="shared", mu=0.01)
    assert run.closest_approach.separation == pytest.approx(a * (1 - e), rel=1e-6)
    assert run.closest_approach.time == pytest.approx(0.37 * P, abs=1e-6 * P)
    assert list(run.closest_approach.pair) == [0, 1]


def test_the_start_counts_as_an_approach() -> None:
    m, x, v = kepler_state(1.0, 1.0, 1.0, 0.0, 0.0)
    run = integrate(m, x, v * math.sqrt(1.5), 1.0, timestep="power")
    assert run.closest_approach.time == 0.0
    assert run.closest_approach.separation == pytest.approx(1.0, rel=1e-14)


def test_pythagorean_closest_approach() -> None:
    # Szebehely & Peters (1967): bodies 4 and 5 at t = 15.8299, separation 4e-4.
    x = np.array([[1.0, 3, 0], [-2, -1, 0], [1, -1, 0]])
    run = integrate([3.0, 4.0, 5.0], x, np.zeros((3, 3)), 20.0, timestep="power", tolerance=1e-9)
    assert run.closest_approach.time == pytest.approx(15.8299, abs=1e-4)
    assert run.closest_approach.separation == pytest.approx(4.1e-4, rel=0.02)
    assert list(run.closest_approach.pair) == [1, 2]


def test_every_pericentre_is_listed_and_interpolated() -> None:
    # Six orbits from apocentre: pericentres at P/2, 3P/2, ...
    a, e = 1.0, 0.7
    P = period(1.0, 1.0, a)
    m, x, v = kepler_state(1.0, 1.0, a, e, -0.5 * P)
    run = integrate(m, x, v, 6.0 * P, timestep="power", tolerance=1e-9, encounter_distance=0.5)
    assert run.encounters.total == 6
    np.testing.assert_allclose(run.encounters.times, (np.arange(6) + 0.5) * P, atol=1e-6)
    np.testing.assert_allclose(run.encounters.separations, a * (1 - e), rtol=1e-7)
    np.testing.assert_array_equal(run.encounters.pairs, [[0, 1]] * 6)
    short = integrate(m, x, v, 6.0 * P, timestep="power", encounter_distance=0.5, max_encounters=2)
    assert (short.encounters.total, len(short.encounters.times)) == (6, 2)
    assert integrate(m, x, v, P, timestep="power", encounter_distance=0.1).encounters.total == 0


def test_events_tell_encounters_and_escape_with_the_reason() -> None:
    # Pythagorean problem: body 3 escapes, 4 and 5 stay (Szebehely & Peters 1967).
    x = np.array([[1.0, 3, 0], [-2, -1, 0], [1, -1, 0]])
    run = integrate(
        [3.0, 4.0, 5.0], x, np.zeros((3, 3)), 70.0, timestep="power", tolerance=1e-9, encounter_distance=0.01
    )
    kinds = [event.kind for event in run.events]
    assert kinds.count("closest-approach") == 1
    assert kinds[-1] == "escape"
    assert run.events[-1].bodies == (0,)
    assert "unbound, receding" in run.events[-1].reason
    assert [event.time for event in run.events] == sorted(event.time for event in run.events)
    closest = min((event for event in run.events if event.kind == "encounter"), key=lambda event: event.separation)
    assert (closest.bodies, closest.time) == ((1, 2), pytest.approx(15.8299, abs=1e-4))
