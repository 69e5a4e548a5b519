"""The generated files are those that the models would generate now."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from astropipe.config import Config, load
from astropipe.config.generate import default_yaml, json_schemas

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"


def test_default_yaml_has_not_drifted() -> None:
    assert (WORKFLOWS / "config" / "default.yaml").read_text(encoding="utf-8") == default_yaml(), "run make generate"


@pytest.mark.parametrize("name", json_schemas())
def test_schemas_have_not_drifted(name: str) -> None:
    assert (WORKFLOWS / "schemas" / name).read_text(encoding="utf-8") == json_schemas()[name], "run make generate"


def test_no_schema_is_left_over() -> None:
    assert {path.name for path in (WORKFLOWS / "schemas").iterdir()} == set(json_schemas())


def test_default_yaml_is_the_defaults() -> None:
    assert load([WORKFLOWS / "config" / "default.yaml"]) == Config()


def test_every_key_has_its_meaning_as_comment() -> None:
    lines = default_yaml().split("ensembles:")[0].splitlines()
    for number, line in enumerate(lines):
        key = line.strip().split(":")[0]
        if key in ("mu", "n_live", "seed", "systems_per_chunk"):
            assert lines[number - 1].strip().startswith("#"), key


@pytest.mark.parametrize("name", ["default", "tiny", "paper"])
def test_shipped_settings_fit_the_json_schema(name: str) -> None:
    values = yaml.safe_load((WORKFLOWS / "config" / f"{name}.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(values, json.loads((WORKFLOWS / "schemas" / "config.json").read_text(encoding="utf-8")))


def test_schema_refuses_unknown_keys() -> None:
    schema = json.loads(json_schemas()["nbody.json"])
    with pytest.raises(jsonschema.ValidationError, match="muu"):
        jsonschema.validate({"integrate": {"muu": 1}}, schema)
