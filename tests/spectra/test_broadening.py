"""Broadening in Fourier space, against profiles integrated in velocity."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from astropipe.spectra.broadening import (
    LIMB_DARKENING,
    doppler,
    frequencies_s_km,
    line_spread,
    macroturbulence,
    rotation,
    sharper,
)
from astropipe.spectra.pixels import PIXEL_KM_S, SPEED_OF_LIGHT_KM_S


def gray_profile(v: float, v_sin_i: float) -> float:
    """Equation 18.14 of Gray (2005), area 1."""
    u = 1.0 - (v / v_sin_i) ** 2
    uniform, darkened = 2.0 * (1.0 - LIMB_DARKENING) * np.sqrt(u), 0.5 * np.pi * LIMB_DARKENING * u
    return float((uniform + darkened) / (np.pi * v_sin_i * (1.0 - LIMB_DARKENING / 3.0)))


@pytest.mark.parametrize("v_sin_i", [0.05, 8.0, 60.0])
@pytest.mark.parametrize("frequency", [0.0, 1e-4, 3e-3, 0.02, 0.06])
def test_rotation_is_the_transform_of_grays_profile(v_sin_i: float, frequency: float) -> None:
    expected, _ = quad(
        lambda v: gray_profile(v, v_sin_i) * np.cos(2 * np.pi * frequency * v),
        -v_sin_i,
        v_sin_i,
        limit=200,
        epsabs=1e-11,
    )
    assert rotation(frequency, v_sin_i) == pytest.approx(expected, abs=2e-7)


@pytest.mark.parametrize(
    ("transform", "profile", "width"),
    [
        (lambda s: macroturbulence(s, 5.0), lambda v: np.exp(-((v / 5.0) ** 2)) / (5.0 * np.sqrt(np.pi)), 50.0),
        (
            lambda s: line_spread(s, 7500.0),
            lambda v: np.exp(-0.5 * (v / 16.975) ** 2) / (16.975 * np.sqrt(2 * np.pi)),  # 299792.458 / 7500 / 2.35482
            200.0,
        ),
    ],
)
def test_gaussian_kernels(transform, profile, width) -> None:  # type: ignore[no-untyped-def]
    for frequency in (0.0, 0.004, 0.02):
        expected, _ = quad(lambda v, s=frequency: profile(v) * np.cos(2 * np.pi * s * v), -width, width, limit=200)
        assert transform(frequency) == pytest.approx(expected, abs=1e-5)


def test_resolutions_add_in_quadrature() -> None:
    frequency = frequencies_s_km(256)
    both = line_spread(frequency, 12_000.0) * line_spread(frequency, sharper(7_500.0, 12_000.0))
    np.testing.assert_allclose(both, line_spread(frequency, 7_500.0), rtol=1e-12)


def test_a_shift_moves_a_line_to_where_the_doppler_formula_puts_it() -> None:
    n, rv = 1024, 123.4
    log_wavelength = np.log(5000.0) + np.arange(n) * PIXEL_KM_S / SPEED_OF_LIGHT_KM_S
    centre = np.exp(log_wavelength[400])

    def line(at: float) -> np.ndarray:
        return np.asarray(np.exp(-0.5 * ((log_wavelength - np.log(at)) / 6e-5) ** 2))

    moved = np.fft.irfft(np.fft.rfft(line(centre)) * doppler(frequencies_s_km(n), rv), n)
    np.testing.assert_allclose(moved, line(centre * (1.0 + rv / SPEED_OF_LIGHT_KM_S)), atol=1e-8)
