"""Spectra on the common pixels: coadds are copied, others interpolated, gaps stay gaps."""

from __future__ import annotations

import numpy as np
import pytest

from astropipe.runtime.errors import UsageError
from astropipe.spectra.pixels import (
    LOG10_STEP,
    N_PIXELS,
    OBSERVED,
    PIXEL_KM_S,
    arm_slices,
    to_pixels,
    wavelengths_a,
)

BLUE = OBSERVED[0]


def test_a_pixel_is_seven_kilometres_a_second() -> None:
    # 299792.458 km/s x ln(10) x 1e-5.
    assert pytest.approx(6.90297, abs=1e-4) == PIXEL_KM_S
    assert N_PIXELS == len(wavelengths_a()) == arm_slices()["red"].stop


def test_a_coadd_is_copied_although_float32_rounds_its_wavelengths() -> None:
    rng = np.random.default_rng(0)
    loglam = (LOG10_STEP * (BLUE.first + 17 + np.arange(3_771))).astype(np.float32)
    flux, ivar = rng.normal(100.0, 5.0, 3_771), rng.uniform(0.01, 0.05, 3_771)
    mask = np.zeros(3_771, dtype=bool)
    mask[100] = True
    ivar[200] = 0.0
    flux[300] = np.nan
    out_flux, out_ivar, out_mask = to_pixels(10.0 ** loglam.astype(float), flux, ivar, mask, BLUE)
    kept = np.ones(3_771, dtype=bool)
    kept[[100, 200, 300]] = False
    np.testing.assert_array_equal(out_flux[17:3788][kept], flux[kept].astype(np.float32))
    np.testing.assert_allclose(out_ivar[17:3788][kept], ivar[kept], rtol=1e-6)
    assert out_mask.sum() == BLUE.size - kept.sum()
    assert out_ivar[out_mask].max() == 0.0


def test_noise_of_interpolated_pixels_has_the_variance_that_is_stated() -> None:
    rng = np.random.default_rng(1)
    log10 = LOG10_STEP * (BLUE.first + 40.3 + 0.9 * np.arange(4_000))
    pulls = []
    for _ in range(40):
        flux = 50.0 + rng.normal(0.0, 2.0, 4_000)
        out, ivar, mask = to_pixels(10.0**log10, flux, np.full(4_000, 0.25), np.zeros(4_000, dtype=bool), BLUE)
        pulls.append(((out - 50.0) * np.sqrt(ivar))[~mask])
    assert np.std(np.concatenate(pulls)) == pytest.approx(1.0, abs=0.01)


def test_interpolation_keeps_a_line_and_a_gap() -> None:
    log10 = LOG10_STEP * (BLUE.first + 0.5 + np.arange(4_000))
    wavelength = 10.0**log10
    gap = (wavelength > 5_100.0) & (wavelength < 5_110.0)
    line = 1.0 - 0.5 * np.exp(-0.5 * ((wavelength - 5_000.0) / 0.3) ** 2)
    ones = np.ones(4_000)
    out, _, mask = to_pixels(wavelength[~gap], line[~gap], ones[~gap], np.zeros((~gap).sum(), dtype=bool), BLUE)
    x = BLUE.wavelength_a
    truth = 1.0 - 0.5 * np.exp(-0.5 * ((x - 5_000.0) / 0.3) ** 2)
    assert np.abs(out - truth)[~mask].max() < 0.011  # second difference over 8: 0.5 (0.115 A)^2 / (8 x 0.3^2 A^2)
    assert mask[(x > 5_100.1) & (x < 5_109.9)].all()
    assert not mask[(x > 4_900.0) & (x < 5_099.0)].any()


def test_unsorted_wavelengths_are_refused() -> None:
    with pytest.raises(UsageError, match=r"blue.*sort"):
        to_pixels(np.array([5000.0, 4999.0]), np.ones(2), np.ones(2), np.zeros(2, dtype=bool), BLUE)
