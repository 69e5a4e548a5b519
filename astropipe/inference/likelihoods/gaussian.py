"""The Gaussian likelihood that all background data share, normalised, for many predictions at once."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from astropipe.inference.background import Cosmology
from astropipe.inference.datasets import Dataset

Array = NDArray[np.float64]
Parameters = Mapping[str, Array]
"""Parameters that are not part of the background (r_d, h_rd, omega_b_h2), by name, shape [n] each."""


class Gaussian:
    """ln N(value | prediction, covariance) with its normalisation, so that evidences can be compared.

    With `free_offset` a constant common to all values is marginalised analytically under a flat prior of
    density 1 per unit of the value. With ones vector 1, C the covariance, N the number of values and r the
    residual (Goliath et al. 2001, A&A 380, 6, appendix; here with the normalisation kept):

    ln L = −½ [ rᵀC⁻¹r − (1ᵀC⁻¹r)² / 1ᵀC⁻¹1 + ln det C + ln 1ᵀC⁻¹1 + (N − 1) ln 2π ].

    Parameters
    ----------
    value
        Measurements, shape [m].
    covariance
        Positive definite, shape [m, m]; or the variances of independent values, shape [m].
    free_offset
        Whether to marginalise a common constant; needs the full covariance.
    """

    def __init__(self, value: Array, covariance: Array, *, free_offset: bool = False) -> None:
        m = len(value)
        self._value = value
        if covariance.ndim == 1:
            self._whiten = 1.0 / np.sqrt(covariance)
            self._log_norm = float(np.sum(np.log(covariance))) + m * math.log(2.0 * math.pi)
            return
        root = np.linalg.cholesky(covariance)
        whiten = solve_triangular(root, np.eye(m), lower=True)
        log_norm = 2.0 * float(np.sum(np.log(np.diag(root)))) + m * math.log(2.0 * math.pi)
        if free_offset:
            ones = whiten.sum(axis=1)
            weight = float(ones @ ones)
            # Projecting the whitened residual off the offset's direction is the marginalisation.
            whiten = whiten - np.outer(ones, ones @ whiten) / weight
            log_norm += math.log(weight) - math.log(2.0 * math.pi)
        self._whiten = np.ascontiguousarray(whiten.T)
        self._log_norm = log_norm

    def chi_squared(self, prediction: Array) -> Array:
        """Return χ² of predictions [n, m], minimised over the offset if that is free; inf where not finite."""
        usable = np.all(np.isfinite(prediction), axis=1)
        residual = np.where(usable[:, None], prediction - self._value, 0.0)
        with np.errstate(over="ignore"):
            white = residual * self._whiten if self._whiten.ndim == 1 else residual @ self._whiten
            chi2 = np.square(white).sum(axis=1)
        return np.where(usable, chi2, np.inf)

    def log_density(self, prediction: Array) -> Array:
        """Return ln L of predictions [n, m], shape [n]; −inf where a prediction is not finite."""
        return -0.5 * (self.chi_squared(prediction) + self._log_norm)


class DataLikelihood(ABC):
    """ln L of one data set for n universes.

    Parameters
    ----------
    data
        The measurements.
    free_offset
        Whether a constant common to all values is marginalised.

    Attributes
    ----------
    needs
        Parameters beyond the expansion model: of each group, one must be sampled.
    """

    needs: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __init__(self, data: Dataset, *, free_offset: bool = False) -> None:
        self.data = data
        self.gaussian = Gaussian(data.value, data.covariance, free_offset=free_offset)

    @abstractmethod
    def predict(self, universe: Cosmology, parameters: Parameters) -> Array:
        """Return what n universes predict for the m rows of the data, shape [n, m]; NaN where impossible."""

    def chi_squared(self, universe: Cosmology, parameters: Parameters) -> Array:
        """Return χ², shape [n]."""
        return self.gaussian.chi_squared(self.predict(universe, parameters))

    def log_likelihood(self, universe: Cosmology, parameters: Parameters) -> Array:
        """Return ln L, shape [n]; −inf where the universe cannot predict the data."""
        return self.gaussian.log_density(self.predict(universe, parameters))
