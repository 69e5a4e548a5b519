"""Time a force evaluation of our integrators beside REBOUND's C on three bodies, in one run.

Run ``python benchmarks/bench_nbody_cost.py [--output DIR]`` with the extra ``peers`` installed (REBOUND is GPL and is
imported only here and in one test). All contestants integrate the figure-eight orbit; in each round they take turns, so
that a change in the machine's speed meets all of them, and ratios are taken within a round.

What is like for like: a leapfrog or Yoshida evaluation gives accelerations, as does REBOUND's leapfrog of the same
order. A Hermite evaluation gives accelerations and jerks, with the step rule and the pair distances found on the way;
REBOUND has no such evaluation, so with a fixed step it stands beside the leapfrog of order 2 (the harder comparison)
and with a variable step beside IAS15. Our times include what every run does
beside the forces: closest approach, clock, output times. Evaluations of REBOUND are counted by a callback in a run of
its own, which is not timed.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from astropipe.nbody import integrate, named_system
from astropipe.nbody.steps import DERIVATIVES

STEP = 1e-3
YIELDS = ("acceleration", "jerk", "snap", "crackle")
# What the policy costs: beside a fixed step, which needs neither decisions nor looks at the energy, and beside the
# power
# rule with the same tolerance, guard and looks, which lacks the decisions alone.
LEARNED = ("hermite6", "hermite8")
TARGET = 1.2


@dataclass
class Contestant:
    """One integrator with what an evaluation yields, a function that runs it, and its seconds per round."""

    name: str
    yields: str
    peer: str
    run: Callable[[], float]
    evaluations: int
    seconds: list[float] = field(default_factory=list)

    @property
    def nanoseconds(self) -> np.ndarray:
        """Time per evaluation in each round."""
        return np.array(self.seconds) / self.evaluations * 1e9


def ours(method: str, peer: str, t_end: float, **options: Any) -> Contestant:
    """Return a contestant of this package; the first run, here, compiles."""
    eight = named_system("figure-eight")

    def timed() -> tuple[float, int]:
        start = time.perf_counter()
        result = integrate(eight.masses, eight.positions, eight.velocities, t_end, method=method, **options)
        return time.perf_counter() - start, result.force_evaluations

    detail = "fixed step" if "dt" in options else options["timestep"]
    yields = ", ".join(YIELDS[: DERIVATIVES.get(method, 1)])
    return Contestant(f"astropipe {method}, {detail}", yields, peer, lambda: timed()[0], timed()[1])


def rebounds(integrator: str, order: int | None, t_end: float) -> Contestant:
    """Return a contestant of REBOUND."""
    import rebound

    eight = named_system("figure-eight")

    def simulation() -> Any:
        made = rebound.Simulation()
        for m, x, v in zip(eight.masses, eight.positions, eight.velocities, strict=True):
            made.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
        made.integrator = integrator
        made.dt = STEP
        if order is not None:
            made.integrator.order = order
        return made

    def timed() -> float:
        made = simulation()
        start = time.perf_counter()
        made.integrate(t_end)
        return time.perf_counter() - start

    count = 0

    def one_more(_: Any) -> None:
        nonlocal count
        count += 1

    counting = simulation()
    counting.additional_forces = one_more
    counting.integrate(t_end)
    name = f"REBOUND {rebound.__version__} {integrator}" + (f", order {order}" if order else "")
    return Contestant(name, "acceleration", "", timed, count)


def contestants() -> list[Contestant]:
    """Return all contestants, each with about 1e5 evaluations a run."""
    period = named_system("figure-eight").period
    assert period is not None
    peers = [
        rebounds("leapfrog", 2, 100.0),
        rebounds("leapfrog", 4, 35.0),
        rebounds("leapfrog", 6, 12.0),
        rebounds("ias15", None, 5.0 * period),
    ]
    second, fourth, sixth, ias15 = (peer.name for peer in peers)
    return [
        *peers,
        ours("leapfrog", second, 100.0, dt=STEP),
        ours("yoshida4", fourth, 35.0, dt=STEP),
        ours("yoshida6", sixth, 15.0, dt=STEP),
        ours("logh6", sixth, 60.0 * period, timestep="shared", mu=0.003),
        ours("hermite4", second, 100.0, dt=STEP),
        ours("hermite4", ias15, 60.0 * period, timestep="shared", mu=0.01),
        *(ours(method, second, 100.0, dt=STEP) for method in LEARNED),
        *(ours(method, f"astropipe {method}, fixed step", 700.0 * period, timestep="power") for method in LEARNED),
        *(
            ours(method, f"astropipe {method}, {peer}", 700.0 * period, timestep="learned")
            for peer in ("fixed step", "power")
            for method in LEARNED
        ),
    ]


def rows(field: Sequence[Contestant]) -> list[dict[str, str]]:
    """Return the table: median times, and medians over rounds of the ratio to the peer."""
    by_name = {one.name: one for one in field}
    table = []
    for one in field:
        row = {
            "integrator": one.name,
            "an evaluation yields": one.yields,
            "evaluations": str(one.evaluations),
            "ns per evaluation": f"{np.median(one.nanoseconds):.0f}",
            "beside": one.peer,
            "ratio": "",
            "16-84 %": "",
            f"<= {TARGET}": "",
        }
        if one.peer:
            ratio = one.nanoseconds / by_name[one.peer].nanoseconds
            low, middle, high = np.percentile(ratio, [16, 50, 84])
            row |= {"ratio": f"{middle:.2f}", "16-84 %": f"{low:.2f}-{high:.2f}"}
            row[f"<= {TARGET}"] = "yes" if middle <= TARGET else "no"
        table.append(row)
    return table


def markdown(table: Sequence[dict[str, str]]) -> str:
    """Return the table as Markdown."""
    lines = [" | ".join(table[0]), " | ".join("---" for _ in table[0])]
    lines += [" | ".join(row.values()) for row in table]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def main() -> None:
    """Run all rounds, print the table, and write it where --output says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, help="folder for nbody-cost.csv and nbody-cost.md")
    parser.add_argument("--rounds", type=int, default=51, help="number of rounds (default 51)")
    options = parser.parse_args()
    field = contestants()
    for _ in range(options.rounds):
        for one in field:
            one.seconds.append(one.run())
    table = rows(field)
    print(markdown(table))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "nbody-cost.md").write_text(markdown(table))
        with (options.output / "nbody-cost.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)


if __name__ == "__main__":
    main()
