"""Reading settings: files over defaults, --set over files, and every fault named with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from astropipe.config import Config, load, resolve, section
from astropipe.config.loading import parse_setting
from astropipe.runtime.errors import ConfigError


def write(folder: Path, text: str, name: str = "my.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_later_files_and_then_settings_win(tmp_path: Path) -> None:
    first = write(tmp_path, "nbody: {integrate: {mu: 0.1, t_end: 3}}", "a.yaml")
    second = write(tmp_path, "nbody: {integrate: {mu: 0.2}}", "b.yaml")
    config = load([first, second], ["nbody.integrate.method=leapfrog", "seed=9"])
    assert (config.nbody.integrate.mu, config.nbody.integrate.t_end) == (0.2, 3)
    assert (config.nbody.integrate.method, config.seed) == ("leapfrog", 9)
    assert config.inference == Config().inference


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load([write(tmp_path, "# nothing\n")]) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nbdy: {}", "unknown key nbdy; did you mean 'nbody'"),
        ("nbody: {integrat: {mu: 1}}", "unknown key nbody.integrat; did you mean 'integrate'"),
        ("nbody: {integrate: {mue: 1}}", "unknown key nbody.integrate.mue; did you mean 'mu'"),
        ("workflow: {ensembles: {a: {simulat: {}}}}", "workflow.ensembles.a.simulat; did you mean 'simulate'"),
        ("spectra: {x: 1}", "unknown key spectra.x; no keys are valid here"),
        ("nbody: {integrate: {mu: -1}}", r"nbody\.integrate\.mu = -1: input should be greater than 0"),
        ("nbody: {integrate: {method: euler}}", r"nbody\.integrate\.method = 'euler': input should be 'hermite4'"),
        ("inference: {sample: {n_live: many}}", r"inference\.sample\.n_live = 'many'"),
        ("nbody: 3", "nbody = 3"),
        ("seed: 1\nseed: 2", "key 'seed' is given twice"),
        ("nbody:\n  integrate: {mu: 1, mu: 2}", "line 2.*key 'mu' is given twice"),
        ("- 1\n- 2", "must hold keys and values, not list"),
        ("a: [", "not valid YAML"),
    ],
)
def test_faults_name_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load([write(tmp_path, text)])
    assert "my.yaml" in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "nbody: {integrate: {mu: -1, t_end: [1]}, evaluate: {failure_energy_error: 0}}")
    with pytest.raises(ConfigError) as caught:
        load([path])
    for key in ("nbody.integrate.mu", "nbody.integrate.t_end", "nbody.evaluate.failure_energy_error"):
        assert key in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml.*check --config"):
        load([tmp_path / "nowhere.yaml"])


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: !!python/object/apply:os.system ['exit 3']")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load([path])


@pytest.mark.parametrize(
    ("text", "value"),
    [("a.b=1", 1), ("a.b=x y", "x y"), ("a.b=[1, 2]", [1, 2]), ("a.b={c: null}", {"c": None}), ("a.b=", None)],
)
def test_settings_are_read_as_yaml(text: str, value: object) -> None:
    assert parse_setting(text) == (["a", "b"], value)


@pytest.mark.parametrize("text", ["a.b", "=1", "a..b=1", "a.b=[1"])
def test_malformed_settings_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse_setting(text)


def test_setting_below_a_value_is_refused() -> None:
    with pytest.raises(ConfigError):
        load([], ["seed=1", "seed.x=2"])


def test_section_by_path() -> None:
    config = resolve({"nbody": {"integrate": {"mu": 0.5}}})
    assert section(config, "nbody.integrate").mu == 0.5
    assert section(config, "") is config
    with pytest.raises(ConfigError, match="did you mean 'integrate'"):
        section(config, "nbody.integrte")


def test_settings_cannot_be_changed_during_a_run() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().nbody.integrate.mu = 1.0  # type: ignore[misc]
