"""The closure of stars: truths of the clusters, and settings of the verbs that agree with each other."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from astropipe.config import Config, load, resolve
from astropipe.config.changes import as_job_options
from astropipe.config.jobs import check_jobs
from astropipe.config.jobs.closure_stars import StarsClosureJobs
from astropipe.runtime.errors import ConfigError


def closure(**changes: Any) -> StarsClosureJobs:
    return StarsClosureJobs(resolve({"workflow": {"closure_stars": changes}}, "test"))


def test_truths_lie_in_the_ranges_and_do_not_depend_on_the_number_of_clusters() -> None:
    few, many = closure(n_clusters=2), closure(n_clusters=40)
    assert few.truth(2) == many.truth(2) != many.truth(1)
    truths = [many.truth(number) for number in many.numbers()]
    for name, (low, high) in {
        "n_stars": (3000, 12000),
        "systemic_velocity_km_s": (-35, -25),
        "fe_h": (-0.6, 0.1),
        "fe_h_scatter": (0.02, 0.1),
        "field_fraction": (0.1, 0.6),
    }.items():
        values = [truth[name] for truth in truths]
        assert low <= min(values) < low + 0.2 * (high - low), name
        assert high >= max(values) > high - 0.2 * (high - low), name


def test_what_is_observed_and_what_is_inferred_agree() -> None:
    jobs = closure(observe={"cluster": {"distance_pc": 1200, "field_fe_h": -0.4}})
    options = jobs.sampling(3).options
    survey = jobs.survey(3).cluster
    assert options["distance_pc"] == survey.distance_pc == 1200
    assert options["field_fe_h"] == survey.field_fe_h == -0.4
    assert survey.fe_h == jobs.truth(3)["fe_h"]
    assert options["data"] == "results/closure-stars/cluster-3/stars.h5"
    assert set(options["priors"]) == set(jobs.closure.priors)


def test_options_on_the_command_line_give_the_settings_again() -> None:
    jobs = closure()
    for where, wanted in (
        ("nbody.simulate", jobs.start(1)),
        ("spectra.simulate", jobs.survey(1)),
        ("inference.sample", jobs.sampling(1)),
    ):
        stage, verb = where.split(".")
        config = load([], shlex.split(as_job_options(where, wanted))[1::2])
        assert getattr(getattr(config, stage), verb) == wanted


def test_a_cluster_is_integrated_where_it_is_asked_for() -> None:
    class Second:
        number = "2"

    assert closure().get_cluster_file(Second()) == "results/closure-stars/cluster-2/start.h5"
    asked = closure(integrate={"t_end": "1 Myr"})
    assert asked.get_cluster_file(Second()) == "results/closure-stars/cluster-2/evolved.h5"
    assert asked.run().t_end == "1 Myr"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observe": {"cluster": {"distance": 3}}}, "workflow.closure_stars.observe.cluster.distance"),
        ({"sample": {"n_live": 3}}, "workflow.closure_stars.sample.n_live"),
        ({"fe_h": [0.1, -0.1]}, "the lowest and the highest value"),
    ],
)
def test_faults_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_jobs(resolve({"workflow": {"closure_stars": changes}}, "test"))
    assert message in str(error.value)


def test_none_are_made_where_none_are_asked_for() -> None:
    assert closure(n_clusters=0).files("posterior") == []
    assert len(StarsClosureJobs(Config()).files("stars", "spectra")) == 6
