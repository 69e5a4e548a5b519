"""Type Ia supernovae: the shape of the Hubble diagram, with the zero point marginalised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import Cosmology
from astropipe.inference.datasets import Dataset
from astropipe.inference.distances import Redshifts, distance_modulus
from astropipe.inference.likelihoods.gaussian import DataLikelihood, Parameters


class Supernovae(DataLikelihood):
    """Gaussian ln L of magnitudes, marginalised over their common zero point, so H0 plays no part.

    The zero point M − 5 log10 h has a flat prior of density 1 per magnitude: an evidence is relative to that.
    """

    def __init__(self, data: Dataset) -> None:
        super().__init__(data, free_offset=True)
        self._redshifts = Redshifts(data.z)

    def predict(self, universe: Cosmology, parameters: Parameters) -> NDArray[np.float64]:
        """Return distance moduli in mag, shape [n, m]; the zero point is irrelevant."""
        return distance_modulus(universe, self._redshifts)
