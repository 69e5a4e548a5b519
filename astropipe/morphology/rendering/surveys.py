"""The simulated survey that a configuration asks for, by either renderer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from astropipe.config.morphology import SimulateConfig
from astropipe.morphology.rendering import survey
from astropipe.morphology.rendering.chronometers import Chronometers
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.errors import UsageError


def survey_of(config: SimulateConfig, seed: int) -> Callable[[int, int], Stamps]:
    """Return a function that simulates galaxies of a range of numbers.

    Where they get redshifts, those of the analytic renderer appear the smaller the farther they are; GalSim has sizes
    of its own.

    Raises
    ------
    MissingDependencyError
        If GalSim is to draw and is not installed.
    UsageError
        If GalSim is to draw other pixels than those it is set up for.
    """
    ages = Chronometers(config.chronometers, seed) if config.chronometers.enabled else None
    images = _renderer(config, seed, ages)
    if ages is None:
        return images

    def with_ages(first: int, last: int) -> Stamps:
        stamps = images(first, last)
        columns = ages.columns(np.arange(first, last), stamps.columns["morphology"])
        return replace(stamps, columns=stamps.columns | columns)

    return with_ages


def _renderer(config: SimulateConfig, seed: int, ages: Chronometers | None) -> Callable[[int, int], Stamps]:
    if config.renderer == "galsim":
        from astropipe.morphology.rendering import galsim_parts, galsim_renderer

        galsim_parts.load_galsim()
        if config.pixel_scale_arcsec != galsim_parts.PIXEL_ARCSEC:
            raise UsageError(
                f"GalSim draws galaxies as HST/ACS sees them, with pixels of {galsim_parts.PIXEL_ARCSEC} arcsec; set "
                f"morphology.simulate.pixel_scale_arcsec to that, or the renderer to analytic"
            )
        snr = (config.snr_low, config.snr_high)
        return lambda first, last: galsim_renderer.render_survey(first, last, snr, seed=seed, size=config.size)
    settings = survey.Survey(
        size=config.size,
        pixel_scale_arcsec=config.pixel_scale_arcsec,
        psf_fwhm_arcsec=config.psf_fwhm_arcsec,
        snr=(config.snr_low, config.snr_high),
        noise_correlation_px=config.noise_correlation_px,
    )

    def draw(first: int, last: int) -> Stamps:
        factors = None if ages is None else ages.size_factors(np.arange(first, last))
        return survey.simulate(settings, seed, first, last, factors)

    return draw
