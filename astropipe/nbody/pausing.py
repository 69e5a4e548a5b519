"""Run an integration in short spells, between which signals are heard, progress is told and checkpoints are written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.progress import Progress

# Force evaluations of each system in the first spell; later ones are made as long as lies between these times.
_FIRST_SPELL = 100
_SHORT_S, _LONG_S = 0.3, 1.0
_SECONDS_BETWEEN_CHECKPOINTS = 60.0


class Pausable(Protocol):
    """What can be integrated in spells: `astropipe.nbody.Integration` and its like."""

    @property
    def finished(self) -> bool:
        """Whether it has come to its end."""

    @property
    def systems_done(self) -> float:
        """The sum of the shares of the time that each system has behind it."""

    def advance(self, max_evaluations: int = ...) -> bool:
        """Go on with about so much more work."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that is needed to go on."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up where `arrays` was called."""


def run_in_spells(integration: Pausable, checkpoint: Checkpoint, progress: Progress) -> None:
    """Go on until every system has ended; equal to one call of `Integration.advance`, bit for bit.

    Parameters
    ----------
    integration : Pausable
        The systems.
    checkpoint : Checkpoint
        Read at the start, and written every minute and when a stop is requested, also in the middle of systems.
    progress : Progress
        Told the share of the time that is integrated, in units of systems.

    Raises
    ------
    InterruptedRunError
        If a stop was requested; the state of every system is in the checkpoint.
    """
    arrays = checkpoint.load()
    if arrays is not None:
        integration.restore(arrays)
    spell, saved_at = _FIRST_SPELL, time.monotonic()
    while not integration.finished:
        progress.update(integration.systems_done)
        if stop_requested():
            checkpoint.save(integration.arrays())
            raise InterruptedRunError(
                f"interrupted after the work of {integration.systems_done} systems, which is kept in "
                f"{checkpoint.path}; run again with --resume"
            )
        begun_at = time.monotonic()
        integration.advance(spell)
        took = time.monotonic() - begun_at
        if took < _SHORT_S:
            spell *= 2
        elif took > _LONG_S:
            spell = max(1, spell // 2)
        if time.monotonic() - saved_at > _SECONDS_BETWEEN_CHECKPOINTS:
            checkpoint.save(integration.arrays())
            saved_at = time.monotonic()
    progress.update(integration.systems_done)
