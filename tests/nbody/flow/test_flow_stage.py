"""The verbs of the nbody stage on boxes: artifacts, particles from elsewhere, interruption, bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.cosmology import Planck18
from astropy.table import QTable
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.artifacts.verification import verify
from astropipe.config import load
from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig
from astropipe.nbody import stage, write_box_snapshots
from astropipe.nbody.flow import boxes, verbs
from astropipe.runtime.errors import (
    ConfigError,
    InputError,
    InterruptedRunError,
    OutputError,
    UsageError,
)
from astropipe.runtime.run import Chunk, Run

SIDE = 30.0


def start_config(**changes: Any) -> SimulateConfig:
    return SimulateConfig(family="box", box={"n_side": 12, "size_mpc": SIDE, **changes})


def run_config(**changes: Any) -> IntegrateConfig:
    return IntegrateConfig(box={"redshifts": [1.0, 0.0], "n_steps": 30, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flow")
    stage.simulate([], path / "start.h5", start_config(), Run(seed=3))
    stage.integrate([path / "start.h5"], path / "box.h5", run_config(), Run())
    return path


def test_a_box_has_its_units_its_universe_and_its_book(folder: Path) -> None:
    with open_artifact(folder / "box.h5", "box-snapshots") as artifact:
        box = boxes.read_box(artifact)
        mass = artifact.array("particle_mass")
        assert artifact.array("snapshots/1/positions").unit == units.Mpc
        assert artifact.array("snapshots/1/velocities").unit == units.km / units.s
        assert artifact.file["snapshots/1/positions"].chunks is not None
    assert box.cosmology == Planck18 and box.size == SIDE
    # All the matter of the universe that clusters, in 12^3 particles.
    expected = (Planck18.critical_density0 * Planck18.Om0 * (SIDE * units.Mpc) ** 3 / 12**3).to("Msun")
    assert mass.to_value("Msun") == pytest.approx(expected.value, rel=1e-12)
    book = QTable.read(folder / "box.h5", path="catalog")
    assert book["redshift"].tolist() == [1.0, 0.0] and book["steps"][1] >= 30
    assert np.abs(book["layzer_irvine_error"]).max() < 0.05
    u = box.snapshots[1].velocities
    kinetic = 0.5 * np.mean(np.sum(u**2, axis=1))
    assert book["kinetic_energy"][1].to_value("km2/s2") == pytest.approx(kinetic, rel=1e-9)


def test_a_run_in_two_parts_is_the_run_in_one(folder: Path, tmp_path: Path) -> None:
    stage.integrate([folder / "start.h5"], tmp_path / "half.h5", run_config(redshifts=[1.0]), Run())
    stage.integrate([tmp_path / "half.h5"], tmp_path / "rest.h5", run_config(redshifts=[0.0], n_steps=12), Run())
    with open_artifact(folder / "box.h5") as whole, open_artifact(tmp_path / "rest.h5") as rest:
        one, other = (artifact.array(f"snapshots/{n}/positions").value for artifact, n in ((whole, 1), (rest, 0)))
    # Other steps: particles agree to a part of a cell, not to the bit.
    apart = (one - other + SIDE / 2) % SIDE - SIDE / 2
    assert np.median(np.abs(apart)) < 0.02


def test_interrupted_and_resumed_gives_the_bytes_of_an_uninterrupted_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "box.h5"

    def stop_at(step: int) -> Callable[[], bool]:
        looks = iter(range(10**9))
        return lambda: next(looks) == step

    for resume, step in ((False, 22), (True, 3)):
        monkeypatch.setattr(verbs, "stop_requested", stop_at(step))
        with pytest.raises(InterruptedRunError, match=r"step \d+ of \d+, which is kept .* --resume"):
            stage.integrate([folder / "start.h5"], output, run_config(), Run(resume=resume))
        assert not output.exists()
    with pytest.raises(UsageError, match="another input, configuration or seed"):
        stage.integrate([folder / "start.h5"], output, run_config(mesh=16), Run(resume=True))
    monkeypatch.setattr(verbs, "stop_requested", lambda: False)
    stage.integrate([folder / "start.h5"], output, run_config(), Run(resume=True))
    assert output.read_bytes() == (folder / "box.h5").read_bytes()
    assert not list(tmp_path.glob(".*checkpoint*"))


def test_a_full_disk_between_snapshots_leaves_no_file_and_keeps_the_checkpoint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    write = verbs.write_box

    def full(*arguments: Any) -> None:
        raise OutputError("no space left on device; free space")

    monkeypatch.setattr(verbs, "write_box", full)
    with pytest.raises(OutputError, match="no space"):
        stage.integrate([folder / "start.h5"], tmp_path / "box.h5", run_config(), Run())
    assert not (tmp_path / "box.h5").exists()
    monkeypatch.setattr(verbs, "write_box", write)
    stage.integrate([folder / "start.h5"], tmp_path / "box.h5", run_config(), Run(resume=True))
    assert (tmp_path / "box.h5").read_bytes() == (folder / "box.h5").read_bytes()


def test_statistics_of_a_box_are_complete_and_traceable(folder: Path) -> None:
    output = folder / "flow.h5"
    config = EvaluateConfig(box={"n_bins": 6, "r_min_mpc": 0.05, "law_r_max_mpc": 8.0})
    stage.evaluate([folder / "box.h5"], output, config, Run(seed=2))
    again = folder / "again.h5"
    stage.evaluate([folder / "box.h5"], again, config, Run(seed=2))
    assert output.read_bytes() == again.read_bytes()
    assert {finding.state for finding in verify([output])} == {"ok"}
    pairs = QTable.read(output, path="catalog")
    assert len(pairs) == 12 and pairs["snapshot"].tolist() == [0] * 6 + [1] * 6
    assert pairs["du3"].unit.is_equivalent(units.km**3 / units.s**3)
    assert pairs["r_high"][-1].to_value("Mpc") == pytest.approx(SIDE / 2)
    # H a r in the middle bin: 67.66 km/s/Mpc today.
    assert (pairs["hubble_flow"][9] / pairs["r"][9]).to_value("km / (Mpc s)") == pytest.approx(67.66)
    # On scales of clustering, matter falls together.
    assert (pairs["du1"][10] < 0) and (pairs["xi"][10] > 0)
    with open_artifact(output, "flow-statistics") as artifact:
        width = np.diff(artifact.array("pdf/values"))[0]
        total = artifact.array("pdf/difference").sum(axis=1) * width
        np.testing.assert_allclose(total[pairs["pairs"] > 1000], 1.0, atol=0.02)
        laws, one_point, density = (artifact.table(name) for name in ("laws", "one_point", "density"))
    assert set(laws["expected"][laws["law"] == "stable clustering"]) == {-1.0}
    rows = one_point[(one_point["snapshot"] == 1)]
    shares = dict(zip(rows["class"], rows["fraction"], strict=True))
    assert shares["halo"] + shares["out of halo"] == pytest.approx(1.0) and shares["halo"] > 0
    for number in (0, 1):
        part = density[density["snapshot"] == number]
        assert part["mass_fraction"].sum() == pytest.approx(1.0) and part["volume_fraction"].sum() == pytest.approx(1.0)


def test_particles_from_elsewhere_are_measured(tmp_path: Path) -> None:
    """A Hubble flow cannot be periodic; a wave can, and pairs along it approach where it says."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 100.0, (4000, 3)) * units.kpc
    u = np.zeros((4000, 3)) * units.m / units.s
    u[:, 0] = 5000.0 * np.sin(2 * np.pi * x[:, 0] / (100 * units.kpc) * units.rad) * units.m / units.s
    write_box_snapshots(tmp_path / "mine.h5", x, u, 0.1 * units.Mpc, 0.5, Planck18, title="Mine")
    config = EvaluateConfig(box={"n_bins": 4, "density": False, "r_min_mpc": 0.01, "r_max_mpc": 0.05})
    stage.evaluate([tmp_path / "mine.h5"], tmp_path / "flow.h5", config, Run())
    table = QTable.read(tmp_path / "flow.h5", path="catalog")
    assert table["scale_factor"].tolist() == [0.5] * 4
    # Random points: no net approach; u.u' of a wave is (u0^2 / 2) sin(k r) / (k r) over all directions.
    assert (np.abs(table["du1"]) < 4.5 * table["du1_error"]).all()
    k = 2 * np.pi / (0.1 * units.Mpc)
    truth = 12.5 * np.sinc((k * table["r"]).to_value("") / np.pi)
    difference = np.abs(table["correlation_total"].to_value("km2/s2") - truth)
    assert (difference < 4.5 * table["correlation_total_error"].to_value("km2/s2") + 0.1).all()
    with open_artifact(tmp_path / "flow.h5") as artifact:
        assert "density" not in artifact.file and artifact.title == "Mine"


