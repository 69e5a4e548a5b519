"""Spectra of the synthetic grid beside those of a second code, PySME: tables of docs/spectra.md.

pip install pysme-astro==1.2.0
python -m astropipe.spectra.synthesis prepare sources
python benchmarks/bench_spectra_second_code.py sources [--work second-code]

Both codes read the same model atmospheres, lines, isotopes and abundances. Spectra are compared as LAMOST sees them, at
a resolving power of 7,500: their flux in units of the continuum, how they respond to single elements, and which labels
the fit reads from them. A quarter of an hour on one core; spectra in the folder of ``--work`` are not made again. PySME
is not among the extras: nothing else needs it. It leaves a ``syntherr.log`` where it runs.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pysme_spectra import PySme
from spectra_sets import RESULTS, write_table

from astropipe.spectra import prediction
from astropipe.spectra.emulator import REST, read_emulator
from astropipe.spectra.emulator_calibration import GivenSpectra
from astropipe.spectra.emulator_training import to_rest_pixels
from astropipe.spectra.fitting import read_fitter
from astropipe.spectra.labels import ELEMENTS, LABELS
from astropipe.spectra.pixels import arm_slices, wavelengths_a
from astropipe.spectra.population import ALPHA_ELEMENTS
from astropipe.spectra.simulation import Stars
from astropipe.spectra.synthesis import sources
from astropipe.spectra.synthesis.atmospheres import MarcsGrid
from astropipe.spectra.synthesis.grid_labels import GridStar
from astropipe.spectra.synthesis.turbospectrum import Turbospectrum
from astropipe.spectra.synthesis.windows import WINDOWS_AIR_A, air_grid
from astropipe.spectra.wavelengths import air_to_vacuum

Floats = NDArray[np.floating]
CODES = ("Turbospectrum", "emulator", "damping of the list", "PySME")
RESOLUTION, SNR = 7_500.0, 100.0
H_ALPHA_A, CORE_A = 6_564.61, 4.0
STEP_DEX = 0.2
# Labels about which the data say more than the prior.
_INFORMED = 0.5
RESPONDING = "giant"
RESPONSES = ("Fe", "C", "Mg", "Ti", "Si")


def star(t_eff_k: float, log_g: float, fe_h: float, v_micro: float, **x_fe: float) -> GridStar:
    """Return a star with its labels; an element that is not named has [X/Fe] = 0."""
    x_h = [fe_h + x_fe.get(element, 0.0) for element in ELEMENTS]
    return GridStar("", np.array([t_eff_k, log_g, *x_h, v_micro]))


MIXED = {"C": -0.15, "N": 0.25, "O": 0.4, "Mg": 0.4, "Al": 0.3, "Si": 0.25, "S": 0.3, "K": 0.1, "Ca": 0.2, "Ti": 0.25}
STARS = {
    "Sun-like dwarf": star(5777, 4.44, 0.0, 1.05),
    "warm dwarf": star(6200, 4.2, -0.3, 1.25, **dict.fromkeys(ALPHA_ELEMENTS, 0.1)),
    "cool dwarf": star(4550, 4.6, 0.0, 0.8),
    "giant": star(4750, 2.5, 0.0, 1.5),
    "giant, own abundances": star(4600, 2.2, -0.4, 1.55, **MIXED, Mn=-0.15, Ni=0.05, Cu=-0.2),
    "metal-poor giant": star(4800, 2.0, -1.0, 1.6, **dict.fromkeys(ALPHA_ELEMENTS, 0.25)),
}


@dataclass(frozen=True)
class Codes:
    """What makes spectra of a star, and the folder in which they are kept, if any."""

    turbospectrum: Turbospectrum
    own_damping: Turbospectrum
    pysme: PySme
    atmospheres: MarcsGrid
    work: Path | None

    def spectra(self, name: str, wanted: GridStar) -> Floats:
        """Return the spectra of the `CODES` on the pixels of `REST`, shape (4, pixels)."""
        synthetic = [
            self._kept(f"{name}-ts", wanted, lambda: self.turbospectrum.spectrum(wanted, self.atmospheres)[0]),
            self._kept(f"{name}-ts-list", wanted, lambda: self.own_damping.spectrum(wanted, self.atmospheres)[0]),
            self._kept(f"{name}-pysme", wanted, lambda: self.pysme.spectrum(wanted, self.atmospheres)),
        ]
        emulated = read_emulator().spectra(torch.from_numpy(wanted.labels[None]).float())[0].numpy()
        return np.stack([synthetic[0], emulated, *synthetic[1:]])

    def _kept(self, name: str, wanted: GridStar, make: Callable[[], dict[str, Floats]]) -> Floats:
        path = self.work and self.work / f"{name.replace(' ', '-')}.npz"
        if path and path.exists():
            with np.load(path) as file:
                if np.array_equal(file["labels"], wanted.labels):
                    return file["flux"]
        print(name, flush=True)
        made = make()
        parts = [to_rest_pixels(air_to_vacuum(air_grid(arm.name)), made[arm.name][None], arm)[0] for arm in REST]
        flux = np.concatenate(parts)
        if path:
            np.savez(path, labels=wanted.labels, flux=flux)
        return flux


def lists_without_levels(lines: Path, target: Path) -> Path:
    """Write line lists with which Turbospectrum takes the damping of the list, where it would prefer its own tables.

    It looks up the broadening by hydrogen by the levels s, p, d, f of a line, unless the list has the cross-section.
    """
    for arm in WINDOWS_AIR_A:
        for kind in ("mol", "tio"):
            (target / f"{kind}_{arm}").symlink_to((lines / f"{kind}_{arm}").resolve())
        written = []
        for line in (lines / f"atoms_{arm}").read_text().splitlines(keepends=True):
            values, *levels = line.split("'")
            given = values.strip() and float(values.split()[3]) < 0.0
            written.append(f"{values}'X' 'X'{levels[-1]}" if given else line)
        (target / f"atoms_{arm}").write_text("".join(written))
    return target


def observed(spectra: Floats, labels: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return spectra as LAMOST sees stars at rest without noise, and where they are known."""
    n = len(spectra)
    still = np.zeros(n)
    seen = Stars(labels, still, still, still, np.full((n, 2), RESOLUTION), np.full((n, 2), SNR))
    return GivenSpectra(read_emulator(), spectra).clean_spectra(seen, np.arange(n))


