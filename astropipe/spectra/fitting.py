"""Labels from spectra: the most probable star behind each spectrum, by Gauss-Newton steps through the emulator.

Free are the 18 labels, radial velocity, rotation, the line-spread function of each arm and the continuum of each arm;
known are the noise of every pixel, its mask, the error of the emulator and the prior. What residuals have beyond all
that is taken for one more noise, of equal size over an arm: lines of real stars differ from computed ones by some per
cent, and where that is more than photons can hide, errors must say so. The inverse of the curvature at the end is the
covariance of everything with everything, so that what masks, noise and a missing arm take away shows in the errors, and
what data do not tell shows as prior.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from astropipe.spectra.correlation_peak import CorrelationPeak
from astropipe.spectra.emulator import N_INPUTS, Emulator, read_emulator
from astropipe.spectra.known_error import KnownError, KnownErrors
from astropipe.spectra.linear import Linear
from astropipe.spectra.medium import MediumTest
from astropipe.spectra.misfit import excess_error, excess_variance, with_variance
from astropipe.spectra.pairs import SIZES, Pairs
from astropipe.spectra.prior import prior_term
from astropipe.spectra.rendering import Renderer, line_spread_variance, renderer
from astropipe.spectra.search import N_CONTINUUM, Search, fit_continuum
from astropipe.spectra.start import Start, StartNetwork, read_start
from astropipe.spectra.weighing import known_weights, weigh

RV, ROTATION, SPREAD = N_INPUTS, N_INPUTS + 1, N_INPUTS + 2
"""Columns of the parameters after the labels: velocity, v_sin_i², and the variance of the line spread of each arm."""
N_PHYSICAL = N_INPUTS + 4
N_PARAMETERS = N_PHYSICAL + N_CONTINUUM

# LAMOST's resolving power lies between 6500 and 8500: mean and standard deviation.
_RESOLUTION, _RESOLUTION_SIGMA = 7_500.0, 500.0
# Prior of v_sin_i² in (km/s)², weak, about 0; and the largest v_sin_i that is fitted.
_ROTATION_SIGMA = 600.0
_V_SIN_I_LIMIT_KM_S = 120.0
# Continua are polynomials of order unity once the flux is scaled.
_CONTINUUM_SIGMA = 1.0
# Longest step of a parameter; beyond it the whole step is shortened.
_LONGEST_STEP = (500.0, 1.0, 0.6, *(0.6,) * 14, 0.8, 15.0, 600.0, 150.0, 150.0)
# How often a misfit beyond all errors counts: one and twice the sum of the autocorrelation of residuals, which is 3 to
# 5 in the coadds of three real stars (tests/spectra/test_real_stars.py).
_EXCESS_COHERENCE = 4.0
_SIGNIFICANCE = 2.0
# Narrower lines have one peak.
_SHARP_KM_S = 10.0
# Lines of real stars are not known better than this, as a share of the continuum.
_LINE_ERROR = 0.02
# Steps with new derivatives, at most; after a step shorter than this, in standard errors, one without follows.
_MAX_STEPS, _NEAR = 8, 4.0
# Spectra whose derivatives are made, and multiplied, together: more do not stay in the second cache of a core.
_IN_CACHE = 4


@dataclass(frozen=True)
class Fit:
    """The result for a batch of n spectra.

    Attributes
    ----------
    parameters : Tensor, shape (n, N_PHYSICAL)
        Labels, radial velocity in km/s, v_sin_i² and the two variances of the line-spread functions in (km/s)².
    covariance : Tensor, shape (n, N_PHYSICAL, N_PHYSICAL)
        Their covariance, marginalised over the continuum.
    bound : Tensor, shape (n, N_PHYSICAL)
        Standard errors by noise and prior, were errors of the emulator and excess independent from pixel to pixel.
    from_misfit : Tensor, shape (n, N_PHYSICAL)
        The part of their variances that comes from errors of the emulator and excess, were these independent from pixel
        to pixel; in the covariance it counts as often as `Emulator.inflation` says.
    excess : Tensor, shape (n, 2)
        What residuals have beyond noise and error of the emulator, per arm: rms as a share of the continuum.
    chi2 : Tensor, shape (n, 2)
        Sum of squares of residuals over noise and error of the emulator, per arm.
    n_used : Tensor, shape (n, 2)
        Number of pairs with weight, per arm.
    n_spikes : Tensor, shape (n,)
        Number of pairs taken out because they stand out upwards.
    converged : Tensor, shape (n,)
        Whether the steps became short.
    air_gain : Tensor, shape (n,)
        By how much wavelengths in air describe telluric oxygen better than such in vacuum, see `medium.MediumTest`.
    rv_peak : Tensor, shape (n,)
        Velocity in km/s at which the spectrum resembles the star with sharp lines most. It differs from the fitted
        velocity where lines are asymmetric, as those of two stars are: it is that of the brighter one.
    rv_red_blue, rv_red_blue_err : Tensor, shape (n,)
        By how much the velocity of the red arm exceeds that of the blue arm, in km/s, and its standard error; labels
        and
        broadening held.
    model, residual : Tensor, shape (n, N_PAIRS)
        Model spectrum with its continuum in units of the flux, and flux less model.
    weights : Tensor, shape (n, N_PAIRS)
        Inverse variance of the residual, error of the emulator and excess included, with the continuum of each arm at
        about 1; 0 where not used.
    start : Start
        Where it began.
    """

    parameters: Tensor
    covariance: Tensor
    bound: Tensor
    from_misfit: Tensor
    excess: Tensor
    chi2: Tensor
    n_used: Tensor
    n_spikes: Tensor
    converged: Tensor
    air_gain: Tensor
    rv_peak: Tensor
    rv_red_blue: Tensor
    rv_red_blue_err: Tensor
    model: Tensor
    residual: Tensor
    weights: Tensor
    start: Start


@dataclass(frozen=True)
class _State:
    """Parameters of all spectra, and what follows from them."""

    model: Tensor
    by_rv: Tensor
    rows: Tensor | None


@dataclass(frozen=True)
class _Step:
    """Parameters after a step, pixels that stand out, how far it went in standard errors, and from where."""

    parameters: Tensor
    spikes: Tensor
    moved: Tensor
    linear: Linear


class Fitter:
    """Fits spectra with one emulator.

    Parameters
    ----------
    emulator : Emulator
        Labels to spectra.
    start : StartNetwork
        Where fits begin.
    excess_coherence : float
        How often a misfit beyond all errors counts.
    near : float
        After a step longer than this, in standard errors, another with new derivatives follows.
    """

    def __init__(
        self,
        emulator: Emulator,
        start: StartNetwork,
        *,
        excess_coherence: float = _EXCESS_COHERENCE,
        near: float = _NEAR,
    ) -> None:
        self.emulator, self.start, self.excess_coherence, self.near = emulator, start, excess_coherence, near
        self.view: Renderer = renderer(emulator, 2)
        self.search = Search(self.view)
        low, high = emulator.low, emulator.high
        self._low = torch.cat([low - 0.05 * (high - low), torch.tensor([-900.0, 0.0, 20.0, 20.0])])
        self._high = torch.cat(
            [high + 0.05 * (high - low), torch.tensor([900.0, _V_SIN_I_LIMIT_KM_S**2, 600.0, 600.0])]
        )
        spread = float(line_spread_variance(_RESOLUTION))
        edge = float(line_spread_variance(_RESOLUTION - _RESOLUTION_SIGMA))
        self._spread, self._spread_sigma = spread, edge - spread
        self._longest = torch.tensor(_LONGEST_STEP)
        self._errors = KnownErrors(self.view)
        self._medium, self._peak = MediumTest(), CorrelationPeak(self.view)

    def __call__(self, pairs: Pairs, start: Start | None = None) -> Fit:
        """Fit a batch of spectra; without a start it is searched for."""
        scale = _scale(pairs)
        pairs = replace(pairs, flux=pairs.flux / scale, ivar=pairs.ivar * scale**2)
        start = self.start(self.search(pairs)) if start is None else start
        rotation = start.v_sin_i_km_s[:, None] ** 2
        physical = torch.cat([start.labels, start.rv_km_s[:, None], rotation, start.spread_km2_s2], dim=1)
        physical = torch.minimum(torch.maximum(physical, self._low), self._high)
        model = self._spectra(physical, pairs, derivatives=False).model
        # Continuum first: linear, given the lines.
        weights = known_weights(pairs.ivar, torch.ones_like(pairs.flux), self._errors(physical[:, :3], physical[:, RV]))
        continuum = fit_continuum(pairs.flux / model.clamp_min(0.05), weights * model**2, self.search.terms)
        parameters = torch.cat([physical, continuum], dim=1)
        spikes = torch.zeros_like(pairs.flux, dtype=torch.bool)
        linear: Linear | None = None
        todo = torch.arange(len(pairs))
        for _ in range(_MAX_STEPS):
            step = self._step(parameters[todo], pairs.rows(todo), spikes[todo])
            parameters[todo], spikes[todo] = step.parameters, step.spikes
            linear = step.linear if linear is None else linear.put(todo, step.linear)
            todo = todo[step.moved > self.near]
            if not len(todo):
                break
        assert linear is not None
        last = self._step(parameters, pairs, spikes, linear)
        converged = torch.ones(len(pairs), dtype=torch.bool)
        converged[todo] = False
        return self._finish(last.parameters, pairs, last.spikes, linear, scale, start, converged)

    def bound(self, physical: Tensor, pairs: Pairs) -> Tensor:
        """Return the Bayesian Cramer-Rao bounds of the physical parameters of stars, shape (n, N_PHYSICAL).

        Parameters
        ----------
        physical : Tensor, shape (n, N_PHYSICAL)
            The true parameters.
        pairs : Pairs
            Their spectra, of which noise and masks count.

        Returns
        -------
        Tensor
            Standard errors from the Fisher information of all pixels that a fit uses, with the prior, marginalised over
            all else. Errors of the emulator are not counted: no method can do better on these spectra.
        """
        scale = _scale(pairs)
        ivar = pairs.ivar * scale**2
        state = self._spectra(physical, pairs, derivatives=True)
        assert state.rows is not None
        # No error of the model, but where there is none.
        error = replace(
            self._errors(physical[:, :3], physical[:, RV]),
            factor=torch.zeros(len(physical)),
            always=torch.zeros_like(self._errors.sky),
        )
        weights = known_weights(ivar, torch.ones_like(ivar), error)
        continuum = fit_continuum(pairs.flux / scale / state.model.clamp_min(0.05), weights, self.search.terms)
        level = continuum @ self.search.terms
        curvature = self._curvature(state.rows, state.model, level, weights)
        linear = Linear.of(state.rows, curvature + self._prior(torch.cat([physical, continuum], dim=1))[0])
        return torch.diagonal(linear.covariance(), dim1=1, dim2=2)[:, :N_PHYSICAL].sqrt()

    def _step(self, parameters: Tensor, pairs: Pairs, spikes: Tensor, linear: Linear | None = None) -> _Step:
        """Take one Gauss-Newton step, with derivatives of before if they are given: then it costs a fifth.

        Pixels that stood out before are not used to find the excess.
        """
        state = self._spectra(parameters[:, :N_PHYSICAL], pairs, derivatives=linear is None)
        level = parameters[:, N_PHYSICAL:] @ self.search.terms
        seen = weigh(
            pairs.flux, pairs.ivar, level, state.model, self._errors(parameters[:, :3], parameters[:, RV]), spikes
        )
        prior_precision, prior_gradient = self._prior(parameters)
        if linear is None:
            assert state.rows is not None
            linear = Linear.of(
                state.rows, self._curvature(state.rows, state.model, level, seen.weights) + prior_precision
            )
        by_physical = (linear.rows @ (seen.pull * level)[:, :, None])[:, :, 0]
        gradient = torch.cat([by_physical, (seen.pull * state.model) @ self.search.terms.T], dim=1) + prior_gradient
        change = linear.solve(gradient)
        longest = (change[:, :N_PHYSICAL].abs() / self._longest).amax(1).clamp_min(1.0)
        new = parameters + change / longest[:, None]
        new[:, :N_PHYSICAL] = torch.minimum(torch.maximum(new[:, :N_PHYSICAL], self._low), self._high)
        return _Step(new, seen.spikes, linear.length(new - parameters), linear)

    def _finish(
        self,
        parameters: Tensor,
        pairs: Pairs,
        spikes: Tensor,
        linear: Linear,
        scale: Tensor,
        start: Start,
        converged: Tensor,
    ) -> Fit:
        state = self._spectra(parameters[:, :N_PHYSICAL], pairs, derivatives=False)
        model = state.model
        level = parameters[:, N_PHYSICAL:] @ self.search.terms
        emulated = self._errors(parameters[:, :3], parameters[:, RV])
        known = known_weights(pairs.ivar, level, emulated)
        known = torch.where(spikes, torch.zeros_like(known), known)
        residual = pairs.flux - level * model
        excess = excess_variance(residual, known)
        weights = with_variance(known, excess)
        # What noise may feign is no misfit that lines have in common.
        common = (excess - _SIGNIFICANCE * excess_error(known)).clamp_min(0.0)
        error = emulated.variance() * level**2
        covariance, bound, from_misfit = self._covariance(
            linear, model, level, weights, error, common, parameters[:, 0]
        )
        square = (known * residual**2).split(SIZES, dim=1)
        shift, shift_variance = _arm_velocities(level * state.by_rv, weights, residual)
        return Fit(
            parameters=parameters[:, :N_PHYSICAL],
            covariance=covariance,
            bound=bound,
            from_misfit=from_misfit,
            excess=excess.sqrt(),
            chi2=torch.stack([part.sum(1) for part in square], dim=1),
            n_used=torch.stack([(part > 0.0).sum(1) for part in weights.split(SIZES, dim=1)], dim=1),
            n_spikes=(spikes & (pairs.ivar > 0.0)).sum(1),
            converged=converged,
            air_gain=self._air_gain(emulated, self.view.valid(parameters[:, RV]), pairs, residual, level * model),
            rv_peak=self._peak_velocity(parameters, pairs, level, weights),
            rv_red_blue=shift[:, 1] - shift[:, 0],
            rv_red_blue_err=shift_variance.sum(1).sqrt(),
            model=level * model * scale * pairs.scale,
            residual=residual * scale * pairs.scale,
            weights=weights,
            start=start,
        )

    def _peak_velocity(self, parameters: Tensor, pairs: Pairs, level: Tensor, weights: Tensor) -> Tensor:
        """Correlate spectra of wide lines with the same star of sharp ones; see `Fit.rv_peak`."""
        peak = parameters[:, RV].clone()
        wide = torch.nonzero(parameters[:, ROTATION] > _SHARP_KM_S**2)[:, 0]
        if not len(wide):
            return peak
        physical, level, weights = parameters[wide, :N_PHYSICAL], level[wide], weights[wide] * level[wide] ** 2
        lines = torch.where(weights > 0.0, pairs.flux[wide] / level - 1.0, torch.zeros_like(level))
        transfer = self.view.transfer(physical[:, RV], torch.zeros(len(wide)), physical[:, SPREAD:])
        sharp = self.view.transforms(self.emulator.coefficients(physical[:, :N_INPUTS])) * transfer.factor
        peak[wide] += self._peak(sharp, lines, weights)
        return peak

    def _air_gain(self, emulated: KnownError, valid: Tensor, pairs: Pairs, residual: Tensor, model: Tensor) -> Tensor:
        """See `medium.MediumTest`; where oxygen is strong it is not masked here, nor an error."""
        seen = self._medium.used
        ivar, residual, model = pairs.ivar[:, seen], residual[:, seen], model[:, seen]
        known = valid[:, seen] & (ivar > 0.0) & (model > 0.05)
        safe = torch.where(known, model, torch.ones_like(model))
        error = emulated.variance(seen, always=False) + self._errors.sky[seen] + _LINE_ERROR**2
        variance = 1.0 / (ivar * safe**2).clamp_min(1e-12) + error
        return self._medium(residual / safe, torch.where(known, 1.0 / variance, torch.zeros_like(variance)))

    def _covariance(
        self,
        linear: Linear,
        model: Tensor,
        level: Tensor,
        weights: Tensor,
        error: Tensor,
        excess: Tensor,
        t_eff: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return covariance, bound and variance due to misfit of the physical parameters, see `Fit`.

        Emulators and line lists err alike in neighbouring pixels and in the lines of one element, so that their errors
        average out less than noise does: by how much less has been measured for both (`emulator_calibration`, and
        ``_EXCESS_COHERENCE``).
        """
        excesses = torch.cat([excess[:, i : i + 1].expand(-1, size) for i, size in enumerate(SIZES)], dim=1)
        inverse = linear.covariance()
        spread = self._curvature(linear.rows, model, level, weights**2 * (error + excesses))
        due = inverse[:, :N_PHYSICAL] @ spread @ inverse[:, :, :N_PHYSICAL]
        of_emulator, of_excess = ((weights**2 * part).sum(1, keepdim=True) for part in (error, excesses))
        share = of_emulator / (of_emulator + of_excess).clamp_min(1e-30)
        factor = torch.ones(len(due), N_PHYSICAL)
        blue, red = (part.any(1) for part in weights.split(SIZES, dim=1))
        for seen, table in zip((blue & red, blue & ~red, red & ~blue), self.emulator.inflation, strict=True):
            factor[seen, : RV + 1] = self.emulator.interpolate_error(t_eff[seen], table)
        more = (share * factor + (1.0 - share) * self.excess_coherence - 1.0).clamp_min(0.0).sqrt()
        known = inverse[:, :N_PHYSICAL, :N_PHYSICAL]
        covariance = known + more[:, :, None] * due * more[:, None]
        return covariance, torch.diagonal(known, dim1=1, dim2=2).sqrt(), torch.diagonal(due, dim1=1, dim2=2)

    def _spectra(self, physical: Tensor, pairs: Pairs, *, derivatives: bool) -> _State:
        """Return model spectra as the pairs see them, and derivatives by the physical parameters."""
        labels, view = physical[:, :N_INPUTS], self.view
        v_sin_i = physical[:, ROTATION].clamp_min(0.0).sqrt()
        transfer = view.transfer(physical[:, RV], v_sin_i, physical[:, SPREAD:], derivatives=derivatives)
        if derivatives:
            coefficients, gradient = self.emulator.coefficients_and_gradient(labels)
        else:
            coefficients = self.emulator.coefficients(labels)
        # By velocity, and by the variance of a broadening: what an uneven pair needs too.
        seen = torch.empty(len(physical), 4 if derivatives else 3, *transfer.factor.shape[1:], dtype=torch.complex64)
        torch.mul(view.transforms(coefficients), transfer.factor, out=seen[:, 0])
        torch.mul(seen[:, 0], view.by_velocity, out=seen[:, 1])
        torch.mul(seen[:, 0], view.by_variance, out=seen[:, 2])
        if transfer.by_rotation is not None:
            torch.mul(seen[:, 0], transfer.by_rotation, out=seen[:, 3])
        values = view.pixels(seen)
        model, rv_row, variance_row = values[:, 0], values[:, 1], values[:, 2]
        model = torch.addcmul(model, pairs.offset_km_s, rv_row, value=-1.0)
        model.addcmul_(pairs.narrower_km2_s2, variance_row, value=-1.0)
        if not derivatives:
            return _State(model, rv_row, None)
        by_label = view.transforms(gradient.flatten(0, 1), with_mean=False).unflatten(0, gradient.shape[:2])
        rows = torch.empty(len(physical), N_PHYSICAL, variance_row.shape[1])
        for part in _few(len(physical)):
            view.pixels(by_label[part].mul_(transfer.factor[part, None]), out=rows[part, :N_INPUTS])
        rows[:, RV], rows[:, ROTATION] = rv_row, values[:, 3]
        rows[:, SPREAD:] = 0.0
        rows[:, SPREAD, : SIZES[0]] = variance_row[:, : SIZES[0]]
        rows[:, SPREAD + 1, SIZES[0] :] = variance_row[:, SIZES[0] :]
        return _State(model, rv_row, rows)

    def _curvature(self, rows: Tensor, model: Tensor, level: Tensor, weights: Tensor) -> Tensor:
        """Return the curvature of chi²/2, shape (n, N_PARAMETERS, N_PARAMETERS), from derivatives of the model."""
        curvature = torch.empty(len(rows), N_PARAMETERS, N_PARAMETERS)
        root = torch.sqrt(weights)
        of_lines, of_continuum = (root * level)[:, None], (root * model)[:, None]
        weighted = torch.empty(_IN_CACHE, N_PARAMETERS, rows.shape[2])
        for part in _few(len(rows)):
            some = weighted[: part.stop - part.start]
            torch.mul(rows[part], of_lines[part], out=some[:, :N_PHYSICAL])
            torch.mul(of_continuum[part], self.search.terms, out=some[:, N_PHYSICAL:])
            curvature[part] = some @ some.transpose(1, 2)
        return curvature

    def _prior(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        term = prior_term(parameters[:, :N_INPUTS])
        n = len(parameters)
        precision = torch.zeros(n, N_PARAMETERS, N_PARAMETERS)
        precision[:, :N_INPUTS, :N_INPUTS] = term.precision
        sigma = torch.cat(
            [
                torch.tensor([1e4, _ROTATION_SIGMA, self._spread_sigma, self._spread_sigma]),
                torch.full((N_CONTINUUM,), _CONTINUUM_SIGMA),
            ]
        )
        mean = torch.zeros(len(sigma))
        mean[2:4] = self._spread
        # The constant term of each continuum is 1 as the flux is scaled.
        mean[4], mean[4 + N_CONTINUUM // 2] = 1.0, 1.0
        rest = torch.arange(N_INPUTS, N_PARAMETERS)
        precision[:, rest, rest] = sigma**-2
        gradient = torch.cat([term.gradient, -(parameters[:, N_INPUTS:] - mean) / sigma**2], dim=1)
        return precision, gradient


@lru_cache(maxsize=2)
def read_fitter(path: Path | None = None) -> Fitter:
    """Return the fitter, made once, of a ``spectrum-emulator`` artifact; of the shipped one where no path is given."""
    return Fitter(read_emulator(path), read_start(path))


def _few(n: int) -> Iterator[slice]:
    """Give n spectra a few at a time."""
    return (slice(first, min(first + _IN_CACHE, n)) for first in range(0, n, _IN_CACHE))


def _arm_velocities(by_rv: Tensor, weights: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Return by how much each arm would like another velocity, and the variance of that, shape (n, 2)."""
    slope = (weights * by_rv * residual).split(SIZES, dim=1)
    curvature = (weights * by_rv**2).split(SIZES, dim=1)
    variance = torch.stack([1.0 / part.sum(1).clamp_min(1e-9) for part in curvature], dim=1)
    return torch.stack([part.sum(1) for part in slope], dim=1) * variance, variance


def _scale(pairs: Pairs) -> Tensor:
    """Return the flux of each pair's arm that is set to 1, shape (n, N_PAIRS): its mean, by weight."""
    scales = []
    for flux, ivar in zip(pairs.flux.split(SIZES, dim=1), pairs.ivar.split(SIZES, dim=1), strict=True):
        mean = (flux * ivar).sum(1) / ivar.sum(1).clamp_min(1e-30)
        # An arm of noise has no level; its spread will do.
        used = (ivar > 0).sum(1)
        spread = (ivar.sum(1) / used.clamp_min(1)).clamp_min(1e-30) ** -0.5
        # An arm of which nothing is seen has no level at all.
        level = torch.where(used > 0, torch.where(mean > spread, mean, spread), torch.ones_like(mean))
        scales.append(level[:, None].expand_as(flux))
    return torch.cat(scales, dim=1)
