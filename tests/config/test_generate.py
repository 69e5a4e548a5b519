"""The generated files are those in the repository, and say what the models say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from small import ROOT

from astropipe.config import Config, load, resolve
from astropipe.config.base import Section, section_type
from astropipe.config.generate import default_yaml, json_schemas, write
from astropipe.config.jobs import check_jobs
from astropipe.runtime.errors import ConfigError

WORKFLOWS = ROOT / "workflows"
SHIPPED = sorted((WORKFLOWS / "config").glob("*.yaml"))


def test_the_files_have_not_drifted_from_the_models(tmp_path: Path) -> None:
    write(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert Path("config/default.yaml") in made and Path("schemas/nbody.json") in made
    for path in made:
        assert (WORKFLOWS / path).read_text(encoding="utf-8") == (tmp_path / path).read_text(encoding="utf-8"), (
            f"workflows/{path} has drifted: run make generate"
        )
    schemas = {path.name for path in (WORKFLOWS / "schemas").iterdir()}
    assert schemas == {path.name for path in made if path.suffix == ".json"}, "a schema without a model"


def test_the_default_file_loads_to_the_defaults() -> None:
    assert load([WORKFLOWS / "config" / "default.yaml"]) == Config()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_configuration_and_its_jobs_are_valid(path: Path) -> None:
    check_jobs(load([path]))


def _fields(model: type[Section], depth: int = 0) -> list[tuple[int, str, str]]:
    found = []
    for name, field in model.model_fields.items():
        found.append((depth, name, str(field.description)))
        if inner := section_type(field.annotation):
            found += _fields(inner, depth + 1)
    return found


def test_every_key_stands_in_the_file_under_its_description() -> None:
    lines = default_yaml().splitlines()
    joined = re.sub(r"\n *# ", " ", "\n".join(lines))
    for depth, name, description in _fields(Config):
        assert description not in ("None", ""), name
        assert re.search(rf"^{'  ' * depth}# .*{re.escape(description)}\n{'  ' * depth}{name}:", joined, re.M) or (
            f"{description}\n{'  ' * depth}{name}:" in joined
        ), name
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_configuration_fits_the_json_schema(path: Path) -> None:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.validate(values, json.loads((WORKFLOWS / "schemas" / "config.json").read_text(encoding="utf-8")))


def test_the_json_schema_refuses_what_the_models_refuse() -> None:
    schema = json.loads(json_schemas()["nbody.json"])
    for values in ({"integrate": {"muu": 1}}, {"integrate": {"mu": 2}}, {"integrate": {"method": "euler"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values, schema)
        with pytest.raises(ConfigError):
            resolve({"nbody": values})


def test_the_schema_of_the_whole_knows_all_keys() -> None:
    schema = json.loads(json_schemas()["config.json"])
    assert set(schema["properties"]) == set(yaml.safe_load(default_yaml())) == set(Config.model_fields)
    assert schema["additionalProperties"] is False
