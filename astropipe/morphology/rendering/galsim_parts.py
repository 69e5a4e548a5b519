"""What the GalSim galaxies are made of: Sersic bodies, bars, clouds of points, dust, and the HST-like image of them.

All lengths are in arcsec, angles in radians, and profiles have the flux that they are given.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astropipe.runtime.errors import MissingDependencyError

Array = NDArray[np.float64]

PIXEL_ARCSEC = 0.03
"""The drizzled pixels of the COSMOS mosaic (Koekemoer et al. 2007)."""
INDICES = np.arange(0.5, 6.01, 0.25)
"""GalSim computes a table for each new Sersic index, so that indices come from a grid."""
JITTERS_ARCSEC = np.linspace(0.064, 0.094, 6)
"""Full widths of the Gaussians that pointing, detector and drizzling add to the telescope's diffraction."""

_WAVELENGTH_NM, _DIAMETER_M, _OBSCURATION = 814.0, 2.4, 0.33
_EXPONENTIAL_HALF_LIGHT = 1.6783469900166605  # of the exponential disk, in scale lengths


def load_galsim() -> Any:
    """Return the module galsim.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        import galsim
    except ImportError as error:
        raise MissingDependencyError(
            "rendering the test galaxies needs GalSim: pip install 'astropipe[galsim]' (the galaxies of training "
            "do not)"
        ) from error
    return galsim


@cache
def _accuracy() -> Any:
    """Accuracy in proportion to the noise: no galaxy is seen at more than a few hundred times it."""
    return load_galsim().GSParams(folding_threshold=1e-2, maxk_threshold=2e-3, maximum_fft_size=16384)


def on_grid(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw a Sersic index of the grid between two, ends included."""
    return float(rng.choice([index for index in INDICES if low <= index <= high]))


@cache
def _telescope(jitter_arcsec: float) -> tuple[Any, float]:
    """Return the round point spread function and its full width at half maximum in arcsec."""
    galsim = load_galsim()
    airy = galsim.Airy(lam=_WAVELENGTH_NM, diam=_DIAMETER_M, obscuration=_OBSCURATION, gsparams=_accuracy())
    psf = galsim.Convolve(airy, galsim.Gaussian(fwhm=jitter_arcsec, gsparams=_accuracy()))
    return psf, float(psf.calculateFWHM())


def draw_psf(rng: np.random.Generator) -> tuple[Any, float]:
    """Draw a point spread function like that of HST/ACS at 814 nm, with its full width at half maximum in arcsec."""
    psf, fwhm_arcsec = _telescope(float(rng.choice(JITTERS_ARCSEC)))
    galsim = load_galsim()
    return psf.shear(g=rng.uniform(0, 0.03), beta=rng.uniform(0, np.pi) * galsim.radians), fwhm_arcsec


def sersic(flux: float, index: float, r_e: float, axis_ratio: float = 1.0, angle: float = 0.0) -> Any:
    """Return a Sersic (1963) profile: `r_e` is the geometric mean of the half-axes of the half-light ellipse."""
    galsim = load_galsim()
    body = galsim.Sersic(index, half_light_radius=r_e, flux=flux, gsparams=_accuracy())
    return body.shear(q=axis_ratio, beta=angle * galsim.radians)


def disk(flux: float, r_e: float, inclination: float, thickness: float) -> Any:
    """Return an exponential disk along the x axis; `r_e` is seen from above, `thickness` is h_z over the scale length.

    The light falls as sech^2(z / h_z) from the plane (van der Kruit & Searle 1981).
    """
    galsim = load_galsim()
    return galsim.InclinedExponential(
        inclination * galsim.radians,
        scale_radius=r_e / _EXPONENTIAL_HALF_LIGHT,
        scale_h_over_r=thickness,
        flux=flux,
        gsparams=_accuracy(),
    )


def tilted(profile: Any, inclination: float, thickness: float) -> Any:
    """Return a profile that lies in the plane of a disk as it is seen at an inclination, with the same flux."""
    squeezed = profile.transform(1.0, 0.0, 0.0, projected_axis_ratio(inclination, thickness))
    return squeezed.withFlux(profile.flux)


