"""Galaxies of known class and structure as HST would see them, drawn with GalSim (Rowe et al. 2015), for tests only.

It shares no code and no recipe with the renderer of training. Its truth, in the columns of the stamps:

================  =====================================================================================================
column            meaning
================  =====================================================================================================
`morphology`      class
`sersic_index`    of a spheroid or an irregular body its index; of a disk the mean of its parts' indices by their light
`bulge_fraction`  part of the light in the bulge; 1 for spheroids
`arm_strength`    part of the light in the arms, their knots included
`bar_strength`    part of the light in the bar or lens
`inclination`     degrees, 0 is face-on; NaN for what has no disk
`clumpiness`      part of the light in knots
`r_e`             arcsec, of the circle with half the stamp's light, behind the point spread function, without noise
`axis_ratio`      of the main body or disk, before the point spread function
`snr`             flux within that circle over sky_rms sqrt(pi) r_e
================  =====================================================================================================

Parts of the light are before dust.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.rendering import galsim_parts as parts
from astropipe.morphology.rendering.galsim_galaxies import MAKERS, Galaxy
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.errors import UsageError
from astropipe.runtime.seeds import stream

Array = NDArray[np.float64]

SKY_RMS = 1.0
"""Standard deviation of the sky in each pixel; it is the unit of the images."""
RADII_PX = {"SPH": (5.0, 13.0), "ETD": (5.5, 14.5), "LTD": (6.0, 17.0), "IRR": (6.6, 18.0)}
"""Bounds of the half-light radius of each class, drawn evenly in its logarithm; the medians grow from SPH to IRR."""
COMPANIONS = 0.2
"""Part of the galaxies that have a neighbour in the stamp."""
TRUTH = (
    "morphology",
    "sersic_index",
    "bulge_fraction",
    "arm_strength",
    "bar_strength",
    "inclination",
    "clumpiness",
    "r_e",
    "axis_ratio",
    "snr",
)
"""Columns of the truth."""

_STAGE = "morphology.rendering.galsim"
# Where the light of a companion is fainter than this, in units of the sky's, it is left unmasked.
_MASKED_FROM = 0.5
_SMALLEST_PX = 64


def render_galaxy(
    morphology: str, rng: np.random.Generator, *, size: int = 128, psf: Any = None
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Draw one galaxy without noise, of flux 1 in the stamp.

    Parameters
    ----------
    morphology : str
        Its class.
    rng : Generator
        Draws all there is to it.
    size : int
        Rows and columns of the stamp, pixels of 0.03 arcsec.
    psf : galsim.GSObject, optional
        Point spread function; one like that of HST/ACS at 814 nm is drawn by default.

    Returns
    -------
    image : ndarray of float32, shape (size, size)
        The galaxy in the middle, turned at random.
    truth : dict
        Columns of the module's table, less the signal-to-noise ratio.

    Raises
    ------
    UsageError
        If the class is not known or the stamp is too small.
    MissingDependencyError
        If GalSim is not installed.
    """
    if morphology not in MAKERS:
        raise UsageError(f"morphology={morphology!r} is not known; choose from {', '.join(CLASSES)}")
    if size < _SMALLEST_PX:
        raise UsageError(f"size={size} is too small for these galaxies; take {_SMALLEST_PX} pixels or more")
    psf = parts.draw_psf(rng)[0] if psf is None else psf
    low, high = RADII_PX[morphology]
    wanted_px = low * (high / low) ** rng.random()
    galaxy = MAKERS[morphology](parts.PIXEL_ARCSEC * wanted_px, rng)
    angle, dither = rng.uniform(0, np.pi), rng.uniform(-1, 1, 2)
    image = _expose(galaxy, psf, angle, size, dither)
    # The half-light radius of a sum of parts behind a point spread function has no formula: look, then correct.
    for _ in range(2):
        galaxy = galaxy.dilate(wanted_px / parts.half_light_radius(image))
        image = _expose(galaxy, psf, angle, size, dither)
    image = image / image.sum()
    truth = {name: getattr(galaxy, name) for name in TRUTH if hasattr(galaxy, name)}
    truth |= {"morphology": morphology, "r_e": parts.half_light_radius(image) * parts.PIXEL_ARCSEC}
    return image.astype(np.float32), truth


