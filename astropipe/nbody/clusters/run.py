"""A cluster in motion: arrays of stars and massless particles that go on, pause, and go on to the bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.clusters import layout
from astropipe.nbody.clusters.accuracy import NO_RULE, EtaPolicy
from astropipe.nbody.clusters.blocks import advance, begin
from astropipe.nbody.clusters.forces import scratch, sharing
from astropipe.nbody.clusters.pairs import members_at, no_pairs, relative_at
from astropipe.nbody.clusters.state import (
    MASSLESS_FORCES,
    N_COUNTS,
    STAR_FORCES,
    STATUS,
    STATUS_NAMES,
    Frame,
    Particles,
    Work,
)
from astropipe.nbody.clusters.stepping import DEEPEST, END, level_of
from astropipe.nbody.clusters.tides import NO_TIDE, Tide
from astropipe.runtime.errors import UsageError

UNLIMITED = 2**62
# A twin of a massless particle, by which its error is measured, takes steps of half the size: a quarter of eta.
_TWIN_ETA = 0.25


@dataclass(frozen=True)
class Controls:
    """What steers a run; times and lengths in units of G = 1.

    Attributes
    ----------
    eta : float
        Accuracy parameter of the steps of stars (`astropipe.nbody.clusters.stepping.correct`).
    eta_policy : EtaPolicy or None
        What chooses eta at every step of a star but the first one, in place of the fixed one.
    massless_eta : float
        That of massless particles.
    longest_step : float
        No step is longer; all particles meet at least this often.
    pair_disturbance : float
        Limit of gamma up to which a hard pair is an orbit of Kepler (`astropipe.nbody.clusters.pairs`); 0 for none.
    tide : Tide
        Field around the cluster.
    n_twins : int
        Massless particles that are integrated twice, with steps of half the size, to measure their errors.
    """

    eta: float = 0.02
    eta_policy: EtaPolicy | None = None
    massless_eta: float = 0.02
    longest_step: float = 0.0625
    pair_disturbance: float = 0.01
    tide: Tide = NO_TIDE
    n_twins: int = 0


class Phase(NamedTuple):
    """Positions and velocities at one time.

    Attributes
    ----------
    positions, velocities : arrays of shape (n, 3)
        Stars first, both members of each pair apart, then massless particles.
    """

    positions: FloatArray
    velocities: FloatArray


class ClusterRun:
    """Stars and massless particles under one set of controls.

    Parameters
    ----------
    masses : array of shape (n,)
        Masses of the stars, all positive.
    positions, velocities : arrays of shape (n + m, 3)
        Stars, then massless particles.
    controls : Controls
        What steers the run.
    time : float
        Time of this state.
    """

    def __init__(
        self, masses: FloatArray, positions: FloatArray, velocities: FloatArray, controls: Controls, time: float = 0.0
    ) -> None:
        n, m = len(masses), len(positions) - len(masses)
        self.masses, self.controls = masses, controls
        self.n_stars, self.n_massless, self.n_twins = n, m, min(controls.n_twins, m)
        massless = np.r_[n : n + m, n : n + self.n_twins]
        eta = np.full(m + self.n_twins, controls.massless_eta)
        eta[m:] *= _TWIN_ETA
        policy = controls.eta_policy
        self._rule = NO_RULE if policy is None else policy.rule(masses, positions[:n], velocities[:n])
        self.stars = _particles(positions[:n], velocities[:n], np.full(n, controls.eta))
        self.massless = _particles(positions[massless], velocities[massless], eta)
        self.pairs = no_pairs(n)
        self.counts: IntArray = np.zeros(N_COUNTS, dtype=np.int64)
        # Start and goal of the present interval, and how many of how many macro steps of it are done.
        self.clock: FloatArray = np.array([time, time, 0.0, 0.0])
        most = max(n, len(massless))
        self._work = Work(
            layout.sources(masses, positions[:n], velocities[:n]),
            np.empty((most, 6)),
            np.empty((most, 6)),
            np.empty(most, dtype=np.int64),
            sharing(),
            scratch(),
        )
        frame = self._frame()
        for particles, own in ((self.stars, masses), (self.massless, np.zeros(len(massless)))):
            begin(particles, own, frame, self._work)

    @property
    def time(self) -> float:
        """Time that all particles have reached."""
        start, goal, done, of = self.clock
        return float(goal if done == of else start + (goal - start) * done / of)

    @property
    def status(self) -> str:
        """``ok``, ``step-underflow`` or ``collision``."""
        return STATUS_NAMES[self.counts[STATUS]]

    @property
    def star_forces(self) -> int:
        """How often the force on a star was summed, the first time included."""
        return int(self.n_stars + self.counts[STAR_FORCES])

    @property
    def massless_forces(self) -> int:
        """How often the force on a massless particle was summed, the first time included."""
        return int(self.n_massless + self.n_twins + self.counts[MASSLESS_FORCES])

    @property
    def interactions(self) -> int:
        """Pulls of one star on one particle that were summed so far."""
        return self.n_stars * (self.star_forces + self.massless_forces)

    def _frame(self) -> Frame:
        start, goal, _, of = self.clock
        length = (goal - start) / of if of else self.controls.longest_step
        return Frame(self.time, float(length), self.controls.tide, self.controls.pair_disturbance, self._rule)

    def advance(self, goal: float, budget: int = UNLIMITED) -> bool:
        """Go on to a time, or until about so many interactions were summed.

        Parameters
        ----------
        goal : float
            A time after that of the last goal; the same one until it is reached.
        budget : int
            Interactions.

        Returns
        -------
        bool
            Whether the time was reached, or the run cannot go on (`status`).

        Raises
        ------
        UsageError
            If the goal lies behind, or changes before it was reached.
        """
        if goal != self.clock[1]:
            self._begin_interval(goal)
        before = self.interactions
        while self.clock[2] < self.clock[3] and self.status == "ok":
            left = budget - (self.interactions - before)
            if left <= 0 or not advance(
                self.stars, self.masses, self.massless, self.pairs, self._frame(), left, self._work, self.counts
            ):
                return False
            if self.status == "ok":
                self.clock[2] += 1.0
        return True

    def _begin_interval(self, goal: float) -> None:
        """Cut the way to a new goal into macro steps, and express the steps of all particles in them."""
        if not goal > self.time or self.clock[2] < self.clock[3]:
            raise UsageError(f"cannot go on to {goal}: the run is at {self.time} on its way to {self.clock[1]}")
        before = self._frame().length
        halvings = max(0, math.ceil(math.log2((goal - self.time) / self.controls.longest_step)))
        self.clock[:] = self.time, goal, 0.0, 2.0**halvings
        length, kicks = self._frame().length, before / 2.0**self.pairs.level
        if length != before:
            for level in (self.stars.level, self.massless.level, self.pairs.level):
                steps = before / 2.0**level
                for i in np.flatnonzero(level >= 0):
                    level[i] = min(level_of(steps[i], length), DEEPEST)
            # The first half of a kick has been given for the old step.
            kicked = self.pairs.level >= 0
            change = 0.5 * (length / 2.0**self.pairs.level - kicks)
            self.pairs.orbit[kicked, 3:] += (change[:, None] * self.pairs.pull)[kicked]

    def phase(self) -> Phase:
        """Return where everything is, between macro steps."""
        x, v = (layout.get(self.stars.state, first, self.n_stars) for first in (layout.X, layout.VX))
        both = np.empty((2, 6))
        relative = np.empty(6)
        for pair, (first, second) in enumerate(self.pairs.members):
            if first >= 0:
                mass = self.masses[first] + self.masses[second]
                relative_at(self.pairs, pair, mass, 0, self._frame().length / END, relative)
                members_at(self.masses, first, second, relative, np.r_[x[first], v[first]], both)
                x[[first, second]], v[[first, second]] = both[:, :3], both[:, 3:]
        others = [layout.get(self.massless.state, first, self.n_massless) for first in (layout.X, layout.VX)]
        return Phase(np.concatenate([x, others[0]]), np.concatenate([v, others[1]]))

    def twin_offsets(self) -> FloatArray:
        """Return how far the twins are from the particles that they double, (n_twins,)."""
        places = layout.get(self.massless.state, layout.X, self.n_massless + self.n_twins)
        return np.asarray(np.linalg.norm(places[self.n_massless :] - places[: self.n_twins], axis=1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that is needed to go on, for a checkpoint."""
        named = {"clock": self.clock, "counts": self.counts}
        for name, part in (("stars", self.stars), ("massless", self.massless), ("pairs", self.pairs)):
            named |= {f"{name}-{key}": values for key, values in part._asdict().items()}
        return named

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up where `arrays` was called."""
        for name, values in self.arrays().items():
            values[...] = arrays[name]


def _particles(positions: FloatArray, velocities: FloatArray, eta: FloatArray) -> Particles:
    """Return particles at tick 0, without forces yet."""
    n = len(positions)
    state = layout.empty_tiles(n, layout.N_STATE)
    layout.put(state, layout.X, positions)
    layout.put(state, layout.VX, velocities)
    return Particles(state, np.zeros(n, dtype=np.int64), eta, np.zeros(n, dtype=np.int64))
