"""Tables from groups to classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from astropipe.morphology.paper.groups import name_groups, read_group_classes
from astropipe.runtime.errors import InputError


def test_yaml_and_ecsv_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "groups.yaml").write_text("0: SPH\n2: UNC\n1: IRR\n")
    Table({"group": [0, 1, 2], "class": ["SPH", "IRR", "UNC"]}).write(tmp_path / "groups.ecsv")
    expected = {0: "SPH", 1: "IRR", 2: "UNC"}
    assert read_group_classes(tmp_path / "groups.yaml", 3) == expected
    assert read_group_classes(tmp_path / "groups.ecsv", 3) == expected


def test_rejected_galaxies_have_no_class() -> None:
    names = name_groups(np.array([0, 1, 1, -1]), np.array([True, True, False, False]), {0: "SPH", 1: "LTD"})
    assert names.tolist() == ["SPH", "LTD", "UNC", "UNC"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0: SPH\n1: LTD\n", "no class for group 2"),
        ("0: SPH\n1: LTD\n2: XYZ\n", "group 2 is 'XYZ'; choose from SPH"),
        ("0: SPH\n1: LTD\n2: IRR\n3: IRR\n", "3 is no group; they are numbered from 0 to 2"),
        ("0: SPH\n1: LTD\n1: IRR\n2: IRR\n", "group 1 stands there twice"),
        ("- SPH\n- LTD\n", "write a line '0: SPH'"),
        ("0: [SPH\n", "not readable"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "groups.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_group_classes(path, 3)
    assert str(path) in str(caught.value)


def test_missing_file_and_column_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not readable"):
        read_group_classes(tmp_path / "none.yaml", 3)
    Table({"group": [0], "name": ["SPH"]}).write(tmp_path / "groups.ecsv")
    with pytest.raises(InputError, match="no column class"):
        read_group_classes(tmp_path / "groups.ecsv", 1)
