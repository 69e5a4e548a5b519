"""The Snakemake workflow: size of the DAG, configuration errors before any job, and a small run from start to end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from running import ROOT, job_counts, snakemake

from astropipe.artifacts import open_artifact
from astropipe.artifacts.verification import verify
from astropipe.config import load
from astropipe.config.jobs import check_jobs

SMALL = {
    "workflow": {
        "systems_per_chunk": 4,
        "ensembles": {"small": {"simulate": {"n_systems": 8}, "integrate": {"t_end": 2}}},
        # These are in the small run that `make tiny` makes.
        "clusters": {},
        "boxes": {},
        "spectra_per_chunk": 5,
        "surveys": {"stars": {"simulate": {"n_spectra": 10}}},
        "galaxies_per_chunk": 30,
        "galaxy_surveys": {
            "field": {"simulate": {"n_galaxies": 60, "size": 64}, "classify": {"n_groups": 4, "n_runs": 6}}
        },
        "pictures": {},
        "closure_stars": {"n_clusters": 0},
        "closure_galaxies": {"n_seeds": 0},
        "posteriors": {"union3": {"sample": {"problem": "lcdm-union3", "n_live": 25, "dlogz": 1.0}}},
    }
}


def test_many_systems_make_few_jobs_and_a_million_no_more_than_the_most_allowed(tmp_path: Path) -> None:
    sizes = {"many": 10_000, "more": 1_000_000}
    ensembles = {name: {"simulate": {"n_systems": n}} for name, n in sizes.items()}
    config = {"workflow": {"ensembles": ensembles, "posteriors": {}}}
    run = snakemake(tmp_path, "--dry-run", "--quiet", "rules", config=config)
    assert run.returncode == 0, run.stderr
    counts = job_counts(run.stdout + run.stderr)
    assert counts["nbody_integrate"] == 20 + 200
    assert counts["total"] < 500


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"nbdoy": {}}, "did you mean 'nbody'"),
        ({"workflow": {"ensembles": {"x": {"integrate": {"mu_": 1}}}}}, "workflow.ensembles.x.integrate.mu_"),
        ({"workflow": {"posteriors": {"p": {"sample": {"n_live": -3}}}}}, "workflow.posteriors.p.sample.n_live"),
        ({"workflow": {"ensembles": {"Bad Name": {}}}}, "become.* part of file names"),
        ({"morphology": {"epochs": 3}}, "unknown key morphology.epochs"),
    ],
)
def test_wrong_settings_stop_the_workflow_before_any_job(
    tmp_path: Path, config: dict[str, object], message: str
) -> None:
    run = snakemake(tmp_path, "--dry-run", config=config)
    assert run.returncode != 0
    assert re.search(message, run.stderr + run.stdout)


@pytest.mark.parametrize("name", ["default", "tiny", "paper"])
def test_shipped_settings_are_valid(name: str) -> None:
    check_jobs(load([ROOT / "workflows" / "config" / f"{name}.yaml"]))


def test_a_key_given_twice_stops_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("seed: 1\nworkflow: {results: out}\nseed: 2\n", encoding="utf-8")
    run = snakemake(tmp_path, "--dry-run", "--configfile", "mine.yaml")
    assert run.returncode != 0
    assert re.search(r"mine\.yaml, line 3: key 'seed' is given twice", run.stderr + run.stdout)


@pytest.mark.parametrize(
    ("config", "folder"),
    [(None, "results"), ("results: out", "out"), ('results: "2026"', "2026"), ("results: a b", "a b")],
)
def test_make_writes_the_report_into_the_folder_of_the_results(tmp_path: Path, config: str | None, folder: str) -> None:
    # As if the environment were there already.
    ready = Path(sys.executable).parent.parent / ".installed"
    command = ["make", "--dry-run", f"VENV={Path(sys.executable).parent.parent}", "--old-file", str(ready), "catalogs"]
    if config is not None:
        path = tmp_path / "mine.yaml"
        path.write_text(f"workflow: {{{config}}}\n", encoding="utf-8")
        command.append(f"CONFIG={path}")
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f'--report "{folder}/report.html"' in run.stdout


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    run = snakemake(folder, config=SMALL)
    assert run.returncode == 0, run.stderr
    return folder


def test_small_run_makes_everything_and_a_second_one_nothing(small_run: Path) -> None:
    results = small_run / "results"
    wanted = {
        "nbody/small/triples.h5",
        "nbody/small/energy-errors.png",
        "nbody/small/outcome-map.png",
        "nbody/metrics.h5",
        "spectra/stars/stars.h5",
        "spectra/stars/kiel.png",
        "spectra/stars/examples.png",
        "spectra/stars/label-precision.png",
        "spectra/metrics.h5",
        "morphology/field/galaxies.h5",
        "morphology/field/class-mosaic.png",
        "morphology/field/group-mosaic.png",
        "morphology/field/agreement-purity.png",
        "morphology/metrics.h5",
        "inference/union3/posterior.h5",
        "inference/union3/report.png",
        "inference/union3/triangle.png",
        "inference/union3/trace.png",
        "inference/metrics.h5",
    }
    assert {name for name in wanted if not (results / name).is_file()} == set()
    artifacts = sorted(results.rglob("*.h5"))
    assert {finding.state for finding in verify(artifacts)} == {"ok"}
    with open_artifact(results / "nbody/small/triples.h5", "triples-catalog") as catalog:
        assert list(catalog.table()["id"]) == list(range(8))
    with open_artifact(results / "nbody/metrics.h5", "metrics") as metrics:
        assert {str(subject).split(":")[0] for subject in metrics.table()["subject"]} == {"small"}
    with open_artifact(results / "inference/metrics.h5", "metrics") as metrics:
        assert set(metrics.table()["subject"]) == {"union3"}, "the name of the posterior, not of its problem"
        assert np.isfinite(metrics.table()["expected"]).any(), "published values are found by the problem all the same"
    second = snakemake(small_run, config=SMALL)
    assert "Nothing to be done" in second.stderr + second.stdout


def test_a_lost_figure_is_drawn_again_and_nothing_else(small_run: Path) -> None:
    figure = small_run / "results/inference/union3/triangle.png"
    aside = figure.rename(figure.with_suffix(".aside"))
    run = snakemake(small_run, "--dry-run", "--quiet", "rules", config=SMALL)
    aside.rename(figure)
    assert job_counts(run.stdout + run.stderr) == {"inference_plot_triangle": 1, "all": 1, "total": 2}


def test_changed_setting_runs_only_what_depends_on_it(small_run: Path) -> None:
    changed = {
        "workflow": {
            **SMALL["workflow"],
            "posteriors": {"union3": {"sample": {"problem": "lcdm-union3", "n_live": 26}}},
        }
    }
    run = snakemake(small_run, "--dry-run", "--quiet", "rules", config=changed)
    names = set(job_counts(run.stdout + run.stderr)) - {"all", "total"}
    assert names and all(name.startswith("inference_") for name in names)


def test_stage_workflows_run_alone(tmp_path: Path) -> None:
    run = snakemake(tmp_path, "--dry-run", "--snakefile", str(ROOT / "workflows" / "nbody.smk"), config=SMALL)
    assert run.returncode == 0, run.stderr


def test_report_is_made_offline_with_captions(small_run: Path) -> None:
    run = snakemake(small_run, "--report", "report.html", config=SMALL)
    assert run.returncode == 0, run.stderr
    html = (small_run / "report.html").read_text(encoding="utf-8")
    assert "Energy errors of the ensemble" in html and "What becomes of three equal masses" in html
