r"""The task that Saz Ulibarrena & Portegies Zwart (2025, arXiv:2502.12809) set their agent, as rules and arrays.

Three bodies of 1 Msun start as `astropipe.nbody.systems.saz_ulibarrena_triple_legacy` makes them. Every 0.1 yr the
agent looks at the system and chooses the accuracy parameter mu of AMUSE's Hermite for the next 0.1 yr, from ten values
between 1e-4 and 1e-1. Units here are those of the paper: G = 1, masses in 3 Msun, lengths in au.

The reward of decision i with relative energy error e since the start is

.. math:: R = -W_0 \frac{\log_{10}(e / 10^{-10})}{|\log_{10} e|^3} \frac{1}{i}
          - W_1 \log_{10}\frac{e}{e_\mathrm{before}} + \frac{W_2}{|\log_{10} \mu|}, \qquad W = (3000, 0, 4),

and 0 for the first decision. Where paper and published code differ, this is the code, whose known faults are switches
(`Defects`), so that what each of them costs can be measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import inlined_kernel, kernel
from astropipe.nbody.paper.amuse_hermite import energy
from astropipe.nbody.systems import saz_ulibarrena_triple_legacy
from astropipe.runtime.errors import UsageError

STATE_SIZE = 13
# In km/s and yr, from G Msun = 1.3271244e20 m^3/s^2, the au of 149597870700 m and the Julian year.
VELOCITY_UNIT = math.sqrt(3.0 * 1.3271244e20 / 149597870700.0) / 1e3
TIME_UNIT = 149597870.7 / VELOCITY_UNIT / (365.25 * 86400.0)
# Errors are kept inside this range, so that their logarithm exists: no error at all, and a run that broke down.
SMALLEST_ERROR, LARGEST_ERROR = 1e-17, 1e17


@dataclass(frozen=True)
class Defects:
    """Faults of the published code; each is there by default, and False mends it.

    Attributes
    ----------
    epsilon_restarts : bool
        The counter that lets exploration fade starts again in every episode, so that behaviour stays nearly random.
        Mended: it counts all decisions of the training.
    seed_frozen : bool
        The seed of an episode is drawn from the generator that the test episodes have just set to 4: from the second
        episode on it is 818. Mended: a new draw for every episode.
    seeds_overlap : bool
        Training draws from seeds 0-999 and models are chosen on seeds 0-4, among which are all seeds of the evaluation.
        Mended: training draws from 1,000,000-1,999,999 and models are chosen on 2000-2004.
    error_fades : bool
        The error term of the reward falls as 1/i, the cost term does not. Mended: the mean of 1/i over an episode of
        training, for all decisions alike.
    raw_state : bool
        The agent sees Cartesian coordinates. Mended: invariant numbers of order one (`observe`).
    """

    epsilon_restarts: bool = True
    seed_frozen: bool = True
    seeds_overlap: bool = True
    error_fades: bool = True
    raw_state: bool = True


AS_PUBLISHED = Defects()
MENDED = Defects(False, False, False, False, False)


@dataclass(frozen=True)
class TaskConfig:
    """Settings of the task.

    Attributes
    ----------
    decisions : int
        Decisions of an episode: 100 in training, 300 in evaluation.
    interval : float
        Time between decisions in yr.
    mu_range : tuple of float
        Smallest and largest mu.
    n_actions : int
        Number of values of mu, evenly spaced in the logarithm.
    weights : tuple of float
        Weights W of the reward.
    largest_error : float
        An episode ends early when the energy error exceeds this.
    defects : Defects
        Faults of the published code.
    """

    decisions: int = 100
    interval: float = 0.1
    mu_range: tuple[float, float] = (1e-4, 1e-1)
    n_actions: int = 10
    weights: tuple[float, float, float] = (3000.0, 0.0, 4.0)
    largest_error: float = 0.1
    defects: Defects = field(default_factory=Defects)

    def __post_init__(self) -> None:
        low, high = self.mu_range
        if not (self.decisions > 0 and self.interval > 0.0 and 0.0 < low < high < 1.0 and self.n_actions > 1):
            raise UsageError(
                f"{self} is not possible: decisions and interval must be positive, "
                "mu_range increase between 0 and 1, and n_actions be at least 2"
            )


class Rules(NamedTuple):
    """A `TaskConfig` as compiled loops take it.

    Attributes
    ----------
    interval : float
        Time between decisions, in the units of this module.
    mu : array of shape (n_actions,)
        What the actions stand for.
    weights : tuple of float
        Weights of the reward.
    fade : float
        0 if the error term falls as 1/i, else its constant factor.
    raw : bool
        Whether the state is Cartesian.
    """

    interval: float
    mu: FloatArray
    weights: tuple[float, float, float]
    fade: float
    raw: bool


def rules(config: TaskConfig) -> Rules:
    """Return the rules that a configuration describes."""
    low, high = config.mu_range
    fade = 0.0 if config.defects.error_fades else float(np.mean(1.0 / np.arange(1, TaskConfig.decisions + 1)))
    return Rules(
        interval=config.interval / TIME_UNIT,
        mu=np.logspace(math.log10(low), math.log10(high), config.n_actions),
        weights=config.weights,
        fade=fade,
        raw=config.defects.raw_state,
    )


def start(seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return parameters gm [3], positions and velocities [3, 3] of the system that the published code calls `seed`."""
    system = saz_ulibarrena_triple_legacy(seed)
    return system.masses / 3.0, system.positions, system.velocities / VELOCITY_UNIT


