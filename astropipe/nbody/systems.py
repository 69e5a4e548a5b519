"""Initial conditions: random ensembles of the literature, and named systems with known behaviour.

Each random function makes one system from one generator, so that a system depends on its own stream only;
`stack` turns a list of them into the arrays of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.conserved import kinetic_energy, potential_energy, to_barycentre
from astropipe.runtime.errors import UsageError
from astropipe.runtime.shipped import data_file


class System(NamedTuple):
    """Masses [N] with positions and velocities [N, 3]; of a batch, with one more axis in front."""

    masses: FloatArray
    positions: FloatArray
    velocities: FloatArray


class ColdStart(NamedTuple):
    """A system at rest, with its point (xi, eta) of the Agekyan-Anosova map, [2]."""

    masses: FloatArray
    positions: FloatArray
    velocities: FloatArray
    map_coordinates: FloatArray


@dataclass(frozen=True)
class ReferencePosition:
    """Where one body of a named system is known to be at a later time."""

    time: float
    body: int
    position: FloatArray


@dataclass(frozen=True)
class NamedSystem:
    """A system of the literature, in its own units.

    Attributes
    ----------
    name, title, citation : str
        What it is and where the numbers come from.
    bodies : tuple of str
        Names of the bodies.
    masses : array of shape (N,)
    positions, velocities : arrays of shape (N, 3)
        State at time 0.
    G : float
        Gravitational constant in the units of the system.
    mass_unit, length_unit, time_unit : str
        Units as astropy reads them; empty for N-body units.
    period : float or None
        Period, for periodic orbits.
    reference : ReferencePosition or None
        A later position from a converged solution.
    """

    name: str
    title: str
    citation: str
    bodies: tuple[str, ...]
    masses: FloatArray
    positions: FloatArray
    velocities: FloatArray
    G: float
    mass_unit: str
    length_unit: str
    time_unit: str
    period: float | None
    reference: ReferencePosition | None


def stack(systems: Sequence[System | ColdStart]) -> System:
    """Return masses [n, N], positions and velocities [n, N, 3] of systems that have the same number of bodies."""
    sizes = {system.masses.size for system in systems}
    if len(sizes) != 1:
        raise UsageError(f"systems of a batch must have the same number of bodies, got {sorted(sizes)}")
    return System(*(np.stack(parts) for parts in list(zip(*systems, strict=False))[:3]))


def saz_ulibarrena_triple(rng: np.random.Generator) -> System:
    """Return one triple of Saz Ulibarrena & Portegies Zwart (2025, arXiv:2502.12809).

    Three bodies of 1 Msun in a plane: the first at the origin, the second in [5, 20] x [0, 10] au, the third in
    [-10, 0] x [5, 20] au, uniformly, with velocities (0, 10), (-10, 0) and 0 km/s; then moved to the barycentre.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of this system.

    Returns
    -------
    System
        Masses in Msun, positions in au, velocities in km/s.
    """
    return _saz_ulibarrena(rng.uniform((5.0, 0.0, -10.0, 5.0), (20.0, 10.0, 0.0, 20.0)))


def saz_ulibarrena_triple_legacy(seed: int) -> System:
    """Return the triple that the published code of Saz Ulibarrena & Portegies Zwart (2025) makes from a seed.

    The four numbers x2, y2, x3, y3 come in this order from numpy's legacy generator (`numpy.random.seed(seed)`), and
    x3 counts downwards from 0 to -10. Units as in `saz_ulibarrena_triple`.
    """
    rng = np.random.RandomState(seed)
    return _saz_ulibarrena(rng.uniform((5.0, 0.0, 0.0, 5.0), (20.0, 10.0, -10.0, 20.0)))


def _saz_ulibarrena(corners: FloatArray) -> System:
    x2, y2, x3, y3 = corners
    masses = np.ones(3)
    positions = np.array([[0.0, 0.0, 0.0], [x2, y2, 0.0], [x3, y3, 0.0]])
    velocities = np.array([[0.0, 10.0, 0.0], [-10.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    return System(masses, *to_barycentre(masses, positions, velocities))


def agekyan_anosova(rng: np.random.Generator) -> ColdStart:
    r"""Return one cold start of three equal masses, uniform over the Agekyan-Anosova region D.

    Every shape of a triangle appears once when two bodies stand at (-1/2, 0) and (1/2, 0), the ends of the longest
    side, and the third at a point of D = {x >= 0, y >= 0, (x + 1/2)^2 + y^2 <= 1} (Agekyan & Anosova 1967,
    Astron. Zh. 44, 1261). Here the total mass is 1 and the size is scaled to E = -1/4 with G = 1 (Henon units).

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of this system.

    Returns
    -------
    ColdStart
        Masses 1/3, barycentric positions, zero velocities, and the point of D.
    """
    while True:
        x, y = rng.uniform(0.0, (0.5, math.sqrt(0.75)))
        if (x + 0.5) ** 2 + y * y <= 1.0:
            return cold_start(float(x), float(y))


def cold_start(x: float, y: float) -> ColdStart:
    """Return the cold start at a given point of the Agekyan-Anosova map (see `agekyan_anosova`).

    Raises
    ------
    UsageError
        If (x, y) lies outside of region D, or on the second body.
    """
    if not (x >= 0.0 and y >= 0.0 and (x + 0.5) ** 2 + y * y <= 1.0) or (x, y) == (0.5, 0.0):
        raise UsageError(
            f"({x}, {y}) is not in the Agekyan-Anosova region: it needs x >= 0, y >= 0, (x + 1/2)^2 + y^2 <= 1 "
            "and must not be (1/2, 0), where the second body stands"
        )
    masses = np.full(3, 1.0 / 3.0)
    triangle = np.array([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [x, y, 0.0]])
    positions, velocities = to_barycentre(masses, triangle, np.zeros((3, 3)))
    positions *= float(potential_energy(masses, positions)) / -0.25
    return ColdStart(masses, positions, velocities, np.array([x, y]))


def plummer_sphere(
    rng: np.random.Generator,
    n: int,
    *,
    masses: FloatArray | None = None,
    virial_ratio: float = 0.5,
    mass_cutoff: float = 0.999,
    rescale: bool = False,
) -> System:
    r"""Return one Plummer sphere in Henon units (G = 1, M = 1, E = -1/4).

    After Aarseth, Henon & Wielen (1974, A&A 37, 183). Radii come from the cumulative mass
    :math:`M(r) = r^3 (r^2 + a^2)^{-3/2}` with a = 3 pi / 16, speeds from :math:`g(q) = q^2 (1 - q^2)^{7/2}` in units
    of the local escape speed; directions are isotropic.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of this system.
    n : int
        Number of bodies, at least 2.
    masses : array of shape (n,), optional
        Relative masses, independent of place; equal if not given. They are scaled to a sum of 1.
    virial_ratio : float
        Kinetic over absolute potential energy; 1/2 is equilibrium, 0 a cold collapse.
    mass_cutoff : float
        Fraction of the mass of the infinite model that is sampled, from the inside.
    rescale : bool
        Scale the sample to exactly E = -1/4 and the virial ratio (which must be below 1), instead of on average.

    Returns
    -------
    System
        Barycentric state.

    Raises
    ------
    UsageError
        If n < 2, or the masses, the virial ratio or the cut-off are not possible.
    """
    m = np.full(n, 1.0 / max(n, 1)) if masses is None else np.asarray(masses, dtype=np.float64)
    if n < 2 or m.shape != (n,) or not (np.isfinite(m).all() and (m >= 0.0).all() and m.sum() > 0.0):
        raise UsageError(f"a Plummer sphere needs n >= 2 bodies and n masses >= 0, got n = {n}, shape {m.shape}")
    if not (0.0 <= virial_ratio < (1.0 if rescale else math.inf) and 0.0 < mass_cutoff <= 1.0):
        raise UsageError(
            f"virial_ratio = {virial_ratio} must be >= 0 (and < 1 with rescale), mass_cutoff = {mass_cutoff} in (0, 1]"
        )
    m = m / m.sum()
    positions, velocities = to_barycentre(m, *plummer_state(rng, n, virial_ratio, mass_cutoff))
    if not rescale:
        return System(m, positions, velocities)
    length, speed = henon_factors(m, positions, velocities, virial_ratio)
    return System(m, length * positions, speed * velocities)


def plummer_state(
    rng: np.random.Generator, n: int, virial_ratio: float = 0.5, mass_cutoff: float = 0.999
) -> tuple[FloatArray, FloatArray]:
    """Return positions and velocities (n, 3) drawn as in `plummer_sphere`, as they come: about the model's centre."""
    enclosed = rng.uniform(0.0, mass_cutoff, n)
    radius = enclosed ** (1.0 / 3.0) / np.sqrt(1.0 - enclosed ** (2.0 / 3.0))
    escape_speed = math.sqrt(2.0) * (1.0 + radius**2) ** -0.25
    speed = _plummer_speed_fractions(rng, n) * escape_speed * math.sqrt(virial_ratio / 0.5)
    length = 3.0 * math.pi / 16.0
    return (
        length * radius[:, None] * isotropic(rng, n),
        speed[:, None] * isotropic(rng, n) / math.sqrt(length),
    )


