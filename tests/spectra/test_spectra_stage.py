"""The verbs: a survey simulated, predicted and evaluated; order, chunks, resumption, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from lamost_files import coadds, write

from astropipe.artifacts import open_artifact
from astropipe.artifacts.merging import merge
from astropipe.artifacts.verification import verify
from astropipe.config.spectra import EvaluateConfig, PredictConfig, SimulateConfig
from astropipe.runtime import interruption
from astropipe.runtime.errors import ArtifactError, InputError, InterruptedRunError, UsageError
from astropipe.runtime.run import Chunk, Run, checkpoint_path
from astropipe.spectra import measure, read_spectra, sources, stage
from astropipe.spectra.flags import SpectrumFlag

N = 40


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("survey") / "spectra.h5"
    stage.simulate([], path, SimulateConfig(n_spectra=N, missing_arm_rate=0.1), Run(seed=3))
    return path


@pytest.fixture(scope="module")
def catalog(survey: Path) -> Path:
    path = survey.with_name("stars.h5")
    stage.predict([survey], path, PredictConfig(), Run())
    return path


def test_the_catalog_has_all_stars_in_order_with_their_errors(survey: Path, catalog: Path) -> None:
    with open_artifact(survey) as spectra, open_artifact(catalog) as stars:
        truth, table = spectra.table(), stars.table()
        covariance = stars.array("covariance")
    assert list(table["id"]) == list(truth["id"])
    np.testing.assert_allclose(
        np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))[:, 0], table["t_eff_err"].to_value("K"), rtol=1e-5
    )
    assert np.abs((table["t_eff"] - truth["t_eff"]).to_value("K")).max() < 600.0
    pull = ((table["rv"] - truth["rv"]) / table["rv_err"]).value
    assert np.mean(np.abs(pull) < 3.0) > 0.9
    # Potassium has no line here and is never measured; iron is.
    measured = np.asarray(table["measured"])
    assert np.mean((measured >> 10) & 1) < 0.05
    assert np.mean((measured >> 2) & 1) > 0.9


def test_evaluation_knows_the_coverage(survey: Path, catalog: Path, tmp_path: Path) -> None:
    stage.evaluate([survey, catalog], tmp_path / "m.h5", EvaluateConfig(snr_edges=(5.0, 400.0)), Run())
    with open_artifact(tmp_path / "m.h5", "metrics") as artifact:
        table = artifact.table()
    values = {str(row["measure"]): float(row["value"]) for row in table}
    coverage = [value for name, value in values.items() if "coverage 68" in name]
    assert len(coverage) == 18
    assert np.mean(coverage) == pytest.approx(0.68, abs=0.12)


def test_evaluation_refuses_files_that_do_not_belong_together(survey: Path, catalog: Path, tmp_path: Path) -> None:
    stage.simulate([], tmp_path / "other.h5", SimulateConfig(n_spectra=5), Run())
    with pytest.raises(InputError, match="the ids differ"):
        stage.evaluate([tmp_path / "other.h5", catalog], tmp_path / "m.h5", EvaluateConfig(), Run())
    with pytest.raises(UsageError, match="pairs of files"):
        stage.evaluate([survey], tmp_path / "m.h5", EvaluateConfig(), Run())


def test_chunks_are_the_whole(survey: Path, catalog: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"{i}.h5" for i in (1, 2, 3)]
    for i, part in enumerate(parts, start=1):
        stage.predict([survey], part, PredictConfig(), Run(chunk=Chunk(i, 3)))
    merge(parts, tmp_path / "merged.h5")
    with open_artifact(tmp_path / "merged.h5") as merged, open_artifact(catalog) as whole:
        assert list(merged.table()["id"]) == list(whole.table()["id"])
        error = whole.table()["t_eff_err"].value
        # Batches are cut elsewhere, which changes the last digits of sums.
        difference = (merged.table()["t_eff"] - whole.table()["t_eff"]).value
        assert np.abs(difference / error).max() < 0.05


def test_an_interrupted_prediction_goes_on(
    survey: Path, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BLOCK", 16)
    output = tmp_path / "stars.h5"
    stops = iter([False, False, True, True])
    monkeypatch.setattr(stage, "stop_requested", lambda: next(stops, False))
    with pytest.raises(InterruptedRunError, match="interrupted after 32 spectra"):
        stage.predict([survey], output, PredictConfig(), Run())
    assert checkpoint_path(output).exists()
    monkeypatch.setattr(stage, "stop_requested", interruption.stop_requested)
    stage.predict([survey], output, PredictConfig(), Run(resume=True))
    assert not checkpoint_path(output).exists()
    with open_artifact(output) as again, open_artifact(catalog) as whole:
        assert list(again.table()["id"]) == list(whole.table()["id"])


def test_threads_do_not_change_a_bit(survey: Path, catalog: Path, tmp_path: Path) -> None:
    stage.predict([survey], tmp_path / "two.h5", PredictConfig(), Run(threads=2))
    with h5py.File(tmp_path / "two.h5") as two, h5py.File(catalog) as one:
        np.testing.assert_array_equal(two["covariance"][()], one["covariance"][()])


def test_one_bad_file_is_a_flagged_row_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.fits", *coadds(), OBSID=1)
    (tmp_path / "b.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:20_000])
    write(tmp_path / "c.fits", *coadds("R"), OBSID=3)
    stage.predict([tmp_path], tmp_path / "stars.h5", PredictConfig(), Run())
    with open_artifact(tmp_path / "stars.h5") as artifact:
        table = artifact.table()
    assert list(table["id"]) == ["1-coadd", "b.fits", "3-coadd"]
    assert int(table["flags"][1]) == SpectrumFlag.UNREADABLE
    assert np.isnan(table["t_eff"][1])
    assert int(table["flags"][2]) & SpectrumFlag.MISSING_BLUE
    # A straight line with noise is no star.
    assert int(table["flags"][0]) != 0
    assert "b.fits" in capsys.readouterr().err


def test_chunks_of_a_folder_are_the_whole_and_those_of_another_folder_are_refused(tmp_path: Path) -> None:
    folder, other = tmp_path / "night", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    for number in range(5):
        write(folder / f"{number}.fits", *coadds(), OBSID=number)
        write(other / f"{number + 1}.fits", *coadds(), OBSID=number + 1)
    parts = [tmp_path / f"{index}-of-2.h5" for index in (1, 2)]
    for index, part in enumerate(parts, start=1):
        stage.predict([folder], part, PredictConfig(), Run(chunk=Chunk(index, 2)))
    merge(parts, tmp_path / "merged.h5")
    stage.predict([folder], tmp_path / "whole.h5", PredictConfig(), Run())
    with open_artifact(tmp_path / "merged.h5") as merged, open_artifact(tmp_path / "whole.h5") as whole:
        assert list(merged.table()["id"]) == list(whole.table()["id"]) == [f"{number}-coadd" for number in range(5)]
        np.testing.assert_allclose(merged.table()["rv"].value, whole.table()["rv"].value, atol=1e-3)
    assert {finding.state for finding in verify([tmp_path / "merged.h5"], [tmp_path, folder])} == {"ok"}
    stage.predict([other], parts[1], PredictConfig(), Run(chunk=Chunk(2, 2), force=True))
    with pytest.raises(InputError, match="content hash of input 1"):
        merge(parts, tmp_path / "mixed.h5")


def test_nothing_readable_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_text("no fits")
    with pytest.raises(InputError, match="none of the 1 files"):
        stage.predict([tmp_path], tmp_path / "stars.h5", PredictConfig(), Run())
    assert not (tmp_path / "stars.h5").exists()


def test_spectra_without_pixels_are_flagged(survey: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spectra.h5"
    stage.simulate([], spoilt, SimulateConfig(n_spectra=3, masked_fraction=0.0, missing_arm_rate=1.0), Run(seed=1))
    stage.predict([spoilt], tmp_path / "stars.h5", PredictConfig(), Run())
    with open_artifact(tmp_path / "stars.h5") as artifact:
        flags = np.asarray(artifact.table()["flags"])
    assert np.all(flags & (SpectrumFlag.MISSING_BLUE | SpectrumFlag.MISSING_RED) != 0)


def test_other_artifacts_are_refused(catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="needs 'spectra'"):
        stage.predict([catalog], tmp_path / "stars.h5", PredictConfig(), Run())


def test_an_empty_chunk_is_named(survey: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="chunk 1/5 is empty"):
        stage.simulate([], tmp_path / "a.h5", SimulateConfig(n_spectra=2), Run(chunk=Chunk(1, 5)))


def test_one_star_in_python(tmp_path: Path) -> None:
    stars = measure(read_spectra(write(tmp_path / "a.fits", *coadds(), OBSID=1)))
    assert list(stars["id"]) == ["1-coadd"]
    assert stars["t_eff"].unit == "K"
    assert "LOW_SNR" not in SpectrumFlag.names(int(stars["flags"][0]))
