"""Memory of the stage at the size of a survey."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from astropipe.artifacts import create_artifact, open_artifact
from astropipe.config.morphology import EncodeConfig, SimulateConfig
from astropipe.morphology import stage
from astropipe.runtime.run import Run

_MOST_GB = 4.0
_N = 100_000


def _peak_gb(*arguments: str) -> float:
    """Run a verb of the stage in a process of its own and return the memory that it held at its peak."""
    code = (
        "import resource\n"
        "from astropipe.cli.main import run\n"
        "try:\n"
        "    run()\n"
        "finally:\n"
        "    print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return float(run.stdout.rsplit("peak", 1)[1]) / 2**20  # kilobytes, on Linux


@pytest.mark.slow
def test_a_hundred_thousand_galaxies_are_classified_in_four_gigabytes(tmp_path: Path) -> None:
    stage.simulate([], tmp_path / "stamps.h5", SimulateConfig(n_galaxies=400), Run())
    stage.encode([tmp_path / "stamps.h5"], tmp_path / "few.h5", EncodeConfig(), Run())
    rng = np.random.default_rng(0)
    with open_artifact(tmp_path / "few.h5") as few:
        rows = rng.integers(len(few.table()), size=_N)
        table = few.table()[rows]
        table["id"] = [f"g{i}" for i in range(_N)]
        embedding = few.array("embedding")[:][rows]
        with create_artifact(
            tmp_path / "many.h5", "galaxy-features", title="t", provenance=replace(few.provenance, inputs=())
        ) as many:
            many.write_table(table)
            many.write_array(
                "embedding", (embedding + 0.1 * embedding.std() * rng.normal(size=embedding.shape)).astype(np.float32)
            )
            for name in ("truths", "probabilities"):
                many.write_array(name, few.array(name)[:][rows])
    many, output = str(tmp_path / "many.h5"), str(tmp_path / "galaxies.h5")
    assert _peak_gb("morphology", "classify", many, "--output", output) < _MOST_GB
    with open_artifact(Path(output)) as artifact:
        assert len(artifact.table()) == _N


@pytest.mark.slow
def test_the_memory_of_encoding_does_not_grow_with_the_galaxies(tmp_path: Path) -> None:
    peaks = []
    for n in (500, 4000):
        stamps = tmp_path / f"stamps-{n}.h5"
        stage.simulate([], stamps, SimulateConfig(n_galaxies=n), Run())
        peaks.append(_peak_gb("morphology", "encode", str(stamps), "--output", str(tmp_path / f"features-{n}.h5")))
    # The stamps are 230 MB more in the second run; what is kept of a galaxy is a kilobyte or two.
    assert peaks[1] < _MOST_GB and peaks[1] - peaks[0] < 0.15
