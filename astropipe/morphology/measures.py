"""Structural parameters of galaxies, the fast way: many stamps at once, hundreds a second on one core.

Definitions follow Lotz et al. (2004, AJ 128, 163), with statmorph (Rodriguez-Gomez et al. 2019) where they leave a
choice, so that numbers can be compared; `astropipe.morphology.statmorph_measures` gives those of statmorph itself.
Steps for each batch: centre of symmetry; masked pixels filled by their counterparts; growth curve in circles and
Petrosian radius; shape from moments; growth curve in ellipses and Sersic profile; Petrosian segment with Gini and M20;
asymmetry and smoothness; clumps. All errors are those of sky noise that is independent from pixel to pixel: noise that
is correlated, as after drizzling, makes them larger by the root of the summed correlation, and what is not known of a
galaxy (its neighbours, its profile, the level of the sky) is not in them. Nor is a bias: as in all codes, noise draws
Gini to 0.41, that of noise, raises M20, and lowers the asymmetry of galaxies that have one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.apertures import TOTAL_APERTURE, Ellipses, Profile, circles, petrosian_radius, profile
from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.gini_m20 import gini, m20, petrosian_segment, second_moments
from astropipe.morphology.measure_columns import (
    SNR_LIMIT,
    Measures,
    join_measures,
    measure_flags,
    no_measures,
    psf_fwhm_px,
)
from astropipe.morphology.multimode import multimode_intensity_deviation
from astropipe.morphology.sersic import fit_sersic
from astropipe.morphology.stamps import Stamps
from astropipe.morphology.symmetry import (
    asymmetry,
    box_transfer,
    find_centres,
    gaussian_transfer,
    smoothed,
    smoothness,
    transform,
    turned,
)

Array = NDArray[np.float64]
Images = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Few enough that the arrays of a batch stay in the cache.
_BATCH = 16
_SIGMA_OF_FWHM = 1.0 / np.sqrt(8.0 * np.log(2.0))
# Mean square of a pixel about its middle: once for cutting pixels at the edges of annuli, once for the pixels of the
# camera where no point spread function, which has them in it, is known.
_PIXEL = 1.0 / 12.0
_SEGMENT_SMOOTHING = 0.2
_CAS_SMOOTHING = 0.25
_SKY_BEYOND = 2.0


def measure(stamps: Stamps, *, snr_limit: float = SNR_LIMIT) -> Measures:
    """Measure the structural parameters of galaxies.

    Parameters
    ----------
    stamps : Stamps
        Images of 16 pixels or more, less the sky.
    snr_limit : float
        Galaxies of a smaller signal-to-noise ratio within the half-light radius are flagged FAINT.

    Returns
    -------
    Measures
        NaN and a flag where a stamp allows no measurement: EMPTY, or TRUNCATED where no Petrosian radius is found in
        the stamp; see `GalaxyFlag`. Errors and the signal-to-noise ratio are NaN where the noise is not known.
    """
    parts = [_measure_batch(stamps.rows(slice(at, at + _BATCH)), snr_limit) for at in range(0, len(stamps), _BATCH)]
    return join_measures(parts)


def _measure_batch(stamps: Stamps, snr_limit: float) -> Measures:
    finite = np.isfinite(stamps.images)
    valid = ~stamps.masks & finite
    images = np.where(valid, stamps.images, np.float32(0.0)).astype(np.float32, copy=False)
    highest = np.where(valid, images, -np.inf).max(axis=(1, 2))
    usable = highest > np.where(valid, images, np.inf).min(axis=(1, 2))
    result = no_measures(len(stamps))
    result.flags[~usable] = GalaxyFlag.EMPTY
    rows = np.flatnonzero(usable)
    if len(rows):
        # In units of the brightest pixel, so that no unit of flux is too small or too large.
        unit = np.abs(images[rows]).max(axis=(1, 2)).astype(np.float64)
        images = images[rows] / unit.astype(np.float32)[:, None, None]
        measured = _measure(images, valid[rows], stamps.rows(rows), unit, snr_limit)
        for name, values in measured.values.items():
            result.values[name][rows] = values
        result.flags[rows] = measured.flags
    return result


def _measure(images: Images, valid: Mask, stamps: Stamps, unit: Array, snr_limit: float) -> Measures:
    """Measure images that have something in them; `unit` is the flux that stands for 1 in them."""
    size = stamps.size
    known_noise = np.isfinite(stamps.sky_rms) & (stamps.sky_rms > 0.0)
    sky = np.where(known_noise, stamps.sky_rms, 0.0) / unit
    psf_px = psf_fwhm_px(stamps)
    psf_known = np.isfinite(psf_px)
    result = no_measures(len(images))
    values = result.values

    x, y = find_centres(transform(images), size)
    seen = images
    images, known, paired = _filled(seen, valid, x, y)
    if not valid.all():
        # What is masked pulls the centre away; once filled it does so less.
        x, y = find_centres(transform(images), size)
        images, known, paired = _filled(seen, valid, x, y)
    spectrum = transform(images)
    round_ = circles(x, y)
    dx, dy = round_.offsets(size)
    distance = round_.radii(dx, dy)
    growth = profile(images, valid, round_, distance)
    petrosian, petrosian_err = petrosian_radius(growth, sky)
    # Of a galaxy that is larger than its stamp what is inside is measured; it is flagged TRUNCATED.
    edge = np.maximum(np.minimum(np.minimum(x, y), np.minimum(size - 1 - x, size - 1 - y)), 1.0)
    radius = np.where(np.isnan(petrosian), edge, petrosian)
    _light_radii(values, growth, radius, petrosian_err, sky)

    major, minor, angle, ratio_err = second_moments(images, x, y, radius, sky)
    own = np.where(psf_known, (psf_px * _SIGMA_OF_FWHM) ** 2, _PIXEL)
    ratio = np.sqrt(np.maximum(minor**2 - own, 0.01 * minor**2) / np.maximum(major**2 - own, 0.01 * major**2))
    shape = Ellipses(x, y, np.clip(np.nan_to_num(ratio, nan=1.0), 0.1, 1.0), angle)
    radii = shape.radii(dx, dy)
    elliptical = profile(images, valid, shape, radii)
    major_petrosian, major_err = petrosian_radius(elliptical, sky)
    along = np.where(np.isnan(major_petrosian), radius / np.sqrt(shape.axis_ratio), major_petrosian)
    half = elliptical.radius_of(0.5 * elliptical.flux_within(TOTAL_APERTURE * along))
    sersic = fit_sersic(elliptical, shape.axis_ratio, np.sqrt(own + _PIXEL), sky, along, half)

    smooth = smoothed(spectrum, gaussian_transfer(_SEGMENT_SMOOTHING * along, size), size)
    segment = petrosian_segment(smooth, known, radii, along)
    # Noise also moves the Petrosian radius, and with it the edge of the segment.
    moved = petrosian_segment(smooth, known, radii, along + np.clip(np.nan_to_num(major_err), 0.0, 0.5 * along))
    for name, of in (("gini", gini), ("m20", m20)):
        values[name], noise = of(images, segment, sky)
        values[f"{name}_err"] = np.hypot(noise, of(images, moved, sky)[0] - values[name])

    at = radius.astype(np.float32)[:, None, None]
    aperture = distance <= TOTAL_APERTURE * at
    both = aperture & paired & _has_counterpart(x, y, size)
    turned_images = turned(spectrum, x, y, size)
    values["asymmetry"], values["asymmetry_err"] = asymmetry(images, turned_images, both, sky)
    width = np.maximum(2 * (_CAS_SMOOTHING * radius / 2.0).astype(np.int64) + 1, 3)
    boxed = smoothed(spectrum, box_transfer(width, size), size)
    ring = aperture & (distance >= np.float32(_CAS_SMOOTHING) * at) & known
    outside = (distance > np.float32(_SKY_BEYOND) * at) & valid
    values["smoothness"] = smoothness(images, boxed, ring, outside, width, sky)
    clumps = multimode_intensity_deviation(images, segment)
    values["multimode"], values["intensity"], values["deviation"] = clumps

    values["axis_ratio"], values["position_angle"] = (
        np.where(np.isnan(ratio), np.nan, shape.axis_ratio),
        np.degrees(angle) % 180.0,
    )
    values["sersic_index"], values["sersic_index_err"] = sersic.index, sersic.index_err
    # The mean radius r_e sqrt(q) is known better than the shape.
    grown = ratio_err * (minor**2 / np.maximum(minor**2 - own, 0.1 * minor**2))
    values["axis_ratio_err"] = shape.axis_ratio * grown
    values["r_e_pixels"], values["r_e_pixels_err"] = sersic.r_e, np.hypot(sersic.r_e_err, 0.5 * grown * sersic.r_e)
    dark = ~(values["flux"] > 0.0)
    for name in values:
        values[name] = np.where(dark, np.nan, values[name])
    values["petrosian_radius"], values["petrosian_radius_err"] = petrosian, petrosian_err
    values["x_centre"], values["y_centre"] = x, y
    values["flux"] *= unit
    for name in ("r_e", "r_e_err"):
        values[name] = values[name.replace("r_e", "r_e_pixels")] * stamps.pixel_scale_arcsec
    for name in ("snr", *(name for name in values if name.endswith("_err"))):
        values[name] = np.where(known_noise, values[name], np.nan)

    result.flags[:] = measure_flags(values, stamps, snr_limit)
    return result


def _light_radii(values: dict[str, Array], growth: Profile, petrosian: Array, petrosian_err: Array, sky: Array) -> None:
    """Fill in flux, signal-to-noise ratio, radii of shares of the flux, and concentration with its error.

    Sky noise changes the flux inside a radius, the total that the shares are of, and, through the Petrosian radius,
    the aperture of the total.
    """
    limit = TOTAL_APERTURE * petrosian
    flux = growth.flux_within(limit)
    r20, r50, r80 = (growth.radius_of(share * flux) for share in (0.2, 0.5, 0.8))
    values["flux"], values["r20"], values["r50"], values["r80"] = flux, r20, r50, r80
    noise = sky * np.sqrt(np.pi) * r50
    values["snr"] = 0.5 * flux / np.where(noise > 0.0, noise, np.nan)
    values["concentration"] = 5.0 * np.log10(r80 / r20)
    area = np.pi * limit**2
    gain20, gain80 = (1.0 / (r * np.where((s := growth.slope(r)) > 0.0, s, np.nan)) for r in (r20, r80))
    a20, a80 = np.pi * r20**2, np.pi * r80**2
    # Weights of the noise within r20, between r20 and r80, and beyond, in d ln(r80 / r20).
    inner = -0.2 * gain80 + 0.8 * gain20
    between = -0.2 * gain80 - 0.2 * gain20
    outer = 0.8 * gain80 - 0.2 * gain20
    variance = sky**2 * (inner**2 * a20 + between**2 * (a80 - a20) + outer**2 * (area - a80))
    variance += (outer * growth.slope(limit) * TOTAL_APERTURE * np.nan_to_num(petrosian_err)) ** 2
    values["concentration_err"] = 5.0 / np.log(10.0) * np.sqrt(variance)


def _filled(images: Images, valid: Mask, x: Array, y: Array) -> tuple[Images, Mask, Mask]:
    """Fill masked pixels by their counterparts on the other side of the centre.

    Returns
    -------
    images : ndarray, shape (n, size, size)
        0 where neither is known.
    known : ndarray of bool, shape (n, size, size)
        True where the pixel or its counterpart is known.
    paired : ndarray of bool, shape (n, size, size)
        True where the pixel and its counterpart are known.
    """
    size = images.shape[1]
    row, i, j = np.nonzero(~valid)
    if not len(row):
        return images, valid, valid
    twice_y, twice_x = np.rint(2.0 * y).astype(int)[row] - i, np.rint(2.0 * x).astype(int)[row] - j
    inside = (twice_y >= 0) & (twice_y < size) & (twice_x >= 0) & (twice_x < size)
    row, i, j, twice_y, twice_x = (each[inside] for each in (row, i, j, twice_y, twice_x))
    other = valid[row, twice_y, twice_x]
    filled, known, paired = images.copy(), valid.copy(), valid.copy()
    filled[row, i, j] = np.where(other, images[row, twice_y, twice_x], 0.0)
    known[row, i, j] = other
    paired[row, twice_y, twice_x] = False
    return filled, known, paired


def _has_counterpart(x: Array, y: Array, size: int) -> Mask:
    """Return which pixels have their counterpart inside the stamp; the Fourier shift takes others from the far side."""
    pixels = np.arange(size)
    columns, rows = ((np.abs(2.0 * centre[:, None] - pixels - (size - 1) / 2.0) <= size / 2.0) for centre in (x, y))
    return rows[:, :, None] & columns[:, None, :]
