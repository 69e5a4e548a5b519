"""How tests run the workflow: Snakemake in a folder of its own, and the jobs that it counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def snakemake(
    folder: Path, *arguments: str, config: dict[str, object] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake on the repository's Snakefile, in a folder of its own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *arguments]
    if config is not None:
        path = folder / "settings.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        command += ["--configfile", str(path)]
    path_with_command = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path_with_command}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def job_counts(output: str) -> dict[str, int]:
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}
