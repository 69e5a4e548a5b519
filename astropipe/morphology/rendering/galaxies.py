"""Galaxies of each class, put together from their parts, with the truth about each.

The classes are those of Fang et al. (2025): spheroids (SPH) are one smooth Sersic profile; early-type disks (ETD) a
bulge in a smooth disk; late-type disks (LTD) a disk with arms, bars, rings and knots, or seen from its edge; irregulars
(IRR) uneven, off their centre, or merging.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from astropipe.morphology.rendering import components as parts
from astropipe.morphology.rendering.components import Grid, Plane

TRUTH = (
    "sersic_index",
    "bulge_fraction",
    "arm_strength",
    "bar_strength",
    "clumpiness",
    "disturbance",
    "inclination",
    "axis_ratio",
)
"""What is known of every rendered galaxy; NaN where it has no meaning. The inclination is in degrees."""


@dataclass(frozen=True)
class Galaxy:
    """A galaxy without noise.

    Attributes
    ----------
    image : ndarray of float32, shape (size, size)
        Its light, of unit sum, not blurred.
    r50_px : float
        Radius of the circle about the centre that holds half of the light.
    truth : dict of str to float
        Values of `TRUTH`.
    """

    image: Grid
    r50_px: float
    truth: dict[str, float]


def render(morphology: str, rng: np.random.Generator, *, size: int, r50_px: float) -> Galaxy:
    """Draw one galaxy of a class.

    Parameters
    ----------
    morphology : str
        One of `astropipe.morphology.classes.CLASSES`.
    rng : numpy.random.Generator
        Draws all that differs between galaxies of a class.
    size : int
        Rows and columns of the image.
    r50_px : float
        Half-light radius that is aimed at; the one reached, mostly within a few per cent, is in the result.

    Raises
    ------
    KeyError
        If there is no such class.
    """
    seed = int(rng.integers(2**63))
    galaxy = _draw(morphology, seed, size, r50_px)
    if abs(galaxy.r50_px / r50_px - 1.0) < 0.1:
        return galaxy
    # How light is spread decides the radius: the same galaxy again, larger or smaller.
    return _draw(morphology, seed, size, r50_px * r50_px / galaxy.r50_px)


def _draw(morphology: str, seed: int, size: int, scale_px: float) -> Galaxy:
    rng = np.random.default_rng(seed)
    truth = dict.fromkeys(TRUTH, np.nan) | {name: 0.0 for name in TRUTH[1:6]}
    image = _RECIPES[morphology](rng, size, scale_px, truth)
    image = _lopsided(np.maximum(image, 0.0), rng)
    image /= image.sum()
    radii = light_radii_px(image, (0.2, 0.5, 0.8))
    if np.isnan(truth["sersic_index"]):
        truth["sersic_index"] = index_of_concentration(5 * float(np.log10(radii[2] / radii[0])))
    return Galaxy(image.astype(np.float32), float(radii[1]), truth)


@cache
def _concentrations() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = np.geomspace(0.2, 12.0, 200)
    # The light inside r is the incomplete gamma function of b (r / r_e)^(1/n), Graham & Driver (2005, eq. 2).
    edge = gammaincinv(2 * n, 0.8) / gammaincinv(2 * n, 0.2)
    return n, 5 * n * np.log10(edge)


def index_of_concentration(concentration: float) -> float:
    """Return the Sersic index whose profile has a concentration 5 log10(r80 / r20): of galaxies of several parts."""
    n, concentrations = _concentrations()
    return float(np.interp(concentration, concentrations, n))


def light_radii_px(image: Grid, shares: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the radii of the circles about the centre that hold given shares of the light of an image."""
    size = image.shape[0]
    axis = np.arange(size) - (size - 1) / 2
    radius = np.hypot(axis[:, None], axis[None, :])
    light = np.cumsum(np.bincount((radius.ravel() * 2).astype(np.int64), weights=image.ravel()))
    return np.interp(np.multiply(shares, light[-1]), light, (np.arange(len(light)) + 1) / 2)


