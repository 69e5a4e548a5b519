"""The velocity of a star, from the template that describes its spectrum best.

For a template t at one velocity, scaled freely, the spectrum r (its continuum taken off) gains
``(sum w r t)² / (sum w t²)`` in chi²: two matrix products for all templates and velocities together. This is the
cross-correlation of Zucker (2003, MNRAS 342, 1291), with the weights of the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from astropipe.spectra.pairs import N_PAIRS, SIZES, Pairs
from astropipe.spectra.pixels import PIXEL_KM_S, SPEED_OF_LIGHT_KM_S
from astropipe.spectra.population import draw_labels
from astropipe.spectra.rendering import Renderer, line_spread_variance

CONTINUUM_ORDER = 5
"""Degree of the Legendre polynomials of the continuum of each arm."""
N_CONTINUUM = 2 * (CONTINUUM_ORDER + 1)

RV_LIMIT_KM_S = 500.0
PAIR_KM_S = 2.0 * PIXEL_KM_S
_RESOLUTION = 7_500.0
_N_TEMPLATES, _SAMPLE = 12, 768
_CLIP_SIGMA = 4.0
_TINY = 1e-12


def continuum_terms() -> Tensor:
    """Legendre polynomials of each arm, 0 in the other, shape (12, N_PAIRS)."""
    terms = np.zeros((N_CONTINUUM, N_PAIRS))
    start = 0
    for i, size in enumerate(SIZES):
        rows = slice(i * (CONTINUUM_ORDER + 1), (i + 1) * (CONTINUUM_ORDER + 1))
        x = np.linspace(-1.0, 1.0, size)
        terms[rows, start : start + size] = np.polynomial.legendre.legvander(x, CONTINUUM_ORDER).T
        start += size
    return torch.from_numpy(terms).float()


def fit_continuum(values: Tensor, weights: Tensor, terms: Tensor) -> Tensor:
    """Fit polynomials by weighted least squares.

    Parameters
    ----------
    values, weights : Tensor, shape (n, pixels)
        Numbers and their inverse variances.
    terms : Tensor, shape (k, pixels)
        The polynomials.

    Returns
    -------
    Tensor, shape (n, k)
        Coefficients; small where an arm has no weight.
    """
    products = (terms[:, None] * terms[None]).flatten(0, 1)
    normal = (weights @ products.T).reshape(len(values), len(terms), len(terms))
    size = torch.diagonal(normal, dim1=1, dim2=2).mean(1)[:, None, None].clamp_min(_TINY)
    normal = normal / size + 1e-6 * torch.eye(len(terms), dtype=values.dtype)
    right = ((weights * values) @ terms.T)[:, :, None] / size
    return torch.linalg.solve(normal, right)[:, :, 0]


@dataclass(frozen=True)
class Aligned:
    """Spectra in the frame of their stars, to the nearest pair of pixels.

    Attributes
    ----------
    lines, weights : Tensor, shape (n, N_PAIRS)
        Spectra over their pseudo-continuum less 1, and inverse variances.
    rv_km_s : Tensor, shape (n,)
        Radial velocity, from the best template.
    fraction : Tensor, shape (n,)
        By how many pairs of pixels the lines still lie to the red.
    peak : Tensor, shape (n,)
        Gain in chi² at the best velocity.
    second : Tensor, shape (n,)
        Gain at the best velocity farther than 60 km/s from it.
    """

    lines: Tensor
    weights: Tensor
    rv_km_s: Tensor
    fraction: Tensor
    peak: Tensor
    second: Tensor


class Search:
    """Finds velocities with a few templates, which are made once.

    Parameters
    ----------
    view : Renderer
        Renders pairs of pixels.
    """

    def __init__(self, view: Renderer) -> None:
        self.terms = continuum_terms()
        # The coolest to the hottest dwarfs and giants of a sample of the population; a few turn fast.
        labels = torch.from_numpy(draw_labels(np.random.default_rng(20_221), _SAMPLE)).float()
        order = torch.argsort(labels[:, 0])
        few = order[torch.linspace(0, _SAMPLE - 1, _N_TEMPLATES).long()]
        v_sin_i = torch.where(few % 4 == 0, 30.0, 3.0)
        transforms = view.transforms(view.emulator.coefficients(labels[few]))
        variance = torch.full((len(few), 2), float(line_spread_variance(_RESOLUTION)))
        shifts = int(RV_LIMIT_KM_S // PAIR_KM_S)
        self.shifts = torch.arange(-shifts, shifts + 1)
        bank = []
        for shift in self.shifts.tolist():
            rv = torch.full((len(few),), SPEED_OF_LIGHT_KM_S * float(np.expm1(shift * PAIR_KM_S / SPEED_OF_LIGHT_KM_S)))
            lines = self.lines(view.pixels(transforms * view.transfer(rv, v_sin_i, variance).factor))
            bank.append(torch.where(view.valid(rv), lines, torch.zeros_like(lines)))
        self.bank = torch.stack(bank).flatten(0, 1)
        self._squared = self.bank**2

    def lines(self, spectra: Tensor) -> Tensor:
        """Divide spectra without noise by a polynomial through them and take off 1."""
        ones = torch.ones_like(spectra)
        return spectra / (fit_continuum(spectra, ones, self.terms) @ self.terms) - 1.0

    def __call__(self, pairs: Pairs) -> Aligned:
        """Find the velocity of each spectrum and take it to the frame of its star."""
        lines, weights = self.normalised(pairs)
        gain = _gain(lines, weights, self.bank, self._squared).reshape(len(pairs), len(self.shifts), -1).amax(2)
        peak, best = gain.max(1)
        far = (self.shifts - self.shifts[best][:, None]).abs() * PAIR_KM_S > 60.0
        second = torch.where(far, gain, torch.zeros_like(gain)).amax(1)
        shift = self.shifts[best] + vertex(gain, best)
        back = torch.round(shift).long()
        rv = SPEED_OF_LIGHT_KM_S * torch.expm1(shift * PAIR_KM_S / SPEED_OF_LIGHT_KM_S)
        return Aligned(_shifted(lines, back), _shifted(weights, back), rv, shift - back, peak, second)

    def normalised(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Return spectra over their pseudo-continuum less 1, and weights, with spikes upwards weighted 0."""
        weights = pairs.ivar
        for _ in range(2):
            level = fit_continuum(pairs.flux, weights, self.terms) @ self.terms
            spike = (pairs.flux - level) * torch.sqrt(pairs.ivar) > _CLIP_SIGMA
            # At high S/N the continuum itself stands above a line that goes through the absorption lines.
            spike &= pairs.flux > 1.3 * level
            weights = torch.where(spike, torch.zeros_like(weights), pairs.ivar)
        positive = level > _TINY
        safe = torch.where(positive, level, torch.ones_like(level))
        weights = torch.where(positive, weights * safe**2, torch.zeros_like(weights))
        return torch.where(weights > 0.0, pairs.flux / safe - 1.0, torch.zeros_like(level)), weights


