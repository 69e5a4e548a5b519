"""Make the tables of the flow in the default box: pairs by separation, laws of small scales, haloes, fits.

Run ``python benchmarks/table_flow.py [FLOW.h5] [--output DIR]`` on the ``flow-statistics`` of the default workflow.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from astropy.table import QTable

SEPARATIONS = {
    "xi": "ξ",
    "ratio": "⟨Δu_L⟩ / H a r",
    "root": "⟨Δu_L²⟩^½ [km/s]",
    "du_skewness": "skewness",
    "du_kurtosis": "kurtosis",
    "third_relation": "third relation",
    "fifth_relation": "fifth relation",
    "rho_longitudinal": "ρ_L",
}


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def number(value: float, error: float) -> str:
    """Return a value with its error, to the second digit of the error."""
    if not np.isfinite(error) or error == 0.0:
        return f"{value:.3g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def with_ratio(pairs: QTable) -> QTable:
    """Return the statistics with the approach in units of the Hubble flow, and the root mean square difference."""
    pairs = pairs.copy()
    for ending in ("", "_error"):
        pairs[f"ratio{ending}"] = (pairs[f"du1{ending}"] / pairs["hubble_flow"]).to_value("")
    pairs["root"] = np.sqrt(pairs["du2"].to_value("km2/s2"))
    pairs["root_error"] = 0.5 * pairs["du2_error"].to_value("km2/s2") / pairs["root"]
    return pairs


def separations(pairs: QTable) -> Iterator[list[str]]:
    """Yield a row for every second bin of the last snapshot."""
    last = with_ratio(pairs[pairs["snapshot"] == pairs["snapshot"].max()])
    for row in last[::2]:
        cells = [number(float(row[name]), float(row[f"{name}_error"])) for name in SEPARATIONS]
        yield [f"{row['r'].value:.2f}", f"{row['pairs']:,}", f"{row['share']:.3f}", *cells]


def laws(table: QTable) -> Iterator[list[str]]:
    """Yield a row for each law, with a column for each snapshot."""
    numbers = np.unique(table["snapshot"])
    for law in dict.fromkeys(table["law"]):
        rows = table[table["law"] == law]
        found = [rows[rows["snapshot"] == snapshot][0] for snapshot in numbers]
        yield [law, f"{found[0]['expected']:.3g}", *(number(row["value"], row["error"]) for row in found)]


def classes(table: QTable) -> Iterator[list[str]]:
    """Yield a row for each class of particles in the last snapshot."""
    for row in table[table["snapshot"] == table["snapshot"].max()]:
        names = ("dispersion", "kurtosis", "kurtosis6")
        cells = [number(_plain(row[name]), _plain(row[f"{name}_error"])) for name in names]
        yield [row["class"], f"{row['fraction']:.3f}", *cells]


def _plain(value: object) -> float:
    return float(getattr(value, "value", value))  # type: ignore[arg-type]


def fits(table: QTable) -> Iterator[list[str]]:
    """Yield, for the last snapshot, which distribution is nearer to the velocities, and the shape of X."""
    last = table[table["snapshot"] == table["snapshot"].max()]
    for r in np.unique(last["r"].value)[::4]:
        cells = []
        for variate in ("difference", "sum", "velocity"):
            x, logistic = (
                last[(last["r"].value == r) & (last["variate"] == variate) & (last["family"] == family)][0]
                for family in ("x", "logistic")
            )
            cells += [number(x["alpha"], x["alpha_error"]), f"{x['distance']:.3f}", f"{logistic['distance']:.3f}"]
        yield [f"{r:.2f}", *cells]


def main() -> None:
    """Read the statistics, print the tables and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("flow", nargs="?", type=Path, default=Path("results/nbody/box-50-mpc/flow.h5"))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", help="folder of the tables")
    options = parser.parse_args()
    pairs, law_table, one_point, fit_table = (
        QTable.read(options.flow, path=name) for name in ("catalog", "laws", "one_point", "fits")
    )
    redshifts = [f"z = {1 / a - 1:.2g}" for a in sorted(set(law_table["scale_factor"]))]
    heads = ("α", "distance to X", "to logistic")
    tables = {
        "flow-separations": markdown(["r [Mpc]", "pairs", "share", *SEPARATIONS.values()], list(separations(pairs))),
        "flow-laws": markdown(["law", "expected", *redshifts], list(laws(law_table))),
        "flow-haloes": markdown(
            ["particles", "share", "dispersion [km/s]", "kurtosis", "of the sixth power"], list(classes(one_point))
        ),
        "flow-fits": markdown(
            ["r [Mpc]", *(f"{name}: {head}" for name in ("Δu_L", "Σu_L", "u_L") for head in heads)],
            list(fits(fit_table)),
        ),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        print(table)
        (options.output / f"{name}.md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
