"""The examples of the documents run as they stand.

A code block after the line ``<!-- run -->`` is run in an empty folder, in the order of the page; a block after
``<!-- file: NAME -->`` is a file that lies there. The examples of the README have tests of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"<!-- (run|file: (?P<name>\S+)) -->\n```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
PAGES = ["CONTRIBUTING.md", "docs/cli.md", "docs/index.md", "docs/workflow.md", "docs/yours.md"]


def blocks(page: str) -> list[re.Match[str]]:
    return list(BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_marked_examples_run(page: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    ran = 0
    for block in blocks(page):
        if block["name"]:
            if "/" not in block["name"]:
                (tmp_path / block["name"]).write_text(block["text"], encoding="utf-8")
            continue
        command = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}[block["language"]]
        result = subprocess.run(
            [*command, block["text"]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{block['text']}\n{result.stderr}"
        ran += 1
    assert ran
