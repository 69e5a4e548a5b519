"""The verbs of the inference stage: posterior artifacts, interruption, comparison with published values."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astropipe.artifacts import open_artifact
from astropipe.artifacts.export import posterior_draws
from astropipe.artifacts.verification import verify
from astropipe.config.inference import EvaluateConfig, SampleConfig
from astropipe.inference import pools, stage
from astropipe.inference.evaluations import shards
from astropipe.inference.evaluator import Counts
from astropipe.inference.problems import problem
from astropipe.runtime.errors import ArtifactError, QualityError, UsageError
from astropipe.runtime.run import Run, checkpoint_path

GAUSSIAN = SampleConfig(problem="gaussian", options={"n_parameters": 2}, n_live=100, dlogz=0.1)


@pytest.fixture(scope="module")
def posterior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inference") / "posterior.h5"
    stage.sample([], path, GAUSSIAN, Run(seed=3))
    return path


def test_posterior_of_the_gaussian_is_the_analytic_one(posterior: Path) -> None:
    with open_artifact(posterior, "posterior") as artifact:
        table, run = artifact.table(), artifact.attributes("nested")
        draws = posterior_draws(artifact)
    assert run["converged"]
    # Unit Gaussian on [-10, 10]^2: ln Z = -2 ln 20.
    assert abs(run["logz"] + 2 * np.log(20)) < 4 * run["logz_err"]
    np.testing.assert_allclose(table["mean"], 0, atol=4 / np.sqrt(run["ess"]))
    np.testing.assert_allclose(table["sd"], 1, rtol=0.2)
    np.testing.assert_allclose(table["q84"], 1, atol=0.25)
    np.testing.assert_allclose(np.std(draws["x1"]), 1, rtol=0.2)


def test_weights_sum_to_one(posterior: Path) -> None:
    with open_artifact(posterior) as artifact:
        assert np.exp(artifact.array("nested/log_weights")).sum() == pytest.approx(1, abs=1e-9)


def test_worker_processes_do_not_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    class Watched(pools.ProcessWorkers):
        def _run(self, tasks: list[pools.Task]) -> Iterable[tuple[Any, Counts]]:
            done.append(len(tasks))
            return super()._run(tasks)

    monkeypatch.setattr(pools, "ProcessWorkers", Watched)
    config = GAUSSIAN.model_copy(update={"pool": "always"})
    stage.sample([], tmp_path / "one.h5", config, Run(seed=3, threads=1))
    assert not done
    stage.sample([], tmp_path / "two.h5", config, Run(seed=3, threads=2))
    assert sum(done) > 100
    assert (tmp_path / "two.h5").read_bytes() == (tmp_path / "one.h5").read_bytes()


@pytest.mark.parametrize(("pool", "wanted"), [("always", True), ("never", False), ("auto", False)])
def test_pool_is_opened_when_asked_or_when_it_pays(pool: str, wanted: bool) -> None:
    # A call of the Gaussian costs microseconds.
    assert stage._pool_wanted(GAUSSIAN.model_copy(update={"pool": pool}), problem("gaussian")) is wanted


def test_another_seed_gives_other_samples(tmp_path: Path, posterior: Path) -> None:
    stage.sample([], tmp_path / "other.h5", GAUSSIAN, Run(seed=4))
    with open_artifact(tmp_path / "other.h5") as other, open_artifact(posterior) as first:
        assert not np.array_equal(other.array("nested/samples")[:5], first.array("nested/samples")[:5])


def test_terminated_command_leaves_a_checkpoint_and_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    options = ["--set", "inference.sample.problem=lcdm-desi-dr2", "--set", "inference.sample.n_live=150", "--seed", "5"]
    command = [sys.executable, "-m", "astropipe.cli.main", "inference", "sample", *options, "--output"]
    (tmp_path / "whole").mkdir()
    whole, output = tmp_path / "whole" / "posterior.h5", tmp_path / "posterior.h5"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    process = subprocess.Popen([*command, str(output)], stderr=subprocess.PIPE, text=True)
    log = checkpoint_path(output)
    while process.poll() is None and not (log.exists() and any(f.stat().st_size > 20_000 for f in log.iterdir())):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 77, errors
    assert log.exists() and not output.exists()
    refused = subprocess.run([*command, str(output)], capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "--resume" in refused.stderr
    subprocess.run([*command, str(output), "--resume"], check=True, capture_output=True)
    assert output.read_bytes() == whole.read_bytes()
    assert not log.exists()


def test_group_signal_with_worker_processes_leaves_a_checkpoint(tmp_path: Path) -> None:
    options = ["problem=lcdm-desi-dr2", "n_live=40", "dlogz=0.5", "pool=always"]
    settings = [part for option in options for part in ("--set", f"inference.sample.{option}")]
    command = [sys.executable, "-m", "astropipe.cli.main", "inference", "sample", *settings, "--output"]
    (tmp_path / "whole").mkdir()
    whole, output = tmp_path / "whole" / "posterior.h5", tmp_path / "posterior.h5"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    parallel = [*command, str(output), "--threads", "2"]
    process = subprocess.Popen(parallel, stderr=subprocess.PIPE, text=True, start_new_session=True)
    log = checkpoint_path(output)
    while process.poll() is None and not shards(log):
        time.sleep(0.02)
    # As a batch system or a terminal sends it: to the workers too.
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 77, errors
    assert "Traceback" not in errors
    subprocess.run([*parallel, "--resume"], check=True, capture_output=True)
    assert output.read_bytes() == whole.read_bytes()


def test_run_that_its_budget_ends_is_not_converged(tmp_path: Path) -> None:
    config = GAUSSIAN.model_copy(update={"max_calls": 300})
    assert "NOT CONVERGED" in stage.sample([], tmp_path / "p.h5", config, Run(seed=3))
    with open_artifact(tmp_path / "p.h5") as artifact:
        assert not artifact.attributes("nested")["converged"]
    stage.evaluate([tmp_path / "p.h5"], tmp_path / "m.h5", EvaluateConfig(), Run())
    with open_artifact(tmp_path / "m.h5", "metrics") as artifact:
        rows = {row["measure"]: row for row in artifact.table()}
    assert rows["converged"]["value"] == 0.0


def test_an_emulated_posterior_is_an_artifact_like_any_other(tmp_path: Path) -> None:
    config = SampleConfig(problem="gaussian", options={"n_parameters": 2}, method="emulated", min_ess=100)
    line = stage.sample([], tmp_path / "emulated.h5", config, Run(seed=1))
    with open_artifact(tmp_path / "emulated.h5", "posterior") as artifact:
        table, run = artifact.table(), artifact.attributes("nested")
        assert np.exp(artifact.array("nested/log_weights")).sum() == pytest.approx(1)
        assert len(posterior_draws(artifact)["x1"]) == int(run["ess"])
        true, emulated = (artifact.array(f"nested/{name}log_likelihoods") for name in ("", "emulated_"))
    # As emulated before the true value was known: near it where the posterior is, but not it.
    assert 0.0 < np.median(np.abs(true - emulated)[-200:]) < 0.3
    assert run["ess_per_call"] == pytest.approx(run["ess"] / run["n_true_calls"])
    assert run["method"] == "emulated" and run["converged"] and run["reasons"] == ""
    assert run["n_true_calls"] < 500 < run["n_emulated_calls"] and run["n_live"] == 0
    assert f"{run['n_true_calls']} likelihood calls" in line
    assert abs(run["logz"] + 2 * np.log(20)) < 4 * run["logz_err"]
    np.testing.assert_allclose(table["sd"], 1, rtol=0.3)
    assert not checkpoint_path(tmp_path / "emulated.h5").exists()


def test_what_cannot_be_emulated_leaves_its_calls_and_no_artifact(tmp_path: Path) -> None:
    output = tmp_path / "eggbox.h5"
    config = SampleConfig(problem="eggbox", method="emulated", n_live=50, dlogz=1.0)
    with pytest.raises(QualityError, match=r"eggbox: .* do not resolve.*kept in .*method=exact"):
        stage.sample([], output, config, Run(seed=1))
    assert not output.exists() and shards(checkpoint_path(output))
    line = stage.sample([], output, config.model_copy(update={"fallback": True}), Run(seed=1, resume=True))
    assert "did not converge" in line
    with open_artifact(output, "posterior") as artifact:
        assert artifact.attributes("nested")["method"] == "exact"


def test_chain_ends_at_the_measurements(tmp_path: Path) -> None:
    config = SampleConfig(problem="lcdm-desi-dr2", n_live=30, dlogz=1.0)
    stage.sample([], tmp_path / "posterior.h5", config, Run())
    findings = verify([tmp_path / "posterior.h5"])
    assert [finding.state for finding in findings] == ["ok"] * 3
    assert {Path(finding.path).name for finding in findings} == {"posterior.h5", "bao.ecsv", "bao-covariance.ecsv"}
    with open_artifact(tmp_path / "posterior.h5") as artifact:
        assert "DESI2025" in artifact.provenance.citations


def test_composed_problem_takes_priors_and_data(tmp_path: Path) -> None:
    options = {"model": "lcdm", "data": ["chronometers-31"], "priors": {"h0": "normal(70, 1)"}}
    config = SampleConfig(problem="cosmology", options=options, n_live=60, dlogz=0.5)
    stage.sample([], tmp_path / "posterior.h5", config, Run())
    with open_artifact(tmp_path / "posterior.h5") as artifact:
        rows = {row["parameter"]: row for row in artifact.table()}
    # A prior three times narrower than the likelihood decides.
    assert rows["h0"]["mean"] == pytest.approx(70, abs=1) and rows["h0"]["sd"] < 1.3


def test_evaluate_compares_with_published_values(tmp_path: Path) -> None:
    config = SampleConfig(problem="lcdm-desi-dr2", n_live=100, dlogz=0.1)
    stage.sample([], tmp_path / "p.h5", config, Run(seed=1))
    stage.evaluate([tmp_path / "p.h5"], tmp_path / "m.h5", EvaluateConfig(max_deviation=1.0), Run())
    with open_artifact(tmp_path / "m.h5", "metrics") as artifact:
        rows = {row["measure"]: row for row in artifact.table()}
    # DESI DR2 (arXiv:2503.14738), eq. 17.
    assert rows["omega_m"]["expected"] == 0.2975 and rows["h_rd"]["expected"] == 101.54
    assert abs(rows["omega_m"]["deviation"]) < 0.5 and "2503.14738" in rows["omega_m"]["source"]
    with pytest.raises(QualityError, match="max_deviation allows 1e-06"):
        stage.evaluate([tmp_path / "p.h5"], tmp_path / "m2.h5", EvaluateConfig(max_deviation=1e-6), Run())
    assert (tmp_path / "m2.h5").exists()


@pytest.mark.parametrize(
    ("chosen", "options", "name"),
    [
        ("lcdm-desi-dr2", {"priors": {"omega_m": "uniform(0.1, 0.9)"}}, "lcdm-desi-dr2 (own priors)"),
        ("cosmology", {"data": ["desi-dr2"], "priors": {"r_d": "normal(147, 1)"}}, "lcdm-desi-dr2 (own priors)"),
        ("cosmology", {"data": ["desi-dr1"], "name": "lcdm-desi-dr2"}, "lcdm-desi-dr2 (own data)"),
    ],
)
def test_only_the_very_problem_is_compared_with_published_values(
    tmp_path: Path, chosen: str, options: dict[str, Any], name: str
) -> None:
    config = SampleConfig(problem=chosen, options=options, n_live=30, dlogz=1.0)
    stage.sample([], tmp_path / "p.h5", config, Run(seed=1))
    stage.evaluate([tmp_path / "p.h5"], tmp_path / "m.h5", EvaluateConfig(max_deviation=1e-6), Run())
    with open_artifact(tmp_path / "m.h5", "metrics") as artifact:
        table = artifact.table()
    assert set(table["subject"]) == {name}
    assert not np.any(np.isfinite(table["expected"]))


def test_emulated_posteriors_are_compared_with_the_exact_one_of_their_problem(tmp_path: Path) -> None:
    def gaussian(method: str, name: str, seed: int, **settings: Any) -> Path:
        options = {"n_parameters": 2, **settings}
        config = SampleConfig(problem="gaussian", options=options, method=method, label=name, n_live=100, min_ess=100)
        stage.sample([], tmp_path / f"{name}.h5", config, Run(seed=seed))
        return tmp_path / f"{name}.h5"

    runs = [gaussian("emulated", f"e{seed}", seed) for seed in (1, 2)] + [gaussian("exact", "x", 3)]
    # With another option, and so another problem.
    runs.append(gaussian("exact", "other", 3, n_parameters=3))
    stage.evaluate([*runs, runs[0]], tmp_path / "m.h5", EvaluateConfig(), Run())
    with open_artifact(tmp_path / "m.h5", "metrics") as artifact:
        rows = {(str(row["subject"]), str(row["measure"])): row for row in artifact.table()}
    divergence, shift = rows["e1", "x1_js"], rows["e2", "x2_shift"]
    assert divergence["source"].startswith("x, exact") and divergence["unit"] == "nat"
    assert abs(divergence["value"]) < 4.0 * divergence["error"]
    # 300 and 100 effective samples: means to a tenth.
    assert abs(shift["value"]) < 0.4 and rows["e2", "x2_width_ratio"]["value"] == pytest.approx(1.0, abs=0.3)
    scatter = rows["gaussian: 2 emulated runs", "logz_scatter_over_error"]
    with open_artifact(runs[0]) as one, open_artifact(runs[1]) as two:
        first, second = one.attributes("nested"), two.attributes("nested")
    expected = abs(first["logz"] - second["logz"]) / np.sqrt(first["logz_err"] ** 2 + second["logz_err"] ** 2)
    assert scatter["value"] == pytest.approx(expected) and scatter["error"] == pytest.approx(np.sqrt(0.5))
    assert 0.0 < rows["gaussian: 2 emulated runs", "logz_scatter_p"]["value"] < 1.0
    assert rows["e1", "ess_per_call"]["value"] == pytest.approx(first["ess"] / first["n_true_calls"])
    assert not any(subject == "other" and measure.endswith("_js") for subject, measure in rows)
    assert not any("exact runs" in subject for subject, _ in rows), "two problems, one run of each"


def test_evaluate_refuses_other_kinds(tmp_path: Path, posterior: Path) -> None:
    stage.evaluate([posterior], tmp_path / "m.h5", EvaluateConfig(), Run())
    with pytest.raises(ArtifactError, match="metrics artifact, but this needs 'posterior'"):
        stage.evaluate([tmp_path / "m.h5"], tmp_path / "n.h5", EvaluateConfig(), Run())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SampleConfig(problem="lcdm-desi-dr3"), "did you mean lcdm-desi-dr2"),
        (SampleConfig(problem="gaussian", options={"dimensions": 3}), "n_parameters"),
        (
            SampleConfig(
                problem="cosmology",
                options={"model": "lcdm", "data": ["union3"], "priors": {"omega_m": "uniform(1, 0)"}},
            ),
            "omega_m",
        ),
    ],
)
def test_impossible_problems_are_refused_with_the_key(tmp_path: Path, config: SampleConfig, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        stage.sample([], tmp_path / "p.h5", config, Run())
    assert list(tmp_path.iterdir()) == []


def test_registered_problems_all_build() -> None:
    for name in ("lcdm-desi-dr1", "w0wa-desi-dr2-cmb", "w0wawb-chronometers-desi-dr2"):
        built = problem(name)
        middle = built.prior.transform(np.full((1, len(built.prior)), 0.4))
        assert np.isfinite(built.log_likelihood(middle)).all()
