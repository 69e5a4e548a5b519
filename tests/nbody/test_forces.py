from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from kepler import kepler_state

from astropipe.nbody.forces import N_GEOMETRY, N_PAIR_ROWS, energies, evaluate, survey_pairs


class Forces(NamedTuple):
    derivatives: np.ndarray
    pairs: np.ndarray
    rate2: float
    binding: float


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


def forces(gm: np.ndarray, x: np.ndarray, v: np.ndarray, highest: int = 4) -> Forces:
    """Derivatives along the chain of bodies in the order in which they are given."""
    n = len(gm)
    pairs = np.zeros((N_PAIR_ROWS, n * (n - 1) // 2))
    out, body, geometry = np.zeros((4, n - 1, 3)), np.empty((4, n, 3)), np.empty((pairs.shape[1], N_GEOMETRY))
    rate2, binding = evaluate(highest, gm, np.diff(x, axis=0), np.diff(v, axis=0), out, body, geometry, pairs)
    return Forces(out, pairs, rate2, binding)


@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("highest", [1, 2, 3, 4])
def test_acceleration_is_newtons(n: int, highest: int) -> None:
    gm, x, v = random_bodies(n)
    expected = np.diff(textbook_acceleration(gm, x), axis=0)
    np.testing.assert_allclose(forces(gm, x, v, highest).derivatives[0], expected, rtol=1e-12, atol=1e-12)


def test_higher_derivatives_are_those_of_the_motion() -> None:
    # Each derivative against central differences of the one below it, along a parabola, cubic, ... through the state.
    gm, x, v = random_bodies(4)
    acceleration = textbook_acceleration(gm, x)
    h = 1e-4

    def moved(t: float) -> tuple[np.ndarray, np.ndarray]:
        jerk = (textbook_acceleration(gm, x + h * v) - textbook_acceleration(gm, x - h * v)) / (2 * h)
        return (
            x + t * v + t**2 / 2 * acceleration + t**3 / 6 * jerk,
            v + t * acceleration + t**2 / 2 * jerk + t**3 / 6 * snap,
        )

    def path(t: float, order: int) -> np.ndarray:
        return forces(gm, *moved(t)).derivatives[order]

    # Snap of the textbook forces: second difference along the parabola.
    parabola = [x + t * v + t**2 / 2 * acceleration for t in (-h, 0.0, h)]
    before, now, after = (textbook_acceleration(gm, place) for place in parabola)
    snap = (before - 2.0 * now + after) / h**2
    here = forces(gm, x, v).derivatives
    np.testing.assert_allclose(here[2], np.diff(snap, axis=0), rtol=1e-4, atol=1e-4)
    for order in (0, 1, 2):
        slope = (path(h, order) - path(-h, order)) / (2 * h)
        np.testing.assert_allclose(here[order + 1], slope, rtol=1e-4, atol=1e-4 * np.abs(here[order + 1]).max())


def test_pair_quantities_and_rate() -> None:
    gm, x, v = random_bodies(4)
    found = forces(gm, x, v)
    i, j = np.triu_indices(4, 1)
    r = np.linalg.norm(x[j] - x[i], axis=1)
    speed = np.linalg.norm(v[j] - v[i], axis=1)
    np.testing.assert_allclose(found.pairs[0], r**2, rtol=1e-13)
    np.testing.assert_allclose(found.pairs[1], np.sum((x[j] - x[i]) * (v[j] - v[i]), axis=1), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.pairs[2], speed**2, rtol=1e-13)
    rates = np.maximum((speed / r) ** 2, (gm[i] + gm[j]) / r**3)
    fastest = np.argmax(rates)
    assert found.rate2 == pytest.approx(rates[fastest], rel=1e-13)
    assert found.binding == pytest.approx((gm[i] * gm[j] / r)[fastest], rel=1e-13)
    surveyed = np.zeros_like(found.pairs)
    survey = survey_pairs(gm, np.diff(x, axis=0), np.diff(v, axis=0), surveyed)
    assert survey == pytest.approx((found.rate2, found.binding), rel=1e-15)
    np.testing.assert_array_equal(surveyed, found.pairs)


def test_energies_are_those_about_the_barycentre() -> None:
    gm, x, v = random_bodies(5)
    centre = (gm[:, None] * v).sum(axis=0) / gm.sum()
    i, j = np.triu_indices(5, 1)
    kinetic, potential = energies(gm, np.diff(x, axis=0), np.diff(v, axis=0))
    assert kinetic == pytest.approx(0.5 * (gm * ((v - centre) ** 2).sum(axis=1)).sum(), rel=1e-13)
    assert potential == pytest.approx((gm[i] * gm[j] / np.linalg.norm(x[j] - x[i], axis=1)).sum(), rel=1e-13)


def test_a_close_pair_far_from_the_barycentre_keeps_its_digits() -> None:
    # Separation 1e-12 at distance 1: differences of coordinates would have 4 digits left, chain vectors have all.
    gm = np.array([1.0, 1.0, 1.0])
    chain = np.array([[1e-12, 0.0, 0.0], [1.0, 0.0, 0.0]])
    out, body, geometry, pairs = np.zeros((4, 2, 3)), np.empty((4, 3, 3)), np.empty((3, N_GEOMETRY)), np.zeros((5, 3))
    evaluate(1, gm, chain, np.zeros((2, 3)), out, body, geometry, pairs)
    assert out[0, 0, 0] == pytest.approx(-2.0 / 1e-24, rel=1e-14)


def test_two_massless_bodies_do_not_interact_even_at_one_place() -> None:
    gm = np.array([1.0, 0.0, 0.0])
    x = np.array([[0.0, 0, 0], [1, 0, 0], [1, 0, 0]])
    found = forces(gm, x, np.zeros((3, 3)))
    np.testing.assert_array_equal(found.derivatives[0], [[-1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(found.derivatives[1], np.zeros((2, 3)))
    np.testing.assert_array_equal(found.pairs[0], [1.0, 1.0, np.inf])
    assert found.rate2 == 1.0


def test_a_collision_gives_an_infinite_rate() -> None:
    gm, x, v = np.ones(2), np.zeros((2, 3)), np.zeros((2, 3))
    assert not forces(gm, x, v).rate2 < math.inf
    assert not survey_pairs(gm, np.diff(x, axis=0), np.diff(v, axis=0), np.zeros((5, 1)))[0] < math.inf


def test_circular_orbit_rates_agree() -> None:
    # On a circular orbit v/r and the free-fall rate are both 2 pi / P.
    gm, x, v = kepler_state(1.0, 3.0, 2.0, 0.0, 0.7)
    assert forces(gm, x, v).rate2 == pytest.approx(4.0 / 8.0, rel=1e-13)
