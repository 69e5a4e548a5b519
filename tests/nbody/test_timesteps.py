"""Step rules, and what the policy sees: numbers that no turn, shift, renaming or change of units may touch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kepler import kepler_state
from scipy.spatial.transform import Rotation

from astropipe.nbody.chains import find_chain, to_chain
from astropipe.nbody.forces import N_PAIR_ROWS, energies, survey_pairs
from astropipe.nbody.integrators import energy_scale
from astropipe.nbody.timesteps import (
    FIXED,
    N_FEATURES,
    N_HIDDEN,
    N_WEIGHTS,
    POWER,
    SHARED,
    decide_once,
    features,
    step_size,
)


def test_the_shared_rule_on_a_circular_orbit() -> None:
    # r/v = sqrt(r^3/(G M)) = P / (2 pi)
    gm, x, v = kepler_state(2.0, 1.0, 1.5, 0.0, 0.0)
    rate2, binding = survey_pairs(gm, np.diff(x, axis=0), np.diff(v, axis=0), np.zeros((5, 1)))
    assert step_size(SHARED, 0.03, 0.0, rate2, binding, 1.0) == pytest.approx(0.03 * math.sqrt(1.5**3 / 3.0), rel=1e-13)


def test_the_power_rule_takes_smaller_steps_in_harder_encounters() -> None:
    # 256 times the energy of the system in the pair: half the step.
    plain = step_size(SHARED, 0.1, 0.0, 4.0, 2.0, 1.0)
    assert plain == pytest.approx(0.05)
    assert step_size(POWER, 0.1, 0.0, 4.0, 1.0, 1.0) == pytest.approx(plain)
    assert step_size(POWER, 0.1, 0.0, 4.0, 256.0, 1.0) == pytest.approx(0.5 * plain)
    # A planet holds no energy worth the name: the step is not stretched without end.
    assert step_size(POWER, 0.1, 0.0, 4.0, 1e-9, 1.0) == step_size(POWER, 0.1, 0.0, 4.0, 1e-6, 1.0)


def test_a_fixed_step_overrides_the_rule() -> None:
    assert step_size(FIXED, 0.1, 0.7, 4.0, 1.0, 1.0) == 0.7


def seen(gm: np.ndarray, x: np.ndarray, v: np.ndarray, time_left: float) -> np.ndarray:
    """What the policy sees of a system of bodies, as the time loop asks for it."""
    n = len(gm)
    chain = np.empty(n, dtype=np.int64)
    find_chain(x, chain)
    vectors = np.empty((2, n - 1, 3))
    to_chain(x, chain, vectors[0])
    to_chain(v, chain, vectors[1])
    pairs = np.zeros((N_PAIR_ROWS, n * (n - 1) // 2))
    survey_pairs(gm[chain], *vectors, pairs)
    scale = energy_scale(*energies(gm[chain], *vectors))
    mass = gm.sum()
    rate = math.sqrt(2.0 * scale / mass) * 2.0 * scale / mass**2
    out = np.empty(N_FEATURES)
    features(gm[chain], pairs, scale, rate, time_left, 1e-6, 1e-8, out)
    return out


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 6),
    seed=st.integers(0, 10_000),
    turn=st.integers(0, 10_000),
    length=st.floats(1e-3, 1e3),
    mass=st.floats(1e-3, 1e3),
    constant=st.floats(1e-3, 1e3),
)
def test_features_are_invariant(n: int, seed: int, turn: int, length: float, mass: float, constant: float) -> None:
    rng = np.random.default_rng(seed)
    gm, x, v = rng.uniform(0.1, 1.0, n), rng.normal(size=(n, 3)), rng.normal(size=(n, 3))
    before = seen(gm, x, v, 3.0)
    rotation = Rotation.random(random_state=turn).as_matrix()
    order = np.random.default_rng(turn).permutation(n)
    speed = math.sqrt(constant * mass / length)
    shift, drift = rng.normal(size=3), rng.normal(size=3)
    after = seen(
        constant * mass * gm[order],
        length * (x @ rotation.T + shift)[order],
        speed * (v @ rotation.T + drift)[order],
        3.0 * length / speed,
    )
    np.testing.assert_allclose(after, before, rtol=1e-7, atol=1e-7)


def test_features_are_of_order_one() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        scale = 10.0 ** rng.uniform(-6, 2, size=(3, 1))
        found = seen(rng.uniform(0.01, 1.0, 3), scale * rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), 100.0)
        assert np.abs(found).max() < 6.0


def test_the_network_is_the_one_that_is_described() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(N_HIDDEN, N_FEATURES + 1)), rng.normal(size=(N_HIDDEN, N_HIDDEN + 1))
    last, inputs = rng.normal(size=N_HIDDEN + 1), rng.normal(size=N_FEATURES)
    weights = np.concatenate([first.ravel(), second.ravel(), last])
    assert weights.size == N_WEIGHTS

    def layer(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
        total = matrix[..., :-1] @ values + matrix[..., -1]
        return total / (1.0 + np.abs(total))

    expected = math.exp(1.5 * layer(last, layer(second, layer(first, inputs))))
    assert decide_once(weights, inputs) == pytest.approx(expected, rel=1e-12)
    assert decide_once(np.zeros(N_WEIGHTS), inputs) == 1.0
