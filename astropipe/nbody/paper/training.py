"""Train the paper's agent from start to end, or from where an interrupted training was left, to the bit.

A checkpoint, written between episodes, holds everything that decides what follows: both networks, the optimiser, the
memory, and the state of every random generator.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from astropipe.nbody.paper.agent import CURVE, TESTS, Agent, AgentConfig, Learned, learn, nothing_learned
from astropipe.nbody.paper.policy import network_of
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InterruptedRunError, UsageError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.progress import NoProgress, Progress
from astropipe.runtime.seeds import seed_sequence

Arrays = dict[str, NDArray[Any]]
_SAVE_EVERY_S = 60.0
_MEMORY = ("observations", "next_observations", "actions", "rewards", "dones")
_MOMENTS = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")


def train(
    config: AgentConfig,
    seed: int,
    n_episodes: int,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Learned:
    """Train an agent.

    Parameters
    ----------
    config : AgentConfig
        Settings.
    seed : int
        Root seed; the training has a stream of its own.
    n_episodes : int
        Episodes of training; the paper has 2,000.
    checkpoint : Checkpoint, optional
        Read at the start, and written every minute and when a stop is requested.
    progress : Progress, optional
        Told how many episodes are done.

    Returns
    -------
    Learned
        The chosen network, the learning curve and the test episodes. Equal to the bit for equal arguments,
        interrupted or not, on any number of threads.

    Raises
    ------
    UsageError
        If there is no episode to play.
    InterruptedRunError
        If a stop was requested; the checkpoint is written if there is one.
    """
    if n_episodes < 1:
        raise UsageError(f"n_episodes must be 1 or larger, not {n_episodes}")
    agent = Agent(config, int(seed_sequence(seed, "nbody.train").generate_state(1)[0]))
    saved = checkpoint.load() if checkpoint else None
    learned = restore(agent, saved) if saved else nothing_learned()
    reporter, saved_at = progress or NoProgress(), time.monotonic()

    def between(learned: Learned) -> None:
        nonlocal saved_at
        done = len(learned.curve["episode"])
        reporter.update(done)
        stop = stop_requested()
        if checkpoint and (stop or time.monotonic() - saved_at > _SAVE_EVERY_S):
            checkpoint.save(snapshot(agent, learned))
            saved_at = time.monotonic()
        if stop:
            kept = f"which are kept in {checkpoint.path}; run again with --resume" if checkpoint else "which are lost"
            raise InterruptedRunError(f"interrupted after {done} of {n_episodes} episodes, {kept}")

    learned = learn(agent, learned, n_episodes, between)
    reporter.update(n_episodes)
    return learned


def snapshot(agent: Agent, learned: Learned) -> Arrays:
    """Return all that decides how the training goes on, as arrays; to be taken between episodes."""
    memory, optimizer = agent.replay_buffer, agent.policy.optimizer
    assert memory is not None
    # stable-baselines3 draws from numpy's global generator.
    generator: Any = np.random.get_state(legacy=True)  # noqa: NPY002
    numbers = {
        "timesteps": agent.num_timesteps,
        "updates": agent._n_updates,
        "calls": agent._n_calls,
        "memory_position": memory.pos,
        "memory_full": memory.full,
        "episode": agent.task.episode,
        "system": agent.task.system,
        "exploration": agent.exploration_rate,
        "numpy_position": generator[2],
        "actions_generator": agent.action_space.np_random.bit_generator.state,
        "systems_generator": agent.task.np_random.bit_generator.state,
        "best_return": learned.best_return,
        "best_episode": learned.best_episode,
    }
    arrays: Arrays = {"numbers": np.array(json.dumps(numbers).encode()), "numpy_key": generator[1]}
    arrays |= {f"policy.{name}": value.numpy() for name, value in agent.policy.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{index}.{name}": moments[name].numpy() for name in _MOMENTS}
    arrays |= {f"memory.{name}": getattr(memory, name) for name in _MEMORY}
    arrays |= {f"curve.{name}": values for name, values in learned.curve.items()}
    arrays |= {f"tests.{name}": values for name, values in learned.tests.items()}
    if learned.network:
        arrays |= {f"best.{name}": values for name, values in learned.network.arrays().items()}
    return arrays


def restore(agent: Agent, arrays: Arrays) -> Learned:
    """Bring a new agent with the same settings and seed to the state of a `snapshot`; return what it had learned."""
    memory = agent.replay_buffer
    assert memory is not None
    numbers = json.loads(arrays["numbers"].item())
    agent.num_timesteps, agent._n_updates, agent._n_calls = (numbers[n] for n in ("timesteps", "updates", "calls"))
    memory.pos, memory.full = numbers["memory_position"], numbers["memory_full"]
    for name in _MEMORY:
        getattr(memory, name)[...] = arrays[f"memory.{name}"]
    agent.policy.load_state_dict({name: torch.as_tensor(value) for name, value in _under(arrays, "policy").items()})
    _restore_optimizer(agent, arrays)
    agent._last_obs = agent.task.reset(options={"system": numbers["system"]})[0][None]
    agent.task.episode = numbers["episode"]
    agent.exploration_rate = numbers["exploration"]
    np.random.set_state(("MT19937", arrays["numpy_key"], numbers["numpy_position"], 0, 0.0))  # noqa: NPY002
    agent.action_space.np_random.bit_generator.state = numbers["actions_generator"]
    agent.task.np_random.bit_generator.state = numbers["systems_generator"]
    best = _under(arrays, "best")
    return Learned(
        network_of(best, agent.settings.n_hidden) if best else None,
        numbers["best_return"],
        numbers["best_episode"],
        {name: arrays[f"curve.{name}"] for name in CURVE},
        {name: arrays[f"tests.{name}"] for name in TESTS},
    )


def _restore_optimizer(agent: Agent, arrays: Arrays) -> None:
    optimizer = agent.policy.optimizer
    state = optimizer.state_dict()
    count = sum(name.endswith(".exp_avg") for name in _under(arrays, "optimizer"))
    state["state"] = {
        index: {name: torch.as_tensor(arrays[f"optimizer.{index}.{name}"]) for name in _MOMENTS}
        for index in range(count)
    }
    optimizer.load_state_dict(state)


def _under(arrays: Arrays, group: str) -> Arrays:
    """Return the arrays of a group, without its name."""
    return {name.removeprefix(f"{group}."): value for name, value in arrays.items() if name.startswith(f"{group}.")}
