"""``astropipe nbody train`` with ``policy: paper``: settings, artifact, interruption."""

from __future__ import annotations

import os
import signal
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from astropipe.artifacts import open_artifact
from astropipe.config import load
from astropipe.config.nbody import DEFECTS, TrainConfig
from astropipe.nbody import stage
from astropipe.nbody.paper import records
from astropipe.nbody.paper.records import policy_of
from astropipe.nbody.paper.task import AS_PUBLISHED, MENDED
from astropipe.nbody.paper.verb import agent_config
from astropipe.runtime.errors import ConfigError, InterruptedRunError, MissingDependencyError, UsageError
from astropipe.runtime.interruption import listening
from astropipe.runtime.progress import NoProgress
from astropipe.runtime.run import Run

SHORT = TrainConfig(policy="paper", episodes=3, defects=("seed_frozen",))
WEIGHTS = ("first", "first_bias", "hidden", "hidden_bias", "last", "last_bias")


@pytest.fixture(autouse=True)
def few_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score on few systems: an untaught network may take the smallest mu throughout."""
    monkeypatch.setattr(records, "PAPER_SEEDS", range(2))
    monkeypatch.setattr(records, "HELD_OUT_SEEDS", range(1000, 1002))


def test_the_defects_of_the_settings_are_those_of_the_task() -> None:
    assert tuple(asdict(AS_PUBLISHED)) == DEFECTS
    assert agent_config(TrainConfig()).task.defects == AS_PUBLISHED
    assert agent_config(TrainConfig(defects=())).task.defects == MENDED
    for name in DEFECTS:
        assert agent_config(TrainConfig(defects=(name,))).task.defects == replace(MENDED, **{name: True})


def test_a_wrong_defect_is_told_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"nbody\.train\.defects.*'epsilon_restart'; did you mean 'epsilon_restarts'"):
        load([], ["nbody.train.defects=[raw_state, epsilon_restart]"])
    with pytest.raises(ConfigError, match=r"nbody\.train\.defects"):
        load([], ["nbody.train.defects=raw_state"])


def test_the_order_of_the_defects_changes_nothing() -> None:
    train = load([], ["nbody.train.defects=[raw_state, seed_frozen, raw_state]"]).nbody.train
    assert train.defects == ("seed_frozen", "raw_state")


@pytest.mark.parametrize(
    ("defects", "title"),
    [
        (DEFECTS, "as published, seed 5"),
        ((), "all mended, seed 5"),
        (("raw_state",), "kept: raw state, seed 5"),
        (DEFECTS[1:], "mended: epsilon restarts, seed 5"),
    ],
)
def test_the_artifact_holds_the_training(tmp_path: Path, defects: tuple[str, ...], title: str) -> None:
    path = tmp_path / "policy.h5"
    config = TrainConfig(policy="paper", episodes=1, defects=defects)
    said = stage.train([], path, config, Run(seed=5))
    assert said == f"{title}, 1 episodes"
    with open_artifact(path, "policy") as artifact:
        network, task = policy_of(
            {name: artifact.array(f"weights/{name}") for name in WEIGHTS}, artifact.text("architecture")
        )
        assert artifact.title == title
        assert (network.first.shape, network.n_hidden) == ((13, 200), 9)
        assert task == agent_config(config).task
        np.testing.assert_array_equal(artifact.array("curve/episode"), [1])
        np.testing.assert_array_equal(artifact.array("curve/decisions"), [100])
        assert artifact.array("tests/return").shape == (1,)
        assert "error_p50, seeds 1000-1001" in list(artifact.table()["measure"])
        provenance = artifact.provenance
    assert provenance.seed == 5 and "SazUlibarrena2025" in provenance.citations
    assert {"torch", "stable-baselines3"} <= set(provenance.packages)


def test_a_terminated_training_goes_on_to_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "whole").mkdir()
    stage.train([], folder / "whole" / "policy.h5", SHORT, Run(seed=2))
    output = folder / "policy.h5"
    done = []

    def terminate_after_two(self: NoProgress, episodes: float, note: str = "") -> None:
        done.append(episodes)
        if done == [1, 2]:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(NoProgress, "update", terminate_after_two)
    with listening(), pytest.raises(InterruptedRunError, match="after 2 of 3 episodes"):
        stage.train([], output, SHORT, Run(seed=2))
    assert not output.exists()
    with pytest.raises(UsageError, match="another input, configuration or seed"):
        stage.train([], output, SHORT, Run(seed=3, resume=True))
    stage.train([], output, SHORT, Run(seed=2, resume=True))
    assert done == [1, 2, 3], "finished episodes must not be played again"
    assert output.read_bytes() == (folder / "whole" / "policy.h5").read_bytes()
    assert not list(folder.glob(".*checkpoint*"))


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_torch(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(stage.importlib, "import_module", no_torch)
    with pytest.raises(MissingDependencyError, match=r"needs torch; install it with .*training"):
        stage.train([], tmp_path / "policy.h5", SHORT, Run())
