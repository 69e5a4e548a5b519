"""Which wavelengths are synthesised, and on what scale of abundances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOWS_AIR_A = {"blue": (4896.0, 5402.0), "red": (6266.0, 6882.0)}
"""Ends of the arms in air, about 2 Angstrom wider than what LAMOST records."""
STEP_A = 0.04
"""Sampling of synthetic spectra: a third of a pixel."""

SOLAR = {
    "C": 8.39,
    "N": 7.78,
    "O": 8.66,
    "Mg": 7.53,
    "Al": 6.37,
    "Si": 7.51,
    "S": 7.14,
    "K": 5.08,
    "Ca": 6.31,
    "Ti": 4.90,
    "Cr": 5.64,
    "Mn": 5.39,
    "Fe": 7.45,
    "Ni": 6.23,
    "Cu": 4.21,
}
"""Solar abundances, log10 of the number per 1e12 H, of Grevesse, Asplund & Sauval (2007, Space Sci. Rev. 130, 105)."""
ATOMIC_NUMBER = {
    "C": 6,
    "N": 7,
    "O": 8,
    "Mg": 12,
    "Al": 13,
    "Si": 14,
    "S": 16,
    "K": 19,
    "Ca": 20,
    "Ti": 22,
    "Cr": 24,
    "Mn": 25,
    "Fe": 26,
    "Ni": 28,
    "Cu": 29,
}


def air_grid(arm: str) -> NDArray[np.float64]:
    """Wavelengths of an arm in air, in Angstrom."""
    low, high = WINDOWS_AIR_A[arm]
    return np.asarray(low + STEP_A * np.arange(round((high - low) / STEP_A) + 1), dtype=np.float64)
