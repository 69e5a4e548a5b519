"""From fits to the rows of a catalog: labels, errors, what was measured, and what may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from astropipe.spectra.emulator import Emulator
from astropipe.spectra.fitting import ROTATION, RV, Fit, Fitter
from astropipe.spectra.flags import MIN_USABLE_PIXELS, SpectrumFlag
from astropipe.spectra.labels import LABELS
from astropipe.spectra.pairs import pair
from astropipe.spectra.prior import stellar_sigma, x_fe_sigma

N_LABELS = len(LABELS)
BATCH = 64
"""Spectra that are fitted together: their derivatives stay in the cache of a core. What is read in whole batches,
counted from the first row of the input, has the same results in any part of it (`astropipe.runtime.batches`)."""
MEASURED_INFORMATION = 0.5
"""A label has more from the data than from the prior above this."""

# A label within this share of the range of the model from its end counts as at the edge.
_EDGE_SHARE = 0.01
# Limits of the flags: python benchmarks/bench_spectra.py --parts strange says how many of which spectra they flag.
CHI2_LIMIT = 1.25
EXCESS_LIMIT = 0.05
V_SIN_I_LIMIT_KM_S = 60.0
RV_ERR_LIMIT_KM_S = 10.0
SECOND_VELOCITY_LIMIT = 0.6
SPIKE_LIMIT = 12
AIR_GAIN_LIMIT = 10.0
# In km/s, and in standard errors of the velocity.
ASYMMETRY_LIMIT_KM_S, ASYMMETRY_SIGNIFICANCE = 1.5, 5.0
# Flux in units of its median.
_BEYOND_MEASURE = 1e5


@dataclass(frozen=True)
class Rows:
    """Results of n spectra in their order, arrays of n rows; labels, errors, covariance in the order of `LABELS`."""

    labels: NDArray[np.float64]
    errors: NDArray[np.float64]
    covariance: NDArray[np.float32]
    information: NDArray[np.float32]
    bound: NDArray[np.float32]
    rv: NDArray[np.float64]
    rv_err: NDArray[np.float64]
    asymmetry: NDArray[np.float64]
    v_sin_i: NDArray[np.float64]
    chi2: NDArray[np.float64]
    excess: NDArray[np.float64]
    rv_second: NDArray[np.float64]
    air_gain: NDArray[np.float64]
    rv_red_blue: NDArray[np.float64]
    rv_red_blue_err: NDArray[np.float64]
    n_spikes: NDArray[np.int32]
    model: NDArray[np.float32]
    flags: NDArray[np.int64]


def predict(
    fitter: Fitter, flux: NDArray[np.floating], ivar: NDArray[np.floating], *, models: bool = False, threads: int = 1
) -> Rows:
    """Fit spectra and say what came out.

    Parameters
    ----------
    fitter : Fitter
        The emulator and how it is fitted.
    flux, ivar : ndarray, shape (n, N_PIXELS)
        Spectra on the pixels of `pixels.OBSERVED`, in the observed frame and in any unit; inverse variance 0 masks.
    models : bool
        Whether to keep the model spectra; without, their array has no columns.
    threads : int
        How many batches are fitted at a time, each on one core: torch's own threads would wait for each other at every
        small step, which is slow and, beside other work, very slow.

    Returns
    -------
    Rows
        Spectra with too few usable pixels have labels that are not a number, and flags.
    """
    return in_batches(partial(_predict, fitter, models=models), *usable_pixels(flux, ivar), threads=threads)


def in_batches(
    predict_batch: Callable[[NDArray[np.floating], NDArray[np.floating]], Rows],
    flux: NDArray[np.floating],
    ivar: NDArray[np.floating],
    *,
    threads: int,
) -> Rows:
    """Return the results of spectra that are read `BATCH` at a time, as many batches at once as there are threads."""

    def part(start: int) -> Rows:
        return predict_batch(flux[start : start + BATCH], ivar[start : start + BATCH])

    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        parts = list(pool.map(part, range(0, max(len(flux), 1), BATCH)))
    return Rows(*(np.concatenate([getattr(each, name) for each in parts]) for name in Rows.__dataclass_fields__))


def usable_pixels(
    flux: NDArray[np.floating], ivar: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return spectra with flux and inverse variance 0 where they are not finite, or beyond all measure.

    A single damaged number would otherwise overflow in single precision and take its whole batch along.
    """
    used = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0.0)
    level = np.zeros(len(flux))
    for row in np.flatnonzero(used.any(axis=1)):
        level[row] = np.median(np.abs(flux[row, used[row]]))
    used &= np.abs(np.where(used, flux, 0.0)) <= np.where(level > 0.0, _BEYOND_MEASURE * level, np.inf)[:, None]
    return np.where(used, flux, 0.0), np.where(used, ivar, 0.0)


