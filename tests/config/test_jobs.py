"""The jobs of the workflow: settings as options, chunks, resources."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from astropipe.config import Config, load, resolve, section
from astropipe.config.jobs import (
    Jobs,
    as_job_options,
    check_jobs,
    integrate_settings,
    sample_settings,
    simulate_settings,
)
from astropipe.runtime.errors import ConfigError, UsageError


@pytest.fixture(autouse=True)
def _command_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def test_options_bring_the_settings_back() -> None:
    config = Config()
    for name in config.workflow.ensembles:
        settings = integrate_settings(config, name)
        words = shlex.split(as_job_options("nbody.integrate", settings))
        assert section(load([], words[1::2]), "nbody.integrate") == settings
        assert set(words[0::2]) <= {"--set"}
    for name in config.workflow.posteriors:
        words = shlex.split(as_job_options("inference.sample", sample_settings(config, name)))
        assert section(load([], words[1::2]), "inference.sample") == sample_settings(config, name)


def test_difficult_values_survive_the_shell() -> None:
    options = {"model": "lcdm", "priors": {"h0": "normal(70, 1)"}, "data": ["it's", "$HOME `x`"]}
    config = resolve({"workflow": {"posteriors": {"p": {"sample": {"problem": "cosmology", "options": options}}}}})
    words = shlex.split(as_job_options("inference.sample", sample_settings(config, "p")))
    assert load([], words[1::2]).inference.sample.options == options


def test_changes_lie_over_the_base() -> None:
    config = resolve(
        {"nbody": {"integrate": {"mu": 0.05}}, "workflow": {"ensembles": {"a": {"integrate": {"t_end": 2}}, "b": {}}}}
    )
    assert (integrate_settings(config, "a").mu, integrate_settings(config, "a").t_end) == (0.05, 2)
    assert integrate_settings(config, "b").t_end == Config().nbody.integrate.t_end
    assert simulate_settings(config, "a") == config.nbody.simulate


@pytest.mark.parametrize(("systems", "jobs"), [(1, 1), (500, 1), (501, 2), (10_000, 20), (1_000_000, 200)])
def test_chunks_are_few(systems: int, jobs: int) -> None:
    config = resolve({"workflow": {"ensembles": {"e": {"simulate": {"n_systems": systems}}}, "posteriors": {}}})
    work = Jobs(config)
    files = work.get_chunk_files(SimpleNamespace(ensemble="e"))
    assert len(files) == len(set(files)) == jobs
    assert files[-1].endswith(f"/{jobs}-of-{jobs}.h5")


def test_trajectories_stay_in_one_piece() -> None:
    ensemble = {"simulate": {"n_systems": 5000}, "integrate": {"keep": "trajectories"}}
    work = Jobs(resolve({"workflow": {"ensembles": {"e": ensemble}}}))
    assert work.chunk_count("e") == 1
    assert work.trajectory_ensembles() == ["e"] and work.catalog_ensembles() == []


def test_a_retry_asks_for_more() -> None:
    work = Jobs(Config())
    wildcards = SimpleNamespace()
    assert work.get_memory(wildcards, 1) >= 500, "Snakemake and the libraries need this much"
    assert work.get_memory(wildcards, 2) == 2 * work.get_memory(wildcards, 1)
    assert work.get_minutes(wildcards, 3) == 3 * work.get_minutes(wildcards, 1)


def test_faults_of_one_job_name_it() -> None:
    config = resolve({"workflow": {"ensembles": {"mine": {"integrate": {"methd": "leapfrog"}}}}})
    with pytest.raises(ConfigError, match=r"workflow\.ensembles\.mine\.integrate\.methd; did you mean 'method'"):
        check_jobs(config)


def test_missing_command_is_said_before_any_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="activate"):
        Jobs(Config())
