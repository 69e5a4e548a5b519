"""Wavelengths in air and in vacuum.

Refraction of standard air (15 °C, 1013.25 hPa, dry, 450 ppm CO₂) after Birch & Downs (1994, Metrologia 31, 315), in the
form of Morton (2000, ApJS 130, 403) that VALD uses, with s = 10⁴ Å / λ_vacuum:

    n = 1 + 8.34254e-5 + 0.02406147 / (130 - s²) + 0.00015998 / (38.9 - s²)

The way back is solved with the same formula, so that both directions agree to rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astropipe.runtime.errors import InputError

# Below 2000 Å wavelengths are given in vacuum by convention, and the formula nears its poles.
_SHORTEST_A = 2_000.0


def refractive_index(vacuum_a: ArrayLike) -> NDArray[np.float64]:
    """Refractive index of standard air at vacuum wavelengths in Angstrom (Birch & Downs 1994)."""
    s2 = (1e4 / np.asarray(vacuum_a, dtype=np.float64)) ** 2
    return np.asarray(1.0 + 8.34254e-5 + 0.02406147 / (130.0 - s2) + 0.00015998 / (38.9 - s2), dtype=np.float64)


def vacuum_to_air(vacuum_a: ArrayLike) -> NDArray[np.float64]:
    """Convert vacuum wavelengths to wavelengths in standard air.

    Parameters
    ----------
    vacuum_a : array_like
        In Angstrom, at least 2000.

    Returns
    -------
    ndarray of float64
        In Angstrom.

    Raises
    ------
    InputError
        If a wavelength is below 2000 Angstrom or not finite.
    """
    vacuum = _checked(vacuum_a)
    return np.asarray(vacuum / refractive_index(vacuum), dtype=np.float64)


def air_to_vacuum(air_a: ArrayLike) -> NDArray[np.float64]:
    """Convert wavelengths in standard air to vacuum wavelengths; the inverse of `vacuum_to_air`.

    Parameters
    ----------
    air_a : array_like
        In Angstrom, at least 2000.

    Returns
    -------
    ndarray of float64
        In Angstrom.

    Raises
    ------
    InputError
        If a wavelength is below 2000 Angstrom or not finite.
    """
    air = _checked(air_a)
    vacuum = air * refractive_index(air)
    # dn/dλ λ is below 1e-4, so each round gains four digits.
    for _ in range(3):
        vacuum = air * refractive_index(vacuum)
    return vacuum


def _checked(wavelength_a: ArrayLike) -> NDArray[np.float64]:
    wavelength = np.asarray(wavelength_a, dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(wavelength) & (wavelength >= _SHORTEST_A)).ravel())
    if bad.size:
        raise InputError(
            f"wavelength {wavelength.ravel()[bad[0]]:g} at position {bad[0]} cannot be converted between air and "
            f"vacuum; give finite values of at least {_SHORTEST_A:g} Angstrom"
        )
    return wavelength
