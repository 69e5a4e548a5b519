"""The shipped measurements against what is published, and files of users against the ways they go wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from astropipe.inference.datasets import SHIPPED, dataset, read_dataset
from astropipe.runtime.errors import InputError, UsageError

SIZES = {
    "chronometers-15": 15,
    "chronometers-31": 31,
    "chronometers-32": 32,
    "desi-dr1": 12,
    "desi-dr2": 13,
    "pantheon-40": 40,
    "sdss-growth": 5,
    "union3": 22,
    "planck-2018": 3,
    "planck-pr4": 3,
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_sets_are_complete_and_cite_their_source(name: str) -> None:
    data = dataset(name)
    assert data.name == name
    assert len(data) == SIZES[name]
    assert data.covariance.shape == (len(data), len(data))
    assert data.citations
    for path in data.sources:
        meta = Table.read(path, format="ascii.ecsv").meta
        assert meta["source"] and meta["citation"] and meta["arxiv"], path


def test_desi_dr2_has_the_published_errors_and_correlations() -> None:
    # Standard errors and correlations of the DR2 likelihood, five and four digits.
    data = dataset("desi-dr2")
    sigma = np.sqrt(np.diag(data.covariance))
    published = [0.07609, 0.16837, 0.42887, 0.17993, 0.33387, 0.16178, 0.20104]
    published += [0.32456, 0.22455, 0.76356, 0.51801, 0.53168, 0.10106]
    np.testing.assert_allclose(sigma, published, atol=6e-6)
    neighbours = np.diag(data.covariance, 1) / (sigma[:-1] * sigma[1:])
    np.testing.assert_allclose(neighbours[1::2], [-0.4516, -0.3953, -0.3472, -0.3983, -0.4936, -0.4306], atol=6e-5)
    np.testing.assert_array_equal(neighbours[0::2], 0.0)


def test_desi_dr1_has_the_table_of_its_paper() -> None:
    # DESI 2024 VI (arXiv:2404.03002), table 1.
    data = dataset("desi-dr1")
    table = {
        (0.295, "DV/r_d"): (7.93, 0.15),
        (0.51, "DM/r_d"): (13.62, 0.25),
        (0.51, "DH/r_d"): (20.98, 0.61),
        (0.706, "DM/r_d"): (16.85, 0.32),
        (0.706, "DH/r_d"): (20.08, 0.60),
        (0.93, "DM/r_d"): (21.71, 0.28),
        (0.93, "DH/r_d"): (17.88, 0.35),
        (1.317, "DM/r_d"): (27.79, 0.69),
        (1.317, "DH/r_d"): (13.82, 0.42),
        (1.491, "DV/r_d"): (26.07, 0.67),
        (2.33, "DM/r_d"): (39.71, 0.94),
        (2.33, "DH/r_d"): (8.52, 0.17),
    }
    sigma = np.sqrt(np.diag(data.covariance))
    rows = list(zip(data.z.tolist(), data.quantity, strict=True))
    assert sorted(rows) == sorted(table)
    for row, value, error in zip(rows, data.value, sigma, strict=True):
        assert (value, error) == pytest.approx(table[row], abs=0.0051)


def test_chronometers_share_the_systematics_of_moresco_2020() -> None:
    data = dataset("chronometers-15")
    # z = 0.1791: IMF 0.47 %, SPS 5.4 %; z = 1.965, beyond the table: 0.20 % and 2.34 %.
    expected = 74.91 * 186.5 * (0.47 * 0.20 + 5.4 * 2.34) / 1e4
    assert data.covariance[0, -1] == pytest.approx(expected, rel=1e-6)
    diagonal = 49.58**2 + 186.5**2 * (0.20**2 + 2.34**2) / 1e4
    assert data.covariance[-1, -1] == pytest.approx(diagonal, rel=1e-6)
    independent = dataset("chronometers-32").covariance
    assert np.count_nonzero(independent - np.diag(np.diag(independent))) == 15 * 14


def test_pantheon_adds_its_systematics_to_its_statistics() -> None:
    covariance = dataset("pantheon-40").covariance
    assert covariance[0, 0] == pytest.approx(0.0311**2 + 0.000455, rel=1e-12)
    assert covariance[39, 38] == pytest.approx(0.00259913, rel=1e-12)


def chronometer_table() -> Table:
    table = Table(
        {"z": [0.1, 0.5, 1.0], "hubble": [70.0, 90.0, 120.0], "sigma": [5.0, 6.0, 7.0]},
        units={"hubble": "km / (s Mpc)", "sigma": "km / (s Mpc)"},
        meta={"kind": "chronometers"},
    )
    return table


def write(table: Table, folder: Path, name: str = "mine.ecsv") -> Path:
    path = folder / name
    table.write(path, format="ascii.ecsv")
    return path


def test_a_users_file_in_any_unit_is_read(tmp_path: Path) -> None:
    table = chronometer_table()
    table["hubble"] = table["hubble"].to("m / (s Mpc)")
    data = dataset(write(table, tmp_path))
    assert data.name == data.title == "mine"
    np.testing.assert_allclose(data.value, [70.0, 90.0, 120.0])
    np.testing.assert_allclose(data.covariance, np.diag([25.0, 36.0, 49.0]))


def test_a_users_covariance_is_read_from_its_own_table(tmp_path: Path) -> None:
    table = chronometer_table()
    table.meta["covariance"] = "pairs.ecsv"
    pairs = Table({"row": [1], "column": [0], "covariance": [12.0]}, units={"covariance": "km2 / (s2 Mpc2)"})
    write(pairs, tmp_path, "pairs.ecsv")
    data = dataset(write(table, tmp_path))
    assert data.covariance[0, 1] == data.covariance[1, 0] == 12.0
    assert [path.name for path in data.sources] == ["mine.ecsv", "pairs.ecsv"]


def set_value(column: str, row: int, value: float) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        table[column][row] = value

    return change


def drop(column: str) -> Callable[[Table], None]:
    return lambda table: table.remove_column(column)


def no_unit(table: Table) -> None:
    table["hubble"].unit = None


def no_such_unit(table: Table) -> None:
    table["hubble"].unit = u.Unit("furlong", parse_strict="silent")


def no_kind(table: Table) -> None:
    del table.meta["kind"]


def words(table: Table) -> None:
    table["sigma"] = ["five", "six", "seven"]
    table["sigma"].unit = "km / (s Mpc)"


def no_rows(table: Table) -> None:
    table.remove_rows([0, 1, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("hubble", 1, np.nan), "row 1 has hubble = nan"),
        (set_value("sigma", 2, -7.0), "row 2 has sigma = -7; standard errors must be > 0"),
        (set_value("sigma", 0, 0.0), "row 0 has sigma = 0"),
        (set_value("z", 0, -0.1), "row 0 has z = -0.1; redshifts must be > 0"),
        (drop("hubble"), "no column 'hubble'; the file has z, sigma"),
        (drop("sigma"), "no errors; add a column 'sigma'"),
        (no_unit, "column 'hubble' is in no unit, needs km"),
        (no_such_unit, "column 'hubble' is in furlong, needs km"),
        (no_kind, "no kind; write .* chronometers, bao, supernovae, cmb"),
        (words, "column 'sigma' must hold numbers"),
        (no_rows, "no rows"),
    ],
)
def test_a_faulty_file_is_refused_with_the_row(change: Callable[[Table], None], message: str, tmp_path: Path) -> None:
    table = chronometer_table()
    change(table)
    with pytest.raises(InputError, match=message) as caught:
        read_dataset(write(table, tmp_path))
    assert "mine.ecsv" in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        ([1], [0], [40.0], "not positive definite .* rows [01], [01]"),
        ([0], [1], [1.0], "row 0, column 1 is outside the lower triangle of 3 x 3"),
        ([3], [0], [1.0], "row 3, column 0 is outside"),
        ([1, 1], [0, 0], [1.0, 1.0], "listed twice"),
        ([1], [0], [np.nan], "row 0 has covariance = nan"),
    ],
)
def test_a_faulty_covariance_is_refused(
    row: list[int], column: list[int], value: list[float], message: str, tmp_path: Path
) -> None:
    table = chronometer_table()
    table.meta["covariance"] = "pairs.ecsv"
    pairs = Table({"row": row, "column": column, "covariance": value}, units={"covariance": "km2 / (s2 Mpc2)"})
    write(pairs, tmp_path, "pairs.ecsv")
    with pytest.raises(InputError, match=message):
        read_dataset(write(table, tmp_path))


def test_an_unknown_quantity_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    table = Table({"z": [0.5], "quantity": ["DA/r_d"], "value": [9.0], "sigma": [0.1]}, meta={"kind": "bao"})
    with pytest.raises(InputError, match="row 0 measures 'DA/r_d', which is not one of DM/r_d, DH/r_d, DV/r_d"):
        read_dataset(write(table, tmp_path))


def test_a_masked_entry_is_named(tmp_path: Path) -> None:
    table = Table(chronometer_table(), masked=True)
    table["sigma"].mask = [False, True, False]
    with pytest.raises(InputError, match="row 1 has no 'sigma'"):
        read_dataset(write(table, tmp_path))


def test_a_missing_file_and_a_file_of_another_kind_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        dataset(tmp_path / "absent.ecsv")
    (tmp_path / "text.ecsv").write_text("z hubble\n0.1 70\n")
    with pytest.raises(InputError, match="not a readable ECSV table"):
        dataset(tmp_path / "text.ecsv")
    table = chronometer_table()
    table.meta["covariance"] = "absent.ecsv"
    with pytest.raises(InputError, match=r"absent\.ecsv: no such file"):
        dataset(write(table, tmp_path))


def test_an_unknown_name_brings_the_shipped_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean desi-dr2.*pantheon-40"):
        dataset("desi-dr3")
