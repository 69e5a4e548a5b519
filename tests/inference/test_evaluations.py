"""The log of evaluations: what comes back, what is dropped, what is refused."""

from __future__ import annotations

import errno
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from astropipe.inference.evaluations import EvaluationLog, shards
from astropipe.inference.fingerprint import Identity, content_digest, identify
from astropipe.runtime.errors import ArtifactError, OutputError

HERE = Path(__file__).parent
MINE = Identity("tests.mine", ("h0", "omega_m"), "a" * 64)
RECORD_BYTES = 3 * 8 + 4


@dataclass(frozen=True)
class Likelihood:
    data: NDArray[np.float64]
    options: dict[str, object]

    def __call__(self, x: NDArray[np.float64]) -> float:
        return float(np.sum(x))


class Lazy:
    """Fills an attribute on first use, which must not change who it is."""

    def __init__(self, data: NDArray[np.float64]) -> None:
        self.data = data

    @functools.cached_property
    def total(self) -> float:
        return float(self.data.sum())


def named(x: NDArray[np.float64]) -> float:
    return float(x[0])


def example() -> Likelihood:
    return Likelihood(np.arange(6.0).reshape(2, 3), {"path": Path("/somewhere/z.ecsv"), "models": {"b", "a", "c"}})


def points(n: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=(n, 2))


def written(folder: Path, n: int) -> NDArray[np.float64]:
    """Write n records and return their points."""
    log = EvaluationLog(folder, MINE)
    x = points(n)
    for i, point in enumerate(x):
        log.append(point, float(i))
    log.close()
    return x


def test_everything_comes_back_exactly(tmp_path: Path) -> None:
    x = written(tmp_path / "log", 100)
    log = EvaluationLog(tmp_path / "log", MINE)
    assert len(log) == 100
    assert [log.lookup(point) for point in x] == [float(i) for i in range(100)]
    assert log.lookup(np.nextafter(x[3], 9.0)) is None
    last = log.last()
    assert last is not None
    np.testing.assert_array_equal(last[0], x[-1])
    assert last[1] == 99.0


def test_minus_infinity_is_a_value(tmp_path: Path) -> None:
    log = EvaluationLog(tmp_path, MINE)
    log.append(np.array([0.1, 0.2]), -np.inf)
    log.close()
    assert EvaluationLog(tmp_path, MINE).lookup(np.array([0.1, 0.2])) == -np.inf


def test_no_file_without_a_record(tmp_path: Path) -> None:
    EvaluationLog(tmp_path / "log", MINE).close()
    assert not (tmp_path / "log").exists()


def test_each_writer_has_its_own_shard(tmp_path: Path) -> None:
    writers = [EvaluationLog(tmp_path, MINE) for _ in range(3)]
    for i, writer in enumerate(writers):
        writer.append(np.array([float(i), 0.0]), float(i))
        writer.flush()
    for i, writer in enumerate(writers):
        writer.append(np.array([float(i), 1.0]), float(i))
        writer.close()
    assert len(shards(tmp_path)) == 3
    assert len(EvaluationLog(tmp_path, MINE)) == 6


def test_records_reach_the_disk_within_the_flush_time(tmp_path: Path) -> None:
    log = EvaluationLog(tmp_path, MINE, flush_seconds=0.0)
    log.append(np.array([1.0, 2.0]), 3.0)
    assert EvaluationLog(tmp_path, MINE).lookup(np.array([1.0, 2.0])) == 3.0
    log.close()


@pytest.mark.parametrize("cut", [1, 4, RECORD_BYTES - 1])
def test_a_torn_last_record_is_dropped(tmp_path: Path, cut: int) -> None:
    x = written(tmp_path, 10)
    (shard,) = shards(tmp_path)
    os.truncate(shard, shard.stat().st_size - cut)
    log = EvaluationLog(tmp_path, MINE)
    assert len(log) == 9
    assert log.lookup(x[9]) is None
    assert log.lookup(x[8]) == 8.0


@pytest.mark.parametrize("position", [0, 13, 20, 26])
def test_a_record_with_a_flipped_bit_is_dropped_alone(tmp_path: Path, position: int) -> None:
    x = written(tmp_path, 10)
    (shard,) = shards(tmp_path)
    data = bytearray(shard.read_bytes())
    data[len(data) - 4 * RECORD_BYTES + position] ^= 0x10
    shard.write_bytes(data)
    log = EvaluationLog(tmp_path, MINE)
    assert len(log) == 9
    assert log.lookup(x[6]) is None
    assert log.lookup(x[9]) == 9.0


