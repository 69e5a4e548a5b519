"""The frozen sets of systems of the nbody benchmarks. No training and no calibration has seen any of them.

(a) the triples of Saz Ulibarrena & Portegies Zwart (2025), seeds 1000-1999 of their generator, over 30 yr;
(b) Agekyan-Anosova cold starts, E = -1/4, over t = 10 Henon times;
(c) as (a) with masses 1 : 0.1-1 : 0.1-1 Msun, logarithmically uniform;
(d) virial Plummer spheres of 4 and of 5 equal masses, over t = 10 Henon times.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from astropy import constants, units

from astropipe.nbody import agekyan_anosova, plummer_sphere, saz_ulibarrena_triple_legacy, stack, to_barycentre
from astropipe.nbody.arrays import FloatArray
from astropipe.runtime.seeds import stream

SEED = 2026
# In Msun, au, km/s.
CONSTANT = constants.G.to_value("au km2 / (Msun s2)")
YEARS_30 = 30.0 * units.yr.to("au s / km")


class Systems(NamedTuple):
    """Systems of one size and how long they run, in units with G = 1: masses stand for G m."""

    masses: FloatArray
    positions: FloatArray
    velocities: FloatArray
    t_end: float

    def first(self, n: int) -> Systems:
        """Return the first n systems."""
        return Systems(self.masses[:n], self.positions[:n], self.velocities[:n], self.t_end)


def paper_triples(n: int) -> Systems:
    """Return set (a)."""
    m, x, v = stack([saz_ulibarrena_triple_legacy(seed) for seed in range(1000, 1000 + n)])
    return Systems(CONSTANT * m, x, v, YEARS_30)


def cold_starts(n: int) -> Systems:
    """Return set (b)."""
    return Systems(*stack([agekyan_anosova(stream(SEED, "benchmark.b", k)) for k in range(n)]), 10.0)


def unequal_triples(n: int) -> Systems:
    """Return set (c)."""
    _, x, v = stack([saz_ulibarrena_triple_legacy(seed) for seed in range(2000, 2000 + n)])
    m = np.ones((n, 3))
    m[:, 1:] = 10.0 ** stream(SEED, "benchmark.c").uniform(-1.0, 0.0, size=(n, 2))
    return Systems(CONSTANT * m, *to_barycentre(m, x, v), YEARS_30)


def spheres(n: int, n_bodies: int) -> Systems:
    """Return set (d)."""
    stage = f"benchmark.d{n_bodies}"
    return Systems(*stack([plummer_sphere(stream(SEED, stage, k), n_bodies) for k in range(n)]), 10.0)


def all_sets(n: int) -> dict[str, Systems]:
    """Return n systems of the sets (a) and (b), and a quarter as many of the others, by name."""
    few = max(1, n // 4)
    return {
        "a": paper_triples(n),
        "b": cold_starts(n),
        "c": unequal_triples(few),
        "d, N = 4": spheres(few, 4),
        "d, N = 5": spheres(few, 5),
    }
