"""A Gaussian on a plane, and a run of it that another process can start under the same names, to be killed."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.nested import sample
from astropipe.inference.priors import Prior, Uniform

Point = NDArray[np.float64]

PLANE = Prior({"x": Uniform(-5.0, 5.0), "y": Uniform(-5.0, 5.0)})
PLANE_LOGZ = -2.0 * math.log(10.0)
"""True ln Z of `gaussian` on PLANE."""


def gaussian(x: Point) -> float:
    return float(-0.5 * x @ x - math.log(2.0 * math.pi))


def slow_gaussian(x: Point) -> float:
    if "ASTROPIPE_TEST_SLOWLY" in os.environ:
        time.sleep(0.01)
    return gaussian(x)


def run_until_killed(folder: str) -> None:
    """Sample slowly; a test kills the process that does this."""
    os.environ["ASTROPIPE_TEST_SLOWLY"] = "1"
    sample(slow_gaussian, PLANE, n_live=30, checkpoint=Path(folder), seed=3)
