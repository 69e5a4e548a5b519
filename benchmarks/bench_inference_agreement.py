"""Emulated posteriors of w0waCDM against a long exact run, over seeds: tables and figures of docs/inference.md.

python benchmarks/bench_inference_agreement.py [--seeds FIRST LAST] [--folder results-inference]

An hour on one core. Posteriors are kept in the folder as artifacts, and made only where they are missing.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.config.inference import SampleConfig
from astropipe.inference import stage
from astropipe.inference.agreement import jensen_shannon
from astropipe.inference.comparison import compare
from astropipe.inference.summaries import systematic_resample
from astropipe.plots import draw
from astropipe.runtime.run import Run
from astropipe.runtime.seeds import stream
from astropipe.runtime.shipped import data_file

HERE = Path(__file__).parent
PROBLEM = "w0wa-chronometers-desi-dr2"
EMULATED = {"method": "emulated", "precision": 0.02}
LONG, SHORT = {"n_live": 2000}, {"n_live": 500}
REPEATS = 20
TARGET = 0.01
"""Jensen–Shannon divergence to stay below, nat."""


def posterior(path: Path, seed: int, **settings: object) -> Path:
    """Make a posterior where it is missing."""
    if not path.exists():
        config = SampleConfig.model_validate({"problem": PROBLEM, "label": path.stem, **settings})
        print(path, stage.sample([], path, config, Run(seed=seed, resume=True, force=True)), flush=True)
    return path


def samples(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return samples [m, d] and weights [m] of a posterior."""
    with open_artifact(path, "posterior") as artifact:
        return artifact.array("nested/samples"), np.exp(artifact.array("nested/log_weights"))


def exact_draws(short: Path, long: Path, n: int) -> NDArray[np.float64]:
    """Return the divergences [REPEATS, d] of n draws of an exact run from a longer one, noise left in."""
    (x, w), (reference, v) = samples(short), samples(long)
    found = []
    for repeat in range(REPEATS):
        rng = stream(0, "bench.agreement", repeat)
        order = rng.permutation(len(x))
        drawn = x[order[systematic_resample(w[order], n, rng)]]
        each = [jensen_shannon(a, np.ones(n), b, v) for a, b in zip(drawn.T, reference.T, strict=True)]
        found.append([divergence + noise for divergence, _, noise in each])
    return np.array(found)


def by_seed(metrics: Table, runs: Sequence[str], measure: str) -> NDArray[np.float64]:
    """Return a measure of each run."""
    rows = {row["subject"]: float(row["value"]) for row in metrics[metrics["measure"] == measure]}
    return np.array([rows[run] for run in runs])


def main() -> None:
    """Make the posteriors, the tables and the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=(1, 10), metavar=("FIRST", "LAST"))
    parser.add_argument("--folder", type=Path, default=Path("results-inference"))
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(exist_ok=True)
    seeds = range(arguments.seeds[0], arguments.seeds[1] + 1)
    emulated = [posterior(folder / f"emulated-{seed}.h5", seed, **EMULATED) for seed in seeds]
    short = posterior(folder / "exact-short.h5", 0, **SHORT)
    long = posterior(folder / "exact-long.h5", 2, **LONG)
    metrics = compare([*emulated, short, long], data_file("published-constraints/constraints.ecsv"))
    runs = [path.stem for path in emulated]
    with open_artifact(long) as artifact:
        names = [str(row["parameter"]) for row in artifact.table() if row["sampled"]]
    ess = by_seed(metrics, runs, "ess")
    raw = exact_draws(short, long, int(np.median(ess)))

    rows: list[tuple[object, ...]] = []
    lines = []
    for i, name in enumerate(names):
        js, noise, shift, width = (
            by_seed(metrics, runs, f"{name}_{what}") for what in ("js", "js_noise", "shift", "width_ratio")
        )
        rows += zip(runs, [name] * len(runs), js, noise, shift, width, ess, strict=True)
        lines.append(
            f"| `{name}` | {js.mean():.4f} ± {js.std(ddof=1) / np.sqrt(len(js)):.4f} | {js.max():.4f} "
            f"| {np.count_nonzero(js <= TARGET)} of {len(js)} | {np.mean(js + noise):.4f} | {raw[:, i].mean():.4f} "
            f"| {np.sqrt(np.mean(shift**2)):.3f} | {width.mean():.3f} ± {width.std(ddof=1):.3f} |"
        )
    with (HERE / "results" / "inference-agreement.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("run", "parameter", "js", "js_noise", "shift", "width_ratio", "ess"))
        writer.writerows(rows)
    head = (
        "parameter",
        "divergence [nat], mean",
        "largest",
        f"≤ {TARGET:g}",
        "noise left in",
        "of exact draws, as many, noise left in",
        "shift, rms [σ]",
        "width ratio",
    )
    with open_artifact(long) as artifact:
        reference = float(artifact.attributes("nested")["ess"])
    note = (
        f"`{PROBLEM}`, {len(runs)} emulated runs of precision 0.02, {ess.min():.0f} to {ess.max():.0f} effective "
        f"samples; reference: 2000 live points, {reference:.0f} effective samples. Exact draws: {int(np.median(ess))} "
        f"of a run with 500 live points, {REPEATS} times."
    )
    table = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines]
    scatter = {str(row["measure"]): row for row in metrics if ": " in str(row["subject"])}
    ratio, p = scatter["logz_scatter_over_error"], scatter["logz_scatter_p"]
    summary = (
        f"ln Z of these {len(runs)} runs: scatter over quoted error {ratio['value']:.2f} ± {ratio['error']:.2f}, "
        f"χ² p = {p['value']:.2f}. Effective samples for each true call: emulated "
        f"{np.median(by_seed(metrics, runs, 'ess_per_call')):.2f} (median), exact "
        f"{by_seed(metrics, ['exact-long'], 'ess_per_call')[0]:.3f}."
    )
    text = "\n".join([*table, "", note, "", summary, ""])
    print(text)
    (HERE / "results" / "inference-agreement.md").write_text(text, encoding="utf-8")
    figures = HERE.parent / "docs" / "figures"
    draw([emulated[0]], figures / "emulator-errors.png", "emulator-errors")
    draw([emulated[0]], figures / "posterior-report.png", "report")
    draw(emulated, figures / "run-scatter.png", "run-scatter")


if __name__ == "__main__":
    main()
