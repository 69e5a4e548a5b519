"""RRNet and StarNet trained on small surveys: resumed trainings, artifacts, and labels from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from astropipe.artifacts import open_artifact
from astropipe.config.spectra import NetworkTrainConfig, PredictConfig, SimulateConfig, TrainConfig
from astropipe.runtime import interruption
from astropipe.runtime.errors import InputError, InterruptedRunError
from astropipe.runtime.run import Chunk, Run, checkpoint_path
from astropipe.spectra import stage
from astropipe.spectra.flags import SpectrumFlag
from astropipe.spectra.labels import LABEL_NAMES
from astropipe.spectra.paper import training
from astropipe.spectra.paper.samples import network_inputs
from astropipe.spectra.pixels import N_PIXELS, arm_slices, wavelengths_a

SMALL = NetworkTrainConfig(members=1, epochs=2, batch=16)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / "spectra.h5"
    stage.simulate([], path, SimulateConfig(n_spectra=48, missing_arm_rate=0.0, gap_rate=0.0, snr_low=50), Run(seed=2))
    return path


@pytest.fixture(scope="module")
def networks(survey: Path) -> Path:
    path = survey.with_name("starnet.h5")
    stage.train([survey], path, TrainConfig(model="starnet", network=SMALL), Run(seed=4))
    return path


def test_inputs_are_at_rest_and_masked_pixels_are_bridged() -> None:
    wavelength = wavelengths_a()
    line = 1.0 - 0.5 * np.exp(-0.5 * ((wavelength - 5100.0 * (1.0 + 100.0 / 299_792.458)) / 0.5) ** 2)
    flux = np.stack([line, line])
    ivar = np.ones((2, N_PIXELS))
    flux[1, 1000:1003], ivar[1, 1000:1003] = 0.0, 0.0
    inputs, usable = network_inputs(flux, ivar, np.full(2, 100.0))
    assert usable.all()
    # 0.1 Angstrom a pixel from 4968: the line at rest.
    assert np.argmin(inputs[0, :3600]) == pytest.approx(1320, abs=1)
    np.testing.assert_allclose(inputs[1], inputs[0], atol=2e-3)


def test_what_networks_cannot_take_is_said() -> None:
    flux, ivar = np.ones((3, N_PIXELS)), np.ones((3, N_PIXELS))
    ivar[0, arm_slices()["red"]] = 0.0
    ivar[1, 500:1500] = 0.0
    _, usable = network_inputs(flux, ivar, np.array([0.0, 0.0, 5_000.0]))
    assert usable.tolist() == [False, False, False]


def test_a_resumed_training_ends_as_one_without_a_stop(
    survey: Path, networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, config = tmp_path / "n.h5", TrainConfig(model="starnet", network=SMALL)
    for stops in ([True], [False, False, True]):
        answers = iter(stops)
        monkeypatch.setattr(training, "stop_requested", lambda answers=answers: next(answers, False))
        if stops == [True]:
            with pytest.raises(InterruptedRunError, match="interrupted in epoch 1 of SP-0"):
                stage.train([survey], output, config, Run(seed=4))
        else:
            # One more epoch of the first network, then one of the second.
            with pytest.raises(InterruptedRunError, match="of CA-0"):
                stage.train([survey], output, config, Run(seed=4, resume=True))
        assert checkpoint_path(output).exists()
    monkeypatch.setattr(training, "stop_requested", interruption.stop_requested)
    stage.train([survey], output, config, Run(seed=4, resume=True))
    assert not checkpoint_path(output).exists()
    with open_artifact(networks) as whole, open_artifact(output) as parts:
        assert whole.content_sha256 == parts.content_sha256


def test_the_artifact_tells_sizes_and_losses(networks: Path) -> None:
    with open_artifact(networks, "spectral-network") as artifact:
        scores = {str(row["measure"]): float(row["value"]) for row in artifact.table()}
        losses = artifact.text("training")
    # 7.4 million weights a group: convolutions, 28,800 features to 256, 128, and mean and variance of the labels.
    assert scores["parameters"] == pytest.approx(2 * 7.41e6, rel=0.01)
    assert sum(name.startswith("rms of") for name in scores) == len(LABEL_NAMES)
    assert '"SP-0": [[' in losses


def test_labels_by_a_network_are_a_catalog(survey: Path, networks: Path, tmp_path: Path) -> None:
    stage.predict([survey], tmp_path / "stars.h5", PredictConfig(network=str(networks)), Run())
    with open_artifact(tmp_path / "stars.h5", "stellar-catalog") as artifact, open_artifact(survey) as truth:
        table, rv = artifact.table(), truth.table()["rv"]
        assert "covariance" not in artifact.file
    assert np.isfinite(table["t_eff"].value).all()
    assert np.all(table["fe_h_err"] > 0.0)
    assert np.median(np.abs((table["rv"] - rv).to_value("km/s"))) < 1.0
    stage.predict([survey], tmp_path / "part.h5", PredictConfig(network=str(networks)), Run(chunk=Chunk(2, 3)))
    with open_artifact(tmp_path / "part.h5") as artifact:
        part = artifact.table()
    rows = Chunk(2, 3).rows(len(table))
    for name in ("t_eff", "rv", "c_h_err"):
        np.testing.assert_array_equal(part[name], table[name][rows], err_msg="chunks do not change a bit")


def test_spectra_without_an_arm_have_no_labels_by_a_network(networks: Path, tmp_path: Path) -> None:
    survey = tmp_path / "spectra.h5"
    stage.simulate([], survey, SimulateConfig(n_spectra=4, missing_arm_rate=1.0), Run(seed=2))
    stage.predict([survey], tmp_path / "stars.h5", PredictConfig(network=str(networks)), Run())
    with open_artifact(tmp_path / "stars.h5") as artifact:
        table = artifact.table()
    assert np.all(np.asarray(table["flags"]) & SpectrumFlag.NOT_FOR_NETWORK)
    assert np.isnan(table["t_eff"].value).all()


def test_a_survey_that_networks_cannot_use_is_named(tmp_path: Path) -> None:
    survey = tmp_path / "spectra.h5"
    stage.simulate([], survey, SimulateConfig(n_spectra=25, missing_arm_rate=1.0), Run(seed=2))
    with pytest.raises(InputError, match=r"spectra\.h5: 0 of 25 spectra can be used"):
        stage.train([survey], tmp_path / "n.h5", TrainConfig(model="rrnet", network=SMALL), Run())
