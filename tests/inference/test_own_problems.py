"""Problems in files of users: found, recorded, usable by workers, and every slip said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from astropipe.artifacts import open_artifact
from astropipe.config.inference import SampleConfig
from astropipe.inference import problem, sample, stage
from astropipe.inference.sources import data_files
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.run import Run

TEXT = """
import numpy as np
from astropipe.inference import Prior, Problem

def log_likelihood(points):
    return -0.5 * np.sum(points**2, axis=1) - points.shape[1] * 0.5 * np.log(2 * np.pi)

def normal(width: float = 10.0) -> Problem:
    return Problem("normal", "A normal", Prior({"x": f"uniform({-width}, {width})"}), log_likelihood)

def nothing():
    return 3
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / f"normal_of_{tmp_path.name.replace('-', '_')}.py"
    path.write_text(TEXT)
    return path


def test_a_file_outside_the_package_is_a_problem(file: Path) -> None:
    own = problem(f"{file}:normal", width=5.0)
    assert own.sources == (file,)
    assert data_files(SampleConfig(problem=f"{file}:normal")) == (file,)
    result = sample(own.log_likelihood, own.prior, n_live=100, dlogz=0.1, vectorized=True, seed=2)
    # A unit normal within a uniform prior of width 10 that holds nearly all of it.
    assert abs(result.logz + np.log(10.0)) < 4 * result.logz_err


def test_worker_processes_find_it(file: Path) -> None:
    own = problem(f"{file}:normal")
    alone, together = (
        sample(own.log_likelihood, own.prior, n_live=40, dlogz=1.0, vectorized=True, seed=3, pool=pool)
        for pool in (None, 2)
    )
    np.testing.assert_array_equal(alone.samples, together.samples)


def test_the_artifact_records_the_file_and_no_folder(file: Path, tmp_path: Path) -> None:
    output = tmp_path / "p.h5"
    stage.sample([], output, SampleConfig(problem=f"{file}:normal", n_live=40, dlogz=1.0), Run())
    with open_artifact(output, "posterior") as artifact:
        origin = artifact.provenance
    assert [record.name for record in origin.inputs] == [file.name]
    assert origin.config["inference"]["sample"]["problem"] == f"{file.name}:normal"
    assert str(tmp_path) not in origin.command


@pytest.mark.parametrize(
    ("reference", "error", "says"),
    [
        ("{folder}/absent.py:normal", InputError, "no such file; .*file.py:function"),
        ("{file}:normal_", UsageError, "no function 'normal_'; did you mean 'normal'"),
        ("{file}:nothing", UsageError, "returned int; it must return"),
        ("{folder}/broken.py:normal", InputError, "cannot be imported: ZeroDivisionError"),
        ("{folder}/numpy.py:normal", UsageError, "another module is called 'numpy' .*rename"),
    ],
)
def test_a_slip_is_said(file: Path, reference: str, error: type[Exception], says: str) -> None:
    for name, text in (("broken", "1 / 0"), ("numpy", TEXT)):
        (file.parent / f"{name}.py").write_text(text)
    with pytest.raises(error, match=says):
        problem(reference.format(folder=file.parent, file=file))


def test_its_options_are_checked(file: Path) -> None:
    with pytest.raises(UsageError, match="option width = 'x' does not fit"):
        problem(f"{file}:normal", width="x")
