"""Ensembles of systems: made by family, one random stream a system, and cut by rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from astropy import units
from astropy.table import QTable

from astropipe.config.nbody import SimulateConfig
from astropipe.nbody.systems import (
    System,
    agekyan_anosova,
    named_system,
    plummer_sphere,
    saz_ulibarrena_triple,
    stack,
)
from astropipe.runtime.errors import UsageError
from astropipe.runtime.seeds import stream


@dataclass(frozen=True)
class Ensemble:
    """Systems with one number of bodies.

    Parameters
    ----------
    title : str
        One line for people.
    catalog : QTable
        One row a system: ``id``, ``family``, and ``map_x``, ``map_y`` for cold starts.
    masses : array or Quantity, shape (n, N)
        Masses.
    positions, velocities : arrays or Quantities, shape (n, N, 3)
        Barycentric state; plain arrays are in N-body units, G = 1.
    """

    title: str
    catalog: QTable
    masses: Any
    positions: Any
    velocities: Any

    def rows(self, rows: slice) -> Self:
        """Return a part of the ensemble."""
        parts = (self.catalog[rows], self.masses[rows], self.positions[rows], self.velocities[rows])
        return type(self)(self.title, *parts)

    @property
    def has_units(self) -> bool:
        """Whether the systems are in physical units."""
        return isinstance(self.masses, units.Quantity)


def make_ensemble(config: SimulateConfig, seed: int) -> Ensemble:
    """Return the ensemble that a configuration describes.

    Parameters
    ----------
    config : SimulateConfig
        Family and size.
    seed : int
        Root seed. System ``i`` depends on the seed and on ``i`` alone: a larger ensemble begins with the smaller.

    Returns
    -------
    Ensemble
        In N-body units, except for the triples of Saz Ulibarrena & Portegies Zwart (Msun, au, km/s) and named
        systems with units of their own.

    Raises
    ------
    UsageError
        If the named system does not exist.
    """
    if config.family == "named":
        return _named(config.name)
    streams = [stream(seed, f"nbody.{config.family}", i) for i in range(config.n_systems)]
    catalog = QTable({"id": np.arange(config.n_systems), "family": np.full(config.n_systems, config.family)})
    if config.family == "agekyan-anosova":
        starts = [agekyan_anosova(rng) for rng in streams]
        catalog["map_x"], catalog["map_y"] = np.array([start.map_coordinates for start in starts]).T
        return _ensemble("Cold-start triples of the Agekyan-Anosova region", catalog, stack(starts))
    if config.family == "plummer":
        spheres = [plummer_sphere(rng, config.n_bodies) for rng in streams]
        return _ensemble(f"Plummer spheres of {config.n_bodies} bodies", catalog, stack(spheres))
    triples = stack([saz_ulibarrena_triple(rng) for rng in streams])
    in_units = (triples.masses * units.Msun, triples.positions * units.au, triples.velocities * units.km / units.s)
    return Ensemble("Triples after Saz Ulibarrena & Portegies Zwart (2025)", catalog, *in_units)


def _ensemble(title: str, catalog: QTable, systems: System) -> Ensemble:
    return Ensemble(title, catalog, systems.masses, systems.positions, systems.velocities)


def _named(name: str) -> Ensemble:
    system = named_system(name)
    catalog = QTable({"id": np.arange(1), "family": np.array([name])})
    state = (system.masses[np.newaxis], system.positions[np.newaxis], system.velocities[np.newaxis])
    if not system.length_unit:
        return Ensemble(system.title, catalog, *state)
    mass, length, time = map(units.Unit, (system.mass_unit, system.length_unit, system.time_unit))
    masses, positions, velocities = state
    return Ensemble(system.title, catalog, masses * mass, positions * length, velocities * length / time)


def time_quantity(name: str, value: float | str, *, has_units: bool) -> Any:
    """Return a time of the configuration as the systems need it.

    Parameters
    ----------
    name : str
        Key of the configuration, for messages.
    value : float or str
        A number, or a text with a unit.
    has_units : bool
        Whether the systems are in physical units.

    Raises
    ------
    UsageError
        If the value has a unit and the systems have none, or the reverse, or it is no time.
    """
    try:
        quantity = units.Quantity(value)
    except (TypeError, ValueError):
        raise UsageError(
            f"{name} = {value!r} is no time; give a number, or a number with a unit such as 30 yr"
        ) from None
    if not has_units and quantity.unit == units.dimensionless_unscaled:
        return float(quantity.value)
    if has_units and quantity.unit.is_equivalent(units.yr):
        return quantity
    wanted = "physical units: give a time with a unit, such as 30 yr" if has_units else "N-body units: give a number"
    raise UsageError(f"{name} = {value!r}, but the systems are in {wanted}")
