"""Progress with rate and time left: a live bar on a terminal, one plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self


class Progress(Protocol):
    """What a computation reports to while it runs."""

    def update(self, done: float, note: str = "") -> None:
        """Report the work done so far, in the unit of the total, with an optional short note."""


class NoProgress:
    """A reporter that says nothing: for library calls and ``--quiet``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def update(self, done: float, note: str = "") -> None:
        """Ignore the report."""


def format_seconds(seconds: float) -> str:
    """Write a duration as ``8s``, ``3m20s`` or ``2h05m``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class PlainProgress:
    """One line every few seconds on standard error, for logs and batch jobs.

    Parameters
    ----------
    label : str
        What is being done.
    total : float or None
        Amount of work; None where it is not known beforehand (then no percentage and no time left).
    unit : str
        What is counted, for example ``"systems"``.
    interval_s : float
        Seconds between lines.
    """

    def __init__(self, label: str, total: float | None, unit: str, interval_s: float = 10.0) -> None:
        self.label, self.total, self.unit, self.interval_s = label, total, unit, interval_s
        self._start = self._last = time.monotonic()
        self._first: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def update(self, done: float, note: str = "") -> None:
        """Print a line if the last one is old enough."""
        now = time.monotonic()
        if self._first is None:
            # A resumed run begins with work already done, which says nothing about the rate.
            self._first = done
        if now - self._last < self.interval_s:
            return
        self._last = now
        print(self.line(done, now - self._start, note), file=sys.stderr, flush=True)

    def line(self, done: float, elapsed_s: float, note: str = "") -> str:
        """Return the line for a state: done, percentage, rate and time left."""
        rate = (done - (self._first or 0.0)) / elapsed_s if elapsed_s > 0 else 0.0
        parts = [f"{self.label}: {done:.6g}"]
        if self.total:
            parts[0] += f"/{self.total:.6g} {self.unit} ({100 * done / self.total:.0f} %)"
        else:
            parts[0] += f" {self.unit}"
        parts.append(f"{rate:.3g} {self.unit}/s")
        parts.append(f"elapsed {format_seconds(elapsed_s)}")
        if self.total and rate > 0:
            parts.append(f"left {format_seconds((self.total - done) / rate)}")
        if note:
            parts.append(note)
        return ", ".join(parts)


class BarProgress:
    """A live rich bar with rate and time left, for terminals; parameters as in `PlainProgress`."""

    def __init__(self, label: str, total: float | None, unit: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(show_speed=True),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
        )
        self._task: Any = self._bar.add_task(f"{label} [{unit}]", total=total, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, done: float, note: str = "") -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, note=note)


def progress(
    label: str, total: float | None, unit: str, *, quiet: bool = False
) -> NoProgress | PlainProgress | BarProgress:
    """Return the reporter that fits where the output goes; use it in a ``with`` block."""
    if quiet:
        return NoProgress()
    if sys.stderr.isatty():
        return BarProgress(label, total, unit)
    return PlainProgress(label, total, unit)
