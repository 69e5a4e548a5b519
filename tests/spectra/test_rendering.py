"""Broadened and shifted spectra against lines whose profile is known analytically."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from line_emulator import AREA, CENTRES, WIDTH_KM_S, line, line_emulator

from astropipe.spectra.emulator import RESOLUTION
from astropipe.spectra.pixels import LOG10_STEP, OBSERVED, SPEED_OF_LIGHT_KM_S
from astropipe.spectra.rendering import Renderer, line_spread_variance

FWHM_PER_SIGMA = 2.354820


def _seen(binning: int, rv: float, v_sin_i: float, resolution: float) -> torch.Tensor:
    view = Renderer(line_emulator(), binning)
    variance = torch.full((1, 2), float(line_spread_variance(resolution)))
    transfer = view.transfer(torch.tensor([rv]), torch.tensor([v_sin_i]), variance)
    return view.pixels(view.transforms(torch.zeros(1, 2)) * transfer.factor)[0]


def _expected(rv: float, resolution: float) -> np.ndarray:
    sigma = np.sqrt(WIDTH_KM_S**2 + (SPEED_OF_LIGHT_KM_S / FWHM_PER_SIGMA) ** 2 * (resolution**-2 - RESOLUTION**-2))
    shift = np.log10(1.0 + rv / SPEED_OF_LIGHT_KM_S) / LOG10_STEP
    return np.concatenate(
        [
            1.0 - line(arm.first + np.arange(arm.size), centre + shift, sigma, AREA)
            for arm, centre in zip(OBSERVED, CENTRES, strict=True)
        ]
    )


@pytest.mark.parametrize("rv", [0.0, 3.2, -300.0, 300.0])
@pytest.mark.parametrize("resolution", [6500.0, 8500.0])
def test_lines_are_where_and_as_wide_as_they_must_be(rv: float, resolution: float) -> None:
    np.testing.assert_allclose(_seen(1, rv, 0.0, resolution).numpy(), _expected(rv, resolution), atol=2e-6)


def test_pairs_are_means_of_two_pixels() -> None:
    single = _seen(1, 41.0, 10.0, 7500.0).numpy().reshape(-1, 2).mean(axis=1)
    np.testing.assert_allclose(_seen(2, 41.0, 10.0, 7500.0).numpy(), single, atol=3e-6)


def test_rotation_adds_its_variance_and_keeps_the_area() -> None:
    # With linear limb darkening 0.6 the variance of the profile is v² (1/4 - e/20) / (1 - e/3)... by its moments:
    v, e = 30.0, 0.6
    x = np.linspace(-1.0, 1.0, 200_001)
    profile = 2.0 * (1.0 - e) * np.sqrt(1.0 - x**2) + 0.5 * np.pi * e * (1.0 - x**2)
    expected = v**2 * np.sum(x**2 * profile) / np.sum(profile)
    still, turning = (1.0 - _seen(1, 0.0, value, 7500.0).double().numpy()[:4200] for value in (0.0, v))
    position = (OBSERVED[0].first + np.arange(4200) - CENTRES[0]) * np.log(10.0) * LOG10_STEP * SPEED_OF_LIGHT_KM_S
    assert turning.sum() == pytest.approx(still.sum(), rel=1e-4)
    near = np.abs(position) < 150.0
    variance = [np.sum(position[near] ** 2 * flux[near]) / np.sum(flux[near]) for flux in (still, turning)]
    assert variance[1] - variance[0] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("v_sin_i", [8.0, 15.0, 60.0])
def test_the_derivative_by_rotation_is_that_of_differences(v_sin_i: float) -> None:
    view = Renderer(line_emulator(), 2)
    variance = torch.full((1, 2), 50.0)

    def transfer(square: float) -> torch.Tensor:
        return view.transfer(torch.zeros(1), torch.tensor([square**0.5]), variance).factor

    square = v_sin_i**2
    step = 0.05 * square
    exact = view.transfer(torch.zeros(1), torch.tensor([v_sin_i]), variance, derivatives=True)
    assert exact.by_rotation is not None
    found = view.pixels(view.transforms(torch.zeros(1, 2)) * exact.factor * exact.by_rotation)
    up, down = (view.pixels(view.transforms(torch.zeros(1, 2)) * transfer(square + way * step)) for way in (1, -1))
    difference = (up - down) / (2.0 * step)
    scale = float(difference.abs().max())
    torch.testing.assert_close(found / scale, difference / scale, rtol=0, atol=0.02)


def test_pixels_beyond_the_emulator_are_not_valid() -> None:
    view = Renderer(line_emulator(), 1)
    valid = view.valid(torch.tensor([0.0, 300.0, -300.0]))
    # 300 km/s are 43.5 pixels; eight more at an end are smeared.
    assert [int((~row[:4200]).sum()) for row in valid] == [8, 52, 0]
