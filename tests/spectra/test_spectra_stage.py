"""The verbs: a survey simulated, predicted and evaluated; order, chunks, resumption, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from lamost_files import arm_columns, coadds, rows_hdu, write

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


@pytest.fixture(scope="module")
def three_batches(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Spectra that are fitted in three batches, the last of them not full, and their catalog."""
    folder = tmp_path_factory.mktemp("batches")
    spectra, stars = folder / "spectra.h5", folder / "stars.h5"
    stage.simulate([], spectra, SimulateConfig(n_spectra=150, missing_arm_rate=0.1, masked_fraction=0.05), Run(seed=5))
    stage.predict([spectra], stars, PredictConfig(), Run())
    return spectra, stars


# Cut at 75; and at 37, 75 and 112: within batches, one of which three chunks have a part of.
@pytest.mark.parametrize("count", [2, 4])
def test_the_catalog_does_not_depend_on_the_cut(count: int, three_batches: tuple[Path, Path], tmp_path: Path) -> None:
    spectra, stars = three_batches
    parts = [tmp_path / f"{index}.h5" for index in range(1, count + 1)]
    for index, part in enumerate(parts, start=1):
        stage.predict([spectra], part, PredictConfig(), Run(chunk=Chunk(index, count)))
    assert merge(parts, tmp_path / "merged.h5") == 150
    assert _content(tmp_path / "merged.h5") == _content(stars)


def test_an_interrupted_chunk_goes_on_to_the_same_rows(
    three_batches: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BLOCK", sources.BATCH)
    output, chunk = tmp_path / "stars.h5", Chunk(2, 2)
    monkeypatch.setattr(stage, "stop_requested", lambda: True)
    with pytest.raises(InterruptedRunError, match="interrupted after 53 spectra"):
        stage.predict([three_batches[0]], output, PredictConfig(), Run(chunk=chunk))
    assert checkpoint_path(output).exists()
    monkeypatch.setattr(stage, "stop_requested", interruption.stop_requested)
    stage.predict([three_batches[0]], output, PredictConfig(), Run(chunk=chunk, resume=True))
    assert not checkpoint_path(output).exists()
    stage.predict([three_batches[0]], tmp_path / "whole.h5", PredictConfig(), Run(chunk=chunk))
    assert _content(output) == _content(tmp_path / "whole.h5")


def _content(path: Path) -> str:
    with open_artifact(path) as artifact:
        return artifact.content_sha256


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
        write(folder / f"{number}.fits", *coadds(snr=20.0 + number), OBSID=number)
        write(other / f"{number + 1}.fits", *coadds(), OBSID=number + 1)
    (folder / "3.fits").write_text("no fits")
    parts = [tmp_path / f"{index}-of-2.h5" for index in (1, 2)]
    for index, part in enumerate(parts, start=1):
        stage.predict([folder], part, PredictConfig(), Run(chunk=Chunk(index, 2)))
    merge(parts, tmp_path / "merged.h5")
    stage.predict([folder], tmp_path / "whole.h5", PredictConfig(), Run())
    with open_artifact(tmp_path / "merged.h5") as merged:
        assert list(merged.table()["id"]) == ["0-coadd", "1-coadd", "2-coadd", "3.fits", "4-coadd"]
    assert _content(tmp_path / "merged.h5") == _content(tmp_path / "whole.h5")
    assert {finding.state for finding in verify([tmp_path / "merged.h5"], [tmp_path, folder])} == {"ok"}
    stage.predict([other], parts[1], PredictConfig(), Run(chunk=Chunk(2, 2), force=True))
    with pytest.raises(InputError, match="content hash of input 1"):
        merge(parts, tmp_path / "mixed.h5")


def test_files_have_the_same_neighbours_in_every_chunk(
    survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten files, one of them broken and one with several spectra, and an artifact among them; batches of four files."""
    monkeypatch.setattr(sources, "BATCH", 4)
    paths = [write(tmp_path / f"{number}.fits", *coadds(), OBSID=number) for number in range(10)]
    paths[2].write_text("no fits")
    write(paths[5], *coadds(), *(rows_hdu(f"B-8392{i}", arm_columns("B"), 10.0) for i in range(2)), OBSID=5)
    paths.insert(6, survey)

    def read(files: slice) -> list[tuple[str, list[str], list[str]]]:
        """Return for each spectrum that is wanted its name, with what it is fitted, and the messages of its batch."""
        found = sources.batches(paths, exposures="all", medium="vacuum", files=files)
        return [(name, batch.ids, batch.faults) for batch in found for name in batch.ids[batch.wanted]]

    whole = read(slice(0, 11))
    assert len(whole) == 9 + 3 + N
    for count in (2, 3, 7, 11):
        parts = [read(Chunk(index, count).rows(11)) for index in range(1, count + 1)]
        assert [each[:2] for part in parts for each in part] == [each[:2] for each in whole]
        # A chunk complains of its own files only.
        assert len({fault for part in parts for _, _, faults in part for fault in faults}) == 1
        assert sum(any(faults for _, _, faults in part) for part in parts) == 1


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
