r"""The homogeneous universe: densities and expansion rate, for many parameter points at once.

With x = ln(1 + z) the Friedmann equation reads

.. math::

    E^2(x) = \frac{H^2}{H_0^2} = \Omega_m e^{3x} + \Omega_k e^{2x} + \Omega_{de} f(x)
             + h^{-2} \left[ \omega_r(x) - \omega_\nu e^{3x} \right],

where ω_r(x) holds photons and all neutrinos, and ω_ν is the part of it that is massive today: Ω_m counts
that part, as in the papers of DESI and Planck. Ω_de closes the sum to one at x = 0.

Dark energy has w(a) = w0 + wa p(a) + wb q(a), with shapes p and q that can be chosen, see
`astropipe.inference.dark_energy`; by default 1 − a and (1 − a)², the form of Chevallier, Polarski and Linder with
one more term, and then f has closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants

from astropipe.inference.dark_energy import STANDARD, EquationOfState

SPEED_OF_LIGHT = constants.c / 1e3
"""c in km/s."""

REFERENCE_H0 = 67.36
"""H0 [km/s/Mpc] that sets the radiation share where data cannot measure H0 (Planck 2018 VI, table 2)."""

_MEGAPARSEC = 1e6 * constants.parsec
_RHO_CRITICAL = 3.0 * (1e5 / _MEGAPARSEC) ** 2 / (8.0 * math.pi * constants.G)
"""Critical density for h = 1 in kg/m³."""


@dataclass(frozen=True)
class Radiation:
    """Photons and three neutrino species of equal temperature, one of them massive.

    The massive species follows the fit of Komatsu et al. 2011 (ApJS 192, 18, eq. 26), as astropy does.

    Attributes
    ----------
    t_cmb
        Photon temperature today in K (Fixsen 2009).
    n_eff
        Effective number of neutrino species.
    neutrino_mass
        Mass of the one massive species in eV; 0.06 is the minimal normal hierarchy that Planck and DESI use.
    """

    t_cmb: float = 2.7255
    n_eff: float = 3.044
    neutrino_mass: float = 0.06

    @cached_property
    def photons(self) -> float:
        """Ω_γ h² today."""
        energy_density = 4.0 * constants.Stefan_Boltzmann * self.t_cmb**4 / constants.c
        return float(energy_density / constants.c**2 / _RHO_CRITICAL)

    @cached_property
    def massive_today(self) -> float:
        """Ω_ν h² of the massive species today; zero where all are massless."""
        if self.neutrino_mass == 0.0:
            return 0.0
        return self._one_massless * float(self._mass_growth(np.zeros(1))[0])

    @cached_property
    def relativistic_today(self) -> float:
        """Ω_r h² today without the massive species, which Ω_m counts."""
        return float(self.density(np.zeros(1))[0]) - self.massive_today

    def density(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ω_r = Ω_r h² of photons and neutrinos at x = ln(1 + z), in today's critical density, h = 1."""
        massive = self._mass_growth(x) if self.neutrino_mass else 1.0
        return np.asarray((self.photons + self._one_massless * (2.0 + massive)) * np.exp(4.0 * x))

    @cached_property
    def _one_massless(self) -> float:
        return float(self.photons * 7.0 / 8.0 * (4.0 / 11.0) ** (4.0 / 3.0) * self.n_eff / 3.0)

    def _mass_growth(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Energy density of the massive species over that of a massless one."""
        temperature = self.t_cmb * (4.0 / 11.0) ** (1.0 / 3.0)
        ratio = self.neutrino_mass * constants.e / (constants.k * temperature)
        power = 1.83
        return np.asarray((1.0 + (0.3173 * ratio * np.exp(-x)) ** power) ** (1.0 / power))


STANDARD_RADIATION = Radiation()
"""One neutrino of 0.06 eV, N_eff 3.044, T 2.7255 K."""


@dataclass(frozen=True)
class Cosmology:
    """Parameters of n universes: arrays of one shape [n, 1], so that they broadcast against redshifts [m].

    Make one with `cosmology`, which takes plain numbers or arrays [n].

    Attributes
    ----------
    h0
        Expansion rate today in km/s/Mpc.
    omega_m
        Matter density today, massive neutrinos included.
    omega_k
        Curvature; positive is open.
    w0, wa, wb
        Parameters of the equation of state of dark energy.
    radiation
        Photons and neutrinos, the same for all n.
    dark_energy
        The equation of state that `w0`, `wa` and `wb` belong to, the same for all n.
    """

    h0: NDArray[np.float64]
    omega_m: NDArray[np.float64]
    omega_k: NDArray[np.float64]
    w0: NDArray[np.float64]
    wa: NDArray[np.float64]
    wb: NDArray[np.float64]
    radiation: Radiation = STANDARD_RADIATION
    dark_energy: EquationOfState = STANDARD

    @property
    def h(self) -> NDArray[np.float64]:
        """H0 / (100 km/s/Mpc), shape [n, 1]."""
        return self.h0 / 100.0

    @property
    def omega_m_h2(self) -> NDArray[np.float64]:
        """Ω_m h², massive neutrinos included, shape [n, 1]."""
        return self.omega_m * self.h**2

    @cached_property
    def omega_de(self) -> NDArray[np.float64]:
        """Dark energy density today, shape [n, 1]."""
        return 1.0 - self.omega_m - self.omega_k - self.radiation.relativistic_today / self.h**2

    @cached_property
    def flat(self) -> bool:
        """Whether all n universes are flat."""
        return not np.any(self.omega_k)

    @cached_property
    def dark_energy_weights(self) -> tuple[tuple[int, NDArray[np.float64]], ...]:
        """Factors of the terms of ln f, each with the number of its term; those that are 0 throughout left out."""
        weights = (1.0 + self.w0, self.wa, self.wb)
        return tuple((i, weight) for i, weight in enumerate(weights) if np.any(weight))

    def with_radiation(self, radiation: Radiation) -> Cosmology:
        """Return the same parameters with other photons and neutrinos."""
        return replace(self, radiation=radiation)


BACKGROUND_PARAMETERS = tuple(f.name for f in fields(Cosmology) if f.name not in ("radiation", "dark_energy"))
"""Names that `cosmology` takes; an absent one is flat, and a cosmological constant."""


def cosmology(
    omega_m: ArrayLike,
    h0: ArrayLike = REFERENCE_H0,
    *,
    omega_k: ArrayLike = 0.0,
    w0: ArrayLike = -1.0,
    wa: ArrayLike = 0.0,
    wb: ArrayLike = 0.0,
    radiation: Radiation = STANDARD_RADIATION,
    dark_energy: EquationOfState = STANDARD,
) -> Cosmology:
    """Return the `Cosmology` of numbers or arrays [n], broadcast against each other."""
    given = (h0, omega_m, omega_k, w0, wa, wb)
    arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in given))
    columns = {name: array[:, None] for name, array in zip(BACKGROUND_PARAMETERS, arrays, strict=True)}
    return Cosmology(**columns, radiation=radiation, dark_energy=dark_energy)


@dataclass(frozen=True, eq=False)
class Epochs:
    """The factors of E² at fixed times that do not depend on the parameters, so they are computed once.

    Attributes
    ----------
    x
        ln(1 + z), shape [k] for times common to all universes or [n, k] for times of their own.
    matter, curvature
        (1 + z)³ and (1 + z)².
    relativistic
        ω_r − ω_ν (1 + z)³, to be divided by h².
    terms
        Factors of (1 + w0), wa and wb in ln f.
    """

    x: NDArray[np.float64]
    matter: NDArray[np.float64]
    curvature: NDArray[np.float64]
    relativistic: NDArray[np.float64]
    terms: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def epochs(x: NDArray[np.float64], radiation: Radiation, dark_energy: EquationOfState) -> Epochs:
    """Return the `Epochs` of x = ln(1 + z) for the given radiation and equation of state."""
    matter = np.exp(3.0 * x)
    return Epochs(
        x=x,
        matter=matter,
        curvature=np.exp(2.0 * x),
        relativistic=radiation.density(x) - radiation.massive_today * matter,
        terms=dark_energy.integrals(x),
    )


def expansion_squared(universe: Cosmology, times: Epochs) -> NDArray[np.float64]:
    """Return E² = H²/H0², shape [n, k]; zero or negative where a universe had no such time (a bounce)."""
    e2 = universe.omega_m * times.matter
    e2 += times.relativistic / universe.h**2
    if not universe.flat:
        e2 += universe.omega_k * times.curvature
    return np.asarray(e2 + universe.omega_de * dark_energy_growth(universe, times))


def dark_energy_growth(universe: Cosmology, times: Epochs) -> NDArray[np.float64] | float:
    """Return f = ρ_de(x) / ρ_de(0), shape [n, k]; the number 1 for cosmological constants."""
    if not universe.dark_energy_weights:
        return 1.0
    (first, weight), *rest = universe.dark_energy_weights
    exponent = weight * times.terms[first]
    for i, weight in rest:
        exponent += weight * times.terms[i]
    # A prior corner may put e^700 here: infinite H is then the honest answer, and the likelihood is zero.
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(exponent, out=exponent))
