"""A problem whose likelihood costs time and memory as the environment says, and its result nothing of it."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.inference import Prior, Problem


def log_likelihood(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ln L of a normal distribution at points [n, 2] as [n]; the file calls grows by a line a point."""
    with Path("calls").open("a", encoding="utf-8") as calls:
        calls.write("\n" * len(points))
    _hold()
    time.sleep(float(os.environ.get("SECONDS_PER_CALL", "0")))
    return np.asarray(-0.5 * np.sum(points**2, axis=1))


@cache
def _hold() -> NDArray[np.float64]:
    return np.ones(int(os.environ.get("HELD_MB", "0")) << 17)


def demanding() -> Problem:
    """Build the problem, with a prior wider than the likelihood."""
    return Problem(
        "demanding", "A likelihood that costs", Prior({"x": "normal(0, 5)", "y": "uniform(-5, 5)"}), log_likelihood
    )
