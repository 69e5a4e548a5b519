"""The examples of the documents run as they stand.

A code block after the line ``<!-- run -->`` is run in an empty folder, in the order of the page; a block after
``<!-- file: NAME -->`` is a file that lies there. The examples of the README have tests of their own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from astropipe.artifacts import open_artifact
from astropipe.config.inference import SampleConfig
from astropipe.inference import stage
from astropipe.inference.problems import base
from astropipe.runtime.run import Run

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"<!-- (run|file: (?P<name>\S+)) -->\n```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
CONTRIBUTING = "CONTRIBUTING.md"
PAGES = [CONTRIBUTING, "docs/cli.md", "docs/workflow.md"]


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


def module(name: str, folder: Path) -> ModuleType:
    """Import the module that CONTRIBUTING shows under a path."""
    path = name.replace(".", "/") + ".py"
    (text,) = (block["text"] for block in blocks(CONTRIBUTING) if block["name"] == path)
    file = folder / Path(path).name
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def test_the_new_problem_of_contributing_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example, its_test = "astropipe.inference.problems.line", "tests.inference.test_line"
    monkeypatch.setattr(base, "_FACTORIES", dict(base._FACTORIES))
    for name in (example, its_test):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    module(example, tmp_path)
    module(its_test, tmp_path).test_evidence_is_the_analytic_one()
    output = tmp_path / "posterior.h5"
    stage.sample([], output, SampleConfig(problem="line", n_live=50, dlogz=0.5), Run())
    with open_artifact(output, "posterior") as artifact:
        assert list(artifact.table()["parameter"]) == ["intercept", "slope"]