def _lopsided(image: Grid, rng: np.random.Generator) -> Grid:
    """Give one side a little more light than the other, as most galaxies have (Rix & Zaritsky 1995)."""
    axis = np.linspace(-1.0, 1.0, image.shape[0], dtype=np.float32)
    tilt = rng.normal(0.0, 0.12, 2)
    return image * np.clip(1 + tilt[0] * axis[None, :] + tilt[1] * axis[:, None], 0.3, None).astype(np.float32)


def _share(image: Grid, light: float) -> Grid:
    return image * np.float32(light / max(float(image.sum()), 1e-30))


def _spheroid(rng: np.random.Generator, size: int, r50_px: float, truth: dict[str, float]) -> Grid:
    n, q = rng.uniform(2.3, 6.5), 1 - 0.5 * rng.beta(1.3, 1.8)
    where = parts.plane(size, axis_ratio=q, boxiness=rng.normal(0.0, 0.15))
    image = _share(parts.sersic(where, n, r50_px * 1.1 / np.sqrt(q)), 1.0)
    if rng.random() < 0.25:  # an isophotal twist, and more light far out
        outer = parts.plane(size, axis_ratio=min(1.0, q + 0.1), turn=rng.normal(0.0, 0.3))
        image = image * 0.85 + _share(parts.sersic(outer, n, r50_px * 2.2), 0.15)
    truth |= {"sersic_index": n, "bulge_fraction": 1.0, "axis_ratio": q, "disturbance": 0.0}
    return image


def _disk_plane(rng: np.random.Generator, size: int, cos_inclination: float, truth: dict[str, float]) -> Plane:
    thickness = rng.uniform(0.1, 0.28)
    q = float(np.sqrt(cos_inclination**2 * (1 - thickness**2) + thickness**2))
    truth |= {"inclination": float(np.degrees(np.arccos(cos_inclination))), "axis_ratio": q}
    return parts.plane(size, axis_ratio=q)


def _bulge(rng: np.random.Generator, size: int, scale: float, disk_q: float, n: tuple[float, float]) -> Grid:
    q = min(1.0, disk_q + rng.uniform(0.2, 0.5) * (1 - disk_q) + 0.15)
    return parts.sersic(parts.plane(size, axis_ratio=q), rng.uniform(*n), scale * rng.uniform(0.12, 0.6))


def _early_disk(rng: np.random.Generator, size: int, r50_px: float, truth: dict[str, float]) -> Grid:
    cos_i = rng.uniform(0.05, 1.0)
    where = _disk_plane(rng, size, cos_i, truth)
    # Smooth disks are of early type however small their bulge.
    b_t = rng.uniform(0.22, 0.72) if rng.random() < 0.8 else rng.uniform(0.0, 0.22)
    scale = r50_px / (1.68 * (1 - 0.6 * b_t)) / np.sqrt(max(where.axis_ratio, 0.35))
    if cos_i < 0.2:
        height = scale * rng.uniform(0.12, 0.28)
        disk = parts.edge_on(parts.plane(size), scale, height)
    else:
        disk = parts.exponential(where, scale, rng.uniform(3.0, 12.0))
    image = _share(disk, 1 - b_t) + _share(_bulge(rng, size, scale, where.axis_ratio, (1.8, 4.5)), b_t)
    if rng.random() < 0.25:
        lens = parts.bar(
            where,
            rng,
            length=scale * rng.uniform(0.7, 1.3),
            axis_ratio=rng.uniform(0.35, 0.7),
            turn=rng.uniform(0, np.pi),
        )
        strength = rng.uniform(0.05, 0.18)
        image = image * (1 - strength) + _share(lens, strength)
        truth["bar_strength"] = strength
    if rng.random() < 0.15:
        image = image * 0.95 + _share(parts.ring(where, radius=scale * rng.uniform(1.2, 2.2), width=0.25 * scale), 0.05)
    truth |= {"bulge_fraction": b_t}
    return image


