"""Initial conditions of a periodic box: a Gaussian field, displaced by Lagrangian perturbation theory."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.flow.background import Background, LinearPower
from astropipe.nbody.flow.mesh import ComplexArray, Mesh


def lattice(n_side: int, box_size: float) -> FloatArray:
    """Return the points of a cubic lattice as [n_side**3, 3], in C order."""
    axis = np.arange(n_side) * (box_size / n_side)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def gaussian_field(mesh: Mesh, power: LinearPower, rng: np.random.Generator) -> ComplexArray:
    """Return the transform of a Gaussian density contrast with a power spectrum, from white noise in real space."""
    transform = mesh.forward(rng.standard_normal((mesh.cells,) * 3))
    kx, ky, kz = mesh.wavenumbers
    k = np.sqrt(kx**2 + ky**2 + kz**2)
    k[0, 0, 0] = 1.0
    transform *= np.sqrt(power(k) * mesh.cells**3 / mesh.box_size**3)
    transform[0, 0, 0] = 0.0
    return transform


def displacements(mesh: Mesh, contrast: ComplexArray) -> tuple[FloatArray, FloatArray]:
    """Return the displacements of first and second order that belong to a linear density contrast.

    A particle of the lattice point q stands at q + D1 first + D2 second, with D1 and D2 of `Background.growth`
    (Bouchet et al. 1995; Scoccimarro 1998, MNRAS 299, 1097, appendix D).

    Parameters
    ----------
    mesh : Mesh
        The lattice.
    contrast : array
        Transform of the contrast at D1 = 1.

    Returns
    -------
    first, second : arrays of shape (cells**3, 3)
        In the unit of the box.
    """
    potential = contrast * mesh.inverse_laplacian
    return -_gradient(mesh, potential), _gradient(mesh, _second_potential(mesh, potential))


def _gradient(mesh: Mesh, potential: ComplexArray) -> FloatArray:
    parts = [mesh.backward(1j * k * potential) for k in mesh.gradients]
    return np.stack(parts, axis=-1).reshape(-1, 3)


def _second_potential(mesh: Mesh, potential: ComplexArray) -> ComplexArray:
    """Return the transform of the second potential, whose Laplacian is the sum of minors of the tidal tensor."""
    k = mesh.wavenumbers
    diagonal = [mesh.backward(-(k[i] ** 2) * potential) for i in range(3)]
    source = np.zeros((mesh.cells,) * 3)
    for i, j in combinations(range(3), 2):
        off_diagonal = mesh.backward(-(mesh.gradients[i] * mesh.gradients[j]) * potential)
        source += diagonal[i] * diagonal[j] - off_diagonal**2
    return mesh.forward(source) * mesh.inverse_laplacian


def initial_conditions(
    n_side: int,
    box_size: float,
    background: Background,
    power: LinearPower,
    a: float,
    rng: np.random.Generator,
    *,
    order: int = 2,
    threads: int = 1,
) -> tuple[FloatArray, FloatArray]:
    """Return positions and momenta of the particles of a box at its start.

    Parameters
    ----------
    n_side : int
        Particles along each side.
    box_size : float
        Side of the box in comoving Mpc.
    background, power : Background, LinearPower
        Universe, and power spectrum today, which linear theory takes back to the start.
    a : float
        Scale factor of the start.
    rng : Generator
        Of the phases and amplitudes.
    order : {1, 2}
        1 for Zel'dovich's approximation, 2 for second order.
    threads : int
        Threads of the Fourier transforms.

    Returns
    -------
    positions : array of shape (n_side**3, 3)
        Comoving, in [0, box_size), in Mpc.
    momenta : array of shape (n_side**3, 3)
        a^2 dx/dt in Mpc H0; divided by a, peculiar velocities.
    """
    mesh = Mesh(n_side, box_size, threads)
    first, second = displacements(mesh, gaussian_field(mesh, power, rng))
    d1, s1, d2, s2 = background.growth(a)
    if order == 1:
        d2 = s2 = 0.0
    positions = lattice(n_side, box_size) + d1 * first + d2 * second
    momenta = a**2 * float(background.expansion(a)) * (s1 * first + s2 * second)
    return wrapped(positions, box_size), momenta


def wrapped(positions: FloatArray, box_size: float) -> FloatArray:
    """Return positions brought into [0, box_size)."""
    inside = positions % box_size
    # A remainder of a tiny negative number rounds to the divisor itself.
    inside[inside == box_size] = 0.0
    return inside
