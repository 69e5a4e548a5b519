"""Play the paper's task with a stored network or one mu throughout, compiled, and measure error, evaluations and time.

The network is that of the published code: 13 numbers to 200 units, one 200 x 200 layer applied nine times, 10 values;
ReLU between them. The action with the largest value is taken. Arithmetic is float32, as in training.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.compilation import inlined_kernel, kernel
from astropipe.nbody.paper.amuse_hermite import advance, energy
from astropipe.nbody.paper.task import STATE_SIZE, Rules, TaskConfig, energy_error, observe, reward, rules, start
from astropipe.runtime.errors import InputError, UsageError

Float32Array = NDArray[np.float32]
EVALUATION_DECISIONS = 300
# A system whose energy is off by ten times itself is lost, and can cost any amount of time.
LOST = 10.0


class Network(NamedTuple):
    """Weights; a layer multiplies from the right, so that each input adds a contiguous row.

    Attributes
    ----------
    first, first_bias : arrays of shape (13, width) and (width,)
    hidden, hidden_bias : arrays of shape (width, width) and (width,)
        The layer that is applied again and again.
    last, last_bias : arrays of shape (width, n_actions) and (n_actions,)
    n_hidden : int
        How often the hidden layer is applied.
    """

    first: Float32Array
    first_bias: Float32Array
    hidden: Float32Array
    hidden_bias: Float32Array
    last: Float32Array
    last_bias: Float32Array
    n_hidden: int

    def arrays(self) -> dict[str, Float32Array]:
        """Return the weights by name, as a ``policy`` artifact stores them."""
        return {name: getattr(self, name) for name in self._fields if name != "n_hidden"}


def network_of(arrays: Mapping[str, Any], n_hidden: int) -> Network:
    """Return the network with these weights (`Network.arrays`).

    Raises
    ------
    InputError
        If a layer is missing, has a value that is not finite, or does not fit its neighbours.
    """
    names = [name for name in Network._fields if name != "n_hidden"]
    if missing := [name for name in names if name not in arrays]:
        raise InputError(f"the policy has no weights {', '.join(missing)}; train it again with astropipe nbody train")
    layers = {name: np.ascontiguousarray(arrays[name], dtype=np.float32) for name in names}
    width, n_actions = layers["first_bias"].size, layers["last_bias"].size
    shapes = ((STATE_SIZE, width), (width,), (width, width), (width,), (width, n_actions), (n_actions,))
    for name, shape in zip(names, shapes, strict=True):
        if layers[name].shape != shape or not np.isfinite(layers[name]).all():
            raise InputError(
                f"weights {name} of the policy must be finite and have shape {shape}, not {layers[name].shape}; "
                "train it again with astropipe nbody train"
            )
    return Network(**layers, n_hidden=n_hidden)


_NO_LAYER, _NO_BIAS = np.empty((0, 0), np.float32), np.empty(0, np.float32)
_NO_NETWORK = Network(_NO_LAYER, _NO_BIAS, _NO_LAYER, _NO_BIAS, _NO_LAYER, _NO_BIAS, n_hidden=0)


@inlined_kernel
def _apply(weight: Float32Array, bias: Float32Array, values: Float32Array, out: Float32Array, relu: bool) -> None:
    """Write bias + values @ weight; half of the inputs are zero after a ReLU, and cost nothing."""
    for k in range(bias.size):
        out[k] = bias[k]
    for j in range(weight.shape[0]):
        factor = values[j]
        if factor != np.float32(0.0):
            for k in range(bias.size):
                out[k] += factor * weight[j, k]
    if relu:
        for k in range(bias.size):
            out[k] = max(out[k], np.float32(0.0))


@kernel
def q_values(network: Network, state: FloatArray) -> Float32Array:
    """Return what the network expects of each action, [n_actions], in a state [13]."""
    here = np.empty(network.first_bias.size, np.float32)
    there = np.empty(network.first_bias.size, np.float32)
    values = np.empty(network.last_bias.size, np.float32)
    _apply(network.first, network.first_bias, state.astype(np.float32), here, True)
    for _ in range(network.n_hidden):
        _apply(network.hidden, network.hidden_bias, here, there, True)
        here, there = there, here
    _apply(network.last, network.last_bias, here, values, False)
    return values


def choose_mu(network: Network, state: FloatArray, config: TaskConfig | None = None) -> float:
    """Return the mu that the network chooses in a state [13] (`astropipe.nbody.paper.task.observe`)."""
    action = int(np.argmax(q_values(network, np.asarray(state, dtype=np.float64))))
    return float(rules(config or TaskConfig()).mu[action])


@kernel
def _play(
    rules: Rules,
    network: Network,
    action: int,
    decisions: int,
    largest_error: float,
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    counts: IntArray,
) -> tuple[float, int, float]:
    """Play one episode in place with the network, or with one action if that is >= 0; count the actions.

    Returns the final energy error, the force evaluations, and the sum of the rewards.
    """
    state = np.empty(STATE_SIZE)
    at_start = energy(gm, x, v)
    error, evaluations, total = 1.0, 0, 0.0
    for decision in range(1, decisions + 1):
        chosen = action
        if action < 0:
            observe(rules, gm, x, v, error, state)
            chosen = int(np.argmax(q_values(network, state)))
        counts[chosen] += 1
        spent = advance(gm, x, v, rules.interval, rules.mu[chosen])
        evaluations += abs(spent)
        before, error = error, energy_error(gm, x, v, at_start)
        total += reward(rules, error, before, decision, rules.mu[chosen])
        if spent < 0 or error > largest_error:
            break
    return error, evaluations, total


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one policy.

    Attributes
    ----------
    seeds : array of int, shape (n,)
        Seeds of the systems.
    error : array of shape (n,)
        Final absolute relative energy error.
    evaluations : array of int, shape (n,)
        Force evaluations.
    reward : array of shape (n,)
        Sum of the rewards.
    wall : array of shape (n,)
        Seconds, with observation and inference.
    actions : array of int, shape (n, n_actions)
        How often each action was chosen.
    """

    seeds: IntArray
    error: FloatArray
    evaluations: IntArray
    reward: FloatArray
    wall: FloatArray
    actions: IntArray

    def summary(self) -> dict[str, float]:
        """Return quantiles of the error, its mean logarithm, and the cost."""
        return {
            "error_p50": float(np.median(self.error)),
            "error_p90": float(np.quantile(self.error, 0.9)),
            "error_p99": float(np.quantile(self.error, 0.99)),
            "error_log10_mean": float(np.log10(self.error).mean()),
            "evaluations_p50": float(np.median(self.evaluations)),
            "evaluations_mean": float(self.evaluations.mean()),
            "wall_p50": float(np.median(self.wall)),
            "wall_mean": float(self.wall.mean()),
            "reward_mean": float(self.reward.mean()),
        }


