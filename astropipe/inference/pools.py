"""Where likelihood calls run: in this process, in worker processes of ours, or on an executor of the user's.

All three give the sampler the same ``map`` over the same tasks in the same order, so a result does not depend
on which one ran it. The likelihood goes to a worker once, when the worker starts (to a user's executor with
every task, since it offers no other way), and not with each point.
"""

from __future__ import annotations

import math
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import threading
import uuid
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.evaluator import Counts, Evaluator, Specification
from astropipe.runtime.compute import set_threads
from astropipe.runtime.errors import InputError, InterruptedRunError, UsageError

POLL_SECONDS = 0.1
GRACE_SECONDS = 60.0
DYNESTY_MODULES = r"dynesty(\.|$)"
"""Modules whose warnings are silenced: what they warn of is checked beforehand or seen in the result."""
MAX_EVALUATORS = 4
"""Runs that a worker of a long-lived executor remembers at a time."""

StopRequest = Callable[[], bool]


class MapExecutor(Protocol):
    """What is asked of a user's executor; those of concurrent.futures, multiprocessing and MPI have it."""

    def map(self, function: Callable[[Any], Any], tasks: Iterable[Any], /) -> Iterable[Any]:
        """Apply `function` to every task and return the results in order."""
        ...


class Workers(AbstractContextManager["Workers"]):
    """A sampler's ``pool``: calls in this process; base of those that call elsewhere.

    Attributes
    ----------
    log_likelihood, transform
        What the sampler is to call for ln L and for the prior transform.
    counts
        Evaluations so far, over all processes.
    processes
        How many make them at a time; NaN where that is not known.
    """

    processes: float = 1

    log_likelihood: Callable[[NDArray[np.float64]], float]
    transform: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def __init__(self, specification: Specification, stop_requested: StopRequest | None) -> None:
        self.evaluator = Evaluator(specification, stop_requested)
        self.evaluator.probe()
        self.log_likelihood = self.evaluator
        self.transform = specification.prior.transform
        self.counts = Counts()

    def map(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
        """Apply a function of the sampler to each argument and return the results in order."""
        results = []
        for argument in arguments:
            results.append(function(argument))
            self.evaluator.raise_failure()
        self.counts.add(self.evaluator.counts.take())
        return results

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.evaluator.log is not None:
            self.evaluator.log.close()


class _Remote(Workers):
    """What is common to workers in other processes: tasks refer to the likelihood by a key."""

    payload: bytes | None = None

    def __init__(self, specification: Specification, stop_requested: StopRequest | None) -> None:
        super().__init__(specification, stop_requested)
        self.key = uuid.uuid4().hex
        # The master calls the prior transform itself, by the same key that its tasks carry.
        _EVALUATORS[self.key] = self.evaluator
        self.log_likelihood = LikelihoodByKey(self.key)
        self.transform = TransformByKey(self.key)
        self._stop_requested = stop_requested or _never

    def map(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
        """Apply a function of the sampler to each argument in the workers."""
        if self._stop_requested():
            raise InterruptedRunError("stop requested")
        tasks = [Task(self.key, self.payload, function, argument) for argument in arguments]
        results = []
        for result, counts in self._run(tasks):
            results.append(result)
            self.counts.add(counts)
        return results

    def _run(self, tasks: list[Task]) -> Iterable[tuple[Any, Counts]]:
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _EVALUATORS.pop(self.key, None)
        super().__exit__(kind, value, trace)


class ExecutorWorkers(_Remote):
    """Workers of a user's executor: anything with ``map``, MPI pools included."""

    processes = math.nan

    def __init__(self, specification: Specification, stop_requested: StopRequest | None, executor: MapExecutor) -> None:
        self.payload = _pickled(specification)
        self._executor = executor
        super().__init__(specification, stop_requested)

    def _run(self, tasks: list[Task]) -> Iterable[tuple[Any, Counts]]:
        return self._executor.map(run_task, tasks)


class ProcessWorkers(_Remote):
    """Processes of our own, started afresh (spawn), with one thread each."""

    def __init__(self, specification: Specification, stop_requested: StopRequest | None, processes: int) -> None:
        payload = _pickled(specification)
        super().__init__(specification, stop_requested)
        self.processes = processes
        context = multiprocessing.get_context("spawn")
        self._stop: Event = context.Event()
        # A pipe and no event: to set an event is to wait for its waiters, of which a dead worker would be one for ever.
        self._told_to_go, self._give_up = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            processes, context, initializer=_start_worker, initargs=(self.key, payload, self._stop, self._told_to_go)
        )

    def _run(self, tasks: list[Task]) -> Iterable[tuple[Any, Counts]]:
        try:
            futures = [self._executor.submit(run_task, task) for task in tasks]
            self._await(futures)
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            # The executor terminates the other workers and waits for them, but they ignore that signal.
            self._end_workers()
            if self._stop_requested():
                # The signal that asks for a stop has reached a worker that was just starting.
                raise InterruptedRunError("stop requested") from error
            raise InputError(
                "a worker process died while it evaluated the likelihood: out of memory, or crashed"
                " in compiled code (a script must also start its run under if __name__ == '__main__')."
                " With a checkpoint, resume=True continues; try fewer processes"
            ) from error

    def _end_workers(self) -> None:
        # Nobody reads it: a pipe with something in it is readable to all workers.
        self._give_up.send_bytes(b"end")

    def _await(self, futures: list[Future[tuple[Any, Counts]]]) -> None:
        """Wait for all tasks, the first failure or a request to stop."""
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION)
            if self._stop_requested():
                raise InterruptedRunError("stop requested")
            if any(future.exception() is not None for future in done):
                return

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Tasks still running see the event at their next likelihood call; one that takes longer than this is lost.
        self._stop.set()
        patience = threading.Timer(GRACE_SECONDS, self._end_workers)
        patience.daemon = True
        patience.start()
        self._executor.shutdown(wait=True, cancel_futures=True)
        patience.cancel()
        self._give_up.close()
        self._told_to_go.close()
        super().__exit__(kind, value, trace)


