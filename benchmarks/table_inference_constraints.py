"""Make the table of cosmological constraints: published or reference values next to ours, from the workflow's metrics.

Run ``python benchmarks/table_inference_constraints.py [METRICS] [--output DIR] [--name NAME]`` after ``make catalogs``;
METRICS is ``results/inference/metrics.h5`` unless given.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.table import Table

from astropipe.artifacts import open_artifact

Row = tuple[str, str, str, str, str, str]
HEADER = ("problem", "parameter", "published or reference", "measured", "difference [σ]", "source")


def rows(metrics: Table) -> Iterator[Row]:
    """Yield one row for each measured value that has a published one, or one of a reference run."""
    for row in metrics[np.isfinite(np.asarray(metrics["deviation"]))]:
        digits = 3 if row["measure"] == "logz" else max(0, 2 - int(np.floor(np.log10(row["error"]))))
        expected = f"{row['expected']:.{digits}f}"
        if row["expected_error"] > 0:
            expected += f" ± {row['expected_error']:.{digits}f}"
        measured = f"{row['value']:.{digits}f} ± {row['error']:.{digits}f}"
        unit = f" [{row['unit']}]" if row["unit"] else ""
        name = f"`{row['measure']}`{unit}"
        yield f"`{row['subject']}`", name, expected, measured, f"{row['deviation']:+.2f}", str(row["source"])


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("metrics", type=Path, nargs="?", default=Path("results/inference/metrics.h5"))
    parser.add_argument("--output", type=Path, help="folder for the table")
    parser.add_argument("--name", default="inference-constraints", help="name of the table")
    arguments = parser.parse_args()
    with open_artifact(arguments.metrics, "metrics") as artifact:
        lines = [f"| {' | '.join(row)} |" for row in (HEADER, ("---",) * len(HEADER), *rows(artifact.table()))]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / f"{arguments.name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