ONES = np.full((20, 3), 1.0)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"positions": 2 * ONES}, InputError, r"snapshot 0: particle 0: .* outside the box \[0, 2\)"),
        ({"velocities": np.nan * ONES}, InputError, "snapshot 0: particle 0: velocity .* not finite"),
        (
            {"positions": np.stack([ONES] * 2), "velocities": np.stack([ONES] * 2)},
            UsageError,
            "2 snapshots of pos.* 1 t",
        ),
        (
            {
                "positions": np.stack([ONES] * 2),
                "velocities": np.stack([ONES] * 2),
                "scale_factors": [0.5, 0.5],
            },
            InputError,
            "must increase",
        ),
        ({"scale_factors": 1.5}, InputError, "at most 1"),
        ({"box_size": 3 * units.s}, UsageError, "box_size has the wrong unit"),
        ({"box_size": -1.0}, InputError, "must be positive"),
    ],
)
def test_impossible_boxes_are_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    given = {"positions": ONES, "velocities": ONES, "box_size": 2.0, "scale_factors": 1.0, **changes}
    with pytest.raises(error, match=message):
        write_box_snapshots(tmp_path / "box.h5", cosmology=Planck18, **given)
    assert not (tmp_path / "box.h5").exists()


def test_particles_at_one_place_are_measured_all_the_same(tmp_path: Path) -> None:
    x = np.random.default_rng(2).uniform(0, 2.0, (300, 3))
    x[100:200] = x[:100]
    write_box_snapshots(tmp_path / "box.h5", x, np.ones((300, 3)), 2.0, 1.0, Planck18)
    stage.evaluate([tmp_path / "box.h5"], tmp_path / "flow.h5", EvaluateConfig(), Run())
    assert len(QTable.read(tmp_path / "flow.h5", path="catalog")) == 20


