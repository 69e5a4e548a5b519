"""The circumstances of a run: chunks, outputs, the command that repeats it."""

from __future__ import annotations

import errno
import itertools
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astropipe.runtime.errors import OutputError, UsageError
from astropipe.runtime.run import Chunk, Run, checkpoint_path, command_line


@given(total=st.integers(0, 10**12), count=st.integers(1, 50))
def test_the_chunks_tile_the_rows_in_order_and_evenly(total: int, count: int) -> None:
    rows = [Chunk(index, count).rows(total) for index in range(1, count + 1)]
    assert rows[0].start == 0 and rows[-1].stop == total
    assert all(one.stop == other.start for one, other in itertools.pairwise(rows))
    sizes = {one.stop - one.start for one in rows}
    assert min(sizes) >= 0 and max(sizes) - min(sizes) <= 1


def test_a_chunk_is_read_from_text() -> None:
    assert Chunk.parse("3/40") == Chunk(3, 40)
    assert Chunk.parse("1/1").rows(7) == slice(0, 7)


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "3/", "/4", "-1/4", "a/b", "1/2/3", "1.0/2", " 1/2", ""])
def test_other_text_is_no_chunk(text: str) -> None:
    with pytest.raises(UsageError, match="INDEX/COUNT"):
        Chunk.parse(text)


def test_the_folder_of_the_output_is_made_and_left_empty(tmp_path: Path) -> None:
    Run().prepare_output(tmp_path / "new" / "folder" / "a.h5")
    assert os.listdir(tmp_path / "new" / "folder") == []


def test_an_existing_output_is_kept_unless_forced(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    output.write_text("precious")
    with pytest.raises(UsageError, match=r"a\.h5 exists already; use --force"):
        Run().prepare_output(output)
    with pytest.raises(UsageError, match="exists already"):
        Run(resume=True).prepare_output(output)
    Run(force=True).prepare_output(output)
    assert output.read_text() == "precious", "it is replaced at the end of the run only"


def test_a_checkpoint_is_kept_unless_forced(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    checkpoint = checkpoint_path(output)
    checkpoint.write_text("hours of work")
    with pytest.raises(UsageError, match="use --resume to continue it or --force to start afresh"):
        Run().prepare_output(output)
    Run(resume=True).prepare_output(output)
    assert checkpoint.read_text() == "hours of work"
    output.touch()
    Run(resume=True, force=True).prepare_output(output)
    assert checkpoint.read_text() == "hours of work", "whether it fits is not known yet"
    leftover = checkpoint.with_name(checkpoint.name + ".0a1b.partial")
    leftover.touch()
    Run(force=True).prepare_output(output)
    assert not checkpoint.exists() and not leftover.exists()


def test_a_checkpoint_may_be_a_folder(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    for clear in (lambda: Run(force=True).prepare_output(output), lambda: Run().discard_checkpoint(output)):
        (checkpoint_path(output) / "shards").mkdir(parents=True)
        clear()
        assert not checkpoint_path(output).exists()
    Run().discard_checkpoint(output)


def test_no_glob_of_results_meets_a_checkpoint(tmp_path: Path) -> None:
    checkpoint_path(tmp_path / "a.h5").touch()
    assert checkpoint_path(tmp_path / "a.h5").parent == tmp_path
    assert list(tmp_path.glob("*.h5")) == []


@pytest.mark.parametrize("run", [Run(), Run(force=True), Run(resume=True)])
def test_a_folder_is_no_output(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder; give --output the name of a file"):
        run.prepare_output(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "a.h5", tmp_path / "file" / "deeper" / "a.h5"):
        with pytest.raises(OutputError, match="cannot write to folder"):
            Run().prepare_output(output)


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EACCES, "permissions"), (errno.EROFS, "read-only"), (errno.ENOSPC, "free some space")]
)
def test_a_folder_that_cannot_be_written_is_found_before_any_work(
    number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match=f"{os.strerror(number)}; .*{advice}"):
        Run().prepare_output(tmp_path / "a.h5")


@pytest.mark.parametrize("written", [b"half an artifact", b""])
def test_the_file_of_a_running_writer_is_left_alone(written: bytes, tmp_path: Path) -> None:
    """Also where it has only just been opened and locked, and is still empty."""
    partial = tmp_path / ".a.h5.partial"
    partial.write_bytes(written)
    before = partial.stat().st_ino
    Run().prepare_output(tmp_path / "a.h5")
    assert os.listdir(tmp_path) == [partial.name]
    assert partial.read_bytes() == written and partial.stat().st_ino == before


def test_the_command_repeats_the_run_without_folders_and_threads() -> None:
    run = Run(seed=3, threads=8, resume=True, chunk=Chunk(2, 5))
    line = command_line("nbody.integrate", [Path("/far/away/my systems.h5")], {"mu": 0.02, "t_end": "30 yr"}, run)
    assert shlex.split(line) == [
        *("astropipe", "nbody", "integrate", "my systems.h5"),
        *(
            "--set",
            "nbody.integrate.mu=0.02",
            "--set",
            'nbody.integrate.t_end="30 yr"',
            "--chunk",
            "2/5",
            "--seed",
            "3",
        ),
    ]
    assert command_line("nbody.simulate", [], {}, Run()) == "astropipe nbody simulate --seed 0"
