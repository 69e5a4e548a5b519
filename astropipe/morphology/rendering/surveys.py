"""The simulated survey that a configuration asks for, by either renderer."""

from __future__ import annotations

from collections.abc import Callable

from astropipe.config.morphology import SimulateConfig
from astropipe.morphology.rendering import survey
from astropipe.morphology.stamps import Stamps
from astropipe.runtime.errors import UsageError


def survey_of(config: SimulateConfig, seed: int) -> Callable[[int, int], Stamps]:
    """Return a function that simulates galaxies of a range of numbers.

    Raises
    ------
    MissingDependencyError
        If GalSim is to draw and is not installed.
    UsageError
        If GalSim is to draw other pixels than those it is set up for.
    """
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
    return lambda first, last: survey.simulate(settings, seed, first, last)
