"""How good, how honest and how fast the labels of stars are, on simulated spectra: the tables of docs/spectra.md.

python benchmarks/bench_spectra.py [--n 2000] [--parts emulator,labels,coverage,masks,velocity,strange,speed,profile]
python benchmarks/bench_spectra.py --parts heldout,curve --grid grid.h5
python benchmarks/bench_spectra.py --parts networks --networks rrnet.h5 starnet.h5

``heldout`` takes spectra of the synthetic grid that no training has seen, so that the error of the emulator is part of
the test; ``curve`` says how the error of emulated cool stars falls as more of them are learned from. Both need the grid
(workflows/grid.smk). ``networks`` measures the fit and the baselines it is given,
which `make bench-spectra-networks` trains; of the others it keeps the rows.
"""

from __future__ import annotations

import argparse
import cProfile
import csv
import re
import time
from pathlib import Path

import numpy as np
import torch
from spectra_coverage import coverage
from spectra_networks import networks
from spectra_sets import (
    CLEAN,
    RESULTS,
    SEED,
    SNR,
    THREADS,
    Case,
    HeldOut,
    bounds,
    simulated,
    simulated_case,
    survey,
    write_table,
)
from spectra_strange import strange

from astropipe.artifacts import open_artifact
from astropipe.runtime.shipped import weights_file
from astropipe.spectra import prediction
from astropipe.spectra.emulator import SHIPPED, read_emulator
from astropipe.spectra.emulator_grid import read_grid
from astropipe.spectra.emulator_training import TrainingSettings, fit_teacher
from astropipe.spectra.fitting import Fitter, read_fitter
from astropipe.spectra.labels import LABELS
from astropipe.spectra.pixels import arm_slices, wavelengths_a
from astropipe.spectra.rendering import renderer
from astropipe.spectra.simulation import Survey, broadening_variance, draw_stars
from astropipe.spectra.start import read_start

# Labels about which the data say more than the prior, at least half, for most stars.
_INFORMED = 0.5
# Nine tenths of the squared error of the emulator below 4500 K are below this.
_COOLEST_K = 4_200.0
_GIANT_LOG_G = 3.5
# Scores of an emulator, with the number of stars; fewer say nothing.
_REGION = re.compile(r"rms, .*\((\d+)\)")
_FEWEST_STARS = 5


