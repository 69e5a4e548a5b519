"""Parts of galaxies as brightness on a grid of pixels: pure functions of coordinates, vectorised, without a library.

All lengths are in pixels. Brightness is in any unit: whoever adds parts gives each its share of the light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, k1

Grid = NDArray[np.float32]

# Radii are softened by so much, in pixels or parts of them, where a profile would have a pole.
_CORE_PX = 0.35
# Cusps are integrated over the pixels about the centre: half the width of a block, and parts of each pixel in a row.
_REFINED = ((8, 4), (2, 24))


@dataclass(frozen=True)
class Plane:
    """Coordinates in the plane of a disk or of an ellipse, seen at an angle.

    Attributes
    ----------
    x, y : ndarray of float32, shape (size, size)
        Coordinates along the major axis, and across it divided by the axis ratio.
    radius, angle : ndarray of float32, shape (size, size)
        The same in polar coordinates; the angle in radians.
    axis_ratio : float
        Of the ellipses of equal radius.
    turn, x0, y0, boxiness : float
        See `plane`.
    """

    x: Grid
    y: Grid
    radius: Grid
    angle: Grid
    axis_ratio: float
    turn: float = 0.0
    x0: float = 0.0
    y0: float = 0.0
    boxiness: float = 0.0


def plane(
    size: int, *, axis_ratio: float = 1.0, turn: float = 0.0, x0: float = 0.0, y0: float = 0.0, boxiness: float = 0.0
) -> Plane:
    """Return coordinates about a point near the centre of a square of pixels.

    Parameters
    ----------
    size : int
        Rows and columns.
    axis_ratio : float
        Minor over major axis.
    turn : float
        Angle of the major axis from the columns' axis, in radians.
    x0, y0 : float
        The point, from the centre of the square.
    boxiness : float
        0 for ellipses; above, boxy, and below, disky ones (exponent 2 + boxiness).
    """
    axis = np.arange(size, dtype=np.float32) - (size - 1) / 2
    x, y = _along(axis - np.float32(x0), axis - np.float32(y0), axis_ratio, turn)
    radius = _radius(x, y, boxiness, _CORE_PX)
    return Plane(x, y, radius, np.arctan2(y, x), axis_ratio, turn, x0, y0, boxiness)


def _along(columns: Grid, rows: Grid, axis_ratio: float, turn: float) -> tuple[Grid, Grid]:
    """Return coordinates along the major axis, and across it divided by the axis ratio."""
    dx, dy = columns[None, :], rows[:, None]
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    across = (dy * cos - dx * sin) / np.float32(axis_ratio)
    return dx * cos + dy * sin, np.asarray(across, dtype=np.float32)


def _radius(x: Grid, y: Grid, boxiness: float, core_px: float) -> Grid:
    if not boxiness:
        return np.sqrt(x * x + y * y + np.float32(core_px**2))
    power = np.float32(2.0 + boxiness)
    total = np.abs(x) ** power + np.abs(y) ** power + np.float32(core_px) ** power
    return np.asarray(total ** (1 / power), dtype=np.float32)


def sersic(where: Plane, n: float, r_e: float) -> Grid:
    """Return a profile of Sersic (1963), with b_n of Ciotti & Bertin (1999, eq. 18), one at `r_e`."""
    b = 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2)

    def profile(radius: Grid) -> Grid:
        # Real spheroids have no light far out that a stamp would show as a pedestal: cut smoothly at 8 radii.
        ratio = radius / np.float32(r_e)
        return np.exp(-np.float32(b) * (ratio ** np.float32(1 / n) - 1) - (ratio / 8) ** 4)

    return _integrated(profile(where.radius), where, profile)


def _integrated(image: Grid, where: Plane, profile: Callable[[Grid], Grid]) -> Grid:
    """Replace the pixels about the centre of a profile by its means over them, in place."""
    size = len(image)
    for half, times in _REFINED:
        columns, rows = (_block(centre, half, size) for centre in (where.x0, where.y0))
        if not (len(columns) and len(rows)):
            continue
        parts_x, parts_y = (
            ((np.arange(len(block) * times) + 0.5) / times + block.start - size / 2 - centre).astype(np.float32)
            for block, centre in ((columns, where.x0), (rows, where.y0))
        )
        x, y = _along(parts_x, parts_y, where.axis_ratio, where.turn)
        values = profile(_radius(x, y, where.boxiness, _CORE_PX / times))
        means = values.reshape(len(rows), times, len(columns), times).mean(axis=(1, 3))
        image[rows.start : rows.stop, columns.start : columns.stop] = means
    return image


def _block(centre: float, half: int, size: int) -> range:
    """Return the pixels within `half` of a coordinate."""
    first = round(centre + size / 2) - half
    return range(max(first, 0), min(first + 2 * half, size))


def exponential(where: Plane, scale: float, truncation: float = 5.0) -> Grid:
    """Return an exponential disk, one at the centre, that ends smoothly at `truncation` scale lengths."""
    ratio = where.radius / np.float32(scale)
    return np.exp(-ratio - (ratio / np.float32(truncation)) ** 6).astype(np.float32)


def edge_on(where: Plane, scale: float, height: float) -> Grid:
    """Return an exponential disk from the edge: (R/h) K1(R/h) sech^2(z/z0), van der Kruit & Searle (1981, eq. 5)."""
    ratio = np.maximum(np.abs(where.x) / np.float32(scale), 0.02)
    z = np.clip(where.y * where.axis_ratio / np.float32(height), -20, 20)
    return (ratio * k1(ratio) * np.exp(-((ratio / 4.5) ** 6)) / np.cosh(z) ** 2).astype(np.float32)


def arms(
    where: Plane, rng: np.random.Generator, *, n_arms: int, pitch_rad: float, width: float, start: float, fading: float
) -> Grid:
    """Return the density of logarithmic spiral arms, 0 between them and about 1 on them.

    Parameters
    ----------
    where : Plane
        Coordinates in the plane of the disk.
    rng : numpy.random.Generator
        Chooses where the arms begin, how unequal they are and how they waver.
    n_arms : int
        Number of arms.
    pitch_rad : float
        Pitch angle: phi = ln(R) / tan(pitch).
    width : float
        Half-width of an arm as a share of the distance between arms, at one standard deviation.
    start : float
        Radius inside which there is no arm.
    fading : float
        Radius at which arms end.
    """
    log_r = np.log(where.radius / np.float32(start))
    wavering = sum(rng.normal(0, 0.16 / k) * np.cos(k * 1.3 * log_r + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3))
    phase = n_arms * (where.angle - log_r / np.tan(pitch_rad) + wavering) + rng.uniform(0, 2 * np.pi)
    turn = phase / (2 * np.pi)
    distance = turn - np.round(turn)
    # Each arm has a strength of its own; the index of an arm follows from the whole turns of the phase.
    strengths = np.clip(rng.normal(1.0, 0.22, n_arms), 0.3, 1.6).astype(np.float32)
    index = np.mod(np.round(turn).astype(np.int64), n_arms)
    ridge = np.exp(-0.5 * (distance / width) ** 2) * strengths[index]
    taper = expit((where.radius - start) / (0.15 * start + 0.5))
    end = expit((fading - where.radius) / (0.1 * fading + 0.5))
    return (ridge * taper * end).astype(np.float32)


def flocculence(where: Plane, rng: np.random.Generator, *, pitch_rad: float, n_waves: int = 24) -> Grid:
    """Return a texture of short spiral pieces, a sum of random spiral waves, of mean 0 and deviation about 1."""
    log_r = np.log(where.radius + 1.0)
    field = np.zeros_like(log_r)
    for _ in range(n_waves):
        m = int(rng.integers(2, 11))
        k = m / np.tan(pitch_rad * rng.uniform(0.6, 1.8)) * rng.choice([1.0, 1.0, 1.0, -0.4])
        field += np.cos(m * where.angle - np.float32(k) * log_r + np.float32(rng.uniform(0, 2 * np.pi)))
    return (field * np.sqrt(2 / n_waves)).astype(np.float32)


def bar(where: Plane, rng: np.random.Generator, *, length: float, axis_ratio: float, turn: float) -> Grid:
    """Return a bar: flat along its axis with soft ends, Gaussian across, one at its centre."""
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = where.x * cos + where.y * sin, where.y * cos - where.x * sin
    sharpness = np.float32(rng.uniform(2.0, 5.0))
    end = np.exp(-((np.abs(along) / np.float32(length)) ** sharpness))
    return (end * np.exp(-0.5 * (across / np.float32(length * axis_ratio)) ** 2)).astype(np.float32)


def ring(where: Plane, *, radius: float, width: float) -> Grid:
    """Return a ring with a Gaussian profile, one on its ridge."""
    return np.exp(-0.5 * ((where.radius - np.float32(radius)) / np.float32(width)) ** 2).astype(np.float32)


def blob(size: int, x: float, y: float, sigma: float, axis_ratio: float = 1.0, turn: float = 0.0) -> Grid:
    """Return a Gaussian of unit flux."""
    where = plane(size, axis_ratio=axis_ratio, turn=turn, x0=x, y0=y)
    return np.exp(-0.5 * (where.radius / np.float32(sigma)) ** 2) / np.float32(2 * np.pi * sigma**2 * axis_ratio)


def add_spots(
    image: Grid,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    sigma: NDArray[np.floating],
    flux: NDArray[np.floating],
) -> None:
    """Add small round Gaussians to an image in place, each drawn only where it is bright.

    Parameters
    ----------
    image : ndarray of float32, shape (size, size)
        Changed.
    x, y : ndarray, shape (n,)
        Places from the centre of the image.
    sigma, flux : ndarray, shape (n,)
        Standard deviations and fluxes.
    """
    size = image.shape[0]
    middle = (size - 1) / 2
    for cx, cy, s, f in zip(x + middle, y + middle, sigma, flux, strict=True):
        reach = 4 * s + 1
        c0, c1 = max(0, int(cx - reach)), min(size, int(cx + reach) + 2)
        r0, r1 = max(0, int(cy - reach)), min(size, int(cy + reach) + 2)
        if c0 >= c1 or r0 >= r1:
            continue
        ex = np.exp(-0.5 * ((np.arange(c0, c1) - cx) / s) ** 2)
        ey = np.exp(-0.5 * ((np.arange(r0, r1) - cy) / s) ** 2)
        image[r0:r1, c0:c1] += (f / (2 * np.pi * s * s) * ey[:, None] * ex[None, :]).astype(np.float32)


def tail(
    size: int, rng: np.random.Generator, *, x: float, y: float, length: float, width: float, turn: float, bend: float
) -> Grid:
    """Return a tidal tail of unit flux: a bent line of light that widens and fades outwards.

    Parameters
    ----------
    size : int
        Rows and columns.
    rng : numpy.random.Generator
        Makes it uneven.
    x, y : float
        Where it begins, from the centre.
    length, width : float
        Its length, and the standard deviation of its profile at the beginning.
    turn, bend : float
        Direction at the beginning, and by how much it turns until its end, in radians.
    """
    n = 40
    t = np.linspace(0.0, 1.0, n)
    direction = turn + bend * t
    px, py = x + np.cumsum(np.cos(direction)) * length / n, y + np.cumsum(np.sin(direction)) * length / n
    light = np.exp(-1.5 * t) * np.clip(rng.normal(1.0, 0.25, n), 0.1, None)
    image = np.zeros((size, size), dtype=np.float32)
    add_spots(image, px, py, width * (1 + 1.2 * t), light / light.sum())
    return image


def roughness(size: int, rng: np.random.Generator, *, slope: float, cutoff_px: float) -> Grid:
    """Return a Gaussian random field of unit variance whose power falls as k^-slope, smooth below `cutoff_px`."""
    k = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    k[0, 0] = 1.0
    amplitude = np.maximum(k, 0.6 / size) ** (-slope / 2) * np.exp(-0.5 * (k * cutoff_px) ** 2)
    amplitude[0, 0] = 0.0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * amplitude, s=(size, size))
    return (field / field.std()).astype(np.float32)
