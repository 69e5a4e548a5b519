"""Galaxies as many surveys and picture-makers would have them: what the reader of features learns from.

Unlike in a survey, the sizes of galaxies say nothing about their classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.morphology.classes import CLASSES
from astropipe.morphology.flags import GalaxyFlag
from astropipe.morphology.rendering.galaxies import TRUTH
from astropipe.morphology.rendering.survey import Survey, stamp_of
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.seeds import stream

_SIZE = 128
_PIXEL_ARCSEC = 0.03
_R50_PX = (4.0, 18.0)
_SNR = (20.0, 600.0)
_FWHM_OVER_R50 = (0.12, 1.0)
_FWHM_PX = (1.2, 8.0)
_PICTURES = 0.3
_PSF_UNKNOWN = 0.2
_NOISE_ERROR = 0.04


def varied_stamps(seed: int, first: int, last: int) -> Stamps:
    """Draw galaxies `first` to `last`, each recorded in a way of its own; classes take turns.

    Parameters
    ----------
    seed : int
        Root seed; each galaxy has a stream of its own.
    first, last : int
        Range of numbers, the last excluded.

    Returns
    -------
    Stamps
        Three tenths of them pictures that were stretched for display (flag STRETCHED). The truth is in the columns
        ``morphology`` and those of `TRUTH`.
    """
    drawn = [
        _draw(CLASSES[number % len(CLASSES)], stream(seed, "morphology.variety", number))
        for number in range(first, last)
    ]
    images, masks, sky_rms, fwhm_px, flags, truths = zip(*drawn, strict=True)
    columns = {name: np.array([truth[name] for truth in truths]) for name in TRUTH}
    columns["morphology"] = np.array([CLASSES[number % len(CLASSES)] for number in range(first, last)])
    return Stamps(
        [f"varied-{number:07d}" for number in range(first, last)],
        np.array(images),
        np.array(masks),
        np.array(sky_rms),
        np.full(len(drawn), _PIXEL_ARCSEC),
        np.array(fwhm_px) * _PIXEL_ARCSEC,
        np.array(flags, dtype=np.int64),
        columns,
    )


def _draw(
    morphology: str, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_], float, float, int, dict[str, float]]:
    r50_px = _log_uniform(rng, *_R50_PX)
    fwhm_px = float(np.clip(r50_px * _log_uniform(rng, *_FWHM_OVER_R50), *_FWHM_PX))
    survey = Survey(
        size=_SIZE,
        pixel_scale_arcsec=_PIXEL_ARCSEC,
        psf_fwhm_arcsec=fwhm_px * _PIXEL_ARCSEC,
        snr=_SNR,
        noise_correlation_px=rng.uniform(0.0, 1.0),
    )
    galaxy, image, mask, _ = stamp_of(morphology, survey, rng, r50_px)
    if rng.random() < _PSF_UNKNOWN:
        fwhm_px = np.nan
    if rng.random() < _PICTURES:
        image, sky_rms = _picture(image, rng)
        return image, mask, sky_rms, fwhm_px, int(GalaxyFlag.STRETCHED), galaxy.truth
    # Nobody knows the noise of a stamp exactly.
    return image, mask, float(np.exp(rng.normal(0.0, _NOISE_ERROR))), fwhm_px, 0, galaxy.truth


def _picture(image: NDArray[np.float32], rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
    """Return an image of unit noise as a picture shows it, from 0 to 255, and the noise of its sky."""
    softening = _log_uniform(rng, 0.6, 60.0)
    bright = np.partition(image.ravel(), -8)[-8]
    shown = np.arcsinh(image / softening) / np.arcsinh(bright / softening)
    if rng.random() < 0.6:
        white = rng.uniform(0.45, 1.0)
        shown = np.minimum(shown, white) / white
    edge = np.concatenate((shown[:8].ravel(), shown[-8:].ravel()))
    sky_rms = 1.4826 * float(np.median(np.abs(edge - np.median(edge))))
    if rng.random() < 0.4:
        shown = np.maximum(shown, 0.0)
    return np.round(255 * shown).astype(np.float32), max(255 * sky_rms, 0.3)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
