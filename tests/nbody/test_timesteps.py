from __future__ import annotations

import math

import numpy as np
import pytest
from kepler import kepler_state

from astropipe.nbody.timesteps import amuse_time_step, step_size


def test_rule_on_a_circular_orbit() -> None:
    # r/v = sqrt(r^3/(G M)) = P / (2 pi)
    m, x, v = kepler_state(2.0, 1.0, 1.5, 0.0, 0.0, G=4.0)
    assert amuse_time_step(m, x, v, mu=0.03, G=4.0) == pytest.approx(0.03 * math.sqrt(1.5**3 / 12.0), rel=1e-13)


def test_rule_takes_the_shortest_time_of_all_pairs() -> None:
    m = np.array([1.0, 1.0, 1e-3])
    x = np.array([[0.0, 0, 0], [100.0, 0, 0], [0.0, 0.1, 0]])
    v = np.array([[0.0, 0, 0], [0, 0, 0], [50.0, 0, 0]])
    assert amuse_time_step(m, x, v, mu=1.0) == pytest.approx(0.1 / 50.0, rel=1e-13)
    assert amuse_time_step(m, x, np.zeros((3, 3)), mu=1.0) == pytest.approx(math.sqrt(1e-3 / 1.001), rel=1e-13)


def test_massless_bodies_alone_set_no_step() -> None:
    assert amuse_time_step(np.zeros(2), np.array([[0.0, 0, 0], [1, 0, 0]]), np.ones((2, 3))) == math.inf


def test_a_fixed_step_overrides_the_rule() -> None:
    assert step_size(4.0, 0.1, 0.0) == 0.05
    assert step_size(4.0, 0.1, 0.7) == 0.7
