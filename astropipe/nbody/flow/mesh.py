"""Gravity on a periodic mesh: cloud-in-cell assignment, Poisson's equation by FFT, forces back to the particles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numba import prange
from numpy.typing import NDArray
from scipy import fft

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import inlined_kernel, kernel, parallel_kernel

ComplexArray: TypeAlias = NDArray[np.complex128]


@inlined_kernel
def _cell(x: float, cells: int) -> tuple[int, int, float]:
    """Return the two nodes beside a coordinate in cells, periodic, and the weight of the second (cloud in cell).

    Nodes are the centres of cells, so that each point of a lattice that fits the mesh is shared evenly by its
    neighbours. On a node a small displacement would move mass to one side only, and give the contrast half a cell away.
    """
    x -= 0.5
    floor = int(np.floor(x))
    low = floor % cells
    return low, (low + 1) % cells, x - floor


@kernel
def deposit(positions: FloatArray, cells: int, box_size: float) -> FloatArray:
    """Return the number of particles at each node of a mesh by cloud in cell (Hockney & Eastwood 1981).

    One thread, in the order of the particles: the sums do not depend on anything else.

    Parameters
    ----------
    positions : array of shape (n, 3)
        Positions in [0, box_size].
    cells : int
        Nodes along each side.
    box_size : float
        Side of the box.
    """
    mesh = np.zeros((cells, cells, cells))
    scale = cells / box_size
    for p in range(positions.shape[0]):
        i0, i1, wx = _cell(positions[p, 0] * scale, cells)
        j0, j1, wy = _cell(positions[p, 1] * scale, cells)
        k0, k1, wz = _cell(positions[p, 2] * scale, cells)
        mesh[i0, j0, k0] += (1.0 - wx) * (1.0 - wy) * (1.0 - wz)
        mesh[i0, j0, k1] += (1.0 - wx) * (1.0 - wy) * wz
        mesh[i0, j1, k0] += (1.0 - wx) * wy * (1.0 - wz)
        mesh[i0, j1, k1] += (1.0 - wx) * wy * wz
        mesh[i1, j0, k0] += wx * (1.0 - wy) * (1.0 - wz)
        mesh[i1, j0, k1] += wx * (1.0 - wy) * wz
        mesh[i1, j1, k0] += wx * wy * (1.0 - wz)
        mesh[i1, j1, k1] += wx * wy * wz
    return mesh


@parallel_kernel
def interpolate(mesh: FloatArray, positions: FloatArray, box_size: float, values: FloatArray) -> None:
    """Write a field at the particles into ``values`` [n]: the counterpart of `deposit`, so that none moves itself."""
    cells = mesh.shape[0]
    scale = cells / box_size
    for p in prange(positions.shape[0]):
        i0, i1, wx = _cell(positions[p, 0] * scale, cells)
        j0, j1, wy = _cell(positions[p, 1] * scale, cells)
        k0, k1, wz = _cell(positions[p, 2] * scale, cells)
        near = (1.0 - wy) * ((1.0 - wz) * mesh[i0, j0, k0] + wz * mesh[i0, j0, k1])
        near += wy * ((1.0 - wz) * mesh[i0, j1, k0] + wz * mesh[i0, j1, k1])
        far = (1.0 - wy) * ((1.0 - wz) * mesh[i1, j0, k0] + wz * mesh[i1, j0, k1])
        far += wy * ((1.0 - wz) * mesh[i1, j1, k0] + wz * mesh[i1, j1, k1])
        values[p] = (1.0 - wx) * near + wx * far


@dataclass(frozen=True)
class Mesh:
    """A periodic cubic mesh in real and Fourier space.

    Parameters
    ----------
    cells : int
        Nodes along each side.
    box_size : float
        Side of the box; the unit of length of all that follows.
    threads : int
        Threads of the Fourier transforms, which change no bit.
    """

    cells: int
    box_size: float
    threads: int = 1

    def forward(self, field: FloatArray) -> ComplexArray:
        """Return the Fourier transform of a real field, unnormalised, half of the last axis."""
        return np.asarray(fft.rfftn(field, workers=self.threads))

    def backward(self, transform: ComplexArray) -> FloatArray:
        """Return the real field of a Fourier transform."""
        return np.asarray(fft.irfftn(transform, s=(self.cells,) * 3, workers=self.threads))

    @cached_property
    def wavenumbers(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Wavenumbers along each axis, shaped to broadcast over a transform."""
        full = 2.0 * np.pi * fft.fftfreq(self.cells, self.box_size / self.cells)
        half = 2.0 * np.pi * fft.rfftfreq(self.cells, self.box_size / self.cells)
        return full[:, None, None], full[None, :, None], half[None, None, :]

    @cached_property
    def gradients(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Wavenumbers by which a transform is differentiated: 0 at the Nyquist frequency, whose sign is not known."""
        nyquist = np.pi * self.cells / self.box_size
        kx, ky, kz = (np.where(np.abs(k) > 0.999999 * nyquist, 0.0, k) for k in self.wavenumbers)
        return kx, ky, kz

    @cached_property
    def differences(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What four-point differences do to a wave, in place of its wavenumbers (Hockney & Eastwood 1981).

        Forces of true gradients ring along the axes of the mesh: they jump where the mesh ends in Fourier space, which
        these do not.
        """
        h = self.box_size / self.cells
        dx, dy, dz = ((8.0 * np.sin(k * h) - np.sin(2.0 * k * h)) / (6.0 * h) for k in self.wavenumbers)
        return dx, dy, dz

    @cached_property
    def inverse_laplacian(self) -> FloatArray:
        """-1/k^2, and 0 for the mean."""
        kx, ky, kz = self.wavenumbers
        k2 = kx**2 + ky**2 + kz**2
        k2[0, 0, 0] = np.inf
        return np.asarray(-1.0 / k2)

    @cached_property
    def _energy_weights(self) -> FloatArray:
        """Energy of a wave of unit power: that of the potential of which the differences are the gradient."""
        # Parseval: the half of the last axis that is left out mirrors the one that is there, but for its ends.
        twice = np.full(self.cells // 2 + 1, 2.0)
        twice[0] = 1.0
        if self.cells % 2 == 0:
            twice[-1] = 1.0
        along = sum(k * d for k, d in zip(self.wavenumbers, self.differences, strict=True))
        return np.asarray(-0.5 * twice / float(self.cells) ** 6 * along * self.inverse_laplacian**2)

    def density_contrast(self, positions: FloatArray) -> FloatArray:
        """Return the density over its mean, less 1, of equal particles."""
        counts = deposit(positions, self.cells, self.box_size)
        counts *= self.cells**3 / positions.shape[0]
        counts -= 1.0
        return counts

    def gravity(self, positions: FloatArray) -> tuple[FloatArray, float]:
        """Return the field of equal particles for the potential of ``laplace(potential) = contrast``.

        Parameters
        ----------
        positions : array of shape (n, 3)
            Positions in [0, box_size].

        Returns
        -------
        field : array of shape (n, 3)
            Minus the gradient of the potential at the particles.
        energy : float
            Mean of potential times contrast over the box, halved: the energy per mean density and volume.
        """
        transform = self.forward(self.density_contrast(positions))
        power = transform.real**2 + transform.imag**2
        energy = float(np.sum(power * self._energy_weights))
        transform *= self.inverse_laplacian
        field = np.empty_like(positions)
        values = np.empty(positions.shape[0])
        for axis, k in enumerate(self.differences):
            interpolate(self.backward(-1j * k * transform), positions, self.box_size, values)
            field[:, axis] = values
        return field, energy
