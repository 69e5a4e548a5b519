"""Why intervals hold the truth too seldom or too often: the same survey with ever fewer things that go wrong."""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from spectra_sets import CLEAN, SEED, SNR, Case, simulated_case, survey, write_table

from astropipe.spectra.emulator import TIO_T_EFF_K, Emulator
from astropipe.spectra.emulator_calibration import measure_inflation
from astropipe.spectra.fitting import Fitter
from astropipe.spectra.labels import LABELS
from astropipe.spectra.simulation import draw_residuals, draw_stars

_T_EFF_K = (0.0, 4200.0, TIO_T_EFF_K, 5000.0, 5500.0, 6000.0, np.inf)
_COPIES = 10
_CALIBRATION = 720
_LIMITS = (1.0, 1.96)
_ASKED = ((65.0, 71.0), (93.5, 96.5))


def coverage(fitter: Fitter, options: argparse.Namespace) -> None:
    """Count cells whose coverage is as asked as causes are taken away, and say where at S/N 100 it is not."""
    emulator = fitter.emulator
    exact = Fitter(
        replace(
            emulator,
            error_variance=torch.zeros_like(emulator.error_variance),
            inflation=torch.ones_like(emulator.inflation),
        ),
        fitter.start,
    )
    gaussian = Fitter(_recalibrated(fitter, _gaussian(emulator)), fitter.start)
    again = Fitter(_recalibrated(fitter, emulator), fitter.start)
    lines, missed_lines = [], []
    for name, each, damage, model_error in (
        ("exact spectra, nothing goes wrong", exact, CLEAN, False),
        ("exact spectra, default damage", exact, None, False),
        ("emulator errs as the shipped one does", fitter, None, True),
        ("the same, factors measured by simulated spectra of the same errors", again, None, True),
        ("the same, with Gaussian errors", gaussian, None, True),
    ):
        cases = [simulated_case(each, snr, options.n, damage, model_error=model_error) for snr in SNR]
        shares = np.array([_shares(case.pull) for case in cases])
        inside = [(low <= shares[:, i]) & (shares[:, i] <= high) for i, (low, high) in enumerate(_ASKED)]
        missed_lines += _missed(name, cases)
        lines.append([name, *(str(cells.sum()) for cells in (inside[0] & inside[1], *inside))])
        lines[-1] += [f"{shares[:, i].min():.1f}-{shares[:, i].max():.1f}" for i in (0, 1)]
        missed = {f"{snr:.0f}": ~both for snr, both in zip(SNR, inside[0] & inside[1], strict=True)}
        lines[-1].append(
            "; ".join(
                f"S/N {snr}: {', '.join(label.symbol for label, out in zip(LABELS, cells, strict=True) if out)}"
                for snr, cells in missed.items()
                if cells.any()
            )
        )
    head = [
        "simulated",
        "as asked, of 68",
        "68 % within 65-71",
        "95 % within 93.5-96.5",
        "68 %",
        "95 %",
        "not as asked",
    ]
    write_table("coverage", f"Coverage, {options.n} spectra for each S/N", head, lines)
    head = ["simulated", "label", "S/N", "68 %", "95 %", "above, below the latter", "factor that would do"]
    write_table("coverage-missed", "Cells whose coverage is not as asked", head, missed_lines)
    _by_temperature(simulated_case(fitter, SNR[-1], 4 * options.n))


def _by_temperature(case: Case) -> None:
    t_eff, lines = case.stars.labels[:, 0], []
    for low, high in pairwise(_T_EFF_K):
        stars = (t_eff >= low) & (t_eff < high)
        shares = _shares(case.pull[stars])
        bounds = (
            f"{low:.0f}-{high:.0f}" if low and np.isfinite(high) else f"{'above' if low else 'below'} {low or high:.0f}"
        )
        lines.append([bounds, str(stars.sum())])
        for share in shares:
            worst = LABELS[int(share.argmin())].symbol, LABELS[int(share.argmax())].symbol
            lines[-1] += [f"{share.mean():.1f}", f"{share.min():.1f} ({worst[0]}) - {share.max():.1f} ({worst[1]})"]
    head = ["T_eff [K]", "spectra", "68 %, mean", "range", "95 %, mean", "range"]
    write_table(
        "coverage-temperature", "Coverage by temperature at S/N 100, simulated as in the first table", head, lines
    )


def _shares(pull: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return per cent of pulls within the 68 % and the 95 % interval, shape (2, 17)."""
    return np.array([100.0 * np.nanmean(np.abs(pull) < limit, axis=0) for limit in _LIMITS])


def _missed(name: str, cases: list[Case]) -> list[list[str]]:
    """Return a line for each cell not as asked: on which side the truth is, and what all its errors might be times."""
    lines = []
    for snr, case in zip(SNR, cases, strict=True):
        for label, pull, shares in zip(LABELS, case.pull.T, _shares(case.pull).T, strict=True):
            if all(low <= share <= high for share, (low, high) in zip(shares, _ASKED, strict=True)):
                continue
            ends = [
                np.nanquantile(np.abs(pull), np.array(asked) / 100.0) / limit
                for asked, limit in zip(_ASKED, _LIMITS, strict=True)
            ]
            low, high = max(end[0] for end in ends), min(end[1] for end in ends)
            above, below = (100.0 * np.nanmean(sign * pull > _LIMITS[1]) for sign in (-1.0, 1.0))
            factor = f"{low:.2f}-{high:.2f}" if low <= high else "none"
            shown = [f"{value:.1f}" for value in shares]
            lines.append([name, label.symbol, f"{snr:.0f}", *shown, f"{above:.1f}, {below:.1f} %", factor])
    return lines


def _gaussian(emulator: Emulator) -> Emulator:
    """Return an emulator whose errors are Gaussian, of the covariance of the real ones and as large as is expected."""
    rng, stars, residuals = np.random.default_rng(SEED), emulator.residual_stars, emulator.residuals
    usual = emulator.error(stars[:, 0]).mean(1)
    unit = residuals / (usual * stars[:, 3]).sqrt()[:, None]
    expected = (usual * emulator.error_factor(stars[:, :3], others=True)).sqrt()[:, None]
    drawn = torch.zeros(_COPIES, *residuals.shape)
    for cool in (False, True):
        rows = (stars[:, 0] < TIO_T_EFF_K) == cool
        values, vectors = np.linalg.eigh((unit[rows].T @ unit[rows] / int(rows.sum())).double().numpy())
        normal = rng.standard_normal((_COPIES, int(rows.sum()), len(values)))
        shapes = normal @ (vectors * np.sqrt(values.clip(0.0))).T
        drawn[:, rows] = torch.from_numpy(shapes).float() * expected[rows]
    return replace(emulator, residuals=drawn.flatten(0, 1), residual_stars=stars.repeat(_COPIES, 1))


def _recalibrated(fitter: Fitter, emulator: Emulator) -> Emulator:
    """Return an emulator whose factors are measured on simulated stars that have its own errors."""
    rng = np.random.default_rng([SEED, 1])
    labels = draw_stars(survey(50.0, CLEAN), rng, _CALIBRATION).labels
    lacking = draw_residuals(emulator, labels, rng) @ emulator.residual_basis
    spectra = (emulator.spectra(torch.from_numpy(labels).float()) + lacking).numpy()
    plain = replace(emulator, inflation=torch.ones_like(emulator.inflation))
    return replace(emulator, inflation=measure_inflation(plain, fitter.start, labels, spectra, seed=SEED))
