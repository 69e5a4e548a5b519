"""To REBOUND and back; skipped where it is not installed, for it is GPL and optional."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.nbody import from_rebound, integrate, named_system, to_rebound, total_energy
from astropipe.runtime.errors import InputError

rebound = pytest.importorskip("rebound", reason="REBOUND is not installed: pip install 'astropipe[peers]'")


def test_there_and_back() -> None:
    system = named_system("pythagorean")
    simulation = to_rebound(system.masses, system.positions, system.velocities, G=2.0, time=3.0)
    # Sides 3, 4, 5: U = -G (3*4/5 + 3*5/4 + 4*5/3)
    assert simulation.energy() == pytest.approx(-2.0 * 12.816666666666666, rel=1e-14)
    back = from_rebound(simulation)
    assert (back.G, back.time) == (2.0, 3.0)
    np.testing.assert_array_equal(back.masses, system.masses)
    np.testing.assert_array_equal(back.positions, system.positions)
    np.testing.assert_array_equal(back.velocities, system.velocities)
    assert total_energy(*back[:3], G=back.G) == pytest.approx(simulation.energy(), rel=1e-14)


def test_both_return_to_the_figure_eight() -> None:
    system = named_system("figure-eight")
    simulation = to_rebound(system.masses, system.positions, system.velocities)
    simulation.integrate(system.period)
    ours = integrate(system.masses, system.positions, system.velocities, system.period, tolerance=1e-11)
    np.testing.assert_allclose(from_rebound(simulation).positions, ours.positions, atol=1e-9)


def test_what_has_no_counterpart_is_refused() -> None:
    with pytest.raises(InputError, match="no particles"):
        from_rebound(rebound.Simulation())
    soft = to_rebound([1.0, 1.0], [[0.0, 0, 0], [1, 0, 0]], np.zeros((2, 3)))
    soft.softening = 0.1
    with pytest.raises(InputError, match="softening"):
        from_rebound(soft)
    with pytest.raises(InputError, match="shapes"):
        to_rebound([1.0, 1.0], [[0.0, 0, 0]], np.zeros((2, 3)))
