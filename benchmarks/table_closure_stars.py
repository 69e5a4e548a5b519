"""Make the tables of the closure of stars: coverage, bias and width of each parameter, and where biases come from.

Run ``python benchmarks/table_closure_stars.py [FOLDER] [--output DIR]`` after ``make closure-stars``; FOLDER is
``results-closure/closure-stars`` unless given.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact

PARAMETERS = {
    "log10_mass": "log₁₀ mass [Msun]",
    "log10_scale_radius": "log₁₀ scale radius [pc]",
    "systemic_velocity": "systemic velocity [km/s]",
    "fe_h_mean": "mean [Fe/H] [dex]",
    "fe_h_scatter": "scatter of [Fe/H] [dex]",
    "field_fraction": "fraction of field stars",
}
RECOVERY = ("parameter", "mean error", "bias [sd]", "scatter of pulls", "within 68 %", "within 95 %")
READ = ("quantity", "predicted − true, mean of members", "rms of (predicted − true) / error", "within one error")
EMULATION = ("cluster", "parameter", "shift of the mean [sd]", "ratio of widths")


def recovery_rows(metrics: Table) -> Iterator[tuple[str, ...]]:
    """Yield a row for each parameter: mean, with its standard error, of what the posteriors say."""
    measures = {str(row["measure"]): row for row in metrics}
    for name, text in PARAMETERS.items():
        bias, scatter, inside, outer, width = (
            measures[f"{name}_{what}"] for what in ("bias", "pull_scatter", "coverage_68", "coverage_95", "width")
        )
        yield (
            text,
            f"{width['value']:.2g}",
            f"{bias['value']:+.2f} ± {bias['error']:.2f}",
            f"{scatter['value']:.2f} ± {scatter['error']:.2f}",
            f"{100 * inside['value']:.0f} ± {100 * inside['error']:.0f} %",
            f"{100 * outer['value']:.0f} ± {100 * outer['error']:.0f} %",
        )


def read_rows(folders: list[Path]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each quantity that stage 2 read from the spectra of members: how far off, in how large errors.

    Means are weighted as the likelihood does: by the inverse of the squared error, for [Fe/H] with the true scatter.
    """
    differences: dict[str, list[NDArray[np.float64]]] = {"rv": [], "fe_h": []}
    pulls: dict[str, list[NDArray[np.float64]]] = {"rv": [], "fe_h": []}
    for folder in folders:
        with open_artifact(folder / "spectra.h5") as spectra, open_artifact(folder / "stars.h5") as stars:
            true, found, truth = spectra.table(), stars.table(), spectra.table("truth")
        scatter = {str(row["parameter"]): float(row["value"]) for row in truth}["fe_h_scatter"]
        used = np.asarray(true["member"]) & (np.asarray(found["flags"]) == 0)
        for name in differences:
            off, error = (
                np.asarray(getattr(x, "value", x))[used] for x in (found[name] - true[name], found[f"{name}_err"])
            )
            spread = error if name == "rv" else np.hypot(error, scatter)
            differences[name].append(np.average(off, weights=spread**-2.0))
            pulls[name].append(off / error)
    for name, text, unit in (("rv", "radial velocity", "km/s"), ("fe_h", "[Fe/H]", "dex")):
        means, pull = np.array(differences[name]), np.concatenate(pulls[name])
        inside = f"{100 * np.mean(np.abs(pull) < 1.0):.1f} %"
        mean = f"{means.mean():+.4f} ± {means.std(ddof=1) / np.sqrt(len(means)):.4f} {unit}"
        yield text, mean, f"{np.sqrt(np.mean(pull**2)):.3f}", inside


def emulation_rows(metrics: Table) -> Iterator[tuple[str, ...]]:
    """Yield a row for each cluster and parameter of which there is an exact posterior too."""
    measures = {(str(row["subject"]), str(row["measure"])): float(row["value"]) for row in metrics}
    for subject in sorted({subject for subject, measure in measures if measure.endswith("_width_ratio")}):
        for name, text in PARAMETERS.items():
            shift, ratio = (measures[subject, f"{name}_{what}"] for what in ("shift", "width_ratio"))
            yield subject, text, f"{shift:+.2f}", f"{ratio:.2f}"


def _table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, ("---",) * len(header), *rows))


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results-closure/closure-stars"))
    parser.add_argument("--output", type=Path, help="folder for the tables")
    arguments = parser.parse_args()
    tables = {}
    with open_artifact(arguments.folder / "metrics.h5", "metrics") as artifact:
        metrics = artifact.table()
        n = np.count_nonzero(metrics["measure"] == "converged")
        tables["closure-stars"] = f"*{n} simulated clusters*\n\n" + _table(RECOVERY, recovery_rows(metrics))
    folders = sorted(path.parent for path in arguments.folder.glob("cluster-*/posterior.h5"))
    tables["closure-stars-read"] = _table(READ, read_rows(folders))
    if (arguments.folder / "emulation.h5").is_file():
        with open_artifact(arguments.folder / "emulation.h5", "metrics") as artifact:
            tables["closure-stars-emulation"] = _table(EMULATION, emulation_rows(artifact.table()))
    for name, text in tables.items():
        print(text)
        if arguments.output:
            (arguments.output / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
