"""Residuals of night-sky lines: where they lie, and that a fit does not take them for oxygen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from astropipe.spectra.fitting import read_fitter
from astropipe.spectra.labels import label_index
from astropipe.spectra.pairs import pair
from astropipe.spectra.pixels import SPEED_OF_LIGHT_KM_S, arm_slices, wavelengths_a
from astropipe.spectra.rendering import renderer
from astropipe.spectra.sky import RESIDUAL, mean_square_residual, residual_at

RED = arm_slices()["red"]
# [O I] 3P2 - 1D2 in vacuum (NIST Atomic Spectra Database).
OXYGEN_A = 6302.046


@pytest.mark.parametrize("velocity", [-30.0, 0.0, 25.0])
def test_the_strongest_line_is_that_of_oxygen_at_the_velocity_of_the_earth(velocity: float) -> None:
    lines = residual_at(velocity)
    near = np.abs(wavelengths_a()[RED] - OXYGEN_A) < 3.0
    centre = np.sum(wavelengths_a()[RED][near] * lines[near]) / lines[near].sum()
    assert centre == pytest.approx(OXYGEN_A * (1.0 + velocity / SPEED_OF_LIGHT_KM_S), abs=0.01)
    assert lines.max() == pytest.approx(1.0, abs=0.02)


def test_the_usual_residual_is_spread_over_the_velocities_of_the_earth() -> None:
    red = wavelengths_a()[RED]
    spread = np.sqrt(mean_square_residual())
    inside = np.abs(red / OXYGEN_A - 1.0) * SPEED_OF_LIGHT_KM_S < 30.0
    assert 0.3 * RESIDUAL < spread[inside].min() <= spread.max() < RESIDUAL
    # No line of the sky is known between these.
    assert spread[(red > 6400.0) & (red < 6450.0)].max() < 1e-6


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_residual_on_the_oxygen_line_of_a_giant_is_within_its_errors(sign: float) -> None:
    fitter = read_fitter()
    labels = torch.tensor([[4800.0, 2.5, *[0.0] * 15, 1.5]])
    view = renderer(fitter.emulator)
    with torch.no_grad():
        transfer = view.transfer(torch.zeros(1), torch.full((1,), 2.0), torch.full((1, 2), 250.0))
        spectrum = view.pixels(view.transforms(fitter.emulator.coefficients(labels)) * transfer.factor).numpy()
        ivar = np.full(spectrum.shape, 100.0**2)
        with_sky = spectrum.copy()
        with_sky[:, RED] += sign * RESIDUAL * residual_at(0.0)
        fits = [fitter(pair(flux, ivar)) for flux in (spectrum, with_sky)]
    oxygen = label_index("o_h")
    change = float(fits[1].parameters[0, oxygen] - fits[0].parameters[0, oxygen])
    assert abs(change) < 1.5 * float(fits[1].covariance[0, oxygen, oxygen]) ** 0.5