def render_set(
    n_per_class: int,
    snr_levels: tuple[float, ...] = (20.0, 50.0, 100.0),
    *,
    seed: int,
    size: int = 128,
    first: int = 0,
) -> Stamps:
    """Draw a set of noisy galaxies, as many of each class at each signal-to-noise ratio.

    Parameters
    ----------
    n_per_class : int
        Galaxies of each class at each level.
    snr_levels : tuple of float
        Signal-to-noise ratios inside the half-light radius. Each level has galaxies of its own.
    seed : int
        Root seed. A galaxy depends on it, on its class, level and number, and on the stamp's size only.
    size : int
        Rows and columns of a stamp.
    first : int
        Number of the first galaxy: chunks with consecutive numbers make up the whole set.

    Returns
    -------
    Stamps
        Level by level, class by class; the columns are the truth (table above). A companion is masked where its
        light exceeds half the sky's standard deviation.

    Raises
    ------
    UsageError
        If a number does not fit.
    MissingDependencyError
        If GalSim is not installed.
    """
    if n_per_class < 1 or first < 0:
        raise UsageError(f"n_per_class must be 1 or larger and first 0 or larger, not {n_per_class} and {first}")
    if not snr_levels or min(snr_levels) <= 0:
        raise UsageError(f"the signal-to-noise ratios must be positive, not {snr_levels}")
    names = [
        (f"{morphology}-{level:g}-{number:06d}", morphology, float(level))
        for level in snr_levels
        for morphology in CLASSES
        for number in range(first, first + n_per_class)
    ]
    return _stamps(names, seed, size)


def render_survey(first: int, last: int, snr: tuple[float, float], *, seed: int, size: int = 128) -> Stamps:
    """Draw galaxies `first` to `last` of a survey; classes take turns, the logarithm of the S/N is uniform.

    Parameters
    ----------
    first, last : int
        Range of numbers, the last excluded.
    snr : tuple of float
        Lowest and highest signal-to-noise ratio inside the half-light radius.
    seed, size : int
        As in `render_set`.

    Raises
    ------
    MissingDependencyError
        If GalSim is not installed.
    """
    names = []
    for number in range(first, last):
        level = float(np.exp(stream(seed, f"{_STAGE}.snr", number).uniform(*np.log(snr))))
        names.append((f"galsim-{number:07d}", CLASSES[number % len(CLASSES)], level))
    return _stamps(names, seed, size)


def _stamps(names: list[tuple[str, str, float]], seed: int, size: int) -> Stamps:
    """Draw galaxies of given names, classes and signal-to-noise ratios."""
    drawn = [_observe(morphology, snr, size, stream(seed, _STAGE, name)) for name, morphology, snr in names]
    images, masks, widths, truths = zip(*drawn, strict=True)
    n = len(names)
    return Stamps(
        [name for name, _, _ in names],
        np.stack(images),
        np.stack(masks),
        np.full(n, SKY_RMS),
        np.full(n, parts.PIXEL_ARCSEC),
        np.array(widths),
        np.zeros(n, dtype=np.int64),
        columns={name: np.array([truth[name] for truth in truths]) for name in TRUTH},
    )


def _observe(
    morphology: str, snr: float, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_], float, dict[str, Any]]:
    """Return a noisy image, its mask, the full width of its point spread function, and the truth."""
    psf, fwhm_arcsec = parts.draw_psf(rng)
    galaxy, truth = render_galaxy(morphology, rng, size=size, psf=psf)
    r_e_px = truth["r_e"] / parts.PIXEL_ARCSEC
    # Half of the flux lies within r_e, over the noise of as many pixels.
    flux = 2 * snr * SKY_RMS * np.sqrt(np.pi) * r_e_px
    image, mask = flux * galaxy.astype(np.float64), np.zeros(galaxy.shape, dtype=bool)
    if rng.random() < COMPANIONS:
        companion = _companion(flux * rng.uniform(0.1, 0.6), r_e_px, size, psf, rng)
        image, mask = image + companion, companion > _MASKED_FROM * SKY_RMS
    image = image + parts.correlated_noise(size, SKY_RMS, rng)
    return image.astype(np.float32), mask, fwhm_arcsec, truth | {"snr": snr}


def _companion(flux: float, r_e_px: float, size: int, psf: Any, rng: np.random.Generator) -> Array:
    """Return the image of a small galaxy more than 3.5 r_e from the middle, or just outside where there is no room."""
    distance = r_e_px * rng.uniform(3.5, 4.5)
    angles = rng.uniform(0, 2 * np.pi, 64)
    x, y = distance * np.cos(angles), distance * np.sin(angles)
    best = int(np.argmax((np.abs(x) < size / 2) & (np.abs(y) < size / 2)))
    body = parts.sersic(
        flux,
        parts.on_grid(0.5, 4.0, rng),
        parts.PIXEL_ARCSEC * rng.uniform(2.0, 5.0),
        rng.uniform(0.4, 1.0),
        rng.uniform(0, np.pi),
    )
    return parts.expose(body, psf, size, (float(x[best]), float(y[best])))


def _expose(galaxy: Galaxy, psf: Any, angle: float, size: int, dither: Array) -> Array:
    """Return the image of a galaxy turned by an angle, its centroid near the middle, behind its dust."""
    galsim = parts.load_galsim()
    centroid = galaxy.profile.centroid
    image = parts.expose(galaxy.profile.shift(-centroid).rotate(angle * galsim.radians), psf, size, tuple(dither))
    if galaxy.dust is None:
        return image
    y, x = (np.indices((size, size)) - (size - 1) / 2 - dither[::-1, None, None]) * parts.PIXEL_ARCSEC
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return image * galaxy.dust.transmission(along + centroid.x, across + centroid.y)
