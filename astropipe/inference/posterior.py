"""A nested sampling result as the content of a ``posterior`` artifact."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from astropipe.artifacts import ArtifactWriter
from astropipe.inference.emulated import EmulatedResult
from astropipe.inference.neuralike import NeuralikeResult
from astropipe.inference.priors import Prior
from astropipe.inference.problems import Problem
from astropipe.inference.results import NestedResult, PosteriorResult
from astropipe.inference.summaries import weighted_mean, weighted_quantiles

DRAW_DIMS = ("chain", "draw")


def write_posterior(
    artifact: ArtifactWriter, problem: Problem, result: PosteriorResult, rng: np.random.Generator
) -> None:
    """Write parameters, draws, raw samples and evidence.

    Parameters
    ----------
    artifact : ArtifactWriter
        Open artifact of kind ``posterior``.
    problem : Problem
        Gives names, symbols, units, priors and derived parameters.
    result : PosteriorResult
        The samples.
    rng : Generator
        Draws the equal-weight sample, as many draws as the samples are effectively worth.
    """
    values = {name: result.samples[:, i] for i, name in enumerate(result.names)}
    if problem.derived is not None:
        values |= problem.derived(result.samples)
    artifact.write_table(_parameter_table(problem, result, values))
    draws = result.equal_weight_indices(seed=rng)
    for group in ("posterior", "sample_stats"):
        artifact.write_array(f"{group}/chain", np.zeros(1, dtype=np.int64))
        artifact.write_array(f"{group}/draw", np.arange(len(draws)))
    units = {**problem.units, **problem.derived_units}
    for name, column in values.items():
        _write_draws(artifact, f"posterior/{name}", column[draws], units.get(name, ""))
    _write_draws(artifact, "sample_stats/log_likelihood", result.log_likelihoods[draws], "")
    _write_nested(artifact, problem, result)
    for path, dataset in problem.datasets.items():
        artifact.write_array(path, dataset)
    if problem.truth:
        numbers = {name: value for name, value in problem.truth.items() if not isinstance(value, str)}
        artifact.write_table(Table({"parameter": list(numbers), "value": list(numbers.values())}), "truth")
        artifact.write_attributes("truth", {name: each for name, each in problem.truth.items() if name not in numbers})


def _write_draws(artifact: ArtifactWriter, path: str, draws: NDArray[np.float64], unit: str) -> None:
    artifact.write_array(path, draws[np.newaxis], unit=unit)
    group = path.split("/")[0]
    artifact.attach_dimensions(path, [f"{group}/{name}" for name in DRAW_DIMS])


def _write_nested(artifact: ArtifactWriter, problem: Problem, result: PosteriorResult) -> None:
    artifact.write_array("nested/samples", result.samples)
    artifact.write_array("nested/log_weights", result.log_weights - result.logz)
    artifact.write_array("nested/log_likelihoods", result.log_likelihoods)
    artifact.write_array("nested/log_volumes", result.log_volumes)
    if isinstance(result, EmulatedResult):
        artifact.write_array("nested/emulated_log_likelihoods", result.emulated_log_likelihoods)
    about: dict[str, object] = {
        "problem": problem.name,
        "method": result.method,
        "approximate": result.approximate,
        "logz": result.logz,
        "logz_err": result.logz_err,
        "logz_allowed": result.logz_allowed,
        "masked_fraction": result.masked_fraction,
        "information": result.information,
        "n_true_calls": result.n_true_calls,
        "ess": result.ess,
        "ess_per_call": result.ess_per_call,
        "converged": result.converged,
    }
    if isinstance(result, NestedResult):
        about |= {
            "n_live": result.n_live,
            "n_iterations": result.n_iterations,
            "insertion_rank_p": result.diagnostics.insertion_rank_p,
        }
    if isinstance(result, NeuralikeResult):
        about |= {
            "n_emulated_calls": result.n_emulated_calls,
            "emulated_weight": result.emulated_weight,
            "n_trainings": len(result.trainings),
            "n_accepted": result.n_accepted,
            "n_rejected": result.n_rejected,
            "n_switched_off": result.n_switched_off,
            "genetic_start": result.genetic_start,
            "trainings": json.dumps([asdict(training) for training in result.trainings]),
        }
    if isinstance(result, EmulatedResult):
        about |= {
            "n_live": 0,
            "n_emulated_calls": result.n_emulated_calls,
            "n_rounds": result.diagnostics.n_rounds,
            "n_training_calls": result.diagnostics.n_training_calls,
            "largest_weight": result.diagnostics.largest_weight,
            "emulator_rmse": result.diagnostics.emulator_rmse,
            "reasons": "; ".join(result.diagnostics.reasons),
        }
    artifact.write_attributes("nested", about)


def _parameter_table(problem: Problem, result: PosteriorResult, values: dict[str, NDArray[np.float64]]) -> Table:
    names = list(values)
    samples = np.column_stack([values[name] for name in names])
    weights = result.weights
    means = weighted_mean(samples, weights)
    sds = np.sqrt(weighted_mean((samples - means) ** 2, weights))
    quantiles = np.array([weighted_quantiles(samples[:, i], weights, (0.16, 0.5, 0.84)) for i in range(len(names))])
    best = samples[int(np.argmax(result.log_likelihoods))]
    latex = {**problem.latex, **problem.derived_latex}
    units = {**problem.units, **problem.derived_units}
    limits = [_support(problem.prior, name) for name in names]
    return Table(
        {
            "parameter": names,
            "latex": [latex.get(name, name) for name in names],
            "unit": [units.get(name, "") for name in names],
            "sampled": [name in problem.prior.names for name in names],
            "prior": [_prior_text(problem.prior, name) for name in names],
            "mean": means,
            "sd": sds,
            "q16": quantiles[:, 0],
            "q50": quantiles[:, 1],
            "q84": quantiles[:, 2],
            "prior_low": [low for low, _ in limits],
            "prior_high": [high for _, high in limits],
            "best_fit": best,
        }
    )


def _support(prior: Prior, name: str) -> tuple[float, float]:
    if name not in prior.names:
        return -np.inf, np.inf
    low, high = prior.bounds[prior.names.index(name)]
    return float(low), float(high)


def _prior_text(prior: Prior, name: str) -> str:
    if name not in prior.names:
        return ""
    distribution: Any = prior.parameters[name]
    if not hasattr(distribution, "dist"):
        return str(distribution)
    # A frozen scipy.stats distribution prints its address, which differs from run to run.
    arguments = [*map(str, distribution.args), *(f"{key}={value}" for key, value in distribution.kwds.items())]
    return f"{distribution.dist.name}({', '.join(arguments)})"