def nothing(n: int, flags: int, n_model: int = 0) -> Rows:
    """Return rows of spectra of which nothing is known but flags."""

    def missing(*shape: int) -> NDArray[np.float64]:
        return np.full((n, *shape), np.nan)

    single = np.float32
    return Rows(
        labels=missing(N_LABELS),
        errors=missing(N_LABELS),
        covariance=missing(N_LABELS, N_LABELS).astype(single),
        information=np.zeros((n, N_LABELS), dtype=single),
        bound=missing(N_LABELS).astype(single),
        rv=missing(),
        rv_err=missing(),
        asymmetry=missing(),
        v_sin_i=missing(),
        chi2=missing(2),
        excess=missing(2),
        rv_second=missing(),
        air_gain=missing(),
        rv_red_blue=missing(),
        rv_red_blue_err=missing(),
        n_spikes=np.zeros(n, dtype=np.int32),
        model=missing(n_model).astype(single),
        flags=np.full(n, flags, dtype=np.int64),
    )


def _predict(fitter: Fitter, flux: NDArray[np.floating], ivar: NDArray[np.floating], *, models: bool) -> Rows:
    usable = np.count_nonzero(ivar, axis=1)
    enough = usable >= MIN_USABLE_PIXELS
    rows = nothing(len(flux), 0, flux.shape[1] if models else 0)
    rows.flags[~enough] |= SpectrumFlag.FEW_PIXELS
    if not enough.any():
        return rows
    with torch.no_grad():
        pairs = pair(flux[enough], ivar[enough])
        fit = fitter(pairs)
        found = _rows(fitter.emulator, fit, models=models)
    found.flags[usable[enough] < flux.shape[1] // 2] |= SpectrumFlag.MASKED_MUCH
    for name in Rows.__dataclass_fields__:
        getattr(rows, name)[enough] = getattr(found, name) if name != "flags" else found.flags | rows.flags[enough]
    return rows


def _rows(emulator: Emulator, fit: Fit, *, models: bool) -> Rows:
    labels = fit.parameters[:, :N_LABELS]
    covariance = fit.covariance[:, :N_LABELS, :N_LABELS]
    variance = torch.diagonal(fit.covariance, dim1=1, dim2=2)
    broadening = fit.parameters[:, ROTATION].clamp_min(0.0).sqrt()
    difference, difference_err = fit.rv_red_blue, fit.rv_red_blue_err
    asymmetry = fit.rv_peak - fit.parameters[:, RV]
    second = fit.start.second / fit.start.peak.clamp_min(1e-9)
    chi2 = fit.chi2 / fit.n_used.clamp_min(1)
    flags = _flags(emulator, fit, chi2, second, broadening)
    return Rows(
        labels=labels.double().numpy(),
        errors=variance[:, :N_LABELS].sqrt().double().numpy(),
        covariance=covariance.numpy(),
        information=information(fit.parameters[:, :RV], covariance).numpy(),
        bound=fit.bound[:, :N_LABELS].numpy(),
        rv=fit.rv_peak.double().numpy(),
        rv_err=(variance[:, RV] + asymmetry**2).sqrt().double().numpy(),
        asymmetry=asymmetry.double().numpy(),
        v_sin_i=broadening.double().numpy(),
        chi2=torch.where(fit.n_used > 0, chi2, torch.nan).double().numpy(),
        excess=torch.where(fit.n_used > 0, fit.excess, torch.nan).double().numpy(),
        rv_second=second.double().numpy(),
        air_gain=fit.air_gain.double().numpy(),
        rv_red_blue=difference.double().numpy(),
        rv_red_blue_err=difference_err.double().numpy(),
        n_spikes=fit.n_spikes.numpy().astype(np.int32),
        model=np.repeat(fit.model.numpy(), 2 if models else 0, axis=1),
        flags=flags,
    )


def information(labels: Tensor, covariance: Tensor) -> Tensor:
    """Return what the data say of each label, shape (n, 17): 1 - variance / prior variance, 0 nothing, 1 all.

    Labels are those of `prior.prior_term`, shape (n, 18), the covariance that of the first 17, shape (n, 17, 17).
    Of t_eff, log_g and fe_h the prior is that of the population, of the other abundances that of [X/Fe] given [Fe/H]:
    an abundance that is known because iron is known is not measured.
    """
    variance = torch.diagonal(covariance, dim1=1, dim2=2)
    relative = variance[:, 3:] + variance[:, 2:3] - 2.0 * covariance[:, 2, 3:]
    prior = torch.cat([stellar_sigma().expand(len(labels), 3), x_fe_sigma(labels)], dim=1) ** 2
    return (1.0 - torch.cat([variance[:, :3], relative], dim=1) / prior).clamp(0.0, 1.0)


def measured_bits(information: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return a bit mask per row: bit i is set where label i has more from the data than from the prior."""
    return np.asarray(
        np.sum((information > MEASURED_INFORMATION).astype(np.int64) << np.arange(N_LABELS), axis=1), dtype=np.int64
    )


def _flags(emulator: Emulator, fit: Fit, chi2: Tensor, second: Tensor, broadening: Tensor) -> NDArray[np.int64]:
    low, high = emulator.low, emulator.high
    inner = _EDGE_SHARE * (high - low)
    labels = fit.parameters[:, :3]
    edge = ((labels < (low + inner)[:3]) | (labels > (high - inner)[:3])).any(1)
    # A misfit counts if it is significant, and larger than what line lists and flat fields may cause.
    rv_err = fit.covariance[:, RV, RV].sqrt()
    asymmetry = (fit.rv_peak - fit.parameters[:, RV]).abs()
    asymmetric = (asymmetry > ASYMMETRY_LIMIT_KM_S) & (asymmetry > ASYMMETRY_SIGNIFICANCE * fit.bound[:, RV])
    poor = ((chi2 > CHI2_LIMIT) & (fit.excess > EXCESS_LIMIT)).any(1)
    conditions = (
        (SpectrumFlag.OUT_OF_DOMAIN, edge),
        (SpectrumFlag.POOR_FIT, poor),
        (SpectrumFlag.BROADENED, broadening > V_SIN_I_LIMIT_KM_S),
        (SpectrumFlag.RV_UNCERTAIN, (rv_err > RV_ERR_LIMIT_KM_S) | (second > SECOND_VELOCITY_LIMIT)),
        (SpectrumFlag.ASYMMETRIC, asymmetric),
        (SpectrumFlag.NOT_CONVERGED, ~fit.converged),
        (SpectrumFlag.AIR_WAVELENGTHS, fit.air_gain > AIR_GAIN_LIMIT),
        (SpectrumFlag.COSMIC_RAYS, fit.n_spikes > SPIKE_LIMIT),
    )
    flags = np.zeros(len(labels), dtype=np.int64)
    for flag, condition in conditions:
        flags |= np.where(condition.numpy(), int(flag), 0)
    return flags
