"""Memory of a long prediction: bounded by the rows of the catalog, not by the spectra."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import Python

from astropipe.config.spectra import SimulateConfig
from astropipe.runtime.run import Run
from astropipe.spectra import stage

_PREDICT = """
import resource, sys
from pathlib import Path
from astropipe.config.spectra import PredictConfig
from astropipe.runtime.run import Run
from astropipe.spectra import stage
folder, output, threads = sys.argv[1:]
surveys = sorted(Path(folder).glob("spectra-*.h5"))
print(stage.predict(surveys, Path(output), PredictConfig(), Run(threads=int(threads))))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_two_hundred_thousand_spectra_stay_below_two_gigabytes(tmp_path: Path, python: Python) -> None:
    survey, n, times = tmp_path / "spectra.h5", 2_000, 100
    stage.simulate([], survey, SimulateConfig(n_spectra=n), Run(seed=8))
    for i in range(times):
        (tmp_path / f"spectra-{i:03d}.h5").hardlink_to(survey)
    done = python(_PREDICT, tmp_path, tmp_path / "stars.h5", 2, timeout=3_600)
    text, kilobytes = done.stdout.splitlines()[-2:]
    assert text.startswith(f"{n * times} spectra")
    assert int(kilobytes) < 2_000_000
