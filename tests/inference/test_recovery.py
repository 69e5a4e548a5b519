"""Truth against posterior: the chain back to the truth, coverage and bias of right and of wrong posteriors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import QTable
from small import fill

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.artifacts.verification import Library
from astropipe.config.inference import EvaluateConfig, SampleConfig
from astropipe.inference import stage
from astropipe.inference.recovery import TRUTH, Recovered, recovery, true_values
from astropipe.plots import draw
from astropipe.runtime.errors import InputError
from astropipe.runtime.run import Run

OWN_PROBLEM = """
from pathlib import Path
from astropipe.inference import Prior, Problem

class Likelihood:
    def __init__(self, mass):
        self.mass = mass
    def __call__(self, x):
        return -0.5 * ((x[:, 0] - self.mass) / 0.1) ** 2 - 0.5 * x[:, 1] ** 2

def build(data: str) -> Problem:
    mass = float(Path(data).with_name("mass.txt").read_text())
    prior = Prior({"log10_mass": "uniform(2, 5)", "nuisance": "uniform(-5, 5)"})
    return Problem("cluster", "A cluster", prior, Likelihood(mass), sources=(Path(data),))
"""


def simulated(n: int, *, shift: float = 0.0, width: float = 1.0) -> list[Recovered]:
    """Return posteriors of means of Gaussians with unit errors, moved and made wider by some factor."""
    rng = np.random.default_rng(8)
    truths = rng.uniform(-3.0, 3.0, n)
    measured = rng.normal(truths, 1.0)
    draws = rng.normal(size=(n, 800))
    return [
        Recovered((m + shift + width * d)[:, None], np.full(800, 1 / 800), np.array([t]))
        for m, d, t in zip(measured, draws, truths, strict=True)
    ]


def test_right_posteriors_are_covered_and_wrong_ones_are_not() -> None:
    right = {row[0]: row for row in recovery(["x"], simulated(400))}
    assert right["x_coverage_68"][1] == pytest.approx(0.68, abs=4.0 * right["x_coverage_68"][2])
    assert right["x_coverage_95"][1] == pytest.approx(0.95, abs=4.0 * right["x_coverage_95"][2])
    assert all(abs(right[f"x_{what}"][5]) < 4.0 for what in ("bias", "pull_scatter", "coverage_68", "coverage_95"))
    assert right["x_width"][1] == pytest.approx(1.0, abs=0.02)
    moved = {row[0]: row for row in recovery(["x"], simulated(400, shift=0.5))}
    assert moved["x_bias"][1] == pytest.approx(right["x_bias"][1] + 0.5, abs=0.05)
    assert moved["x_bias"][5] > 8.0
    narrow = {row[0]: row for row in recovery(["x"], simulated(400, width=0.5))}
    # The central interval of half the width holds what two Gaussians of half a sigma have: 2 Phi(0.5) - 1 = 0.38.
    assert narrow["x_coverage_68"][1] == pytest.approx(0.38, abs=0.08)
    assert narrow["x_pull_scatter"][1] == pytest.approx(2.0, rel=0.15)


def test_a_parameter_without_truth_is_left_out() -> None:
    assert list(recovery(["x"], [Recovered(np.zeros((3, 1)), np.full(3, 1 / 3), np.array([np.nan]))] * 2)) == []


def write(path: Path, kind: str, rows: int, inputs: tuple[Path, ...] = (), truth: float | None = None) -> Path:
    origin = Provenance.collect(f"make {path.name}", {}, inputs=inputs)
    with create_artifact(path, kind, title=path.name, provenance=origin) as artifact:
        fill(artifact, rows)
        if truth is not None:
            artifact.write_table(
                QTable(rows=[("log10_mass", truth, "")], names=("parameter", "value", "unit")), "truth"
            )
    return path


@pytest.fixture(scope="module")
def posteriors(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Posteriors of two simulated clusters, each beside what it was made from."""
    folder = tmp_path_factory.mktemp("recovery")
    (folder / "own_cluster.py").write_text(OWN_PROBLEM, encoding="utf-8")
    made = []
    # Of different sizes: artifacts of one content are one to the chain.
    for name, truth, rows in (("near", 3.0, 2), ("far", 3.4, 5)):
        place = folder / name
        place.mkdir()
        spectra = write(place / "spectra.h5", "spectra", rows, truth=truth)
        stars = write(place / "stars.h5", "stellar-catalog", rows, (spectra,))
        problem = f"{folder / 'own_cluster.py'}:build"
        (place / "mass.txt").write_text(f"{truth + 0.05}")
        options = {"data": str(stars)}
        sampling = SampleConfig(problem=problem, options=options, label=name, n_live=60, dlogz=0.5)
        stage.sample([], place / "posterior.h5", sampling, Run(seed=1))
        made.append(place / "posterior.h5")
    return made


def test_the_truth_is_found_by_the_chain_of_inputs(posteriors: list[Path], tmp_path: Path) -> None:
    near = posteriors[0]
    assert true_values(near, Library([], [near.parent])) == {"log10_mass": 3.0}
    # In another folder, only where what it was made from is given too.
    elsewhere = tmp_path / "elsewhere" / "posterior.h5"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(near.read_bytes())
    assert true_values(elsewhere, Library([], [elsewhere.parent])) == {}
    beside = [near.parent / "spectra.h5", near.parent / "stars.h5"]
    assert true_values(elsewhere, Library(beside)) == {"log10_mass": 3.0}


def test_metrics_and_figure_have_truth_and_coverage(posteriors: list[Path], tmp_path: Path) -> None:
    stage.evaluate(posteriors, tmp_path / "metrics.h5", EvaluateConfig(), Run())
    with open_artifact(tmp_path / "metrics.h5", "metrics") as artifact:
        table = artifact.table()
    rows = table[(table["measure"] == "log10_mass") & (table["source"] == TRUTH)]
    assert list(rows["subject"]) == ["near", "far"]
    np.testing.assert_allclose(rows["expected"], [3.0, 3.4])
    np.testing.assert_allclose(rows["deviation"], 0.5, atol=0.3)
    (bias,) = table[table["measure"] == "log10_mass_bias"]
    assert bias["value"] == pytest.approx(np.mean(rows["deviation"]), rel=1e-6)
    assert not np.any(table["measure"] == "nuisance_bias"), "nothing is known of it"
    draw([tmp_path / "metrics.h5"], tmp_path / "recovery.png", "recovery")
    assert (tmp_path / "recovery.png").stat().st_size > 10_000


def test_metrics_without_truth_have_no_such_figure(posteriors: list[Path], tmp_path: Path) -> None:
    lone = tmp_path / "lone" / "posterior.h5"
    lone.parent.mkdir()
    lone.write_bytes(posteriors[0].read_bytes())
    stage.evaluate([lone], tmp_path / "metrics.h5", EvaluateConfig(), Run())
    with pytest.raises(InputError, match="no posterior of simulated data"):
        draw([tmp_path / "metrics.h5"], tmp_path / "recovery.png", "recovery")
