"""The learned choice of eta: what it does to steps, where it comes from, what it saves, how it is trained."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from astropipe.artifacts import open_artifact
from astropipe.config.clusters import ClusterRunConfig, ClusterStartConfig
from astropipe.config.nbody import IntegrateConfig, SimulateConfig, TrainConfig
from astropipe.nbody import evolution, pausing, stage, total_energy
from astropipe.nbody.clusters import Controls, EtaPolicy, make_cluster, shipped_eta_policy
from astropipe.nbody.clusters.accuracy import HIGHEST, LOWEST, SHAPE, dynamical_time, read_eta_policy
from astropipe.nbody.clusters.eta_training import EtaTask
from astropipe.nbody.clusters.run import ClusterRun
from astropipe.runtime.errors import ArtifactError, InterruptedRunError
from astropipe.runtime.run import Run
from astropipe.runtime.shipped import weights_file

NO_PAIRS = {"pair_disturbance": 0.0}
START = ClusterStartConfig(n_stars=40, masses="kroupa")


def policy(factor: float, *exponents: float, target: float = 1e-7) -> EtaPolicy:
    weights = np.zeros(SHAPE)
    weights[:, 0] = math.log(factor), *(exponents or (0.0, 0.0, 0.0))
    return EtaPolicy(weights, target)


def run_of(cluster: Any, t_end: float, **controls: Any) -> ClusterRun:
    run = ClusterRun(cluster.masses, cluster.positions, cluster.velocities, Controls(**controls))
    run.advance(t_end)
    return run


def test_a_policy_without_exponents_is_a_fixed_eta() -> None:
    cluster = make_cluster(START, 1)
    chosen = run_of(cluster, 0.5, eta_policy=policy(0.02))
    eta = chosen.stars.eta[0]
    assert eta == pytest.approx(0.02, rel=1e-12)
    again = run_of(cluster, 0.5, eta=eta, eta_policy=policy(0.02))
    fixed = run_of(cluster, 0.5, eta=eta)
    np.testing.assert_array_equal(again.phase().positions, fixed.phase().positions)
    assert again.star_forces == fixed.star_forces


def test_eta_is_the_power_law_of_what_a_star_shows() -> None:
    """At the end of a macro step all stars stand at one time, with forces that a sum over pairs gives as well."""
    cluster = make_cluster(START, 2)
    exponents = np.array([-0.2, 0.1, -0.3])
    run = run_of(cluster, 0.0625, eta_policy=policy(0.01, *exponents), **NO_PAIRS)
    (x, v), m = run.phase(), cluster.masses
    dx, dv = x[None] - x[:, None], v[None] - v[:, None]
    r = np.linalg.norm(dx, axis=2)
    np.fill_diagonal(r, np.inf)
    pull = (m / r**3)[..., None]
    a = np.linalg.norm((pull * dx).sum(axis=1), axis=1)
    j = np.linalg.norm((pull * (dv - 3.0 * ((dx * dv).sum(axis=2) / r**2)[..., None] * dx)).sum(axis=1), axis=1)
    energy = abs(float(total_energy(m, cluster.positions, cluster.velocities))) / len(m)
    stake = m * np.linalg.norm(v, axis=1) * a * (a / j) / energy
    time = a / j / dynamical_time(m, cluster.positions)
    wanted = 0.01 * stake ** exponents[0] * time ** exponents[1] * (m / m.mean()) ** exponents[2]
    # It was chosen with the forces at the predicted place, and the velocity at the start of the step.
    np.testing.assert_allclose(run.stars.eta, np.clip(wanted, LOWEST, HIGHEST), rtol=0.1)


def test_eta_does_not_depend_on_units_and_axes() -> None:
    cluster = make_cluster(START, 3)
    turn = Rotation.random(random_state=1).as_matrix()
    length, mass = 7.0, 0.3
    scaled = ClusterRun(
        mass * cluster.masses,
        length * cluster.positions @ turn,
        math.sqrt(mass / length) * cluster.velocities @ turn,
        Controls(eta_policy=policy(0.01, -0.2, 0.1, -0.3), longest_step=0.0625 * math.sqrt(length**3 / mass)),
    )
    scaled.advance(0.0625 * math.sqrt(length**3 / mass))
    plain = run_of(cluster, 0.0625, eta_policy=policy(0.01, -0.2, 0.1, -0.3))
    np.testing.assert_allclose(scaled.stars.eta, plain.stars.eta, rtol=1e-6)
    assert scaled.star_forces == plain.star_forces


def test_the_shipped_policy_tells_where_it_comes_from() -> None:
    with open_artifact(weights_file("nbody-cluster-eta.h5"), "policy") as artifact:
        training = json.loads(artifact.text("training"))
        scores = {row["measure"]: row["value"] for row in artifact.table()}
    assert (training["seed"], training["generations"]) == (1, 60)
    assert scores["cost over that of a fixed eta"] < 1.0
    assert np.isfinite(shipped_eta_policy()).all()


def test_errors_follow_the_target() -> None:
    """Clusters that the training has not seen: most hold their target, and a tighter one costs more."""
    clusters = [make_cluster(ClusterStartConfig(n_stars=64), seed) for seed in range(8)]
    forces = []
    for target in (1e-5, 1e-7):
        held = 0
        forces.append(0)
        for cluster in clusters:
            run = run_of(cluster, 2.0, eta_policy=EtaPolicy(shipped_eta_policy(), target))
            before = float(total_energy(cluster.masses, cluster.positions, cluster.velocities))
            error = abs(float(total_energy(cluster.masses, *run.phase())) / before - 1.0)
            held += error < target * 2.0 / dynamical_time(cluster.masses, cluster.positions)
            forces[-1] += run.star_forces
        assert held >= 5
    assert forces[1] > 1.3 * forces[0]


def _settings(**changes: Any) -> IntegrateConfig:
    cluster = ClusterRunConfig(eta="learned", energy_target=1e-6, n_snapshots=3)
    return IntegrateConfig(t_end=0.5, cluster=cluster, **changes)


@pytest.fixture
def start(tmp_path: Path) -> Path:
    cluster = ClusterStartConfig(n_stars=40, n_massless=20)
    stage.simulate([], tmp_path / "start.h5", SimulateConfig(family="cluster", cluster=cluster), Run(seed=1))
    return tmp_path / "start.h5"


def test_interrupted_and_resumed_gives_the_same_bytes(
    tmp_path: Path, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    stage.integrate([start], tmp_path / "whole" / "run.h5", _settings(), Run())
    monkeypatch.setattr(pausing, "_FIRST_SPELL", 20_000)
    monkeypatch.setattr(pausing, "_SHORT_S", 0.0)
    looks = iter(range(1, 10**9))
    monkeypatch.setattr(pausing, "stop_requested", lambda: next(looks) == 3)
    with pytest.raises(InterruptedRunError):
        stage.integrate([start], tmp_path / "run.h5", _settings(), Run())
    stage.integrate([start], tmp_path / "run.h5", _settings(), Run(resume=True))
    assert (tmp_path / "run.h5").read_bytes() == (tmp_path / "whole" / "run.h5").read_bytes()
    with open_artifact(tmp_path / "run.h5") as run:
        assert "nbody-cluster-eta.h5" in str(run.provenance)


def test_another_policy_is_refused(tmp_path: Path, start: Path) -> None:
    other = str(weights_file("nbody-timestep.h5"))
    with pytest.raises(ArtifactError, match=r"nbody-timestep\.h5.*does not choose eta.*policy=cluster-eta"):
        stage.integrate([start], tmp_path / "run.h5", _settings(policy=other), Run())


def test_a_training_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astropipe.nbody.clusters.eta_training._SCORE_SYSTEMS", 1)
    monkeypatch.setattr(EtaTask, "check_systems", 1)
    config = TrainConfig(policy="cluster-eta", generations=3, population=4, systems=1)
    stage.train([], tmp_path / "whole.h5", config, Run(seed=3))
    looks = iter(range(10**9))
    monkeypatch.setattr(evolution, "stop_requested", lambda: next(looks) == 2)
    with pytest.raises(InterruptedRunError, match="after 2 of 3 generations"):
        stage.train([], tmp_path / "part.h5", config, Run(seed=3))
    stage.train([], tmp_path / "part.h5", config, Run(seed=3, resume=True))
    assert (tmp_path / "part.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert read_eta_policy(tmp_path / "part.h5").shape == SHAPE
