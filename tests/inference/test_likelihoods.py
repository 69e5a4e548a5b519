"""Likelihoods of the data sets against scipy, numerical marginalisation and astropy."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy_reference import astropy_of
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import multivariate_normal

from astropipe.inference.background import SPEED_OF_LIGHT, Radiation, cosmology
from astropipe.inference.datasets import dataset
from astropipe.inference.likelihoods import likelihood
from astropipe.inference.likelihoods.bao import ruler
from astropipe.inference.likelihoods.gaussian import Gaussian
from astropipe.inference.likelihoods.joint import JointLikelihood
from astropipe.inference.sound_horizon import drag_horizon
from astropipe.runtime.errors import UsageError


def problem(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(11)
    root = rng.normal(size=(size, size))
    return rng.normal(size=size), root @ root.T + 0.3 * np.eye(size), rng.normal(size=(5, size))


def test_the_density_is_normalised_as_scipys() -> None:
    value, covariance, predictions = problem(6)
    ours = Gaussian(value, covariance).log_density(predictions)
    np.testing.assert_allclose(ours, multivariate_normal(value, covariance).logpdf(predictions), rtol=1e-12)


def test_the_free_offset_is_the_integral_over_it() -> None:
    value, covariance, predictions = problem(4)
    ours = Gaussian(value, covariance, free_offset=True).log_density(predictions)
    density = multivariate_normal(value, covariance)
    for prediction, log_density in zip(predictions, ours, strict=True):
        integral = quad(lambda m, p=prediction: density.pdf(p + m), -60.0, 60.0, epsabs=0.0, points=[0.0])[0]
        assert log_density == pytest.approx(np.log(integral), abs=1e-7)


def test_impossible_predictions_have_no_likelihood_and_raise_no_warning() -> None:
    value, covariance, predictions = problem(3)
    predictions[0, 1], predictions[1, 2], predictions[2, 0] = np.nan, np.inf, 1e200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = Gaussian(value, covariance).log_density(predictions)
    assert np.isneginf(ours[:3]).all()
    assert np.isfinite(ours[3:]).all()


def test_chronometers_compare_with_the_expansion_rate_of_astropy() -> None:
    data = dataset("chronometers-32")
    theirs = astropy_of(68.0, 0.32, 0.05, -0.9, 0.2, Radiation())
    expected = multivariate_normal(data.value, data.covariance).logpdf(theirs.H(data.z).value)
    ours = likelihood(data).log_likelihood(cosmology(0.32, 68.0, omega_k=0.05, w0=-0.9, wa=0.2), {})
    assert ours.item() == pytest.approx(expected, abs=1e-6)


def test_bao_compare_with_the_distances_of_astropy() -> None:
    data = dataset("desi-dr1")
    theirs = astropy_of(68.0, 0.31, -0.03, -0.8, -0.5, Radiation())
    expected = []
    for z, quantity in zip(data.z, data.quantity, strict=True):
        transverse = theirs.comoving_transverse_distance(z).value
        radial = SPEED_OF_LIGHT / theirs.H(z).value
        volume = np.cbrt(z * transverse**2 * radial)
        expected.append({"DM/r_d": transverse, "DH/r_d": radial, "DV/r_d": volume}[quantity] / 147.0)
    universe = cosmology(0.31, 68.0, omega_k=-0.03, w0=-0.8, wa=-0.5)
    ours = likelihood(data).predict(universe, {"r_d": np.array([147.0])})
    np.testing.assert_allclose(ours[0], expected, rtol=1e-8)


def test_the_three_rulers_are_one() -> None:
    universe = cosmology([0.3, 0.32], [67.0, 70.0])
    baryons = np.array([0.0222, 0.0226])
    computed = drag_horizon(universe, baryons)
    np.testing.assert_array_equal(ruler(universe, {"omega_b_h2": baryons}), computed)
    np.testing.assert_array_equal(ruler(universe, {"r_d": computed, "omega_b_h2": 0.0 * baryons}), computed)
    np.testing.assert_allclose(ruler(universe, {"h_rd": computed * [0.67, 0.70]}), computed, rtol=1e-14)
    with pytest.raises(UsageError, match="h_rd, r_d, omega_b_h2"):
        ruler(universe, {})


def test_supernovae_see_neither_h0_nor_their_zero_point() -> None:
    data = dataset("pantheon-40")
    shifted = replace(data, value=data.value + 3.21)
    low, high = (
        likelihood(data).log_likelihood(cosmology(0.3, h0, radiation=Radiation(t_cmb=1e-3)), {}) for h0 in (50.0, 90.0)
    )
    assert low.item() == pytest.approx(high.item(), abs=1e-8)
    moved = likelihood(shifted).log_likelihood(cosmology(0.3, 50.0, radiation=Radiation(t_cmb=1e-3)), {})
    assert moved.item() == pytest.approx(low.item(), abs=1e-8)


@pytest.mark.parametrize("name", ["planck-2018", "planck-pr4"])
def test_the_cmb_is_fitted_by_planck_and_by_nothing_far_from_it(name: str) -> None:
    cmb = likelihood(dataset(name))
    universe = cosmology([0.3153, 0.3153, 0.36], [67.36, 70.0, 67.36])
    chi2 = cmb.chi_squared(universe, {"omega_b_h2": np.full(3, 0.02237)})
    # Three numbers; l_A of the 2018 priors is off by 3.7 standard errors, see likelihoods/cmb.py.
    assert chi2[0] < 16.3
    assert (chi2[1:] > 100.0).all()


def test_likelihoods_add_and_do_not_depend_on_the_batch() -> None:
    parts = [likelihood(dataset(name)) for name in ("chronometers-31", "desi-dr2")]
    names = ("h0", "omega_m", "r_d")
    points = np.random.default_rng(5).uniform([50.0, 0.1, 130.0], [90.0, 0.6, 160.0], size=(3000, 3))
    total = JointLikelihood(names, parts)(points)
    np.testing.assert_allclose(total[2999:], JointLikelihood(names, parts)(points[2999:]), rtol=1e-12)
    separate = JointLikelihood(names, parts[:1])(points) + JointLikelihood(names, parts[1:])(points)
    np.testing.assert_allclose(total, separate, rtol=1e-12)


@pytest.mark.parametrize(
    ("data", "names", "needed"),
    [
        ("chronometers-31", ("omega_m",), "h0"),
        ("desi-dr2", ("h0", "omega_m"), "h_rd or r_d or omega_b_h2"),
        ("desi-dr2", ("omega_m", "r_d"), "h_rd or h0"),
        ("planck-pr4", ("h0", "omega_m"), "omega_b_h2"),
    ],
)
def test_a_missing_parameter_is_named_with_the_data_set(data: str, names: tuple[str, ...], needed: str) -> None:
    with pytest.raises(UsageError, match=f"{data}.* needs {needed}"):
        JointLikelihood(names, [likelihood(dataset(data))])
