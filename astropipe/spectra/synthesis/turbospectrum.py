"""One synthetic spectrum by Turbospectrum (Plez 2012, ASCL 1205.004), a program that is called as a process."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.runtime.errors import AstropipeError, InputError, InterruptedRunError
from astropipe.spectra.emulator import TIO_T_EFF_K
from astropipe.spectra.synthesis.atmospheres import MarcsGrid, metallicity
from astropipe.spectra.synthesis.grid_labels import GridStar
from astropipe.spectra.synthesis.windows import ATOMIC_NUMBER, SOLAR, STEP_A, WINDOWS_AIR_A, air_grid

SPHERICAL_BELOW_LOG_G = 2.0
"""Transfer is spherical below this and plane-parallel above."""
_TIME_LIMIT_S = 180.0
_N_LOGGED = 3
# The program was stopped from outside, by a user, a scheduler or for lack of memory: nothing is wrong with the star.
_STOPPED = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class SynthesisError(AstropipeError):
    """Turbospectrum gave no spectrum, or one that cannot be right."""


@dataclass(frozen=True)
class Turbospectrum:
    """Where the program and what it reads are.

    Attributes
    ----------
    executables : Path
        Folder of ``babsma_lu`` and ``bsyn_lu``.
    data : Path
        Folder that the programs know as DATA.
    lines : Path
        Folder that `line_lists.write_line_lists` wrote.
    """

    executables: Path
    data: Path
    lines: Path

    def check(self) -> None:
        """See that all is there.

        Raises
        ------
        InputError
            Naming the first path that is missing and how to make it.
        """
        for path in (
            self.executables / "babsma_lu",
            self.executables / "bsyn_lu",
            self.data / "Hlinedata",
            *(self.lines / f"{kind}_{arm}" for kind in ("atoms", "mol", "tio") for arm in WINDOWS_AIR_A),
        ):
            if not path.exists():
                raise InputError(f"{path} is missing; run python -m astropipe.spectra.synthesis fetch, then build")

    def spectrum(self, star: GridStar, atmospheres: MarcsGrid) -> tuple[dict[str, NDArray[np.float64]], int]:
        """Synthesise a star.

        Returns
        -------
        flux : dict of str to ndarray
            For each arm the flux in units of the continuum on `windows.air_grid`, neither rotating nor smoothed.
        n_filled : int
            See `MarcsGrid.interpolate`.

        Raises
        ------
        SynthesisError
            If the program fails, takes too long or gives other wavelengths.
        InterruptedRunError
            If it was killed.
        """
        abundances = star.abundances()
        t_eff, log_g, v_micro = (float(star.labels[i]) for i in (0, 1, -1))
        composition = _composition(abundances)
        with tempfile.TemporaryDirectory(prefix="astropipe-synthesis-") as name:
            folder = Path(name)
            (folder / "DATA").symlink_to(self.data.resolve())
            n_filled = atmospheres.write(folder / "model", t_eff, log_g, metallicity(abundances))
            low = min(window[0] for window in WINDOWS_AIR_A.values()) - 4
            high = max(window[1] for window in WINDOWS_AIR_A.values()) + 4
            opacity = _settings(
                ("LAMBDA_MIN", f"{low:.2f}"),
                ("LAMBDA_MAX", f"{high:.2f}"),
                ("LAMBDA_STEP", "1.0"),
                ("MODELINPUT", "model"),
                ("MARCS-FILE", ".true."),
                ("MODELOPAC", "opac"),
            )
            log = self._call("babsma_lu", opacity + composition + f"'XIFIX:'  'T'\n{v_micro:.4f}\n", folder)
            flux = {arm: self._arm(arm, star, composition, folder, log) for arm in WINDOWS_AIR_A}
        return flux, n_filled

    def _arm(self, arm: str, star: GridStar, composition: str, folder: Path, log: str) -> NDArray[np.float64]:
        kinds = ["atoms", "mol"] + ["tio"] * int(star.labels[0] < TIO_T_EFF_K)
        lists = ["DATA/Hlinedata"]
        for kind in kinds:
            # Short names in the folder of the run: the strings of the program are limited.
            link = folder / f"{kind}_{arm}"
            link.symlink_to((self.lines / link.name).resolve())
            lists.append(link.name)
        low, high = WINDOWS_AIR_A[arm]
        text = (
            _settings(
                ("LAMBDA_MIN", f"{low:.2f}"),
                ("LAMBDA_MAX", f"{high:.2f}"),
                ("LAMBDA_STEP", f"{STEP_A}"),
                ("INTENSITY/FLUX", "Flux"),
                ("COS(THETA)", "1.00"),
                ("ABFIND", ".false."),
                ("MODELOPAC", "opac"),
                ("RESULTFILE", "spec"),
            )
            + composition
            + _settings(("ISOTOPES", "0"), ("NFILES", str(len(lists))))
            + "".join(f"{name}\n" for name in lists)
            + f"'SPHERICAL:'  '{'T' if star.labels[1] < SPHERICAL_BELOW_LOG_G else 'F'}'\n30\n300.00\n15\n1.30\n"
        )
        log += self._call("bsyn_lu", text, folder)
        return _read_spectrum(folder / "spec", arm, log)

    def _call(self, program: str, text: str, folder: Path) -> str:
        try:
            done = subprocess.run(
                [self.executables.resolve() / program],
                input=text,
                text=True,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TIME_LIMIT_S,
                errors="replace",
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SynthesisError(f"{self.executables / program}: {error}") from error
        if -done.returncode in _STOPPED:
            raise InterruptedRunError(f"{self.executables / program} was killed (signal {-done.returncode}); run again")
        return done.stdout


def _settings(*pairs: tuple[str, str]) -> str:
    return "".join(f"'{name}:'  '{value}'\n" for name, value in pairs)


def _composition(abundances: dict[str, float]) -> str:
    rows: Iterable[tuple[int, float]] = sorted(
        (ATOMIC_NUMBER[element], SOLAR[element] + value) for element, value in abundances.items()
    )
    lines = [f"{number:3d} {value:8.4f}\n" for number, value in rows]
    return _settings(
        ("METALLICITY", f"{abundances['Fe']:.4f}"),
        ("ALPHA/Fe", "0.00"),
        ("HELIUM", "0.00"),
        ("R-PROCESS", "0.00"),
        ("S-PROCESS", "0.00"),
        ("INDIVIDUAL ABUNDANCES", str(len(lines))),
    ) + "".join(lines)


def _read_spectrum(path: Path, arm: str, log: str) -> NDArray[np.float64]:
    if not path.exists():
        last = " | ".join(log.strip().splitlines()[-_N_LOGGED:])
        raise SynthesisError(f"Turbospectrum wrote no {arm} spectrum; its last words: {last or 'none'}")
    table = np.loadtxt(path, usecols=(0, 1))
    path.unlink()
    wanted = air_grid(arm)
    n = min(len(table), len(wanted))
    if abs(len(table) - len(wanted)) > 1 or np.max(np.abs(table[:n, 0] - wanted[:n])) > 2e-3:
        raise SynthesisError(f"Turbospectrum gave {len(table)} wavelengths for {arm}, {len(wanted)} were asked for")
    return np.pad(table[:n, 1], (0, len(wanted) - n), mode="edge")
