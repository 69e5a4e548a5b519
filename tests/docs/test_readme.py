"""The examples of the README run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(heading: str) -> str:
    """Return the first code block below a heading."""
    section = README.split(f"## {heading}\n", 1)[1]
    return re.search(r"```\w*\n(.*?)```", section, re.DOTALL)[1]  # type: ignore[index]


def run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_python_example(tmp_path: Path) -> None:
    output = run([sys.executable, "-c", block("In Python")], tmp_path)
    assert "ok returns to 1e-11" in output
    # DESI DR2 (arXiv:2503.14738), eq. 17: 0.2975 +- 0.0086 and 101.54 +- 0.73.
    values = {name: float(value) for name, value in re.findall(r"^(\w+) = ([\d.]+)$", output, re.MULTILINE)}
    assert values["omega_m"] == pytest.approx(0.2975, abs=0.003)
    assert values["h_rd"] == pytest.approx(101.54, abs=0.25)


def test_command_line_example(tmp_path: Path) -> None:
    commands = block("On the command line").strip().splitlines()
    assert len(commands) == 7
    for command in commands:
        output = run(["bash", "-euc", command], tmp_path)
        if " verify " in command:
            assert "0 faulty, 0 inputs not found" in output
    assert {"chains.txt", "chains.paramnames", "chains.ranges"} <= {path.name for path in tmp_path.iterdir()}


def test_files_that_the_readme_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
