"""Initial conditions of clusters: a profile, masses, binaries and massless particles, in Henon units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units

from astropipe.config.clusters import ClusterStartConfig
from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.clusters.binaries import draw_orbits
from astropipe.nbody.clusters.king import king_state
from astropipe.nbody.clusters.masses import kroupa_masses
from astropipe.nbody.clusters.scale import Scale, quantity
from astropipe.nbody.conserved import barycentre
from astropipe.nbody.systems import henon_factors, plummer_state
from astropipe.runtime.errors import UsageError
from astropipe.runtime.seeds import stream

# Particles are drawn in blocks of this size, each from a stream of its own: more of them begin with the fewer.
_BLOCK = 1000


@dataclass(frozen=True)
class Cluster:
    """A cluster at one time, in units of G = 1.

    Attributes
    ----------
    masses : array of shape (n,)
        Masses of the stars.
    positions, velocities : arrays of shape (n + m, 3)
        Stars, then massless particles.
    scale : Scale or None
        What the units stand for; None for N-body units without one.
    time : float
        Time of this state.
    """

    masses: FloatArray
    positions: FloatArray
    velocities: FloatArray
    scale: Scale | None = None
    time: float = 0.0

    @property
    def n_stars(self) -> int:
        """Number of stars."""
        return len(self.masses)

    @property
    def n_massless(self) -> int:
        """Number of massless particles."""
        return len(self.positions) - len(self.masses)


def make_cluster(config: ClusterStartConfig, seed: int) -> Cluster:
    r"""Return the cluster that a configuration describes.

    The barycentres of all systems (single stars and binaries) are scaled to E = -1/4, G = M = 1 and the virial ratio
    (Henon 1971; Heggie & Mathieu 1986); binaries bring their internal energy on top. Masses do not depend on place.
    Massless particles are drawn from the same profile and scaled by the same factors.

    Parameters
    ----------
    config : ClusterStartConfig
        What to make.
    seed : int
        Root seed. Stars do not depend on the number of massless particles, and more massless particles begin with the
        fewer.

    Raises
    ------
    UsageError
        If limits of masses or axes are not possible, or a unit does not fit.
    """
    if not config.shortest_axis < config.longest_axis:
        raise UsageError(
            f"binaries between {config.shortest_axis} and {config.longest_axis} virial radii: the shortest axis "
            "must be below the longest"
        )
    in_msun = _masses(config, seed)
    n_binaries = round(config.n_stars * config.binary_fraction / (1.0 + config.binary_fraction))
    masses = in_msun / in_msun.sum()
    # The first stars are members of binaries, two by two.
    paired = masses[: 2 * n_binaries].reshape(-1, 2)
    systems = np.r_[paired.sum(axis=1), masses[2 * n_binaries :]]
    positions, velocities = _places(config, seed, "stars", len(systems))
    free = _places(config, seed, "massless", config.n_massless)
    centre = barycentre(systems, positions), barycentre(systems, velocities)
    length, speed = henon_factors(systems, positions - centre[0], velocities - centre[1], config.virial_ratio)
    positions, free_positions = (length * (x - centre[0]) for x in (positions, free[0]))
    velocities, free_velocities = (speed * (v - centre[1]) for v in (velocities, free[1]))
    if n_binaries:
        rng = stream(seed, "nbody.cluster.binaries")
        orbits = draw_orbits(rng, systems[:n_binaries], (config.shortest_axis, config.longest_axis))
        positions = _with_members(paired, positions, orbits[:, :3])
        velocities = _with_members(paired, velocities, orbits[:, 3:])
    return Cluster(
        masses,
        np.concatenate([positions, free_positions]),
        np.concatenate([velocities, free_velocities]),
        _scale(config, float(in_msun.sum())),
    )


def _masses(config: ClusterStartConfig, seed: int) -> FloatArray:
    """Return masses of the stars in Msun."""
    if config.masses == "equal":
        return np.ones(config.n_stars)
    limits = config.lowest_mass, config.highest_mass
    return _in_blocks(seed, "masses", config.n_stars, lambda rng, n: (kroupa_masses(rng, n, *limits),))[0]


def _places(config: ClusterStartConfig, seed: int, what: str, n: int) -> tuple[FloatArray, FloatArray]:
    """Return positions and velocities (n, 3) about the centre of the profile."""

    def draw(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        return king_state(rng, n, config.w0) if config.profile == "king" else plummer_state(rng, n)

    positions, velocities = _in_blocks(seed, what, n, draw)
    return positions, velocities


def _in_blocks(
    seed: int, what: str, n: int, draw: Callable[[np.random.Generator, int], tuple[FloatArray, ...]]
) -> list[FloatArray]:
    blocks = [draw(stream(seed, f"nbody.cluster.{what}", b), _BLOCK) for b in range(max(1, -(-n // _BLOCK)))]
    return [np.concatenate(parts)[:n] for parts in zip(*blocks, strict=True)]


def _with_members(masses: FloatArray, centres: FloatArray, relative: FloatArray) -> FloatArray:
    """Return coordinates of all stars from those of systems, the first of which are pairs with masses (n, 2)."""
    n = len(masses)
    shares = masses[:, ::-1] / masses.sum(axis=1)[:, None] * np.array([-1.0, 1.0])
    members = centres[:n, None] + shares[:, :, None] * relative[:, None]
    return np.concatenate([members.reshape(-1, 3), centres[n:]])


def _scale(config: ClusterStartConfig, total_msun: float) -> Scale | None:
    if config.virial_radius is None:
        if config.total_mass is not None:
            raise UsageError("total_mass is given without virial_radius: a cluster in physical units needs both")
        return None
    length: Any = quantity("virial_radius", config.virial_radius, units.pc)
    mass: Any = total_msun * units.Msun
    if config.total_mass is not None:
        mass = quantity("total_mass", config.total_mass, units.Msun)
    return Scale(mass, length)
