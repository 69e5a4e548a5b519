"""Carbon and oxygen that carbon monoxide leaves: conservation, limits, and the constant of Tsuji."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from astropipe.spectra.carbon_monoxide import free_carbon_and_oxygen
from astropipe.spectra.emulator import INPUT_NAMES

SUN_C, SUN_O = 10.0 ** (8.39 - 12.0), 10.0 ** (8.66 - 12.0)


def star(t_eff: float, log_g: float, **labels: float) -> torch.Tensor:
    row = torch.zeros(1, len(INPUT_NAMES), dtype=torch.float64)
    row[0, 0], row[0, 1] = t_eff, log_g
    for name, value in labels.items():
        row[0, INPUT_NAMES.index(name)] = value
    return row


def free(*arguments: float, **labels: float) -> tuple[float, float]:
    carbon, oxygen = free_carbon_and_oxygen(star(*arguments, **labels))
    return float(carbon), float(oxygen)


def test_what_is_bound_of_carbon_is_bound_of_oxygen_and_the_law_of_mass_action_holds() -> None:
    carbon, oxygen = free(4500.0, 2.0)
    bound = SUN_C * (1.0 - 10.0**carbon)
    assert bound == pytest.approx(SUN_O * (1.0 - 10.0**oxygen), rel=1e-10)
    # The layer in question: 0.9 of the effective temperature, and its pressure.
    theta = 5040.0 / 4500.0 / 0.9
    log_dissociation = 13.82 - 11.795 * theta + 0.17217 * theta**2 - 0.022888 * theta**3 + 0.0011349 * theta**4
    log_pressure = 2.91 + 1.22 * (5040.0 / 4500.0 - 1.2) + 0.59
    binding = 10.0 ** (log_pressure - log_dissociation)
    expected = brentq(lambda x: binding * (SUN_C - x) * (SUN_O - x) - x, 0.0, SUN_C, xtol=1e-20, rtol=1e-12)
    assert bound == pytest.approx(expected, rel=1e-8)


def test_the_constant_is_that_of_the_energy_that_binds_carbon_monoxide() -> None:
    # Van 't Hoff: d log10 K / d (5040 K / T) is minus the energy in eV, 11.09 of CO, plus that of the motions.
    theta = np.array([0.9, 1.4])
    log_k = 13.82 - 11.795 * theta + 0.17217 * theta**2 - 0.022888 * theta**3 + 0.0011349 * theta**4
    assert -np.diff(log_k)[0] / np.diff(theta)[0] == pytest.approx(11.09 + 0.35, abs=0.2)


def test_hot_stars_have_all_of_it_and_in_cool_ones_the_rarer_is_bound() -> None:
    assert free(6900.0, 4.2) == pytest.approx((0.0, 0.0), abs=2e-3)
    carbon, oxygen = free(3850.0, 4.7)
    assert carbon < -4.0
    assert oxygen == pytest.approx(np.log10(1.0 - SUN_C / SUN_O), abs=1e-3)
    # Near C/O = 1 oxygen falls by far more than carbon rises.
    assert free(3850.0, 4.7, c_h=0.19)[1] < oxygen - 0.4


def test_digits_are_kept_where_little_is_bound_and_where_nearly_all_is() -> None:
    for t_eff, log_g, c_h in ((7000.0, 0.5, -2.5), (3800.0, 5.0, 0.25), (3800.0, 5.0, -2.5)):
        carbon, oxygen = free(t_eff, log_g, c_h=c_h, fe_h=-2.0)
        assert np.isfinite(carbon) and np.isfinite(oxygen)
        assert carbon <= c_h and oxygen <= 0.0
