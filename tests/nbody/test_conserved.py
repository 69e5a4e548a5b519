from __future__ import annotations

import math

import numpy as np
import pytest
from kepler import kepler_state

from astropipe.nbody import named_system
from astropipe.nbody.conserved import (
    angular_momentum,
    angular_momentum_scale,
    barycentre,
    kinetic_energy,
    linear_momentum,
    potential_energy,
    to_barycentre,
    total_energy,
)


def test_kepler_energy_and_angular_momentum() -> None:
    m1, m2, a, e, G = 2.0, 0.5, 3.0, 0.4, 1.7
    m, x, v = kepler_state(m1, m2, a, e, 1.1, G=G)
    assert total_energy(m, x, v, G=G) == pytest.approx(-G * m1 * m2 / (2 * a), rel=1e-13)
    expected = m1 * m2 * math.sqrt(G * a * (1 - e**2) / (m1 + m2))
    np.testing.assert_allclose(angular_momentum(m, x, v), [0, 0, expected], rtol=1e-13, atol=1e-15)


def test_pythagorean_energy() -> None:
    system = named_system("pythagorean")
    # Sides 3, 4, 5: U = -(3*4/5 + 3*5/4 + 4*5/3)
    assert potential_energy(system.masses, system.positions) == pytest.approx(-12.816666666666666, rel=1e-15)
    assert kinetic_energy(system.masses, system.velocities) == 0.0


def test_barycentre_and_momentum() -> None:
    m = np.array([1.0, 3.0])
    x = np.array([[4.0, 0, 0], [0, 8.0, 0]])
    np.testing.assert_allclose(barycentre(m, x), [1.0, 6.0, 0.0])
    np.testing.assert_allclose(linear_momentum(m, x), [4.0, 24.0, 0.0])
    moved_x, moved_v = to_barycentre(m, x, 2 * x)
    np.testing.assert_allclose(barycentre(m, moved_x), 0.0, atol=1e-15)
    np.testing.assert_allclose(linear_momentum(m, moved_v), 0.0, atol=1e-15)


def test_batches_are_rows() -> None:
    rng = np.random.default_rng(1)
    m, x, v = rng.uniform(size=(4, 5, 3)), rng.normal(size=(4, 5, 3, 3)), rng.normal(size=(4, 5, 3, 3))
    energies, spins = total_energy(m, x, v), angular_momentum(m, x, v)
    assert energies.shape == (4, 5)
    assert spins.shape == (4, 5, 3)
    assert energies[2, 3] == total_energy(m[2, 3], x[2, 3], v[2, 3])
    np.testing.assert_array_equal(spins[2, 3], angular_momentum(m[2, 3], x[2, 3], v[2, 3]))
    assert to_barycentre(m, x, v)[0].shape == x.shape


def test_angular_momentum_has_a_natural_scale_where_it_is_zero() -> None:
    m = np.ones(2)
    spin = np.array([0.0, 0.0, 1.0])
    assert angular_momentum_scale(m, spin, 1.0) == 1.0
    # G M^(5/2) |U|^(-1/2)
    assert angular_momentum_scale(m, 0.0 * spin, 4.0) == pytest.approx(2**2.5 / 2.0, rel=1e-13)
    # Without a potential (test particles alone), the mass must do.
    assert angular_momentum_scale(m, 0.0 * spin, 0.0) > 0.0