def projected_axis_ratio(inclination: float, thickness: float) -> float:
    """Return the axis ratio of an oblate spheroid of a thickness (Hubble 1926)."""
    return float(np.sqrt(np.cos(inclination) ** 2 + (thickness * np.sin(inclination)) ** 2))


def cloud(x: Array, y: Array, flux: Array, sigma: float, axis_ratio: float = 1.0) -> Any:
    """Return many Gaussians of one width as one profile.

    Parameters
    ----------
    x, y, flux : ndarray, shape (n,)
        Positions in arcsec and fluxes.
    sigma : float
        Standard deviation along x in arcsec.
    axis_ratio : float
        Standard deviation along y over that along x.
    """
    galsim = load_galsim()
    # The points go to a grid of half pixels, which the Gaussians and the point spread function hide.
    fine = PIXEL_ARCSEC / 2
    half = max(64, int(np.ceil(max(np.abs(x).max(), np.abs(y).max()) / fine)) + 2)
    edges = (np.arange(2 * half + 1) - half) * fine
    grid, _, _ = np.histogram2d(y, x, bins=(edges, edges), weights=flux)
    points = galsim.InterpolatedImage(
        galsim.ImageD(grid, scale=fine),
        x_interpolant="linear",
        calculate_stepk=False,
        calculate_maxk=False,
        pad_factor=2.0,
        gsparams=_accuracy(),
    )
    blob = galsim.Gaussian(sigma=sigma, gsparams=_accuracy()).transform(1.0, 0.0, 0.0, axis_ratio).withFlux(1.0)
    return galsim.Convolve(points.withFlux(float(flux.sum())), blob)


def expose(profile: Any, psf: Any, size: int, offset: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Return the image of a profile behind a point spread function.

    Parameters
    ----------
    profile, psf : galsim.GSObject
        What is seen, and through what.
    size : int
        Rows and columns of the image, in pixels of `PIXEL_ARCSEC`.
    offset : tuple of float
        Where the profile's origin lies from the middle of the image, x and y in pixels.

    Returns
    -------
    ndarray of float64, shape (size, size)
        Flux of each pixel.
    """
    galsim = load_galsim()
    image = galsim.ImageD(size, size, scale=PIXEL_ARCSEC)
    # GalSim's obscured Airy is NaN at wave numbers where rounding takes it over the edge of a sector. It is rare,
    # but spoils the whole image; a hair's breadth beside such a wave number there is nothing wrong.
    for stretch in (1.0, 1 + 1e-6):
        galsim.Convolve(profile, psf.dilate(stretch)).drawImage(image=image, offset=galsim.PositionD(*offset))
        if np.isfinite(image.array).all():
            break
    return np.asarray(image.array, dtype=np.float64)


def half_light_radius(image: Array) -> float:
    """Return the radius in pixels of the circle around the centroid that holds half the light of a noise-free image."""
    y, x = np.indices(image.shape)
    total = image.sum()
    radius = np.hypot(x - (x * image).sum() / total, y - (y * image).sum() / total).ravel()
    order = np.argsort(radius)
    return float(np.interp(0.5 * total, np.cumsum(image.ravel()[order]), radius[order]))


def correlated_noise(size: int, sky_rms: float, rng: np.random.Generator) -> Array:
    """Draw the noise of the drizzled COSMOS mosaic, which is correlated from pixel to pixel (Leauthaud et al. 2007).

    Parameters
    ----------
    size : int
        Rows and columns.
    sky_rms : float
        Standard deviation of a pixel.
    rng : Generator
        Seeds GalSim's own generator.

    Returns
    -------
    ndarray of float64, shape (size, size)
    """
    galsim = load_galsim()
    image = galsim.ImageD(size, size, scale=PIXEL_ARCSEC)
    deviate = galsim.BaseDeviate(int(rng.integers(1, 2**31 - 1)))
    _cosmos_noise().copy(rng=deviate).withVariance(sky_rms**2).applyTo(image)
    return np.asarray(image.array, dtype=np.float64)


@cache
def _cosmos_noise() -> Any:
    return load_galsim().getCOSMOSNoise()
