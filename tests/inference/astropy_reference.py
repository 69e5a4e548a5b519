"""The universes of the tests in astropy, the outside truth of the background."""

from __future__ import annotations

import astropy.units as u
from astropy.cosmology import FLRW, w0waCDM

from astropipe.inference.background import Radiation, cosmology

MASSLESS = Radiation(neutrino_mass=0.0)


def astropy_of(h0: float, omega_m: float, omega_k: float, w0: float, wa: float, radiation: Radiation) -> FLRW:
    """The same universe in astropy, whose Om0 leaves out massive neutrinos."""
    neutrinos = radiation.massive_today / (h0 / 100.0) ** 2
    ours = cosmology(omega_m, h0, omega_k=omega_k, w0=w0, wa=wa, radiation=radiation)
    return w0waCDM(
        H0=h0,
        Om0=omega_m - neutrinos,
        Ode0=ours.omega_de.item(),
        w0=w0,
        wa=wa,
        Tcmb0=radiation.t_cmb,
        Neff=radiation.n_eff,
        m_nu=u.Quantity([0.0, 0.0, radiation.neutrino_mass], u.eV),
    )
