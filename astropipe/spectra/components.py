"""Principal components of spectra in which every star counts as in the population, whatever it was chosen for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from astropipe.spectra.population import draw_labels

Floats = NDArray[np.floating]

# Bins of temperature in which stars are counted, and how many of the population are.
_BINS = 12
_DRAWN = 20_000


def population_weights(t_eff_k: Floats) -> NDArray[np.float64]:
    """Return how much each star must count for each temperature to count as in the population.

    Stars that were chosen for being cool would else take components from all others.

    Parameters
    ----------
    t_eff_k : ndarray, shape (n,)
        Effective temperatures in K.

    Returns
    -------
    ndarray, shape (n,)
        Weights of mean 1.
    """
    edges = np.linspace(t_eff_k.min(), t_eff_k.max(), _BINS + 1)
    there = np.histogram(t_eff_k, edges)[0]
    drawn = np.histogram(draw_labels(np.random.default_rng(0), _DRAWN)[:, 0], edges)[0]
    at = np.clip(np.searchsorted(edges, t_eff_k, side="right") - 1, 0, _BINS - 1)
    weight = drawn[at] / there[at]
    return np.asarray(weight / weight.mean())


def principal_components(
    spectra: Floats, weight: Floats, n_components: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the first principal components of weighted spectra.

    Parameters
    ----------
    spectra : ndarray, shape (n, m)
        Of n stars, fewer than pixels.
    weight : ndarray, shape (n,)
        How much each counts.
    n_components : int
        At most n.

    Returns
    -------
    mean : ndarray, shape (m,)
        Weighted mean.
    basis : ndarray, shape (n_components, m)
        Orthonormal, of falling variance.
    """
    mean = np.asarray(np.average(spectra, axis=0, weights=weight), dtype=np.float64)
    scaled = (spectra - mean) * np.sqrt(weight)[:, None]
    # Of the products of stars, of which there are fewer than pixels; only the largest, a few in a hundred.
    largest = (len(spectra) - n_components, len(spectra) - 1)
    left = eigh(scaled @ scaled.T, subset_by_index=largest)[1][:, ::-1]
    return mean, np.linalg.qr(scaled.T @ left)[0].T
