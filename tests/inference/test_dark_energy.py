"""Equations of state: densities against the integral of w, models against each other where forms coincide."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad

from astropipe.inference.background import cosmology, dark_energy_growth, epochs
from astropipe.inference.dark_energy import EquationOfState
from astropipe.inference.problems import problem
from astropipe.inference.problems.cosmology import MODELS

Shape = Callable[[float], float]


def linear(z: float) -> float:
    return z / (1 + z)


def quadratic(z: float) -> float:
    return (z / (1 + z)) ** 2


def barboza_alcaniz(z: float) -> float:
    # Barboza and Alcaniz 2008 (arXiv:0805.1713).
    return z * (1 + z) / (1 + z**2)


def jassal(z: float) -> float:
    # Jassal, Bagla and Padmanabhan 2005 (astro-ph/0404378).
    return z / (1 + z) ** 2


@pytest.mark.parametrize(
    ("model", "p", "q"),
    [
        ("w0wacdm", linear, quadratic),
        ("w0wawbcdm", linear, quadratic),
        ("w0wacdm-ba", barboza_alcaniz, quadratic),
        ("w0wacdm-jbp", jassal, quadratic),
        ("w0wawbcdm-ba", linear, barboza_alcaniz),
        ("w0wawbcdm-jbp", linear, jassal),
    ],
)
def test_the_density_is_the_integral_of_the_equation_of_state(model: str, p: Shape, q: Shape) -> None:
    w0, wa, wb = -0.7, -0.9, 0.6 if "wb" in MODELS[model].parameters else 0.0

    def integrand(x: float) -> float:
        z = np.expm1(x)
        return 3 * (1 + w0 + wa * p(z) + wb * q(z))

    universe = cosmology(0.3, w0=w0, wa=wa, wb=wb, dark_energy=MODELS[model].dark_energy)
    for z in (0.3, 2.0, 30.0, 1100.0):
        expected = quad(integrand, 0, np.log1p(z), epsabs=1e-12, epsrel=1e-12)[0]
        times = epochs(np.log1p(np.array([z])), universe.radiation, universe.dark_energy)
        assert np.log(dark_energy_growth(universe, times)).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("model", [name for name in MODELS if "wa" in MODELS[name].parameters])
def test_the_early_limit_is_w_at_high_redshift(model: str) -> None:
    state: EquationOfState = MODELS[model].dark_energy
    values = {"w0": np.array([-0.7]), "wa": np.array([-0.9]), "wb": np.array([0.6])}
    # w from the slope of ln f between two late moments of the past.
    x = np.array([18.0, 18.1])
    slope = sum(
        factor * np.diff(integral)[0] for factor, integral in zip((0.3, -0.9, 0.6), state.integrals(x), strict=True)
    )
    assert state.early(values)[0] == pytest.approx(slope / 0.3 - 1, abs=1e-6)


def test_the_transient_term_is_the_quadratic_one_in_other_parameters() -> None:
    # a (1 - a) = y - y², so wa y + wb y² is (wa + wb) y - wb a y.
    options = {"data": ["desi-dr2"]}
    quadratic_form = problem("cosmology", model="w0wawbcdm", **options)
    transient_form = problem("cosmology", model="w0wawbcdm-jbp", **options)
    points = np.array([[0.31, -0.8, -0.9, 0.4, 100.0], [0.28, -1.1, 0.3, -0.7, 103.0]])
    others = points.copy()
    others[:, 2], others[:, 3] = points[:, 2] + points[:, 3], -points[:, 3]
    np.testing.assert_allclose(transient_form.log_likelihood(others), quadratic_form.log_likelihood(points), rtol=1e-10)


def test_priors_exclude_what_has_no_matter_era_in_the_form_chosen() -> None:
    allowed = {"w0wacdm": "w0 + wa < 0", "w0wacdm-ba": "w0 + wa < 0", "w0wacdm-jbp": "w0 < 0"}
    allowed |= {"w0wawbcdm": "w0 + wa + wb < 0", "w0wawbcdm-jbp": "w0 + wa < 0"}
    for model, name in allowed.items():
        (constraint,) = problem("cosmology", model=model, data=["desi-dr2"]).prior.constraints
        assert constraint.name == name
    # w0 = -0.5, wa = 1: forbidden where wa counts early on, allowed where its term is transient.
    for model, inside in (("w0wacdm", False), ("w0wacdm-jbp", True)):
        prior = problem("cosmology", model=model, data=["desi-dr2"]).prior
        assert prior.allowed(np.array([[0.3, -0.5, 1.0, 100.0]])).tolist() == [inside]
