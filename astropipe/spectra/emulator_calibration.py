"""How much more the errors of an emulator harm labels than errors of the same size at random pixels would.

Synthetic spectra that the emulator has not learned from are fitted without noise. By how much the labels are off, over
what independent errors in each pixel would cause, is a property of emulator and label.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from astropipe.runtime.seeds import stream
from astropipe.spectra.emulator import N_INPUTS, TIO_T_EFF_K, Emulator
from astropipe.spectra.fitting import RV, Fitter
from astropipe.spectra.pairs import pair
from astropipe.spectra.prior import prior_term
from astropipe.spectra.rendering import Renderer
from astropipe.spectra.simulation import Stars, Survey, broadening_variance, draw_stars
from astropipe.spectra.start import StartNetwork

# Of the weights; the spectra have no noise.
_SNR = 100.0
_BATCH = 64
# Shares of stars, within how many standard errors they should lie, and what each counts: errors have longer tails than
# a Gaussian, so that no factor serves both.
_QUANTILES = ((0.6827, 1.0, 0.75), (0.9545, 2.0, 0.25))
_LEAST_STARS = 20


class GivenSpectra(Renderer):
    """Renders given spectra instead of emulated ones: its basis is the spectra themselves.

    Parameters
    ----------
    emulator : Emulator
        Whose pixels they are on.
    spectra : ndarray, shape (n, pixels of REST)
        At the resolution of the emulator, in units of the continuum.
    """

    def __init__(self, emulator: Emulator, spectra: NDArray[np.floating]) -> None:
        mean = torch.from_numpy(np.asarray(spectra.mean(0))).float()
        super().__init__(replace(emulator, mean=mean, basis=torch.from_numpy(np.asarray(spectra)).float() - mean))

    def clean_spectra(self, stars: Stars, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return spectra of some rows as stars are observed, and where they are known; see `simulation`."""
        rv, v_sin_i = (torch.from_numpy(values).float() for values in (stars.rv_km_s, stars.v_sin_i_km_s))
        transfer = self.transfer(rv, v_sin_i, broadening_variance(stars))
        one_each = torch.nn.functional.one_hot(torch.from_numpy(rows), len(self.emulator.basis)).float()
        spectra = self.pixels(self.transforms(one_each) * transfer.factor)
        return spectra.numpy(), self.valid(rv).numpy()


def measure_inflation(
    emulator: Emulator,
    start: StartNetwork,
    labels: NDArray[np.float64],
    spectra: NDArray[np.floating],
    *,
    seed: int = 0,
) -> Tensor:
    """Measure the inflation of an emulator on spectra that it has not learned from.

    Parameters
    ----------
    emulator : Emulator
        The emulator, of inflation 1, with its residuals at these stars.
    start : StartNetwork
        Begins its fits.
    labels : ndarray, shape (n, 18)
        Labels of the spectra.
    spectra : ndarray, shape (n, pixels of REST)
        The spectra.
    seed : int
        Of velocities, rotation and resolving powers.

    Returns
    -------
    Tensor, shape (2, 19)
        See `Emulator.inflation`. At least 1, and 1 where there are too few stars.
    """
    fitter, view = Fitter(emulator, start, excess_coherence=1.0), GivenSpectra(emulator, spectra)
    stars = replace(draw_stars(Survey(), stream(seed, "spectra.train.inflation"), len(labels)), labels=labels)
    ratios = []
    with torch.no_grad():
        for first in range(0, len(labels), _BATCH):
            rows = np.arange(first, min(first + _BATCH, len(labels)))
            flux, valid = view.clean_spectra(stars.rows(slice(first, first + _BATCH)), rows)
            fit = fitter(pair(flux, np.where(valid, _SNR**2, 0.0)))
            truth = np.column_stack([labels[rows], stars.rv_km_s[rows]])
            # What the prior alone does to a fit without noise is no error of the emulator.
            pull = prior_term(torch.from_numpy(labels[rows]).float()).gradient[:, :, None]
            drawn_in = (fit.covariance[:, : RV + 1, :N_INPUTS] @ pull)[:, :, 0]
            off = (fit.parameters[:, : RV + 1] - drawn_in).double().numpy() - truth
            # What is known of a star in the calibration is not known of others.
            stellar = torch.from_numpy(labels[rows, :3]).float()
            known = emulator.error_factor(stellar) / emulator.error_factor(stellar, others=True)
            variance = fit.from_misfit[:, : RV + 1] / known[:, None]
            ratios.append(off / np.sqrt(variance.double().numpy()))
    ratio = np.abs(np.concatenate(ratios))
    warm = labels[:, 0] >= TIO_T_EFF_K
    inflation = np.ones((2, N_INPUTS + 1))
    for i, side in enumerate((~warm, warm)):
        if side.sum() >= _LEAST_STARS:
            width = sum(
                weight * np.quantile(ratio[side], share, axis=0) / sigmas for share, sigmas, weight in _QUANTILES
            )
            inflation[i] = np.maximum(width**2, 1.0)
    return torch.from_numpy(inflation).float()


def measure_residuals(
    emulator: Emulator, labels: NDArray[np.float64], spectra: NDArray[np.floating], *, n_modes: int = 64
) -> dict[str, Tensor]:
    """Return what an emulator lacks at spectra that it has not learned from, as its fields keep it.

    Parameters
    ----------
    emulator : Emulator
        The emulator.
    labels : ndarray, shape (n, 18)
        Labels of the spectra.
    spectra : ndarray, shape (n, pixels of REST)
        The spectra.
    n_modes : int
        Principal components kept.

    Returns
    -------
    dict
        ``residual_basis``, ``residuals`` and ``residual_stars``, see `Emulator`.
    """
    with torch.no_grad():
        lacking = torch.from_numpy(np.asarray(spectra)).float() - emulator.spectra(torch.from_numpy(labels).float())
        usual = emulator.error(torch.from_numpy(labels[:, 0]).float()).mean(1)
    square = (lacking**2).mean(1)
    # In units of the star's own error: few cool stars, ten times as far off as others, would have all components.
    basis = torch.linalg.svd(lacking / square.sqrt()[:, None], full_matrices=False)[2][:n_modes].contiguous()
    kept = lacking @ basis.T
    # What the components leave out is put back into their size.
    share = (kept**2).sum(1) / lacking.shape[1] / square
    stellar = torch.from_numpy(labels[:, :3]).float()
    return {
        "residual_basis": basis,
        "residuals": kept / share.sqrt()[:, None],
        "residual_stars": torch.cat([stellar, (square / usual)[:, None]], dim=1),
    }
