"""The expanding background and linear theory: expansion, growth of first and second order, kicks and drifts, power."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from astropy import cosmology as cosmologies
from colossus.cosmology.power_spectrum import modelEisenstein98
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline

from astropipe.nbody.arrays import FloatArray
from astropipe.runtime.errors import UsageError

_LN_A_START = np.log(1e-6)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def named_cosmology(name: str) -> Any:
    """Return a cosmology of astropy by its name.

    Raises
    ------
    UsageError
        If astropy has none of this name, or it does not say how many baryons it has.
    """
    if name not in cosmologies.available:
        raise UsageError(f"astropy knows no cosmology {name!r}; there are {', '.join(cosmologies.available)}")
    cosmology = getattr(cosmologies, name)
    if not cosmology.Ob0:
        raise UsageError(f"the cosmology {name} does not say how many baryons it has; choose another, such as Planck18")
    return cosmology


@dataclass(frozen=True)
class Background:
    """A universe as the particle mesh needs it: lengths in comoving Mpc, times in units of 1/H0.

    Parameters
    ----------
    cosmology : astropy.cosmology.FLRW
        Expansion with all its components; only ``Om0`` of them clusters.
    """

    cosmology: Any

    def expansion(self, a: Any) -> FloatArray:
        """Return E = H/H0 at scale factors ``a``."""
        return np.asarray(self.cosmology.efunc(1.0 / np.asarray(a, dtype=float) - 1.0))

    def hubble(self, a: float) -> float:
        """Return H in km/s/Mpc at scale factor ``a``."""
        return float(self.cosmology.H0.to_value("km / (Mpc s)") * self.expansion(a))

    @property
    def omega_m(self) -> float:
        """Matter that clusters, as a share of the critical density today."""
        return float(self.cosmology.Om0)

    @property
    def mean_density(self) -> float:
        """Mean comoving density of the matter that clusters, in Msun/Mpc^3."""
        return self.omega_m * float(self.cosmology.critical_density0.to_value("Msun / Mpc3"))

    def drift(self, a0: float, a1: float) -> float:
        """Return the integral of dt/a^2, by which momenta move positions (Quinn et al. 1997, astro-ph/9710043)."""
        return self._integral(a0, a1, 3)

    def kick(self, a0: float, a1: float) -> float:
        """Return the integral of dt/a, by which the gradient of the potential changes momenta."""
        return self._integral(a0, a1, 2)

    def _integral(self, a0: float, a1: float, power: int) -> float:
        a = 0.5 * (a1 + a0) + 0.5 * (a1 - a0) * _NODES
        return float(0.5 * (a1 - a0) * np.sum(_WEIGHTS / (a**power * self.expansion(a))))

    def growth(self, a: float) -> tuple[float, float, float, float]:
        """Return linear growth and its second order at a scale factor, each with its derivative.

        Returns
        -------
        first, first_slope : float
            D1, 1 at a = 1, and dD1/dln a.
        second, second_slope : float
            D2 (about -3/7 D1^2) and dD2/dln a.
        """
        d1, s1, d2, s2 = self._modes(np.log(a))
        today = self._modes(0.0)[0]
        return float(d1 / today), float(s1 / today), float(d2 / today**2), float(s2 / today**2)

    @cached_property
    def _modes(self) -> Any:
        return _growing_modes(self.cosmology)


def _growing_modes(cosmology: Any) -> Any:
    """Return D1, dD1/dln a, D2, dD2/dln a as a function of ln a, of any normalisation.

    D'' + (2 + dln E/dln a) D' = 3/2 Om(a) D, and for the second order D2 - D1^2 in place of D on the right
    (Bouchet et al. 1995, A&A 296, 575). The start is the growing mode across matter and radiation (Meszaros 1974).
    """
    ln_a = np.linspace(_LN_A_START, 0.0, 4001)
    ln_expansion = CubicSpline(ln_a, np.log(cosmology.efunc(np.exp(-ln_a) - 1.0)))
    slope = ln_expansion.derivative()

    def omega(x: float) -> float:
        """Return the share of matter in the density at ln a = x."""
        return float(cosmology.Om0 * np.exp(-3.0 * x - 2.0 * ln_expansion(x)))

    def derivatives(x: float, y: FloatArray) -> list[float]:
        """Return the derivatives of both modes, and of their first derivatives, by ln a."""
        friction, source = 2.0 + slope(x), 1.5 * omega(x)
        return [
            y[1],
            source * y[0] - friction * y[1],
            y[3],
            source * (y[2] - y[0] ** 2) - friction * y[3],
        ]

    begin = omega(_LN_A_START)
    rate = 1.5 * begin / (1.0 + 0.5 * begin)
    start = [1.0, rate, -3.0 / 7.0, -6.0 / 7.0 * rate]
    return solve_ivp(
        derivatives, (_LN_A_START, 0.0), start, method="DOP853", rtol=1e-10, atol=1e-12, dense_output=True
    ).sol


@dataclass(frozen=True)
class LinearPower:
    """Linear power spectrum today: power law times the squared transfer function of Eisenstein & Hu (1998).

    Parameters
    ----------
    cosmology : astropy.cosmology.FLRW
        Gives h, Om0, Ob0 and the temperature of the background radiation.
    sigma8 : float
        Standard deviation of the density in spheres of 8 Mpc/h.
    spectral_index : float
        Slope n of the primordial spectrum.
    """

    cosmology: Any
    sigma8: float
    spectral_index: float

    def __call__(self, k: FloatArray) -> FloatArray:
        """Return the power in Mpc^3 at wavenumbers ``k`` > 0 in 1/Mpc."""
        radius = 8.0 / self.cosmology.h
        return self._shape(k) * (self.sigma8 / self._deviation(radius)) ** 2

    def _shape(self, k: FloatArray) -> FloatArray:
        c = self.cosmology
        temperature = c.Tcmb0.value or 2.7255
        transfer = modelEisenstein98(np.asarray(k) / c.h, c.h, c.Om0, c.Ob0, temperature)
        return np.asarray(k**self.spectral_index * transfer**2)

    def _deviation(self, radius: float) -> float:
        ln_k = np.linspace(np.log(1e-5), np.log(1e3), 20001)
        k = np.exp(ln_k)
        x = k * radius
        # Below 1e-2 the difference of sine and cosine loses its digits, and the window is 1 to 1e-5.
        window = np.where(x > 1e-2, 3.0 * (np.sin(x) - x * np.cos(x)) / x**3, 1.0)
        return float(np.sqrt(np.trapezoid(k**3 * self._shape(k) * window**2 / (2.0 * np.pi**2), ln_k)))
