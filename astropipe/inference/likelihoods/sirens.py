"""Bright standard sirens: luminosity distances from gravitational waves, redshifts from the hosts of the mergers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import Cosmology
from astropipe.inference.datasets import Dataset
from astropipe.inference.distances import Redshifts, luminosity_distance
from astropipe.inference.likelihoods.gaussian import DataLikelihood, Parameters


class Sirens(DataLikelihood):
    """Gaussian ln L of luminosity distances in Mpc (Schutz 1986; Holz and Hughes 2005)."""

    needs = (("h0",),)

    def __init__(self, data: Dataset) -> None:
        super().__init__(data)
        self._redshifts = Redshifts(data.z)

    def predict(self, universe: Cosmology, parameters: Parameters) -> NDArray[np.float64]:
        """Return luminosity distances in Mpc, shape [n, m]."""
        return luminosity_distance(universe, self._redshifts)
