"""What happened during a run, as a list for people: closest approach, encounters, escapes with their reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astropipe.nbody.outcomes import DEFAULT_ESCAPE_FACTOR, classify
from astropipe.nbody.units import plain_arguments

if TYPE_CHECKING:
    from astropipe.nbody.integration import IntegrationResult


@dataclass(frozen=True)
class Event:
    """One thing that happened to a system.

    Attributes
    ----------
    kind : {"closest-approach", "encounter", "escape"}
    time : float or Quantity
        When; an escape is found at the end of the run.
    bodies : tuple of int
        The two that meet, or the one that escapes.
    separation : float or Quantity
        Distance of the two bodies, interpolated between steps; of an escaper, from the nearest other body.
    reason : str
        Why the event is listed.
    """

    kind: str
    time: Any
    bodies: tuple[int, ...]
    separation: Any
    reason: str


def events_of(result: IntegrationResult) -> list[Any]:
    """Return the events of a system in order of time; for a batch, one list for each system."""
    if np.ndim(result.masses) == 1:
        return _events(result, result.masses, result.positions, result.velocities, (), result.encounters)
    return [
        _events(
            result,
            result.masses[row],
            result.positions[row],
            result.velocities[row],
            (row,),
            None if result.encounters is None else result.encounters[row],
        )
        for row in range(len(result.masses))
    ]


def _events(
    result: IntegrationResult, masses: Any, positions: Any, velocities: Any, row: tuple[int, ...], encounters: Any
) -> list[Event]:
    """Return the events of one system, at a row of the result."""
    time, closest = result.time[row] if row else result.time, result.closest_approach
    pair = tuple(int(body) for body in closest.pair[row])
    found = []
    if min(pair) >= 0:
        at, separation = (value[row] if row else value for value in (closest.time, closest.separation))
        found.append(Event("closest-approach", at, pair, separation, "least separation of any two bodies"))
    if encounters is not None:
        for k, bodies in enumerate(encounters.pairs):
            pair = (int(bodies[0]), int(bodies[1]))
            reason = "least separation of an encounter closer than encounter_distance"
            found.append(Event("encounter", encounters.times[k], pair, encounters.separations[k], reason))
    state = {"masses": masses, "positions": positions, "velocities": velocities, "t_end": time, "t_start": 0.0}
    plain, constant, _ = plain_arguments(state, result.G)
    outcome = classify(plain["masses"], plain["positions"], plain["velocities"], G=constant)
    if outcome.escaper >= 0:
        escaper = int(outcome.escaper)
        others = np.delete(np.arange(len(masses)), escaper)
        distances = np.sqrt(((positions[others] - positions[escaper]) ** 2).sum(axis=-1))
        reason = (
            "unbound, receding, and farther from all others than "
            f"{DEFAULT_ESCAPE_FACTOR:g} semi-major axes of the most bound pair ({outcome.label})"
        )
        found.append(Event("escape", time, (escaper,), distances.min(), reason))
    return sorted(found, key=lambda event: getattr(event.time, "value", event.time))