@pytest.mark.parametrize("size", [0, 5, 10, 40])
def test_a_torn_header_is_an_empty_shard(tmp_path: Path, size: int) -> None:
    written(tmp_path, 10)
    (shard,) = shards(tmp_path)
    os.truncate(shard, size)
    assert len(EvaluationLog(tmp_path, MINE)) == 0


def test_another_likelihood_is_refused_and_named(tmp_path: Path) -> None:
    written(tmp_path, 3)
    other = Identity("tests.other", ("h0", "r_d"), "b" * 64)
    with pytest.raises(ArtifactError, match=r"tests\.mine of \(h0, omega_m\).*tests\.other of \(h0, r_d\)"):
        EvaluationLog(tmp_path, other)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evaluations-0000.bin").write_bytes(b"SIMPLE  =                    T")
    with pytest.raises(ArtifactError, match="is not a log"):
        EvaluationLog(tmp_path, MINE)


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    written(tmp_path, 3)
    (shard,) = shards(tmp_path)
    data = bytearray(shard.read_bytes())
    data[20] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ArtifactError, match="damaged header"):
        EvaluationLog(tmp_path, MINE)


def test_full_disk_is_an_output_error_and_leaves_a_good_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EvaluationLog(tmp_path, MINE)
    x = points(4)
    log.append(x[0], 0.0)
    log.flush()
    true_write = os.write

    def half_then_full(descriptor: int, data: Any) -> int:
        monkeypatch.setattr(os, "write", full)
        return true_write(descriptor, bytes(data)[: len(data) // 2])

    def full(descriptor: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for i in (1, 2):
        log.append(x[i], float(i))
    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(OutputError, match="No space left"):
        log.flush()
    monkeypatch.setattr(os, "write", true_write)
    log.append(x[3], 3.0)
    log.close()
    again = EvaluationLog(tmp_path, MINE)
    assert [again.lookup(point) for point in x] == [0.0, 1.0, 2.0, 3.0]


def test_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    log = EvaluationLog(tmp_path / "file" / "log", MINE)
    log.append(np.zeros(2), 0.0)
    with pytest.raises(OutputError, match="cannot write"):
        log.close()


def test_identity_is_the_same_in_another_process() -> None:
    script = "import test_evaluations as t; print(t.identify(t.example(), ('a',)).digest)"
    for hash_seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        )
        # The module is imported there under its own name, as the workers of a pool do.
        assert found.stdout.strip() == identify(_under_own_name().example(), ("a",)).digest


def _under_own_name() -> Any:
    sys.path.insert(0, str(HERE))
    try:
        import test_evaluations
    finally:
        sys.path.remove(str(HERE))
    return test_evaluations


@pytest.mark.parametrize(
    "other",
    [
        Likelihood(np.arange(6.0).reshape(3, 2), example().options),
        Likelihood(np.nextafter(example().data, 9.0), example().options),
        Likelihood(example().data.astype(np.float32), example().options),
        Likelihood(example().data, {**example().options, "models": {"a", "b"}}),
        named,
    ],
)
def test_other_content_is_another_identity(other: Callable[..., float]) -> None:
    assert identify(other, ("a",)).digest != identify(example(), ("a",)).digest


def test_parameters_are_part_of_the_identity() -> None:
    assert identify(named, ("a", "b")).digest != identify(named, ("b", "a")).digest


def test_lambdas_and_closures_are_told_apart() -> None:
    def scaled(factor: float) -> Callable[[float], float]:
        def inner(x: float) -> float:
            return factor * x

        return inner

    digests = {
        content_digest(f)
        for f in (lambda x: x + 1, lambda x: x + 2, scaled(1.0), scaled(2.0), functools.partial(named, 1.0))
    }
    assert len(digests) == 5
    assert content_digest(scaled(2.0)) == content_digest(scaled(2.0))


def test_values_cached_on_first_use_and_cycles_do_not_matter() -> None:
    fresh, used = Lazy(np.arange(3.0)), Lazy(np.arange(3.0))
    assert used.total == 3.0
    assert content_digest(fresh) == content_digest(used)
    loop: list[Any] = [1]
    loop.append(loop)
    assert content_digest(loop) != content_digest([1])


def test_label_says_whose_values_these_are() -> None:
    assert identify(named, ("a",)).label.endswith("test_evaluations.named")
    assert identify(example(), ("a",)).label.endswith("test_evaluations.Likelihood")
    assert identify(functools.partial(named), ("a",)).label.startswith("partial of")
    assert identify(example().__call__, ("a",)).label.endswith("Likelihood.__call__")
