"""How good, how honest and how fast the labels of stars are, on simulated spectra: the tables of docs/spectra.md.

python benchmarks/bench_spectra.py [--n 1000] [--grid grid.h5] [--parts labels,masks,velocity,strange,speed,heldout]

All spectra are simulated with seeds that nothing else uses. ``heldout`` takes spectra of the synthetic grid that no
training has seen, so that the error of the emulator is part of the test; it needs the grid (workflows/grid.smk).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from astropipe.artifacts import open_artifact
from astropipe.spectra import prediction
from astropipe.spectra.emulator import INPUT_NAMES, REST, Emulator, read_emulator
from astropipe.spectra.emulator_training import to_rest_pixels
from astropipe.spectra.fitting import Fitter
from astropipe.spectra.instrument import Damage, Recorded, observe
from astropipe.spectra.labels import LABELS
from astropipe.spectra.pixels import arm_slices, wavelengths_a
from astropipe.spectra.prediction import Rows
from astropipe.spectra.rendering import Renderer, renderer
from astropipe.spectra.simulation import Stars, Survey, broadening_variance, draw_stars, simulate_rows
from astropipe.spectra.wavelengths import refractive_index

SEED = 987_654
SNR = (10.0, 20.0, 50.0, 100.0)
CLEAN = Damage(masked_fraction=0.0, gap_rate=0.0, missing_arm_rate=0.0, cosmic_ray_rate=0.0, sky_residual=0.0)
THREADS = 2
# Arms that differ by so many errors look like air taken for vacuum. No flag: real arms differ by 1 km/s anyway.
AIR_SIGNIFICANCE = 5.0


def survey(snr: float, damage: Damage | None = None) -> Survey:
    """Return a survey of one S/N, equal in both arms."""
    return Survey(snr=(snr,), snr_range=False, blue_to_red_snr=1.0, damage=damage or Damage())


def simulated(wanted: Survey, n: int, seed: int = SEED) -> tuple[Stars, Recorded]:
    """Simulate n spectra."""
    parts = list(simulate_rows(read_emulator(), wanted, seed, 0, n))
    stars = Stars(*(np.concatenate([getattr(s, name) for s, _ in parts]) for name in vars(parts[0][0])))
    return stars, Recorded(*(np.concatenate([getattr(r, name) for _, r in parts]) for name in vars(parts[0][1])))


def pulls(rows: Rows, stars: Stars) -> tuple[np.ndarray, np.ndarray]:
    """Return errors of labels, and errors over standard errors, shape (n, 17)."""
    error = rows.labels - stars.labels[:, :17]
    return error, error / rows.errors


def table(title: str, head: list[str], lines: list[list[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for line in lines:
        print(f"| {' | '.join(line)} |")


def quality(title: str, results: dict[str, tuple[Rows, Stars]]) -> None:
    """Print coverage, and error over bound, per label."""
    lines, head = [], ["label"]
    for name in results:
        head += [f"{name}: rms", "rms / bound", "68 %", "95 %", "information"]
    for i, label in enumerate(LABELS):
        line = [label.symbol]
        for rows, stars in results.values():
            error, pull = pulls(rows, stars)
            used = np.isfinite(pull[:, i])
            rms = np.sqrt(np.mean(error[used, i] ** 2))
            line += [
                f"{rms:.0f} K" if i == 0 else f"{rms:.3f}",
                f"{rms / np.sqrt(np.mean(rows.errors[used, i] ** 2)):.2f}",
                *(f"{100 * np.mean(np.abs(pull[used, i]) < limit):.1f}" for limit in (1.0, 1.96)),
                f"{np.median(rows.information[used, i]):.2f}",
            ]
        lines.append(line)
    table(title, head, lines)


def labels(fitter: Fitter, n: int) -> None:
    """Measure labels of a simulated survey."""
    results = {}
    for snr in SNR:
        stars, recorded = simulated(survey(snr), n)
        results[f"S/N {snr:.0f}"] = prediction.predict(fitter, recorded.flux, recorded.ivar, threads=THREADS), stars
    quality(f"Simulated survey, {n} spectra for each S/N", results)


class HeldOut(Renderer):
    """Renders given spectra instead of emulated ones: its basis is the spectra themselves."""

    def __init__(self, emulator: Emulator, spectra: np.ndarray) -> None:
        mean = torch.from_numpy(spectra.mean(0)).float()
        super().__init__(replace(emulator, mean=mean, basis=torch.from_numpy(spectra).float() - mean))


def heldout(fitter: Fitter, n: int, grid: Path) -> None:
    """Measure labels of spectra of the grid that no training has seen."""
    with open_artifact(grid, "synthetic-grid") as artifact:
        stars = artifact.table()
        rows = np.flatnonzero(np.asarray(stars["held_out"]) & (np.asarray(stars["status"]) == "ok"))
        truth = np.stack([np.asarray(getattr(stars[name], "value", stars[name]))[rows] for name in INPUT_NAMES], 1)
        spectra = np.concatenate(
            [
                to_rest_pixels(
                    np.asarray(artifact.file[f"wavelength_{arm.name}"]), artifact.file[f"flux_{arm.name}"][rows], arm
                )
                for arm in REST
            ],
            axis=1,
        )
    view = HeldOut(read_emulator(), spectra)
    for name, chosen in (("above 4500 K", truth[:, 0] >= 4500.0), ("below 4500 K", truth[:, 0] < 4500.0)):
        results = {}
        for snr in SNR:
            rng = np.random.default_rng([SEED, int(snr)])
            pick = rng.choice(np.flatnonzero(chosen), n)
            drawn = replace(draw_stars(survey(snr), rng, n), labels=truth[pick])
            transfer = view.transfer(
                torch.from_numpy(drawn.rv_km_s).float(),
                torch.from_numpy(drawn.v_sin_i_km_s).float(),
                broadening_variance(drawn),
            )
            parts = []
            for start in range(0, n, 100):
                part = slice(start, start + 100)
                one = torch.nn.functional.one_hot(torch.from_numpy(pick[part]), len(spectra)).float()
                parts.append(view.pixels(view.transforms(one) * transfer.factor[part]).numpy())
            valid = view.valid(torch.from_numpy(drawn.rv_km_s).float()).numpy()
            recorded = observe(np.concatenate(parts), valid, truth[pick, 0], drawn.snr, Damage(), rng)
            found = prediction.predict(fitter, recorded.flux, recorded.ivar, threads=THREADS)
            results[f"S/N {snr:.0f}"] = found, drawn
        quality(f"Spectra held out of the grid, {name}: {chosen.sum()} stars, {n} spectra for each S/N", results)


def masks(fitter: Fitter, n: int) -> None:
    """Measure coverage and errors with pixels taken away; the prediction is the growth of the errors themselves."""
    stars, recorded = simulated(survey(20.0, CLEAN), n)
    rng = np.random.default_rng(SEED)
    ivar = recorded.ivar
    taken: dict[str, np.ndarray] = {"nothing": ivar}
    for share in (0.1, 0.3, 0.5):
        taken[f"{100 * share:.0f} % of pixels"] = np.where(rng.random(ivar.shape) < share, 0.0, ivar)
    wavelength = wavelengths_a()
    first = rng.uniform(4900.0, 5350.0, (n, 1))
    taken["40 Å gap"] = np.where((wavelength > first) & (wavelength < first + 40.0), 0.0, ivar)
    for name, place in arm_slices().items():
        missing = ivar.copy()
        missing[:, place] = 0.0
        taken[f"{name} arm"] = missing
    lines, base = [], None
    for name, weights in taken.items():
        rows = prediction.predict(fitter, recorded.flux, weights, threads=THREADS)
        error, pull = pulls(rows, stars)
        rms, bound = np.sqrt(np.mean(error**2, axis=0)), np.sqrt(np.mean(rows.errors**2, axis=0))
        base = (rms, bound) if base is None else base
        growth = rms / base[0] / (bound / base[1])
        cover = 100.0 * np.mean(np.abs(pull) < 1.0, axis=0)
        lines.append(
            [
                name,
                f"{cover.min():.1f}-{cover.max():.1f}",
                f"{100 * np.mean(np.abs(pull) < 1.0):.1f}",
                f"{growth.min():.2f}-{growth.max():.2f}",
            ]
        )
    head = ["taken away", "68 % coverage, labels", "mean", "growth of rms over that of the bound"]
    table(f"Masks, S/N 20, {n} spectra", head, lines)


def velocity(fitter: Fitter, n: int) -> None:
    """Measure radial velocities, and how labels change as the same star moves."""
    lines = []
    for snr in SNR:
        stars, recorded = simulated(survey(snr), n)
        rows = prediction.predict(fitter, recorded.flux, recorded.ivar, threads=THREADS)
        error = rows.rv - stars.rv_km_s
        cover = np.mean(np.abs(error) < rows.rv_err)
        lines.append(
            [f"{snr:.0f}", f"{np.sqrt(np.mean(error**2)):.2f}", f"{np.median(rows.rv_err):.2f}", f"{100 * cover:.1f}"]
        )
    table(
        f"Radial velocity, {n} spectra for each S/N",
        ["S/N", "rms [km/s]", "median error [km/s]", "68 % coverage"],
        lines,
    )
    # The same stars and noise at other velocities: pixels that a shift brings into view are masked at all of them.
    view = renderer(read_emulator())
    rng = np.random.default_rng(SEED)
    stars = draw_stars(survey(50.0, CLEAN), rng, 200)
    coefficients = read_emulator().coefficients(torch.from_numpy(stars.labels).float())
    found = []
    for rv in (-300.0, 0.0, 300.0):
        at = torch.full((200,), rv)
        transfer = view.transfer(at, torch.from_numpy(stars.v_sin_i_km_s).float(), broadening_variance(stars))
        spectra = view.pixels(view.transforms(coefficients) * transfer.factor).numpy()
        ivar = np.where(view.valid(at).numpy(), 50.0**2, 0.0)
        found.append(prediction.predict(fitter, spectra, ivar, threads=THREADS))
    for name, moved in (("-300", found[0]), ("+300", found[2])):
        change = np.abs(moved.labels - found[1].labels) / found[1].errors
        print(f"\nLabels at {name} km/s against 0, S/N 50, no noise: median change {np.median(change):.3f} sigma, "
              f"90 % below {np.quantile(change, 0.9):.2f}, 99 % below {np.quantile(change, 0.99):.2f}")  # fmt: skip


def score(rows: Rows) -> np.ndarray:
    """Return how strange a spectrum is: the largest of the statistics behind the flags over its limit."""
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [
            np.nanmax(rows.excess, axis=1) / prediction.EXCESS_LIMIT,
            rows.rv_second / prediction.SECOND_VELOCITY_LIMIT,
            rows.v_sin_i / prediction.V_SIN_I_LIMIT_KM_S,
            rows.n_spikes / prediction.SPIKE_LIMIT,
            rows.rv_red_blue / rows.rv_red_blue_err / AIR_SIGNIFICANCE,
        ]
    return np.nanmax(np.stack(parts), axis=0)


def auroc(strange: np.ndarray, normal: np.ndarray) -> float:
    """Return the area under the curve of found strange ones over false alarms (Mann-Whitney)."""
    order = np.concatenate([strange, normal]).argsort().argsort() + 1.0
    n, m = len(strange), len(normal)
    return float((order[:n].sum() - n * (n + 1) / 2) / (n * m))


def strange(fitter: Fitter, n: int) -> None:
    """Measure how well spectra that are no single FGK star are told from those that are."""
    emulator = read_emulator()
    view = renderer(emulator)
    rng = np.random.default_rng(SEED + 1)
    lines = []

    def seen(stars: Stars, rv: np.ndarray, v_sin_i: np.ndarray) -> np.ndarray:
        transfer = view.transfer(
            torch.from_numpy(rv).float(), torch.from_numpy(v_sin_i).float(), broadening_variance(stars)
        )
        coefficients = emulator.coefficients(torch.from_numpy(stars.labels).float())
        return view.pixels(view.transforms(coefficients) * transfer.factor).numpy()

    def fitted(spectra: np.ndarray, stars: Stars, damage: Damage) -> Rows:
        valid = view.valid(torch.from_numpy(stars.rv_km_s).float()).numpy()
        recorded = observe(spectra, valid, stars.labels[:, 0], stars.snr, damage, rng)
        return prediction.predict(fitter, recorded.flux, recorded.ivar, threads=THREADS)

    for snr in (20.0, 50.0, 100.0):
        stars = draw_stars(survey(snr), rng, n)
        stars = replace(stars, rv_km_s=stars.rv_km_s / 3.0)
        other = draw_stars(survey(snr), rng, n)
        plain = seen(stars, stars.rv_km_s, stars.v_sin_i_km_s)
        normal = fitted(plain, stars, Damage())
        cases: dict[str, tuple[np.ndarray, Damage]] = {}
        apart = rng.choice([-1.0, 1.0], n) * rng.uniform(60.0, 200.0, n)
        share = rng.uniform(0.3, 0.5, (n, 1))
        cases["binary, 60-200 km/s apart"] = (
            (1.0 - share) * plain + share * seen(other, stars.rv_km_s + apart, other.v_sin_i_km_s), Damage()
        )  # fmt: skip
        hot = stars.labels.copy()
        hot[:, 0], hot[:, 1], hot[:, 2:17] = 6950.0, 4.2, rng.uniform(-2.0, 0.0, (n, 1))
        fast = rng.uniform(150.0, 250.0, n)
        cases["hot star turning at 150-250 km/s"] = seen(replace(stars, labels=hot), stars.rv_km_s, fast), Damage()
        cool = stars.labels.copy()
        cool[:, 0], cool[:, 1] = rng.uniform(3800.0, 3900.0, n), 4.7
        cases["M dwarf (bands 1.7 times as strong as at 3850 K)"] = (
            np.clip(seen(replace(stars, labels=cool), stars.rv_km_s, stars.v_sin_i_km_s), 0.01, None) ** 1.7, Damage()
        )  # fmt: skip
        cases["galaxy (dispersion 150-250 km/s)"] = (
            0.5 * (seen(stars, stars.rv_km_s, 2.0 * fast) + seen(other, stars.rv_km_s, 2.0 * fast)),
            Damage(),
        )
        middle = [np.mean(wavelengths_a()[place]) for place in arm_slices().values()]
        arms = []
        for place, wavelength in zip(arm_slices().values(), middle, strict=True):
            moved = stars.rv_km_s - 299_792.458 * (float(refractive_index(wavelength)) - 1.0)
            arms.append(seen(stars, moved, stars.v_sin_i_km_s)[:, place])
        cases["air taken for vacuum"] = np.concatenate(arms, axis=1), Damage()
        cases["30 cosmic rays"] = plain, Damage(cosmic_ray_rate=30.0)
        base = score(normal)
        alarms = np.mean((normal.flags & ~16) != 0)
        for name, (spectra, damage) in cases.items():
            rows = fitted(spectra, stars, damage)
            lines.append(
                [f"{snr:.0f}", name, f"{auroc(score(rows), base):.3f}", f"{100 * np.mean(rows.flags != 0):.0f} %"]
            )
        lines.append([f"{snr:.0f}", "single stars", "", f"{100 * alarms:.1f} %"])
    table(f"Strange spectra, {n} for each S/N", ["S/N", "what", "AUROC", "flagged"], lines)


def speed(fitter: Fitter, n: int) -> None:
    """Measure spectra per second on two cores."""
    begun = time.perf_counter()
    _, recorded = simulated(Survey(), n)
    made = time.perf_counter() - begun
    for threads in (1, 2):
        begun = time.perf_counter()
        prediction.predict(fitter, recorded.flux, recorded.ivar, threads=threads)
        print(f"\nfitted with {threads} thread(s): {n / (time.perf_counter() - begun):.0f} spectra/s")
    print(
        f"\nsimulated: {n / made:.0f} spectra/s, one process, not written; parameters: {read_emulator().n_parameters}"
    )


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--grid", type=Path)
    parser.add_argument("--parts", default="labels,masks,velocity,strange,speed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    fitter = Fitter(read_emulator())
    for part in options.parts.split(","):
        if part == "heldout":
            heldout(fitter, options.n, options.grid)
        else:
            globals()[part](fitter, options.n)


if __name__ == "__main__":
    main()
