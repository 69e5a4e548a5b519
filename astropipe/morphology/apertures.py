"""Radial profiles and growth curves of many galaxies at once, and the radii that are read from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Images = NDArray[np.float32]

PETROSIAN_RATIO = 0.2
"""Brightness at the Petrosian radius over the mean inside (Petrosian 1976; Lotz et al. 2004)."""
TOTAL_APERTURE = 1.5
"""The total flux is that within this many Petrosian radii (Conselice 2003)."""

# Near the centre a pixel is wider than an annulus, so it is cut in parts of equal brightness.
_PARTS = 4
_CORE_PX = 6
_FINE_PX = 0.5
# Steps of the radius: 1/16 of the narrowest annulus.
_STEPS_IN_PX = np.float32(16 / _FINE_PX)
_GROWTH = 1.06
# Half-width of the annulus in which the brightness at a radius is measured, as a share of the radius.
_ANNULUS = 0.2


@dataclass(frozen=True)
class Ellipses:
    """Concentric ellipses around the centres of n galaxies.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        Centre in pixels.
    axis_ratio : ndarray, shape (n,)
        Minor over major axis.
    angle_rad : ndarray, shape (n,)
        Major axis from the x axis towards the y axis.
    """

    x: Array
    y: Array
    axis_ratio: Array
    angle_rad: Array

    def offsets(self, size: int) -> tuple[Images, Images]:
        """Return the distances of columns, shape (n, 1, size), and of rows, shape (n, size, 1), from the centres."""
        pixels = np.arange(size)
        dx, dy = pixels - self.x[:, None], pixels - self.y[:, None]
        return dx.astype(np.float32)[:, None, :], dy.astype(np.float32)[:, :, None]

    def radii(self, dx: Images, dy: Images) -> Images:
        """Return the major axis of the ellipse through each pixel, by its distances from the centre."""
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        steep = self.axis_ratio**-2
        xx, yy, xy = cos**2 + steep * sin**2, sin**2 + steep * cos**2, 2.0 * (1.0 - steep) * sin * cos
        a, b, c = (each.astype(np.float32)[:, None, None] for each in (xx, yy, xy))
        squared = (c * dx) * dy
        squared += a * dx**2 + b * dy**2
        np.maximum(squared, 0.0, out=squared)
        return np.sqrt(squared, out=squared)


def circles(x: Array, y: Array) -> Ellipses:
    """Return circles around centres."""
    return Ellipses(x, y, np.ones_like(x), np.zeros_like(x))


@dataclass(frozen=True)
class Profile:
    """Mean brightness in annuli of n galaxies.

    Attributes
    ----------
    edges : ndarray, shape (k + 1,)
        Radii between the annuli in pixels, along the major axis; the first is 0.
    brightness : ndarray, shape (n, k)
        Mean over the valid pixels; that of the next annulus inside where there is none, 0 outside the stamp.
    pixels : ndarray, shape (n, k)
        Number of valid pixels of each annulus.
    area : ndarray, shape (n, k)
        Area of each whole annulus in pixels.
    growth : ndarray, shape (n, k + 1)
        Flux within each edge, as if no pixel were masked.
    """

    edges: Array
    brightness: Array
    pixels: Array
    area: Array
    growth: Array

    def flux_within(self, radius: Array) -> Array:
        """Return the flux of each galaxy within a radius, both of shape (n,)."""
        inside = np.clip(np.searchsorted(self.edges, radius, side="right") - 1, 0, len(self.edges) - 2)
        low, high = self.edges[inside] ** 2, self.edges[inside + 1] ** 2
        share = np.clip((radius**2 - low) / (high - low), 0.0, 1.0)
        row = np.arange(len(radius))
        return self.growth[row, inside] * (1.0 - share) + self.growth[row, inside + 1] * share

    def radius_of(self, flux: Array) -> Array:
        """Return the smallest radius within which a galaxy has a flux; NaN if it is never reached."""
        reached = self.growth[:, 1:] >= flux[:, None]
        first = np.argmax(reached, axis=1)
        row = np.arange(len(flux))
        low, high = self.growth[row, first], self.growth[row, first + 1]
        share = (flux - low) / np.where(high > low, high - low, 1.0)
        squared = self.edges[first] ** 2 * (1.0 - share) + self.edges[first + 1] ** 2 * share
        known = reached.any(axis=1) & (flux > 0.0)
        return np.sqrt(np.where(known, squared, np.nan))

    def slope(self, radius: Array) -> Array:
        """Return dF/dr of the growth curve at a radius, over the annulus of 0.9 to 1.1 of it, at least 1 pixel wide."""
        half = np.maximum(_ANNULUS * radius, 0.5)
        return (self.flux_within(radius + half) - self.flux_within(np.maximum(radius - half, 0.0))) / (2.0 * half)


@cache
def annulus_edges(size: int) -> Array:
    """Return the edges of the annuli: half a pixel wide near the centre, then 6 % of the radius, out to the corners."""
    fine = np.arange(0.0, _CORE_PX + _FINE_PX / 2, _FINE_PX)
    ratio = np.log(max(size / np.sqrt(2.0), 2.0 * _CORE_PX) / _CORE_PX)
    steps = int(np.ceil(ratio / np.log(_GROWTH)))
    return np.concatenate([fine, _CORE_PX * np.exp(ratio * np.arange(1, steps + 1) / steps)])


def profile(images: Images, valid: NDArray[np.bool_], ellipses: Ellipses, radii: Images) -> Profile:
    """Measure the mean brightness in annuli.

    Parameters
    ----------
    images : ndarray, shape (n, size, size)
    valid : ndarray of bool, shape (n, size, size)
        Pixels to be used.
    ellipses : Ellipses
        Shape of the annuli.
    radii : ndarray, shape (n, size, size)
        What `Ellipses.radii` gives for all pixels.
    """
    n, size, _ = images.shape
    edges = annulus_edges(size)
    count = len(edges) - 1
    row = np.arange(n, dtype=np.int32)[:, None, None]
    # Pixels near the centre, in parts.
    reach = min(_CORE_PX, (size - 1) // 2)
    middle_x, middle_y = (
        np.clip(np.rint(each).astype(int), reach, size - 1 - reach) for each in (ellipses.x, ellipses.y)
    )
    window = np.arange(-reach, reach + 1)
    ys, xs = (middle_y[:, None] + window)[:, :, None], (middle_x[:, None] + window)[:, None, :]
    parts = (np.arange(_PARTS) - (_PARTS - 1) / 2) / _PARTS
    fine_x, fine_y = (
        ((middle[:, None] + window - centre[:, None])[:, :, None] + parts).reshape(n, -1).astype(np.float32)
        for middle, centre in ((middle_x, ellipses.x), (middle_y, ellipses.y))
    )
    fine_radii = ellipses.radii(fine_x[:, None, :], fine_y[:, :, None])

    def in_parts(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.repeat(np.repeat(pixels, _PARTS, axis=1), _PARTS, axis=2)

    used = in_parts(valid[row, ys, xs].astype(np.float32) / _PARTS**2)
    values = in_parts(images[row, ys, xs]) * used
    table = _annulus_table(size)
    # What lies outside of all goes to a last, unused annulus.
    place = table[np.minimum((fine_radii * _STEPS_IN_PX).astype(np.int32), len(table) - 1)] + row * (count + 1)
    filled = np.bincount(place.ravel(), used.ravel(), minlength=n * (count + 1)).reshape(n, count + 1)
    sums = np.bincount(place.ravel(), values.ravel(), minlength=n * (count + 1)).reshape(n, count + 1)
    # All other pixels, whole.
    others = valid.copy()
    others[row, ys, xs] = False
    whole = np.zeros((2, n, count + 1))
    _add_up(images, others, radii, table, *whole)
    filled += whole[0]
    sums += whole[1]
    pixels, sums = filled[:, :count].astype(np.float64), sums[:, :count]
    known = pixels > 0.0
    brightness = sums / np.where(known, pixels, 1.0)
    # An annulus without a valid pixel has the brightness of the one inside.
    last = np.maximum.accumulate(np.where(known, np.arange(count), 0), axis=1)
    beyond = np.arange(count) > (count - 1 - np.argmax(known[:, ::-1], axis=1))[:, None]
    brightness = np.where(beyond, 0.0, np.take_along_axis(brightness, last, axis=1))
    area = np.pi * np.diff(edges**2) * ellipses.axis_ratio[:, None]
    growth = np.concatenate([np.zeros((n, 1)), np.cumsum(brightness * area, axis=1)], axis=1)
    return Profile(edges, brightness, pixels, area, growth)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_up(
    images: Images,
    used: NDArray[np.bool_],
    radii: Images,
    table: NDArray[np.int32],
    count: Array,
    sums: Array,
) -> None:
    """Count the pixels of each annulus, and sum their brightness."""
    n, rows, columns = images.shape
    for i in range(n):
        for y in range(rows):
            for x in range(columns):
                if used[i, y, x]:
                    place = table[min(int(radii[i, y, x] * _STEPS_IN_PX), len(table) - 1)]
                    count[i, place] += 1.0
                    sums[i, place] += images[i, y, x]


@cache
def _annulus_table(size: int) -> NDArray[np.int32]:
    """Return the number of the annulus by steps of the radius; the number of annuli where it lies outside of all.

    A table by fine steps is several times faster than a search in the edges, and as good.
    """
    edges = annulus_edges(size)
    middles = (np.arange(int(np.ceil(edges[-1] * _STEPS_IN_PX)) + 2) + 0.5) / _STEPS_IN_PX
    return (np.searchsorted(edges, middles, side="right") - 1).astype(np.int32)


def petrosian_radius(profile: Profile, sky_rms: Array) -> tuple[Array, Array]:
    """Return the Petrosian radius, where the brightness first falls below 0.2 of the mean inside, and its error.

    The brightness at a radius is the mean between 0.9 and 1.1 of it, which follows noise less than a thin annulus.

    Parameters
    ----------
    profile : Profile
    sky_rms : ndarray, shape (n,)
        Of a pixel; 0 if unknown.

    Returns
    -------
    radius, error : ndarray, shape (n,)
        In pixels; NaN where the brightness falls so low nowhere, or the light inside is not positive. The error is that
        of sky noise.
    """
    radii = profile.edges[2:]
    brightness = profile.growth @ _ring_weights(tuple(profile.edges)).T
    # Of ellipses both lack the axis ratio, which the comparison does not need.
    inside = profile.growth[:, 2:] / (np.pi * radii**2)
    excess = brightness - PETROSIAN_RATIO * inside
    below = (excess < 0.0) & (radii * (1.0 + _ANNULUS) <= profile.edges[-1])
    first = np.argmax(below, axis=1)
    row = np.arange(len(excess))
    before = np.maximum(first - 1, 0)
    high, low = excess[row, before], excess[row, first]
    share = np.where(first > 0, high / np.where(high > low, high - low, 1.0), 1.0)
    radius = radii[before] * (1.0 - share) + radii[first] * share
    found = below.any(axis=1) & (inside[row, first] > 0.0)
    # The slope of the ratio over 0.8 to 1.25 of the radius: between two neighbours it is mostly noise.
    near = np.clip(np.searchsorted(radii, np.nan_to_num(radius)[:, None] * np.array([0.8, 1.25])), 0, len(radii) - 1)
    ratio = brightness / np.where(inside > 0.0, inside, np.nan)
    fall = ratio[row, near[:, 0]] - ratio[row, near[:, 1]]
    slope = fall / np.maximum(radii[near[:, 1]] - radii[near[:, 0]], _FINE_PX)
    radius = np.where(found, radius, np.nan)
    # The first area is pi q times the square of the first edge.
    ring = profile.area[:, 0] / profile.edges[1] ** 2 * radius * np.maximum(4.0 * _ANNULUS * radius, 4.0 * _FINE_PX)
    mean = np.where(found, inside[row, first], np.nan) * np.pi / (profile.area[:, 0] / profile.edges[1] ** 2)
    error = sky_rms / np.sqrt(ring) / np.where(slope > 0.0, slope * mean, np.nan)
    return radius, np.where(found, error, np.nan)


@cache
def _ring_weights(edges: tuple[float, ...]) -> Array:
    """Return the matrix that takes a growth curve to the mean brightness of circles around each edge but the first."""
    at, radii = np.array(edges), np.array(edges[2:])
    half = np.maximum(_ANNULUS * radii, _FINE_PX)
    high, low = np.minimum(radii + half, at[-1]), radii - half
    unit = np.eye(len(at))
    interpolate = [np.array([np.interp(r**2, at**2, row) for row in unit]) for r in (high, low)]
    return ((interpolate[0] - interpolate[1]) / (np.pi * (high**2 - low**2))).T
