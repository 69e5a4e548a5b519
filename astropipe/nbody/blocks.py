"""Integrate many systems block by block, with progress, and with a checkpoint that loses no finished system."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units
from numpy.typing import NDArray

from astropipe.nbody.ensembles import Ensemble
from astropipe.nbody.integration import ClosestApproach, IntegrationResult, Trajectory, integrate_batch
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.progress import Progress

# Systems in the first block; later ones are made so large that a look at the signals comes every second or two.
FIRST_BLOCK = 16
_SHORT_S, _LONG_S = 0.5, 2.0
_SECONDS_BETWEEN_CHECKPOINTS = 60.0

_LENGTHS = ("positions", "closest_separation", "saved_positions")
_VELOCITIES = ("velocities", "saved_velocities")
_TIMES = ("time", "closest_time")


def integrate_blocks(
    ensemble: Ensemble, t_end: Any, options: Mapping[str, Any], checkpoint: Checkpoint, progress: Progress
) -> IntegrationResult:
    """Integrate the systems of an ensemble; equal to one call of `integrate_batch`, bit for bit.

    Parameters
    ----------
    ensemble : Ensemble
        The systems.
    t_end : float or Quantity
        End time.
    options : mapping
        Further keywords of `integrate_batch`.
    checkpoint : Checkpoint
        Read at the start, and written every minute and when a stop is requested.
    progress : Progress
        Told how many systems are done.

    Raises
    ------
    InterruptedRunError
        If a stop was requested; what is finished is in the checkpoint.
    """
    done = checkpoint.load() or {}
    n, finished = len(ensemble.catalog), len(done.get("time", ()))
    size, saved_at = FIRST_BLOCK, time.monotonic()
    while finished < n:
        progress.update(finished)
        if stop_requested():
            checkpoint.save(done)
            raise InterruptedRunError(
                f"interrupted after {finished} of {n} systems, which are kept in {checkpoint.path}; "
                "run again with --resume"
            )
        part = ensemble.rows(slice(finished, finished + size))
        begun_at = time.monotonic()
        result = integrate_batch(part.masses, part.positions, part.velocities, t_end, **options)
        done = _append(done, _plain(result))
        finished = len(done["time"])
        size = _next_size(size, time.monotonic() - begun_at)
        if time.monotonic() - saved_at > _SECONDS_BETWEEN_CHECKPOINTS:
            checkpoint.save(done)
            saved_at = time.monotonic()
    progress.update(n)
    return _result(done, ensemble, t_end, options.get("save_times"))


def _next_size(size: int, seconds: float) -> int:
    """Return how many systems to integrate next, from how long the last block took; no result depends on it."""
    if seconds < _SHORT_S:
        return 2 * size
    return max(1, size // 2) if seconds > _LONG_S else size


def _plain(result: IntegrationResult) -> dict[str, NDArray[Any]]:
    values = {
        "positions": result.positions,
        "velocities": result.velocities,
        "time": result.time,
        "status": np.char.encode(result.status, "ascii"),
        "energy_error": result.energy_error,
        "angular_momentum_error": result.angular_momentum_error,
        "force_evaluations": result.force_evaluations,
        "closest_separation": result.closest_approach.separation,
        "closest_pair": result.closest_approach.pair,
        "closest_time": result.closest_approach.time,
    }
    if result.trajectory is not None:
        values["saved_positions"] = result.trajectory.positions
        values["saved_velocities"] = result.trajectory.velocities
    return {name: np.asarray(getattr(value, "value", value)) for name, value in values.items()}


def _append(done: Mapping[str, NDArray[Any]], new: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([done[name], rows]) if name in done else rows for name, rows in new.items()}


def _result(values: dict[str, NDArray[Any]], ensemble: Ensemble, t_end: Any, save_times: Any) -> IntegrationResult:
    unit = dict.fromkeys(values, units.dimensionless_unscaled)
    if ensemble.has_units:
        unit |= dict.fromkeys(_LENGTHS, ensemble.positions.unit)
        unit |= dict.fromkeys(_VELOCITIES, ensemble.velocities.unit)
        unit |= dict.fromkeys(_TIMES, t_end.unit)
    full = {
        name: array if unit[name] == units.dimensionless_unscaled else units.Quantity(array, unit[name])
        for name, array in values.items()
    }
    trajectory = None
    if save_times is not None:
        trajectory = Trajectory(save_times, full["saved_positions"], full["saved_velocities"])
    return IntegrationResult(
        positions=full["positions"],
        velocities=full["velocities"],
        time=full["time"],
        status=np.char.decode(values["status"], "ascii"),
        energy_error=values["energy_error"],
        angular_momentum_error=values["angular_momentum_error"],
        force_evaluations=values["force_evaluations"],
        closest_approach=ClosestApproach(full["closest_separation"], values["closest_pair"], full["closest_time"]),
        trajectory=trajectory,
    )
