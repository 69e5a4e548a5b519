"""What makes the workflow run a job again: changed data, and checkpoints that do not fit any more."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from astropipe.artifacts import open_artifact
from astropipe.inference.evaluations import EvaluationLog
from astropipe.inference.fingerprint import Identity
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.run import checkpoint_path

ROOT = Path(__file__).resolve().parents[2]
OWN_DATA = """\
# %ECSV 1.0
# ---
# datatype:
# - {name: z, datatype: float64}
# - {name: hubble, unit: km / (Mpc s), datatype: float64}
# meta: {kind: chronometers, title: Mine, covariance: mine-covariance.ecsv}
# schema: astropy-2.0
z hubble
0.2 76
1.0 121
"""
OWN_COVARIANCE = """\
# %ECSV 1.0
# ---
# datatype:
# - {name: row, datatype: int64}
# - {name: column, datatype: int64}
# - {name: covariance, unit: km2 / (Mpc2 s2), datatype: float64}
# schema: astropy-2.0
row column covariance
0 0 25
1 1 144
"""
QUICK = {"n_live": 25, "dlogz": 1.0}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the source tree, whose data can be changed."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("astropipe", "data", "profiles", "workflows"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


def snakemake(source: Path, folder: Path, workflow: dict[str, object], *arguments: str) -> str:
    """Run Snakemake on a source tree in a folder of its own and return what it says."""
    (folder / "mine.yaml").write_text(yaml.safe_dump({"workflow": workflow}), encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(source),
    }
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(source / "Snakefile"), "--cores", "2"]
    run = subprocess.run(
        [*command, "--configfile", "mine.yaml", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


def planned(output: str) -> set[str]:
    return {name for name, _ in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)} - {"all", "total"}


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.slow
def test_changed_data_run_exactly_their_posterior_again(source: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.ecsv").write_text(OWN_DATA, encoding="utf-8")
    (tmp_path / "mine-covariance.ecsv").write_text(OWN_COVARIANCE, encoding="utf-8")
    workflow: dict[str, object] = {
        "ensembles": {},
        "clusters": {},
        "boxes": {},
        "posteriors": {
            "own": {"sample": {"problem": "cosmology", "options": {"data": ["mine.ecsv"]}, **QUICK}},
            "union": {"sample": {"problem": "lcdm-union3", **QUICK}},
        },
    }
    look = ("--dry-run", "--until", "inference_evaluate")
    snakemake(source, tmp_path, workflow, "--until", "inference_evaluate", "--quiet", "all")
    published = source / "data" / "published-constraints" / "constraints.ecsv"
    changes = [
        (tmp_path / "mine-covariance.ecsv", "1 1 144", "1 1 145", {"own"}),
        (source / "data" / "union3" / "supernovae-covariance.ecsv", "# schema:", "# schema: ", {"union"}),
        (published, "# schema:", "# schema: ", set()),
    ]
    for path, old, new, posteriors in changes:
        before = path.read_bytes()
        change(path, old, new)
        output = snakemake(source, tmp_path, workflow, *look)
        again = set(re.findall(r"inference/(\w+)/sample-posterior\.log", output))
        assert again == posteriors, path.name
        assert "inference_evaluate" in planned(output), path.name
        path.write_bytes(before)


def test_a_job_begins_anew_where_its_checkpoint_does_not_fit_any_more(tmp_path: Path) -> None:
    workflow: dict[str, object] = {
        "ensembles": {"small": {"simulate": {"n_systems": 4}, "integrate": {"t_end": 1}}},
        "clusters": {},
        "boxes": {},
        "posteriors": {"union": {"sample": {"problem": "lcdm-union3", **QUICK}}},
    }
    catalog = tmp_path / "results/nbody/small/chunks/1-of-1.h5"
    posterior = tmp_path / "results/inference/union/posterior.h5"
    # What the same jobs left when they were interrupted with other settings.
    catalog.parent.mkdir(parents=True)
    posterior.parent.mkdir(parents=True)
    Checkpoint(checkpoint_path(catalog), "other settings").save({"time": np.ones(3)})
    log = EvaluationLog(checkpoint_path(posterior), Identity("another", ("omega_m",), "0" * 64))
    log.append(np.array([0.3]), -1.0)
    log.close()
    snakemake(ROOT, tmp_path, workflow, "--until", "nbody_integrate", "inference_sample", "--quiet", "all")
    for path, name in (
        (catalog, "nbody/small/integrate/1-of-1.log"),
        (posterior, "inference/union/sample-posterior.log"),
    ):
        said = (tmp_path / "results/logs" / name).read_text(encoding="utf-8")
        assert "notice: --resume --force: that checkpoint is dropped" in said
        assert not checkpoint_path(path).exists()
    with open_artifact(catalog, "triples-catalog") as artifact:
        assert len(artifact.table()) == 4
    with open_artifact(posterior, "posterior") as artifact:
        assert artifact.title.startswith("union: ")
