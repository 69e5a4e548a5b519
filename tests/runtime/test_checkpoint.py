"""Checkpoints: replaced as a whole, tied to their run, refused when damaged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small import ROOT, Python

from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import ArtifactError, OutputError, UsageError

ARRAYS = {
    "state": np.arange(12.0).reshape(3, 4),
    "count": np.array(7, dtype=np.uint64),
    "none": np.empty((0, 3)),
    "done": np.array([True, False]),
}


def test_arrays_come_back_in_order_with_values_shape_and_dtype(folder: Path) -> None:
    checkpoint = Checkpoint(folder / "c", "key")
    checkpoint.save(ARRAYS)
    found = checkpoint.load()
    assert found is not None and list(found) == list(ARRAYS), "in their order"
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert os.listdir(folder) == ["c"]


def test_none_is_no_error(folder: Path) -> None:
    assert Checkpoint(folder / "c", "key").load() is None


def test_the_checkpoint_of_another_run_is_refused(folder: Path) -> None:
    Checkpoint(folder / "c", "one").save(ARRAYS)
    with pytest.raises(
        UsageError, match=r"another input, configuration or seed; resume with the same ones, or use --force"
    ):
        Checkpoint(folder / "c", "other").load()


def test_a_save_replaces_all_of_the_one_before(folder: Path) -> None:
    checkpoint = Checkpoint(folder / "c", "key")
    checkpoint.save(ARRAYS)
    checkpoint.save({"state": np.zeros(2)})
    found = checkpoint.load()
    assert found is not None and list(found) == ["state"]


@pytest.mark.parametrize("raw", [b"", b"no HDF5", None])
def test_a_damaged_one_is_refused_with_advice(raw: bytes | None, folder: Path) -> None:
    checkpoint = Checkpoint(folder / "c", "key")
    checkpoint.save(ARRAYS)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-500] if raw is None else raw)
    with pytest.raises(ArtifactError, match="use --force to start afresh"):
        checkpoint.load()


def test_flipped_bytes_never_give_other_arrays(folder: Path) -> None:
    checkpoint = Checkpoint(folder / "c", "key")
    arrays = {"state": np.arange(400.0), "id": np.arange(400)}
    checkpoint.save(arrays)
    raw = checkpoint.path.read_bytes()
    rng = np.random.default_rng(11)
    refused = 0
    for offset in rng.choice(len(raw), 150, replace=False):
        flipped = bytearray(raw)
        flipped[offset] ^= int(rng.integers(1, 256))
        checkpoint.path.write_bytes(flipped)
        try:
            found = checkpoint.load()
        except (ArtifactError, UsageError):
            refused += 1
            continue
        assert found is not None and set(found) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array, strict=True)
    assert refused > 75


@pytest.mark.parametrize("raw", [None, b"no HDF5"])
def test_asked_to_begin_anew_it_drops_what_does_not_fit_and_says_so(
    raw: bytes | None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Checkpoint(folder / "c", "one").save(ARRAYS)
    if raw is not None:
        (folder / "c").write_bytes(raw)
    assert Checkpoint(folder / "c", "other", anew=True).load() is None
    assert os.listdir(folder) == []
    assert re.search(r"notice: checkpoint .*/c (belongs to|cannot be read).*begins anew", capsys.readouterr().err, re.S)


def test_asked_to_begin_anew_it_keeps_what_fits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Checkpoint(folder / "c", "one").save(ARRAYS)
    assert Checkpoint(folder / "c", "one", anew=True).load() is not None
    assert capsys.readouterr().err == ""


def test_a_save_is_on_the_disk_before_it_has_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda old, new: (calls.append(Path(old).name), replace(old, new)))
    for _ in range(2):
        Checkpoint(folder / "c", "key").save(ARRAYS)
    assert calls[::2] == ["fsync", "fsync"]
    assert calls[1] != calls[3], "two writers never share a partial file"


_SAVING = """
import os, sys, signal
import numpy as np
from pathlib import Path
from astropipe.runtime.checkpoint import Checkpoint
checkpoint = Checkpoint(Path(sys.argv[1]), "key")
checkpoint.save({"n": np.array([1])})
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
checkpoint.save({"n": np.array([2])})
"""


def test_a_kill_in_the_middle_leaves_the_old_one(folder: Path) -> None:
    result = subprocess.run([sys.executable, "-c", _SAVING, folder / "c"], cwd=ROOT, check=False)
    assert result.returncode == -9
    checkpoint = Checkpoint(folder / "c", "key")
    found = checkpoint.load()
    assert found is not None and found["n"].tolist() == [1]
    checkpoint.save({"n": np.array([3])})
    assert len(os.listdir(folder)) == 2, "the half of the killed save is not taken for another writer's"


_FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import OutputError
checkpoint = Checkpoint(Path(sys.argv[1]), "key")
checkpoint.save({"n": np.array([1])})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try: checkpoint.save({"n": np.arange(100_000)})
except OutputError as error: print(error)
"""


def test_a_disk_that_is_full_leaves_the_old_one(folder: Path, python: Python) -> None:
    result = python(_FULL, folder / "c")
    assert result.stdout.startswith("cannot write checkpoint") and "free space" in result.stdout
    assert result.stderr == ""
    found = Checkpoint(folder / "c", "key").load()
    assert found is not None and found["n"].tolist() == [1]
    assert os.listdir(folder) == ["c"]


def test_a_missing_folder_is_an_output_error(folder: Path) -> None:
    with pytest.raises(OutputError, match="cannot write checkpoint"):
        Checkpoint(folder / "nowhere" / "c", "key").save(ARRAYS)
