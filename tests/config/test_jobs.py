"""The jobs of the workflow: their settings survive the shell, and there are not too many of them."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astropipe.config import Config, load, resolve
from astropipe.config.changes import as_job_options
from astropipe.config.jobs import Jobs, check_files, check_jobs, relative
from astropipe.config.jobs.inference import sample_settings
from astropipe.config.jobs.nbody import integrate_settings, simulate_settings
from astropipe.config.loading import parse_setting
from astropipe.runtime.errors import ConfigError, UsageError
from astropipe.runtime.run import as_options
from astropipe.runtime.shipped import data_file

DEFAULT = Config()
TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT.filter(bool), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`Jobs` of some settings, as if the command were installed wherever the tests run."""
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/astropipe")
    return lambda *changes: Jobs(load([], changes))


def _round_trip(text: str) -> dict[str, Any]:
    words = shlex.split(text)
    assert words[::2] == ["--set"] * (len(words) // 2)
    return {keys[-1]: value for keys, value in map(parse_setting, words[1::2])}


@given(value=VALUES)
@settings(max_examples=150, deadline=None)
def test_any_value_survives_the_shell_and_the_option(value: Any) -> None:
    found = _round_trip(as_options("a.b", {"key": value}))["key"]
    # As text, in which 1.0 is not 1, and -0.0 not 0.0.
    assert json.dumps(found, sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("name", DEFAULT.workflow.ensembles)
def test_the_options_of_an_ensemble_give_its_settings_again(name: str) -> None:
    for where, wanted in (
        ("nbody.simulate", simulate_settings(DEFAULT, name)),
        ("nbody.integrate", integrate_settings(DEFAULT, name)),
    ):
        options = shlex.split(as_job_options(where, wanted))[1::2]
        verb = where.split(".")[1]
        assert getattr(load([], options).nbody, verb) == wanted


@pytest.mark.parametrize("name", DEFAULT.workflow.posteriors)
def test_the_options_of_a_posterior_give_its_settings_again(name: str) -> None:
    wanted = sample_settings(DEFAULT, name)
    assert load([], shlex.split(as_job_options("inference.sample", wanted))[1::2]).inference.sample == wanted


def test_an_ensemble_inherits_what_it_does_not_change() -> None:
    config = resolve(
        {
            "nbody": {"integrate": {"mu": 0.5, "t_end": 7}},
            "workflow": {"ensembles": {"mine": {"integrate": {"t_end": "1 Myr"}}}},
        }
    )
    found = integrate_settings(config, "mine")
    assert (found.mu, found.t_end) == (0.5, "1 Myr")


def test_the_jobs_of_the_default_configuration_are_valid() -> None:
    check_jobs(DEFAULT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ensembles": {"mine": {"integrate": {"tend": 1}}}},
            "workflow.ensembles.mine.integrate.tend; did you mean 't_end'",
        ),
        ({"ensembles": {"mine": {"simulate": {"n_systems": 0}}}}, "workflow.ensembles.mine.simulate.n_systems = 0"),
        ({"posteriors": {"mine": {"sample": {"n_live": 1}}}}, "workflow.posteriors.mine.sample.n_live = 1"),
    ],
)
def test_a_fault_in_a_job_is_named_with_its_job(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_jobs(resolve({"workflow": changes}))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("n_systems", "per_chunk", "most", "expected"),
    [(1, 500, 200, 1), (500, 500, 200, 1), (501, 500, 200, 2), (10_000, 1, 200, 200), (10**6, 500, 200, 200)],
)
def test_an_ensemble_is_cut_into_a_bounded_number_of_chunks(
    n_systems: int, per_chunk: int, most: int, expected: int
) -> None:
    workflow = resolve({"workflow": {"systems_per_chunk": per_chunk, "max_chunks": most}}).workflow
    assert workflow.chunks(n_systems) == expected


def test_ten_thousand_systems_make_no_more_than_a_few_hundred_jobs(jobs: Any) -> None:
    made = jobs("workflow.ensembles={large: {simulate: {n_systems: 10000}}}")
    assert 1 < made.chunk_count("large") <= 300


def test_trajectories_stay_in_one_piece(jobs: Any) -> None:
    made = jobs("workflow.ensembles={paths: {simulate: {n_systems: 10000}, integrate: {keep: trajectories}}}")
    assert made.chunk_count("paths") == 1
    assert (made.trajectory_ensembles(), made.catalog_ensembles()) == (["paths"], [])


def test_the_chunks_of_an_ensemble_are_all_asked_for(jobs: Any) -> None:
    made = jobs("workflow.ensembles={mine: {simulate: {n_systems: 1001}}}", "workflow.systems_per_chunk=500")
    files = made.get_chunk_files(type("Wildcards", (), {"ensemble": "mine"})())
    assert [path.rpartition("/")[2] for path in files] == ["1-of-3.h5", "2-of-3.h5", "3-of-3.h5"]


