"""The command line as a user meets it: help, exit codes, options, and the commands on artifacts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.cli import main
from astropipe.cli.verbs import STAGES, VERBS
from astropipe.runtime import errors

OPTIONS = (
    "output config set seed threads device resume force quiet verbose log-file chunk".split()  # noqa: SIM905
)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["astropipe", *arguments])
    with pytest.raises(SystemExit) as caught:
        main.run()
    return int(caught.value.code or 0)


@pytest.fixture
def systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "systems.h5"
    assert run(monkeypatch, "nbody", "simulate", "--set", "nbody.simulate.n_systems=4", "-o", str(path)) == 0
    return path


def test_help_imports_nothing_heavy() -> None:
    heavy = ["numpy", "scipy", "h5py", "astropy", "matplotlib", "torch", "numba", "dynesty", "snakemake", "pydantic"]
    code = (
        "import sys\nfrom astropipe.cli.main import run\nsys.argv = ['astropipe', '--help']\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', [name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.rstrip().endswith("HEAVY []")
    for name in [*STAGES, "verify", "inspect", "export", "plot", "doctor", "cite", "config"]:
        assert name in result.stdout


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: f"{verb.stage}-{verb.name}")
def test_every_verb_has_the_same_options(
    verb: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(monkeypatch, verb.stage, verb.name, "--help") == 0  # type: ignore[attr-defined]
    text = capsys.readouterr().out
    for option in OPTIONS:
        assert f"--{option}" in text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.ConfigError("x"), 2),
        (errors.MissingDependencyError("x"), 2),
        (errors.InputError("x"), 3),
        (errors.ArtifactError("x"), 3),
        (errors.OutputError("x"), 3),
        (errors.QualityError("x"), 4),
        (errors.InterruptedRunError("x"), 77),
        (RuntimeError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    assert run(monkeypatch) == code
    err = capsys.readouterr().err
    assert ("Traceback" in err) == (code == 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nbody", "simulate", "stray.h5"], "reads no files"),
        (["nbody", "integrate"], "takes one systems, cluster-snapshots or box-snapshots artifact, but 0"),
        (["nbody", "evaluate"], "needs at least one triples-catalog"),
        (["nbody", "simulate", "--chunk", "1/2"], "leave out --chunk"),
        (["nbody", "simulate", "--threads", "-1"], "--threads must be 0"),
        (["nbody", "simulate", "--device", "tpu"], "auto, cpu or cuda"),
        (["nbody", "simulate", "--seed", "-1"], "seed must be 0 or larger"),
        (["nbody", "simulate", "--set", "nbody.simulate.sistems=1"], "did you mean"),
    ],
)
def test_wrong_calls_end_with_2_and_advice(
    arguments: Sequence[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *arguments, "--output", str(tmp_path / "out.h5")) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_chunk_must_be_a_part(systems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for chunk in ("0/3", "4/3", "half"):
        output = str(systems.with_name("c.h5"))
        assert run(monkeypatch, "nbody", "integrate", str(systems), "-o", output, "--chunk", chunk) == 2


def test_existing_output_is_kept_unless_forced(systems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = systems.read_bytes()
    simulate = ["nbody", "simulate", "--set", "nbody.simulate.n_systems=5", "-o", str(systems)]
    assert run(monkeypatch, *simulate) == 2
    assert systems.read_bytes() == before
    assert run(monkeypatch, *simulate, "--force") == 0
    assert systems.read_bytes() != before


def test_bad_files_end_with_3(
    systems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.h5"
    text.write_text("not HDF5")
    truncated = tmp_path / "truncated.h5"
    truncated.write_bytes(systems.read_bytes()[:3000])
    cases = {
        str(tmp_path / "none.h5"): "does not exist",
        str(text): "is not an HDF5 file",
        str(truncated): "truncated",
        str(tmp_path): "is a folder",
    }
    for path, message in cases.items():
        assert run(monkeypatch, "nbody", "integrate", path, "-o", str(tmp_path / "out.h5")) == 3
        err = capsys.readouterr().err
        assert message in err and path in err and "Traceback" not in err
    assert run(monkeypatch, "nbody", "evaluate", str(systems), "-o", str(tmp_path / "out.h5")) == 3
    assert "is a systems artifact, but this needs 'triples-catalog'" in capsys.readouterr().err
    assert not (tmp_path / "out.h5").exists()


def test_output_folder_that_cannot_be(
    systems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(monkeypatch, "nbody", "simulate", "-o", str(tmp_path / "file" / "out.h5")) == 3
    assert "cannot write to folder" in capsys.readouterr().err


def test_flipped_byte_is_found_by_verify(
    systems: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "verify", str(systems)) == 0
    with open_artifact(systems) as artifact:
        offset = artifact.file["catalog"].id.get_offset()
    with systems.open("r+b") as file:
        file.seek(offset + 3)
        byte = file.read(1)
        file.seek(offset + 3)
        file.write(bytes([byte[0] ^ 1]))
    capsys.readouterr()
    assert run(monkeypatch, "verify", str(systems)) == 3
    assert "/catalog was changed" in capsys.readouterr().out


def test_quality_gate_ends_with_4_and_still_writes(
    systems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, metrics = str(tmp_path / "c.h5"), tmp_path / "m.h5"
    coarse = ["--set", "nbody.integrate.timestep=power", "--set", "nbody.integrate.t_end=20"]
    assert run(monkeypatch, "nbody", "integrate", str(systems), *coarse, "-o", catalog) == 0
    gate = ["--set", "nbody.evaluate.failure_energy_error=1e-12", "--set", "nbody.evaluate.max_failure_fraction=0"]
    assert run(monkeypatch, "nbody", "evaluate", catalog, *gate, "-o", str(metrics)) == 4
    assert metrics.exists()


def test_log_file_keeps_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "run.log"
    arguments = ["--quiet", "--log-file", str(log), "-o", str(tmp_path / "s.h5")]
    assert run(monkeypatch, "nbody", "simulate", "--set", "nbody.simulate.n_systems=2", *arguments) == 0
    assert capsys.readouterr().err == ""
    assert "2 systems of 3 bodies" in log.read_text()


def test_doctor_reports_and_advises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "doctor", str(tmp_path)) == 0
    text = capsys.readouterr().out
    for subject in ("python", "numpy", "blas threads", "gpu", "hdf5 locking", "slurm"):
        assert subject in text
    assert list(tmp_path.iterdir()) == []


def test_config_shows_explains_and_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "config", "show", "nbody.integrate", "--set", "nbody.integrate.mu=0.25") == 0
    text = capsys.readouterr().out
    assert "mu: 0.25" in text and "# integrator" in text
    assert run(monkeypatch, "config", "schema", "inference") == 0
    assert '"additionalProperties": false' in capsys.readouterr().out
    bad = tmp_path / "bad.yaml"
    bad.write_text("workflow: {posteriors: {p: {sample: {nlive: 3}}}}")
    assert run(monkeypatch, "config", "validate", str(bad)) == 2
    assert "workflow.posteriors.p.sample.nlive; did you mean 'n_live'" in capsys.readouterr().err


def test_cite_names_what_a_file_was_made_with(
    systems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = tmp_path / "c.h5"
    assert run(monkeypatch, "nbody", "integrate", str(systems), "-o", str(catalog)) == 0
    capsys.readouterr()
    assert run(monkeypatch, "cite", str(catalog)) == 0
    text = capsys.readouterr().out
    assert "{Nitadori2008," in text and "{Agekyan1967," in text and "{DESI2025," not in text


def test_every_citation_that_the_stages_use_has_an_entry() -> None:
    from astropipe.artifacts.citations import bibtex
    from astropipe.inference.problems import chronometers_catalog, problem, problem_names, star_cluster
    from astropipe.inference.releases import RELEASES
    from astropipe.inference.stage import METHOD_CITATIONS
    from astropipe.nbody.stage import CITATIONS

    used = {key for keys in (*CITATIONS.values(), *METHOD_CITATIONS.values()) for key in keys}
    used |= {key for release in RELEASES.values() for key in release.citations}
    used |= {*star_cluster.CITATIONS, *chronometers_catalog.CITATIONS}
    # What these take has no default: a model, a command, a catalog.
    for name in set(problem_names()) - {"cosmology", "external", "chronometers-catalog", "plummer-cluster"}:
        # Supernova releases are files of another package, which may be absent; their papers are known without.
        with suppress(errors.MissingDependencyError):
            used |= set(problem(name).citations)
    assert bibtex(sorted(used)).count("@") >= len(used)


def test_unknown_citation_key_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provenance = Provenance("x", {}, citations=("Nobody1900",))
    from astropy.table import QTable

    names = ("subject", "measure", "value", "error", "unit", "expected", "expected_error", "source")
    row = ("a", "b", 1.0, 0.1, "", 1.0, 0.1, "c")
    with create_artifact(tmp_path / "m.h5", "metrics", title="x", provenance=provenance) as artifact:
        artifact.write_table(QTable(rows=[row], names=names))
    assert run(monkeypatch, "cite", str(tmp_path / "m.h5")) == 2
