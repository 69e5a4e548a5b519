"""From YAML and ``--set`` to one configuration; every fault is named with its key and the nearest valid one."""

from __future__ import annotations

from pathlib import Path

import pytest

from astropipe.config import Config, load, resolve, section
from astropipe.config.loading import merge, parse_setting, read_yaml
from astropipe.runtime.errors import ConfigError


def _yaml(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_given_gives_the_defaults() -> None:
    assert load() == resolve({}) == Config()


def test_later_files_lie_over_earlier_ones_and_options_over_all(tmp_path: Path) -> None:
    first = _yaml(tmp_path / "a.yaml", "seed: 1\nnbody:\n  integrate: {mu: 0.1, t_end: 5}\n")
    second = _yaml(tmp_path / "b.yaml", "nbody:\n  integrate: {mu: 0.2}\n")
    config = load([first, second], ["nbody.integrate.t_end=30 yr", "nbody.integrate.keep=trajectories"])
    found = config.nbody.integrate
    assert (config.seed, found.mu, found.t_end, found.keep) == (1, 0.2, "30 yr", "trajectories")
    assert config.nbody.simulate == Config().nbody.simulate


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load([_yaml(tmp_path / "a.yaml", "# nothing\n")]) == Config()


def test_a_merge_goes_section_by_section_and_leaves_its_arguments_alone() -> None:
    base = {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2]}
    assert merge(base, {"a": {"y": {"z": 3}}, "b": [3]}) == {"a": {"x": 1, "y": {"z": 3}}, "b": [3]}
    assert base == {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nbdy: {}", "unknown key nbdy; did you mean 'nbody'?"),
        ("nbody: {integrat: {}}", "unknown key nbody.integrat; did you mean 'integrate'?"),
        ("nbody: {integrate: {tend: 1}}", "unknown key nbody.integrate.tend; did you mean 't_end'?"),
        (
            "workflow: {ensembles: {a: {simulat: {}}}}",
            "unknown key workflow.ensembles.a.simulat; did you mean 'simulate'?",
        ),
        ("inference: {sample: {xyz: 1}}", "unknown key inference.sample.xyz; valid here: problem, options"),
        ("morphology: {epochs: 3}", "unknown key morphology.epochs; valid here: simulate, cut, train"),
        ("1: 2", "unknown key 1; valid here: seed"),
    ],
)
def test_an_unknown_key_at_any_depth_is_named_with_the_nearest(text: str, message: str, tmp_path: Path) -> None:
    path = _yaml(tmp_path / "a.yaml", text)
    with pytest.raises(ConfigError) as error:
        load([path])
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)


def test_all_unknown_keys_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"nbdy.*nbody\.x"):
        resolve({"nbdy": 1, "nbody": {"x": 1}})


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("seed=-1", "seed = -1"),
        ("nbody=3", "nbody = 3"),
        ("nbody.integrate.mu=2", "nbody.integrate.mu = 2"),
        ("nbody.integrate.mu=.nan", "nbody.integrate.mu = nan"),
        ("nbody.integrate.method=euler", "nbody.integrate.method = 'euler'"),
        ("nbody.simulate.n_systems=0", "nbody.simulate.n_systems = 0"),
        ("nbody.simulate.n_systems=many", "nbody.simulate.n_systems = 'many'"),
        ("nbody.integrate.t_end=[1]", "nbody.integrate.t_end"),
        ("inference.sample.n_live=", "inference.sample.n_live = None"),
        ("workflow.ensembles={Bad Name: {}}", "'Bad Name' becomes part of file names"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_key(setting: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        load([], [setting])
    assert str(error.value).startswith("--set: ") and key in str(error.value)


def test_all_values_that_do_not_fit_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        resolve({"nbody": {"integrate": {"mu": -1, "t_end": [1]}, "evaluate": {"failure_energy_error": 0}}})
    for key in ("nbody.integrate.mu", "nbody.integrate.t_end", "nbody.evaluate.failure_energy_error"):
        assert key in str(error.value)
    assert error.value.exit_code == 2


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = _yaml(tmp_path / "a.yaml", "seed: 1\nnbody:\n  integrate:\n    mu: 0.1\n    dt: 1\n    mu: 0.2\n")
    with pytest.raises(ConfigError, match=r"a\.yaml, line 6: key 'mu' is given twice; keep one"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="key 'mu' is given twice"):
        parse_setting("nbody.integrate={mu: 1, mu: 2}")


def test_anchors_and_merge_keys_are_yaml_too(tmp_path: Path) -> None:
    path = _yaml(tmp_path / "a.yaml", "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n")
    assert read_yaml(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "is not valid YAML"),
        (b"a: \xff", "is not valid YAML"),
        (b"- 1\n- 2\n", "must hold keys and values, not list"),
        (b"text", "must hold keys and values, not str"),
        (b"? [1, 2]\n: 3\n", "is not valid YAML"),
        (b"a: !!python/object/apply:os.system [ls]\n", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as error:
        read_yaml(tmp_path / "a.yaml")
    assert "a.yaml" in str(error.value)


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(ConfigError, match=r"cannot read configuration .*; check --config"):
            load([path])


@pytest.mark.parametrize(
    ("text", "keys", "value"),
    [
        ("a.b=1", ["a", "b"], 1),
        ("a=1e-3", ["a"], 0.001),
        ("a=-2.5E+6", ["a"], -2.5e6),
        ("a=.5e1", ["a"], 5.0),
        ("a=1e", ["a"], "1e"),
        ("a=30 yr", ["a"], "30 yr"),
        ("a=x=y", ["a"], "x=y"),
        ("a=[1, two]", ["a"], [1, "two"]),
        ("a={w0: [-3, 1]}", ["a"], {"w0": [-3, 1]}),
        ("a=null", ["a"], None),
        ("a=", ["a"], None),
        ("a=true", ["a"], True),
        ('a="true"', ["a"], "true"),
    ],
)
def test_a_setting_is_a_dotted_key_and_a_yaml_value(text: str, keys: list[str], value: object) -> None:
    found_keys, found = parse_setting(text)
    assert (found_keys, found, type(found)) == (keys, value, type(value))


@pytest.mark.parametrize("text", ["a.b", "=1", "a..b=1", ".a=1", "", "a=[1", "a={"])
def test_other_text_is_no_setting(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse_setting(text)


def test_a_value_is_no_section() -> None:
    with pytest.raises(ConfigError, match=r"--set seed\.x: seed is a value, not a section"):
        load([], ["seed=3", "seed.x=1"])


def test_a_part_is_reached_by_its_path() -> None:
    config = resolve({"nbody": {"integrate": {"mu": 0.5}}})
    assert section(config, "") is config
    assert section(config, "nbody.integrate") is config.nbody.integrate
    assert section(config, "nbody.integrate.mu") == 0.5


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("nbody.integrat", "did you mean 'integrate'?"),
        ("nbody.integrate.mu.x", "no keys are valid here"),
        ("nbody.", "valid here: simulate"),
    ],
)
def test_a_part_that_is_not_there_is_named_with_the_nearest(path: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        section(Config(), path)
    assert f"there is no {path!r}" in str(error.value) and hint in str(error.value)


def test_the_configuration_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().nbody.integrate.mu = 0.5
