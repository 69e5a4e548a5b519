"""Everybody who takes part in the nbody benchmark: what runs a set of systems at one setting of its dial."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from nbody_oracle import oracle
from nbody_sets import Systems

from astropipe.nbody import integrate_batch, read_policy, total_energy
from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.paper.amuse_hermite import advance_batch

# What breaks down has this error.
LOST = 1e9
MOST = 400_000


class Played(NamedTuple):
    """What came of a set of systems.

    Attributes
    ----------
    error : array of shape (n,)
        Relative energy errors.
    evaluations : array of shape (n,)
        Force evaluations.
    wall_s : float
        Wall time of the whole set on one core, with everything.
    flagged : array of bool, shape (n,), or None
        Systems whose run says itself that it must not be used; None for codes that never say so.
    """

    error: FloatArray
    evaluations: FloatArray
    wall_s: float
    flagged: Any


@dataclass(frozen=True)
class Contestant:
    """A code with a dial.

    Attributes
    ----------
    name, group : str
        Name, and what the members of an ensemble of trainings have in common.
    dial : sequence of float
        Settings, from cheap to dear.
    play : callable
        Runs systems at a setting.
    sets : sequence of str
        Sets on which it runs; all if empty. Counting the evaluations of REBOUND takes minutes a set.
    """

    name: str
    dial: Sequence[float]
    play: Callable[[Systems, float], Played]
    group: str = ""
    sets: Sequence[str] = ()


def _relative(systems: Systems, x: FloatArray, v: FloatArray) -> FloatArray:
    before = total_energy(systems.masses, systems.positions, systems.velocities)
    error = np.abs((total_energy(systems.masses, x, v) - before) / before)
    return np.where(np.isfinite(error), error, LOST)


def amuse_hermite(systems: Systems, mu: float) -> Played:
    """Run AMUSE's Hermite, replayed in barycentric coordinates, with one mu and no interruption."""
    x, v = systems.positions.copy(), systems.velocities.copy()
    counts: IntArray = np.zeros(len(x), dtype=np.int64)
    start = time.perf_counter()
    advance_batch(systems.masses, x, v, systems.t_end, np.full(len(x), mu), counts)
    wall = time.perf_counter() - start
    return Played(_relative(systems, x, v), np.abs(counts).astype(float), wall, None)


def ours(**options: Any) -> Callable[[Systems, float], Played]:
    """Return a function that runs `integrate_batch`; the dial is mu, or the tolerance where the guard is on."""
    dial = "tolerance" if "tolerance" not in options else "mu"

    def play(systems: Systems, setting: float) -> Played:
        start = time.perf_counter()
        run = integrate_batch(*systems, **options, **{dial: setting}, max_force_evaluations=MOST)
        wall = time.perf_counter() - start
        error = np.where(np.isfinite(run.energy_error), run.energy_error, LOST)
        return Played(error, run.force_evaluations.astype(float), wall, run.status != "ok")

    return play


def greedy_oracle(systems: Systems, allowed: float) -> Played:
    """Run the eighth order with, at each step, the largest mu whose energy jump is allowed; the search is free."""
    error, counts = oracle(*systems, allowed)
    return Played(np.where(np.isfinite(error), error, LOST), counts.astype(float), math.nan, None)


def rebound_code(integrator: str) -> Callable[[Systems, float], Played]:
    """Return a function that runs REBOUND's IAS15 or BS; the dial is epsilon, or both tolerances of BS."""

    def simulation(systems: Systems, row: int, setting: float) -> Any:
        from astropipe.nbody import to_rebound

        made = to_rebound(systems.masses[row], systems.positions[row], systems.velocities[row])
        made.integrator = integrator
        for name in ("epsilon",) if integrator == "ias15" else ("eps_rel", "eps_abs"):
            setattr(made.integrator, name, setting)
        return made

    def counted(systems: Systems, row: int, setting: float) -> float:
        """Count evaluations by a callback, in a run of its own that is not timed."""
        counting, count = simulation(systems, row, setting), 0

        def one_more(_: Any) -> None:
            nonlocal count
            count += 1
            if count == MOST:
                counting.stop()

        counting.additional_forces = one_more
        counting.integrate(systems.t_end)
        return float(count)

    def play(systems: Systems, setting: float) -> Played:
        from astropipe.nbody import from_rebound

        n = len(systems.masses)
        counts = np.array([counted(systems, row, setting) for row in range(n)])
        # A head-on encounter may keep IAS15 busy for ever: such runs are lost, and priced at the cap.
        capped = counts >= MOST
        simulations = {row: simulation(systems, row, setting) for row in np.flatnonzero(~capped)}
        start = time.perf_counter()
        for made in simulations.values():
            made.integrate(systems.t_end)
        wall = (time.perf_counter() - start) * counts.sum() / max(1.0, counts[~capped].sum())
        x, v = np.full_like(systems.positions, np.nan), np.full_like(systems.velocities, np.nan)
        for row, made in simulations.items():
            x[row], v[row] = from_rebound(made)[1:3]
        return Played(_relative(systems, x, v), counts, wall, None)

    return play


MU_4 = (0.1, 0.05, 0.03, 0.02, 0.0135, 0.01, 0.005, 0.002)
MU_HIGH = (0.25, 0.2, 0.16, 0.14, 0.12, 0.1, 0.08, 0.06, 0.04, 0.02)
TOLERANCES = (1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10)
# A tolerance of almost 1 never calls the guard.
FREE = 0.999


def contestants(policies: Sequence[Path], *, peers: bool) -> list[Contestant]:
    """Return everybody: hand-made rules, peers if asked for, the oracle, and a policy for each file."""
    field = [
        Contestant("Hermite 4, AMUSE's rule, fixed μ", MU_4, amuse_hermite),
        Contestant("Hermite 4, power rule", MU_4, ours(method="hermite4", timestep="power", tolerance=FREE)),
        Contestant("Hermite 6, fixed μ", MU_HIGH, ours(method="hermite6", timestep="shared", tolerance=FREE)),
        Contestant("Hermite 6, power rule", MU_HIGH, ours(method="hermite6", timestep="power", tolerance=FREE)),
        Contestant("Hermite 8, power rule", MU_HIGH[2:], ours(method="hermite8", timestep="power", tolerance=FREE)),
        Contestant(
            "LogH 6, power rule",
            (0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07),
            ours(method="logh6", timestep="power", tolerance=FREE),
        ),
        Contestant("greedy oracle, Hermite 8", (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10), greedy_oracle),
        Contestant("tolerance, power rule", TOLERANCES, ours(timestep="power")),
    ]
    if peers:
        field += [
            Contestant("IAS15 (REBOUND)", (1e-4, 1e-6, 1e-9), rebound_code("ias15"), sets=("a", "b")),
            Contestant("BS (REBOUND)", (1e-7, 1e-8, 1e-9, 1e-10), rebound_code("bs"), sets=("a", "b")),
        ]
    return field + [
        Contestant(
            f"tolerance, learned, seed {k}",
            TOLERANCES,
            ours(timestep="learned", policy=read_policy(path)),
            "tolerance, learned",
        )
        for k, path in enumerate(policies, 1)
    ]
