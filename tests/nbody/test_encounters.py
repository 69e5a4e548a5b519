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


@pytest.mark.parametrize("method", ["hermite4", "yoshida6"])
def test_pericentre_of_an_eccentric_orbit(method: str) -> None:
    a, e = 1.3, 0.8
    P = period(1.0, 2.0, a)
    m, x, v = kepler_state(1.0, 2.0, a, e, -0.37 * P)
    run = integrate(m, x, v, 0.8 * P, method=method, mu=0.01)
    assert run.closest_approach.separation == pytest.approx(a * (1 - e), rel=1e-6)
    assert run.closest_approach.time == pytest.approx(0.37 * P, abs=1e-6 * P)
    assert list(run.closest_approach.pair) == [0, 1]


def test_the_start_counts_as_an_approach() -> None:
    m, x, v = kepler_state(1.0, 1.0, 1.0, 0.0, 0.0)
    run = integrate(m, x, v * math.sqrt(1.5), 1.0)
    assert run.closest_approach.time == 0.0
    assert run.closest_approach.separation == pytest.approx(1.0, rel=1e-14)


def test_pythagorean_closest_approach() -> None:
    # Szebehely & Peters (1967): bodies 4 and 5 at t = 15.8299, separation 4e-4.
    x = np.array([[1.0, 3, 0], [-2, -1, 0], [1, -1, 0]])
    run = integrate([3.0, 4.0, 5.0], x, np.zeros((3, 3)), 20.0, mu=0.003)
    assert run.closest_approach.time == pytest.approx(15.8299, abs=1e-4)
    assert run.closest_approach.separation == pytest.approx(4.1e-4, rel=0.02)
    assert list(run.closest_approach.pair) == [1, 2]