def _late_disk(rng: np.random.Generator, size: int, r50_px: float, truth: dict[str, float]) -> Grid:
    if rng.random() < 0.22:
        return _edge_on_disk(rng, size, r50_px, truth)
    cos_i = rng.uniform(0.2, 1.0)
    where = _disk_plane(rng, size, cos_i, truth)
    b_t = rng.beta(1.0, 3.0) * 0.4
    scale = r50_px / 1.75 / np.sqrt(max(where.axis_ratio, 0.4))
    disk = parts.exponential(where, scale, rng.uniform(3.0, 10.0))
    handed = where if rng.random() < 0.5 else _mirrored(where)
    start = scale * rng.uniform(0.35, 1.0)
    bar_strength = rng.uniform(0.04, 0.2) if rng.random() < 0.4 else 0.0
    if bar_strength:
        start = scale * rng.uniform(0.6, 1.4)
    pitch = np.radians(rng.uniform(9, 38))
    strength = rng.uniform(0.5, 4.0) * rng.uniform(0.4, 1.0)
    density = parts.arms(
        handed,
        rng,
        n_arms=int(rng.choice([1, 2, 3, 4, 5], p=[0.05, 0.55, 0.18, 0.14, 0.08])),
        pitch_rad=pitch,
        width=rng.uniform(0.07, 0.17),
        start=start,
        fading=scale * rng.uniform(2.5, 5.0),
    )
    if rng.random() < 0.3:  # grand designs open up: light beyond the disk lies in the arms only
        density = density * (1 + 0.5 * np.clip(where.radius / (3 * scale), 0, 3) ** 2).astype(np.float32)
    rough = rng.uniform(0.0, 0.5) * parts.flocculence(handed, rng, pitch_rad=pitch)
    texture = np.exp(np.clip(rough, -1.5, 1.5)) * (rng.uniform(0.35, 1.0) + strength * density)
    pattern = disk * texture.astype(np.float32)
    clump_light = rng.beta(1.2, 4.0) * 0.4
    image = _share(pattern, 1.0)
    truth["arm_strength"] = float(np.sum(disk * density) * strength / max(float(np.sum(pattern)), 1e-30))
    image = image * (1 - clump_light) + _knots(rng, image * (0.2 + density), scale, clump_light)
    if rng.random() < 0.2:
        image = image * 0.92 + _share(parts.ring(where, radius=start, width=scale * rng.uniform(0.1, 0.25)), 0.08)
    if bar_strength:
        turn = rng.uniform(0, np.pi)
        image = image * (1 - bar_strength) + _share(
            parts.bar(where, rng, length=start * rng.uniform(0.9, 1.2), axis_ratio=rng.uniform(0.15, 0.35), turn=turn),
            bar_strength,
        )
    if b_t > 0.01:
        image = image * (1 - b_t) + _share(_bulge(rng, size, scale, where.axis_ratio, (0.9, 3.0)), b_t)
    truth |= {"bulge_fraction": b_t, "bar_strength": bar_strength, "clumpiness": clump_light}
    return image


def _mirrored(where: Plane) -> Plane:
    return replace(where, y=-where.y, angle=-where.angle)


def _edge_on_disk(rng: np.random.Generator, size: int, r50_px: float, truth: dict[str, float]) -> Grid:
    where = parts.plane(size)
    scale = r50_px / 1.2
    height = scale * rng.uniform(0.06, 0.2)
    b_t = rng.beta(1.0, 3.0) * 0.4
    image = _share(parts.edge_on(where, scale, height), 1 - b_t)
    image += _share(_bulge(rng, size, scale, 0.5, (0.9, 3.0)), b_t) if b_t > 0.01 else 0.0
    warp = rng.normal(0.0, 0.12) * height * (where.x / np.float32(2 * scale)) ** 3
    if rng.random() < 0.6:
        lane = np.exp(
            -0.5 * ((where.y - np.float32(rng.normal(0.0, 0.5) * height) - warp) / np.float32(height * 0.35)) ** 2
        )
        lane *= np.exp(-np.abs(where.x) / np.float32(2 * scale))
        image = image * np.exp(-np.float32(rng.uniform(0.4, 2.0)) * lane)
    clump_light = rng.beta(1.2, 4.0) * 0.35
    image = image * (1 - clump_light) + _knots(rng, image, scale, clump_light)
    truth |= {
        "bulge_fraction": b_t,
        "clumpiness": clump_light,
        "inclination": rng.uniform(80.0, 90.0),
        "axis_ratio": float(height / scale),
    }
    return image


