"""The estimate of the time left against runs whose length is known."""

from __future__ import annotations

import math
import re

import pytest

from astropipe.inference import problem
from astropipe.inference.nested import sample
from astropipe.inference.timeleft import TimeLeft


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 2.0
        return self.now


def test_plateau_of_a_run_is_forecast_exactly() -> None:
    # L constant above the live points and Z known: r falls by exp(-1/n) an iteration, here from 1 to 0.01.
    n_live, dlogz = 10, math.log(1.01)
    told = TimeLeft(n_live, dlogz, Clock())
    remaining = [math.log1p(math.exp(-i / n_live)) for i in range(20)]
    texts = [told(value) for value in remaining]
    assert texts[0] == ""
    # 46.05 iterations of 2 s from r = 1.
    assert texts[1] == "about 1m30s left"
    assert texts[19] == "about 54s left"


def test_before_the_bulk_only_a_bound_is_given() -> None:
    told = TimeLeft(10, math.log(1.01), Clock())
    told(2000.0)
    # 10 ln 100 iterations of 2 s each follow after r = 1 is reached.
    assert told(1900.0) == "at least 1m32s left"
    assert told(0.0) == "about 0s left"


@pytest.mark.parametrize("name", ["gaussian", "lcdm-desi-dr2"])
def test_real_runs_end_when_forecast(name: str) -> None:
    task = problem(name)
    told = TimeLeft(60, 0.01, Clock())
    texts: list[str] = []
    sample(
        task.log_likelihood,
        task.prior,
        n_live=60,
        vectorized=True,
        seed=1,
        progress=lambda *state: texts.append(told(state[3])),
    )
    for i, text in enumerate(texts[1:-60], 1):
        found = re.fullmatch(r"(at least|about) (?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)? left", text)
        assert found is not None
        hours, minutes, seconds = (float(part or 0) for part in found.groups()[1:])
        ratio = (3600 * hours + 60 * minutes + seconds) / (2 * (len(texts) - i))
        # A new best point raises the estimate: n_live = 60 is few.
        assert ratio < 1.5 if found[1] == "at least" else 0.6 < ratio < 1.5, text
    assert texts[1].startswith("at least") and texts[-61].startswith("about")
