"""The closure of galaxies: the selections of its surveys, and settings of the verbs that agree with each other."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from astropipe.config import Config, load, resolve
from astropipe.config.changes import as_job_options
from astropipe.config.jobs import check_jobs
from astropipe.config.jobs.closure_galaxies import GalaxiesClosureJobs
from astropipe.inference.problems.chronometers_catalog import chronometers_catalog
from astropipe.inference.problems.options import check_options
from astropipe.runtime.errors import ConfigError


def closure(**changes: Any) -> GalaxiesClosureJobs:
    return GalaxiesClosureJobs(resolve({"workflow": {"closure_galaxies": changes}}, "test"))


def test_every_analysis_meets_every_selection() -> None:
    jobs = closure(
        n_seeds=2,
        selections={"agreement": [0.5], "probability": [0.7, 0.9]},
        purities=[1, 0.8],
        analyses={"mean": {"statistic": "mean"}, "matter-known": {"priors": {"omega_m": "normal(0.3, 0.01)"}}},
    )
    names = list(jobs.selections())
    assert names[:5] == [
        f"mean-{each}" for each in ("agreement-0.5", "probability-0.7", "probability-0.9", "purity-1", "purity-0.8")
    ]
    assert len(names) == 10 and len(jobs.posteriors()) == 20
    settings = jobs.sampling(2, "matter-known-purity-0.8")
    assert settings.label == "matter known purity 0.8"
    assert settings.options == {
        "catalog": "results/closure-galaxies/survey-2/galaxies.h5",
        "truth": "results/closure-galaxies/survey-2/stamps.h5",
        "priors": {"omega_m": "normal(0.3, 0.01)"},
        "purity": 0.8,
    }


def test_galaxies_always_get_ages() -> None:
    assert closure(simulate={"n_galaxies": 10}).survey().chronometers.enabled


def test_options_are_those_of_the_problem_and_survive_the_command_line() -> None:
    jobs = GalaxiesClosureJobs(Config())
    for selection in jobs.selections():
        wanted = jobs.sampling(1, selection)
        check_options("chronometers-catalog", chronometers_catalog, wanted.options)
        options = shlex.split(as_job_options("inference.sample", wanted))[1::2]
        assert load([], options).inference.sample == wanted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"simulate": {"chronometers": {"redshift": 3}}}, "workflow.closure_galaxies.simulate.chronometers.redshift"),
        ({"classify": {"n_groups": 1}}, "workflow.closure_galaxies.classify.n_groups"),
        ({"sample": {"n_live": 3}}, "workflow.closure_galaxies.sample.n_live"),
        ({"purities": [0]}, "workflow.closure_galaxies.purities"),
        ({"analyses": {"My Mean": {}}}, "'My Mean' becomes part of file names"),
    ],
)
def test_faults_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_jobs(resolve({"workflow": {"closure_galaxies": changes}}, "test"))
    assert message in str(error.value)


def test_none_are_made_where_none_are_asked_for() -> None:
    assert closure(n_seeds=0).posteriors() == []
