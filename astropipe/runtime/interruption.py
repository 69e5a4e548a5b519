"""SIGTERM and SIGINT become a request to stop, which long loops ask for and answer with a checkpoint.

A batch system sends SIGTERM some time before it kills a job. The handler only sets a flag, so that no
computation is torn apart; the loop that sees the flag writes its checkpoint and raises
`InterruptedRunError`, and the command line exits with 77: "checkpoint written, run me again".
A second SIGINT (an impatient Ctrl-C) interrupts at once. Further SIGTERM change nothing: batch systems send several.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from astropipe.runtime.errors import InterruptedRunError

_requested = threading.Event()


def stop_requested() -> bool:
    """Return whether SIGTERM or SIGINT has arrived since `listening` was entered."""
    return _requested.is_set()


def _on_signal(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and _requested.is_set():
        raise KeyboardInterrupt
    _requested.set()


@contextmanager
def listening() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into stop requests inside the ``with`` block.

    Signals can be handled in the main thread only; elsewhere the block runs without handlers. The handlers of before
    come back, but once a run has stopped on request SIGTERM is ignored, so that the process ends with its exit code.
    """
    _requested.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except InterruptedRunError:
        before[signal.SIGTERM] = signal.SIG_IGN
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _requested.clear()
