"""Threads and device, set once for numba, torch, BLAS and OpenMP alike."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from astropipe.runtime.errors import MissingDependencyError, UsageError

# Read by the libraries when they are first imported, so they serve those that are not loaded yet.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)

# The BLAS limit lasts as long as this object lives.
_blas_limits: Any = None


def available_cores() -> int:
    """Return the number of cores that this process may use (its CPU affinity where the system tells)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(threads: int) -> int:
    """Limit every threaded library, loaded now or later, to a number of threads.

    Parameters
    ----------
    threads : int
        Number of threads; 0 means all cores available to this process.

    Returns
    -------
    int
        The number of threads set.

    Raises
    ------
    UsageError
        If ``threads`` is negative.
    """
    global _blas_limits
    if threads < 0:
        raise UsageError(f"--threads must be 0 (all cores) or larger, not {threads}")
    threads = threads or available_cores()
    numba_loaded = "numba" in sys.modules
    for name in _THREAD_VARIABLES:
        # A loaded numba refuses a changed NUMBA_NUM_THREADS once its threads run: it is set by call below.
        if not (numba_loaded and name == "NUMBA_NUM_THREADS"):
            os.environ[name] = str(threads)
    if numba_loaded:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits

        _blas_limits = threadpool_limits(limits=threads)
    return threads


class BlasThreads:
    """The threads of BLAS, taken from it for a while.

    On matrices of some hundred rows they cost more than they bring, and more still where others want the cores, since
    they wait for each other by spinning. And sums that they share depend on their number in the last digits.
    """

    def __init__(self) -> None:
        from threadpoolctl import ThreadpoolController

        self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self._before = [library.num_threads for library in self._libraries]

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Leave BLAS one thread."""
        try:
            self._set([1] * len(self._libraries))
            yield
        finally:
            self._set(self._before)

    @contextmanager
    def returned(self) -> Iterator[None]:
        """Give BLAS its threads back, within a time in which they are taken."""
        try:
            self._set(self._before)
            yield
        finally:
            self._set([1] * len(self._libraries))

    def _set(self, threads: list[int]) -> None:
        for library, n in zip(self._libraries, threads, strict=True):
            library.set_num_threads(n)


def resolve_device(device: str) -> str:
    """Turn ``auto``, ``cpu`` or ``cuda`` into the device to compute on.

    ``auto`` takes CUDA where torch finds a device, else the CPU.

    Raises
    ------
    UsageError
        If the name is unknown, or CUDA is asked for and there is none.
    MissingDependencyError
        If CUDA is asked for and torch is not installed.
    """
    if device == "cpu":
        return "cpu"
    if device not in ("auto", "cuda"):
        raise UsageError(f"--device must be auto, cpu or cuda, not {device!r}")
    try:
        import torch
    except ImportError:
        if device == "auto":
            return "cpu"
        raise MissingDependencyError(
            "--device cuda needs torch; install it with pip install 'astropipe[spectra]'"
        ) from None
    if torch.cuda.is_available():
        return "cuda"
    if device == "auto":
        return "cpu"
    raise UsageError("--device cuda was asked for but torch finds no CUDA device; use --device auto or cpu")
