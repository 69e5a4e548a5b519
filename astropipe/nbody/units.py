"""Units at the boundary: astropy Quantities in, plain arrays in au, Msun, yr inside, Quantities out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from astropipe.runtime.errors import UsageError


@dataclass(frozen=True)
class Units:
    """Units in which results go back to the user (astropy units)."""

    mass: Any
    length: Any
    velocity: Any
    time: Any

    def length_out(self, values: Any) -> Any:
        """Return lengths in au as a Quantity in the user's unit."""
        return self._out(values, "au", self.length)

    def velocity_out(self, values: Any) -> Any:
        """Return velocities in au/yr as a Quantity in the user's unit."""
        return self._out(values, "au / yr", self.velocity)

    def time_out(self, values: Any) -> Any:
        """Return times in yr as a Quantity in the user's unit."""
        return self._out(values, "yr", self.time)

    @staticmethod
    def _out(values: Any, internal: str, unit: Any) -> Any:
        from astropy import units as u

        return u.Quantity(values, internal).to(unit)


def plain_arguments(arguments: Mapping[str, Any], G: Any) -> tuple[dict[str, Any], float, Units | None]:
    """Strip units from the arguments of an integration.

    Parameters
    ----------
    arguments : mapping
        ``masses``, ``positions``, ``velocities``, ``encounter_distance``, and the times ``t_end``, ``t_start``, ``dt``,
        ``save_times``: all Quantities or none. None and the default ``t_start = 0`` fit both.
    G : float or Quantity
        Gravitational constant. With Quantities, the default of 1 stands for astropy's value.

    Returns
    -------
    arguments : dict
        The same, as plain numbers: in Msun, au, au/yr and yr if Quantities were given.
    G : float
        Gravitational constant in the units of the numbers.
    units : Units or None
        Units of the user; None for plain numbers.

    Raises
    ------
    UsageError
        If Quantities and plain numbers are mixed, or a unit has the wrong dimension.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    with_units = [name for name, value in given.items() if hasattr(value, "unit")]
    without = [name for name in given if name not in with_units]
    if not with_units:
        if hasattr(G, "unit"):
            raise UsageError("G has units but nothing else has: give all arguments as Quantities, or none")
        return dict(arguments), float(G), None
    if np.ndim(given["t_start"]) == 0 and "t_start" in without and given["t_start"] == 0:
        without.remove("t_start")
    if without:
        raise UsageError(
            f"{', '.join(with_units)} have units but {', '.join(without)} do not: give all as Quantities, or none"
        )
    return _convert(arguments), _gravitational_constant(G), _units_of(arguments)


def _convert(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments as numbers in Msun, au, au/yr and yr."""
    from astropy import units as u

    internal = {"masses": "Msun", "positions": "au", "velocities": "au / yr", "encounter_distance": "au"}
    plain = {}
    for name, value in arguments.items():
        try:
            plain[name] = value.to_value(internal.get(name, "yr")) if hasattr(value, "unit") else value
        except u.UnitConversionError as error:
            raise UsageError(f"{name} has the wrong unit: {error}") from error
    return plain


def _units_of(arguments: Mapping[str, Any]) -> Units:
    masses, positions, velocities, t_end = (
        arguments[name].unit for name in ("masses", "positions", "velocities", "t_end")
    )
    return Units(masses, positions, velocities, t_end)


def _gravitational_constant(G: Any) -> float:
    from astropy import constants
    from astropy import units as u

    if not hasattr(G, "unit"):
        if G != 1.0:
            raise UsageError(f"G = {G} has no unit but the bodies have: leave G out, or give it as a Quantity")
        G = constants.G
    try:
        return float(G.to_value("au3 / (Msun yr2)"))
    except u.UnitConversionError as error:
        raise UsageError(f"G has the wrong unit: {error}") from error
