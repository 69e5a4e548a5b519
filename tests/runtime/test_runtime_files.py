"""Files that are replaced as a whole: nothing is lost, and two writers of one file do not meet."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from astropipe.runtime.errors import InputError, OutputError
from astropipe.runtime.files import remedy, replacing


def test_a_file_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with replacing(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old" and partial.suffix == ".txt"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with replacing(target) as first:
        first.write_text("first")
        with pytest.raises(ZeroDivisionError), replacing(target) as second:
            second.write_text("second")
            1 / 0  # noqa: B018
        assert first.read_text() == "first", "the end of the one takes nothing away from the other"
    assert target.read_text() == "first"


def test_an_error_keeps_the_old_file_and_its_own_class(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    for error in (InputError("row 3"), OutputError("other.txt"), KeyError("x")):
        with pytest.raises(type(error)) as found, replacing(target) as partial:
            partial.write_text("new")
            raise error
        assert found.value is error
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_an_error_of_the_system_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    message = r"cannot write .*a\.txt.*the disk is full; free some space"
    with pytest.raises(OutputError, match=message), replacing(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="check the folder"), replacing(tmp_path / "file" / "a.txt"):
        pass


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "permissions"),
        (errno.EROFS, "read-only"),
        (errno.ENAMETOOLONG, "shorter"),
        (errno.EIO, "check the folder and the disk"),
    ],
)
def test_each_error_has_its_remedy(number: int, advice: str) -> None:
    assert advice in remedy(OSError(number, os.strerror(number)))
