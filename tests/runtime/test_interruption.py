"""Signals become requests to stop."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from small import Python

from astropipe.runtime.interruption import listening, stop_requested


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_nothing_more(number: int) -> None:
    with listening():
        assert not stop_requested()
        os.kill(os.getpid(), number)
        assert stop_requested()
    assert not stop_requested(), "the next run begins without a request"


def test_a_second_sigint_interrupts_at_once() -> None:
    with listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_second_sigterm_does_not() -> None:
    with listening():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_requested()


def test_the_handlers_of_before_come_back_even_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(ZeroDivisionError), listening():
        assert signal.getsignal(signal.SIGTERM) != before[0]
        1 / 0  # noqa: B018
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_sigterm_after_the_stop_does_not_take_the_exit_code(python: Python) -> None:
    python(
        """
import os, signal
from astropipe.runtime.errors import InterruptedRunError
from astropipe.runtime.interruption import listening
try:
    with listening():
        os.kill(os.getpid(), signal.SIGTERM)
        raise InterruptedRunError("stopped")
except InterruptedRunError as error:
    os.kill(os.getpid(), signal.SIGTERM)
    raise SystemExit(error.exit_code)
""",
        status=77,
    )


def test_outside_the_main_thread_there_are_no_handlers() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with listening():
            seen.extend([stop_requested(), signal.getsignal(signal.SIGTERM) == before])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False, True]