def quality(name: str, title: str, fitter: Fitter, cases: dict[float, Case]) -> None:
    """Write coverage, and error over bound, per label."""
    head = ["label"]
    for snr in cases:
        head += [f"S/N {snr:.0f}: rms", "rms / bound", "68 %", "95 %", "information"]
    lines, records = [[label.symbol] for label in LABELS], []
    for snr, case in cases.items():
        bound = bounds(fitter, case.stars, case.recorded)
        for i, label in enumerate(LABELS):
            used = np.isfinite(case.pull[:, i])
            rms = float(np.sqrt(np.mean(case.error[used, i] ** 2)))
            ratio = rms / float(np.sqrt(np.mean(bound[used, i] ** 2)))
            cover = [100.0 * float(np.mean(np.abs(case.pull[used, i]) < limit)) for limit in (1.0, 1.96)]
            known = float(np.median(case.rows.information[used, i]))
            lines[i] += [
                f"{rms:.0f} K" if i == 0 else f"{rms:.3f}",
                *(f"{ratio:.2f}", f"{cover[0]:.1f}", f"{cover[1]:.1f}", f"{known:.2f}"),
            ]
            records.append([name, snr, label.name, rms, ratio, *cover, known])
    inside = [65.0 <= r[5] <= 71.0 and 93.5 <= r[6] <= 96.5 for r in records]
    informed = [r for r in records if r[7] > _INFORMED]
    near = [r[4] <= (1.25 if r[1] >= 20 else 1.5) for r in informed]
    note = (
        f"Coverage within 65-71 % and 93.5-96.5 %: {sum(inside)} of {len(inside)} cells. Labels with information "
        f"(median above {_INFORMED:g}): rms within 1.25 (at S/N 10: 1.5) of the bound in {sum(near)} of {len(near)}."
    )
    write_table(name, title, head, lines, note)
    with (RESULTS / f"spectra-{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "snr", "label", "rms", "rms_over_bound", "coverage_68", "coverage_95", "information"])
        writer.writerows([*r[:3], *(f"{value:.4g}" for value in r[3:])] for r in records)


def labels(fitter: Fitter, options: argparse.Namespace) -> None:
    """Measure labels of a simulated survey."""
    for name, model_error, text in (
        ("labels", True, "spectra differ from emulated ones as synthetic ones do"),
        ("perfect", False, "spectra are exactly emulated ones"),
    ):
        cases = {snr: simulated_case(fitter, snr, options.n, model_error=model_error) for snr in SNR}
        quality(name, f"Simulated survey, {options.n} spectra for each S/N; {text}", fitter, cases)


def heldout(fitter: Fitter, options: argparse.Namespace) -> None:
    """Measure labels of spectra of the grid that no training has seen."""
    held_out = HeldOut(options.grid)
    for name, side in (("warm", "above"), ("cool", "below")):
        rows = held_out.chosen(warm=name == "warm")
        cases = {snr: held_out.case(fitter, rows, snr, options.n) for snr in SNR}
        title = f"Synthetic spectra never learned from, {side} 4500 K: {len(rows)} stars, {options.n} spectra each S/N"
        quality(f"heldout-{name}", title, fitter, cases)


def masks(fitter: Fitter, options: argparse.Namespace) -> None:
    """Measure coverage and errors with pixels taken away; the prediction is the growth of the Fisher bound."""
    stars, recorded = simulated(survey(20.0, CLEAN), options.n)
    rng = np.random.default_rng(SEED)
    ivar = recorded.ivar
    taken: dict[str, np.ndarray] = {"nothing": ivar}
    for share in (0.1, 0.3, 0.5):
        taken[f"{100 * share:.0f} % of pixels"] = np.where(rng.random(ivar.shape) < share, 0.0, ivar)
    wavelength = wavelengths_a()
    first = rng.uniform(4900.0, 5350.0, (options.n, 1))
    taken["40 Å gap"] = np.where((wavelength > first) & (wavelength < first + 40.0), 0.0, ivar)
    for name, place in arm_slices().items():
        missing = ivar.copy()
        missing[:, place] = 0.0
        taken[f"{name} arm"] = missing
    lines, base = [], None
    for name, weights in taken.items():
        rows = prediction.predict(fitter, recorded.flux, weights, threads=THREADS)
        case = Case(stars, recorded, rows)
        bound = bounds(fitter, stars, type(recorded)(recorded.flux, weights.astype(np.float32), weights == 0.0))
        sizes = np.sqrt(np.mean(case.error**2, axis=0)), np.sqrt(np.mean(bound**2, axis=0))
        base = base or sizes
        growth = (sizes[0] / base[0]) / (sizes[1] / base[1])
        cover = 100.0 * np.mean(np.abs(case.pull) < 1.0, axis=0)
        lines.append(
            [
                name,
                f"{cover.min():.1f}-{cover.max():.1f}",
                f"{cover.mean():.1f}",
                f"{growth.min():.2f}-{growth.max():.2f}",
            ]
        )
    head = ["taken away", "68 % coverage, labels", "mean", "growth of rms over that of the bound"]
    write_table("masks", f"Masks, S/N 20, {options.n} spectra", head, lines)


def velocity(fitter: Fitter, options: argparse.Namespace) -> None:
    """Measure radial velocities, and how labels change as the same star moves."""
    lines = []
    for snr in SNR:
        case = simulated_case(fitter, snr, options.n)
        error = case.rows.rv - case.stars.rv_km_s
        cover = np.mean(np.abs(error) < case.rows.rv_err)
        rms, median = np.sqrt(np.mean(error**2)), np.median(case.rows.rv_err)
        lines.append([f"{snr:.0f}", f"{rms:.2f}", f"{median:.2f}", f"{100 * cover:.1f}"])
    # The same stars at other velocities, without noise.
    view, n = renderer(read_emulator()), 200
    stars = draw_stars(survey(50.0, CLEAN), np.random.default_rng(SEED), n)
    coefficients = read_emulator().coefficients(torch.from_numpy(stars.labels).float())
    found = []
    for rv in (-300.0, 0.0, 300.0):
        at = torch.full((n,), rv)
        transfer = view.transfer(at, torch.from_numpy(stars.v_sin_i_km_s).float(), broadening_variance(stars))
        spectra = view.pixels(view.transforms(coefficients) * transfer.factor).numpy()
        ivar = np.where(view.valid(at).numpy(), 50.0**2, 0.0)
        found.append(prediction.predict(fitter, spectra, ivar, threads=THREADS))
    notes = []
    for name, moved in (("-300", found[0]), ("+300", found[2])):
        change = np.abs(moved.labels - found[1].labels) / found[1].errors
        notes.append(
            f"Labels at {name} km/s against 0, S/N 50, no noise: median change {np.median(change):.3f} sigma, "
            f"90 % below {np.quantile(change, 0.9):.2f}, 99 % below {np.quantile(change, 0.99):.2f}."
        )
    head = ["S/N", "rms [km/s]", "median error [km/s]", "68 % coverage"]
    write_table("velocity", f"Radial velocity, {options.n} spectra for each S/N", head, lines, "\n".join(notes))


def emulator(fitter: Fitter, options: argparse.Namespace) -> None:
    """Write what the shipped emulator says of its errors, and of what they do to labels."""
    with open_artifact(weights_file(SHIPPED), "spectrum-emulator") as artifact:
        rows = {str(row["measure"]): float(row["value"]) for row in artifact.table()}
    lines = []
    for measure, value in rows.items():
        if (counted := _REGION.match(measure)) and int(counted[1]) >= _FEWEST_STARS:
            stars = measure.removeprefix("rms, ")
            lines.append([stars, f"{value:.2f} %", f"{rows[f'median star, {stars}']:.2f} %"])
    factors = read_emulator().inflation[:, :, : len(LABELS)].sqrt()
    ranges = [[f"{part.min():.1f}-{part.max():.1f}" for part in arms.T] for arms in factors]
    note = (
        "By how much errors of labels exceed those of independent errors in each pixel, over all temperatures, with "
        "both arms / blue arm alone / red arm alone: "
    ) + ", ".join(
        f"{label.symbol} {' / '.join(of)}" for label, of in zip(LABELS, zip(*ranges, strict=True), strict=True)
    )
    title = "Error of emulated spectra at stars never learned from (their number), all pixels, R = 12,000"
    write_table("emulator", title, ["stars", "rms", "median star"], lines, f"{note}.")


def speed(fitter: Fitter, options: argparse.Namespace) -> None:
    """Measure spectra per second on two cores."""
    n = max(options.n, 2_000)
    begun = time.perf_counter()
    _, recorded = simulated(Survey(), n)
    made = time.perf_counter() - begun
    lines = [["simulated, one core, not written", f"{n / made:.0f}"]]
    for threads in (1, THREADS):
        begun = time.perf_counter()
        prediction.predict(fitter, recorded.flux, recorded.ivar, threads=threads)
        lines.append([f"read with {threads} thread(s)", f"{n / (time.perf_counter() - begun):.0f}"])
    parameters = read_emulator().n_parameters + read_start().n_parameters
    write_table("speed", f"Speed, {n} spectra", ["what", "spectra/s"], lines, f"{parameters:,} parameters.")


# What is told of the time of a fit, and the function that takes it.
_TIMED = {
    "a spectrum, from pixels to the row of a catalog": ("prediction.py", "_predict"),
    "search for the velocity among templates": ("search.py", "__call__"),
    "steps": ("fitting.py", "_step"),
    "of these and the end: models and their derivatives": ("fitting.py", "_spectra"),
    "of these and the end: products of derivatives": ("fitting.py", "_curvature"),
    "covariance, with a last product": ("fitting.py", "_covariance"),
    "velocity of wide lines": ("fitting.py", "_peak_velocity"),
}


def profile(fitter: Fitter, options: argparse.Namespace) -> None:
    """Say where the time of a fit goes on one core, and what fewer derivatives would cost in accuracy."""
    n = min(options.n, 1_024)
    _, recorded = simulated(Survey(), n)
    profiler = cProfile.Profile()
    profiler.enable()
    # A thread has a profile of its own: without the pool.
    for start in range(0, n, prediction.BATCH):
        rows = slice(start, start + prediction.BATCH)
        prediction._predict(fitter, recorded.flux[rows], recorded.ivar[rows], models=False)
    profiler.create_stats()
    seconds = {(Path(file).name, name): times[3] for (file, _, name), times in profiler.stats.items()}
    lines = [[label, f"{seconds[function] / n * 1e3:.2f}"] for label, function in _TIMED.items()]
    write_table("profile", f"Time of a fit on one core, {n} spectra", ["what", "ms/spectrum"], lines)
    rows: list[list[str]] = []
    exact: prediction.Rows | None = None
    for near in (4.0, 8.0, 15.0, 30.0):
        other = Fitter(fitter.emulator, fitter.start, near=near)
        begun = time.process_time()
        found = prediction.predict(other, recorded.flux, recorded.ivar)
        rate = n / (time.process_time() - begun)
        exact = exact or found
        moved = np.nanpercentile(np.abs(found.labels - exact.labels) / exact.errors, [99.0, 99.9])
        errors = np.nanpercentile(found.errors / exact.errors, [1.0, 99.0])
        rows.append(
            [f"{near:g}", f"{rate:.0f}", f"{moved[0]:.2f}", f"{moved[1]:.2f}", f"{errors[0]:.2f}-{errors[1]:.2f}"]
        )
    header = [
        "new derivatives beyond",
        "spectra/s of a core",
        "99 % of labels move less",
        "99.9 %",
        "errors change, 98 %",
    ]
    write_table("near", "Fits that take new derivatives only after steps longer than this, in σ", header, rows)


def curve(fitter: Fitter, options: argparse.Namespace) -> None:
    """Learn from ever more of the coolest stars of the grid, and say how wrong spectra of others are."""
    grid = read_grid(options.grid)
    cool = grid.labels[:, 0] < _COOLEST_K
    known = np.flatnonzero(cool & ~grid.held_out)
    known = known[np.random.default_rng(SEED).permutation(len(known))]
    others = grid.held_out & cool
    giants = grid.labels[others, 1] < _GIANT_LOG_G
    stars = torch.from_numpy(grid.labels[others])
    sizes = [len(known) // part for part in (8, 4, 2, 1)]
    lines, means = [], []
    for size in sizes:
        learned = known[:size]
        settings = TrainingSettings(n_components=min(150, size - 1), iterations=100)
        with torch.enable_grad():
            teacher = fit_teacher(grid.labels[learned], grid.spectra[learned], settings)
        spectra = teacher.mean + teacher.coefficients(stars).numpy() @ teacher.basis
        rms = 100.0 * np.sqrt(np.mean((spectra - grid.spectra[others]) ** 2, axis=1))
        means.append([np.sqrt(np.mean(rms[part] ** 2)) for part in (giants, ~giants)])
        medians = [np.median(rms[part]) for part in (giants, ~giants)]
        lines.append([str(size), *(f"{value:.2f} %" for value in (*means[-1], *medians))])
    slopes = np.polyfit(np.log(sizes), np.log(means), 1)[0]
    wanted = sizes[-1] * (np.array(means[-1]) / 0.3) ** (-1.0 / slopes)
    note = (
        f"The rms falls as the number of stars to the power {slopes[0]:.2f} (giants) and {slopes[1]:.2f} (dwarfs): "
        f"were it to go on so, 0.3 % would take {wanted[0]:,.0f} and {wanted[1]:,.0f} stars below {_COOLEST_K:.0f} K."
    )
    header = ["learned from", "giants, rms", "dwarfs, rms", "median giant", "median dwarf"]
    title = f"Spectra of {giants.sum()} giants and {(~giants).sum()} dwarfs below {_COOLEST_K:.0f} K never learned from"
    write_table("curve", f"{title}, by the Gaussian process", header, lines, note)


PARTS = {
    "emulator": emulator,
    "labels": labels,
    "coverage": coverage,
    "masks": masks,
    "velocity": velocity,
    "strange": strange,
    "speed": speed,
    "profile": profile,
    "curve": curve,
    "heldout": heldout,
    "networks": networks,
}


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--grid", type=Path)
    parser.add_argument("--networks", type=Path, nargs="+", default=[])
    parser.add_argument("--parts", default="emulator,labels,coverage,masks,velocity,strange,speed,profile")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    fitter = read_fitter()
    for part in options.parts.split(","):
        PARTS[part](fitter, options)


if __name__ == "__main__":
    main()
