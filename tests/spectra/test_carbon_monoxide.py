"""Carbon and oxygen that carbon monoxide leaves: conservation, limits, and the constant of Tsuji."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from astropy import constants, units
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


def test_carbon_monoxide_forms_as_statistical_mechanics_says() -> None:
    # The binding that the module has, from what it leaves.
    carbon, oxygen = free(4000.0, 1.0)
    free_c, free_o = SUN_C * 10.0**carbon, SUN_O * 10.0**oxygen
    log_binding = np.log10((SUN_O - free_o) / (free_c * free_o))
    temperature_k = 0.9 * 4000.0
    # Saha's equation for a molecule: atoms with the levels of their ground terms (J = 0, 1, 2; energies over k in K),
    # the molecule as a rotor and an oscillator (B 1.931 /cm, omega 2170 /cm), 11.09 eV. The 1D and 1S levels of the
    # atoms, at 1.3 to 4.2 eV, are a few per cent.
    c_atom = 1.0 + 3.0 * np.exp(-23.6 / temperature_k) + 5.0 * np.exp(-62.4 / temperature_k)
    o_atom = 5.0 + 3.0 * np.exp(-227.7 / temperature_k) + 1.0 * np.exp(-326.6 / temperature_k)
    hc_over_k = (constants.h * constants.c / constants.k_B).to_value("K cm")
    molecule = temperature_k / (hc_over_k * 1.931) / (1.0 - np.exp(-hc_over_k * 2170.0 / temperature_k))
    thermal = constants.k_B * temperature_k * units.K
    reduced = 12.011 * 15.999 / 28.010 * constants.u
    motions = ((2.0 * np.pi * reduced * thermal / constants.h**2) ** 1.5 * thermal).to_value(units.dyn / units.cm**2)
    bound = np.exp(-(11.09 * units.eV / thermal).to_value(""))
    log_dissociation = np.log10(motions * c_atom * o_atom / molecule * bound)
    log_pressure = 2.91 + 1.22 * (5040.0 / 4000.0 - 1.2)
    assert log_binding == pytest.approx(log_pressure - log_dissociation, abs=0.1)


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
