"""A simulated survey: rendered galaxies of all classes as stamps with point spread function, noise and companions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import rotate

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.rendering.components import roughness
from astropipe.morphology.rendering.galaxies import TRUTH, Galaxy, render
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.seeds import stream

# Median half-light radii in arcsec and their scatter in dex: chosen to grow from spheroids to irregulars, in the range
# of galaxies that HST resolves at I = 22 to 25.
_R_E_ARCSEC = {"SPH": 0.24, "ETD": 0.30, "LTD": 0.40, "IRR": 0.44}
_R_E_SCATTER_DEX = 0.12
_COMPANION_SHARE = 0.2
_MOFFAT_BETA = 4.0


@dataclass(frozen=True)
class Survey:
    """How galaxies are seen.

    Attributes
    ----------
    size : int
        Rows and columns of a stamp.
    pixel_scale_arcsec : float
        Size of a pixel.
    psf_fwhm_arcsec : float
        Full width at half maximum of the Moffat profile that blurs.
    snr : tuple of float
        Lowest and highest signal-to-noise ratio inside the half-light radius; between them its logarithm is uniform.
    noise_correlation_px : float
        Standard deviation of the Gaussian by which noise is correlated, as in drizzled images; 0 for none.
    """

    size: int = 128
    pixel_scale_arcsec: float = 0.03
    psf_fwhm_arcsec: float = 0.1
    snr: tuple[float, float] = (20.0, 100.0)
    noise_correlation_px: float = 0.5


def simulate(
    survey: Survey, seed: int, first: int, last: int, size_factors: NDArray[np.float64] | None = None
) -> Stamps:
    """Simulate galaxies `first` to `last` of a survey; classes take turns.

    Parameters
    ----------
    survey : Survey
        How they are seen.
    seed : int
        Root seed; each galaxy has a stream of its own, so that parts of a survey are parts of the same galaxies.
    first, last : int
        Range of numbers, the last excluded.
    size_factors : ndarray, shape (last - first,), optional
        By how much each appears larger than the classes are by themselves: nearer, or farther away.

    Returns
    -------
    Stamps
        Of unit noise. The truth is in the columns ``morphology``, ``r_e`` in arcsec, ``snr`` and those of `TRUTH`.
    """
    numbers = np.arange(first, last)
    classes = [CLASSES[i % len(CLASSES)] for i in numbers]
    shape = (len(numbers), survey.size, survey.size)
    images, masks = np.empty(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    truth = {name: np.full(len(numbers), np.nan) for name in (*TRUTH, "r_e", "snr")}
    factors = np.ones(len(numbers)) if size_factors is None else size_factors
    for row, (number, morphology) in enumerate(zip(numbers, classes, strict=True)):
        rng = stream(seed, "morphology.simulate", int(number))
        galaxy, images[row], masks[row], truth["snr"][row] = stamp_of(
            morphology, survey, rng, _radius_px(morphology, survey, rng, factors[row])
        )
        truth["r_e"][row] = galaxy.r50_px * survey.pixel_scale_arcsec
        for name, value in galaxy.truth.items():
            truth[name][row] = value
    n = len(numbers)
    return Stamps(
        ids=[f"sim-{number:07d}" for number in numbers],
        images=images,
        masks=masks,
        sky_rms=np.ones(n),
        pixel_scale_arcsec=np.full(n, survey.pixel_scale_arcsec),
        psf_fwhm_arcsec=np.full(n, survey.psf_fwhm_arcsec),
        flags=np.zeros(n, dtype=np.int64),
        columns={"morphology": np.array(classes), **truth},
    )


def _radius_px(morphology: str, survey: Survey, rng: np.random.Generator, factor: float) -> float:
    r_e = _R_E_ARCSEC[morphology] * 10 ** rng.normal(0.0, _R_E_SCATTER_DEX) / survey.pixel_scale_arcsec
    return float(np.clip(r_e * factor, 2.0, survey.size / 7))


def stamp_of(
    morphology: str, survey: Survey, rng: np.random.Generator, r50_px: float
) -> tuple[Galaxy, NDArray[np.float32], NDArray[np.bool_], float]:
    """Return a galaxy, its image with unit noise, the mask of its companion, and its signal-to-noise ratio.

    Parameters
    ----------
    morphology : str
        Its class.
    survey : Survey
        How it is seen.
    rng : numpy.random.Generator
        All that is random.
    r50_px : float
        Half-light radius.
    """
    size = survey.size
    galaxy = render(morphology, rng, size=size, r50_px=r50_px)
    snr = float(np.exp(rng.uniform(*np.log(survey.snr))))
    flux = snr * np.sqrt(np.pi) * galaxy.r50_px / 0.5
    fwhm_px = survey.psf_fwhm_arcsec / survey.pixel_scale_arcsec
    # Galaxies are turned at random, and do not stand on the middle of pixels. Blurred first: interpolation cuts cusps.
    turn, shift = rng.uniform(0.0, 360.0), rng.uniform(-0.5, 0.5, 2)
    image = rotate(convolved(galaxy.image, fwhm_px, shift), turn, reshape=False, order=3) * np.float32(flux)
    mask = np.zeros((size, size), dtype=bool)
    if rng.random() < _COMPANION_SHARE:
        light = convolved(_companion(galaxy.r50_px, size, rng), fwhm_px) * np.float32(flux * rng.uniform(0.05, 0.5))
        image, mask = image + light, light > 0.5
    noise = roughness(size, rng, slope=0.0, cutoff_px=2 * np.pi * survey.noise_correlation_px)
    return galaxy, (image + noise).astype(np.float32), mask, snr


def _companion(r50_px: float, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    small = render(str(rng.choice(CLASSES)), rng, size=size, r50_px=r50_px * rng.uniform(0.3, 0.6))
    turn, apart = rng.uniform(0, 2 * np.pi), r50_px * rng.uniform(3.5, 4.5)
    return np.roll(small.image, (int(apart * np.sin(turn)), int(apart * np.cos(turn))), axis=(0, 1))


def convolved(
    image: NDArray[np.float32], fwhm_px: float, shift_px: NDArray[np.float64] | tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float32]:
    """Return an image blurred by a Moffat profile and shifted by parts of a pixel, through its Fourier transform."""
    size = image.shape[0]
    alpha = fwhm_px / (2 * np.sqrt(2 ** (1 / _MOFFAT_BETA) - 1))
    axis = np.minimum(np.arange(size), size - np.arange(size))
    psf = (1 + (axis[:, None] ** 2 + axis[None, :] ** 2) / alpha**2) ** -_MOFFAT_BETA
    ky, kx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    moved = np.exp(-2j * np.pi * (kx * shift_px[0] + ky * shift_px[1]))
    spectrum = np.fft.rfft2(image) * np.fft.rfft2(psf / psf.sum()) * moved
    return np.fft.irfft2(spectrum, s=image.shape).astype(np.float32)
