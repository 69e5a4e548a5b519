"""Distances against astropy, analytic cases and direct integration."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy.cosmology import FLRW
from astropy_reference import MASSLESS, astropy_of
from scipy.integrate import quad

from astropipe.inference.background import SPEED_OF_LIGHT, Radiation, cosmology
from astropipe.inference.distances import (
    Redshifts,
    curved,
    distance_modulus,
    hubble,
    lookback_time,
    luminosity_distance,
    transverse_distance,
)
from astropipe.runtime.errors import InputError

Z = np.geomspace(0.01, 1100.0, 40)


def draws(number: int) -> list[tuple[float, float, float, float, float]]:
    """(h0, omega_m, omega_k, w0, wa) over wide ranges, with an early universe free of dark energy."""
    rng = np.random.default_rng(3)
    low, high = [40.0, 0.05, -0.3, -3.0, -3.0], [100.0, 0.95, 0.3, 0.5, 2.0]
    kept = [tuple(p) for p in rng.uniform(low, high, size=(20 * number, 5)).tolist() if p[3] + p[4] < 0.0]
    return kept[:number]


def assert_agrees(theirs: FLRW, parameters: tuple[float, ...], radiation: Radiation) -> None:
    h0, omega_m, omega_k, w0, wa = parameters
    universe = cosmology(omega_m, h0, omega_k=omega_k, w0=w0, wa=wa, radiation=radiation)
    redshifts = Redshifts(Z)
    for ours, expected in (
        (hubble(universe, redshifts), theirs.H(Z).value),
        (transverse_distance(universe, redshifts), theirs.comoving_transverse_distance(Z).value),
        (luminosity_distance(universe, redshifts), theirs.luminosity_distance(Z).value),
        (lookback_time(universe, redshifts), theirs.lookback_time(Z).to_value("Gyr")),
    ):
        np.testing.assert_allclose(ours[0], expected, rtol=1e-8)
    np.testing.assert_allclose(distance_modulus(universe, redshifts)[0], theirs.distmod(Z).value, atol=1e-7, rtol=0.0)


@pytest.mark.parametrize("radiation", [Radiation(), MASSLESS], ids=["massive", "massless"])
@pytest.mark.parametrize("parameters", draws(12))
def test_curved_w0wa_universes_agree_with_astropy(
    parameters: tuple[float, float, float, float, float], radiation: Radiation
) -> None:
    theirs = astropy_of(*parameters, radiation)
    if np.any(theirs.efunc(np.geomspace(0.001, 1100.0, 2000)) ** 2 <= 0.0):
        pytest.fail("the drawn universe bounces; narrow the ranges")
    assert_agrees(theirs, parameters, radiation)


@pytest.mark.parametrize(
    "parameters",
    [(67.4, 0.315, 0.0, -1.0, 0.0), (70.0, 0.2, -0.02, -1.0, 0.0), (70.0, 0.3, 0.1, -1.0, 0.0)],
    ids=["flat", "closed", "open"],
)
def test_lambda_universes_agree_with_astropy(parameters: tuple[float, float, float, float, float]) -> None:
    assert_agrees(astropy_of(*parameters, Radiation()), parameters, Radiation())


def test_many_universes_at_once_are_the_single_ones() -> None:
    points = np.array(draws(9))
    redshifts = Redshifts(Z)
    columns = dict(zip(("h0", "omega_m", "omega_k", "w0", "wa"), points.T, strict=True))
    together = transverse_distance(cosmology(**columns), redshifts)
    for row, (h0, omega_m, omega_k, w0, wa) in zip(together, points, strict=True):
        alone = transverse_distance(cosmology(omega_m, h0, omega_k=omega_k, w0=w0, wa=wa), redshifts)
        np.testing.assert_allclose(row, alone[0], rtol=1e-12)


def test_einstein_de_sitter_has_its_closed_form() -> None:
    cold = Radiation(t_cmb=1e-3, neutrino_mass=0.0)
    ours = transverse_distance(cosmology(1.0, 50.0, radiation=cold), Redshifts(Z))
    expected = 2.0 * SPEED_OF_LIGHT / 50.0 * (1.0 - 1.0 / np.sqrt(1.0 + Z))
    np.testing.assert_allclose(ours[0], expected, rtol=1e-9)


@pytest.mark.parametrize("wb", [-1.5, 2.0])
def test_the_third_dark_energy_parameter_by_direct_integration(wb: float) -> None:
    cold = Radiation(t_cmb=1e-3, neutrino_mass=0.0)

    def inverse_e(z: float) -> float:
        growth = quad(
            lambda x: 3.0 * (0.1 + -0.4 * (1.0 - np.exp(-x)) + wb * (1.0 - np.exp(-x)) ** 2), 0.0, np.log1p(z)
        )[0]
        return 1.0 / np.sqrt(0.3 * (1.0 + z) ** 3 + 0.7 * np.exp(growth))

    universe = cosmology(0.3, 70.0, w0=-0.9, wa=-0.4, wb=wb, radiation=cold)
    ours = transverse_distance(universe, Redshifts([0.5, 3.0]))[0]
    expected = [SPEED_OF_LIGHT / 70.0 * quad(inverse_e, 0.0, z, epsrel=1e-10)[0] for z in (0.5, 3.0)]
    np.testing.assert_allclose(ours, expected, rtol=1e-8)


@pytest.mark.parametrize("omega_k", [1e-7, -1e-7])
def test_curvature_goes_over_into_flat_space_smoothly(omega_k: float) -> None:
    near = transverse_distance(cosmology(0.3, 70.0, omega_k=omega_k), Redshifts(Z))
    flat = transverse_distance(cosmology(0.3, 70.0), Redshifts(Z))
    np.testing.assert_allclose(near, flat, rtol=1e-6)
    # Either side of the point where the series takes over.
    universe = cosmology(0.3, omega_k=omega_k)
    edge = 1e-3 / np.sqrt(abs(omega_k))
    below, above = curved(universe, np.array([[edge * (1 - 1e-9), edge * (1 + 1e-9)]]))[0] / edge
    assert below == pytest.approx(above, rel=3e-9)


def test_order_and_repeats_of_redshifts_do_not_matter() -> None:
    universe = cosmology([0.3, 0.5], 70.0, w0=-0.8)
    mixed = transverse_distance(universe, Redshifts([2.0, 0.5, 0.0, 2.0]))
    sorted_ = transverse_distance(universe, Redshifts([0.5, 2.0]))
    np.testing.assert_allclose(mixed[:, [1, 0]], sorted_, rtol=1e-12)
    np.testing.assert_array_equal(mixed[:, 0], mixed[:, 3])
    np.testing.assert_array_equal(mixed[:, 2], 0.0)


def test_a_bouncing_universe_has_no_distance_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distance = transverse_distance(cosmology([0.05, 0.3], omega_k=[-1.5, 0.0]), Redshifts([1.0, 5.0]))
    assert np.isnan(distance[0]).any()
    assert np.isfinite(distance[1]).all()


@pytest.mark.parametrize("bad", [[0.1, np.nan], [0.1, -1.0], [0.1, np.inf]])
def test_a_redshift_that_is_none_is_named(bad: list[float]) -> None:
    with pytest.raises(InputError, match="entry 1"):
        Redshifts(bad)
