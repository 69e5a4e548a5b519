r"""One step of one particle: prediction, the Hermite corrector of order 4, and the size of the next step, compiled.

Times are *ticks*: whole numbers from 0 to `END`, the length of a macro step, at whose end all particles meet. A
particle of level k takes steps of ``END / 2**k`` ticks, and is at a multiple of its step at any time (block time steps:
McMillan 1986; Makino 1991, PASJ 43, 859). Whole numbers of ticks are exact, so no time is ever rounded.
"""

from __future__ import annotations

import math

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.clusters.layout import AX, JX, LANES, TICK, VX, X
from astropipe.nbody.compilation import inlined_kernel, kernel

# The finest level; a particle that wants a smaller step ends the run.
DEEPEST = 40
END = 2**DEEPEST
# The first step of a particle in units of its shortest pair time, over the square root of eta.
_FIRST = 0.25


@kernel
def predict_sources(state: FloatArray, tick: float, tick_length: float, tiles: FloatArray) -> None:
    """Write positions and velocities of all particles at a time into tiles of sources.

    Parameters
    ----------
    state : array of shape (n_tiles, N_STATE * LANES)
        The particles.
    tick : float
        The time.
    tick_length : float
        Length of a tick.
    tiles : array of shape (n_tiles, N_SOURCE * LANES)
        Output; the masses are left as they are.
    """
    for t in range(state.shape[0]):
        row, out = state[t], tiles[t]
        for lane in range(LANES):
            dt = (tick - row[TICK * LANES + lane]) * tick_length
            for k in range(3):
                x, v = row[(X + k) * LANES + lane], row[(VX + k) * LANES + lane]
                a, j = row[(AX + k) * LANES + lane], row[(JX + k) * LANES + lane]
                out[(X + k) * LANES + lane] = x + dt * (v + dt * (0.5 * a + dt * j / 6.0))
                out[(VX + k) * LANES + lane] = v + dt * (a + 0.5 * dt * j)


@kernel
def predict_one(state: FloatArray, i: int, tick: float, tick_length: float, out: FloatArray) -> None:
    """Write position and velocity of particle i at a time into `out`, (6,)."""
    row, lane = state[i // LANES], i % LANES
    dt = (tick - row[TICK * LANES + lane]) * tick_length
    for k in range(3):
        x, v = row[(X + k) * LANES + lane], row[(VX + k) * LANES + lane]
        a, j = row[(AX + k) * LANES + lane], row[(JX + k) * LANES + lane]
        out[k] = x + dt * (v + dt * (0.5 * a + dt * j / 6.0))
        out[3 + k] = v + dt * (a + 0.5 * dt * j)


@kernel
def correct(state: FloatArray, i: int, tick: float, tick_length: float, force: FloatArray, eta: float) -> float:
    r"""End the step of particle i with the force at its end, and return the step that it wants next.

    The corrector is that of Hut, Makino & McMillan (1995, ApJ 443, L93, eq. 4), applied once. The next step is
    Aarseth's (1985), with derivatives at the end of the step,

    .. math:: \Delta t = \sqrt{\eta \frac{|a||a^{(2)}| + |j|^2}{|j||a^{(3)}| + |a^{(2)}|^2}}.

    Parameters
    ----------
    state : array of shape (n_tiles, N_STATE * LANES)
        The particles; i is changed.
    i : int
        Which.
    tick : float
        Time of the end of its step.
    tick_length : float
        Length of a tick.
    force : array of shape (6,)
        Acceleration and jerk at the predicted place.
    eta : float
        Accuracy parameter.
    """
    row, lane = state[i // LANES], i % LANES
    dt = (tick - row[TICK * LANES + lane]) * tick_length
    a2 = j2 = s2 = c2 = 0.0
    for k in range(3):
        x, v = row[(X + k) * LANES + lane], row[(VX + k) * LANES + lane]
        a0, j0 = row[(AX + k) * LANES + lane], row[(JX + k) * LANES + lane]
        a1, j1 = force[k], force[3 + k]
        v1 = v + dt * (0.5 * (a0 + a1) + dt * (j0 - j1) / 12.0)
        row[(X + k) * LANES + lane] = x + dt * (0.5 * (v + v1) + dt * (a0 - a1) / 12.0)
        row[(VX + k) * LANES + lane] = v1
        row[(AX + k) * LANES + lane] = a1
        row[(JX + k) * LANES + lane] = j1
        crackle = (12.0 * (a0 - a1) + 6.0 * dt * (j0 + j1)) / (dt * dt * dt)
        snap = (-6.0 * (a0 - a1) - dt * (4.0 * j0 + 2.0 * j1)) / (dt * dt) + dt * crackle
        a2 += a1 * a1
        j2 += j1 * j1
        s2 += snap * snap
        c2 += crackle * crackle
    row[TICK * LANES + lane] = tick
    down = math.sqrt(j2 * c2) + s2
    return math.sqrt(eta * (math.sqrt(a2 * s2) + j2) / down) if down > 0.0 else math.inf


@kernel
def improve(state: FloatArray, i: int, tick: float, tick_length: float, force: FloatArray, at: FloatArray) -> None:
    """Write the corrected position and velocity of particle i into `at`, (6,), for another look at its force."""
    row, lane = state[i // LANES], i % LANES
    dt = (tick - row[TICK * LANES + lane]) * tick_length
    for k in range(3):
        x, v = row[(X + k) * LANES + lane], row[(VX + k) * LANES + lane]
        a0, j0 = row[(AX + k) * LANES + lane], row[(JX + k) * LANES + lane]
        v1 = v + dt * (0.5 * (a0 + force[k]) + dt * (j0 - force[3 + k]) / 12.0)
        at[k] = x + dt * (0.5 * (v + v1) + dt * (a0 - force[k]) / 12.0)
        at[3 + k] = v1


@kernel
def place(state: FloatArray, i: int, tick: float, at: FloatArray, force: FloatArray) -> None:
    """Put particle i somewhere, with position and velocity (6,), and acceleration and jerk (6,)."""
    row, lane = state[i // LANES], i % LANES
    for k in range(6):
        row[(X + k) * LANES + lane] = at[k]
        row[(AX + k) * LANES + lane] = force[k]
    row[TICK * LANES + lane] = tick


@inlined_kernel
def step_of(level: int) -> int:
    """Return the step of a level, in ticks."""
    return 1 << (DEEPEST - level)


@kernel
def level_of(step: float, macro_step: float) -> int:
    """Return the level of the largest block step that is not larger than a step; DEEPEST + 1 if there is none."""
    if not step < macro_step:
        return 0
    _, exponent = math.frexp(step / macro_step)
    return min(1 - exponent, DEEPEST + 1)


@kernel
def fitting_level(wanted: int, tick: int) -> int:
    """Return the coarsest level, not coarser than one wanted, on whose grid a time lies."""
    level = wanted
    while level < DEEPEST and tick % step_of(level) != 0:
        level += 1
    return level


@kernel
def next_level(level: int, wanted: int, tick: int) -> int:
    """Return the level of the next step: finer at once, coarser by one at a time and only where the grid allows it."""
    if wanted >= level:
        return wanted
    return level - 1 if tick % step_of(level - 1) == 0 else level


@kernel
def first_step(pair_time: float, eta: float) -> float:
    """Return the step of a particle without a history, from its shortest pair time."""
    return _FIRST * math.sqrt(eta) * pair_time
