from __future__ import annotations

import math

import numpy as np
import pytest

from astropipe.nbody import agekyan_anosova, named_system, stack
from astropipe.nbody.paper.amuse_hermite import (
    EVALUATIONS_PER_INTERVAL,
    MOST_EVALUATIONS,
    advance,
    advance_batch,
    energy,
)


@pytest.mark.parametrize(
    ("mu", "return_error", "evaluations"),
    [(0.1, 9e-5, 169), (0.03, 4e-7, 559), (0.01, 4e-9, 1675), (0.003, 3e-11, 5580)],
)
def test_figure_eight_returns_with_the_published_cost(mu: float, return_error: float, evaluations: int) -> None:
    orbit = named_system("figure-eight")
    assert orbit.period is not None
    x, v = orbit.positions.copy(), orbit.velocities.copy()
    spent = advance(orbit.masses * orbit.G, x, v, orbit.period, mu)
    # Uninterrupted, the evaluation before the return is not needed.
    assert spent - 1 == evaluations
    assert np.abs(x - orbit.positions).max() < return_error


def test_a_circular_pair_ends_exactly_at_the_time_asked_for() -> None:
    gm = np.array([0.5, 0.5])
    for interval in (0.1, 1.0, 1.2345, math.tau):
        x = np.array([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]])
        v = np.array([[0.0, -0.5, 0.0], [0.0, 0.5, 0.0]])
        advance(gm, x, v, interval, 1e-3)
        np.testing.assert_allclose(x[1], [0.5 * math.cos(interval), 0.5 * math.sin(interval), 0.0], atol=1e-11)


def test_an_interval_costs_its_steps_and_two_evaluations() -> None:
    gm, x, v = np.array([0.5, 0.5]), np.array([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]]), np.zeros((2, 3))
    v[:, 1] = -0.5, 0.5
    # On this orbit r / v = sqrt(r^3 / GM) = 1: the step is mu.
    assert advance(gm, x, v, 0.995, 0.1) == 10 + EVALUATIONS_PER_INTERVAL


def test_energy_is_that_of_a_circular_pair() -> None:
    gm, x, v = np.array([0.5, 0.5]), np.array([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]]), np.zeros((2, 3))
    v[:, 1] = -0.5, 0.5
    assert energy(gm, x, v) == pytest.approx(-0.125)


def test_bodies_in_one_place_are_reported() -> None:
    gm, x, v = np.array([0.5, 0.5]), np.zeros((2, 3)), np.zeros((2, 3))
    assert advance(gm, x, v, 1.0, 0.01) < 0


def test_a_pair_too_tight_to_follow_is_given_up() -> None:
    gm, x, v = np.array([0.5, 0.5]), np.array([[-5e-7, 0.0, 0.0], [5e-7, 0.0, 0.0]]), np.zeros((2, 3))
    v[:, 1] = -5e2, 5e2
    # One unit of time is 1e9 radians of its orbit.
    assert advance(gm, x, v, 1.0, 0.01) == -MOST_EVALUATIONS


def test_a_batch_is_its_systems_one_by_one() -> None:
    gm, x, v = stack([agekyan_anosova(np.random.default_rng(seed)) for seed in range(5)])
    mu = np.logspace(-3, -1, 5)
    batch_x, batch_v, spent = x.copy(), v.copy(), np.zeros(5, dtype=np.int64)
    advance_batch(gm, batch_x, batch_v, 0.7, mu, spent)
    for s in range(5):
        assert advance(gm[s], x[s], v[s], 0.7, mu[s]) == spent[s]
    np.testing.assert_array_equal(batch_x, x)
    np.testing.assert_array_equal(batch_v, v)
