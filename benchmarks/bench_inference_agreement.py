"""Emulated posteriors of w0waCDM against a long exact reference, over seeds: table and figures of docs/inference.md.

python benchmarks/bench_inference_agreement.py [--seeds FIRST LAST] [--folder results-inference]

Ten minutes on one core. Posteriors are kept in the folder as artifacts, and made only where they are missing. The
reference is importance sampling with true values from a mixture that was fitted to a nested sampling run, widened, with
a tenth from the prior: independent draws of known density, whose weights are right whatever the mixture.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.config.inference import SampleConfig
from astropipe.inference import problem, stage
from astropipe.inference.agreement import Agreement, agreement, jensen_shannon
from astropipe.inference.comparison import compare
from astropipe.inference.emulated.mixture import fit_mixture
from astropipe.inference.summaries import effective_sample_size, systematic_resample
from astropipe.plots import draw
from astropipe.runtime.run import Run
from astropipe.runtime.seeds import stream
from astropipe.runtime.shipped import data_file

Array = NDArray[np.float64]

HERE = Path(__file__).parent
PROBLEM = "w0wa-chronometers-desi-dr2"
PROPOSED, FROM_PRIOR, WIDENING = 400_000, 0.1, 1.4
"""True values behind the reference, the share drawn from the prior, and how much wider the mixture is made."""

REPEATS = 20
TARGET = 0.01
"""Jensen–Shannon divergence to stay below, nat."""

HEAD = (
    "parameter",
    "divergence [nat], mean",
    "largest",
    f"≤ {TARGET:g}",
    "with noise",
    "exact draws, as many, with noise",
    "shift, rms [σ]",
    "width ratio",
    "divergence of nested sampling",
)


def posterior(path: Path, seed: int, **settings: object) -> Path:
    """Make a posterior where it is missing."""
    if not path.exists():
        config = SampleConfig.model_validate({"problem": PROBLEM, "label": path.stem, **settings})
        print(path, stage.sample([], path, config, Run(seed=seed, resume=True, force=True)), flush=True)
    return path


def samples(path: Path) -> tuple[Array, Array]:
    """Return samples [m, d] and weights [m] of a posterior."""
    with open_artifact(path, "posterior") as artifact:
        return artifact.array("nested/samples"), np.exp(artifact.array("nested/log_weights"))


def reference(nested: Path, seed: int) -> tuple[Array, Array]:
    """Return samples [m, d] and weights [m] of importance sampling with true values, all priors being uniform."""
    task, rng = problem(PROBLEM), stream(seed, "bench.agreement")
    x, w = samples(nested)
    low, width = task.prior.bounds[:, 0], np.ptp(task.prior.bounds, axis=1)
    drawn = x[systematic_resample(w, int(effective_sample_size(w)), rng)]
    mixture = fit_mixture((drawn - low) / width, rng).widened(WIDENING)
    n = int(FROM_PRIOR * PROPOSED)
    u = np.concatenate([mixture.draw(PROPOSED - n, rng), rng.random((n, len(low)))])
    u = u[np.all((u > 0.0) & (u < 1.0), axis=1)]
    u = u[task.prior.allowed(low + u * width)]
    log_density = np.logaddexp(np.log1p(-FROM_PRIOR) + mixture.log_density(u), np.log(FROM_PRIOR))
    log_weights = task.log_likelihood(low + u * width) - log_density
    return low + u * width, np.exp(log_weights - log_weights.max())


def exact_draws(source: tuple[Array, Array], exact: tuple[Array, Array], n: int) -> Array:
    """Return the divergences [REPEATS, d] of n independent draws of one reference from another, noise left in."""
    (x, w), (y, v) = source, exact
    found = []
    for repeat in range(REPEATS):
        drawn = x[stream(0, "bench.agreement.draws", repeat).choice(len(x), n, p=w / w.sum())]
        each = [jensen_shannon(a, np.ones(n), b, v) for a, b in zip(drawn.T, y.T, strict=True)]
        found.append([divergence + noise for divergence, _, noise in each])
    return np.array(found)


def compared(path: Path, exact: tuple[Array, Array]) -> list[Agreement]:
    """Return how a posterior agrees with the reference, parameter by parameter."""
    (x, w), (y, v) = samples(path), exact
    return [agreement(a, w, b, v) for a, b in zip(x.T, y.T, strict=True)]


def line(name: str, emulated: Sequence[Agreement], draws: Array, nested: Agreement) -> str:
    """Return the line of one parameter."""
    js, _, noise, shift, width = np.array([astuple(one) for one in emulated]).T
    return (
        f"| `{name}` | {js.mean():.4f} ± {js.std(ddof=1) / np.sqrt(len(js)):.4f} | {js.max():.4f} "
        f"| {np.count_nonzero(js <= TARGET)} of {len(js)} | {np.mean(js + noise):.4f} | {draws.mean():.4f} "
        f"| {np.sqrt(np.mean(shift**2)):.3f} | {width.mean():.3f} ± {width.std(ddof=1) / np.sqrt(len(js)):.3f} "
        f"| {nested.divergence:.4f} |"
    )


def per_call(path: Path) -> float:
    """Return the effective samples of a posterior for each true call."""
    with open_artifact(path, "posterior") as artifact:
        run = artifact.attributes("nested")
    return float(run["ess"]) / int(run["n_true_calls"])


def summary(emulated: Sequence[Path], nested: Path) -> str:
    """Return a sentence on ln Z and on the cost of effective samples."""
    metrics = compare(emulated, data_file("published-constraints/constraints.ecsv"))
    values = {str(row["measure"]): row for row in metrics}
    ratio, p = values["logz_scatter_over_error"], values["logz_scatter_p"]
    return (
        f"ln Z of these runs: scatter over quoted error {ratio['value']:.2f} ± {ratio['error']:.2f}, "
        f"χ² p = {p['value']:.2f}. Effective samples for each true call: emulated "
        f"{np.median([per_call(path) for path in emulated]):.2f} (median), nested sampling {per_call(nested):.4f}."
    )


def write_rows(found: Mapping[str, Sequence[Agreement]], ess: Mapping[str, float], names: Sequence[str]) -> None:
    """Write one row for each run and parameter."""
    with (HERE / "results" / "inference-agreement.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("run", "parameter", "js", "js_err", "js_noise", "shift", "width_ratio", "ess"))
        for run, each in found.items():
            writer.writerows((run, name, *astuple(one), ess[run]) for name, one in zip(names, each, strict=True))


def main() -> None:
    """Make the posteriors, the table and the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=(1, 10), metavar=("FIRST", "LAST"))
    parser.add_argument("--folder", type=Path, default=Path("results-inference"))
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(exist_ok=True)
    nested = posterior(folder / "exact.h5", 0)
    seeds = range(arguments.seeds[0], arguments.seeds[1] + 1)
    emulated = [posterior(folder / f"emulated-{seed}.h5", seed, method="emulated", precision=0.02) for seed in seeds]
    exact, second = reference(nested, 1), reference(nested, 2)
    names = problem(PROBLEM).prior.names
    found = {path.stem: compared(path, exact) for path in [*emulated, nested]}
    ess = {path.stem: effective_sample_size(samples(path)[1]) for path in [*emulated, nested]}
    write_rows(found, ess, names)

    runs = [path.stem for path in emulated]
    each = [ess[run] for run in runs]
    n_draws = int(np.median(each))
    draws = exact_draws(second, exact, n_draws)
    lines = [
        line(name, [found[run][i] for run in runs], draws[:, i], found["exact"][i]) for i, name in enumerate(names)
    ]
    note = (
        f"`{PROBLEM}`, {len(runs)} emulated runs of precision 0.02 with {min(each):.0f} to {max(each):.0f} effective "
        f"samples. Reference: importance sampling with {effective_sample_size(exact[1]):.0f} effective samples of true "
        f"values. Exact draws: {n_draws} of a second reference, {REPEATS} times. Nested sampling: 500 live points, "
        f"{ess['exact']:.0f} effective samples."
    )
    table = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}", *lines]
    text = "\n".join([*table, "", note, "", summary(emulated, nested), ""])
    print(text)
    (HERE / "results" / "inference-agreement.md").write_text(text, encoding="utf-8")
    draw(emulated, HERE.parent / "docs" / "figures" / "run-scatter.png", "run-scatter")


if __name__ == "__main__":
    main()
