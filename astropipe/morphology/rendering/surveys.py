"""The simulated survey that a configuration asks for, by either renderer."""

from __future__ import annotations

from collections.abc import Callable

from astropipe.config.morphology import SimulateConfig
from astropipe.morphology.rendering import survey
from astropipe.morphology.stamps import Stamps


def survey_of(config: SimulateConfig, seed: int) -> Callable[[int, int], Stamps]:
    """Return a function that simulates galaxies of a range of numbers.

    Raises
    ------
    MissingDependencyError
        If GalSim is to draw and is not installed.
    """
    if config.renderer == "galsim":
        from astropipe.morphology.rendering.galsim_survey import simulate_with_galsim

        return lambda first, last: simulate_with_galsim(config, seed, first, last)
    settings = survey.Survey(
        size=config.size,
        pixel_scale_arcsec=config.pixel_scale_arcsec,
        psf_fwhm_arcsec=config.psf_fwhm_arcsec,
        snr=(config.snr_low, config.snr_high),
        noise_correlation_px=config.noise_correlation_px,
    )
    return lambda first, last: survey.simulate(settings, seed, first, last)
