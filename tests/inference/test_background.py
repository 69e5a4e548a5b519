"""Expansion and densities against astropy and direct integration."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy_reference import MASSLESS, astropy_of
from scipy.integrate import quad

from astropipe.inference.background import (
    Radiation,
    cosmology,
    dark_energy_growth,
    epochs,
    expansion_squared,
)
from astropipe.inference.dark_energy import STANDARD


@pytest.mark.parametrize("radiation", [Radiation(), MASSLESS], ids=["massive", "massless"])
@pytest.mark.parametrize("omega_k", [0.0, -0.25, 0.25])
def test_densities_of_today_are_astropys(radiation: Radiation, omega_k: float) -> None:
    theirs = astropy_of(63.0, 0.28, omega_k, -0.8, -0.5, radiation)
    assert theirs.Ok0 == pytest.approx(omega_k, abs=1e-9)
    assert radiation.photons == pytest.approx(theirs.Ogamma0 * 0.63**2, rel=1e-9)


def test_massive_neutrinos_agree_with_camb() -> None:
    # CAMB 2.0.5 (set_cosmology: mnu=0.06, nnu=3.044, one massive species) gives omnuh2 = 0.00064490;
    # the fit of Komatsu et al. is good to half a per cent.
    assert Radiation().massive_today == pytest.approx(0.00064490, rel=5e-3)
    assert MASSLESS.massive_today == 0.0


@pytest.mark.parametrize(("w0", "wa", "wb"), [(-0.7, -1.2, 0.0), (-1.1, 0.6, -1.5), (-0.4, -2.0, 2.5)])
def test_dark_energy_is_the_integral_of_its_equation_of_state(w0: float, wa: float, wb: float) -> None:
    def integrand(ln_a: float) -> float:
        y = 1.0 - np.exp(ln_a)
        return 3.0 * (1.0 + w0 + wa * y + wb * y**2)

    for z in (0.3, 2.0, 30.0, 1100.0):
        expected = quad(integrand, -np.log1p(z), 0.0, epsabs=1e-12, epsrel=1e-12)[0]
        growth = dark_energy_growth(
            cosmology(0.3, w0=w0, wa=wa, wb=wb), epochs(np.log1p(np.array([z])), MASSLESS, STANDARD)
        )
        assert np.log(growth).item() == pytest.approx(expected, rel=1e-10)


def test_cosmological_constants_are_the_number_one() -> None:
    assert dark_energy_growth(cosmology([0.2, 0.4]), epochs(np.array([1.0]), MASSLESS, STANDARD)) == 1.0


def test_expansion_today_is_one_for_every_universe() -> None:
    universe = cosmology(np.linspace(0.05, 0.95, 7), 70.0, omega_k=np.linspace(-0.3, 0.3, 7), w0=-0.6, wa=-1.0, wb=1.0)
    today = expansion_squared(universe, epochs(np.zeros(1), universe.radiation, universe.dark_energy))
    np.testing.assert_allclose(today, 1.0, rtol=1e-14)


def test_a_prior_corner_that_overflows_is_infinite_without_a_warning() -> None:
    universe = cosmology(0.3, w0=30.0, wa=30.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        e2 = expansion_squared(universe, epochs(np.array([7.0]), MASSLESS, STANDARD))
    assert np.isposinf(e2).all()