def _gain(lines: Tensor, weights: Tensor, bank: Tensor, squared: Tensor) -> Tensor:
    """Fall of chi² by each template, at the best positive strength of its lines."""
    product = (weights * lines) @ bank.T
    norm = weights @ squared.T
    return product.clamp_min(0.0) ** 2 / norm.clamp_min(_TINY)


def vertex(gain: Tensor, best: Tensor) -> Tensor:
    """Offset of the top of a parabola through a maximum and its neighbours, in (-0.5, 0.5)."""
    inner = best.clamp(1, gain.shape[1] - 2)[:, None]
    left, middle, right = (gain.gather(1, inner + step)[:, 0] for step in (-1, 0, 1))
    curvature = (left - 2.0 * middle + right).clamp_max(-_TINY)
    return (0.5 * (left - right) / curvature).clamp(-0.5, 0.5)


def _shifted(values: Tensor, shift: Tensor) -> Tensor:
    """Move each arm of each spectrum to the left by a number of pairs, 0 flowing in."""
    arms = []
    for part in values.split(SIZES, dim=1):
        place = torch.arange(part.shape[1]) + shift[:, None]
        inside = (place >= 0) & (place < part.shape[1])
        moved = part.gather(1, place.clamp(0, part.shape[1] - 1))
        arms.append(torch.where(inside, moved, torch.zeros_like(moved)))
    return torch.cat(arms, dim=1)
