from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str, folder: Path) -> str:
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_change_in_a_callee_of_another_file_is_noticed(tmp_path: Path) -> None:
    head = "from astropipe.nbody.compilation import kernel\n"
    inner, outer = tmp_path / "inner.py", tmp_path / "outer.py"
    inner.write_text(head + "@kernel\ndef f(x):\n    return x + 1.0\n")
    outer.write_text(head + "from inner import f\n@kernel\ndef g(x):\n    return 10.0 * f(x)\n")
    show = "from outer import g; print(g(1.0), *g.stats.cache_hits.values())"
    assert run_python(show, tmp_path) == "20.0"
    assert run_python(show, tmp_path) == "20.0 1"
    inner.write_text(head + "@kernel\ndef f(x):\n    return x + 2.0\n")
    assert run_python(show, tmp_path) == "30.0"


def test_importing_the_stage_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, astropipe.nbody; print(sorted({'numba', 'numpy', 'astropy', 'scipy'} & set(sys.modules)))"
    assert run_python(code, tmp_path) == "[]"


def test_every_public_name_is_there(tmp_path: Path) -> None:
    code = (
        "import astropipe.nbody as nbody\n"
        "for name in nbody.__all__: assert getattr(nbody, name).__name__ == name\n"
        "assert set(nbody.__all__) == set(nbody._HOMES) == set(dir(nbody))\n"
        "print(hasattr(nbody, 'nonsense'))"
    )
    assert run_python(code, tmp_path) == "False"
