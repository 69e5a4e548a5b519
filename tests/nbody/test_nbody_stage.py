"""The verbs of the nbody stage: artifacts in and out, chunks, interruption, bad input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.table import QTable

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.artifacts.merging import merge
from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig
from astropipe.nbody import pausing, stage
from astropipe.nbody.policy import ARCHITECTURE
from astropipe.nbody.systems import named_system
from astropipe.nbody.timesteps import N_WEIGHTS
from astropipe.runtime.errors import ArtifactError, InputError, InterruptedRunError, QualityError, UsageError
from astropipe.runtime.run import Chunk, Run

COLD = SimulateConfig(family="agekyan-anosova", n_systems=30)


def settings(**changes: Any) -> IntegrateConfig:
    """Settings that need no trained policy."""
    return IntegrateConfig(**{"timestep": "power", "t_end": 5.0, **changes})


SHORT = settings()


@pytest.fixture
def systems(tmp_path: Path) -> Path:
    path = tmp_path / "systems.h5"
    stage.simulate([], path, COLD, Run(seed=4))
    return path


def test_a_larger_ensemble_begins_with_the_smaller(tmp_path: Path, systems: Path) -> None:
    stage.simulate([], tmp_path / "more.h5", SimulateConfig(n_systems=40), Run(seed=4))
    with open_artifact(systems) as few, open_artifact(tmp_path / "more.h5") as more:
        np.testing.assert_array_equal(few.array("positions"), more.array("positions")[:30])


def test_catalog_does_not_depend_on_the_cut(tmp_path: Path, systems: Path) -> None:
    stage.integrate([systems], tmp_path / "whole.h5", SHORT, Run())
    parts = [tmp_path / f"part{index}.h5" for index in (1, 2, 3)]
    for index, part in enumerate(parts, 1):
        stage.integrate([systems], part, SHORT, Run(chunk=Chunk(index, 3)))
    merge(parts, tmp_path / "merged.h5")
    with open_artifact(tmp_path / "whole.h5") as whole, open_artifact(tmp_path / "merged.h5") as merged:
        assert whole.content_sha256 == merged.content_sha256


def test_threads_do_not_change_a_byte(tmp_path: Path, systems: Path) -> None:
    """In processes of their own, as numba reads the number of threads once."""
    for threads in (1, 2):
        command = [sys.executable, "-m", "astropipe.cli.main", "nbody", "integrate", str(systems), "--quiet"]
        options = [
            "--set",
            "nbody.integrate.t_end=5",
            "--set",
            "nbody.integrate.timestep=power",
            "--output",
            f"{tmp_path}/{threads}.h5",
            "--threads",
            str(threads),
        ]
        subprocess.run([*command, *options], check=True, timeout=300)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def _stop_at(monkeypatch: pytest.MonkeyPatch, look: int) -> None:
    """Ask for a stop at one look, in spells of 100 force evaluations."""
    monkeypatch.setattr(pausing, "_SHORT_S", 0.0)
    monkeypatch.setattr(pausing, "_LONG_S", 1e9)
    looks = iter(range(1, 10**9))
    monkeypatch.setattr(pausing, "stop_requested", lambda: next(looks) == look)


@pytest.mark.parametrize("keep", ["catalog", "trajectories"])
def test_interrupted_and_resumed_gives_the_bytes_of_an_uninterrupted_run(
    tmp_path: Path, systems: Path, monkeypatch: pytest.MonkeyPatch, keep: str
) -> None:
    config = settings(keep=keep, n_saved=11)
    (tmp_path / "whole").mkdir()
    stage.integrate([systems], tmp_path / "whole" / "out.h5", config, Run())
    output = tmp_path / "out.h5"
    for resume, look in ((False, 4), (True, 3)):
        _stop_at(monkeypatch, look)
        with pytest.raises(InterruptedRunError, match="run again with --resume"):
            stage.integrate([systems], output, config, Run(resume=resume))
        assert not output.exists()
        assert list(tmp_path.glob(".*checkpoint*"))
    _stop_at(monkeypatch, 0)
    stage.integrate([systems], output, config, Run(resume=True))
    assert output.read_bytes() == (tmp_path / "whole" / "out.h5").read_bytes()
    assert not list(tmp_path.glob(".*checkpoint*"))


def test_checkpoint_of_other_settings_is_refused(
    tmp_path: Path, systems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stop_at(monkeypatch, 2)
    with pytest.raises(InterruptedRunError):
        stage.integrate([systems], tmp_path / "out.h5", SHORT, Run())
    with pytest.raises(UsageError, match="another input, configuration or seed"):
        stage.integrate([systems], tmp_path / "out.h5", settings(t_end=6.0), Run(resume=True))


def test_a_signal_in_the_middle_of_one_long_system_loses_nothing(tmp_path: Path) -> None:
    stage.simulate([], tmp_path / "s.h5", SimulateConfig(family="named", name="figure-eight"), Run())
    # Tells when it has begun: a signal before Python is up would only end it.
    program = """