@kernel
def energy_error(gm: FloatArray, x: FloatArray, v: FloatArray, at_start: float) -> float:
    """Return the absolute relative error of the energy, inside `SMALLEST_ERROR` and `LARGEST_ERROR`."""
    error = abs((energy(gm, x, v) - at_start) / at_start)
    # A NaN is not smaller than anything.
    return max(error, SMALLEST_ERROR) if error < LARGEST_ERROR else LARGEST_ERROR


@kernel
def reward(rules: Rules, error: float, error_before: float, decision: int, mu: float) -> float:
    """Return the reward of a decision, counted from 1, that led from one energy error to another."""
    if decision == 1:
        return 0.0
    digits = math.log10(error)
    fade = rules.fade if rules.fade > 0.0 else 1.0 / decision
    return (
        -rules.weights[0] * (digits + 10.0) / abs(digits) ** 3 * fade
        - rules.weights[1] * (digits - math.log10(error_before))
        + rules.weights[2] / abs(math.log10(mu))
    )


@kernel
def observe(rules: Rules, gm: FloatArray, x: FloatArray, v: FloatArray, error: float, state: FloatArray) -> None:
    """Write what the agent sees, `STATE_SIZE` numbers.

    As published: x/10 and y/10 of each body, vx and vy of each body, -log10 of the energy error. Otherwise, for each
    pair from the closest to the widest: log10 of the distance / 10 au, log10 of v^2 r / G (m_i + m_j), the cosine
    between separation and relative velocity, log10 of the rate of the step rule times the interval; then
    -log10(error) / 10. These do not change under rotation, reflection, or renaming of equal bodies.

    Parameters
    ----------
    rules : Rules
        The task.
    gm : array of shape (3,)
        Gravitational parameters.
    x, v : arrays of shape (3, 3)
        Barycentric state.
    error : float
        Absolute relative energy error; 1 at the start of an episode.
    state : array of shape (13,)
        Output.
    """
    digits = -math.log10(error)
    if not rules.raw:
        _invariants(gm, x, v, rules.interval, state)
        state[12] = 0.1 * digits
        return
    for i in range(3):
        for k in range(2):
            state[2 * i + k] = 0.1 * x[i, k]
            state[6 + 2 * i + k] = v[i, k]
    state[12] = digits


@inlined_kernel
def _invariants(gm: FloatArray, x: FloatArray, v: FloatArray, interval: float, state: FloatArray) -> None:
    """Write four numbers a pair, ordered by distance."""
    pairs = np.empty((3, 4))
    for pair in range(3):
        i, j = pair // 2, 1 + (pair + 1) // 2
        r2, v2, rv = 0.0, 0.0, 0.0
        for k in range(3):
            dx, dv = x[j, k] - x[i, k], v[j, k] - v[i, k]
            r2, v2, rv = r2 + dx * dx, v2 + dv * dv, rv + dx * dv
        r, v2 = math.sqrt(r2), max(v2, 1e-12)
        pull = (gm[i] + gm[j]) / r
        pairs[pair, 0] = math.log10(0.1 * r)
        pairs[pair, 1] = math.log10(v2 / pull)
        pairs[pair, 2] = rv / (r * math.sqrt(v2))
        pairs[pair, 3] = math.log10(interval * math.sqrt(max(v2, pull)) / r)
    order = np.argsort(pairs[:, 0])
    for place in range(3):
        for k in range(4):
            state[4 * place + k] = pairs[order[place], k]
