"""A particle-mesh run: kick, drift, kick in the scale factor, with the energy book that an expanding box has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.flow.background import Background
from astropipe.nbody.flow.initial import wrapped
from astropipe.nbody.flow.mesh import Mesh
from astropipe.runtime.errors import UsageError


def schedule(a_start: float, outputs: FloatArray, n_steps: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return the scale factors between which a run steps, and which of them are saved.

    Steps are even in sqrt(a) within each interval between outputs, as conformal time is while matter dominates: short
    in ln a where haloes turn, long where all is linear.

    Parameters
    ----------
    a_start : float
        Scale factor of the start.
    outputs : array
        Scale factors to be saved, increasing, above the start.
    n_steps : int
        Steps that a run from ``a_start`` to a = 1 takes at least.

    Raises
    ------
    UsageError
        If the outputs do not increase, or do not lie between the start and a = 1.
    """
    if outputs.size == 0 or not np.all(np.isfinite(outputs)) or outputs[0] <= a_start or outputs[-1] > 1.0:
        raise UsageError(
            f"the snapshots must lie after the start (a = {a_start:.6g}) and not after a = 1, "
            f"but are asked for at a = {_listed(outputs)}"
        )
    if np.any(np.diff(outputs) <= 0.0):
        raise UsageError(f"the snapshots must be in order of time, each once, but are at a = {_listed(outputs)}")
    widest = (1.0 - np.sqrt(a_start)) / n_steps
    edges, saved = [a_start], []
    for a in outputs:
        low, high = np.sqrt(edges[-1]), np.sqrt(a)
        count = max(1, int(np.ceil((high - low) / widest - 1e-9)))
        edges += [*(np.linspace(low, high, count + 1)[1:-1] ** 2), float(a)]
        saved.append(len(edges) - 1)
    return np.array(edges), np.array(saved)


def _listed(outputs: FloatArray) -> str:
    return ", ".join(f"{a:.6g}" for a in outputs) or "no time at all"


@dataclass(frozen=True)
class Snapshot:
    """Particles at one scale factor.

    Parameters
    ----------
    a : float
        Scale factor.
    positions : array of shape (n, 3)
        Comoving, in [0, box_size), in Mpc.
    velocities : array of shape (n, 3)
        Peculiar velocities in km/s.
    """

    a: float
    positions: FloatArray
    velocities: FloatArray


class Evolution:
    """A box on its way, which can be stopped after any step, saved, and go on with the same bits.

    Positions x are comoving in Mpc, momenta p = a^2 dx/dt in Mpc H0:

        dx/dt = p / a^2,    dp/dt = -grad(phi) / a,    laplace(phi) = 3/2 Om0 contrast

    Parameters
    ----------
    positions, momenta : arrays of shape (n, 3)
        The start, equal particles.
    box_size : float
        Side of the box in comoving Mpc.
    background : Background
        The universe.
    edges : array
        Scale factors of `schedule`, the start first.
    saved : array of int
        Which of them are kept as snapshots.
    cells : int
        Nodes of the mesh along each side.
    threads : int
        Threads; they change no bit.
    """

    def __init__(
        self,
        positions: FloatArray,
        momenta: FloatArray,
        box_size: float,
        background: Background,
        edges: FloatArray,
        saved: NDArray[np.int64],
        cells: int,
        threads: int = 1,
    ) -> None:
        self.positions, self.momenta = positions.copy(), momenta.copy()
        self.background, self.edges, self.saved = background, edges, saved
        self.mesh = Mesh(cells, box_size, threads)
        self.step = 0
        self.snapshots: list[Snapshot] = []
        # One row a step: kinetic and potential energy per mass in (km/s)^2.
        self.energies = np.full((len(edges), 2), np.nan)
        self._field: FloatArray | None = None

    @property
    def a(self) -> float:
        """The present scale factor."""
        return float(self.edges[self.step])

    @property
    def n_steps(self) -> int:
        """Steps of the whole run."""
        return len(self.edges) - 1

    @property
    def finished(self) -> bool:
        """Whether the last output is reached."""
        return self.step == self.n_steps

    def advance(self) -> None:
        """Do one step: half a kick, a drift, half a kick."""
        a0, a1 = self.edges[self.step], self.edges[self.step + 1]
        middle = np.sqrt(a0 * a1)
        if self._field is None:
            # At the start, and after a pause: the field is a function of the positions alone.
            self._field, potential = self._gravity()
            if self.step == 0:
                self._note(potential)
        self.momenta += self._field * self.background.kick(a0, middle)
        self.positions = wrapped(self.positions + self.momenta * self.background.drift(a0, a1), self.mesh.box_size)
        self._field, potential = self._gravity()
        self.momenta += self._field * self.background.kick(middle, a1)
        self.step += 1
        self._note(potential)
        if self.step in self.saved:
            h0 = self.background.hubble(1.0)
            self.snapshots.append(Snapshot(self.a, self.positions.copy(), self.momenta * (h0 / self.a)))

    def _gravity(self) -> tuple[FloatArray, float]:
        """Return minus the gradient of phi at the particles, and half the mean of phi times the contrast."""
        field, energy = self.mesh.gravity(self.positions)
        strength = 1.5 * self.background.omega_m
        return strength * field, strength * energy

    def _note(self, potential: float) -> None:
        h0 = self.background.hubble(1.0)
        kinetic = 0.5 * float(np.mean(np.sum(self.momenta**2, axis=1))) / self.a**2
        self.energies[self.step] = kinetic * h0**2, potential * h0**2 / self.a

    @property
    def layzer_irvine_error(self) -> FloatArray:
        """Error of the energy at each edge of a step, relative to the potential energy; NaN where not yet reached.

        In an expanding box T + W is not conserved, but T + W + integral of (2T + W) dln a is (Irvine 1961; Layzer
        1963).
        """
        kinetic, potential = self.energies.T
        ln_a = np.log(self.edges)
        rate = 2.0 * kinetic + potential
        lost = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * np.diff(ln_a))])
        total = kinetic + potential + lost
        return np.asarray((total - total[0]) / np.abs(potential))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the whole state as arrays, for a checkpoint."""
        state = {"positions": self.positions, "momenta": self.momenta, "energies": self.energies}
        state["step"] = np.array(self.step)
        for number, snapshot in enumerate(self.snapshots):
            state[f"snapshot-{number}-positions"] = snapshot.positions
            state[f"snapshot-{number}-velocities"] = snapshot.velocities
        return state

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state that `arrays` gave."""
        self.positions, self.momenta, self.energies = (
            arrays[name].copy() for name in ("positions", "momenta", "energies")
        )
        self.step, self._field = int(arrays["step"]), None
        reached = [edge for edge in self.saved if edge <= self.step]
        self.snapshots = [
            Snapshot(
                float(self.edges[edge]), arrays[f"snapshot-{number}-positions"], arrays[f"snapshot-{number}-velocities"]
            )
            for number, edge in enumerate(reached)
        ]
