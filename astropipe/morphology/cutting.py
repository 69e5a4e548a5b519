"""Stamps cut out of pictures: the galaxy in the middle, its neighbours masked, large ones averaged to larger pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import sep
from numpy.typing import NDArray
from scipy import ndimage

from astropipe.morphology.cut_options import CutOptions
from astropipe.morphology.detection import Image, Mask, clipped_rms
from astropipe.morphology.fields import Field, make_field, source_near
from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.resampling import overlap_matrix, reach_px, resampling_matrix
from astropipe.morphology.stamps import Stamps

# Light of a neighbour reaches beyond its isophote.
_NEIGHBOUR_GROWTH_PX = 2
# Sky pixels of a stamp from which its own standard deviation is known to a few percent.
_SKY_PIXELS = 1000
# SExtractor's windowed positions: a Gaussian whose FWHM is the half-light diameter.
_WINDOW = 2.0 / 2.3548
# A neighbour that covers this share of the pixels within two half-light radii crowds the galaxy.
_CROWDED_SHARE = 0.05
_LOST_SHARE = 0.05


@dataclass(frozen=True)
class Cut:
    """One galaxy as it was cut out; without a picture, what stands for it."""

    image: Image
    mask: Mask
    sky_rms: float
    factor: float
    flags: int
    x: float = math.nan
    y: float = math.nan
    known: dict[str, float] = field(default_factory=dict)
    """``ra``, ``dec``, and what a catalog gives, NaN where it has no value."""


def cut(place: Field, label: int, x: float, y: float, options: CutOptions) -> Cut:
    """Cut one galaxy out.

    Parameters
    ----------
    place : Field
        Where.
    label : int
        Source that is the galaxy; 0 if none was found, and the stamp is cut about (x, y) with the flag FAINT.
    x, y : float
        Where the galaxy is expected, from 0 at the centre of the first pixel.
    options : CutOptions
        Of which ``size`` and ``size_factor`` count.

    Returns
    -------
    Cut
        With the position at which the galaxy was found.
    """
    flags = GalaxyFlag(0)
    half_light, reach = 0.0, 0.0
    if label:
        x, y, half_light, reach = _position(place, label)
    else:
        flags |= GalaxyFlag.FAINT
    factor = max(1.0, 2.0 * max(options.size_factor * half_light, reach) / options.size)
    (top, bottom), (left, right) = (
        (max(0, round(centre) - needed), max(0, min(side, round(centre) + needed + 1)))
        for centre, side, needed in zip((y, x), place.shape, (reach_px(factor, options.size),) * 2, strict=True)
    )
    patch = slice(top, bottom), slice(left, right)
    lines = ((y, factor, options.size, top, bottom), (x, factor, options.size, left, right))
    weights = [resampling_matrix(*line) for line in lines]
    shares = [overlap_matrix(*line).astype(np.float32) for line in lines]

    def share(mask: Mask) -> NDArray[np.floating]:
        """Share of each new pixel that a mask of old ones covers."""
        return shares[0] @ mask.astype(np.float32) @ shares[1].T if mask.any() else np.zeros((options.size,) * 2)

    labels, damaged, outside = place.sources.labels[patch], place.damaged[patch], place.outside[patch]
    own = (labels == label) & (labels > 0)
    others = _grown((labels > 0) & ~own, _NEIGHBOUR_GROWTH_PX) & ~own
    absent = share(~outside) < 0.5
    broken = share(damaged) > 0.1
    other = share(others) > 0.5
    image = weights[0] @ _filled(place.image[patch], damaged) @ weights[1].T
    known = np.where(absent | broken, 0.0, image).astype(np.float32)
    mask = absent | broken | other
    own_share = share(own)
    if label:
        flags |= _flags(place, label, own_share * known, factor, damaged, outside, own)
        radius = np.hypot(*np.meshgrid(*(np.arange(options.size) - (options.size - 1) / 2,) * 2)) * factor
        if np.mean(other[radius <= max(2.0 * half_light, 2.0 * factor)]) > _CROWDED_SHARE:
            flags |= GalaxyFlag.CROWDED
    return Cut(known, mask, _sky_rms(place, known, mask | (own_share > 0), weights, x, y), factor, int(flags), x, y)


def blank(options: CutOptions, flags: int) -> Cut:
    """Return what stands for a galaxy of which there is no picture."""
    shape = (options.size, options.size)
    return Cut(np.zeros(shape, dtype=np.float32), np.ones(shape, dtype=bool), math.nan, 1.0, flags)


def cut_middle(values: Image, options: CutOptions, place: Field | None = None) -> Cut:
    """Cut the galaxy in the middle of a picture out.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns)
        The picture.
    options : CutOptions
        How.
    place : Field, optional
        The same, if it is at hand.

    Returns
    -------
    Cut
        Of the source at the middle, or nearest to it within a quarter of the smaller side.
    """
    place = place or make_field(values, options, mosaic=False)
    if place is None:
        return blank(options, int(GalaxyFlag.EMPTY))
    middle_y, middle_x = ((side - 1) / 2 for side in place.shape)
    quarter = min(place.shape) / 4
    found = cut(place, source_near(place.sources, middle_x, middle_y, quarter), middle_x, middle_y, options)
    if math.hypot(found.x - middle_x, found.y - middle_y) <= quarter / 2:
        return found
    return Cut(**{**vars(found), "flags": found.flags | int(GalaxyFlag.OFF_CENTRE)})


def stamps_of(
    cuts: Sequence[Cut],
    ids: Sequence[str],
    pixel_scale_arcsec: NDArray[np.float64],
    psf_fwhm_arcsec: NDArray[np.float64],
) -> Stamps:
    """Put galaxies together; pixel scales are those of the pictures."""
    factors = np.array([each.factor for each in cuts])
    columns = {name: np.array([getattr(each, name) for each in cuts]) for name in ("x", "y")}
    for name in dict.fromkeys(("ra", "dec", "mag", *(name for each in cuts for name in each.known))):
        columns[name] = np.array([each.known.get(name, math.nan) for each in cuts])
    return Stamps(
        ids=list(ids),
        images=np.stack([each.image for each in cuts]),
        masks=np.stack([each.mask for each in cuts]),
        sky_rms=np.array([each.sky_rms for each in cuts]),
        pixel_scale_arcsec=pixel_scale_arcsec * factors,
        psf_fwhm_arcsec=np.array(psf_fwhm_arcsec, dtype=np.float64),
        flags=np.array([each.flags for each in cuts], dtype=np.int64),
        columns=columns,
    )


def _position(place: Field, label: int) -> tuple[float, float, float, float]:
    """Return the flux-weighted centre of a source, its half-light radius and how far nearly all its light reaches.

    The centre is SExtractor's windowed position: the mean weighted with the flux and a Gaussian of the half-light size,
    which the noise at the outline does not move.
    """
    sources = place.sources
    box = sources.boxes[label - 1]
    rows, columns = np.nonzero(sources.labels[box] == label)
    rows, columns = rows + box[0].start, columns + box[1].start
    flux = np.maximum(place.image[rows, columns], 0.0)

    def radii(x: float, y: float) -> tuple[float, float]:
        distance = np.hypot(rows - y, columns - x)
        order = np.argsort(distance)
        light = np.cumsum(flux[order], dtype=np.float64)
        half, most = np.searchsorted(light, np.array([0.5, 0.95]) * light[-1])
        return float(distance[order[half]]) + 0.5, float(distance[order[most]]) + 0.5

    x, y = float(sources.x[label - 1]), float(sources.y[label - 1])
    half_light, reach = radii(x, y)
    needed = math.ceil(4.0 * _WINDOW * half_light) + 2
    patch = tuple(
        slice(max(0, round(centre) - needed), min(side, round(centre) + needed + 1))
        for centre, side in zip((y, x), place.shape, strict=True)
    )
    labels = sources.labels[patch]
    mask = ((labels > 0) & (labels != label)) | place.damaged[patch] | place.outside[patch]
    corner = patch[1].start, patch[0].start
    data = np.ascontiguousarray(place.image[patch])
    found = sep.winpos(data, x - corner[0], y - corner[1], _WINDOW * half_light, mask=mask)
    moved = float(found[0]) + corner[0], float(found[1]) + corner[1]
    if found[2] == 0 and math.hypot(moved[0] - x, moved[1] - y) <= half_light:
        x, y = moved
        half_light, reach = radii(x, y)
    return x, y, half_light, reach


def _flags(
    place: Field,
    label: int,
    light: NDArray[np.floating],
    factor: float,
    damaged: Mask,
    outside: Mask,
    own: Mask,
) -> GalaxyFlag:
    flags = GalaxyFlag(0)
    if np.any(_grown(own, 1) & damaged):
        flags |= GalaxyFlag.BAD_PIXELS
    area, flux = place.sources.area_px[label - 1], place.sources.flux[label - 1]
    # One pixel more than the source, to see what it borders on.
    box = tuple(slice(max(0, each.start - 1), each.stop + 1) for each in place.sources.boxes[label - 1])
    whole = place.sources.labels[box] == label
    edge = _grown(place.outside[box], 1)
    for axis, side in enumerate(place.shape):
        line = np.arange(side)[box[axis]]
        edge |= np.expand_dims((line == 0) | (line == side - 1), 1 - axis)
    touching = np.count_nonzero(whole & edge)
    lost = 1.0 - float(np.sum(light, dtype=np.float64)) * factor**2 / flux if flux > 0.0 else 0.0
    if touching >= max(3.0, 0.15 * math.sqrt(area)) or (lost > _LOST_SHARE and not flags):
        flags |= GalaxyFlag.TRUNCATED
    return flags


def _sky_rms(
    place: Field, image: Image, taken: Mask, weights: Sequence[NDArray[np.float64]], x: float, y: float
) -> float:
    """Return the standard deviation of the sky of a stamp, on its own pixels if there are enough."""
    row, column = (min(max(round(at), 0), side - 1) for at, side in zip((y, x), place.shape, strict=True))
    rms = float(place.sky.rms[row, column] if isinstance(place.sky.rms, np.ndarray) else place.sky.rms)
    # Of independent pixels the resampled ones have this share of the noise.
    expected = rms * math.sqrt(math.prod(float(np.max(np.sum(each**2, axis=1))) for each in weights))
    free = image[~taken]
    return max(clipped_rms(free), 0.1 * expected) if free.size >= _SKY_PIXELS else expected


def _filled(image: Image, damaged: Mask) -> Image:
    """Fill holes from their surroundings, so that resampling does not spread them."""
    if not damaged.any():
        return image
    good = (~damaged).astype(np.float32)
    near = ndimage.gaussian_filter(image * good, 2.0) / np.maximum(ndimage.gaussian_filter(good, 2.0), 1e-3)
    return np.where(damaged, near, image)


def _grown(mask: Mask, pixels: int) -> Mask:
    return np.asarray(ndimage.maximum_filter(mask, size=2 * pixels + 1))
