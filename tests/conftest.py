"""Fixtures that the tests of several packages share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small import ROOT, Python, Write, fill

from astropipe.artifacts import Provenance, create_artifact

# By the time they take, which `pytest --durations=0` tells.
LONGEST = ("test_workflow.py", "test_examples.py", "test_inference_stage.py", "test_plots.py", "test_nested.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder two levels down, so that searches in the parent folder never meet the files of other tests."""
    path = tmp_path / "results" / "stage"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(command="astropipe test", config={"test": {"key": 1.5, "name": "Ω"}}, seed=7, git_commit="abc")


@pytest.fixture(autouse=True)
def handler_of_sigterm() -> Iterator[None]:
    """Give SIGTERM back its handler: a command that was stopped leaves it ignored, for its process ends then."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest modules first: a worker does a module as a whole, and shall not be left with one in the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture
def minimal(provenance: Provenance) -> Write:
    """Write the smallest valid artifact of a kind: ``minimal(path, kind, rows=3, inputs=[...])``."""

    def write(path: Path, kind: str = "triples-catalog", rows: int = 3, inputs: tuple[Path, ...] = ()) -> Path:
        origin = Provenance.collect("astropipe test", {"rows": rows}, inputs=inputs) if inputs else provenance
        with create_artifact(path, kind, title=f"A small {kind}", provenance=origin) as artifact:
            fill(artifact, rows)
        return path

    return write


@pytest.fixture
def python() -> Python:
    """Run Python code in a process of its own: ``python(code, *arguments)``; fails the test unless it exits with 0."""

    def run(
        code: str, *arguments: object, status: int = 0, timeout: float = 120, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=ROOT,
            env={**os.environ, **variables},
        )
        assert result.returncode == status, result.stderr
        return result

    return run
