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
from astropipe.spectra.pixels import arm_slices
from astropipe.spectra.prior import prior_term
from astropipe.spectra.rendering import Renderer
from astropipe.spectra.simulation import Stars, Survey, broadening_variance, draw_stars
from astropipe.spectra.start import StartNetwork

# Of the weights; the spectra have no noise.
_SNR = 100.0
_BATCH = 64
# Shares of stars, within how many standard errors they should lie, and what each counts: ratios have longer tails than
# a Gaussian, so that no factor serves both, and a user may ask for either.
_QUANTILES = ((0.6827, 1.0, 0.5), (0.9545, 2.0, 0.5))
# Stars count for a temperature as a Gaussian of this width says; at least so many, in effect.
_NEAR_K = 300.0
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
    Tensor, shape (3, t, 19)
        See `Emulator.inflation`. At least 1, and 1 where there are too few stars.
    """
    fitter, view = Fitter(emulator, start, excess_coherence=1.0), GivenSpectra(emulator, spectra)
    stars = replace(draw_stars(Survey(), stream(seed, "spectra.train.inflation"), len(labels)), labels=labels)
    arms = arm_slices()
    return torch.stack(
        [
            _widths(emulator, labels[:, 0], _ratios(fitter, view, stars, missing))
            for missing in (None, arms["red"], arms["blue"])
        ]
    )


def _ratios(fitter: Fitter, view: GivenSpectra, stars: Stars, missing: slice | None) -> NDArray[np.float64]:
    """Return errors of labels and velocity over those that independent errors of pixels would cause, shape (n, 19)."""
    ratios = []
    with torch.no_grad():
        for first in range(0, len(stars), _BATCH):
            rows = np.arange(first, min(first + _BATCH, len(stars)))
            labels = torch.from_numpy(stars.labels[rows]).float()
            flux, valid = view.clean_spectra(stars.rows(slice(first, first + _BATCH)), rows)
            ivar = np.where(valid, _SNR**2, 0.0)
            if missing is not None:
                ivar[:, missing] = 0.0
            fit = fitter(pair(flux, ivar))
            truth = np.column_stack([stars.labels[rows], stars.rv_km_s[rows]])
            # What the prior alone does to a fit without noise is no error of the emulator.
            pull = prior_term(labels).gradient[:, :, None]
            drawn_in = (fit.covariance[:, : RV + 1, :N_INPUTS] @ pull)[:, :, 0]
            off = (fit.parameters[:, : RV + 1] - drawn_in).double().numpy() - truth
            # What is known of a star in the calibration is not known of others.
            stellar, emulator = labels[:, :3], fitter.emulator
            known = emulator.error_factor(stellar) / emulator.error_factor(stellar, others=True)
            variance = fit.from_misfit[:, : RV + 1] / known[:, None]
            ratios.append(off / np.sqrt(variance.double().numpy()))
    return np.abs(np.concatenate(ratios))


def _widths(emulator: Emulator, t_eff_k: NDArray[np.float64], ratio: NDArray[np.float64]) -> Tensor:
    """Return the squared width of ratios about each of the emulator's temperatures, shape (t, 19)."""
    inflation = np.ones((len(emulator.error_t_eff), ratio.shape[1]))
    for i, centre in enumerate(emulator.error_t_eff.tolist()):
        same = (t_eff_k >= TIO_T_EFF_K) == (centre >= TIO_T_EFF_K)
        weight = np.exp(-0.5 * ((t_eff_k - centre) / _NEAR_K) ** 2) * same
        if not weight.any() or weight.sum() ** 2 < _LEAST_STARS * (weight**2).sum():
            continue
        width = sum(
            counts * np.quantile(ratio, share, axis=0, weights=weight, method="inverted_cdf") / sigmas
            for share, sigmas, counts in _QUANTILES
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
