"""Progress: what a line says, with a clock of our own."""

from __future__ import annotations

import io
import sys
import time

import pytest

from astropipe.runtime.progress import BarProgress, NoProgress, PlainProgress, format_seconds, progress


class Clock:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (8.4, "8s"), (59.6, "1m00s"), (200, "3m20s"), (3599.6, "1h00m"), (7500, "2h05m"), (360000, "100h00m")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_line_has_share_rate_and_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress("integrate", 500, "systems", interval_s=10) as report:
        report.update(0)
        clock.now += 20
        report.update(100, "2 ionised")
    line = "integrate: 100/500 systems (20 %), 5 systems/s, elapsed 20s, left 1m20s, 2 ionised\n"
    assert capsys.readouterr() == ("", line)


def test_a_line_comes_only_every_few_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress("integrate", 500, "systems", interval_s=10) as report:
        for second in range(1, 36):
            clock.now = 1000.0 + second
            report.update(second)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"integrate: {n}/500 systems ({p} %)" for n, p in ((10, 2), (20, 4), (30, 6))
    ]


def test_a_resumed_run_does_not_count_what_was_done_before(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress("integrate", 500, "systems", interval_s=10) as report:
        report.update(400)
        clock.now += 10
        report.update(410)
    assert "410/500 systems (82 %), 1 systems/s, elapsed 10s, left 1m30s" in capsys.readouterr().err


def test_without_a_total_there_is_no_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress("sample", None, "calls", interval_s=1) as report:
        report.update(0)
        clock.now += 4
        report.update(1e6)
    assert capsys.readouterr().err == "sample: 1e+06 calls, 2.5e+05 calls/s, elapsed 4s\n"


def test_without_a_rate_there_is_no_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress("sample", 10, "calls", interval_s=1) as report:
        report.update(0)
        clock.now += 4
        report.update(0)
    assert capsys.readouterr().err == "sample: 0/10 calls (0 %), 0 calls/s, elapsed 4s\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("integrate", 5, "systems", quiet=True) as report:
        report.update(5)
    assert isinstance(report, NoProgress) and capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("terminal", "kind"), [(True, BarProgress), (False, PlainProgress)])
def test_a_terminal_gets_a_bar_and_a_log_gets_lines(
    terminal: bool, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    assert isinstance(progress("integrate", 5, "systems"), kind)


def test_the_bar_shows_label_unit_and_note(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress("integrate", 50, "systems") as report:
        report.update(20, "2 ionised")
    assert all(part in stream.getvalue() for part in ("integrate [systems]", "40%", "2 ionised"))