def agreement(one: Floats, other: Floats, used: NDArray[np.bool_]) -> tuple[float, float]:
    """Return correlation, and rms of the difference."""
    difference = other[used] - one[used]
    return float(np.corrcoef(one[used], other[used])[0, 1]), float(np.sqrt(np.mean(difference**2)))


def compare_flux(flux: dict[str, Floats], valid: NDArray[np.bool_]) -> None:
    """Write how alike spectra are, per star and arm, and the same in more detail as CSV."""
    far = np.abs(wavelengths_a() - H_ALPHA_A) > CORE_A / 2.0
    lines, records = [], []
    for name, (ts, emulated, own_damping, pysme) in flux.items():
        for arm, place in arm_slices().items():
            inside = np.zeros_like(valid)
            inside[place] = valid[place]
            pairs = {"grid": ts, "emulator": emulated, "damping": own_damping}
            found = {key: agreement(values, pysme, inside & far) for key, values in pairs.items()}
            found["whole"] = agreement(ts, pysme, inside)
            means = [float(values[inside].mean()) for values in (ts, pysme)]
            records.append([name, arm, *(value for pair in found.values() for value in pair), *means])
            lines.append(
                [
                    name if arm == "blue" else "",
                    arm,
                    f"{means[0]:.4f}, {means[1]:.4f}",
                    *(f"{found[key][0]:.4f}, {100 * found[key][1]:.2f} %" for key in found),
                ]
            )
    head = ["star", "arm", "mean: grid, PySME", "grid", "emulator", "grid, damping of the list", "grid, with Hα core"]
    title = "Spectra against those of PySME, R = 7,500, in units of the continuum: correlation, rms of the difference"
    note = f"Without the inner {CORE_A:.0f} Å of Hα but for the last column. No TiO in these stars."
    write_table("second-code", title, head, lines, note)
    with (RESULTS / "spectra-second-code.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        columns = [f"{key}_{what}" for key in found for what in ("correlation", "rms")]
        writer.writerow(["star", "arm", *columns, "mean_grid", "mean_pysme"])
        writer.writerows([*record[:2], *(f"{value:.5g}" for value in record[2:])] for record in records)


def compare_responses(base: Floats, changed: dict[str, Floats], valid: NDArray[np.bool_]) -> None:
    """Write how alike the changes are that an element makes."""
    lines = []
    for element, flux in changed.items():
        ts, emulated, own_damping, pysme = (flux - base)[:, valid]
        line = [element, f"{1e3 * np.sqrt(np.mean(pysme**2)):.2f}"]
        for values in (ts, emulated, own_damping):
            line.append(f"{np.corrcoef(values, pysme)[0, 1]:.3f}, {values @ pysme / (pysme @ pysme):.2f}")
        lines.append(line)
    head = ["element", "rms change, PySME [10⁻³]", "grid", "emulator", "grid, damping of the list"]
    title = f"What +{STEP_DEX:g} dex changes in the giant: correlation with the change by PySME, and size over it"
    write_table("second-code-responses", title, head, lines)


def compare_labels(spectra: dict[str, Floats]) -> None:
    """Write by how much labels that the fit reads from spectra of PySME differ from those of the grid's code."""
    fitter = read_fitter()
    labels = np.stack([STARS[name].labels for name in spectra])
    read = {}
    for code in ("Turbospectrum", "damping of the list", "PySME"):
        flux, valid = observed(np.stack([values[CODES.index(code)] for values in spectra.values()]), labels)
        read[code] = prediction.predict(fitter, flux, np.where(valid, SNR**2, 0.0).astype(np.float32))
    grid, damped, pysme = (rows.labels for rows in read.values())
    lines = []
    for i, label in enumerate(LABELS):
        digits = 0 if i == 0 else 2
        cells = [
            f"{pysme[k, i] - grid[k, i]:+.{digits}f}, {damped[k, i] - grid[k, i]:+.{digits}f} ({error:.{digits}f})"
            if read["PySME"].information[k, i] > _INFORMED
            else "–"
            for k, error in enumerate(read["PySME"].errors[:, i])
        ]
        lines.append([label.symbol, *cells])
    title = (
        "Labels read from PySME's spectra less those read from the grid's code, that of the grid's code with the "
        f"damping of the list, and (error at S/N {SNR:.0f})"
    )
    write_table("second-code-labels", title, ["label", *spectra], lines, "–: the spectrum says less than the prior.")


def main() -> None:
    """Make the spectra and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, help="folder that astropipe.spectra.synthesis prepared")
    parser.add_argument("--work", type=Path, help="folder in which spectra are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
    program = sources.turbospectrum(options.sources)
    program.check()
    atmospheres = MarcsGrid(sources.marcs_folder(options.sources))
    with tempfile.TemporaryDirectory() as folder:
        own = replace(program, lines=lists_without_levels(program.lines, Path(folder)))
        codes = Codes(program, own, PySme(options.sources), atmospheres, options.work)
        spectra = {name: codes.spectra(name, wanted) for name, wanted in STARS.items()}
        changed = {}
        for element in RESPONSES:
            labels = STARS[RESPONDING].labels.copy()
            labels[2 + ELEMENTS.index(element)] += STEP_DEX
            changed[element] = codes.spectra(f"{RESPONDING}-{element}", GridStar("", labels))
    flux = {}
    for name, values in spectra.items():
        flux[name], valid = observed(values, np.tile(STARS[name].labels, (len(CODES), 1)))
    responses = {
        element: observed(values, np.tile(STARS[RESPONDING].labels, (len(CODES), 1)))[0]
        for element, values in changed.items()
    }
    compare_flux(flux, valid[0])
    compare_responses(flux[RESPONDING], responses, valid[0])
    compare_labels(spectra)


if __name__ == "__main__":
    main()
