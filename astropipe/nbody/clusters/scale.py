"""Units of a cluster: N-body units in which G = 1, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from astropy import constants, units

from astropipe.nbody.ensembles import time_quantity
from astropipe.runtime.errors import UsageError


@dataclass(frozen=True)
class Scale:
    """What a unit of mass and of length is; that of time follows from G = 1.

    Attributes
    ----------
    mass : Quantity
        Unit of mass.
    length : Quantity
        Unit of length.
    """

    mass: Any
    length: Any

    @property
    def time(self) -> Any:
        """Unit of time, sqrt(length^3 / (G mass)), in Myr."""
        return ((self.length**3 / (constants.G * self.mass)) ** 0.5).to(units.Myr)

    @property
    def velocity(self) -> Any:
        """Unit of velocity, in km/s."""
        return (self.length / self.time).to(units.km / units.s)


def quantity(name: str, text: str, like: Any) -> Any:
    """Return a setting that has a unit as a positive Quantity.

    Raises
    ------
    UsageError
        If it is no positive number with a unit like the one given.
    """
    try:
        value = units.Quantity(text)
        if value.unit.is_equivalent(like) and 0.0 < value.value < float("inf"):
            return value
    except (TypeError, ValueError):
        pass
    raise UsageError(f"{name} = {text!r} must be a positive number with a unit, such as 1 {like}")


def plain_number(name: str, value: float | str, unit: Any, scale: Scale | None) -> float:
    """Return a setting in N-body units: a number as it is, a text with a unit by the scale.

    Parameters
    ----------
    name : str
        Key, for messages.
    value : float or str
        The setting.
    unit : Quantity or None
        What one N-body unit of it is; None without a scale.
    scale : Scale or None
        The scale of the cluster.

    Raises
    ------
    UsageError
        If it has a unit and the cluster has no scale, or it is not of the dimension.
    """
    if not isinstance(value, str):
        return float(value)
    if scale is None:
        raise UsageError(f"{name} = {value!r} has a unit, but the cluster is in N-body units: give a number")
    try:
        return float((units.Quantity(value) / unit).to_value(units.dimensionless_unscaled))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} = {value!r} cannot be used: {error}") from error


def plain_time(name: str, value: float | str, scale: Scale | None) -> float:
    """Return a time of the configuration in N-body units; with a scale it must have a unit, without none."""
    time = time_quantity(name, value, has_units=scale is not None)
    return float(time) if scale is None else float((time / scale.time).to_value(units.dimensionless_unscaled))
