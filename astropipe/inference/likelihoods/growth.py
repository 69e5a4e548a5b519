"""Growth rates from redshift-space distortions (Kaiser 1987)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import Cosmology
from astropipe.inference.datasets import Dataset
from astropipe.inference.growth import GrowthRates
from astropipe.inference.likelihoods.gaussian import DataLikelihood, Parameters


class Growth(DataLikelihood):
    """Gaussian ln L of f σ8(z); needs ``sigma8``, the amplitude today, as a parameter."""

    needs = (("sigma8",),)

    def __init__(self, data: Dataset) -> None:
        super().__init__(data)
        self._rates = GrowthRates(data.z)

    def predict(self, universe: Cosmology, parameters: Parameters) -> NDArray[np.float64]:
        """Return f σ8(z), shape [n, m]."""
        return self._rates.f_sigma8(universe, parameters["sigma8"])
