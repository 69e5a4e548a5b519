"""The commands on artifacts of any kind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import yaml
from astropy.table import Table
from small import Write

from astropipe.artifacts import open_artifact
from astropipe.cli import main
from astropipe.config import Config
from astropipe.config.nbody import IntegrateConfig

Cli = Callable[..., int]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run the command line in this process and return its exit code."""

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["astropipe", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.run()
        return int(end.value.code or 0)

    return run


@pytest.fixture
def chain(folder: Path, minimal: Write) -> tuple[Path, Path, Path]:
    raw = folder / "raw.csv"
    raw.write_text("1")
    first = minimal(folder / "first.h5", "systems", inputs=(raw,))
    return raw, first, minimal(folder / "second.h5", "metrics", inputs=(first,))


def test_verify_lists_the_chain(cli: Cli, chain: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("verify", chain[2]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["ok", "ok", "ok"]
    assert lines[3] == "3 files: 3 sound, 0 faulty, 0 inputs not found"


def test_verify_forgives_a_missing_input_unless_strict(
    cli: Cli, chain: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    raw, _, last = chain
    raw.rename(raw.with_name("other.txt"))
    assert cli("verify", last) == 0
    out = capsys.readouterr().out
    assert "missing     input raw.csv" in out
    assert out.endswith("2 files: 2 sound, 0 faulty, 1 inputs not found\n")
    assert cli("verify", last, "--strict") == 3


def test_verify_ends_with_3_for_a_damaged_input(cli: Cli, chain: tuple[Path, Path, Path]) -> None:
    with h5py.File(chain[1], "r+") as file:
        file["masses"][0] = 5.0
    assert cli("verify", chain[2]) == 3


def test_inspect_shows_each_file(cli: Cli, chain: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("inspect", chain[1], chain[2]) == 0
    out = capsys.readouterr().out
    assert "kind        systems 1.0" in out and "kind        metrics 1.0" in out


def test_export_says_what_it_wrote(cli: Cli, folder: Path, minimal: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = minimal(folder / "a.h5", "stellar-catalog")
    assert cli("export", path, "--to", "csv") == 0
    assert str(folder / "a.csv") in capsys.readouterr().err
    assert len(Table.read(folder / "a.csv")) == 3
    assert cli("export", path, "--to", "csv") == 2
    assert cli("export", path, "--to", "csv", "--force") == 0
    assert cli("export", path, "--to", "parquet") == 2
    assert cli("export", path, "--to", "getdist") == 3


def test_quiet_holds_for_one_call_alone(
    cli: Cli, folder: Path, minimal: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("inference", "sample", "--set", "inference.problem=nowhere", "--quiet", "-o", folder / "b.h5") == 2
    capsys.readouterr()
    assert cli("export", minimal(folder / "a.h5", "stellar-catalog"), "--to", "csv") == 0
    assert str(folder / "a.csv") in capsys.readouterr().err


def test_merge_keeps_an_existing_output_unless_forced(cli: Cli, folder: Path, minimal: Write) -> None:
    whole = minimal(folder / "a.h5", "metrics", rows=2)
    output = folder / "all.h5"
    assert cli("merge", whole, "-o", output) == 0
    with open_artifact(output, "metrics") as artifact:
        assert len(artifact.table()) == 2
    assert cli("merge", whole, "-o", output) == 2
    assert cli("merge", whole, "-o", output, "--force") == 0
    assert cli("merge", whole, folder / "nowhere.h5", "-o", folder / "new.h5") == 3
    assert cli("merge", whole, whole, "-o", folder / "new.h5") == 3


def test_migrate_of_a_present_version_is_refused(cli: Cli, folder: Path, minimal: Write) -> None:
    assert cli("migrate", minimal(folder / "a.h5"), "-o", folder / "b.h5") == 3


def test_plot_lists_its_figures_without_files(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("plot", "--list") == 0
    assert "triangle" in capsys.readouterr().out
    assert cli("plot") == 2
    assert "needs an artifact and --output" in capsys.readouterr().err


def test_doctor_ends_with_an_error_for_a_folder_that_is_none(
    cli: Cli, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("doctor", folder / "nowhere") == 3
    assert "-> give a folder that exists" in capsys.readouterr().out


def test_cite_without_files_is_astropipe_itself(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("cite") == 0
    assert capsys.readouterr().out.startswith("@software{astropipe,")


def test_config_show_is_yaml_that_can_be_given_again(
    cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("config", "show", "--set", "nbody.integrate.mu=0.5") == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["nbody"]["integrate"]["mu"] == 0.5
    (tmp_path / "a.yaml").write_text(text)
    assert cli("config", "validate", tmp_path / "a.yaml") == 0
    assert cli("config", "show", "nbody.integrate.tolerance") == 0
    assert capsys.readouterr().out.endswith("1.0e-06\n")
    assert cli("config", "show", "nbody.integrte") == 2


@pytest.mark.parametrize(("part", "model"), [((), Config), (("nbody.integrate",), IntegrateConfig)])
def test_config_schema_is_that_of_the_part(
    part: tuple[str, ...], model: type, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("config", "schema", *part) == 0
    assert json.loads(capsys.readouterr().out) == model.model_json_schema()


def test_config_schema_of_a_single_value_is_refused(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("config", "schema", "nbody.integrate.mu") == 2
    assert "is a value, not a section" in capsys.readouterr().err
