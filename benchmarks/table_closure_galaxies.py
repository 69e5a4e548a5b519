"""Make the table of the closure of galaxies: purity, bias and coverage of each selection and analysis.

Run ``python benchmarks/table_closure_galaxies.py [METRICS] [--output DIR]`` after ``make closure-galaxies``; METRICS is
``results-closure/closure-galaxies/metrics.h5`` unless given.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.table import Table

from astropipe.artifacts import open_artifact

HEADER = (
    *("analysis and selection", "galaxies", "purity", "H0 [km/s/Mpc]", "bias of H0 [%]", "bias of H0 [sd]"),
    *("of Ω_m [sd]", "H0 within 68 %", "within 95 %"),
)


def rows(metrics: Table) -> Iterator[tuple[str, ...]]:
    """Yield a row for each selection: means over the surveys, with their standard errors."""
    subject, measure = (np.asarray(metrics[name]).astype(str) for name in ("subject", "measure"))
    for name in dict.fromkeys(subject[measure == "purity"]):
        one = {what: metrics[(subject == name) & (measure == what)] for what in ("purity", "n_galaxies", "h0")}
        n = len(one["h0"])
        together = {str(row["measure"]): row for row in metrics[subject == f"{name}: {n} posteriors of simulations"]}
        truth = np.asarray(one["h0"]["expected"])
        offset = 100.0 * (np.asarray(one["h0"]["value"]) / truth - 1.0)
        yield (
            name,
            f"{np.mean(one['n_galaxies']['value']):.0f}",
            f"{np.mean(one['purity']['value']):.3f}",
            f"{np.mean(one['h0']['value']):.1f} ± {np.mean(one['h0']['error']):.1f}",
            f"{offset.mean():+.1f} ± {offset.std(ddof=1) / np.sqrt(n):.1f}",
            *(
                f"{together[f'{parameter}_bias']['value']:+.2f} ± {together[f'{parameter}_bias']['error']:.2f}"
                for parameter in ("h0", "omega_m")
            ),
            *(f"{together[f'h0_coverage_{level}']['value']:.0%}" for level in (68, 95)),
        )


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = Path("results-closure/closure-galaxies/metrics.h5")
    parser.add_argument("metrics", type=Path, nargs="?", default=default)
    parser.add_argument("--output", type=Path, help="folder for the table")
    arguments = parser.parse_args()
    with open_artifact(arguments.metrics, "metrics") as artifact:
        lines = [f"| {' | '.join(row)} |" for row in (HEADER, ("---",) * len(HEADER), *rows(artifact.table()))]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "closure-galaxies.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
