"""How long a nested sampling run has still to go, roughly."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from astropipe.runtime.progress import format_seconds


class TimeLeft:
    """Estimates the seconds to the end of a static run from what its live points can still add to ln Z.

    With r = L_max X / Z the run ends when ln(1 + r) falls below `dlogz`. Each iteration shrinks the prior volume X by
    a factor exp(−1 / n_live). Once r < 1, L_max and Z change little, and n_live ln(r / r_end) iterations are left, to
    some 20 %. Before that nothing tells how far the run has still to climb to the bulk of the posterior, and what is
    left from r = 1 on is a lower bound. The pace is that of the last n_live iterations, since draws become dearer.

    Parameters
    ----------
    n_live
        Live points.
    dlogz
        Where the run ends.
    clock
        Gives the time in seconds.
    """

    def __init__(self, n_live: int, dlogz: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._n_live = n_live
        self._end = _log_ratio(dlogz)
        self._clock = clock
        self._times: deque[float] = deque(maxlen=n_live)

    def __call__(self, remaining: float) -> str:
        """Take note of an iteration and return what is left, for people; `remaining` is ln(1 + r)."""
        self._times.append(self._clock())
        if len(self._times) < 2:
            return ""
        now = _log_ratio(remaining)
        iterations = self._n_live * max(0.0, min(now, 0.0) - self._end)
        seconds = iterations * (self._times[-1] - self._times[0]) / (len(self._times) - 1)
        return f"{'at least' if now > 0.0 else 'about'} {format_seconds(seconds)} left"


def _log_ratio(remaining: float) -> float:
    """Return ln r of ln(1 + r), without overflow; −inf for r = 0."""
    return remaining + math.log(-math.expm1(-remaining)) if remaining > 0.0 else -math.inf