def evaluate(
    policy: Network | int,
    seeds: Sequence[int],
    config: TaskConfig | None = None,
    *,
    decisions: int = EVALUATION_DECISIONS,
    largest_error: float = LOST,
) -> Evaluation:
    """Play one episode on each system.

    Parameters
    ----------
    policy : Network or int
        A network, or the number of an action that is taken always.
    seeds : sequence of int
        Seeds of the systems (`astropipe.nbody.paper.task.start`).
    config : TaskConfig, optional
        The task; the published one if not given.
    decisions : int
        Length of an episode.
    largest_error : float
        Error at which an episode ends early; by default only a lost one does, so that all policies cover one time.

    Raises
    ------
    UsageError
        If the action does not exist, or the network has another number of actions than the task.
    """
    task = rules(config or TaskConfig())
    network, action = (_NO_NETWORK, policy) if isinstance(policy, int) else (policy, -1)
    if not (0 <= action < task.mu.size if isinstance(policy, int) else policy.last_bias.size == task.mu.size):
        raise UsageError(f"the task has {task.mu.size} actions: the policy {policy!r} does not fit it")
    counts = np.zeros((len(seeds), task.mu.size), dtype=np.int64)
    rows = []
    # Compiled before the clock runs.
    _play(task, network, action, 1, largest_error, *start(seeds[0]), np.zeros(task.mu.size, dtype=np.int64))
    for row, seed in enumerate(seeds):
        system = start(seed)
        begin = time.perf_counter()
        played = _play(task, network, action, decisions, largest_error, *system, counts[row])
        rows.append((*played, time.perf_counter() - begin))
    error, evaluations, total, wall = (np.array(column) for column in zip(*rows, strict=True))
    return Evaluation(np.array(seeds, dtype=np.int64), error, evaluations, total, wall, counts)
