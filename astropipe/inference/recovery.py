"""Whether posteriors of simulated data hold the truth: the truth behind each, coverage, bias and scatter over many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.artifacts import open_artifact
from astropipe.artifacts.verification import Library
from astropipe.inference.calibration import COVERED, covered

Array = NDArray[np.float64]

TRUTH = "truth of the simulation"
"""Source of a reference value that is the truth by which data were simulated."""

# Kinds of artifacts between a posterior and the simulation that its data come from.
_ON_THE_WAY = ("astropipe.stellar-catalog", "astropipe.spectra")

Measure = tuple[str, float, float, str, float, float]


@dataclass(frozen=True, eq=False)
class Recovered:
    """A posterior of simulated data.

    Attributes
    ----------
    samples, weights : ndarray, shapes (m, d) and (m,)
        Weighted samples of the parameters.
    truth : ndarray, shape (d,)
        Their true values; NaN where one is not known.
    """

    samples: Array
    weights: Array
    truth: Array


def true_values(path: Path, library: Library) -> dict[str, float]:
    """Return what was true of the simulation from which an artifact descends, by the names of parameters.

    The chain of inputs is followed back to an artifact with a table ``truth``; empty where there is none.

    Parameters
    ----------
    path : Path
        The artifact.
    library : Library
        Finds its inputs by their hashes.
    """
    with open_artifact(path) as artifact:
        if "truth" in artifact.file:
            return {str(row["parameter"]): float(row["value"]) for row in artifact.table("truth")}
        inputs = [record for record in artifact.provenance.inputs if record.schema in _ON_THE_WAY]
    found = (library.find(record) for record in inputs)
    return next((values for source in found if source and (values := true_values(source, library))), {})


def recovery(names: Sequence[str], posteriors: Sequence[Recovered]) -> Iterator[Measure]:
    """Yield what posteriors of several simulations say of each parameter whose truth is known.

    The pull is (mean - truth) / standard deviation of a posterior. Yielded are its mean and its scatter, the shares of
    truths inside the central intervals, and the mean of the standard deviations.

    Yields
    ------
    tuple
        Name of the measure, its value, its standard error, unit, what it should be, and in how many standard errors (as
        they are if all is right) it is not.
    """
    n = len(posteriors)
    for i, name in enumerate(names):
        truth = np.array([each.truth[i] for each in posteriors])
        if not np.all(np.isfinite(truth)):
            continue
        mean, sd = np.transpose([_moments(each.samples[:, i], each.weights) for each in posteriors])
        pull = (mean - truth) / sd
        scatter, error = float(np.std(pull, ddof=1)), 1.0 / np.sqrt(n)
        yield f"{name}_bias", float(pull.mean()), scatter * error, "sigma", 0.0, float(pull.mean()) / error
        spread = error / np.sqrt(2.0)
        yield f"{name}_pull_scatter", scatter, scatter * spread, "", 1.0, (scatter - 1.0) / spread
        inside = np.array(
            [covered(each.truth[i : i + 1], each.samples[:, [i]], each.weights)[0] for each in posteriors]
        )
        for k, c in enumerate(COVERED):
            error = float(np.sqrt(c * (1.0 - c) / n))
            share = float(inside[:, k].mean())
            yield f"{name}_coverage_{100 * c:.0f}", share, error, "", c, (share - c) / error
        yield f"{name}_width", float(sd.mean()), float(sd.std() / np.sqrt(n)), "", np.nan, np.nan


def _moments(x: Array, weights: Array) -> tuple[float, float]:
    mean = float(np.average(x, weights=weights))
    return mean, float(np.sqrt(np.average((x - mean) ** 2, weights=weights)))
