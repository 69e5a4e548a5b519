"""Threads and device. Libraries read their settings once, so that most of this runs in processes of its own."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest
from small import Python

from astropipe.runtime import compute
from astropipe.runtime.errors import MissingDependencyError, UsageError

_BLAS = """
import os
for name in [name for name in os.environ if name.endswith("_NUM_THREADS")]: del os.environ[name]
from astropipe.runtime.compute import set_threads
import numpy
{before}
assert set_threads(1) == 1
from threadpoolctl import threadpool_info
import scipy.linalg
numpy.ones((3, 3)) @ numpy.ones((3, 3))
pools = threadpool_info()
assert pools and all(pool["num_threads"] == 1 for pool in pools), pools
"""

_NUMBA = """
from astropipe.runtime.compute import set_threads
{first}
{second}
assert numba.get_num_threads() == {expected}, numba.get_num_threads()
"""

_TORCH = """
import sys
from astropipe.runtime.compute import set_threads
{first}
{second}
assert torch.get_num_threads() == 1
"""


@pytest.mark.parametrize("before", ["", "numpy.ones((3, 3)) @ numpy.ones((3, 3))"])
def test_blas_keeps_to_the_threads(before: str, python: Python) -> None:
    python(_BLAS.format(before=before))


@pytest.mark.parametrize("first", ["import numba", "set_threads(1)"])
def test_numba_keeps_to_the_threads_set_before_and_after_its_import(first: str, python: Python) -> None:
    second = "set_threads(1)" if first == "import numba" else "import numba"
    python(_NUMBA.format(first=first, second=second, expected=1))


def test_more_threads_than_numba_started_with_are_not_asked_of_it(python: Python) -> None:
    python(_NUMBA.format(first="import numba", second="set_threads(64)", expected=2), NUMBA_NUM_THREADS="2")


@pytest.mark.parametrize("first", ["import torch", "set_threads(1)"])
def test_torch_keeps_to_the_threads_set_before_and_after_its_import(first: str, python: Python) -> None:
    pytest.importorskip("torch")
    python(_TORCH.format(first=first, second="set_threads(1)" if first == "import torch" else "import torch"))


def test_setting_threads_imports_nothing_heavy(python: Python) -> None:
    python(
        "import sys\nfrom astropipe.runtime.compute import set_threads\nset_threads(2)\n"
        "assert not {'numpy', 'numba', 'torch', 'threadpoolctl'} & set(sys.modules)"
    )


def test_child_processes_inherit_the_threads(python: Python) -> None:
    result = python(
        "import subprocess, sys\nfrom astropipe.runtime.compute import set_threads\nset_threads(3)\n"
        "subprocess.run([sys.executable, '-c', 'import os; print(os.environ[\"OMP_NUM_THREADS\"])'], check=True)"
    )
    assert result.stdout.strip() == "3"


def test_zero_means_all_cores_of_this_process(python: Python) -> None:
    python(
        "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from astropipe.runtime.compute import set_threads\nassert set_threads(0) == 1"
    )


def test_cores_are_counted_where_the_system_has_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert compute.available_cores() == 6


def test_negative_threads_are_refused() -> None:
    with pytest.raises(UsageError, match="--threads must be 0"):
        compute.set_threads(-1)


def _torch(available: bool) -> ModuleType:
    return SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: available))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("device", "available", "expected"),
    [("cpu", True, "cpu"), ("auto", False, "cpu"), ("auto", True, "cuda"), ("cuda", True, "cuda")],
)
def test_the_device_is_what_was_asked_for_or_found(
    device: str, available: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", _torch(available))
    assert compute.resolve_device(device) == expected


def test_cuda_without_a_gpu_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", _torch(False))
    with pytest.raises(UsageError, match="use --device auto or cpu"):
        compute.resolve_device("cuda")


def test_without_torch_there_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert compute.resolve_device("auto") == "cpu"
    with pytest.raises(MissingDependencyError, match=r"pip install 'astropipe\[spectra\]'"):
        compute.resolve_device("cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UsageError, match="must be auto, cpu or cuda, not 'tpu'"):
        compute.resolve_device("tpu")
