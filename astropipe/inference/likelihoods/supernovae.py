"""Type Ia supernovae: the shape of the Hubble diagram, with the zero point marginalised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.background import Cosmology
from astropipe.inference.datasets import Dataset
from astropipe.inference.distances import Redshifts, distance_modulus
from astropipe.inference.likelihoods.gaussian import DataLikelihood, Parameters

Array = NDArray[np.float64]


class Supernovae(DataLikelihood):
    """Gaussian ln L of magnitudes, marginalised over their common zero point, so H0 plays no part.

    The zero point M − 5 log10 h has a flat prior of density 1 per magnitude: an evidence is relative to that.

    The comoving distance is that of the redshift in the frame of the CMB; the factor 1 + z, by which expansion and
    the motion of the Sun dim and delay the light, has the heliocentric redshift where that is given.
    """

    def __init__(self, data: Dataset) -> None:
        super().__init__(data, free_offset=True)
        self._redshifts = Redshifts(data.z)
        helio = data.z if data.z_heliocentric is None else data.z_heliocentric
        self._frame = 5.0 * np.log10((1.0 + helio) / (1.0 + data.z))

    def predict(self, universe: Cosmology, parameters: Parameters) -> Array:
        """Return distance moduli in mag, shape [n, m]; the zero point is irrelevant."""
        return distance_modulus(universe, self._redshifts) + self._frame


class CalibratedSupernovae(Supernovae):
    """Supernovae of which some have a host with a Cepheid distance, which sets the zero point and so measures H0.

    The residual of a calibrator is m − M − μ_Cepheid, that of the others m − M − μ(z) (Brout et al. 2022,
    arXiv:2202.04077, eqs. 14 and 15), with M marginalised; the errors of the Cepheid distances are part of the
    covariance.
    """

    needs = (("h0",),)

    def __init__(self, data: Dataset, calibrator: Array) -> None:
        super().__init__(data)
        self._rows = np.flatnonzero(np.isfinite(calibrator))
        self._moduli = calibrator[self._rows]

    def predict(self, universe: Cosmology, parameters: Parameters) -> Array:
        """Return distance moduli in mag, shape [n, m], those of calibrators from their Cepheids."""
        moduli = super().predict(universe, parameters)
        moduli[:, self._rows] = self._moduli
        return moduli


def supernovae(data: Dataset) -> Supernovae:
    """Return the likelihood of supernovae, with or without calibrators among them."""
    return Supernovae(data) if data.calibrator is None else CalibratedSupernovae(data, data.calibrator)
