from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy import constants, units
from gymnasium.utils.env_checker import check_env

from astropipe.nbody.paper.environment import TripleEnv, seed_after_tests
from astropipe.nbody.paper.task import (
    AS_PUBLISHED,
    MENDED,
    TIME_UNIT,
    VELOCITY_UNIT,
    Defects,
    TaskConfig,
    observe,
    reward,
    rules,
    start,
)
from astropipe.runtime.errors import UsageError


@pytest.mark.parametrize("defects", [AS_PUBLISHED, MENDED])
def test_gymnasium_accepts_the_environment(defects: Defects) -> None:
    with warnings.catch_warnings():
        # The published state has no bounds, and the environment is not registered under a name.
        warnings.simplefilter("ignore", UserWarning)
        check_env(TripleEnv(TaskConfig(defects=defects)))


def test_units_are_those_of_three_suns_and_one_au() -> None:
    mass = 3 * units.Msun
    assert np.sqrt(constants.G * mass / units.au).to_value("km/s") == pytest.approx(VELOCITY_UNIT, rel=1e-5)
    assert np.sqrt(units.au**3 / (constants.G * mass)).to_value("yr") == pytest.approx(TIME_UNIT, rel=1e-5)
    assert rules(TaskConfig()).interval == pytest.approx(1.088, abs=5e-4)


def test_systems_are_drawn_as_published() -> None:
    np.random.seed(17)  # noqa: NPY002 (the generator of the published code)
    x2, y2, x3, y3 = np.random.uniform((5, 0, 0, 5), (20, 10, -10, 20))  # noqa: NPY002
    gm, x, v = start(17)
    np.testing.assert_allclose(x[1] - x[0], [x2, y2, 0.0])
    np.testing.assert_allclose(x[2] - x[0], [x3, y3, 0.0])
    np.testing.assert_allclose((v[1] - v[0]) * VELOCITY_UNIT, [-10.0, -10.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(gm @ x, 0.0, atol=1e-14)
    np.testing.assert_allclose(gm, 1.0 / 3.0)


def test_actions_are_ten_values_of_mu() -> None:
    mu = TripleEnv().mu
    assert len(mu) == 10
    np.testing.assert_allclose(mu[[0, -1]], [1e-4, 1e-1])
    np.testing.assert_allclose(np.diff(np.log10(mu)), 1.0 / 3.0)


def test_reward_is_the_published_formula() -> None:
    task = rules(TaskConfig())
    assert reward(task, 1e-6, 1.0, 1, 0.1) == 0.0
    # log10(e / 1e-10) = 4, |log10 e|^3 = 216, i = 5; |log10 mu| = 2.
    assert reward(task, 1e-6, 1e-7, 5, 0.01) == pytest.approx(-3000 * 4 / 216 / 5 + 4 / 2)
    assert reward(task, 1e-12, 1e-12, 2, 0.001) == pytest.approx(3000 * 2 / 1728 / 2 + 4 / 3)
    steady = rules(TaskConfig(defects=replace(AS_PUBLISHED, error_fades=False)))
    error_term = [reward(steady, 1e-6, 1e-7, i, 0.1) - 4.0 for i in (2, 50, 300)]
    np.testing.assert_allclose(error_term, -3000 * 4 / 216 * sum(1 / i for i in range(1, 101)) / 100)


def test_published_state_is_cartesian() -> None:
    env = TripleEnv()
    state, info = env.reset(options={"system": 7})
    _, x, v = start(7)
    assert info == {"system": 7}
    np.testing.assert_allclose(state, [*x[:, :2].ravel() / 10, *v[:, :2].ravel(), 0.0], rtol=1e-6)
    state, _, _, _, info = env.step(np.int64(7))
    assert state[12] == pytest.approx(-math.log10(info["energy_error"]), rel=1e-6)


def test_mended_state_does_not_see_rotation_reflection_or_names() -> None:
    task = rules(TaskConfig(defects=MENDED))
    gm, x, v = start(11)
    c, s = math.cos(1.1), math.sin(1.1)
    turn = np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, 1.0]])
    states = np.empty((2, 13))
    observe(task, gm, x, v, 1e-5, states[0])
    other = [2, 0, 1]
    observe(task, gm, np.ascontiguousarray((x @ turn)[other]), np.ascontiguousarray((v @ turn)[other]), 1e-5, states[1])
    np.testing.assert_allclose(states[0], states[1], atol=1e-12)
    assert states[0, 12] == pytest.approx(0.5)
    distances = 10.0 ** states[0, [0, 4, 8]] * 10.0
    np.testing.assert_allclose(distances, sorted(np.linalg.norm(x[i] - x[j]) for i, j in ((0, 1), (0, 2), (1, 2))))


def test_an_episode_is_truncated_after_its_decisions() -> None:
    env = TripleEnv(TaskConfig(decisions=5))
    env.reset(seed=0, options={"system": 0})
    ends = [env.step(np.int64(6))[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(False, True)]
    assert env.finished is not None and env.finished.decisions == 5 and env.finished.system == 0


def test_an_episode_ends_early_when_the_error_is_too_large() -> None:
    env = TripleEnv(TaskConfig(largest_error=1e-6))
    env.reset(seed=0, options={"system": 0})
    for _ in range(100):
        _, _, terminated, truncated, info = env.step(np.int64(9))
        if terminated:
            break
    assert terminated and not truncated
    assert info["energy_error"] > 1e-6


def test_training_sees_one_system_until_the_seed_is_mended() -> None:
    assert seed_after_tests() == 818
    env = TripleEnv()
    seen = [env.reset(seed=3 if k == 0 else None)[1]["system"] for k in range(4)]
    assert seen[1:] == [818] * 3 and 0 <= seen[0] < 1000
    env = TripleEnv(TaskConfig(defects=replace(AS_PUBLISHED, seed_frozen=False)))
    seen = [env.reset(seed=3 if k == 0 else None)[1]["system"] for k in range(50)]
    assert len(set(seen)) > 40 and max(seen) < 1000


def test_mended_training_draws_outside_of_the_seeds_of_the_evaluation() -> None:
    for defects in (MENDED, replace(AS_PUBLISHED, seeds_overlap=False)):
        env = TripleEnv(TaskConfig(defects=defects))
        seen = [env.reset(seed=3 if k == 0 else None)[1]["system"] for k in range(20)]
        assert min(seen) >= 1_000_000


def test_a_task_without_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="mu_range"):
        TaskConfig(mu_range=(0.1, 0.01))
