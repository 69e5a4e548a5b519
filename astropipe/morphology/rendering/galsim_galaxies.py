"""Galaxies of the four classes as GalSim profiles: how each class is made, and between what bounds.

A galaxy has a flux of 1 and lies along the x axis. Its `r_e` (arcsec) sets a first scale: of a spheroid or an
irregular body the half-light radius, of a disk that of the disk seen from above. The renderer then dilates it to the
half-light radius that it wants of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.rendering import galsim_parts as parts

Array = NDArray[np.float64]
EDGE_ON_DEG = 75.0
"""From here on the dust of a late-type disk lies before its middle."""


@dataclass(frozen=True)
class DustLane:
    """A strip along the disk that takes away part of the light behind it; lengths in arcsec."""

    depth: float
    offset: float
    sigma: float
    length: float

    def transmission(self, along: Array, across: Array) -> Array:
        """Return the part of the light that comes through, at distances along and across the disk in arcsec."""
        strip = np.exp(-0.5 * ((across - self.offset) / self.sigma) ** 2 - 0.5 * (along / self.length) ** 4)
        return np.asarray(1 - self.depth * strip)

    def dilate(self, factor: float) -> DustLane:
        """Return the strip with all its lengths multiplied."""
        return DustLane(self.depth, factor * self.offset, factor * self.sigma, factor * self.length)


@dataclass(frozen=True)
class Galaxy:
    """A profile of flux 1 and what it is made of; the fields are explained in `galsim_renderer`."""

    profile: Any
    sersic_index: float
    axis_ratio: float
    bulge_fraction: float = 0.0
    arm_strength: float = 0.0
    bar_strength: float = 0.0
    clumpiness: float = 0.0
    inclination: float = np.nan
    dust: DustLane | None = None

    def dilate(self, factor: float) -> Galaxy:
        """Return the galaxy with all its lengths multiplied, and the flux it had."""
        dust = self.dust and self.dust.dilate(factor)
        return replace(self, profile=self.profile.dilate(factor), dust=dust)


def spheroid(r_e: float, rng: np.random.Generator) -> Galaxy:
    """Draw an elliptical: one Sersic profile, index 2.5 to 6."""
    index, axis_ratio = parts.on_grid(2.5, 6.0, rng), rng.uniform(0.55, 1.0)
    return Galaxy(parts.sersic(1.0, index, r_e, axis_ratio), index, axis_ratio, bulge_fraction=1.0)


def early_disk(r_e: float, rng: np.random.Generator) -> Galaxy:
    """Draw a lenticular: a bulge of 25 to 70 % of the light in a smooth disk, some with a weak bar or lens."""
    inclination = _inclination(85.0, rng)
    thickness = rng.uniform(0.1, 0.25)
    bulge_fraction, index = rng.uniform(0.25, 0.7), parts.on_grid(2.0, 4.0, rng)
    flattening = parts.projected_axis_ratio(inclination, rng.uniform(0.6, 0.95))
    bulge = parts.sersic(bulge_fraction, index, r_e * rng.uniform(0.1, 0.35), flattening)
    profile, bar = bulge, 0.0
    if rng.random() < 0.3:
        bar = (1 - bulge_fraction) * rng.uniform(0.08, 0.25)
        lens = parts.sersic(bar, 0.5, r_e * rng.uniform(0.35, 0.6), rng.uniform(0.35, 0.7), rng.uniform(0, np.pi))
        profile = profile + parts.tilted(lens, inclination, thickness)
    profile = profile + parts.disk(1 - bulge_fraction - bar, r_e, inclination, thickness)
    return Galaxy(
        profile,
        bulge_fraction * index + (1 - bulge_fraction - bar) + 0.5 * bar,
        parts.projected_axis_ratio(inclination, thickness),
        bulge_fraction=bulge_fraction,
        bar_strength=bar,
        inclination=float(np.degrees(inclination)),
    )


def late_disk(r_e: float, rng: np.random.Generator) -> Galaxy:
    """Draw a spiral: a disk with 2 to 4 arms of 25 to 60 % of its light, knots along them, some with a bar."""
    inclination = _inclination(88.0, rng)
    thickness = rng.uniform(0.06, 0.14)
    bulge = rng.uniform(0.0, 0.25)
    bar = rng.uniform(0.06, 0.16) if rng.random() < 0.35 else 0.0
    in_disk = 1 - bulge - bar
    in_arms = in_disk * rng.uniform(0.25, 0.6)
    in_knots = in_arms * rng.uniform(0.1, 0.35)
    index = parts.on_grid(1.0, 3.0, rng)
    bar_r_e = r_e * rng.uniform(0.28, 0.45)
    start = rng.uniform(0, np.pi)

    profile = parts.disk(in_disk - in_arms, r_e, inclination, thickness)
    if bulge > 0.01:
        flattening = parts.projected_axis_ratio(inclination, rng.uniform(0.5, 0.9))
        profile = profile + parts.sersic(bulge, index, r_e * rng.uniform(0.1, 0.22), flattening)
    if bar:
        body = parts.sersic(bar, 0.5, bar_r_e, rng.uniform(0.18, 0.35), start)
        profile = profile + parts.tilted(body, inclination, thickness)
    inner = 1.5 * bar_r_e if bar else r_e * rng.uniform(0.15, 0.35)
    for part in _arms(in_arms - in_knots, in_knots, r_e, inner, start, inclination, thickness, rng):
        profile = profile + part
    dust = None
    if np.degrees(inclination) > EDGE_ON_DEG:
        dust = DustLane(
            depth=rng.uniform(0.3, 0.75),
            offset=r_e * np.cos(inclination) * rng.uniform(-0.3, 0.3),
            # About as wide as the point spread function: it is laid on the image, not on the sky.
            sigma=r_e * rng.uniform(0.1, 0.18),
            length=r_e * rng.uniform(0.9, 1.6),
        )
    return Galaxy(
        profile,
        bulge * index + in_disk + 0.5 * bar,
        parts.projected_axis_ratio(inclination, thickness),
        bulge_fraction=bulge,
        arm_strength=in_arms,
        bar_strength=bar,
        clumpiness=in_knots,
        inclination=float(np.degrees(inclination)),
        dust=dust,
    )


def irregular(r_e: float, rng: np.random.Generator) -> Galaxy:
    """Draw an irregular: an off-centre body with unequal knots, or (40 %) two bodies that merge, with tails."""
    return _merger(r_e, rng) if rng.random() < 0.4 else _clumpy(r_e, rng)


MAKERS: dict[str, Callable[[float, np.random.Generator], Galaxy]] = {
    "SPH": spheroid,
    "ETD": early_disk,
    "LTD": late_disk,
    "IRR": irregular,
}
"""What draws a galaxy of each class."""


def _inclination(largest_deg: float, rng: np.random.Generator) -> float:
    """Draw an inclination in radians, seen from any direction alike."""
    return float(np.arccos(rng.uniform(np.cos(np.radians(largest_deg)), 1.0)))


def _arms(
    smooth: float,
    knots: float,
    r_e: float,
    inner: float,
    start: float,
    inclination: float,
    thickness: float,
    rng: np.random.Generator,
) -> list[Any]:
    """Return logarithmic spirals as clouds of points: their smooth light and their knots, of the fluxes given."""
    length = r_e / 1.678
    number = int(rng.choice((2, 3, 4), p=(0.65, 0.2, 0.15)))
    # The more arms, the more open they are, else the point spread function blends them to a smooth disk.
    pitch = np.radians(rng.uniform(10 + 4 * (number - 2), 30)) * rng.choice((-1.0, 1.0))
    growth = abs(np.tan(pitch))
    outer = inner * np.exp(growth * 2 * np.pi * rng.uniform(0.5, 1.5))
    outer = float(np.clip(outer, 2.2 * length, 3.5 * length))
    scatter = rng.uniform(0.07, 0.14)
    strengths = rng.uniform(0.6, 1.0, number)
    points = 900
    radius = inner + (outer - inner) * rng.random((number, points))
    # The arms are bluer and longer than the old disk; they fade in and out instead of ending.
    fade = np.clip((radius - inner) / (0.3 * length), 0.15, 1) * np.clip((outer - radius) / (0.8 * length), 0, 1)
    light = radius * np.exp(-radius / (1.4 * length)) * fade * strengths[:, None]
    # Slow unevenness along each arm, as real arms break and brighten.
    wave = rng.uniform(0, 2 * np.pi, (number, 1)) + radius / length * rng.uniform(2, 5, (number, 1))
    light = light * (1 + 0.5 * np.sin(wave))
    first = start + 2 * np.pi * np.arange(number) / number + rng.normal(0, 0.15, number)
    angle = first[:, None] + np.sign(pitch) * np.log(radius / inner) / growth
    angle = angle + rng.normal(0, scatter, radius.shape) + 0.15 * np.sin(wave / 2)
    radius = radius * (1 + rng.normal(0, 0.04, radius.shape))
    x = (radius * np.cos(angle)).ravel()
    height = rng.normal(0, 0.6 * thickness * length, x.size)
    y = (radius * np.sin(angle)).ravel() * np.cos(inclination) + height * np.sin(inclination)
    light = light.ravel() / light.sum()
    squeezed = parts.projected_axis_ratio(inclination, thickness)

    chosen = rng.choice(x.size, int(rng.integers(8, 31)), replace=False, p=light)
    bright = rng.lognormal(0, 0.7, chosen.size)
    return [
        parts.cloud(x, y, smooth * light, rng.uniform(0.1, 0.16) * length, squeezed),
        parts.cloud(
            x[chosen],
            y[chosen],
            knots * bright / bright.sum(),
            rng.uniform(0.05, 0.1) * length,
            max(squeezed, 0.5),
        ),
    ]


def _clumpy(r_e: float, rng: np.random.Generator) -> Galaxy:
    """Draw an irregular of one body; a third are drawn out to chains of knots."""
    knots, index = rng.uniform(0.3, 0.7), parts.on_grid(0.5, 1.25, rng)
    axis_ratio = rng.uniform(0.25, 0.5) if rng.random() < 0.33 else rng.uniform(0.5, 0.95)
    number = int(rng.integers(4, 21))
    flux = rng.lognormal(0, 1.1, number)
    flux *= knots / flux.sum()
    # The knots have a middle of their own, which is what makes the galaxy lopsided.
    away, where = r_e * rng.uniform(0.25, 0.7), rng.uniform(0, 2 * np.pi)
    long, short = r_e / np.sqrt(axis_ratio), r_e * np.sqrt(axis_ratio)
    x = 0.75 * long * rng.normal(0, 1, number).clip(-2.2, 2.2)
    y = 0.75 * short * rng.normal(0, 1, number).clip(-2.2, 2.2)
    body = parts.sersic(1 - knots, index, r_e, axis_ratio)
    body = body.shift(away * np.cos(where), away * np.sin(where) * axis_ratio)
    profile, kind = body, rng.integers(0, 3, number)
    for which, sigma in enumerate((rng.uniform(0.05, 0.1), rng.uniform(0.12, 0.18), rng.uniform(0.22, 0.32))):
        if (group := kind == which).any():
            profile = profile + parts.cloud(x[group], y[group], flux[group], sigma * r_e, rng.uniform(0.6, 1.4))
    return Galaxy(profile, index, axis_ratio, clumpiness=knots)


def _merger(r_e: float, rng: np.random.Generator) -> Galaxy:
    """Draw two bodies in contact with tidal tails, debris and a few knots."""
    ratio, separation = rng.uniform(0.3, 1.0), r_e * rng.uniform(0.7, 2.0)
    tails, debris, knots = rng.uniform(0.08, 0.25), rng.uniform(0.03, 0.1), rng.uniform(0.05, 0.2)
    bodies = 1 - tails - debris - knots
    index = parts.on_grid(0.75, 1.25, rng)
    axis_ratio = rng.uniform(0.45, 0.95)
    centres = np.array([-ratio, 1.0]) / (1 + ratio) * separation
    shares = np.array([1.0, ratio]) / (1 + ratio)
    profile = None
    for turn, (centre, share) in enumerate(zip(centres, shares, strict=True)):
        # Each is smaller than the whole, and the fainter one the smaller.
        size = 0.62 * r_e * np.sqrt(share * 2) * rng.uniform(0.8, 1.2)
        shape = axis_ratio if turn == 0 else rng.uniform(0.45, 0.95)
        cusp = 0.15 * bodies * share
        body = parts.sersic(bodies * share - cusp, index, size, shape, rng.uniform(0, np.pi))
        body = body + parts.sersic(cusp, 1.0, 0.2 * size)
        profile = body.shift(centre, 0) if profile is None else profile + body.shift(centre, 0)
    number = 1 if rng.random() < 0.4 else 2
    sides = rng.permutation(2)[:number]
    spin = rng.choice((-1.0, 1.0))
    for side in sides:
        x, y, light = _tail(r_e, float(centres[side]), spin, rng)
        profile = profile + parts.cloud(x, y, light * tails / number, rng.uniform(0.13, 0.24) * r_e)
    blobs = int(rng.integers(3, 9))
    where = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.8, blobs)
    far = r_e * rng.uniform(1.2, 2.8, blobs)
    profile = profile + parts.cloud(
        far * np.cos(where), far * np.sin(where), debris * rng.dirichlet(np.ones(blobs)), rng.uniform(0.25, 0.45) * r_e
    )
    few = int(rng.integers(4, 11))
    x, y = rng.normal(0, 0.8 * r_e, few) + centres[rng.integers(0, 2, few)] * 0.5, rng.normal(0, 0.5 * r_e, few)
    profile = profile + parts.cloud(x, y, knots * rng.dirichlet(np.ones(few)), rng.uniform(0.07, 0.14) * r_e)
    return Galaxy(profile, index, axis_ratio, clumpiness=knots)


def _tail(r_e: float, centre: float, spin: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return positions and fluxes (of sum 1) of a curved chain of points that leaves one body outwards."""
    step = np.linspace(0, 1, 60)
    length = r_e * rng.uniform(1.8, 3.6)
    bend = spin * rng.uniform(0.6, 2.4)
    direction = (0.0 if centre > 0 else np.pi) - 0.7 * spin + bend * step
    x = centre + np.cumsum(np.cos(direction)) * length / step.size
    y = np.cumsum(np.sin(direction)) * length / step.size
    wobble = 0.05 * r_e * (1 + 2 * step)
    light = np.exp(-rng.uniform(0.5, 2.0) * step) * rng.uniform(0.5, 1.5, step.size)
    return x + rng.normal(0, wobble), y + rng.normal(0, wobble), light / light.sum()