def _knots(rng: np.random.Generator, density: Grid, scale: float, light: float) -> Grid:
    """Return knots of star formation, placed by the density, that hold so much light together."""
    image = np.zeros_like(density)
    n = int(rng.integers(8, 80))
    probability = np.maximum(density, 0).ravel().astype(np.float64)
    chosen = rng.choice(len(probability), size=n, p=probability / probability.sum())
    middle = (density.shape[0] - 1) / 2
    flux = rng.lognormal(0.0, 0.8, n)
    y, x = np.divmod(chosen, density.shape[0])
    parts.add_spots(image, x - middle, y - middle, scale * rng.uniform(0.03, 0.14, n) + 0.4, light * flux / flux.sum())
    return image


def _irregular(rng: np.random.Generator, size: int, r50_px: float, truth: dict[str, float]) -> Grid:
    recipe: Callable[..., Grid] = (_merger, _clumpy, _disturbed)[rng.choice(3, p=(0.4, 0.35, 0.25))]
    return recipe(rng, size, r50_px, truth)


def _disturbed(rng: np.random.Generator, size: int, r50_px: float, truth: dict[str, float]) -> Grid:
    """Return a galaxy of another class at which another one pulls: one side brighter, with tails and a second core."""
    before = (_late_disk, _late_disk, _early_disk, _spheroid)[int(rng.integers(4))]
    image = _share(before(rng, size, r50_px * 0.8, truth), 1.0)
    axis = (np.arange(size, dtype=np.float32) - (size - 1) / 2) / np.float32(r50_px)
    turn = rng.uniform(0, 2 * np.pi)
    slope = np.float32(np.cos(turn)) * axis[None, :] + np.float32(np.sin(turn)) * axis[:, None]
    image = _share(image * np.exp(np.clip(rng.uniform(0.3, 0.9) * slope, -2.0, 2.0)), 1.0)
    light, apart = rng.uniform(0.05, 0.35), r50_px * rng.uniform(0.7, 2.0)
    x, y = apart * np.cos(turn), apart * np.sin(turn)
    core = parts.plane(size, axis_ratio=rng.uniform(0.4, 1.0), turn=rng.uniform(0, np.pi), x0=x, y0=y)
    image = image * np.float32(1 - light) + _share(parts.sersic(core, rng.uniform(0.8, 3.0), 0.25 * r50_px), light)
    debris = rng.uniform(0.05, 0.3)
    image = image * np.float32(1 - debris)
    n_tails = int(rng.integers(1, 4))
    for part in rng.dirichlet(np.ones(n_tails)) * debris:
        image += np.float32(part) * parts.tail(
            size,
            rng,
            x=x * rng.uniform(0.0, 1.2),
            y=y * rng.uniform(0.0, 1.2),
            length=r50_px * rng.uniform(1.0, 3.5),
            width=r50_px * rng.uniform(0.08, 0.3),
            turn=rng.uniform(0, 2 * np.pi),
            bend=rng.normal(0.0, 1.4),
        )
    truth |= {"disturbance": 0.5 + light, "sersic_index": np.nan}
    return image


