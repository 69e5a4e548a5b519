"""A batch of runs that can pause, be written to disk and go on with the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.conserved import angular_momentum, angular_momentum_scale
from astropipe.nbody.forces import N_PAIR_ROWS
from astropipe.nbody.integrators import (
    CLOSEST2,
    CLOSEST_I,
    CLOSEST_J,
    CLOSEST_TIME,
    EVALUATIONS,
    KINETIC,
    KINETIC_0,
    N_CLOCK,
    N_COUNT,
    N_EVENTS,
    N_ROWS,
    POTENTIAL,
    POTENTIAL_0,
    REDONE,
    RESTARTS,
    RUNNING,
    STATUS,
    STATUS_NAMES,
    TIME,
    Controls,
    State,
    energy_scale,
    evolve,
    evolve_batch,
    final_states,
    prepare_batch,
)

# Systems differ in cost by orders of magnitude: threads take small portions so that none waits for another.
_SYSTEMS_PER_PORTION = 8
# The whole of any run.
UNLIMITED = 2**62


class BatchRun:
    """Runs of n systems of N bodies under one set of controls.

    Parameters
    ----------
    gm : array of shape (n, N)
        Gravitational parameters G m.
    positions, velocities : arrays of shape (n, N, 3)
        Initial states.
    controls : Controls
        What steers the runs.
    max_events : int
        How many encounters of each system are written down.
    """

    def __init__(
        self, gm: FloatArray, positions: FloatArray, velocities: FloatArray, controls: Controls, max_events: int = 0
    ) -> None:
        n, n_bodies = gm.shape
        self.gm, self.controls = gm, controls
        self.initial = positions, velocities
        shape = (n, controls.save_times.size, n_bodies, 3)
        self.state = State(
            gm=np.empty((n, n_bodies)),
            chain=np.empty((n, 2, n_bodies), dtype=np.int64),
            centre=np.zeros((n, 2, 3)),
            vectors=np.zeros((n, N_ROWS, n_bodies - 1, 3)),
            pairs=np.zeros((n, N_PAIR_ROWS, n_bodies * (n_bodies - 1) // 2)),
            clock=np.zeros((n, N_CLOCK)),
            counts=np.zeros((n, N_COUNT), dtype=np.int64),
            events=np.full((n, max_events, 4), np.nan),
            saved_x=np.full(shape, np.nan),
            saved_v=np.full(shape, np.nan),
        )
        state = self.state
        prepare_batch(gm, positions, velocities, *state[:4], state.clock, state.counts)

    @property
    def running(self) -> int:
        """Number of systems that have not ended."""
        return int(np.sum(self.state.counts[:, STATUS] == RUNNING))

    @property
    def systems_done(self) -> int:
        """Sum of the shares of the time that each system has behind it; one that has ended counts as 1."""
        span = self.controls.t_end - self.controls.t_start
        begun = self.state.counts[:, EVALUATIONS] > 0
        share = np.where(begun, (self.state.clock[:, TIME] - self.controls.t_start) / (span or 1.0), 0.0)
        return int(np.sum(np.where(self.state.counts[:, STATUS] == RUNNING, share, 1.0)))

    def advance(self, budget: int = UNLIMITED, *, parallel: bool = True) -> None:
        """Go on with every system until it ends or has made about `budget` more force evaluations."""
        if parallel:
            with numba.parallel_chunksize(_SYSTEMS_PER_PORTION):
                evolve_batch(self.controls, budget, *self.state)
            return
        for system in range(len(self.gm)):
            evolve(self.controls, budget, *(array[system] for array in self.state))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that the runs carry, to be written to a checkpoint."""
        return {f"state_{name}": array for name, array in self.state._asdict().items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up the runs where `arrays` was called."""
        for name, array in self.state._asdict().items():
            array[...] = arrays[f"state_{name}"]

    def columns(self) -> dict[str, Any]:
        """Return the results as plain arrays over systems; see `astropipe.nbody.integration.IntegrationResult`."""
        state, (x, v) = self.state, (np.empty_like(self.initial[0]), np.empty_like(self.initial[1]))
        clock, count = state.clock, state.counts
        final_states(self.controls, state.gm, state.chain, state.centre, state.vectors, clock, x, v)
        energy_error, spin_error = self._errors(x, v)
        return {
            "positions": x,
            "velocities": v,
            "time": clock[:, TIME].copy(),
            "status": np.array(STATUS_NAMES)[count[:, STATUS]],
            "energy_error": energy_error,
            "angular_momentum_error": spin_error,
            "force_evaluations": count[:, EVALUATIONS].copy(),
            "redone_evaluations": count[:, REDONE].copy(),
            "restarts": count[:, RESTARTS].copy(),
            "closest_separation": np.sqrt(clock[:, CLOSEST2]),
            "closest_pair": count[:, [CLOSEST_I, CLOSEST_J]],
            "closest_time": clock[:, CLOSEST_TIME].copy(),
            "n_encounters": count[:, N_EVENTS].copy(),
            "encounters": state.events,
            "saved_positions": state.saved_x,
            "saved_velocities": state.saved_v,
        }

    def _errors(self, x: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return relative errors of energy and angular momentum, both about the barycentre.

        Energies come from the chain vectors: a close pair has lost digits in the coordinates of the bodies.
        """
        clock = self.state.clock
        change = (clock[:, KINETIC] - clock[:, KINETIC_0]) - (clock[:, POTENTIAL] - clock[:, POTENTIAL_0])
        scale = np.array([energy_scale(k, p) for k, p in clock[:, [KINETIC_0, POTENTIAL_0]]])
        centre, moved = self.state.centre, clock[:, TIME] - self.controls.t_start
        before = [part - centre[:, axis, None] for axis, part in enumerate(self.initial)]
        after = [x - (centre[:, 0] + moved[:, None] * centre[:, 1])[:, None], v - centre[:, 1, None]]
        spin = angular_momentum(self.gm, *before)
        spin_change = np.linalg.norm(angular_momentum(self.gm, *after) - spin, axis=-1)
        natural = angular_momentum_scale(self.gm, spin, clock[:, POTENTIAL_0])
        return np.abs(change) / scale, spin_change / natural


def whole_numbers(values: FloatArray) -> IntArray:
    """Return bodies of encounters, which are stored as floats beside their times, as integers; -1 for none."""
    return np.where(np.isnan(values), -1, values).astype(np.int64)
