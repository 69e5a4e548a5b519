"""Differences of the ages of galaxies between redshifts, as passing time (Jimenez and Loeb 2002)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import Cosmology
from astropipe.inference.datasets import Dataset
from astropipe.inference.distances import Redshifts, lookback_time
from astropipe.inference.likelihoods.gaussian import DataLikelihood, Parameters


class AgeDifferences(DataLikelihood):
    """Gaussian ln L of differences in Gyr between mean ages of galaxies in neighbouring bins of redshift.

    The mean of the time over a bin is that over two redshifts with the mean and the standard deviation of its galaxies:
    exact as far as time is a parabola in redshift there, or the redshifts lie symmetrically.

    Parameters
    ----------
    data
        The m differences.
    redshifts, spreads
        Mean and standard deviation of the redshifts of the m + 1 bins, rising.
    """

    needs = (("h0",),)

    def __init__(self, data: Dataset, redshifts: NDArray[np.float64], spreads: NDArray[np.float64]) -> None:
        super().__init__(data)
        self._redshifts = Redshifts(np.concatenate([redshifts - spreads, redshifts + spreads]))

    def predict(self, universe: Cosmology, parameters: Parameters) -> NDArray[np.float64]:
        """Return the time in Gyr from each bin to the one before, shape [n, m]."""
        near, far = np.split(lookback_time(universe, self._redshifts), 2, axis=1)
        return np.diff((near + far) / 2, axis=1)
