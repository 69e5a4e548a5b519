"""Cosmic chronometers: H(z) from the differential ages of passive galaxies (Jimenez and Loeb 2002)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import Cosmology
from astropipe.inference.datasets import Dataset
from astropipe.inference.distances import Redshifts, hubble
from astropipe.inference.likelihoods.gaussian import DataLikelihood, Parameters


class Chronometers(DataLikelihood):
    """Gaussian ln L of H(z) in km/s/Mpc."""

    needs = (("h0",),)

    def __init__(self, data: Dataset) -> None:
        super().__init__(data)
        self._redshifts = Redshifts(data.z)

    def predict(self, universe: Cosmology, parameters: Parameters) -> NDArray[np.float64]:
        """Return H(z) in km/s/Mpc, shape [n, m]."""
        return hubble(universe, self._redshifts)
