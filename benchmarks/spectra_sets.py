"""Spectra of the benchmark of the stars: seeds that nothing else uses, true labels, bounds, and tables of results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from astropipe.spectra import prediction
from astropipe.spectra.emulator import TIO_T_EFF_K, Emulator, read_emulator
from astropipe.spectra.emulator_calibration import GivenSpectra
from astropipe.spectra.emulator_grid import read_grid
from astropipe.spectra.fitting import Fitter
from astropipe.spectra.instrument import Damage, Recorded, observe
from astropipe.spectra.labels import LABELS
from astropipe.spectra.pairs import pair
from astropipe.spectra.prediction import Rows
from astropipe.spectra.simulation import Stars, Survey, broadening_variance, draw_stars, simulate_rows

SEED = 987_654
SNR = (10.0, 20.0, 50.0, 100.0)
CLEAN = Damage(
    masked_fraction=0.0,
    gap_rate=0.0,
    missing_arm_rate=0.0,
    cosmic_ray_rate=0.0,
    sky_residual=0.0,
    air_mass=(0.0, 0.0),
)
THREADS = 2
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Case:
    """Stars, their recorded spectra, and what was read from them."""

    stars: Stars
    recorded: Recorded
    rows: Rows

    @property
    def error(self) -> NDArray[np.float64]:
        """Predicted less true labels, shape (n, 17)."""
        return self.rows.labels - self.stars.labels[:, : len(LABELS)]

    @property
    def pull(self) -> NDArray[np.float64]:
        """Errors over standard errors, shape (n, 17)."""
        return self.error / self.rows.errors


def survey(snr: float, damage: Damage | None = None, *, model_error: bool = True) -> Survey:
    """Return a survey of one S/N, equal in both arms."""
    return Survey((snr,), snr_range=False, blue_to_red_snr=1.0, damage=damage or Damage(), model_error=model_error)


def simulated(wanted: Survey, n: int, seed: int = SEED, emulator: Emulator | None = None) -> tuple[Stars, Recorded]:
    """Simulate n spectra with an emulator, the shipped one if none is given."""
    parts = list(simulate_rows(emulator or read_emulator(), wanted, seed, 0, n))
    stars = Stars(*(np.concatenate([getattr(s, name) for s, _ in parts]) for name in vars(parts[0][0])))
    return stars, Recorded(*(np.concatenate([getattr(r, name) for _, r in parts]) for name in vars(parts[0][1])))


def simulated_case(
    fitter: Fitter, snr: float, n: int, damage: Damage | None = None, *, model_error: bool = True
) -> Case:
    """Simulate spectra of one S/N with the emulator of a fitter and read them."""
    stars, recorded = simulated(survey(snr, damage, model_error=model_error), n, emulator=fitter.emulator)
    return Case(stars, recorded, prediction.predict(fitter, recorded.flux, recorded.ivar, threads=THREADS))


class HeldOut:
    """Spectra of stars of the population that no training has seen.

    Parameters
    ----------
    grid : Path
        A ``synthetic-grid``.
    """

    def __init__(self, grid: Path) -> None:
        read = read_grid(grid)
        drawn = read.held_out & read.population
        self.labels = read.labels[drawn]
        self.view = GivenSpectra(read_emulator(), read.spectra[drawn])

    def chosen(self, *, warm: bool) -> NDArray[np.int64]:
        """Return the rows of stars above or below the temperature at which TiO sets in."""
        return np.flatnonzero((self.labels[:, 0] >= TIO_T_EFF_K) == warm)

    def case(self, fitter: Fitter, rows: NDArray[np.int64], snr: float, n: int) -> Case:
        """Observe stars of some rows, each several times, and read them."""
        rng = np.random.default_rng([SEED, int(snr)])
        pick = rng.choice(rows, n)
        stars = replace(draw_stars(survey(snr), rng, n), labels=self.labels[pick])
        parts = [self.view.clean_spectra(stars.rows(slice(i, i + 100)), pick[i : i + 100]) for i in range(0, n, 100)]
        flux, valid = (np.concatenate(values) for values in zip(*parts, strict=True))
        recorded = observe(flux, valid, stars.labels[:, 0], stars.snr, Damage(), rng)
        return Case(stars, recorded, prediction.predict(fitter, recorded.flux, recorded.ivar, threads=THREADS))


def bounds(fitter: Fitter, stars: Stars, recorded: Recorded) -> NDArray[np.float64]:
    """Return the Bayesian Cramer-Rao bounds of the labels of each spectrum, shape (n, 17)."""
    truth = torch.from_numpy(
        np.column_stack([stars.labels, stars.rv_km_s, stars.v_sin_i_km_s**2, broadening_variance(stars).numpy()])
    ).float()
    parts = []
    for i in range(0, len(stars), prediction.BATCH):
        rows = slice(i, i + prediction.BATCH)
        parts.append(fitter.bound(truth[rows], pair(recorded.flux[rows], recorded.ivar[rows])))
    return torch.cat(parts)[:, : len(LABELS)].double().numpy()


def write_table(name: str, title: str, head: list[str], lines: list[list[str]], note: str = "") -> None:
    """Write a Markdown table to the results, and print it."""
    text = f"*{title}*\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    text += "".join(f"| {' | '.join(line)} |\n" for line in lines)
    text += f"\n{note}\n" if note else ""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"spectra-{name}.md").write_text(text, encoding="utf-8")
    print(f"\n{text}", flush=True)
