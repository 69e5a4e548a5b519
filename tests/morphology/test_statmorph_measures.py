"""The fast measures against statmorph, where it is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sersic_stamps import SIZE, clumpy_image, sersic_image, stamps_of

from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.measure_columns import Measures
from astropipe.morphology.measures import measure
from astropipe.morphology.stamps import Stamps
from astropipe.morphology.statmorph_measures import STATMORPH_COLUMNS, measure_with_statmorph
from astropipe.runtime.errors import MissingDependencyError

FWHM_PX = 3.3
SKY = 0.02


def test_a_missing_statmorph_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statmorph", None)
    with pytest.raises(MissingDependencyError, match=r"astropipe\[statmorph\]"):
        measure_with_statmorph(stamps_of(np.ones((1, SIZE, SIZE)), 1.0))


@pytest.fixture(scope="module")
def mixed() -> Stamps:
    rng = np.random.default_rng(9)
    cases = ((1.0, 5.0, 0.8), (2.5, 10.0, 0.5), (4.0, 5.0, 0.8))
    images = [sersic_image(n, r_e, q, 0.7, fwhm_px=FWHM_PX) for n, r_e, q in cases] + [clumpy_image()]
    return stamps_of(np.array(images) + rng.normal(0.0, SKY, (len(images), SIZE, SIZE)), SKY)


@pytest.fixture(scope="module")
def theirs(mixed: Stamps) -> Measures:
    pytest.importorskip("statmorph", reason="statmorph is not installed: pip install 'astropipe[statmorph]'")
    return measure_with_statmorph(mixed)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("gini", 0.04),
        ("m20", 0.12),
        ("concentration", 0.15),
        ("asymmetry", 0.06),
        ("smoothness", 0.08),
        ("intensity", 0.03),
        ("deviation", 0.03),
        ("multimode", 0.15),
    ],
)
def test_statistics_agree(mixed: Stamps, theirs: Measures, name: str, tolerance: float) -> None:
    np.testing.assert_allclose(measure(mixed)[name], theirs[name], atol=tolerance)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("r20", 0.07), ("r50", 0.06), ("r80", 0.06), ("petrosian_radius", 0.08)]
)
def test_radii_agree(mixed: Stamps, theirs: Measures, name: str, tolerance: float) -> None:
    np.testing.assert_allclose(measure(mixed)[name], theirs[name], rtol=tolerance)


def test_rows_can_be_measured_in_parts_and_failures_stay_alone(mixed: Stamps, theirs: Measures) -> None:
    rng = np.random.default_rng(10)
    images = np.array([mixed.images[-1], np.zeros((SIZE, SIZE)), rng.normal(0, SKY, (SIZE, SIZE)), mixed.images[0]])
    part = measure_with_statmorph(stamps_of(images, SKY), np.array([0, 1, 2]))
    assert part["gini"][0] == theirs["gini"][-1]
    assert part.flags[1] == GalaxyFlag.EMPTY and np.isnan(part["gini"][1])
    assert part.flags[2] & GalaxyFlag.FAINT
    assert {column.name for column in STATMORPH_COLUMNS} <= set(part.values)
    assert not any((values == -99.0).any() for values in part.values.values())
