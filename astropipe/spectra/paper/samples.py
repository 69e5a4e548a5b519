"""Spectra on the pixels of this stage as RRNet and StarNet take them, and which of them they can take at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.spectra.paper.preprocessing import ARM_PIXELS, N_PIXELS, arm_wavelengths_a, normalise, rest_frame
from astropipe.spectra.pixels import OBSERVED, SPEED_OF_LIGHT_KM_S, arm_slices

# Of the pixels of an arm that may be masked, and are then interpolated: the networks know no masks.
_LARGEST_MASKED_SHARE = 0.1


def network_inputs(
    flux: NDArray[np.floating], ivar: NDArray[np.floating], rv_km_s: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return what the networks see of spectra.

    Masked pixels are interpolated from their neighbours: the published preprocessing reads the flux whatever the mask
    says, and a flux of 0, as masked pixels have here, would be worse than what a file holds there.

    Parameters
    ----------
    flux, ivar : ndarray, shape (n, pixels.N_PIXELS)
        Spectra in the observed frame; inverse variance 0 masks.
    rv_km_s : ndarray, shape (n,)
        Radial velocities, which the networks need from elsewhere.

    Returns
    -------
    inputs : ndarray of float32, shape (n, 7200)
        Rest-frame spectra over their pseudo-continuum, before standardisation; 1 where a spectrum cannot be used.
    usable : ndarray of bool, shape (n,)
        False where an arm is missing, masked by more than a tenth, or does not cover the windows of the networks.
    """
    rest = np.ones((len(flux), N_PIXELS))
    usable = np.ones(len(flux), dtype=bool)
    for i, (arm, place) in enumerate(zip(OBSERVED, arm_slices().values(), strict=True)):
        wavelength = arm.wavelength_a
        needed = arm_wavelengths_a(i)[[0, -1]]
        for row, velocity in enumerate(np.asarray(rv_km_s, dtype=np.float64)):
            good = np.asarray(ivar[row, place]) > 0.0
            window = needed * (1.0 + velocity / SPEED_OF_LIGHT_KM_S)
            covered = (wavelength >= window[0]) & (wavelength <= window[1])
            missing = np.count_nonzero(covered & ~good) > _LARGEST_MASKED_SHARE * np.count_nonzero(covered)
            if missing or window[0] < wavelength[0] or window[1] > wavelength[-1]:
                usable[row] = False
                continue
            filled = np.interp(wavelength, wavelength[good], np.asarray(flux[row, place], dtype=np.float64)[good])
            rest[row, i * ARM_PIXELS : (i + 1) * ARM_PIXELS] = rest_frame(wavelength, filled, float(velocity), i)
    inputs = np.ones(rest.shape, dtype=np.float32)
    inputs[usable] = normalise(rest[usable])
    return inputs, usable
