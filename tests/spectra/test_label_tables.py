"""Tables of labels from other catalogs: spellings, units, missing values, and what bad tables get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table

from astropipe.runtime.errors import InputError
from astropipe.spectra.label_tables import read_label_table
from astropipe.spectra.labels import ELEMENTS, LABEL_NAMES, label_index


def payne(n: int = 3) -> dict[str, Any]:
    """Columns as APOGEE-Payne spells them."""
    values: dict[str, Any] = {"APOGEE_ID": [f"2M{i:05d}" for i in range(n)]}
    values["Teff"] = 4800.0 + np.arange(n)
    values["Logg"] = 2.5 + 0.1 * np.arange(n)
    for i, element in enumerate(ELEMENTS):
        values[f"{element}H"] = -0.1 * i + 0.01 * np.arange(n)
    return values


def _write(path: Path, values: dict[str, Any], name: str = "labels.csv") -> Path:
    Table(values).write(path / name)
    return path / name


def test_spellings_of_apogee_payne(tmp_path: Path) -> None:
    table = read_label_table(_write(tmp_path, payne()), "apogee_id")
    assert list(table["id"]) == ["2M00000", "2M00001", "2M00002"]
    assert table["t_eff"].unit == u.K
    np.testing.assert_allclose(table["cu_h"], -1.4 + 0.01 * np.arange(3))
    assert table.meta["absent"] == ["v_micro"]


def test_spellings_of_rrnet_with_errors(tmp_path: Path) -> None:
    values = {
        "obsid": [1, 2],
        "Teff[K]": [5000.0, 5100.0],
        "Logg": [4.0, 4.1],
        "FeH": [0.0, 0.1],
        "FeH_err": [0.05, 0.06],
    }
    values |= {"vmic[km/s]": [1.0, 1.1], "Teff[K]_err": [50.0, 60.0]}
    table = read_label_table(_write(tmp_path, values), "obsid")
    assert table["t_eff_err"].to_value(u.K).tolist() == [50.0, 60.0]
    assert table["fe_h_err"].tolist() == [0.05, 0.06]
    assert table["v_micro"].unit == u.km / u.s


def test_units_are_converted_and_missing_values_counted(tmp_path: Path) -> None:
    values = payne()
    values["MgH"][1] = -9999.0
    table = QTable(values)
    table["Teff"] = np.array([4.8, 4.9, 5.0]) * u.kK
    table.write(tmp_path / "labels.fits")
    found = read_label_table(tmp_path / "labels.fits", "APOGEE_ID")
    np.testing.assert_allclose(found["t_eff"].to_value(u.K), [4800.0, 4900.0, 5000.0])
    assert found.meta["n_missing"] == {"mg_h": 1}
    assert found.meta["n_incomplete"] == 1


def test_abundances_relative_to_iron_are_not_taken(tmp_path: Path) -> None:
    values = payne()
    values["Mg_Fe"] = values.pop("MgH")
    assert "mg_h" not in read_label_table(_write(tmp_path, values), "APOGEE_ID").colnames


def _change(**changes: Any) -> dict[str, Any]:
    return {name: column for name, column in (payne() | changes).items() if column is not None}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (_change(APOGEE_ID=None), "no id column 'APOGEE_ID'; columns are Teff, Logg"),
        (_change(APOGEE_ID=["a", "b", "a"]), "more than once, such as 'a' in rows 0, 2"),
        (_change(APOGEE_ID=["a", "", "c"]), "is empty in row 1"),
        (_change(Teff=None), "no column for t_eff"),
        (_change(Teff=["hot", "cool", "warm"]), "does not hold numbers"),
        (_change(T_EFF=[1.0, 2.0, 3.0]), "'Teff' and 'T_EFF' both give t_eff"),
        (_change(KH=[-9999.0] * 3), "no row has all labels"),
    ],
)
def test_bad_tables_are_named(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"labels\.csv.*{message}"):
        read_label_table(_write(tmp_path, values), "APOGEE_ID")


def test_a_wrong_unit_is_named(tmp_path: Path) -> None:
    table = QTable(payne())
    table["Teff"] = table["Teff"] * u.m
    table.write(tmp_path / "labels.ecsv")
    with pytest.raises(InputError, match="column Teff has the unit m; K is needed"):
        read_label_table(tmp_path / "labels.ecsv", "APOGEE_ID")


def test_empty_missing_and_unknown_files_are_named(tmp_path: Path) -> None:
    Table(payne(), masked=False)[:0].write(tmp_path / "empty.csv")
    for name, message in (("empty.csv", "no rows"), ("none.csv", "no such file"), ("a.doc", "kind of table")):
        if name == "a.doc":
            (tmp_path / name).write_text("x")
        with pytest.raises(InputError, match=message):
            read_label_table(tmp_path / name, "APOGEE_ID")


def test_labels_have_places() -> None:
    assert [label_index(name) for name in LABEL_NAMES] == list(range(17))
    with pytest.raises(KeyError, match="'age' is no label"):
        label_index("age")
