"""Night-sky lines in the red arm: what is left of them after the sky has been subtracted.

They stand still in the frame of the telescope, so that a spectrum with barycentric wavelengths has them anywhere within
the velocity of the Earth.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from astropipe.spectra.pixels import LOG10_STEP, OBSERVED, PIXEL_KM_S
from astropipe.spectra.telluric import EARTH_KM_S, MARGIN_PIXELS
from astropipe.spectra.wavelengths import air_to_vacuum

# Wavelength in air in Angstrom (Osterbrock et al. 1996, PASP 108, 277), strength relative to [O I] 6300. The ratio of
# the [O I] pair is that of its transition probabilities; the OH lines vary from hour to hour, and a tenth is their
# order of magnitude at this resolving power.
_LINES_AIR_A = (
    (6300.304, 1.0),
    (6363.780, 0.33),
    *(
        (wavelength, 0.1)
        for wavelength in (6287.434, 6329.840, 6465.901, 6498.729, 6533.044, 6553.617, 6577.285, 6604.135, 6863.955)
    ),
)
_RESOLUTION = 7_500.0
_FWHM_PER_SIGMA = 2.3548
RESIDUAL = 0.05
"""Usual size of what is left of [O I] 6300, as a share of the continuum: the noise at S/N 20."""


@lru_cache(maxsize=1)
def _at_rest() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pixel numbers of the red arm and a margin at both ends, a fifth of a pixel apart, and the lines there."""
    red = OBSERVED[1]
    place = np.arange(-MARGIN_PIXELS, red.size + MARGIN_PIXELS, 0.2)
    log_wavelength = (red.first + place) * LOG10_STEP * np.log(10.0)
    sigma = 1.0 / _RESOLUTION / _FWHM_PER_SIGMA
    lines = np.zeros(len(place))
    for air_a, strength in _LINES_AIR_A:
        distance = log_wavelength - np.log(float(air_to_vacuum(air_a)))
        lines += strength * np.exp(-0.5 * (distance / sigma) ** 2)
    return place, lines


def residual_at(velocity_km_s: float) -> NDArray[np.float64]:
    """Return the lines at each pixel of the red arm, shape (OBSERVED[1].size,), 1 at the peak of [O I] 6300.

    Parameters
    ----------
    velocity_km_s : float
        Of the telescope's frame against that of the wavelengths: positive if lines are shifted to the red.
    """
    return np.interp(np.arange(OBSERVED[1].size) - velocity_km_s / PIXEL_KM_S, *_at_rest())


@lru_cache(maxsize=1)
def mean_square_residual() -> NDArray[np.float64]:
    """Return the mean square of usual residuals over the Earth's velocities, as a share of the squared continuum."""
    return RESIDUAL**2 * np.mean([residual_at(v) ** 2 for v in np.linspace(-EARTH_KM_S, EARTH_KM_S, 13)], axis=0)
