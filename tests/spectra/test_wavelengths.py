"""Air and vacuum: published pairs of wavelengths, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.runtime.errors import InputError
from astropipe.spectra.wavelengths import air_to_vacuum, vacuum_to_air

# Air and vacuum wavelengths in Angstrom of the NIST Atomic Spectra Database, to the digits given there.
NIST = [
    ("Na I D2", 5889.95095, 5891.58333),
    ("Na I D1", 5895.92424, 5897.55813),
    ("Mg I b1", 5183.6042, 5185.0477),
    ("Li I", 6707.76, 6709.61),
]


@pytest.mark.parametrize(("line", "air", "vacuum"), NIST)
def test_lines_of_nist(line: str, air: float, vacuum: float) -> None:
    # 1 mA is 0.05 km/s; refractive-index formulae differ by that.
    tolerance = 0.006 if line == "Li I" else 0.0012
    assert float(air_to_vacuum(air)) == pytest.approx(vacuum, abs=tolerance)


def test_there_and_back() -> None:
    vacuum = np.linspace(3000.0, 10_000.0, 500)
    np.testing.assert_allclose(air_to_vacuum(vacuum_to_air(vacuum)), vacuum, rtol=1e-12)


@pytest.mark.parametrize("wrong", [1500.0, np.nan, np.inf, -5000.0])
def test_wavelengths_that_cannot_be_converted_are_named(wrong: float) -> None:
    with pytest.raises(InputError, match="at position 1"):
        air_to_vacuum([5000.0, wrong])
