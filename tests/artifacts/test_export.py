"""Exports, read back by the tools they are for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.table import Column, MaskedColumn, QTable, Table
from small import Write, table

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.artifacts.export import export, markdown_table, posterior_draws
from astropipe.runtime.errors import InputError, OutputError, UsageError

DRAWS, SAMPLES = 40, 60


@pytest.fixture
def catalog(folder: Path, provenance: Provenance) -> Path:
    """A catalog with units, NaN, masked integers and text."""
    rows = table("triples-catalog", 4)
    rows["semi_major_axis"][2] = np.nan
    rows["escaper"] = MaskedColumn([0, 1, 2, 0], mask=[False, True, True, False])
    path = folder / "a.h5"
    with create_artifact(
        path, "triples-catalog", title="Outcomes of Agekyan-Anosova triples", provenance=provenance
    ) as a:
        a.write_table(rows)
    return path


@pytest.fixture
def posterior(folder: Path, provenance: Provenance) -> Path:
    """A posterior of two sampled parameters, one of them unbounded, and a derived one, in the ArviZ layout."""
    rng = np.random.default_rng(3)
    samples = rng.normal([0.3, 68.0], [0.02, 1.5], size=(SAMPLES, 2))
    log_weights = rng.normal(size=SAMPLES)
    log_weights[:3] = -2000.0
    rows = QTable(
        {
            "parameter": ["omega_m", "H0", "age"],
            "latex": ["\\Omega_m", "H_0", "t_0"],
            "unit": ["", "km / (Mpc s)", "Gyr"],
            "sampled": [True, True, False],
            "prior": ["uniform", "normal", ""],
            **{name: [0.3, 68.0, 13.5] for name in ("mean", "sd", "q16", "q50", "q84", "best_fit")},
            "prior_low": [0.1, -np.inf, -np.inf],
            "prior_high": [0.5, np.inf, np.inf],
        }
    )
    path = folder / "p.h5"
    with create_artifact(path, "posterior", title="ΛCDM", provenance=provenance) as artifact:
        artifact.write_table(rows)
        for group in ("posterior", "sample_stats"):
            artifact.write_array(f"{group}/chain", np.zeros(1, dtype=np.int64))
            artifact.write_array(f"{group}/draw", np.arange(DRAWS))
        draws = {"omega_m": samples[:DRAWS, 0], "H0": samples[:DRAWS, 1], "age": 920 / samples[:DRAWS, 1]}
        for name, values in draws.items():
            artifact.write_array(f"posterior/{name}", values[np.newaxis])
            artifact.attach_dimensions(f"posterior/{name}", ["posterior/chain", "posterior/draw"])
        artifact.write_array("sample_stats/log_likelihood", -np.arange(DRAWS)[np.newaxis] / 2)
        artifact.attach_dimensions("sample_stats/log_likelihood", ["sample_stats/chain", "sample_stats/draw"])
        artifact.write_array("nested/samples", samples)
        artifact.write_array("nested/log_weights", log_weights)
        artifact.write_array("nested/log_likelihoods", -np.arange(SAMPLES) / 2)
        artifact.write_array("nested/log_volumes", -np.arange(SAMPLES) / 20)
        numbers = ("logz", "logz_err", "information", "ess")
        artifact.write_attributes("nested", {name: 0.5 for name in numbers})
        artifact.write_attributes("nested", {"n_live": 20, "n_true_calls": 99, "converged": True})
        artifact.write_attributes("nested", {"problem": "test", "method": "exact"})
    return path


def _values(column: Column | units.Quantity) -> np.ma.MaskedArray:
    return np.ma.asarray(getattr(column, "value", column))


@pytest.mark.parametrize("to", ["fits", "votable", "csv", "ecsv"])
def test_a_catalog_is_read_back_by_astropy(to: str, catalog: Path) -> None:
    (path,) = export(catalog, to)
    found = QTable.read(path, format={"csv": "ascii.csv", "ecsv": "ascii.ecsv"}.get(to, to))
    found.convert_bytestring_to_unicode()
    with open_artifact(catalog) as artifact:
        expected = artifact.table()
    assert found.colnames == expected.colnames and len(found) == 4
    for name in expected.colnames:
        one, other = _values(found[name]), _values(expected[name])
        if one.dtype.kind == "f":
            # VOTable has no NaN but null, and FITS no null but NaN.
            one, other = np.ma.masked_invalid(one), np.ma.masked_invalid(other)
        np.testing.assert_array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(other), err_msg=name)
        np.testing.assert_array_equal(one.compressed(), other.compressed(), err_msg=name)
        if to != "csv":
            assert getattr(found[name], "unit", None) == getattr(expected[name], "unit", None), name


@pytest.mark.parametrize("to", ["fits", "ecsv"])
def test_an_export_says_what_it_comes_from(to: str, catalog: Path) -> None:
    (path,) = export(catalog, to)
    meta = Table.read(path, format={"ecsv": "ascii.ecsv"}.get(to, to)).meta
    with open_artifact(catalog) as artifact:
        expected = {"TITLE": artifact.title, "SCHEMA": artifact.schema.id, "SHA256": artifact.content_sha256}
    assert {key: meta[key] for key in expected} == expected


def test_fits_takes_text_outside_ascii(folder: Path, provenance: Provenance) -> None:
    """FITS knows ASCII only; what it cannot write must not break the export."""
    rows = table("triples-catalog", 2)
    rows["family"] = Column(["Ω", "ASCII"])
    with create_artifact(folder / "a.h5", "triples-catalog", title="Ω_m", provenance=provenance) as artifact:
        artifact.write_table(rows)
    (path,) = export(folder / "a.h5", "fits")
    found = Table.read(path)
    assert found["family"].tolist() == ["\\u03a9", "ASCII"]
    assert found.meta["TITLE"] == "\\u03a9_m"


def test_markdown_has_units_and_empty_cells_for_nan(catalog: Path) -> None:
    (path,) = export(catalog, "markdown")
    head, rule, *lines = path.read_text(encoding="utf-8").splitlines()
    names = [cell.strip() for cell in head.strip("|").split("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rule == "|" + "---|" * len(names)
    assert "semi_major_axis [AU]" in names and "outcome" in names
    axis = names.index("semi_major_axis [AU]")
    assert [row[axis] for row in cells] == ["0.5", "1.5", "", "3.5"]


def test_markdown_cells_are_escaped() -> None:
    assert markdown_table(Table({"x|y": ["a|b"], "n": [1.234567]})).splitlines()[2] == "| a\\|b | 1.2346 |"


def test_masked_cells_are_empty_in_markdown() -> None:
    rows = Table({"n": MaskedColumn([1, 2], mask=[False, True]), "t": ["a", "b"]})
    assert markdown_table(rows).splitlines()[2:] == ["| 1 | a |", "|  | b |"]


def test_getdist_reads_the_weighted_samples(posterior: Path) -> None:
    getdist = pytest.importorskip("getdist")
    files = export(posterior, "getdist")
    assert [path.name for path in files] == ["p.txt", "p.paramnames", "p.ranges"]
    chains = getdist.loadMCSamples(str(posterior.with_suffix("")), settings={"ignore_rows": 0})
    with open_artifact(posterior) as artifact:
        samples, log_weights = artifact.array("nested/samples"), artifact.array("nested/log_weights")
    weights = np.exp(log_weights - log_weights.max())
    assert chains.numrows == SAMPLES - 3, "weights that underflow are left out"
    np.testing.assert_allclose(chains.samples, samples[3:], rtol=1e-9)
    np.testing.assert_allclose(chains.weights, weights[3:], rtol=1e-9)
    np.testing.assert_allclose(chains.loglikes, np.arange(3, SAMPLES) / 2, rtol=1e-9)
    np.testing.assert_allclose(chains.getMeans(), np.average(samples, weights=weights, axis=0), rtol=1e-9)
    assert [name.label for name in chains.getParamNames().names] == ["\\Omega_m", "H_0"]
    assert (chains.ranges.getLower("omega_m"), chains.ranges.getUpper("omega_m")) == (0.1, 0.5)
    assert chains.ranges.getLower("H0") is None


@pytest.fixture(scope="module")
def arviz() -> object:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return pytest.importorskip("arviz")


@pytest.mark.filterwarnings("ignore:The 'phony_dims'")
@pytest.mark.parametrize("exported", [True, False], ids=["export", "artifact itself"])
def test_arviz_reads_the_draws(exported: bool, posterior: Path, arviz: object) -> None:
    path = export(posterior, "arviz")[0] if exported else posterior
    found = arviz.from_netcdf(str(path))  # type: ignore[attr-defined]
    with open_artifact(posterior) as artifact:
        for name in ("omega_m", "H0", "age"):
            assert found.posterior[name].dims == ("chain", "draw")
            np.testing.assert_array_equal(found.posterior[name].values, artifact.array(f"posterior/{name}"))
    np.testing.assert_array_equal(found.posterior["draw"], np.arange(DRAWS))
    np.testing.assert_array_equal(found.sample_stats["log_likelihood"].values[0], -np.arange(DRAWS) / 2)
    mean = found.posterior.mean()
    assert abs(float(mean["H0"]) - 68.0) < 1


def test_the_draws_are_a_table(posterior: Path) -> None:
    (path,) = export(posterior, "csv", table="posterior")
    found = Table.read(path, format="ascii.csv")
    with open_artifact(posterior) as artifact:
        draws = posterior_draws(artifact)
    assert found.colnames == ["omega_m", "H0", "age"] and len(found) == DRAWS
    np.testing.assert_allclose(found["age"], draws["age"], rtol=1e-14)


@pytest.mark.parametrize("to", ["getdist", "arviz"])
def test_only_a_posterior_becomes_chains(to: str, catalog: Path) -> None:
    with pytest.raises(InputError, match=f"{to} takes a posterior"):
        export(catalog, to)


def test_arrays_are_no_table(folder: Path, minimal: Write) -> None:
    with pytest.raises(InputError, match=r"no table 'positions'.*keeps its data in arrays"):
        export(minimal(folder / "a.h5", "systems"), "fits", table="positions")


def test_an_unknown_format_is_refused_with_those_there_are(catalog: Path) -> None:
    with pytest.raises(UsageError, match="formats are fits, votable, csv, ecsv, markdown, getdist, arviz"):
        export(catalog, "parquet")


def test_existing_files_are_replaced_only_by_force(posterior: Path) -> None:
    ranges = posterior.with_suffix(".ranges")
    ranges.write_text("mine")
    with pytest.raises(UsageError, match=r"p\.ranges exists already; use --force"):
        export(posterior, "getdist")
    assert ranges.read_text() == "mine"
    export(posterior, "getdist", force=True)
    assert ranges.read_text().startswith("omega_m 0.1 0.5\n")


def test_the_artifact_itself_is_never_the_output(catalog: Path) -> None:
    before = catalog.read_bytes()
    with pytest.raises(UsageError, match="is the artifact itself"):
        export(catalog, "csv", catalog, force=True)
    assert catalog.read_bytes() == before


@pytest.mark.parametrize("to", ["fits", "csv", "markdown", "getdist", "arviz"])
def test_a_failed_export_leaves_the_old_file_and_no_other(
    to: str, posterior: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(posterior, to)
    before = {name: (posterior.parent / name).read_bytes() for name in os.listdir(posterior.parent)}

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"No space left on device.*the disk is full; free some space"):
        export(posterior, to, force=True)
    assert {name: (posterior.parent / name).read_bytes() for name in os.listdir(posterior.parent)} == before


@pytest.mark.parametrize("to", ["fits", "csv", "votable", "ecsv", "markdown", "getdist", "arviz"])
def test_the_folder_is_made(to: str, posterior: Path, folder: Path) -> None:
    paths = export(posterior, to, folder / "new" / "deeper" / "a.out")
    assert sorted(os.listdir(folder / "new" / "deeper")) == sorted(path.name for path in paths)


def test_a_folder_that_cannot_be_one_is_an_output_error(catalog: Path, folder: Path) -> None:
    (folder / "file").write_text("not a folder")
    with pytest.raises(OutputError, match=r"cannot write .*a\.out"):
        export(catalog, "csv", folder / "file" / "a.out")