def test_what_does_not_fit_a_box_is_refused(folder: Path, tmp_path: Path) -> None:
    start, output = folder / "start.h5", tmp_path / "out.h5"
    with pytest.raises(UsageError, match=r"redshifts: the snapshots must be in order of time"):
        stage.integrate([start], output, run_config(redshifts=[0.0, 1.0]), Run())
    with pytest.raises(UsageError, match="one piece; leave out --chunk"):
        stage.integrate([start], output, run_config(), Run(chunk=Chunk(1, 2)))
    with pytest.raises(UsageError, match="one box is measured at a time"):
        stage.evaluate([start, start], output, EvaluateConfig(), Run())
    with pytest.raises(UsageError, match="half the side"):
        stage.evaluate([start], output, EvaluateConfig(box={"r_max_mpc": SIDE}), Run())
    with pytest.raises(ConfigError, match=r"nbody\.integrate\.box\.mesh"):
        load([], ["nbody.integrate.box.mesh=[64, 64, 32]"])
    with pytest.raises(UsageError, match="no cosmology 'Planck99'"):
        stage.simulate([], output, start_config(cosmology="Planck99"), Run())
    stage.simulate([], tmp_path / "systems.h5", SimulateConfig(n_systems=2), Run())
    with pytest.raises(UsageError, match="one box is measured at a time"):
        stage.evaluate([tmp_path / "systems.h5", start], output, EvaluateConfig(), Run())
    assert not output.exists()


def test_a_box_that_was_changed_is_named(folder: Path, tmp_path: Path) -> None:
    with open_artifact(folder / "box.h5") as artifact:
        box = boxes.read_box(artifact)
        provenance = artifact.provenance
    bad: NDArray[np.float64] = box.snapshots[1].positions.copy()
    bad[7] = SIDE + 1.0
    snapshots = [box.snapshots[0], boxes.Snapshot(1.0, bad, box.snapshots[1].velocities)]
    changed = boxes.Box(box.title, box.cosmology, box.size, snapshots)
    boxes.write_box(tmp_path / "bad.h5", changed, boxes.empty_book(np.array([0.5, 1.0])), provenance)
    with pytest.raises(InputError, match=r"bad\.h5: snapshot 1: particle 7: .* outside the box"):
        stage.evaluate([tmp_path / "bad.h5"], tmp_path / "flow.h5", EvaluateConfig(box={"density": False}), Run())