def _clumpy(rng: np.random.Generator, size: int, r50_px: float, truth: dict[str, float]) -> Grid:
    q = rng.uniform(0.3, 1.0)
    shift = rng.normal(0.0, 0.35 * r50_px, 2)
    where = parts.plane(size, axis_ratio=q, x0=shift[0], y0=shift[1])
    body = parts.sersic(where, rng.uniform(0.4, 1.1), r50_px * rng.uniform(0.8, 1.2) / np.sqrt(q))
    field = parts.roughness(size, rng, slope=rng.uniform(2.0, 3.2), cutoff_px=r50_px * rng.uniform(0.1, 0.5))
    body = _share(body * np.exp(np.float32(rng.uniform(0.3, 1.1)) * field), 1.0)
    light = rng.uniform(0.15, 0.65)
    n = int(rng.integers(3, 22))
    flux = rng.lognormal(0.0, 0.8, n)
    radius, angle = r50_px * np.abs(rng.normal(0.0, 1.0, n)), rng.uniform(0, 2 * np.pi, n)
    image = body * np.float32(1 - light)
    parts.add_spots(
        image,
        shift[0] * 0.5 + radius * np.cos(angle),
        shift[1] * 0.5 + radius * np.sin(angle) * np.sqrt(q),
        r50_px * rng.uniform(0.08, 0.3, n) + 0.4,
        light * flux / flux.sum(),
    )
    truth |= {"clumpiness": light, "disturbance": rng.uniform(0.3, 0.7), "axis_ratio": q, "sersic_index": 0.8}
    return image


def _merger(rng: np.random.Generator, size: int, r50_px: float, truth: dict[str, float]) -> Grid:
    ratio, apart, turn = rng.uniform(0.25, 1.0), r50_px * rng.uniform(0.5, 1.6), rng.uniform(0, 2 * np.pi)
    image = np.zeros((size, size), dtype=np.float32)
    places = []
    for light, side in ((1.0, -ratio / (1 + ratio)), (ratio, 1 / (1 + ratio))):
        x, y = side * apart * np.cos(turn), side * apart * np.sin(turn)
        places.append((x, y))
        q = rng.uniform(0.3, 1.0)
        where = parts.plane(size, axis_ratio=q, turn=rng.uniform(0, np.pi), x0=x, y0=y)
        r_e = r50_px * rng.uniform(0.35, 0.8) * light**0.4
        body = parts.sersic(where, rng.choice([rng.uniform(0.7, 1.5), rng.uniform(2.0, 4.0)]), r_e)
        if rng.random() < 0.5:
            spiral = parts.arms(
                where,
                rng,
                n_arms=2,
                pitch_rad=np.radians(rng.uniform(15, 40)),
                width=0.12,
                start=0.4 * r_e,
                fading=2.5 * r_e,
            )
            body = body * (1 + rng.uniform(0.5, 3.0) * spiral)
        image += _share(body, light / (1 + ratio))
    debris = rng.uniform(0.05, 0.4)
    image *= np.float32(1 - debris)
    n_tails = int(rng.integers(1, 4))
    for light in rng.dirichlet(np.ones(n_tails)) * debris:
        x, y = places[int(rng.integers(2))]
        image += np.float32(light) * parts.tail(
            size,
            rng,
            x=x,
            y=y,
            length=r50_px * rng.uniform(1.2, 4.0),
            width=r50_px * rng.uniform(0.08, 0.3),
            turn=rng.uniform(0, 2 * np.pi),
            bend=rng.normal(0.0, 1.4),
        )
    field = parts.roughness(size, rng, slope=2.6, cutoff_px=r50_px * 0.3)
    image = image * np.exp(np.float32(rng.uniform(0.1, 0.6)) * field)
    truth |= {"disturbance": 0.5 + 0.5 * ratio, "clumpiness": debris}
    return image


_RECIPES: dict[str, Callable[[np.random.Generator, int, float, dict[str, float]], NDArray[np.float32]]] = {
    "SPH": _spheroid,
    "ETD": _early_disk,
    "LTD": _late_disk,
    "IRR": _irregular,
}