def isotropic(rng: np.random.Generator, n: int) -> FloatArray:
    """Return n random unit vectors, (n, 3)."""
    z = rng.uniform(-1.0, 1.0, n)
    azimuth = rng.uniform(0.0, 2.0 * math.pi, n)
    ring = np.sqrt(1.0 - z * z)
    return np.column_stack([ring * np.cos(azimuth), ring * np.sin(azimuth), z])


def _plummer_speed_fractions(rng: np.random.Generator, n: int) -> FloatArray:
    """Return n speeds in units of the escape speed, by von Neumann rejection from q^2 (1 - q^2)^(7/2) < 0.1."""
    accepted: FloatArray = np.empty(0)
    while accepted.size < n:
        q = rng.uniform(0.0, 1.0, 5 * n)
        accepted = np.append(accepted, q[rng.uniform(0.0, 0.1, 5 * n) < q**2 * (1.0 - q**2) ** 3.5])
    return accepted[:n]


def henon_factors(m: FloatArray, x: FloatArray, v: FloatArray, virial_ratio: float) -> tuple[float, float]:
    """Return the factors of lengths and speeds that give E = -1/4 at a virial ratio Q = T / |U|: U = -1/4 / (1 - Q)."""
    target = -0.25 / (1.0 - virial_ratio)
    length = float(potential_energy(m, x)) / target
    kinetic = float(kinetic_energy(m, v))
    return length, math.sqrt(-virial_ratio * target / kinetic) if kinetic > 0.0 else 1.0


