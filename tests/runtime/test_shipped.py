"""The shipped measurements, in a clone and in a wheel."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import ROOT

from astropipe.runtime import shipped
from astropipe.runtime.errors import InputError


def test_a_clone_has_them_at_its_root() -> None:
    assert shipped.data_folder() == ROOT / "data"


def test_a_wheel_has_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "astropipe" / "data").mkdir(parents=True)
    (tmp_path / "astropipe" / "data" / "a.ecsv").write_text("")
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "astropipe")
    assert shipped.data_file("a.ecsv") == tmp_path / "astropipe" / "data" / "a.ecsv"


def test_a_missing_one_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"'nowhere/a\.ecsv' is missing below .*; reinstall astropipe"):
        shipped.data_file("nowhere/a.ecsv")
