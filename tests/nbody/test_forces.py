from __future__ import annotations

import math

import numpy as np
import pytest
from kepler import kepler_state

from astropipe.nbody.forces import acceleration, acceleration_and_jerk, survey_pairs


def random_bodies(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(20)
    return rng.uniform(0.1, 2.0, n), rng.normal(size=(n, 3)), rng.normal(size=(n, 3))


def textbook_acceleration(gm: np.ndarray, x: np.ndarray) -> np.ndarray:
    a = np.zeros_like(x)
    for i in range(len(gm)):
        for j in range(len(gm)):
            if i != j:
                a[i] += gm[j] * (x[j] - x[i]) / np.linalg.norm(x[j] - x[i]) ** 3
    return a


def forces(gm: np.ndarray, x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    a, jerk = np.empty_like(x), np.empty_like(x)
    pairs = np.empty((2, len(gm) * (len(gm) - 1) // 2))
    rate2 = acceleration_and_jerk(gm, x, v, a, jerk, pairs)
    return a, jerk, pairs, rate2


@pytest.mark.parametrize("n", [2, 3, 7])
def test_acceleration_is_newtons(n: int) -> None:
    gm, x, v = random_bodies(n)
    a = np.empty_like(x)
    acceleration(gm, x, a)
    np.testing.assert_allclose(a, textbook_acceleration(gm, x), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(forces(gm, x, v)[0], a, rtol=1e-14, atol=1e-14)


def test_jerk_is_the_time_derivative_of_the_acceleration() -> None:
    gm, x, v = random_bodies(4)
    h = 1e-5
    difference = (textbook_acceleration(gm, x + h * v) - textbook_acceleration(gm, x - h * v)) / (2.0 * h)
    np.testing.assert_allclose(forces(gm, x, v)[1], difference, rtol=1e-7, atol=1e-7)


def test_pair_quantities_and_rate() -> None:
    gm, x, v = random_bodies(4)
    _, _, pairs, rate2 = forces(gm, x, v)
    i, j = np.triu_indices(4, 1)
    r = np.linalg.norm(x[j] - x[i], axis=1)
    speed = np.linalg.norm(v[j] - v[i], axis=1)
    np.testing.assert_allclose(pairs[0], r**2, rtol=1e-14)
    np.testing.assert_allclose(pairs[1], np.sum((x[j] - x[i]) * (v[j] - v[i]), axis=1), rtol=1e-12)
    assert rate2 == pytest.approx(max(np.max((speed / r) ** 2), np.max((gm[i] + gm[j]) / r**3)), rel=1e-13)
    surveyed = np.empty_like(pairs)
    assert survey_pairs(gm, x, v, surveyed) == pytest.approx(rate2, rel=1e-15)
    np.testing.assert_array_equal(surveyed, pairs)


def test_two_massless_bodies_do_not_interact_even_at_one_place() -> None:
    gm = np.array([1.0, 0.0, 0.0])
    x = np.array([[0.0, 0, 0], [1, 0, 0], [1, 0, 0]])
    v = np.zeros((3, 3))
    a, jerk, pairs, rate2 = forces(gm, x, v)
    np.testing.assert_array_equal(a, [[0, 0, 0], [-1, 0, 0], [-1, 0, 0]])
    np.testing.assert_array_equal(jerk, np.zeros((3, 3)))
    np.testing.assert_array_equal(pairs[0], [1.0, 1.0, np.inf])
    assert rate2 == 1.0


def test_a_collision_gives_an_infinite_rate() -> None:
    gm, x, v = np.ones(2), np.zeros((2, 3)), np.zeros((2, 3))
    assert forces(gm, x, v)[3] == math.inf
    pairs = np.empty((2, 1))
    assert survey_pairs(gm, x, v, pairs) == math.inf


def test_circular_orbit_rates_agree() -> None:
    # On a circular orbit v/r and the free-fall rate are both 2 pi / P.
    gm, x, v = kepler_state(1.0, 3.0, 2.0, 0.0, 0.7)
    assert forces(gm, x, v)[3] == pytest.approx(4.0 / 8.0, rel=1e-13)
