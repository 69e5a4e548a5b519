"""How tests run the workflow: Snakemake in a folder of its own, and the jobs that it counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def command(
    folder: Path, *arguments: str, config: dict[str, object] | None = None, where: Sequence[str] = ("--cores", "2")
) -> list[str]:
    """Return the command that runs the repository's Snakefile in a folder, here or by a profile."""
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *where, *arguments]
    if config is None:
        return words
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return [*words, "--configfile", str(path)]


def environment() -> dict[str, str]:
    """Return the environment in which the jobs find the command astropipe."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def snakemake(
    folder: Path, *arguments: str, config: dict[str, object] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake on the repository's Snakefile, in a folder of its own."""
    words = command(folder, *arguments, config=config)
    return subprocess.run(
        words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )


def job_counts(output: str) -> dict[str, int]:
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}
