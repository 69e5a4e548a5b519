r"""The tidal field of a galaxy around a cluster on a circular orbit, to first order in the size of the cluster.

With the galactic centre in the direction of -x at t = 0, in coordinates that move with the cluster but do not rotate,
n(t) = (cos Omega t, sin Omega t, 0) and Oort's A and B (Omega = A - B),

.. math:: \ddot x = 4 A \Omega\, (n \cdot x)\, n - \Omega^2 (x - z \hat z) - \nu^2 z \hat z,
          \quad \nu^2 = 4 \pi G \rho + 2 (A^2 - B^2),

which is Hill's approximation (Chandrasekhar 1942, Principles of Stellar Dynamics; Heggie & Hut 2003, ch. 12) without
its Coriolis terms, as the axes do not turn. For a point mass A = 3/4 Omega, B = -1/4 Omega and rho = 0. Each particle
has the Jacobi energy :math:`E_J = v^2/2 + \phi + \phi_t - \Omega L_z` with
:math:`\phi_t = -\frac12 [4 A \Omega (n \cdot x)^2 - \Omega^2 (x^2 + y^2) - \nu^2 z^2]`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import kernel
from astropipe.runtime.errors import UsageError


class Tide(NamedTuple):
    """The field.

    Attributes
    ----------
    omega : float
        Angular speed of the cluster on its orbit.
    radial : float
        4 A Omega.
    vertical : float
        nu^2.
    """

    omega: float
    radial: float
    vertical: float

    @property
    def is_there(self) -> bool:
        """Whether there is a field at all."""
        return self.omega != 0.0

    def radius(self, mass: float) -> float:
        """Return the tidal (Jacobi) radius (G M / 4 A Omega)^(1/3) of a mass, G = 1; inf without a field."""
        return (mass / self.radial) ** (1.0 / 3.0) if self.radial > 0.0 else math.inf


NO_TIDE = Tide(0.0, 0.0, 0.0)


def oort_tide(a: float, b: float, density: float = 0.0) -> Tide:
    """Return the field of a galaxy with Oort's constants A and B and a density, in units of G = 1.

    Raises
    ------
    UsageError
        If A - B or A is not positive, or the field would not hold a cluster together across the plane.
    """
    omega, vertical = a - b, 4.0 * math.pi * density + 2.0 * (a * a - b * b)
    if not (omega > 0.0 and a > 0.0 and vertical >= 0.0 and math.isfinite(vertical)):
        raise UsageError(
            f"Oort's constants A = {a}, B = {b} and density = {density} give no tidal field: A and A - B must be "
            "positive, and 4 pi G rho + 2 (A^2 - B^2) must not be negative"
        )
    return Tide(omega, 4.0 * a * omega, vertical)


def point_mass_tide(omega: float) -> Tide:
    """Return the field of a point mass around which the cluster circles with an angular speed."""
    return oort_tide(0.75 * omega, -0.25 * omega)


@kernel
def add_tide(tide: Tide, time: float, at: FloatArray, force: FloatArray) -> None:
    """Add acceleration and jerk of the field at position and velocity (6,) to a force, (6,)."""
    c, s = math.cos(tide.omega * time), math.sin(tide.omega * time)
    along, across = at[0] * c + at[1] * s, at[1] * c - at[0] * s
    along_rate = at[3] * c + at[4] * s + tide.omega * across
    across_rate = tide.omega * along
    omega2 = tide.omega * tide.omega
    force[0] += tide.radial * along * c - omega2 * at[0]
    force[1] += tide.radial * along * s - omega2 * at[1]
    force[2] -= tide.vertical * at[2]
    force[3] += tide.radial * (along_rate * c - across_rate * s) - omega2 * at[3]
    force[4] += tide.radial * (along_rate * s + across_rate * c) - omega2 * at[4]
    force[5] -= tide.vertical * at[5]


def tidal_energies(tide: Tide, time: float, positions: FloatArray, velocities: FloatArray) -> FloatArray:
    """Return phi_t - Omega L_z of particles (n, 3), per unit of mass: what the field adds to their Jacobi energy."""
    x, y, z = positions.T
    along = x * math.cos(tide.omega * time) + y * math.sin(tide.omega * time)
    potential = -0.5 * (tide.radial * along**2 - tide.omega**2 * (x**2 + y**2) - tide.vertical * z**2)
    spin: FloatArray = x * velocities[:, 1] - y * velocities[:, 0]
    return np.asarray(potential - tide.omega * spin)
