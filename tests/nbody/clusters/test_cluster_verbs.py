"""The verbs on clusters: artifacts in and out, interruption, threads, full disks, bad input."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.table import QTable
from pydantic import ValidationError

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.config.clusters import ClusterRunConfig, ClusterStartConfig, TideConfig
from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig
from astropipe.nbody import pausing, stage
from astropipe.runtime.errors import InputError, InterruptedRunError, OutputError, QualityError, UsageError
from astropipe.runtime.run import Chunk, Run

START = {"n_stars": 40, "n_massless": 60, "masses": "equal"}


def simulated(path: Path, seed: int = 1, **changes: Any) -> Path:
    config = SimulateConfig(family="cluster", cluster=ClusterStartConfig(**{**START, **changes}))
    stage.simulate([], path, config, Run(seed=seed))
    return path


def settings(t_end: float | str = 1.0, **changes: Any) -> IntegrateConfig:
    return IntegrateConfig(t_end=t_end, cluster=ClusterRunConfig(**{"n_snapshots": 5, "n_twins": 4, **changes}))


@pytest.fixture
def start(tmp_path: Path) -> Path:
    return simulated(tmp_path / "start.h5")


def test_snapshots_log_and_catalog_of_a_cluster(tmp_path: Path, start: Path) -> None:
    stage.integrate([start], tmp_path / "run.h5", settings(), Run())
    with open_artifact(start) as before, open_artifact(tmp_path / "run.h5", "cluster-snapshots") as run:
        np.testing.assert_array_equal(run.array("times"), np.linspace(0.0, 1.0, 5))
        np.testing.assert_array_equal(run.array("positions")[0], before.array("positions")[0])
        assert run.array("positions").shape == (5, 100, 3)
        assert run.array("log/energy_error").shape == (17,)
        assert np.abs(run.array("log/energy_error")).max() < 1e-5
        assert run.attributes("log")["status"] == "ok"
        table = run.table()
    assert list(table["class"]) == ["star"] * 40 + ["massless"] * 60
    assert table["heavy"].sum() == 4 and not table["heavy"][40:].any()
    assert np.isfinite(table["step_error"]).sum() == 4
    np.testing.assert_array_equal(np.isfinite(table["escape_time"]), np.isfinite(table["escape_speed"]))


def test_stars_are_the_same_with_and_without_massless_particles(tmp_path: Path, start: Path) -> None:
    alone = simulated(tmp_path / "alone.h5", n_massless=0)
    for path in (start, alone):
        stage.integrate([path], tmp_path / f"{path.stem}-run.h5", settings(), Run())
    with open_artifact(tmp_path / "start-run.h5") as both, open_artifact(tmp_path / "alone-run.h5") as stars:
        for name in ("positions", "velocities"):
            np.testing.assert_array_equal(both.array(name)[:, :40], stars.array(name))
        np.testing.assert_array_equal(both.array("log/energy_error"), stars.array("log/energy_error"))


def test_a_cluster_goes_on_from_its_last_snapshot(tmp_path: Path, start: Path) -> None:
    stage.integrate([start], tmp_path / "half.h5", settings(0.5), Run())
    stage.integrate([tmp_path / "half.h5"], tmp_path / "rest.h5", settings(1.0), Run())
    stage.integrate([start], tmp_path / "whole.h5", settings(1.0), Run())
    with open_artifact(tmp_path / "rest.h5") as rest, open_artifact(tmp_path / "whole.h5") as whole:
        assert rest.array("times")[0] == 0.5
        # First steps are taken anew, so that both are equal to the error of the integration.
        np.testing.assert_allclose(rest.array("positions")[-1], whole.array("positions")[-1], atol=1e-3)
    with pytest.raises(UsageError, match=r"t_end = 1\.0 is not after the last snapshot"):
        stage.integrate([tmp_path / "rest.h5"], tmp_path / "more.h5", settings(1.0), Run())


def test_physical_units(tmp_path: Path) -> None:
    path = simulated(tmp_path / "s.h5", virial_radius="1 pc", total_mass="100 Msun", n_massless=0)
    plain = simulated(tmp_path / "p.h5", n_massless=0)
    unit = ((1 * units.pc) ** 3 / (6.674e-11 * units.m**3 / units.kg / units.s**2 * 100 * units.Msun)) ** 0.5
    t_end = float(unit.to_value("Myr"))
    stage.integrate([path], tmp_path / "r.h5", settings(f"{t_end!r} Myr"), Run())
    stage.integrate([plain], tmp_path / "q.h5", settings(1.0), Run())
    table = QTable.read(tmp_path / "r.h5", path="catalog")
    assert table["mass"].sum().to_value("Msun") == pytest.approx(100.0)
    with open_artifact(tmp_path / "r.h5") as run, open_artifact(tmp_path / "q.h5") as other:
        # One N-body unit of time; constants of nature agree to four digits.
        np.testing.assert_allclose(run.array("positions")[-1].to_value("pc"), other.array("positions")[-1], atol=1e-3)
    with pytest.raises(UsageError, match="physical units: give a time with a unit"):
        stage.integrate([path], tmp_path / "x.h5", settings(1.0), Run())


def test_a_tidal_field_with_units(tmp_path: Path) -> None:
    path = simulated(tmp_path / "s.h5", virial_radius="1 pc", total_mass="100 Msun")
    tide = TideConfig(kind="oort")
    stage.integrate([path], tmp_path / "r.h5", settings("1 Myr", tide=tide), Run())
    with open_artifact(tmp_path / "r.h5") as run:
        assert np.abs(run.array("log/energy_error")).max() < 1e-5
    plain = simulated(tmp_path / "p.h5")
    with pytest.raises(UsageError, match=r"tide\.a = '15.3 km / \(s kpc\)' has a unit, but the cluster is in N-body"):
        stage.integrate([plain], tmp_path / "x.h5", settings(tide=tide), Run())


def _stop_at(monkeypatch: pytest.MonkeyPatch, look: int) -> None:
    monkeypatch.setattr(pausing, "_FIRST_SPELL", 50_000)
    monkeypatch.setattr(pausing, "_SHORT_S", 0.0)
    monkeypatch.setattr(pausing, "_LONG_S", 1e9)
    looks = iter(range(1, 10**9))
    monkeypatch.setattr(pausing, "stop_requested", lambda: next(looks) == look)


def test_interrupted_and_resumed_gives_the_bytes_of_an_uninterrupted_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = simulated(tmp_path / "start.h5", binary_fraction=0.2, shortest_axis=1e-3)
    config = settings()
    (tmp_path / "whole").mkdir()
    stage.integrate([start], tmp_path / "whole" / "run.h5", config, Run())
    output = tmp_path / "run.h5"
    for resume, look in ((False, 3), (True, 2)):
        _stop_at(monkeypatch, look)
        with pytest.raises(InterruptedRunError, match="run again with --resume"):
            stage.integrate([start], output, config, Run(resume=resume))
        assert not output.exists()
    with pytest.raises(UsageError, match="another input, configuration or seed"):
        stage.integrate([start], output, settings(eta=0.01), Run(resume=True))
    _stop_at(monkeypatch, 0)
    stage.integrate([start], output, config, Run(resume=True))
    assert output.read_bytes() == (tmp_path / "whole" / "run.h5").read_bytes()
    assert not list(tmp_path.glob(".*checkpoint*"))


def test_threads_do_not_change_a_byte(tmp_path: Path) -> None:
    """In processes of their own, as numba reads the number of threads once."""
    # Enough stars that blocks are shared between threads.
    start = simulated(tmp_path / "start.h5", n_stars=256, n_massless=300)
    for threads in (1, 2):
        command = [sys.executable, "-m", "astropipe.cli.main", "nbody", "integrate", str(start), "--quiet"]
        options = ["--set", "nbody.integrate.t_end=0.125", "--set", "nbody.integrate.cluster.n_snapshots=2"]
        output = ["--output", f"{tmp_path}/{threads}.h5", "--threads", str(threads)]
        subprocess.run([*command, *options, *output], check=True, timeout=300)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_a_disk_that_is_full_between_snapshots_leaves_nothing_half_written(
    tmp_path: Path, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that cannot be written ends the run with an error; the one before stays, and is gone on from."""
    output, config = tmp_path / "run.h5", settings()
    _stop_at(monkeypatch, 3)
    with pytest.raises(InterruptedRunError):
        stage.integrate([start], output, config, Run())
    checkpoint = tmp_path / ".run.h5.checkpoint"
    before = checkpoint.read_bytes()
    synced = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _stop_at(monkeypatch, 2)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write checkpoint .*No space left.*free space"):
        stage.integrate([start], output, config, Run(resume=True))
    assert checkpoint.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".run.h5.checkpoint", "start.h5"]
    # The same when the artifact itself is written.
    _stop_at(monkeypatch, 0)
    with pytest.raises(OutputError, match="disk is full"):
        stage.integrate([start], output, config, Run(resume=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".run.h5.checkpoint", "start.h5"]
    monkeypatch.setattr(os, "fsync", synced)
    stage.integrate([start], output, config, Run(resume=True))
    assert output.exists() and not checkpoint.exists()


def test_wrong_energy_is_said_in_the_status_and_gates(tmp_path: Path, start: Path) -> None:
    config = settings(eta=1.0).model_copy(update={"max_energy_error": 1e-9})
    stage.integrate([start], tmp_path / "run.h5", config, Run())
    with open_artifact(tmp_path / "run.h5") as run:
        assert run.attributes("log")["status"] == "energy-error"
        error = np.abs(run.array("log/energy_error")).max()
    gate = EvaluateConfig(failure_energy_error=float(error) / 2, max_failure_fraction=0.0)
    with pytest.raises(QualityError, match=r"run\.h5.*lower nbody\.integrate\.cluster\.eta"):
        stage.evaluate([tmp_path / "run.h5"], tmp_path / "m.h5", gate, Run())
    with open_artifact(tmp_path / "m.h5", "metrics") as metrics:
        rows = {row["measure"]: row["value"] for row in metrics.table()}
    assert rows["energy_error"] == pytest.approx(error)
    assert 0 <= rows["bound fraction, star"] <= 1
    with pytest.raises(UsageError, match="has not been integrated yet"):
        stage.evaluate([start], tmp_path / "n.h5", EvaluateConfig(), Run())


def _write(path: Path, masses: Any, positions: Any, kinds: list[str], times: Any = (0.0,)) -> None:
    with create_artifact(path, "cluster-snapshots", title="test", provenance=Provenance("test", {})) as artifact:
        artifact.write_table(QTable({"id": np.arange(len(kinds)), "class": kinds, "mass": masses}))
        artifact.write_array("times", np.array(times))
        artifact.write_array("masses", np.array(masses))
        shape = (len(times), *np.shape(positions))
        for name, values in (("positions", positions), ("velocities", np.zeros_like(positions))):
            artifact.write_array(name, np.broadcast_to(values, shape))
        for name in ("masses", "positions"):
            artifact.write_attributes(name, {"nbody_unit": ""})


PLACES = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@pytest.mark.parametrize(
    ("masses", "places", "kinds", "times", "message"),
    [
        (
            [1.0, 0.0, 0.0],
            PLACES,
            ["star", "star", "massless"],
            [0.0],
            "particle 1: mass 0.0 of a star must be positive",
        ),
        ([1.0, -1.0, 0.0], PLACES, ["star", "star", "massless"], [0.0], "particle 1: mass -1.0 of a star"),
        ([1.0, np.nan, 0.0], PLACES, ["star", "star", "massless"], [0.0], "particle 1: mass nan is not finite"),
        ([1.0, 1.0, 0.0], PLACES + np.inf, ["star", "star", "massless"], [0.0], "particle 0: position .* not finite"),
        ([1.0, 1.0, 0.0], PLACES[[0, 1, 0]], ["star", "star", "massless"], [0.0], "particle 0 and particle 2 are at"),
        ([1.0, 0.0, 1.0], PLACES, ["star", "massless", "star"], [0.0], "stars must come before massless"),
        ([1.0, 1.0, 0.0], PLACES, ["star", "star", "massless"], [0.0, 2.0, 1.0], "snapshot times must increase"),
    ],
)
def test_impossible_clusters_are_named_with_file_and_particle(
    tmp_path: Path, masses: Any, places: Any, kinds: list[str], times: Any, message: str
) -> None:
    _write(tmp_path / "bad.h5", masses, places, kinds, times)
    with pytest.raises(InputError, match=rf"bad\.h5: .*{message}"):
        stage.integrate([tmp_path / "bad.h5"], tmp_path / "out.h5", settings(), Run())
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"softening": 0.01}, "there is no softening"),
        ({"snapshot_times": [1.0, 3.0, 2.0]}, r"entry 2 is 2\.0 after 3\.0"),
        ({"snapshot_times": [0.0]}, "must increase from the first snapshot"),
        ({"eta": 0.0}, "greater than 0"),
        ({"eta": "learnt"}, "should be 'learned'"),
        ({"energy_target": 0.0}, "greater than 0"),
        ({"pair_disturbance": 0.05}, r"less than or equal to 0\.03"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ClusterRunConfig(**changes)


def test_one_cluster_is_not_cut(tmp_path: Path, start: Path) -> None:
    with pytest.raises(UsageError, match="leave out --chunk"):
        stage.integrate([start], tmp_path / "out.h5", settings(), Run(chunk=Chunk(1, 2)))
