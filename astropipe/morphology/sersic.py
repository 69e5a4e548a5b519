"""Sersic profiles seen through a point spread function, and their fit to the radial profiles of many galaxies at once.

The convolved profile of a round galaxy depends on three numbers only: the index n, the radius in units of the effective
radius r_e, and the width of the point spread function in the same unit. A table of it is made once, by numerical
convolution, and read by interpolation. A galaxy of axis ratio q, stretched until it is round, is seen through a point
spread function stretched by 1 / q; the table is read at the Gaussian width with the same mean square,
sigma^2 (1 + 1 / q^2) / 2, which is exact to second order in sigma / r_e.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ive

from astropipe.morphology.apertures import Profile

Array = NDArray[np.float64]

INDEX_RANGE = (0.3, 8.0)
"""Indices n that are fitted; a fit that ends at one of them is not told."""

_INDICES = np.geomspace(*INDEX_RANGE, 24)
_RADII = np.geomspace(0.01, 30.0, 90)
# Widths in units of r_e; from 0 to the first the profile changes with the square of the width.
_WIDTHS = np.concatenate([[0.0], np.geomspace(0.04, 4.0, 24)])
# A model can be no better than this share of the brightness: galaxies are not Sersic profiles.
_FLOOR = 0.03
_ITERATIONS = 15
_CONVERGED = 1e-3
_REACH = 2.0
# Points of Gauss-Legendre quadrature over the area of an annulus.
_NODES = 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3.0)


@dataclass(frozen=True)
class SersicFit:
    """Effective radius in pixels along the major axis and index with their errors, each of shape (n,); NaN if none."""

    r_e: Array
    r_e_err: Array
    index: Array
    index_err: Array


def sersic_b(index: Array) -> Array:
    """Return b_n, with which half the light is within r_e (Ciotti & Bertin 1999, eq. 1)."""
    return gammaincinv(2.0 * np.asarray(index), 0.5)


@cache
def _table() -> NDArray[np.float32]:
    """Return ln of the brightness over that at r_e without blurring: shape (indices, widths, radii)."""
    b = sersic_b(_INDICES)[:, None]
    table = np.empty((len(_INDICES), len(_WIDTHS), len(_RADII)))
    table[:, 0] = -b * (_RADII ** (1.0 / _INDICES[:, None]) - 1.0)
    # Within a width of the centre the profile of a high index is steep, so the integral goes over ln r.
    inner = np.geomspace(1e-6, 0.03, 150)[:-1]
    outer = np.geomspace(0.03, 60.0, 1500)
    r = np.concatenate([inner, outer])
    weight = np.gradient(np.log(r)) * r**2
    light = np.exp(-b * (r ** (1.0 / _INDICES[:, None]) - 1.0)) * weight
    for i, width in enumerate(_WIDTHS[1:], start=1):
        # A round source through a round Gaussian: int I(s) exp(-(r^2 + s^2) / 2 w^2) I0(r s / w^2) s ds / w^2.
        kernel = np.exp(-((_RADII[:, None] - r) ** 2) / (2.0 * width**2)) * ive(0, _RADII[:, None] * r / width**2)
        norm = (kernel * weight).sum(axis=1) / width**2
        inside = _RADII < 10.0
        table[:, i] = np.log(np.maximum(light @ kernel.T / width**2, 1e-300))
        table[:, i, inside] -= np.log(norm[inside])
    return np.maximum(table, -60.0).astype(np.float32)


@cache
def _tables() -> tuple[NDArray[np.float32], tuple[Array, Array, Array]]:
    """Return the table with its derivatives by the logs of index and radius, and by the squared width; and its axes."""
    table = _table()
    axes = (np.log(_INDICES), _widths_axis(_WIDTHS), np.log(_RADII))
    slopes = np.gradient(table, *axes)
    return np.stack([table, *slopes], axis=-1).astype(np.float32), axes


def _widths_axis(width: Array) -> Array:
    """Return a coordinate in which the profile is smooth: the squared width where small, its log where large."""
    return np.log1p((width / 0.2) ** 2)


def _widths_slope(width: Array) -> Array:
    """Return the derivative of that coordinate by the log of the width."""
    return 2.0 * width**2 / (0.04 + width**2)


def blurred(index: Array, width: Array, radius: Array) -> Array:
    """Return ln brightness and its derivatives by ln n, the coordinate of the width, and ln r: shape (..., 4).

    Parameters
    ----------
    index, width, radius : ndarray, of shapes that broadcast
        n; width of the Gaussian and radius in units of the effective radius.
    """
    tables, axes = _tables()
    points = (np.log(index), _widths_axis(width), np.log(np.maximum(radius, _RADII[0])))
    total: Array | None = None
    corners = []
    for axis, point in zip(axes, points, strict=True):
        low = np.clip(np.searchsorted(axis, point) - 1, 0, len(axis) - 2)
        share = np.clip((point - axis[low]) / (axis[low + 1] - axis[low]), 0.0, 1.0)
        corners.append(((low, 1.0 - share), (low + 1, share)))
    for i, in_index in corners[0]:
        for j, in_width in corners[1]:
            for k, in_radius in corners[2]:
                part = (in_index * in_width * in_radius)[..., None] * tables[i, j, k]
                total = part if total is None else total + part
    assert total is not None
    return total


def fit_sersic(
    profile: Profile, axis_ratio: Array, sigma_px: Array, sky_rms: Array, petrosian_px: Array, r50_px: Array
) -> SersicFit:
    """Fit Sersic profiles to radial profiles in elliptical annuli, out to two Petrosian radii.

    Least squares by damped Gauss-Newton steps in ln r_e and ln n, the brightness being solved for at each step. The
    weights are those of sky noise and of 3 % of the brightness, so that the centre alone does not decide. The errors
    are those of the noise, through the weights that were used.

    Parameters
    ----------
    profile : Profile
        In ellipses of the axis ratio.
    axis_ratio : ndarray, shape (n,)
    sigma_px : ndarray, shape (n,)
        Width of the point spread function with that of the pixels.
    sky_rms : ndarray, shape (n,)
        Of a pixel; 0 if unknown.
    petrosian_px, r50_px : ndarray, shape (n,)
        Along the major axis: the reach of the fit and the start of r_e.

    Returns
    -------
    SersicFit
        NaN where there is no light, or the fit ends at the limits of n.
    """
    most = 1 + int(np.searchsorted(profile.edges, _REACH * np.nanmax(petrosian_px, initial=1.0)))
    edges, brightness = profile.edges[: most + 1], profile.brightness[:, :most]
    pixels, area = profile.pixels[:, :most], profile.area[:, :most]
    nodes = np.sqrt(edges[:-1, None] ** 2 + _NODES * (edges[1:, None] ** 2 - edges[:-1, None] ** 2))
    used = (pixels > 0.3 * area) & (edges[:-1] < _REACH * petrosian_px[:, None])
    known = np.isfinite(petrosian_px) & np.isfinite(r50_px) & (used.sum(axis=1) > 4)
    used &= known[:, None]
    # Less than a pixel of noise is the rounding of the images.
    noise = np.where(used, sky_rms[:, None] ** 2 / np.where(used, pixels, 1.0), 1.0)
    size = np.abs(brightness)
    tiny = 1e-12 * np.maximum(size.max(axis=1, keepdims=True), 1e-30) ** 2
    weight = np.where(used, 1.0 / (noise + (_FLOOR * size) ** 2 + tiny), 0.0)
    blur = sigma_px * np.sqrt((1.0 + axis_ratio**-2) / 2.0)

    start = np.sqrt(np.maximum(r50_px**2 - blur**2, 0.1 * r50_px**2))
    state = np.stack([np.log(np.where(known, start, 1.0)), np.full(len(blur), np.log(1.5))], axis=1)
    lowest, highest = np.log(INDEX_RANGE[0]), np.log(INDEX_RANGE[1])
    state_range = np.array([[np.log(0.05), lowest], [np.log(4.0 * profile.edges[-1]), highest]])
    damping = np.full(len(blur), 1e-2)
    model, jacobian = _model(state, nodes, blur)
    cost, amplitude = _cost(model, brightness, weight)
    for _ in range(_ITERATIONS):
        step_normal, slope = _normal(model, jacobian, amplitude, brightness, weight)
        step_normal = step_normal + damping[:, None, None] * _diagonal(step_normal)
        step = np.clip(np.linalg.solve(step_normal, slope[:, :, None])[:, :, 0], -0.7, 0.7)
        trial = np.clip(state + step, *state_range)
        trial_model, trial_jacobian = _model(trial, nodes, blur)
        trial_cost, trial_amplitude = _cost(trial_model, brightness, weight)
        better = trial_cost < cost
        state = np.where(better[:, None], trial, state)
        model = np.where(better[:, None], trial_model, model)
        jacobian = np.where(better[:, None, None], trial_jacobian, jacobian)
        cost, amplitude = np.where(better, trial_cost, cost), np.where(better, trial_amplitude, amplitude)
        damping = np.clip(np.where(better, damping / 5.0, damping * 5.0), 1e-6, 1e6)
        if not np.any(known & better & (np.abs(step).max(axis=1) > _CONVERGED)):
            break
    error = _errors(model, jacobian, amplitude, weight, np.where(used, noise, 0.0))
    known &= (amplitude > 0.0) & (state[:, 1] > lowest + 1e-3) & (state[:, 1] < highest - 1e-3)
    value = np.where(known[:, None], np.exp(state), np.nan)
    return SersicFit(value[:, 0], value[:, 0] * error[:, 0], value[:, 1], value[:, 1] * error[:, 1])


def _model(state: Array, nodes: Array, blur: Array) -> tuple[Array, Array]:
    """Return the brightness in annuli for amplitude 1, shape (n, k), and its derivatives by the state, (n, k, 2)."""
    r_e, index = np.exp(state).T
    width = np.minimum(blur / r_e, _WIDTHS[-1])
    values = blurred(index[:, None, None], width[:, None, None], nodes / r_e[:, None, None])
    light = np.exp(values[..., 0])
    by_r_e = -light * (values[..., 2] * _widths_slope(width)[:, None, None] + values[..., 3])
    by_index = light * values[..., 1]
    return light.mean(axis=2), np.stack([by_r_e.mean(axis=2), by_index.mean(axis=2)], axis=2)


def _cost(model: Array, brightness: Array, weight: Array) -> tuple[Array, Array]:
    """Return the weighted sum of squares at the best amplitude, and that amplitude."""
    norm = np.einsum("nk,nk,nk->n", weight, model, model)
    amplitude = np.einsum("nk,nk,nk->n", weight, model, brightness) / np.where(norm > 0.0, norm, 1.0)
    rest = brightness - amplitude[:, None] * model
    return np.einsum("nk,nk,nk->n", weight, rest, rest), amplitude


def _normal(model: Array, jacobian: Array, amplitude: Array, brightness: Array, weight: Array) -> tuple[Array, Array]:
    """Return the normal matrix and the right side of a step, with the amplitude projected out."""
    across = _across(model, jacobian, weight) * amplitude[:, None, None]
    rest = brightness - amplitude[:, None] * model
    normal = np.einsum("nk,nki,nkj->nij", weight, across, across)
    return normal + 1e-30 * np.eye(2), np.einsum("nk,nki,nk->ni", weight, across, rest)


def _across(model: Array, jacobian: Array, weight: Array) -> Array:
    """Return the part of the derivatives that a change of amplitude cannot make up for."""
    norm = np.einsum("nk,nk,nk->n", weight, model, model)
    along = np.einsum("nk,nk,nki->ni", weight, model, jacobian) / np.where(norm > 0.0, norm, 1.0)[:, None]
    return jacobian - model[:, :, None] * along[:, None, :]


def _diagonal(matrix: Array) -> Array:
    return matrix * np.eye(matrix.shape[-1])


def _errors(model: Array, jacobian: Array, amplitude: Array, weight: Array, noise: Array) -> Array:
    """Return standard errors of the state: noise through the weights that were used, H^-1 (J' W N W J) H^-1."""
    across = _across(model, jacobian, weight) * amplitude[:, None, None]
    normal = np.einsum("nk,nki,nkj->nij", weight, across, across)
    spread = np.einsum("nk,nki,nkj->nij", weight**2 * noise, across, across)
    inverse = np.linalg.pinv(normal, hermitian=True)
    return np.sqrt(np.maximum(np.einsum("nij,njk,nki->ni", inverse, spread, inverse), 0.0))
