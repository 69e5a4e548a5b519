"""Figures: each is drawn from real artifacts, shows what it should, and refuses what it cannot show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from astropipe.artifacts import open_artifact
from astropipe.config.inference import EvaluateConfig as InferenceEvaluateConfig
from astropipe.config.inference import SampleConfig
from astropipe.config.nbody import IntegrateConfig, SimulateConfig
from astropipe.inference import stage as inference
from astropipe.nbody import stage as nbody
from astropipe.plots import FIGURES, draw
from astropipe.plots import inference as inference_plots
from astropipe.plots import nbody as nbody_plots
from astropipe.runtime.errors import InputError, OutputError, UsageError
from astropipe.runtime.run import Run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One artifact of each kind that can be drawn."""
    folder = tmp_path_factory.mktemp("plots")
    paths = {
        kind: folder / f"{kind}.h5" for kind in ("systems", "triples-catalog", "trajectories", "posterior", "metrics")
    }
    nbody.simulate([], paths["systems"], SimulateConfig(n_systems=20), Run())
    systems = [paths["systems"]]
    nbody.integrate(systems, paths["triples-catalog"], IntegrateConfig(t_end=3.0), Run())
    nbody.integrate(systems, paths["trajectories"], IntegrateConfig(t_end=3.0, keep="trajectories", n_saved=20), Run())
    inference.sample([], paths["posterior"], SampleConfig(problem="lcdm-desi-dr2", n_live=60, dlogz=0.5), Run())
    inference.evaluate([paths["posterior"]], paths["metrics"], InferenceEvaluateConfig(), Run())
    return paths


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_every_figure_is_drawn(tmp_path: Path, files: dict[str, Path], name: str, ending: str) -> None:
    output = tmp_path / "new" / f"figure.{ending}"
    draw([files[kind] for kind in FIGURES[name].kinds], output, name)
    head = {"png": b"\x89PNG", "pdf": b"%PDF"}[ending]
    assert output.read_bytes().startswith(head) and output.stat().st_size > 5000
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_equal_figures_have_equal_bytes(tmp_path: Path, files: dict[str, Path]) -> None:
    for name in ("a.png", "b.png"):
        draw([files["triples-catalog"]], tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_energy_error_curve_starts_at_the_smallest_and_ends_at_the_largest_error(files: dict[str, Path]) -> None:
    with open_artifact(files["triples-catalog"]) as artifact:
        figure = nbody_plots.energy_errors([artifact])
        errors = np.asarray(artifact.table()["energy_error"])
    curve = figure.axes[0].lines[0]
    assert curve.get_xdata()[0] == errors.min() and curve.get_xdata()[-1] == errors.max()
    assert figure.axes[0].get_xlabel() and figure.axes[1].get_ylabel()


def test_every_system_stands_once_on_the_outcome_map(files: dict[str, Path]) -> None:
    with open_artifact(files["systems"]) as systems, open_artifact(files["triples-catalog"]) as catalog:
        figure = nbody_plots.outcome_map([systems, catalog])
        expected = np.sort(np.asarray(systems.table()["map_x"]))
    drawn = np.concatenate([points.get_offsets()[:, 0] for points in figure.axes[0].collections])
    np.testing.assert_allclose(np.sort(drawn), expected)


def test_constraints_show_the_deviations_of_the_table(files: dict[str, Path]) -> None:
    with open_artifact(files["metrics"]) as artifact:
        figure = inference_plots.constraints([artifact])
        table = artifact.table()
    shown = figure.axes[0].lines[0].get_xdata()
    deviations = {row["measure"]: row["deviation"] for row in table}
    np.testing.assert_allclose(sorted(shown), sorted([deviations["omega_m"], deviations["h_rd"]]))


def test_triangle_is_about_the_samples(files: dict[str, Path]) -> None:
    with open_artifact(files["posterior"]) as artifact:
        samples = inference_plots._getdist_samples(artifact)
        table = {row["parameter"]: row for row in artifact.table()}
    assert samples.mean("omega_m") == pytest.approx(table["omega_m"]["mean"], rel=1e-3)
    assert samples.std("h_rd") == pytest.approx(table["h_rd"]["sd"], rel=1e-2)


def test_what_cannot_be_drawn_is_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="no figure 'pie'"):
        draw([files["posterior"]], tmp_path / "a.png", "pie")
    with pytest.raises(UsageError, match="takes systems and triples-catalog, but the files given are posterior"):
        draw([files["posterior"]], tmp_path / "a.png", "outcome-map")
    with pytest.raises(UsageError, match="no figure takes these"):
        draw([files["posterior"], files["systems"]], tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"one of \.png"):
        draw([files["posterior"]], tmp_path / "a.gif")
    blocker = tmp_path / "file"
    blocker.touch()
    with pytest.raises(OutputError, match="cannot write"):
        draw([files["triples-catalog"]], blocker / "a.png")


def test_metrics_without_published_values_are_refused(tmp_path: Path) -> None:
    inference.sample([], tmp_path / "p.h5", SampleConfig(problem="ring", n_live=30, dlogz=5.0, sampling="rwalk"), Run())
    inference.evaluate([tmp_path / "p.h5"], tmp_path / "m.h5", InferenceEvaluateConfig(), Run())
    with pytest.raises(InputError, match="no published value"):
        draw([tmp_path / "m.h5"], tmp_path / "a.png", "constraints")