from astropipe.cli import main
from astropipe.nbody import pausing

ask = pausing.stop_requested

def tell():
    print("running", flush=True)
    pausing.stop_requested = ask
    return ask()

pausing.stop_requested = tell
main.run()
"""
    command = [sys.executable, "-c", program, "nbody", "integrate", str(tmp_path / "s.h5"), "--quiet"]
    for option in ("timestep=power", "t_end=60000", "max_force_evaluations=1000000000"):
        command += ["--set", f"nbody.integrate.{option}"]

    def run(output: str, *more: str) -> subprocess.Popen[str]:
        whole = [*command, "--output", str(tmp_path / output), *more]
        return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    assert run("whole.h5").wait(timeout=300) == 0
    interrupted = run("out.h5")
    assert interrupted.stdout is not None
    assert interrupted.stdout.readline() == "running\n"
    time.sleep(0.1)
    interrupted.send_signal(signal.SIGTERM)
    _, message = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 77, message
    assert "run again with --resume" in message
    assert not (tmp_path / "out.h5").exists()
    assert run("out.h5", "--resume").wait(timeout=300) == 0
    with open_artifact(tmp_path / "whole.h5") as one, open_artifact(tmp_path / "out.h5") as other:
        assert one.content_sha256 == other.content_sha256


def test_label_tells_runs_of_the_same_systems_apart(tmp_path: Path, systems: Path) -> None:
    labels = ("fine", "coarse", None)
    for label in labels:
        stage.integrate([systems], tmp_path / f"{label}.h5", SHORT.model_copy(update={"label": label}), Run())
    stage.evaluate([tmp_path / f"{label}.h5" for label in labels], tmp_path / "m.h5", EvaluateConfig(), Run())
    with open_artifact(systems) as artifact, open_artifact(tmp_path / "m.h5") as metrics:
        title = artifact.title
        assert set(metrics.table()["subject"]) == {f"fine: {title}", f"coarse: {title}", title}


def test_physical_units_reach_the_catalog(tmp_path: Path) -> None:
    stage.simulate([], tmp_path / "s.h5", SimulateConfig(family="saz-ulibarrena", n_systems=3), Run())
    stage.integrate([tmp_path / "s.h5"], tmp_path / "c.h5", settings(t_end="2 yr"), Run())
    table = QTable.read(tmp_path / "c.h5", path="catalog")
    assert np.all(table["time"] == 2 * units.yr)
    assert table["semi_major_axis"].unit.is_equivalent(units.au)
    # Three solar masses within tens of au: orbital periods of years, by Kepler's third law with two solar masses.
    bound = np.isfinite(table["semi_major_axis"])
    kepler = np.sqrt(table["semi_major_axis"][bound].to_value("au") ** 3 / 2)
    np.testing.assert_allclose(table["period"][bound].to_value("yr"), kepler, rtol=1e-4)


def test_jupiter_keeps_its_period(tmp_path: Path) -> None:
    # Jupiter's period in the outer Solar System: 11.862 yr (Allen's Astrophysical Quantities).
    stage.simulate([], tmp_path / "s.h5", SimulateConfig(family="named", name="outer-solar-system"), Run())
    config = settings(t_end="118.62 yr", keep="trajectories", n_saved=11)
    stage.integrate([tmp_path / "s.h5"], tmp_path / "t.h5", config, Run())
    with open_artifact(tmp_path / "t.h5", "trajectories") as artifact:
        relative = artifact.array("positions")[0, :, 1] - artifact.array("positions")[0, :, 0]
    angle = np.arctan2(relative[:, 1].value, relative[:, 0].value)
    turned = np.angle(np.exp(1j * (angle[1:] - angle[0])))
    assert np.max(np.abs(turned)) < np.radians(3)


def test_wrong_energy_is_said_in_the_status(tmp_path: Path, systems: Path) -> None:
    coarse = settings(t_end=20.0, method="hermite4", timestep="shared", mu=0.5, max_energy_error=1e-6)
    stage.integrate([systems], tmp_path / "c.h5", coarse, Run())
    table = QTable.read(tmp_path / "c.h5", path="catalog")
    wrong = np.asarray(table["energy_error"]) > 1e-6
    assert wrong.any()
    np.testing.assert_array_equal(table["status"] == "energy-error", wrong)


def test_a_missed_tolerance_is_said_in_the_status_and_the_work_is_counted(tmp_path: Path) -> None:
    stage.simulate([], tmp_path / "s.h5", SimulateConfig(n_systems=200), Run(seed=4))
    stage.integrate([tmp_path / "s.h5"], tmp_path / "c.h5", settings(t_end=10.0, tolerance=1e-10), Run())
    table = QTable.read(tmp_path / "c.h5", path="catalog")
    missed = np.asarray(table["energy_error"]) > 1e-10
    assert 0 < missed.sum() < 60
    status = np.asarray(table["status"], dtype=str)
    assert not missed[np.isin(status, ("ok", "escape"))].any()
    assert missed[status == "tolerance-not-met"].all()
    assert (status == "tolerance-not-met").any()
    assert (table["redone_evaluations"] < table["force_evaluations"]).all()


def _write_policy(path: Path, network: dict[str, object], n_weights: int) -> None:
    with create_artifact(path, "policy", title="test", provenance=Provenance("test", {})) as artifact:
        artifact.write_table(QTable(rows=[("cost", 1.0, "")], names=("measure", "value", "unit")))
        artifact.write_array("weights/policy", np.zeros(n_weights))
        for name, text in (("architecture", {"network": network}), ("training", {}), ("domain", {})):
            artifact.write_text(name, json.dumps(text))


def test_a_policy_of_ones_own_is_used_and_recorded(tmp_path: Path, systems: Path) -> None:
    # A network of zeros changes no step: the catalog is that of the power rule.
    _write_policy(tmp_path / "p.h5", ARCHITECTURE, N_WEIGHTS)
    mine = settings(timestep="learned", policy=str(tmp_path / "p.h5"))
    stage.integrate([systems], tmp_path / "mine.h5", mine, Run())
    stage.integrate([systems], tmp_path / "power.h5", SHORT, Run())
    with open_artifact(tmp_path / "mine.h5") as one, open_artifact(tmp_path / "power.h5") as other:
        np.testing.assert_array_equal(one.table()["energy_error"], other.table()["energy_error"])
        assert "p.h5" in json.dumps(
            one.provenance.to_json() if hasattr(one.provenance, "to_json") else str(one.provenance)
        )


@pytest.mark.parametrize(
    ("network", "n_weights", "message"),
    [
        ({"features": 13, "hidden": [200] * 10}, N_WEIGHTS, "not one of the network"),
        (ARCHITECTURE, N_WEIGHTS - 1, "do not fit the network"),
    ],
)
def test_a_policy_for_another_network_is_refused(
    tmp_path: Path, systems: Path, network: dict[str, object], n_weights: int, message: str
) -> None:
    _write_policy(tmp_path / "p.h5", network, n_weights)
    config = settings(timestep="learned", policy=str(tmp_path / "p.h5"))
    with pytest.raises(ArtifactError, match=rf"p\.h5.*{message}.*train"):
        stage.integrate([systems], tmp_path / "c.h5", config, Run())
    with pytest.raises(ArtifactError, match="policy"):
        wrong = config.model_copy(update={"policy": str(systems)})
        stage.integrate([systems], tmp_path / "c.h5", wrong, Run())


def test_evaluate_counts_failures_and_gates(tmp_path: Path, systems: Path) -> None:
    stage.integrate(
        [systems],
        tmp_path / "c.h5",
        IntegrateConfig(t_end=20.0, method="hermite4", timestep="shared", mu=0.3, max_force_evaluations=20_000),
        Run(),
    )
    table = QTable.read(tmp_path / "c.h5", path="catalog")
    share = np.mean(np.asarray(table["energy_error"]) > 1e-3)
    assert share > 0
    gate = EvaluateConfig(max_failure_fraction=0.0)
    with pytest.raises(QualityError, match=r"c\.h5.*max_failure_fraction"):
        stage.evaluate([tmp_path / "c.h5"], tmp_path / "m.h5", gate, Run())
    with open_artifact(tmp_path / "m.h5", "metrics") as artifact:
        metrics = {row["measure"]: row["value"] for row in artifact.table()}
    assert metrics["failed_fraction"] == pytest.approx(share)
    assert metrics["systems"] == 30


@pytest.mark.parametrize(
    ("t_end", "message"),
    [("30 yr", "N-body units: give a number"), ("soon", "no time"), ("3 km", "N-body units")],
)
def test_end_time_must_fit_the_units(tmp_path: Path, systems: Path, t_end: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        stage.integrate([systems], tmp_path / "c.h5", settings(t_end=t_end), Run())


def test_number_of_years_must_have_its_unit(tmp_path: Path) -> None:
    stage.simulate([], tmp_path / "s.h5", SimulateConfig(family="saz-ulibarrena", n_systems=2), Run())
    with pytest.raises(UsageError, match="such as 30 yr"):
        stage.integrate([tmp_path / "s.h5"], tmp_path / "c.h5", SHORT, Run())


def _write_systems(path: Path, **changes: np.ndarray) -> None:
    eight = named_system("figure-eight")
    state = {"masses": eight.masses, "positions": eight.positions, "velocities": eight.velocities}
    arrays = {name: np.stack([values, values]) for name, values in state.items()} | changes
    with create_artifact(path, "systems", title="test", provenance=Provenance("test", {})) as artifact:
        artifact.write_table(QTable({"id": [0, 1], "family": ["test", "test"]}))
        for name, values in arrays.items():
            artifact.write_array(name, values)


def _second(name: str, body: int, value: float | np.ndarray) -> dict[str, np.ndarray]:
    eight = named_system("figure-eight")
    values = np.stack([getattr(eight, name)] * 2)
    values[1, body] = value
    return {name: values}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (_second("masses", 2, np.nan), "system 1, body 2: mass nan is not finite"),
        (_second("masses", 0, -1.0), "system 1, body 0: mass -1.0 is negative"),
        (_second("positions", 1, named_system("figure-eight").positions[2]), "system 1, body 1 and body 2"),
    ],
)
def test_impossible_systems_are_named_with_file_and_row(
    tmp_path: Path, changes: dict[str, np.ndarray], message: str
) -> None:
    _write_systems(tmp_path / "bad.h5", **changes)
    with pytest.raises(InputError, match=rf"bad\.h5: {message}"):
        stage.integrate([tmp_path / "bad.h5"], tmp_path / "out.h5", SHORT, Run())
    assert not (tmp_path / "out.h5").exists()


def test_empty_chunk_is_refused(tmp_path: Path, systems: Path) -> None:
    with pytest.raises(UsageError, match=r"chunk 1/100 .* is empty: it has 30 systems only"):
        stage.integrate([systems], tmp_path / "c.h5", SHORT, replace(Run(), chunk=Chunk(1, 100)))


def test_unknown_name_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pythagorean"):
        stage.simulate([], tmp_path / "s.h5", SimulateConfig(family="named", name="nobody"), Run())
