"""Spectra that are no single star of the model's range, or were damaged: whether the flags find them."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from spectra_sets import SEED, THREADS, simulated, survey, write_table

from astropipe.spectra import prediction
from astropipe.spectra.emulator import read_emulator
from astropipe.spectra.fitting import Fitter
from astropipe.spectra.flags import LOW_SNR_LIMIT
from astropipe.spectra.instrument import Damage, Recorded, observe
from astropipe.spectra.medium import AIR_SHIFT_KM_S
from astropipe.spectra.pixels import N_PIXELS, SPEED_OF_LIGHT_KM_S, arm_slices, wavelengths_a
from astropipe.spectra.prediction import Rows
from astropipe.spectra.rendering import renderer
from astropipe.spectra.simulation import Stars, broadening_variance, draw_residuals, draw_stars
from astropipe.spectra.sources import median_snr, quality_flags
from astropipe.spectra.wavelengths import refractive_index

SNR = (20.0, 50.0, 100.0)
FAINT_SNR = 3.0


def score(rows: Rows) -> NDArray[np.float64]:
    """Return how strange a spectrum is: the largest of the statistics behind the flags over its limit."""
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [
            np.nanmax(rows.excess, axis=1) / prediction.EXCESS_LIMIT,
            rows.rv_second / prediction.SECOND_VELOCITY_LIMIT,
            rows.v_sin_i / prediction.V_SIN_I_LIMIT_KM_S,
            rows.n_spikes / prediction.SPIKE_LIMIT,
            rows.air_gain / prediction.AIR_GAIN_LIMIT,
        ]
    return np.asarray(np.nanmax(np.stack(parts), axis=0))


def auroc(strange: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    """Return the area under the curve of found strange ones over false alarms (Mann-Whitney)."""
    order = np.concatenate([strange, normal]).argsort().argsort() + 1.0
    n, m = len(strange), len(normal)
    return float((order[:n].sum() - n * (n + 1) / 2) / (n * m))


def _seen(stars: Stars, rv: NDArray[np.float64], v_sin_i: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return spectra at a velocity and rotation, with the errors of the emulator that simulated surveys have."""
    emulator, view = read_emulator(), renderer(read_emulator())
    transfer = view.transfer(
        torch.from_numpy(rv).float(), torch.from_numpy(v_sin_i).float(), broadening_variance(stars)
    )
    coefficients = emulator.coefficients(torch.from_numpy(stars.labels).float())
    residuals = draw_residuals(emulator, stars.labels, np.random.default_rng(SEED))
    return np.asarray(view.pixels(view.transforms(coefficients, residuals) * transfer.factor).numpy())


def _in_air(stars: Stars) -> NDArray[np.float32]:
    """Return spectra whose wavelengths are in air and taken for such in vacuum."""
    arms = []
    for place in arm_slices().values():
        index = float(refractive_index(np.mean(wavelengths_a()[place])))
        moved = stars.rv_km_s - SPEED_OF_LIGHT_KM_S * (index - 1.0)
        arms.append(_seen(stars, moved, stars.v_sin_i_km_s)[:, place])
    return np.concatenate(arms, axis=1)


def _faint(n: int) -> list[str]:
    """Return the row of spectra that are too faint, whose S/N is measured, against spectra of twice the limit."""
    measured = []
    for snr in (FAINT_SNR, 2.0 * LOW_SNR_LIMIT):
        recorded = simulated(survey(snr), n)[1]
        measured.append(median_snr(recorded.flux, recorded.ivar))
    faint, enough = (1.0 / np.maximum(values.max(axis=1), 1e-3) for values in measured)
    flagged = quality_flags(np.ones((n, N_PIXELS), dtype=np.float32), measured[0]) != 0
    return [f"{FAINT_SNR:g}", f"too faint, against S/N {2 * LOW_SNR_LIMIT:g}", f"{auroc(faint, enough):.3f}",
            f"{100 * np.mean(flagged):.0f} %"]  # fmt: skip


def strange(fitter: Fitter, options: argparse.Namespace) -> None:
    """Measure how well spectra that are no single FGK star are told from those that are."""
    rng, n, lines = np.random.default_rng(SEED + 1), options.n, []
    for snr in SNR:
        stars = draw_stars(survey(snr), rng, n)
        stars = replace(stars, rv_km_s=stars.rv_km_s / 3.0)
        other = draw_stars(survey(snr), rng, n)

        def fitted(spectra: NDArray[np.float32], damage: Damage, shift: float = 0.0, stars: Stars = stars) -> Rows:
            valid = renderer(read_emulator()).valid(torch.from_numpy(stars.rv_km_s).float()).numpy()
            recorded: Recorded = observe(
                spectra, valid, stars.labels[:, 0], stars.snr, damage, rng, telluric_shift_km_s=shift
            )
            return prediction.predict(fitter, recorded.flux, recorded.ivar, threads=THREADS)

        plain = _seen(stars, stars.rv_km_s, stars.v_sin_i_km_s)
        normal = fitted(plain, Damage())
        apart = rng.choice([-1.0, 1.0], n) * rng.uniform(60.0, 200.0, n)
        share = rng.uniform(0.3, 0.5, (n, 1))
        second = _seen(other, stars.rv_km_s + apart, other.v_sin_i_km_s)
        hot, fast = stars.labels.copy(), rng.uniform(150.0, 250.0, n)
        hot[:, 0], hot[:, 1], hot[:, 2:17] = 6950.0, 4.2, rng.uniform(-2.0, 0.0, (n, 1))
        cool = stars.labels.copy()
        cool[:, 0], cool[:, 1] = rng.uniform(3800.0, 3900.0, n), 4.7
        dwarf = _seen(replace(stars, labels=cool), stars.rv_km_s, stars.v_sin_i_km_s)
        galaxy = 0.5 * (_seen(stars, stars.rv_km_s, 2.0 * fast) + _seen(other, stars.rv_km_s, 2.0 * fast))
        cases: dict[str, Rows] = {
            "binary, 60-200 km/s apart": fitted((1.0 - share) * plain + share * second, Damage()),
            "hot star turning at 150-250 km/s": fitted(
                _seen(replace(stars, labels=hot), stars.rv_km_s, fast), Damage()
            ),
            "M dwarf (bands 1.7 times as strong as at 3850 K)": fitted(np.clip(dwarf, 0.01, None) ** 1.7, Damage()),
            "galaxy (dispersion 150-250 km/s)": fitted(galaxy, Damage()),
            "air taken for vacuum": fitted(_in_air(stars), Damage(), AIR_SHIFT_KM_S),
            "30 cosmic rays": fitted(plain, Damage(cosmic_ray_rate=30.0)),
        }
        base = score(normal)
        for name, rows in cases.items():
            flagged = 100 * np.mean(rows.flags != 0)
            lines.append([f"{snr:.0f}", name, f"{auroc(score(rows), base):.3f}", f"{flagged:.0f} %"])
        lines.append([f"{snr:.0f}", "single stars", "", f"{100 * np.mean(normal.flags != 0):.1f} %"])
    lines.append(_faint(n))
    head = ["S/N", "what", "AUROC", "flagged"]
    write_table("strange", f"Strange spectra, {n} for each S/N", head, lines)
