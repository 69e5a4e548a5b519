"""Forces of the mesh against Ewald's sum, displacements against analytic waves, the spectrum of the start."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM, Planck18
from numpy.typing import NDArray
from scipy.special import erfc

from astropipe.nbody.flow.background import Background, LinearPower
from astropipe.nbody.flow.initial import displacements, gaussian_field, initial_conditions, lattice, wrapped
from astropipe.nbody.flow.mesh import Mesh, deposit, interpolate


def ewald(d: NDArray[np.float64], box: float) -> NDArray[np.float64]:
    """Attraction of a point mass and its images in a neutral box, all units 1 (Hernquist et al. 1991, ApJS 75, 231)."""
    alpha = 2.0 / box
    shifts = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3), axis=-1).reshape(-1, 3)
    x = d - box * shifts
    r = np.linalg.norm(x, axis=1)
    short = erfc(alpha * r) + 2 * alpha * r / np.sqrt(np.pi) * np.exp(-((alpha * r) ** 2))
    near = -np.sum(x * (short / r**3)[:, None], axis=0)
    k = 2 * np.pi / box * shifts[np.any(shifts != 0, axis=1)]
    k2 = np.sum(k**2, axis=1)
    far = np.sum(k * (np.exp(-k2 / (4 * alpha**2)) / k2 * np.sin(k @ d))[:, None], axis=0)
    return np.asarray(near - 4 * np.pi / box**3 * far)


@pytest.mark.parametrize(("cells_apart", "tolerance"), [(2.0, 0.2), (4.0, 0.04), (6.0, 0.015), (10.0, 0.012)])
def test_the_force_of_one_particle_is_that_of_ewald(cells_apart: float, tolerance: float) -> None:
    """Of two particles in a unit box, of strength 1/2 each, in all directions and places: root mean square error."""
    rng = np.random.default_rng(1)
    mesh, errors = Mesh(32, 1.0), []
    for _ in range(60):
        direction = rng.standard_normal(3)
        d = cells_apart / 32 * direction / np.linalg.norm(direction)
        source = rng.uniform(0, 1, 3)
        field, _ = mesh.gravity(wrapped(np.stack([source, source + d]), 1.0))
        # Poisson's equation here lacks the 4 pi of Newton's constant.
        truth = ewald(d, 1.0) / (2 * 4 * np.pi)
        errors.append(np.linalg.norm(field[1] - truth) / np.linalg.norm(truth))
        np.testing.assert_allclose(field.sum(axis=0), 0.0, atol=1e-12)
    assert np.sqrt(np.mean(np.square(errors))) < tolerance


def test_ewald_of_the_test_is_newtonian_near_and_zero_in_the_middle() -> None:
    d = np.array([0.01, 0.0, 0.0])
    assert ewald(d, 1.0)[0] == pytest.approx(-1e4, rel=1e-4)
    np.testing.assert_allclose(ewald(np.array([0.5, 0.5, 0.5]), 1.0), 0.0, atol=1e-9)


def test_mass_is_kept_and_returned_at_the_same_places() -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 3.0, (500, 3))
    mesh = deposit(x, 8, 3.0)
    assert mesh.sum() == pytest.approx(500)
    field = rng.standard_normal((8, 8, 8))
    values = np.empty(500)
    interpolate(field, x, 3.0, values)
    # Assignment and interpolation are each other's transpose.
    assert values.sum() == pytest.approx(np.sum(mesh * field))
    # A linear field is interpolated exactly, away from the jump at the side.
    line = np.broadcast_to(np.arange(0.5, 8.0)[:, None, None], (8, 8, 8)).copy()
    interpolate(line, x, 3.0, values)
    inside = np.abs(x[:, 0] - 1.5) < 1.5 * 7 / 8
    np.testing.assert_allclose(values[inside], x[inside, 0] * 8 / 3.0)


def test_the_field_of_a_wave_is_analytic() -> None:
    """Contrast A cos(k x) has the field -A sin(k x) / k, and the energy -A^2 / (4 k^2)."""
    box, n, k = 5.0, 16, 2 * np.pi / 5.0
    mesh = Mesh(n, box)
    q = lattice(n, box)
    contrast = mesh.forward(0.01 * np.cos(k * q[:, 0] - 0.4).reshape(n, n, n))
    first, second = displacements(mesh, contrast)
    # x = q + D psi with psi = -A sin / k: to first order, the contrast is minus its divergence.
    np.testing.assert_allclose(first[:, 0], -0.01 / k * np.sin(k * q[:, 0] - 0.4), atol=1e-14)
    np.testing.assert_allclose(first[:, 1:], 0.0, atol=1e-14)
    np.testing.assert_allclose(second, 0.0, atol=1e-15)
    x = wrapped(lattice(48, box) + displacements(Mesh(48, box), Mesh(48, box).forward(
        0.001 * np.cos(k * lattice(48, box)[:, 0]).reshape(48, 48, 48)))[0], box)  # fmt: skip
    field, energy = Mesh(48, box).gravity(x)
    expected = -0.001 / k * np.sin(k * (x[:, 0]))
    np.testing.assert_allclose(field[:, 0], expected, atol=0.01 * 0.001 / k)
    assert energy == pytest.approx(-(0.001**2) / (4 * k**2), rel=0.01)


def test_second_order_of_crossing_waves_is_analytic() -> None:
    """phi = a cos(k x) + b cos(k y): the minors leave a b k^4 cos cos, whose inverse Laplacian is that over -2 k^2."""
    box, n, k = 2.0, 16, np.pi
    mesh, q = Mesh(n, box), lattice(n, box)
    a, b = 0.3, 0.2
    contrast = -(k**2) * (a * np.cos(k * q[:, 0]) + b * np.cos(k * q[:, 1]))
    first, second = displacements(mesh, mesh.forward(contrast.reshape(n, n, n)))
    np.testing.assert_allclose(first[:, 0], a * k * np.sin(k * q[:, 0]), atol=1e-12)
    expected = 0.5 * a * b * k**3 * np.sin(k * q[:, 0]) * np.cos(k * q[:, 1])
    np.testing.assert_allclose(second[:, 0], expected, atol=1e-12)
    np.testing.assert_allclose(second[:, 2], 0.0, atol=1e-12)


def test_the_start_has_the_linear_spectrum_with_the_scatter_of_its_modes() -> None:
    box, n = 100.0, 48
    mesh, power = Mesh(n, box), LinearPower(Planck18, 0.81, 0.9665)
    transform = gaussian_field(mesh, power, np.random.default_rng(3))
    kx, ky, kz = mesh.wavenumbers
    k = np.sqrt(kx**2 + ky**2 + kz**2)
    # Half-space modes that are independent of each other.
    independent = np.broadcast_to((kz > 0) & (kz < np.pi * n / box * 0.99), k.shape)
    ratio = np.abs(transform) ** 2 * box**3 / n**6 / power(np.where(k > 0, k, 1.0))
    for low in np.linspace(0.1, 1.3, 7):
        chosen = independent & (k >= low) & (k < low + 0.2)
        # Squared amplitudes of a Gaussian field are exponential: their mean scatters by 1/sqrt(modes).
        assert abs(ratio[chosen].mean() - 1.0) < 4.5 / np.sqrt(chosen.sum())
        assert ratio[chosen].std() == pytest.approx(1.0, abs=6.0 / np.sqrt(chosen.sum()))
    np.testing.assert_allclose(mesh.backward(transform).mean(), 0.0, atol=1e-12)


def test_velocities_of_the_start_are_those_of_linear_growth() -> None:
    universe = FlatLambdaCDM(H0=70, Om0=1.0, Ob0=0.05, Tcmb0=2.725)
    background, power = Background(universe), LinearPower(universe, 0.01, 1.0)
    a = 0.1
    x, p = initial_conditions(16, 100.0, background, power, a, np.random.default_rng(4), order=1)
    moved = (x - lattice(16, 100.0) + 50.0) % 100.0 - 50.0
    # p = a^2 dx/dt = a^2 E dD/dln a psi.
    first, slope, _, _ = background.growth(a)
    np.testing.assert_allclose(p, a**2 * float(background.expansion(a)) * slope / first * moved, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_the_start_is_in_the_box(order: int) -> None:
    x, p = initial_conditions(
        8, 20.0, Background(Planck18), LinearPower(Planck18, 0.8, 0.97), 0.1, np.random.default_rng(5), order=order
    )
    assert x.shape == p.shape == (512, 3)
    assert (x >= 0).all() and (x < 20).all()
    assert wrapped(np.array([[-1e-30, 20.0, 25.0]]), 20.0).tolist() == [[0.0, 0.0, 5.0]]
