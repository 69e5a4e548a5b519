"""The training of an emulator on a small grid of spectra whose lines are known by formula, then on more stars."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.config.spectra import TrainConfig
from astropipe.runtime.errors import InputError
from astropipe.runtime.run import Run
from astropipe.spectra import emulator_artifact, stage
from astropipe.spectra.emulator import INPUT_NAMES, read_emulator
from astropipe.spectra.emulator_grid import LearnedStars, read_grid, read_learned
from astropipe.spectra.synthesis import __main__ as recipe
from astropipe.spectra.synthesis import grid
from astropipe.spectra.synthesis.grid_labels import draw_star
from astropipe.spectra.synthesis.windows import WINDOWS_AIR_A, air_grid

N_POPULATION, N_ALL = 280, 520
SMALL = {
    "n_components": 20,
    "n_subset": 80,
    "iterations": 2,
    "n_stars": 4000,
    "epochs": 4,
    "n_calibration": 40,
    "n_start": 1000,
}
COOL_K = 5000.0
# A line for each label in either arm, whose depth follows it from one end of its range to the other.
CENTRES_A = {arm: np.linspace(low + 30.0, high - 30.0, len(INPUT_NAMES)) for arm, (low, high) in WINDOWS_AIR_A.items()}
MIDDLE = np.array([5200.0, 3.0, *[-0.4] * 15, 1.4])
SPREAD = np.array([1500.0, 2.0, *[1.5] * 15, 1.0])


def spectrum(labels: np.ndarray, arm: str) -> np.ndarray:
    """Return the lines of a star."""
    depth = 0.2 + 0.15 * np.tanh((labels - MIDDLE) / SPREAD)
    profiles = np.exp(-0.5 * ((air_grid(arm)[:, None] - CENTRES_A[arm]) / 0.8) ** 2)
    return 1.0 - profiles @ depth


def write_grid(folder: Path, name: str, indices: list[int]) -> Path:
    """Write spectra of these stars as a grid; those after the population are made if they are cool."""
    work = folder / name
    work.mkdir()
    for index in indices:
        star = draw_star(index)
        if index < N_POPULATION or star.labels[0] < COOL_K:
            flux = {arm: spectrum(star.labels, arm) for arm in WINDOWS_AIR_A}
            grid._save(grid.spectrum_file(work, index), star, flux, 0, "ok")
    path = folder / f"{name}.h5"
    population = ["--population", str(N_POPULATION)]
    assert recipe.main(["gather", str(work), "--output", str(path), *population]) == 0
    return path


def train(grid_file: Path, output: Path, **settings: object) -> None:
    stage.train([grid_file], output, TrainConfig(**(SMALL | settings)), Run(seed=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emulator")
    write_grid(folder, "first", list(range(N_POPULATION)))
    # All that tell errors, and further cool stars.
    write_grid(folder, "more", [*range(200, N_POPULATION), *range(N_POPULATION, N_ALL)])
    train(folder / "first.h5", folder / "emulator.h5")
    return folder


def test_the_last_stars_of_the_population_tell_errors_and_the_cool_ones_are_learned(folder: Path) -> None:
    read = read_grid(folder / "more.h5", SMALL["n_calibration"])
    assert read.calibration.sum() == SMALL["n_calibration"]
    assert read.index[read.calibration].max() < N_POPULATION
    assert set(read.index[~read.population]) == {
        index for index in range(N_POPULATION, N_ALL) if draw_star(index).labels[0] < COOL_K
    }
    assert not (read.learned & (read.held_out | read.calibration)).any()
    assert read.learned[~read.population & ~read.held_out].all()


def test_an_emulator_follows_spectra_that_it_has_not_seen(folder: Path) -> None:
    read = read_grid(folder / "first.h5", SMALL["n_calibration"])
    emulator = read_emulator(folder / "emulator.h5")
    with torch.no_grad():
        found = emulator.spectra(torch.from_numpy(read.labels[read.held_out]).float()).numpy()
    error = np.sqrt(np.mean((found - read.spectra[read.held_out]) ** 2))
    spread = np.sqrt(np.mean((read.spectra[read.held_out] - read.spectra.mean(0)) ** 2))
    assert error < 0.2 * spread
    with open_artifact(folder / "emulator.h5", "spectrum-emulator") as artifact:
        scores = {row["measure"]: row["value"] for row in artifact.table()}
    n_held_out = int(read.held_out.sum())
    assert scores["spectra held out"] == n_held_out
    assert scores[f"rms, all ({n_held_out})"] == pytest.approx(100.0 * error, rel=1e-3)


def test_the_stars_that_were_learned_from_come_with_the_emulator(folder: Path) -> None:
    read = read_grid(folder / "first.h5", SMALL["n_calibration"])
    stars = read_learned(folder / "emulator.h5")
    np.testing.assert_allclose(stars.labels, read.labels[read.learned], rtol=1e-6)
    # Of single precision, but for what half precision and the components leave out.
    assert np.abs(stars.spectra - read.spectra[read.learned]).max() < 2e-3


def test_an_emulator_learns_on_from_more_stars(folder: Path) -> None:
    output = folder / "extended.h5"
    train(folder / "more.h5", output, extend=str(folder / "emulator.h5"))
    first = read_learned(folder / "emulator.h5")
    more = read_grid(folder / "more.h5", SMALL["n_calibration"])
    stars = read_learned(output)
    new = ~first.among(more.labels) & more.learned
    assert 0 < new.sum() < more.learned.sum()
    assert len(stars) == len(first) + new.sum()
    with open_artifact(output, "spectrum-emulator") as artifact:
        network = artifact.record("training")["network"]
        record = artifact.provenance
        measures = set(artifact.table()["measure"])
    assert network["spectra"] == len(stars)
    assert network["of_them_from_an_earlier_emulator"] == len(first)
    assert record.config["spectra"]["train"]["extend"] == "emulator.h5"
    assert not record.inputs
    chosen = int((more.held_out & ~more.population).sum())
    assert chosen > 0
    assert f"rms, all ({chosen}), of stars chosen for their temperature" in measures


@pytest.mark.parametrize("setting", ["extend", "emulator"])
def test_a_star_that_was_learned_from_cannot_tell_errors(
    setting: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not after hours of training.
    monkeypatch.delattr(emulator_artifact, "_train_network")
    settings = {setting: str(folder / "emulator.h5"), "n_calibration": 70}
    with pytest.raises(InputError, match=r"which is to tell errors, .* lower spectra\.train\.n_calibration"):
        train(folder / "more.h5", folder / "never.h5", **settings)
    assert not (folder / "never.h5").exists()


def test_an_emulator_without_its_stars_cannot_be_extended(folder: Path, provenance: Provenance) -> None:
    old = folder / "old.h5"
    with open_artifact(folder / "emulator.h5", "spectrum-emulator") as artifact:
        weights = {name: artifact.array(f"weights/{name}") for name in artifact.file["weights"]}
        texts = {name: artifact.record(name) for name in ("architecture", "training", "domain")}
        table = artifact.table()
    with create_artifact(old, "spectrum-emulator", title="old", provenance=provenance) as new:
        new.write_table(table)
        for name, values in weights.items():
            if not name.startswith("learned-"):
                new.write_array(f"weights/{name}", values)
        for name, value in texts.items():
            new.write_text(name, json.dumps(value))
    with pytest.raises(InputError, match=r"old\.h5: it does not have the stars that it learned from; train from the"):
        train(folder / "more.h5", folder / "never.h5", extend=str(old))


def test_keeping_a_network_and_training_one_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="set one of them to null"):
        TrainConfig(extend="a.h5", emulator="b.h5")


def test_stars_are_counted_once() -> None:
    labels = np.stack([draw_star(index).labels for index in range(4)])
    spectra = np.arange(12, dtype=np.float32).reshape(4, 3)
    stars = LearnedStars(labels[:3], spectra[:3]) + LearnedStars(labels[1:], spectra[1:])
    np.testing.assert_array_equal(stars.labels, labels)
    np.testing.assert_array_equal(stars.spectra, spectra)
    # As they come back from single precision.
    assert stars.among(labels.astype(np.float32).astype(np.float64)).all()