def test_a_retry_asks_for_more(jobs: Any) -> None:
    made = jobs()
    assert made.get_memory(None, 1) >= 500, "Snakemake and the libraries need this much"
    assert made.get_memory(None, 2) == 2 * made.get_memory(None, 1)
    assert made.get_minutes(None, 3) == 3 * made.get_minutes(None, 1)


def _of(**wildcards: str) -> Any:
    return type("Wildcards", (), wildcards)()


def test_memory_grows_with_what_a_job_holds(jobs: Any) -> None:
    path = "workflow.ensembles={{a: {{simulate: {{family: plummer, n_systems: {}, n_bodies: {}}}, integrate: {}}}}}"
    kept = "{{keep: trajectories, n_saved: {}}}"
    sizes = [(10, 16, 100), (1000, 16, 100), (1000, 64, 100), (1000, 64, 1000)]
    asked = [
        jobs(path.format(systems, bodies, kept.format(saved))).get_integrate_memory(_of(ensemble="a"), 1)
        for systems, bodies, saved in sizes
    ]
    assert asked == sorted(asked) and asked[0] < 1000
    # Positions and velocities alone.
    assert asked[-1] > 1000 * 64 * 1000 * 6 * 8 / 1e6
    catalog = jobs(path.format(1000, 64, "{}"))
    assert catalog.get_integrate_memory(_of(ensemble="a"), 1) < asked[1]
    assert catalog.get_simulate_memory(_of(ensemble="a"), 2) == pytest.approx(
        2 * catalog.get_simulate_memory(_of(ensemble="a"), 1), abs=1
    )


def test_ensembles_and_posteriors_are_told_apart_by_label() -> None:
    config = resolve(
        {
            "workflow": {
                "ensembles": {"one": {}, "two": {"integrate": {"label": "mine"}}},
                "posteriors": {
                    "union3": {"sample": {"problem": "lcdm-union3"}},
                    "lcdm-union3": {"sample": {"problem": "lcdm-union3"}},
                    "third": {"sample": {"problem": "lcdm-union3", "label": "other"}},
                },
            }
        }
    )
    assert [integrate_settings(config, name).label for name in ("one", "two")] == ["one", "mine"]
    labels = {name: sample_settings(config, name).label for name in config.workflow.posteriors}
    assert labels == {"union3": "union3", "lcdm-union3": None, "third": "other"}


def test_only_named_systems_come_from_a_file(jobs: Any) -> None:
    made = jobs()
    (found,) = made.get_simulate_files(_of(ensemble="pythagorean"))
    assert Path(found).samefile(data_file("orbits/named-systems.ecsv"))
    assert made.get_simulate_files(_of(ensemble="cold-starts")) == []


def test_paths_below_the_working_folder_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative(tmp_path / "data" / "a.ecsv") == "data/a.ecsv"
    assert relative(Path("mine.ecsv")) == "mine.ecsv"
    assert relative(Path("/elsewhere/a.ecsv")) == "/elsewhere/a.ecsv"


def test_a_key_given_twice_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("nbody:\n  integrate:\n    mu: 0.1\n    mu: 0.2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml, line 4: key 'mu' is given twice"):
        check_files([path])


@pytest.mark.parametrize("name", ["results", "../out/run 3", "/data/Ergebnisse-für-β", "a.b_c+d=1,2"])
def test_a_folder_of_results_may_have_any_usual_name(name: str) -> None:
    assert resolve({"workflow": {"results": name}}).workflow.results == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "must be the name of a folder") for name in ("", "  ", " out", "out ", "a\nb", "a\tb")),
        *((name, "must not hold") for name in ("out-{seed}", "<results>", "a*", "a?", "[a]", "~/out", "$HOME", 'a"b')),
    ],
)
def test_a_folder_that_snakemake_would_misread_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"workflow\.results = .*{message}"):
        resolve({"workflow": {"results": name}})


def test_without_the_command_there_are_no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UsageError, match=r"not on the PATH.*activate the environment"):
        Jobs(DEFAULT)


def test_each_seed_of_a_posterior_is_a_run_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    config = resolve({"seed": 5, "workflow": {"posteriors": {"a": {"n_seeds": 3}, "b": {}}}}, "test")
    jobs = Jobs(config)
    assert jobs.repeated_posteriors() == ["a"]
    files = [Path(file) for file in jobs.posterior_files("a")]
    assert [file.stem for file in files] == ["posterior", "seed-2", "seed-3"]
    assert len(jobs.posterior_files("b")) == 1
    wildcards = [SimpleNamespace(posterior="a", run=file.stem) for file in files]
    assert [jobs.get_posterior_seed(each) for each in wildcards] == [5, 6, 7]
    assert "seed-3" in jobs.get_sample_options(wildcards[2])
    assert "seed" not in jobs.get_sample_options(wildcards[0])
