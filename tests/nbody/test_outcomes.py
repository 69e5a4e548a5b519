from __future__ import annotations

import math

import numpy as np
import pytest
from kepler import hierarchical_triple, kepler_state, period

from astropipe.nbody import classify
from astropipe.nbody.outcomes import OUTCOME_NAMES

Bodies = tuple[np.ndarray, np.ndarray, np.ndarray]


def binary_with_visitor(distance: float, speed: float) -> Bodies:
    """A binary of a = 2, e = 0.4 and mass 3, and a third body of mass 1 on the x axis, all in the binary's frame."""
    m, x, v = kepler_state(2.0, 1.0, 2.0, 0.4, 1.0)
    return np.append(m, 1.0), np.vstack([x, [distance, 0, 0]]), np.vstack([v, [speed, 0, 0]])


def test_elements_of_a_binary() -> None:
    outcome = classify(*kepler_state(2.0, 1.0, 2.0, 0.4, 1.0, G=3.0), G=3.0)
    assert outcome.label == "binary"
    assert outcome.semi_major_axis == pytest.approx(2.0, rel=1e-12)
    assert outcome.eccentricity == pytest.approx(0.4, rel=1e-12)
    assert outcome.period == pytest.approx(period(2.0, 1.0, 2.0, G=3.0), rel=1e-12)
    assert (list(outcome.members), outcome.escaper) == ([0, 1], -1)


@pytest.mark.parametrize("e", [0.0, 1e-6, 0.999])
def test_eccentricity_at_the_ends(e: float) -> None:
    assert classify(*kepler_state(1.0, 1.0, 1.0, e, 0.4)).eccentricity == pytest.approx(e, abs=1e-12)


def test_escape_needs_energy_distance_and_recession() -> None:
    # Relative to the binary's barycentre the escape speed at distance d is sqrt(2 * 4 / d).
    def label(distance: float, factor: float) -> tuple[str, int]:
        outcome = classify(*binary_with_visitor(distance, factor * math.sqrt(8.0 / abs(distance))))
        return outcome.label, outcome.escaper

    assert label(50.0, 1.01) == ("binary+escaper", 2)
    assert label(50.0, -1.01) == ("interplay", -1)
    assert label(30.0, 1.01) == ("interplay", -1)
    assert label(50.0, 0.99)[1] == -1


def test_escape_factor_is_in_semi_major_axes() -> None:
    bodies = binary_with_visitor(50.0, 1.0)
    assert classify(*bodies, escape_factor=24.9).label == "binary+escaper"
    assert classify(*bodies, escape_factor=25.1).label == "interplay"


def test_stable_hierarchy_by_mardling_and_aarseth() -> None:
    # q = 1/2 and e_out = 0.2: a_out (1 - 0.2) / a_in > 2.8 (1.5 * 1.2 / sqrt(0.8))^0.4 = 3.704, so a_out > 4.63 a_in.
    assert classify(*hierarchical_triple((1.0, 0.1), (4.75, 0.2))).label == "hierarchical"
    assert classify(*hierarchical_triple((1.0, 0.1), (4.50, 0.2))).label == "interplay"


def test_inclined_hierarchies_are_more_stable() -> None:
    m, x, v = hierarchical_triple((1.0, 0.1), (4.0, 0.2))
    assert classify(m, x, v).label == "interplay"
    # Reversing the inner orbit (i = 180 degrees) lowers the limit by 30 %, to 3.24.
    centre = v[:2].mean(axis=0)
    v[:2] = 2 * centre - v[:2]
    assert classify(m, x, v).label == "hierarchical"


def test_most_bound_pair_is_found_whatever_the_order() -> None:
    m, x, v = hierarchical_triple((0.1, 0.3), (5.0, 0.1))
    order = [2, 0, 1]
    outcome = classify(m[order], x[order], v[order])
    assert list(outcome.members) == [1, 2]
    assert outcome.semi_major_axis == pytest.approx(0.1, rel=1e-2)


def test_ionised_and_approaching() -> None:
    m = np.ones(3)
    x = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0]])
    apart = classify(m, x, x)
    assert (apart.label, list(apart.members), apart.escaper) == ("ionised", [-1, -1], -1)
    assert math.isnan(apart.semi_major_axis)
    assert classify(m, x, -x).label == "interplay"
    assert classify(m[:2], x[:2], x[:2]).label == "ionised"


def test_four_bodies() -> None:
    m, x, v = binary_with_visitor(50.0, 1.0)
    x4 = np.vstack([x, [0, -80.0, 0]])
    both = classify(np.append(m, 1.0), x4, np.vstack([v, [0, -1.0, 0]]))
    assert (both.label, both.escaper) == ("binary+escaper", 3)
    near = np.vstack([x, [0, -6.0, 0]])
    one = classify(np.append(m, 1.0), near, np.vstack([v, [0.5, 0, 0]]))
    assert (one.label, one.escaper) == ("partial-escape", 2)
    # Two binaries that fly apart: the second is bound to itself, so no single body escapes.
    m2, x2, v2 = kepler_state(1.0, 1.0, 2.5, 0.0, 0.0)
    shifted_x, shifted_v = x2 + np.array([90.0, 0, 0]), v2 + np.array([2.0, 0, 0])
    pairs = classify(np.concatenate([m[:2], m2]), np.vstack([x[:2], shifted_x]), np.vstack([v[:2], shifted_v]))
    assert pairs.label == "interplay"


def test_massless_planets_have_elements_too() -> None:
    outcome = classify(*kepler_state(1.0, 0.0, 1.5, 0.2, 0.3))
    assert outcome.label == "binary"
    assert outcome.semi_major_axis == pytest.approx(1.5, rel=1e-12)


def test_batch_is_rows_of_singles() -> None:
    systems = [binary_with_visitor(50.0, 1.0), hierarchical_triple((1.0, 0.1), (9.0, 0.2))]
    batch = classify(*(np.stack(part) for part in zip(*systems, strict=True)))
    assert list(batch.label) == ["binary+escaper", "hierarchical"]
    assert set(batch.label) <= set(OUTCOME_NAMES)
    for i, bodies in enumerate(systems):
        one = classify(*bodies)
        assert (batch.semi_major_axis[i], batch.escaper[i]) == (one.semi_major_axis, one.escaper)
