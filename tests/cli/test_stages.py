"""What the command line hands to a stage, shown with a stage that only remembers it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from astropipe.cli import log, main
from astropipe.cli.stages import execute
from astropipe.cli.verbs import STAGES, VERBS, Verb
from astropipe.config import Config
from astropipe.config import section as section_of
from astropipe.runtime import errors
from astropipe.runtime.run import Chunk, Run

Cli = Callable[..., int]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(log, "_state", log._State())

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["astropipe", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.run()
        return int(end.value.code or 0)

    return run


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A nbody stage whose verbs remember what they are given, and raise what ``raises`` holds."""
    calls: dict[str, Any] = {"raises": None}

    def verb(inputs: list[Path], output: Path, settings: Any, run: Run) -> str:
        calls.update(inputs=inputs, output=output, settings=settings, run=run)
        if calls["raises"]:
            raise calls["raises"]
        return "nothing made"

    module = ModuleType("astropipe.nbody.stage")
    module.__dict__.update(simulate=verb, integrate=verb, evaluate=verb)
    monkeypatch.setitem(sys.modules, "astropipe.nbody.stage", module)
    return calls


def test_a_stage_is_handed_everything_that_was_given(
    cli: Cli, stage: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"seed": 1, "nbody": {"integrate": {"mu": 0.5, "t_end": 4}}}))
    code = cli(
        *("nbody", "integrate", "systems.h5", "-o", tmp_path / "new" / "a.h5", "-c", tmp_path / "my.yaml"),
        *("--set", "nbody.integrate.mu=0.25", "--seed", 5, "--threads", 1, "--device", "cpu"),
        *("--chunk", "2/3", "--resume"),
    )
    assert code == 0
    assert (stage["inputs"], stage["output"]) == ([Path("systems.h5")], tmp_path / "new" / "a.h5")
    assert (stage["settings"].mu, stage["settings"].t_end) == (0.25, 4)
    expected = Run(seed=5, threads=1, device="cpu", resume=True, quiet=False, chunk=Chunk(2, 3))
    assert stage["run"] == expected
    assert capsys.readouterr().err.endswith("a.h5: nothing made\n")


def test_the_seed_of_the_configuration_counts_where_none_is_given(
    cli: Cli, stage: dict[str, Any], tmp_path: Path
) -> None:
    assert cli("nbody", "simulate", "-o", tmp_path / "a.h5", "--set", "seed=9") == 0
    assert (stage["run"].seed, stage["run"].device, stage["run"].chunk) == (9, "auto", Chunk(1, 1))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("why"), 2),
        (errors.MissingDependencyError("why"), 2),
        (errors.InputError("why"), 3),
        (errors.OutputError("why"), 3),
        (errors.QualityError("why"), 4),
        (errors.InterruptedRunError("why"), 77),
        (ZeroDivisionError("why"), 1),
        (OSError("why"), 1),
    ],
)
def test_the_error_of_a_stage_becomes_an_exit_code_and_one_line(
    error: Exception, code: int, cli: Cli, stage: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage["raises"] = error
    assert cli("nbody", "simulate", "-o", tmp_path / "a.h5") == code
    err = capsys.readouterr().err
    if code == 1:
        assert "Traceback" in err and err.endswith("please report it with the lines above\n")
    else:
        assert err == "error: why\n"


def test_verbose_shows_where_an_error_comes_from(
    cli: Cli, stage: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage["raises"] = errors.InputError("why")
    assert cli("nbody", "simulate", "-o", tmp_path / "a.h5", "-v") == 3
    assert "error: why" in (err := capsys.readouterr().err) and "Traceback" in err


def test_errors_go_to_the_log_file_too(cli: Cli, stage: dict[str, Any], tmp_path: Path) -> None:
    record = tmp_path / "logs" / "a.log"
    arguments = ["nbody", "simulate", "-o", tmp_path / "a.h5", "--quiet", "--log-file", record]
    assert cli(*arguments) == 0
    stage["raises"] = errors.InputError("wrong Ω")
    assert cli(*arguments) == 3
    assert record.read_text(encoding="utf-8") == f"{tmp_path / 'a.h5'}: nothing made\nerror: wrong Ω\n"


def test_a_log_file_that_cannot_be_written_is_exit_code_3(
    cli: Cli, stage: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("nbody", "simulate", "-o", tmp_path / "a.h5", "--log-file", tmp_path) == 3
    assert "choose another --log-file" in capsys.readouterr().err
    assert "run" not in stage


def test_nothing_runs_where_the_output_would_be_lost(cli: Cli, stage: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("precious")
    assert cli("nbody", "simulate", "-o", tmp_path / "a.h5") == 2
    assert cli("nbody", "simulate", "-o", tmp_path, "--force") == 2
    (tmp_path / ".b.h5.checkpoint").write_text("hours of work")
    assert cli("nbody", "simulate", "-o", tmp_path / "b.h5") == 2
    assert "run" not in stage
    assert cli("nbody", "simulate", "-o", tmp_path / "b.h5", "--resume") == 0
    assert stage["run"].resume
    assert cli("nbody", "simulate", "-o", tmp_path / "b.h5", "--resume", "--force") == 0
    assert stage["run"].resume and stage["run"].force
    assert (tmp_path / ".b.h5.checkpoint").read_text() == "hours of work"


VERB = Verb("nbody", "simulate", "summary", (), "none", "systems")


def _execute(verb: Verb, output: Path) -> None:
    execute(verb, [], output, [], [], None, 1, "cpu", None, False, False, True)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ModuleNotFoundError("No module named 'numba'", name="numba"), errors.MissingDependencyError),
        (ImportError("cannot import name 'x' from 'astropipe.nbody'", name="astropipe.nbody"), ImportError),
        (ImportError("broken"), ImportError),
    ],
)
def test_only_a_missing_library_is_advised_to_be_installed(
    raised: ImportError, expected: type[ImportError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise raised

    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(expected) as error:
        _execute(VERB, tmp_path / "a.h5")
    if expected is errors.MissingDependencyError:
        assert "needs numba; install it with pip install 'astropipe[nbody]'" in str(error.value)
    else:
        assert error.value is raised, "an error of our own code is a bug, not a missing library"


def test_every_verb_has_settings_and_a_stage_that_is_listed() -> None:
    for verb in VERBS:
        assert verb.stage in STAGES
        if verb.name != "evaluate" or verb.section in ("nbody.evaluate", "inference.evaluate"):
            section_of(Config(), verb.section)
    assert len({verb.section for verb in VERBS}) == len(VERBS)
