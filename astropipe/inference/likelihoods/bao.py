"""Baryon acoustic oscillations: distances in units of the sound horizon at the drag epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import SPEED_OF_LIGHT, Cosmology
from astropipe.inference.datasets import Dataset
from astropipe.inference.distances import Redshifts, curved, inverse_root
from astropipe.inference.likelihoods.gaussian import DataLikelihood, Parameters
from astropipe.inference.sound_horizon import drag_horizon
from astropipe.runtime.errors import UsageError

RULERS = ("h_rd", "r_d", "omega_b_h2")
"""Parameters of which one sets the ruler, in order of precedence."""


def ruler(universe: Cosmology, parameters: Parameters) -> NDArray[np.float64]:
    """Return the sound horizon r_d in Mpc, shape [n].

    From ``h_rd`` = h r_d or ``r_d`` if one of them is a parameter, else computed from ``omega_b_h2``.

    Raises
    ------
    UsageError
        If no such parameter is there.
    """
    if "h_rd" in parameters:
        return np.asarray(parameters["h_rd"] / universe.h[:, 0])
    if "r_d" in parameters:
        return parameters["r_d"]
    if "omega_b_h2" in parameters:
        return drag_horizon(universe, parameters["omega_b_h2"])
    raise UsageError(f"BAO need a ruler; make one of {', '.join(RULERS)} a parameter")


class BaryonAcousticOscillations(DataLikelihood):
    """Gaussian ln L of D_M/r_d, D_H/r_d and D_V/r_d, D_V = (z D_M² D_H)^(1/3) (Eisenstein et al. 2005)."""

    # Without h r_d the ruler is in Mpc, and then the distances must be too.
    needs = (RULERS, ("h_rd", "h0"))

    def __init__(self, data: Dataset) -> None:
        super().__init__(data)
        # D_M and D_H of one bin share a redshift, and so the whole integral.
        z, self._bin = np.unique(data.z, return_inverse=True)
        self._redshifts = Redshifts(z)
        quantity = np.array(data.quantity)
        self._rows = {name: np.flatnonzero(quantity == name) for name in ("DM/r_d", "DH/r_d", "DV/r_d")}

    def predict(self, universe: Cosmology, parameters: Parameters) -> NDArray[np.float64]:
        """Return the measured ratios, shape [n, m]."""
        transverse = curved(universe, self._redshifts.dimensionless_distance(universe))
        radial = inverse_root(self._redshifts.expansion_squared(universe))
        volume = np.cbrt(self._redshifts.z * transverse**2 * radial)
        ratios = np.empty((len(universe.h0), len(self.data)))
        for name, distance in (("DM/r_d", transverse), ("DH/r_d", radial), ("DV/r_d", volume)):
            rows = self._rows[name]
            ratios[:, rows] = distance[:, self._bin[rows]]
        scale = SPEED_OF_LIGHT / universe.h0[:, 0] / ruler(universe, parameters)
        return np.asarray(ratios * scale[:, None])
