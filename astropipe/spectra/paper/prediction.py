"""Labels by a published network as the rows of a catalog, with the radial velocity that it needs measured here."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from astropipe.spectra.fitting import Fitter
from astropipe.spectra.flags import MIN_USABLE_PIXELS, SpectrumFlag
from astropipe.spectra.pairs import pair
from astropipe.spectra.paper.ensemble import NetworkEnsemble
from astropipe.spectra.paper.samples import network_inputs
from astropipe.spectra.prediction import Rows, in_batches, nothing, usable_pixels


def predict(
    ensemble: NetworkEnsemble,
    fitter: Fitter,
    flux: NDArray[np.floating],
    ivar: NDArray[np.floating],
    *,
    threads: int = 1,
) -> Rows:
    """Read labels with networks.

    Parameters
    ----------
    ensemble : NetworkEnsemble
        The networks.
    fitter : Fitter
        Finds the velocities, by its templates and the network that begins its fits.
    flux, ivar : ndarray, shape (n, N_PIXELS)
        Spectra as in `astropipe.spectra.prediction.predict`.
    threads : int
        How many batches are read at a time.

    Returns
    -------
    Rows
        Labels, errors and velocity; what networks do not know is not a number. Spectra that they cannot take, of which
        an arm is missing or masked by more than a tenth, have the flag NOT_FOR_NETWORK and no labels.
    """
    return in_batches(partial(_predict, ensemble, fitter), *usable_pixels(flux, ivar), threads=threads)


def _predict(ensemble: NetworkEnsemble, fitter: Fitter, flux: NDArray[np.floating], ivar: NDArray[np.floating]) -> Rows:
    rows = nothing(len(flux), 0)
    enough = np.count_nonzero(ivar, axis=1) >= MIN_USABLE_PIXELS
    if enough.any():
        with torch.no_grad():
            aligned = fitter.search(pair(flux[enough], ivar[enough]))
            rows.rv[enough] = fitter.start(aligned).rv_km_s.double().numpy()
    usable = np.zeros(len(flux), dtype=bool)
    inputs, usable[enough] = network_inputs(flux[enough], ivar[enough], rows.rv[enough])
    if usable.any():
        rows.labels[usable], rows.errors[usable] = ensemble.predict(inputs[usable[enough]])
    rows.flags[~usable] |= SpectrumFlag.NOT_FOR_NETWORK
    rows.flags[~enough] |= SpectrumFlag.FEW_PIXELS
    return rows
