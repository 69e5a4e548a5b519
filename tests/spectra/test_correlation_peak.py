"""The peak of the correlation of wide lines, where it is known."""

from __future__ import annotations

import pytest
import torch

from astropipe.spectra.correlation_peak import CorrelationPeak
from astropipe.spectra.emulator import read_emulator
from astropipe.spectra.pixels import PIXEL_KM_S
from astropipe.spectra.rendering import line_spread_variance, renderer

SUN = [5_772.0, 4.44, *[0.0] * 15, 1.05]
VIEW = renderer(read_emulator(), 2)


def _transforms(rv_km_s: float, v_sin_i_km_s: float) -> torch.Tensor:
    variance = torch.full((1, 2), float(line_spread_variance(7_500.0)))
    transfer = VIEW.transfer(torch.tensor([rv_km_s]), torch.tensor([v_sin_i_km_s]), variance)
    return VIEW.transforms(VIEW.emulator.coefficients(torch.tensor([SUN]))) * transfer.factor


@pytest.mark.parametrize("rv", [-41.0, -20.0, 0.0, 3.0, 33.0])
def test_a_turning_star_is_found_at_its_velocity(rv: float) -> None:
    lines = VIEW.pixels(_transforms(rv, 30.0)) - 1.0
    weights = torch.full_like(lines, 1e4)
    # The template is at a velocity beside that of the star.
    assert float(CorrelationPeak(VIEW)(_transforms(0.0, 0.0), lines, weights)) == pytest.approx(rv, abs=1.0)


def test_of_two_stars_the_brighter_one_is_found() -> None:
    lines = 0.7 * VIEW.pixels(_transforms(-30.0, 3.0)) + 0.3 * VIEW.pixels(_transforms(70.0, 3.0)) - 1.0
    peak = CorrelationPeak(VIEW)(_transforms(-5.0, 0.0), lines, torch.full_like(lines, 1e4))
    assert -5.0 + float(peak) == pytest.approx(-30.0, abs=2.0)


def test_sums_in_fourier_space_are_those_over_pixels() -> None:
    """Also with a mask: at shifts by whole pairs, template and observed pixels multiplied one by one."""
    generator = torch.Generator().manual_seed(3)
    lines = VIEW.pixels(_transforms(9.0, 25.0)) - 1.0
    weights = torch.rand(lines.shape, generator=generator) * (torch.rand(lines.shape, generator=generator) > 0.3)
    gains = []
    for step in range(-4, 5):
        moved = VIEW.pixels(_transforms(0.0, 0.0) * torch.exp(step * 2.0 * PIXEL_KM_S * VIEW.by_velocity)) - 1.0
        gains.append(float((weights * lines * moved).sum() / (weights * moved**2).sum().sqrt()))
    peak = CorrelationPeak(VIEW)
    template = VIEW.whole(_transforms(0.0, 0.0)) - 1.0
    pulled = peak._correlation(VIEW.placed(weights * lines), template)[0, 1::2]
    norm = peak._correlation(VIEW.placed(weights), template**2)[0, 1::2]
    torch.testing.assert_close(pulled / norm.sqrt(), torch.tensor(gains), rtol=2e-4, atol=1e-5)
