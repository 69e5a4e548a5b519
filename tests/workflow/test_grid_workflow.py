"""The optional workflow of the training grid: asked for by name only, in chunks, and going on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from running import ROOT, job_counts, snakemake

from astropipe.artifacts import open_artifact
from astropipe.config import load
from astropipe.runtime.shipped import weights_file
from astropipe.spectra.synthesis import grid, sources
from astropipe.spectra.synthesis.grid_labels import SEED, draw_star
from astropipe.spectra.synthesis.windows import air_grid

DRY = ("--dry-run", "--quiet", "rules")


def settings(**changes: object) -> dict[str, object]:
    return {
        "workflow": {"ensembles": {}, "clusters": {}, "boxes": {}, "surveys": {}, "posteriors": {}, "grid": changes}
    }


def pretend_sources(folder: Path) -> None:
    """Write the files for which the recipe looks, as if the sources had been fetched and built."""
    program = sources.turbospectrum(folder)
    kinds = [f"{kind}_{arm}" for kind in ("atoms", "mol", "tio") for arm in ("blue", "red")]
    for path in (
        *(program.executables / name for name in ("babsma_lu", "bsyn_lu")),
        program.data / "Hlinedata",
        *(program.lines / name for name in kinds),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pretend_star(folder: Path, index: int) -> Path:
    """Write a star without lines, as a run that was interrupted would have left it."""
    path = grid.spectrum_file(folder, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    flux = {arm: np.ones(len(air_grid(arm))) for arm in ("blue", "red")}
    grid._save(path, draw_star(index), flux, 0, "ok")
    return path


def test_a_grid_is_made_in_chunks_of_stars(tmp_path: Path) -> None:
    config = settings(n_spectra=250, n_cool_candidates=120, n_dwarf_candidates=50, spectra_per_chunk=100)
    run = snakemake(tmp_path, "train_spectra", *DRY, config=config)
    assert run.returncode == 0, run.stderr
    counts = job_counts(run.stdout + run.stderr)
    assert counts == {
        **{"grid_sources": 1, "grid_synthesise": 3 + 2 + 1, "grid_gather": 1, "grid_train": 1},
        **{"train_spectra": 1, "total": 10},
    }


def test_a_large_grid_makes_no_more_jobs_than_allowed(tmp_path: Path) -> None:
    run = snakemake(tmp_path, "train_spectra", *DRY, config=settings(n_spectra=100_000, spectra_per_chunk=1))
    assert job_counts(run.stdout + run.stderr)["grid_synthesise"] == 200


def test_no_grid_is_made_unless_asked_for(tmp_path: Path) -> None:
    run = snakemake(tmp_path, *DRY)
    assert run.returncode == 0, run.stderr
    names = job_counts(run.stdout + run.stderr)
    assert {"all", "spectra_predict"} <= set(names)
    assert not [name for name in names if name.startswith(("grid_", "train_spectra"))]


def test_the_settings_of_the_papers_train_the_emulator_into_their_results(tmp_path: Path) -> None:
    path = ROOT / "workflows" / "config" / "paper.yaml"
    run = snakemake(tmp_path, "train_spectra", "--dry-run", "--configfile", str(path))
    assert run.returncode == 0, run.stderr
    assert "output: results-paper/grid/spectra-emulator.h5" in run.stdout + run.stderr
    assert job_counts(run.stdout + run.stderr)["grid_synthesise"] == 30 + 120 + 200


def test_the_settings_of_the_papers_are_those_of_the_emulator_that_is_shipped() -> None:
    config = load([ROOT / "workflows" / "config" / "paper.yaml"])
    with open_artifact(weights_file("spectra-emulator.h5"), "spectrum-emulator") as artifact:
        training = json.loads(artifact.file["training"][()])
    # The record of the network, which may be older than the rest of the file.
    recorded = training.get("network", training)["settings"]
    wanted = {name: value for name, value in config.spectra.train.model_dump().items() if name in recorded}
    assert {"n_components", "n_subset", "iterations", "n_stars", "epochs"} <= set(wanted)
    assert {name: recorded[name] for name in wanted} == wanted
    assert training["seed"] == config.seed


def test_the_workflow_of_the_grid_runs_alone(tmp_path: Path) -> None:
    run = snakemake(tmp_path, *DRY, "--snakefile", str(ROOT / "workflows" / "grid.smk"))
    assert run.returncode == 0, run.stderr
    counts = job_counts(run.stdout + run.stderr)
    assert (counts["sources"], counts["synthesise"], counts["train"]) == (1, 30, 1)


def test_stars_that_are_there_are_kept_and_no_others_are_gathered(tmp_path: Path) -> None:
    config = settings(n_spectra=3, spectra_per_chunk=2, sources="sources", folder="grid")
    pretend_sources(tmp_path / "sources")
    stars = [pretend_star(tmp_path / "grid" / "stars-1", index) for index in (0, 1, 3)]
    before = {path: path.stat().st_mtime_ns for path in stars}
    # Star 2 is missing, and there are no model atmospheres to make it of.
    first = snakemake(tmp_path, "grid_gather", config=config)
    assert first.returncode != 0
    # The chunks of three stars are 0 and 1, 2.
    assert (tmp_path / "grid" / "chunks" / "all-1-of-2.txt").read_text() == "0\n"
    said = (tmp_path / "results" / "logs" / "grid" / "synthesise" / "all-2-of-2.log").read_text()
    assert "MARCS models cannot be read" in said and "fetch the sources again" in said
    pretend_star(tmp_path / "grid" / "stars-1", 2)
    second = snakemake(tmp_path, "grid_gather", config=config)
    assert second.returncode == 0, second.stderr
    assert {path: path.stat().st_mtime_ns for path in stars} == before
    with open_artifact(tmp_path / "grid" / "grid.h5", "synthetic-grid") as artifact:
        assert list(artifact.table()["index"]) == [0, 1, 2]
        assert artifact.provenance.seed == SEED
    third = snakemake(tmp_path, "grid_gather", *DRY, config=config)
    assert "Nothing to be done" in third.stdout + third.stderr, "neither the sources nor the stars again"


@pytest.mark.parametrize("name", ["sources", "folder"])
def test_a_folder_that_snakemake_would_misread_is_refused(name: str, tmp_path: Path) -> None:
    run = snakemake(tmp_path, "--dry-run", config=settings(**{name: "grid-{seed}"}))
    assert run.returncode != 0
    assert f"workflow.grid.{name}" in run.stdout + run.stderr
