"""Expansion, growth and power: against analytic universes, colossus, astropy and published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM, Planck18
from scipy import integrate
from scipy.special import hyp2f1, spherical_jn

from astropipe.nbody.flow.background import Background, LinearPower, named_cosmology
from astropipe.runtime.errors import UsageError

# Without radiation and neutrinos, as analytic growth wants it.
EDS = Background(FlatLambdaCDM(H0=70, Om0=1.0, Ob0=0.05, Tcmb0=0.0))
LAMBDA = Background(FlatLambdaCDM(H0=70, Om0=0.3, Ob0=0.05, Tcmb0=0.0))


@pytest.mark.parametrize("a", [0.01, 0.1, 0.5, 1.0])
def test_growth_of_an_einstein_de_sitter_universe(a: float) -> None:
    expected = (a, a, -3 / 7 * a**2, -6 / 7 * a**2)
    assert EDS.growth(a) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("a", [0.02, 0.3, 0.7, 1.0])
def test_growth_with_a_cosmological_constant_is_the_analytic_one(a: float) -> None:
    def analytic(a: float) -> float:
        # Heath (1977) in closed form, for example Silveira & Waga (1994).
        return float(a * hyp2f1(1 / 3, 1, 11 / 6, -(a**3) * 0.7 / 0.3))

    first, slope, second, second_slope = LAMBDA.growth(a)
    assert first == pytest.approx(analytic(a) / analytic(1.0), rel=1e-6)
    # Linder (2005): f = Om(a)^0.55; Bouchet et al. (1995): D2 = -3/7 D1^2 Om^(-1/143), f2 = 2 Om^(6/11).
    omega = 0.3 / (0.3 + 0.7 * a**3)
    assert slope / first == pytest.approx(omega**0.55, rel=0.007)
    assert second == pytest.approx(-3 / 7 * first**2 * omega ** (-1 / 143), rel=0.002)
    assert second_slope / second == pytest.approx(2 * omega ** (6 / 11), rel=0.01)


def test_radiation_slows_early_growth() -> None:
    """Meszaros (1974): D is proportional to 1 + 3/2 a / a_eq while dark energy does not matter."""
    planck = Background(Planck18)
    equality = Planck18.Ogamma0 * (1 + 0.2271 * Planck18.Neff) / Planck18.Om0
    ratio = planck.growth(0.02)[0] / planck.growth(0.002)[0]
    assert ratio == pytest.approx((1 + 1.5 * 0.02 / equality) / (1 + 1.5 * 0.002 / equality), rel=0.01)


def test_kicks_and_drifts_are_their_integrals() -> None:
    planck = Background(Planck18)
    kick, _ = integrate.quad(lambda a: a**-2 / planck.expansion(a), 0.3, 0.37)
    drift, _ = integrate.quad(lambda a: a**-3 / planck.expansion(a), 0.3, 0.37)
    assert (planck.kick(0.3, 0.37), planck.drift(0.3, 0.37)) == pytest.approx((kick, drift), rel=1e-10)
    # Einstein-de Sitter: integrals of a^(-1/2) and a^(-3/2).
    assert EDS.kick(0.25, 1.0) == pytest.approx(1.0, rel=1e-12)
    assert EDS.drift(0.25, 1.0) == pytest.approx(2.0, rel=1e-8)
    assert EDS.hubble(0.25) == pytest.approx(560.0)


def test_mean_density_is_that_of_planck() -> None:
    # Critical density 2.77536627e11 h^2 Msun/Mpc^3 (Particle Data Group).
    assert Background(Planck18).mean_density == pytest.approx(0.30966 * 2.77536627e11 * 0.6766**2, rel=2e-4)


def test_power_has_sigma8_and_the_shape_of_colossus() -> None:
    from colossus import settings
    from colossus.cosmology import cosmology as colossus

    settings.PERSISTENCE = ""
    power = LinearPower(Planck18, 0.8102, 0.9665)

    def deviation(radius: float) -> float:
        """In spheres of a radius, by another rule of quadrature than that of the normalisation."""

        def integrand(ln_k: float) -> float:
            k = np.exp(ln_k)
            window = 3.0 * spherical_jn(1, k * radius) / (k * radius)
            return float(k**3 * power(np.array([k]))[0] * window**2 / (2.0 * np.pi**2))

        return float(np.sqrt(integrate.quad(integrand, np.log(1e-4), np.log(10.0), limit=500, epsrel=1e-6)[0]))

    assert deviation(8.0 / Planck18.h) == pytest.approx(0.8102, rel=1e-3)
    peer = colossus.setCosmology("planck18", persistence="")
    k = np.geomspace(1e-3, 20, 50)
    theirs = peer.matterPowerSpectrum(k / peer.h) / peer.h**3
    # Their parameters are those of Planck 2018 too, but for rounding in the densities.
    np.testing.assert_allclose(power(k), theirs, rtol=0.03)
    assert deviation(30.0) == pytest.approx(peer.sigma(30.0 * peer.h, 0.0), rel=0.01)


def test_only_cosmologies_of_astropy_with_baryons_have_a_name() -> None:
    assert named_cosmology("Planck18") is Planck18
    with pytest.raises(UsageError, match="no cosmology 'Planck99'"):
        named_cosmology("Planck99")
