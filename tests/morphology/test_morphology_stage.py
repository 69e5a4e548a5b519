import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from astropy.table import QTable
from PIL import Image

from astropipe.artifacts import open_artifact
from astropipe.artifacts.merging import merge
from astropipe.artifacts.schemas.morphology import CLASSES as SCHEMA_CLASSES
from astropipe.artifacts.schemas.morphology import MEASURES, TRUTHS
from astropipe.config.morphology import (
    ClassifyConfig,
    CutConfig,
    EncodeConfig,
    EvaluateConfig,
    SimulateConfig,
    TrainConfig,
)
from astropipe.morphology import stage
from astropipe.morphology.classes import CLASSES
from astropipe.morphology.encoder_artifact import read_encoder
from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.measure_columns import MEASURE_COLUMNS
from astropipe.morphology.rendering.galaxies import TRUTH
from astropipe.morphology.stamp_artifact import stamp_blocks
from astropipe.runtime.errors import InputError, UsageError
from astropipe.runtime.run import Chunk, Run

_N = 120


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stamps, features and catalog of one simulated survey."""
    folder = tmp_path_factory.mktemp("galaxies")
    paths = {name: folder / f"{name}.h5" for name in ("stamps", "features", "galaxies", "metrics")}
    stage.simulate([], paths["stamps"], SimulateConfig(n_galaxies=_N, size=64, snr_low=100, snr_high=400), Run(seed=4))
    stage.encode([paths["stamps"]], paths["features"], EncodeConfig(), Run())
    classify = ClassifyConfig(n_groups=6, n_runs=20)
    stage.classify([paths["features"], paths["stamps"]], paths["galaxies"], classify, Run())
    stage.evaluate([paths["stamps"], paths["galaxies"]], paths["metrics"], EvaluateConfig(), Run())
    return paths


def _table(path: Path) -> QTable:
    return QTable.read(path, path="catalog")


def test_the_schema_knows_what_is_measured() -> None:
    assert [name for name, _, _ in MEASURES] == [column.name for column in MEASURE_COLUMNS]
    assert [unit or "" for _, unit, _ in MEASURES] == [column.unit.replace("flux", "") for column in MEASURE_COLUMNS]
    assert SCHEMA_CLASSES == CLASSES
    assert tuple(name for name, _, _ in TRUTHS) == TRUTH


def test_a_catalog_is_in_the_order_of_the_stamps_and_better_than_chance(survey: dict[str, Path]) -> None:
    stamps, galaxies = _table(survey["stamps"]), _table(survey["galaxies"])
    assert list(stamps["id"]) == list(galaxies["id"])
    found = np.asarray(galaxies["morphology"]).astype(str)
    true = np.asarray(stamps["morphology"]).astype(str)
    told = found != "UNC"
    assert told.mean() > 0.7
    assert np.mean(found[told] == true[told]) > 0.5  # chance is a quarter
    assert ((galaxies["agreement"] >= 0) & (galaxies["agreement"] <= 1)).all()
    probabilities = np.column_stack([galaxies[f"probability_{name.lower()}"] for name in CLASSES])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert galaxies["r_e"].unit == "arcsec"


def test_measured_radii_are_those_of_the_truth(survey: dict[str, Path]) -> None:
    true = _table(survey["stamps"])["r_e"].to_value("arcsec")
    found = _table(survey["galaxies"])["r50"].to_value("pix") * 0.03
    # Blurred radii are larger, by a tenth of them here.
    assert np.corrcoef(np.log(true), np.log(found))[0, 1] > 0.85
    assert 0.9 < np.nanmedian(found / true) < 1.3


def _content(path: Path) -> str:
    with open_artifact(path) as artifact:
        return artifact.content_sha256


def test_chunks_joined_are_the_whole(survey: dict[str, Path], tmp_path: Path) -> None:
    parts = [tmp_path / f"{i}.h5" for i in (1, 2, 3)]
    for i, path in enumerate(parts, start=1):
        stage.encode([survey["stamps"]], path, EncodeConfig(), Run(chunk=Chunk(i, 3)))
    assert merge(parts, tmp_path / "all.h5") == _N
    assert _content(tmp_path / "all.h5") == _content(survey["features"])


def test_simulated_chunks_are_parts_of_one_survey(survey: dict[str, Path], tmp_path: Path) -> None:
    config = SimulateConfig(n_galaxies=_N, size=64, snr_low=100, snr_high=400)
    stage.simulate([], tmp_path / "part.h5", config, Run(seed=4, chunk=Chunk(2, 10)))
    with h5py.File(survey["stamps"]) as whole, h5py.File(tmp_path / "part.h5") as part:
        np.testing.assert_array_equal(whole["images"][12:24], part["images"][()])


def test_an_interrupted_run_goes_on_to_the_same_rows(
    survey: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from astropipe.morphology import stamp_artifact
    from astropipe.runtime.errors import InterruptedRunError

    monkeypatch.setattr(stamp_artifact, "BLOCK", stamp_artifact.BATCH)
    output = tmp_path / "features.h5"
    monkeypatch.setattr(stage, "stop_requested", lambda: True)
    with pytest.raises(InterruptedRunError, match="interrupted after 64 galaxies"):
        stage.encode([survey["stamps"]], output, EncodeConfig(), Run())
    monkeypatch.setattr(stage, "stop_requested", lambda: False)
    stage.encode([survey["stamps"]], output, EncodeConfig(), Run(resume=True))
    assert _content(output) == _content(survey["features"])
    assert not list(tmp_path.glob(".*checkpoint"))


def test_the_metrics_hold_purity_order_and_names(survey: dict[str, Path]) -> None:
    table = _table(survey["metrics"])
    measures = {str(row["measure"]): float(row["value"]) for row in table}
    assert 0 <= measures["kept"] <= 1
    assert measures["purity at 53 % kept"] >= measures["purity of all"] - 0.05
    assert "KS p-value of sersic_index, ETD and LTD" in measures or "median sersic_index of SPH" in measures
    stamps, galaxies = _table(survey["stamps"]), _table(survey["galaxies"])
    with h5py.File(survey["galaxies"]) as file:
        groups = json.loads(file["groups/names"][()])
    names = np.array([each["name"] for each in groups])
    right = names[np.asarray(galaxies["group"])] == np.asarray(stamps["morphology"]).astype(str)
    assert measures["purity of all"] == pytest.approx(right.mean())


def test_pictures_are_classified_in_one_go(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    stage.simulate(
        [], tmp_path / "s.h5", SimulateConfig(n_galaxies=24, size=96, snr_low=200, snr_high=400), Run(seed=1)
    )
    (stamps, _, _), *_ = stamp_blocks(tmp_path / "s.h5")
    for name, image in zip(stamps.ids, stamps.images, strict=True):
        grey = np.clip(np.arcsinh(image / 2) * 35 + 20, 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    Image.fromarray(np.full((96, 96), 7, dtype=np.uint8)).save(folder / "flat.png")
    config = ClassifyConfig(n_groups=4, n_runs=8, cut=CutConfig(size=96))
    stage.classify([folder], tmp_path / "g.h5", config, Run())
    table = _table(tmp_path / "g.h5")
    assert len(table) == 26
    flags = dict(zip(np.asarray(table["id"]).astype(str), np.asarray(table["flags"]), strict=True))
    assert flags["broken"] & GalaxyFlag.UNREADABLE
    assert flags["flat"] & GalaxyFlag.EMPTY
    row = table[np.asarray(table["id"]).astype(str) == "broken"][0]
    assert str(row["morphology"]) == "UNC" and row["group"] == -1
    assert all(flags[name] & GalaxyFlag.STRETCHED for name in stamps.ids)


@pytest.mark.parametrize("encoder", ["harmonics"])
def test_without_a_network(survey: dict[str, Path], tmp_path: Path, encoder: str) -> None:
    encode = EncodeConfig(encoder=encoder)
    stage.encode([survey["stamps"]], tmp_path / "f.h5", encode, Run())
    stage.classify([tmp_path / "f.h5"], tmp_path / "g.h5", ClassifyConfig(n_groups=6, n_runs=10, encode=encode), Run())
    assert len(_table(tmp_path / "g.h5")) == _N


def test_an_encoder_is_trained_interrupted_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from astropipe.morphology import encoder_training
    from astropipe.runtime.errors import InterruptedRunError

    config = TrainConfig(n_galaxies=100, denoiser_steps=3, steps=4, batch=8, n_stamps=100, epochs=2, n_reference=100)
    stage.train([], tmp_path / "a.h5", config, Run(seed=3, device="cpu"))
    steps = iter([False, False, True, True, *[False] * 500])
    monkeypatch.setattr(encoder_training, "stop_requested", lambda: next(steps))
    with pytest.raises(InterruptedRunError, match="interrupted after"):
        stage.train([], tmp_path / "b.h5", config, Run(seed=3, device="cpu"))
    monkeypatch.setattr(encoder_training, "stop_requested", lambda: False)
    stage.train([], tmp_path / "b.h5", config, Run(seed=3, device="cpu", resume=True))
    one, other = (read_encoder(tmp_path / name) for name in ("a.h5", "b.h5"))
    for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=2e-3)
    assert one.reference is not None and set(one.reference.classes) == set(CLASSES)
    again = config.model_copy(update={"encoder": str(tmp_path / "a.h5"), "epochs": 3})
    stage.train([], tmp_path / "c.h5", again, Run(seed=3, device="cpu"))
    other = read_encoder(tmp_path / "c.h5")
    for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    assert not torch.equal(one.reader.embed.weight, other.reader.embed.weight)


def test_wrong_inputs_are_named(survey: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stamps\.h5.*give pictures"):
        stage.cut([survey["stamps"]], tmp_path / "x.h5", CutConfig(), Run())
    with pytest.raises(InputError, match="no such file or folder"):
        stage.encode([survey["stamps"]], tmp_path / "x.h5", EncodeConfig(encoder="absent.h5"), Run())
    with pytest.raises(UsageError, match="several galaxy-features"):
        stage.classify([survey["features"]] * 2, tmp_path / "x.h5", ClassifyConfig(), Run())
    with pytest.raises(UsageError, match="pairs of files"):
        stage.evaluate([survey["stamps"]], tmp_path / "x.h5", EvaluateConfig(), Run())
    with pytest.raises(InputError, match="too few for 100 groups"):
        stage.classify([survey["features"]], tmp_path / "x.h5", ClassifyConfig(n_groups=100), Run())
    assert not (tmp_path / "x.h5").exists()


def test_names_of_groups_from_a_table(survey: dict[str, Path], tmp_path: Path) -> None:
    names = tmp_path / "names.yaml"
    names.write_text("0: IRR\n", encoding="utf-8")
    config = ClassifyConfig(n_groups=6, n_runs=20, names=str(names))
    stage.classify([survey["features"]], tmp_path / "g.h5", config, Run())
    with h5py.File(tmp_path / "g.h5") as file:
        assert json.loads(file["groups/names"][()])[0]["name"] == "IRR"