def named_systems() -> tuple[str, ...]:
    """Return the names that `named_system` knows."""
    return tuple(_named_table()[0])


def named_system(name: str) -> NamedSystem:
    """Return a system of ``data/orbits/named-systems.ecsv``.

    Raises
    ------
    UsageError
        If there is no such system.
    """
    descriptions, rows = _named_table()
    if name not in descriptions:
        raise UsageError(f"no system is named {name!r}; there are {', '.join(descriptions)}")
    about = descriptions[name]
    bodies = rows[rows["system"] == name]
    known = about.get("reference")
    return NamedSystem(
        name=name,
        title=about["title"],
        citation=about["citation"],
        bodies=tuple(str(body) for body in bodies["body"]),
        masses=np.array(bodies["mass"], dtype=np.float64),
        positions=np.column_stack([bodies[axis] for axis in ("x", "y", "z")]).astype(np.float64),
        velocities=np.column_stack([bodies[axis] for axis in ("vx", "vy", "vz")]).astype(np.float64),
        G=float(about["G"]),
        mass_unit=about["mass_unit"],
        length_unit=about["length_unit"],
        time_unit=about["time_unit"],
        period=about.get("period"),
        reference=known and ReferencePosition(known["time"], known["body"], np.array(known["position"])),
    )


@cache
def _named_table() -> tuple[dict[str, Any], Any]:
    """Return the descriptions and the rows of the shipped table."""
    from astropy.table import Table

    table = Table.read(data_file("orbits/named-systems.ecsv"), format="ascii.ecsv")
    return dict(table.meta["systems"]), table
