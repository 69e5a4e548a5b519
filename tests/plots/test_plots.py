"""Figures: each is drawn from real artifacts, shows what it should, and refuses what it cannot show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from astropy.table import QTable, vstack
from matplotlib.figure import Figure
from matplotlib.text import Text
from small import Python

from astropipe.artifacts import InputRecord, Provenance, create_artifact, open_artifact
from astropipe.artifacts.merging import merge
from astropipe.config.clusters import ClusterStartConfig
from astropipe.config.inference import EvaluateConfig as InferenceEvaluateConfig
from astropipe.config.inference import SampleConfig
from astropipe.config.morphology import ChronometersConfig, ClassifyConfig
from astropipe.config.morphology import SimulateConfig as GalaxySurveyConfig
from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig
from astropipe.config.spectra import PredictConfig
from astropipe.config.spectra import SimulateConfig as SurveyConfig
from astropipe.inference import stage as inference
from astropipe.morphology import stage as morphology
from astropipe.nbody import stage as nbody
from astropipe.plots import (
    FIGURES,
    draw,
    inference_checks,
    inference_chronometers,
    inference_recovery,
    inference_report,
)
from astropipe.plots import flow as flow_plots
from astropipe.plots import inference as inference_plots
from astropipe.plots import morphology as morphology_plots
from astropipe.plots import nbody as nbody_plots
from astropipe.plots.inference_recovery import TRUTH
from astropipe.runtime.errors import InputError, OutputError, UsageError
from astropipe.runtime.run import Chunk, Run
from astropipe.spectra import stage as spectra

_PAGES = "group-pages"
# Besides pages: curves, images and points. What a figure shows does not depend on the ending.
_AS_PDF = (_PAGES, "energy-errors", "class-mosaic", "kiel")
# Figures that not every artifact of their kind can make.
_SPECIAL = {
    "emulator-errors": ("emulated",),
    "run-scatter": ("posterior", "again"),
    "recovery": ("recovered",),
    "impurity": ("impure",),
    "expansion": ("ages",),
}


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
    paths["cluster-snapshots"] = folder / "cluster-snapshots.h5"
    cluster = SimulateConfig(family="cluster", cluster=ClusterStartConfig(n_stars=16, n_massless=20))
    nbody.simulate([], folder / "cluster.h5", cluster, Run())
    nbody.integrate([folder / "cluster.h5"], paths["cluster-snapshots"], IntegrateConfig(t_end=1.0), Run())
    paths["start"], paths["box-snapshots"], paths["flow-statistics"] = (folder / f"box-{n}.h5" for n in range(3))
    box = {"n_side": 12, "size_mpc": 30.0}
    nbody.simulate([], paths["start"], SimulateConfig(family="box", box=box), Run())
    way = IntegrateConfig(box={"redshifts": [2.0, 0.0], "n_steps": 20})
    nbody.integrate([paths["start"]], paths["box-snapshots"], way, Run())
    nbody.evaluate([paths["box-snapshots"]], paths["flow-statistics"], EvaluateConfig(), Run())
    paths["spectra"], paths["stellar-catalog"] = folder / "spectra.h5", folder / "stellar-catalog.h5"
    spectra.simulate([], paths["spectra"], SurveyConfig(n_spectra=30), Run())
    spectra.predict([paths["spectra"]], paths["stellar-catalog"], PredictConfig(models=True), Run())
    paths["stamps"], paths["morphology-catalog"] = folder / "stamps.h5", folder / "morphology-catalog.h5"
    galaxies = GalaxySurveyConfig(n_galaxies=60, size=64, chronometers=ChronometersConfig(enabled=True))
    morphology.simulate([], paths["stamps"], galaxies, Run())
    morphology.classify([paths["stamps"]], paths["morphology-catalog"], ClassifyConfig(n_groups=4, n_runs=6), Run())
    inference.sample([], paths["posterior"], SampleConfig(problem="lcdm-desi-dr2", n_live=60, dlogz=0.5), Run())
    inference.evaluate([paths["posterior"]], paths["metrics"], InferenceEvaluateConfig(), Run())
    paths["again"], paths["emulated"] = folder / "again.h5", folder / "emulated.h5"
    inference.sample([], paths["again"], SampleConfig(problem="lcdm-desi-dr2", n_live=60, dlogz=0.5), Run(seed=1))
    emulated = SampleConfig(problem="lcdm-chronometers-31", method="emulated", min_ess=100)
    inference.sample([], paths["emulated"], emulated, Run(seed=1))
    paths["ages"], paths["impure"] = folder / "ages.h5", folder / "impure.h5"
    options = {"catalog": str(paths["morphology-catalog"]), "truth": str(paths["stamps"]), "purity": 0.9, "n_bins": 4}
    ages = SampleConfig(problem="chronometers-catalog", options=options, n_live=50, dlogz=0.5)
    inference.sample([], paths["ages"], ages, Run(seed=1))
    inference.evaluate([paths["ages"]], paths["impure"], InferenceEvaluateConfig(), Run())
    paths["recovered"] = folder / "recovered.h5"
    with create_artifact(paths["recovered"], "metrics", title="M", provenance=Provenance("test", {})) as artifact:
        artifact.write_table(_recovered())
    return paths


def _recovered() -> QTable:
    """Return metrics of three posteriors of one parameter whose truths are known."""
    names = ("subject", "measure", "value", "error", "unit", "expected", "expected_error", "deviation", "source")
    runs = [("run", "log10_mass", truth + 0.05, 0.1, "", truth, 0.1, 0.5, TRUTH) for truth in (3.0, 3.2, 3.5)]
    shares = [("all", f"log10_mass_coverage_{c}", 1.0, 0.2, "", c / 100, np.nan, 1.0, TRUTH) for c in (68, 95)]
    bias = [("all", "log10_mass_bias", 0.5, 0.2, "sigma", 0.0, np.nan, 1.0, TRUTH)]
    return QTable(rows=[*runs, *bias, *shares], names=names)


@pytest.mark.parametrize(
    ("name", "ending"),
    [*((name, "png") for name in FIGURES if name != _PAGES), *((name, "pdf") for name in _AS_PDF)],
)
def test_every_figure_is_drawn(tmp_path: Path, files: dict[str, Path], name: str, ending: str) -> None:
    output = tmp_path / "new" / f"figure.{ending}"
    draw([files[key] for key in _SPECIAL.get(name, FIGURES[name].kinds)], output, name)
    head = {"png": b"\x89PNG", "pdf": b"%PDF"}[ending]
    assert output.read_bytes().startswith(head) and output.stat().st_size > 5000
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_pages_go_into_a_pdf_only(tmp_path: Path, files: dict[str, Path]) -> None:
    with open_artifact(files["morphology-catalog"]) as artifact:
        pages = morphology_plots.group_pages([artifact])
        groups = np.asarray(artifact.table()["group"])
    assert len(pages) == groups.max() + 1
    sizes = [np.count_nonzero(groups == group) for group in range(len(pages))]
    assert all(f" {size} galaxies" in page.get_suptitle() for size, page in zip(sizes, pages, strict=True))
    with pytest.raises(UsageError, match=r"several pages; the ending must be \.pdf"):
        draw([files["morphology-catalog"]], tmp_path / "a.png", "group-pages")
    assert not list(tmp_path.iterdir())


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


def _legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def _catalog(path: Path, source: Path, change: Callable[[QTable], None], inputs: Sequence[Path] | None = None) -> Path:
    """Write a catalog again with some cells changed."""
    with open_artifact(source) as artifact:
        table, provenance = artifact.table(), artifact.provenance
    change(table)
    if inputs is not None:
        provenance = replace(provenance, inputs=tuple(InputRecord.of(one) for one in inputs))
    with create_artifact(path, "triples-catalog", title="t", provenance=provenance) as artifact:
        artifact.write_table(table)
    return path


def test_what_must_not_be_used_is_grey_whatever_the_reason(tmp_path: Path, files: dict[str, Path]) -> None:
    reasons = ["energy-error", "max-force-evaluations", "step-underflow", "collision"]

    def spoil(table: QTable) -> None:
        table["status"] = [*reasons, *["ok", "escape"] * 8]

    path = _catalog(tmp_path / "c.h5", files["triples-catalog"], spoil)
    with open_artifact(files["systems"]) as systems, open_artifact(path) as catalog:
        figure = nbody_plots.outcome_map([systems, catalog])
        expected = np.asarray(systems.table()["map_x"])
    assert _legend(figure)[-1] == "not usable (20%)"
    grey, *_ = figure.axes[0].collections[-1].get_facecolors()
    np.testing.assert_allclose(grey[:3], 0.75)
    np.testing.assert_allclose(np.sort(figure.axes[0].collections[-1].get_offsets()[:, 0]), np.sort(expected[:4]))
    np.testing.assert_allclose(np.sort(figure.axes[1].collections[0].get_offsets()[:, 0]), np.sort(expected[4:]))


def test_a_map_without_anything_usable_is_drawn(tmp_path: Path, files: dict[str, Path]) -> None:
    def spoil(table: QTable) -> None:
        table["status"] = ["energy-error"] * len(table)

    path = _catalog(tmp_path / "c.h5", files["triples-catalog"], spoil)
    draw([files["systems"], path], tmp_path / "a.png", "outcome-map")
    with open_artifact(files["systems"]) as systems, open_artifact(path) as catalog:
        assert _legend(nbody_plots.outcome_map([systems, catalog])) == ["not usable (100%)"]


def test_systems_that_a_catalog_was_not_made_from_are_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    nbody.simulate([], tmp_path / "other.h5", SimulateConfig(n_systems=20), Run(seed=99))
    with pytest.raises(InputError, match=r"triples-catalog\.h5 was not made from .*other\.h5"):
        draw([files["triples-catalog"], tmp_path / "other.h5"], tmp_path / "a.png", "outcome-map")


def test_a_merged_catalog_is_known_to_be_made_from_its_systems(tmp_path: Path, files: dict[str, Path]) -> None:
    parts = [tmp_path / f"{index}.h5" for index in (1, 2)]
    for index, part in enumerate(parts, start=1):
        nbody.integrate([files["systems"]], part, IntegrateConfig(t_end=3.0), Run(chunk=Chunk(index, 2)))
    merge(parts, tmp_path / "all.h5")
    draw([files["systems"], tmp_path / "all.h5"], tmp_path / "a.png", "outcome-map")


def test_a_catalog_with_systems_of_its_own_is_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    def renumber(table: QTable) -> None:
        table["id"][3] = 77

    path = _catalog(tmp_path / "c.h5", files["triples-catalog"], renumber)
    with pytest.raises(InputError, match=r"c\.h5 has 1 systems that are not in .*systems\.h5, the first with id 77"):
        draw([files["systems"], path], tmp_path / "a.png", "outcome-map")


def test_an_ensemble_that_is_not_on_the_map_is_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    nbody.simulate([], tmp_path / "s.h5", SimulateConfig(family="plummer", n_systems=20), Run())
    path = _catalog(tmp_path / "c.h5", files["triples-catalog"], lambda _: None, [tmp_path / "s.h5"])
    with pytest.raises(InputError, match=r"s\.h5 has no columns map_x and map_y"):
        draw([tmp_path / "s.h5", path], tmp_path / "a.png", "outcome-map")


def test_a_figure_that_lacks_a_library_says_how_to_install_it(
    tmp_path: Path, files: dict[str, Path], python: Python
) -> None:
    (tmp_path / "getdist.py").write_text("raise ModuleNotFoundError(\"No module named 'getdist'\", name='getdist')")
    code = "import sys\nfrom astropipe.cli.main import run\nsys.argv = ['astropipe', *sys.argv[1:]]\nrun()"
    arguments = ("plot", files["posterior"], "--figure", "triangle", "--output", tmp_path / "a.png")
    result = python(code, *arguments, status=2, PYTHONPATH=str(tmp_path))
    assert result.stderr == (
        "error: figure 'triangle' needs getdist; install it with pip install 'astropipe[inference]'\n"
    )


def test_recovery_shows_the_truths_and_what_the_metrics_say(files: dict[str, Path]) -> None:
    with open_artifact(files["recovered"]) as artifact:
        figure = inference_recovery.recovery([artifact])
    (panel,) = [panel for panel in figure.subfigs if panel.axes]
    above, below = panel.axes
    np.testing.assert_allclose(above.containers[0].lines[0].get_xdata(), [3.0, 3.2, 3.5])
    np.testing.assert_allclose(below.containers[0].lines[0].get_ydata(), 0.5)
    assert above.get_title() == "68% holds 100%, 95% holds 100%; bias +0.50 ± 0.20"


def test_constraints_show_the_deviations_of_the_table(files: dict[str, Path]) -> None:
    with open_artifact(files["metrics"]) as artifact:
        figure = inference_plots.constraints([artifact])
        table = artifact.table()
    shown = figure.axes[0].lines[0].get_xdata()
    deviations = {row["measure"]: row["deviation"] for row in table}
    np.testing.assert_allclose(sorted(shown), sorted([deviations["omega_m"], deviations["h_rd"]]))


def test_triangle_is_about_the_samples(files: dict[str, Path]) -> None:
    with open_artifact(files["posterior"]) as artifact:
        samples = inference_plots.getdist_samples(artifact)
        table = {row["parameter"]: row for row in artifact.table()}
    assert samples.mean("omega_m") == pytest.approx(table["omega_m"]["mean"], rel=1e-3)
    assert samples.std("h_rd") == pytest.approx(table["h_rd"]["sd"], rel=1e-2)


def _words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_report_is_a_page_with_what_the_artifact_holds(tmp_path: Path, files: dict[str, Path]) -> None:
    draw([files["posterior"]], tmp_path / "page.png", "report")
    height, width, _ = matplotlib.image.imread(tmp_path / "page.png").shape
    assert height / width == pytest.approx(np.sqrt(2.0), rel=0.01), "A4"
    for name, method in (("posterior", "exact"), ("emulated", "emulated")):
        with open_artifact(files[name]) as artifact:
            words = _words(inference_report.report([artifact]))
            run, (row, *_) = artifact.attributes("nested"), artifact.table()
            for text in (
                f"{run['logz']:.3f} ± {run['logz_err']:.3f}",
                f"{run['n_true_calls']:,}",
                f"± {row['sd']:.2g}",
                f"method {method}, seed {artifact.provenance.seed}",
                artifact.content_sha256,
                artifact.provenance.inputs[0].sha256[:8],
            ):
                assert text in words
    with (
        open_artifact(files["posterior"]) as one,
        open_artifact(files["again"]) as other,
        pytest.raises(UsageError, match="about one posterior, not 2"),
    ):
        inference_report.report([one, other])


def test_report_warns_of_what_a_reader_should_look_at(tmp_path: Path) -> None:
    config = SampleConfig(problem="gaussian", options={"n_parameters": 2}, n_live=30, dlogz=1.0, max_calls=100)
    inference.sample([], tmp_path / "p.h5", config, Run())
    with open_artifact(tmp_path / "p.h5") as artifact:
        findings = {name: (found, good) for name, found, good in inference_report._findings(artifact)}
    assert findings["converged"] == ("ended by max_calls", False)
    assert findings["effective samples"][1] is False


def test_emulator_errors_are_true_less_emulated(files: dict[str, Path]) -> None:
    with open_artifact(files["emulated"]) as artifact:
        figure = inference_checks.emulator_errors([artifact])
        true, emulated = (artifact.array(f"nested/{name}log_likelihoods") for name in ("", "emulated_"))
    points = figure.axes[0].collections[-1].get_offsets()
    # Of lowest likelihood, some are left out.
    np.testing.assert_allclose(points[:, 0], true[-len(points) :])
    np.testing.assert_allclose(points[:, 1], (true - emulated)[-len(points) :])
    assert len(points) > 100
    plane = figure.axes[1].collections[0]
    np.testing.assert_allclose(np.sort(plane.get_array()), np.sort(points[:, 1]))
    with open_artifact(files["posterior"]) as exact, pytest.raises(InputError, match="no emulated values"):
        inference_checks.emulator_errors([exact])


def test_run_scatter_is_about_one_problem_and_several_runs(files: dict[str, Path]) -> None:
    with open_artifact(files["posterior"]) as one, open_artifact(files["again"]) as other:
        figure = inference_checks.run_scatter([one, other])
        logz = [artifact.attributes("nested")["logz"] for artifact in (one, other)]
        with pytest.raises(InputError, match="two or more"):
            inference_checks.run_scatter([one])
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), logz)
    assert "exact: scatter / quoted error" in _words(figure)


def test_uniform_ranks_are_inside_the_band() -> None:
    figure = inference_checks.rank_histograms({"a: x": np.arange(64), "a: y": np.zeros(64, dtype=np.int64)}, 63)
    for axes, highest in zip(figure.axes, (8, 64), strict=True):
        assert max(patch.get_path().vertices[:, 1].max() for patch in axes.patches[1:]) == highest


def test_what_cannot_be_drawn_is_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="no figure 'pie'"):
        draw([files["posterior"]], tmp_path / "a.png", "pie")
    with pytest.raises(UsageError, match="takes systems and triples-catalog, but the files given are posterior"):
        draw([files["posterior"]], tmp_path / "a.png", "outcome-map")
    with pytest.raises(UsageError, match="takes one systems and one triples-catalog, not 3 files"):
        draw([files["systems"], files["systems"], files["triples-catalog"]], tmp_path / "a.png", "outcome-map")
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


def test_flow_moments_show_the_errors_and_the_laws(files: dict[str, Path]) -> None:
    with open_artifact(files["flow-statistics"]) as artifact:
        table = artifact.table()
        figure = flow_plots.moments([artifact])
    legend = figure.axes[0].get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["z = 2", "z = 0"]
    first = figure.axes[0].containers[0].lines[0]
    rows = table[(table["snapshot"] == 0) & (table["pairs"] > 0)]
    np.testing.assert_allclose(np.asarray(first.get_ydata()), -rows["du1"].value)
    np.testing.assert_allclose(np.asarray(first.get_xdata()), rows["r"].value)


def test_the_bias_of_h0_is_drawn_at_the_purity_of_each_selection(files: dict[str, Path]) -> None:
    with open_artifact(files["impure"]) as artifact:
        table = artifact.table()
        figure = inference_chronometers.impurity([artifact])
    above, below = figure.axes
    (purity,), (pull,) = above.containers[0].lines[0].get_data()
    rows = {str(row["measure"]): row for row in table}
    assert purity == rows["purity"]["value"] == pytest.approx(27 / 30)
    assert pull == rows["h0"]["deviation"]
    offset = 100 * (rows["h0"]["value"] / rows["h0"]["expected"] - 1)
    assert below.containers[0].lines[0].get_ydata() == pytest.approx([offset])
    assert above.get_title() == "mean ages,\n$\\Omega_\\mathrm{m}$ free"


def test_the_bias_of_h0_has_a_panel_for_what_is_known_of_the_matter(files: dict[str, Path], tmp_path: Path) -> None:
    with open_artifact(files["impure"]) as artifact:
        table = artifact.table()
    known = table.copy()
    known["subject"] = ["other"] * len(known)
    known["source"] = ["median, omega_m normal(0.3153, 0.0073), mixed on purpose"] * len(known)
    with create_artifact(tmp_path / "m.h5", "metrics", title="M", provenance=Provenance("test", {})) as artifact:
        artifact.write_table(vstack([table, known], metadata_conflicts="silent"))
    with open_artifact(tmp_path / "m.h5") as artifact:
        figure = inference_chronometers.impurity([artifact])
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles[1] == "median ages,\n$\\Omega_\\mathrm{m}$ known: 0.3153 ± 0.0073"


def test_the_bias_of_h0_needs_simulated_galaxies(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no posterior of simulated galaxies"):
        draw([files["metrics"]], tmp_path / "figure.png", "impurity")
    with pytest.raises(InputError, match="no posterior of ages of galaxies"):
        draw([files["posterior"]], tmp_path / "figure.png", "expansion")


def test_a_class_by_the_second_step_is_shown_with_its_probability() -> None:
    table = QTable({"agreement": [0.9, 0.0, 0.4, 0.3], "step": [1, 2, 2, 0]})
    for name, values in (("sph", [0.1, 0.2, 0.7, 0.4]), ("irr", [0.1, 0.8, 0.1, 0.3])):
        table[f"probability_{name}"] = values
    names = np.array(["SPH", "IRR", "SPH", "UNC"])
    sure, second = morphology_plots._confidence(table, names)
    np.testing.assert_array_equal(sure, [0.9, 0.8, 0.7, 0.3])
    np.testing.assert_array_equal(second, [False, True, True, False])