def open_workers(
    specification: Specification, pool: int | MapExecutor | None, stop_requested: StopRequest | None
) -> Workers:
    """Return the workers that `pool` asks for: a number of processes, an executor, or None for this process.

    Raises
    ------
    UsageError
        If `pool` is neither, or the likelihood cannot be sent to other processes.
    """
    if pool is None or pool == 1:
        return Workers(specification, stop_requested)
    if isinstance(pool, int):
        if pool < 1:
            raise UsageError(f"pool = {pool} processes; give 1 or more")
        return ProcessWorkers(specification, stop_requested, pool)
    if isinstance(pool, ThreadPoolExecutor):
        raise UsageError("threads cannot share the log of evaluations; give pool a number of processes")
    if not callable(getattr(pool, "map", None)):
        raise UsageError(f"pool is a {type(pool).__name__}; give a number of processes or an object with map()")
    return ExecutorWorkers(specification, stop_requested, pool)


@dataclass(frozen=True, slots=True)
class Task:
    """One call of a function of the sampler, and the likelihood that it refers to by key."""

    key: str
    payload: bytes | None
    function: Callable[[Any], Any]
    argument: Any


@dataclass(frozen=True, slots=True)
class LikelihoodByKey:
    """ln L of the run with this key, in whichever process it is called."""

    key: str

    def __call__(self, x: NDArray[np.float64]) -> float:
        """Return ln L at `x`, shape [d]."""
        return _EVALUATORS[self.key](x)


@dataclass(frozen=True, slots=True)
class TransformByKey:
    """Prior transform of the run with this key, in whichever process it is called."""

    key: str

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the parameters at `u` in the unit cube, both [d]."""
        return _EVALUATORS[self.key].specification.prior.transform(u)


_EVALUATORS: dict[str, Evaluator] = {}
"""Evaluators of this process by run, the state that tasks refer to."""


def run_task(task: Task) -> tuple[Any, Counts]:
    """Do a task in a worker; return its result and how many evaluations it took."""
    if task.key not in _EVALUATORS and task.payload is not None:
        _install(task.key, task.payload, None)
    evaluator = _EVALUATORS[task.key]
    try:
        result = task.function(task.argument)
        evaluator.raise_failure()
    finally:
        if evaluator.log is not None:
            evaluator.log.flush()
    return result, evaluator.counts.take()


def _install(key: str, payload: bytes, stop_requested: StopRequest | None) -> None:
    while len(_EVALUATORS) >= MAX_EVALUATORS:
        oldest = _EVALUATORS.pop(next(iter(_EVALUATORS)))
        if oldest.log is not None:
            oldest.log.close()
    _EVALUATORS[key] = Evaluator(pickle.loads(payload), stop_requested)


def _start_worker(key: str, payload: bytes, stop: Event, told_to_go: Connection) -> None:
    """Prepare a process of `ProcessWorkers`."""
    # Ctrl-C, and the SIGTERM of a batch system, reach the whole process group; the master decides what they mean.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_when_told, args=(told_to_go,), daemon=True).start()
    set_threads(1)
    warnings.filterwarnings("ignore", module=DYNESTY_MODULES)
    _install(key, payload, stop.is_set)


def _end_when_told(told_to_go: Connection) -> None:
    """End this process when its parent says so, or is gone: a killed parent leaves workers waiting for ever."""
    parent = multiprocessing.parent_process()
    multiprocessing.connection.wait([told_to_go, *([parent.sentinel] if parent is not None else [])])
    os._exit(1)


def _pickled(specification: Specification) -> bytes:
    try:
        return pickle.dumps(specification)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"the likelihood or the prior cannot be sent to worker processes ({error}); "
            "define functions and classes at module level, or run with pool=None"
        ) from error


def _never() -> bool:
    return False
