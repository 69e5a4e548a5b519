"""Growth of fluctuations against the closed solution, and against scipy where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import hyp2f1

from astropipe.inference.background import Cosmology, Radiation, cosmology, epochs, expansion_squared
from astropipe.inference.datasets import dataset
from astropipe.inference.growth import GrowthRates
from astropipe.inference.problems import problem

Z = np.array([1.48, 0.0, 0.38, 0.85, 0.38])
NO_RADIATION = Radiation(t_cmb=1e-3, neutrino_mass=0.0)


@pytest.mark.parametrize("omega_m", [0.05, 0.3, 0.9])
def test_flat_lcdm_has_the_closed_solution(omega_m: float) -> None:
    # D = a 2F1(1/3, 1; 11/6; -q a³) with q = (1 - Ωm)/Ωm (Silveira and Waga 1994); f by its derivative.
    a, q = 1 / (1 + Z), (1 - omega_m) / omega_m

    def growth(a: np.ndarray) -> np.ndarray:
        return np.asarray(a * hyp2f1(1 / 3, 1, 11 / 6, -q * a**3))

    slope = growth(a) - a * 3 * q * a**3 * (1 / 3) / (11 / 6) * hyp2f1(4 / 3, 2, 17 / 6, -q * a**3)
    ours = GrowthRates(Z).f_sigma8(cosmology(omega_m, radiation=NO_RADIATION), np.array([0.8]))
    np.testing.assert_allclose(ours[0], 0.8 * slope / growth(np.array([1.0])), rtol=2e-5)


@pytest.mark.parametrize(
    "universe",
    [
        cosmology(0.31, 68.0),
        cosmology(0.25, 72.0, omega_k=0.1),
        cosmology(0.33, 66.0, w0=-0.7, wa=-1.0),
        cosmology(0.4, 60.0, omega_k=-0.1, w0=-1.3, wa=0.4, wb=0.5),
    ],
    ids=["lcdm", "open", "w0wa", "closed"],
)
def test_other_universes_agree_with_scipy(universe: Cosmology) -> None:
    # The usual form of the equation: D'' + (2 + d ln E/dx) D' = 3/2 Ωm(a) D.
    def e2(x: float) -> float:
        return expansion_squared(universe, epochs(np.array([-x]), universe.radiation, universe.dark_energy)).item()

    def rhs(x: float, y: np.ndarray) -> list[float]:
        drag = 2 + (np.log(e2(x + 1e-4)) - np.log(e2(x - 1e-4))) / 4e-4
        return [y[1], 1.5 * universe.omega_m.item() * np.exp(-3 * x) / e2(x) * y[0] - drag * y[1]]

    start = -np.log1p(1000.0)
    y = solve_ivp(rhs, (start, 0.0), [np.exp(start)] * 2, rtol=1e-7, atol=1e-12, dense_output=True).sol
    expected = 0.8 * y(-np.log1p(Z))[1] / y(0.0)[0]
    np.testing.assert_allclose(GrowthRates(Z).f_sigma8(universe, np.array([0.8]))[0], expected, rtol=1e-4)


def test_planck_predicts_the_growth_that_sdss_measures() -> None:
    # Planck 2018 (VI, table 2): Ωm 0.3153, σ8 0.8111; chi-squared of five points, and the growth index 0.55.
    task = problem("cosmology", model="lcdm", data=["sdss-growth"])
    assert task.prior.names == ("omega_m", "sigma8")
    point = np.array([[0.3153, 0.8111]])
    assert task.log_likelihood.chi_squared(point).item() < 11.07  # type: ignore[attr-defined]
    data = dataset("sdss-growth")
    omega_m_z = 0.3153 * (1 + data.z) ** 3 / (0.3153 * (1 + data.z) ** 3 + 0.6847)
    rate = GrowthRates(data.z)
    amplitude, slope = rate._solve(cosmology(0.3153, 67.36))
    f = slope[0, rate._rows] / amplitude[0, rate._rows]
    np.testing.assert_allclose(f, omega_m_z**0.55, rtol=0.01)


def test_the_two_bins_of_boss_are_correlated_as_published() -> None:
    covariance = dataset("sdss-growth").covariance
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) == pytest.approx(0.477, abs=0.001)
    assert np.count_nonzero(covariance) == 5 + 2


def test_a_universe_without_such_a_past_has_no_growth() -> None:
    bounce = cosmology(0.05, omega_k=-1.0)
    assert np.isnan(GrowthRates(Z).f_sigma8(bounce, np.array([0.8]))).all()
