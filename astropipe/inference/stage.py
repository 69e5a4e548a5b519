"""The verbs of the inference stage: problems in, posterior artifacts out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from astropipe.artifacts import Provenance, create_artifact
from astropipe.config.inference import EvaluateConfig, SampleConfig, SimulateConfig
from astropipe.inference.comparison import compare
from astropipe.inference.emulated import EmulatedResult
from astropipe.inference.neuralike import NeuralikeResult
from astropipe.inference.posterior import write_posterior
from astropipe.inference.problems import Problem, problem
from astropipe.inference.results import NestedResult
from astropipe.inference.sampling import sample as run_sampler
from astropipe.inference.sirens.survey import CITATIONS, survey
from astropipe.runtime.errors import ArtifactError, QualityError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.run import Run, begin_anew, checkpoint_path
from astropipe.runtime.seeds import stream
from astropipe.runtime.shipped import data_file

# Below this a call costs less than handing it to another process and back.
_POOL_PAYS_ABOVE_S = 1e-3

METHOD_CITATIONS = {
    "exact": ("Skilling2006", "Speagle2020", "dynesty"),
    "emulated": ("HansenHurwitz1943", "OwenZhou2000", "RasmussenWilliams2006", "DelMoral2006"),
    "neuralike": ("GomezVargas2024", "GomezVargas2023", "Graff2012", "Skilling2006", "Speagle2020", "dynesty", "deap"),
}


def simulate(inputs: Sequence[Path], output: Path, config: SimulateConfig, run: Run) -> str:
    """Simulate a survey of bright sirens and write it as a ``sirens`` artifact, which the problem ``cosmology`` reads.

    Parameters
    ----------
    inputs : sequence of Path
        None.
    output : Path
        The artifact.
    config : SimulateConfig
        The survey, and the universe in which it is made.
    run : Run
        Gives the seed.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InputError
        If the survey finds no merger.
    """
    found = survey(config, run.seed)
    provenance = Provenance.of_run("inference.simulate", config, run, citations=CITATIONS)
    with create_artifact(output, "sirens", title="Simulated bright sirens", provenance=provenance) as artifact:
        artifact.write_table(found.table())
    return f"{len(found.z)} bright sirens up to redshift {found.z[-1]:.2f}"


def sample(inputs: Sequence[Path], output: Path, config: SampleConfig, run: Run) -> str:
    """Sample the posterior of a problem and write it as a ``posterior`` artifact.

    An interrupted run leaves the log of its likelihood evaluations beside the output; resumed, it ends with the
    same bytes as an uninterrupted one.

    Parameters
    ----------
    inputs : sequence of Path
        None: a problem knows its data files.
    output : Path
        The artifact.
    config : SampleConfig
        Which problem, and how.
    run : Run
        Seed, processes, what to do with earlier results.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    UsageError
        If the problem or one of its options is unknown.
    InputError
        If a data file or the likelihood is at fault; see `astropipe.inference.nested.sample`.
    QualityError
        If emulated sampling gave no result at all.
    InterruptedRunError
        If the run was interrupted; its evaluations are kept.
    """
    chosen = problem(config.problem, **config.options)
    cited = (*chosen.citations, *METHOD_CITATIONS[config.method])
    provenance = Provenance.of_run("inference.sample", config, run, sources=chosen.sources, citations=cited)
    checkpoint = checkpoint_path(output)
    try:
        result = _sample(chosen, checkpoint, config, run)
    except ArtifactError as error:
        # Evaluations of another likelihood, or of other code: to be resumed, unless told what to do then.
        if not (run.resume and run.force):
            raise
        begin_anew(checkpoint, error)
        result = _sample(chosen, checkpoint, config, run)
    title = chosen.title if config.label is None else f"{config.label}: {chosen.title}"
    if result.approximate:
        title = f"{title} ({result.method}, approximate)"
    with create_artifact(output, "posterior", title=title, provenance=provenance) as artifact:
        write_posterior(artifact, chosen, result, stream(run.seed, "inference.draws"))
    run.discard_checkpoint(output)
    end = "" if result.converged else f"; NOT CONVERGED: {'; '.join(result.diagnostics.reasons)}"
    remark = f"; {result.remark}" if result.remark else ""
    calls = f"{result.n_true_calls} likelihood calls"
    if isinstance(result, NeuralikeResult):
        calls = f"{calls} and {result.n_emulated_calls} of a network; APPROXIMATE, {_history(result)}"
    return f"ln Z = {result.logz:.3f} +- {result.logz_err:.3f}, {calls}{remark}{end}"


def _history(result: NeuralikeResult) -> str:
    return (
        f"{result.emulated_weight:.0%} of the posterior is the network's, trained {len(result.trainings)} times, "
        f"accepted {result.n_accepted}, switched off {result.n_switched_off}"
    )


def _sample(chosen: Problem, checkpoint: Path, config: SampleConfig, run: Run) -> NestedResult | EmulatedResult:
    with run.progress(chosen.name, None, "calls") as reporter:
        result = run_sampler(
            chosen.log_likelihood,
            chosen.prior,
            method=config.method,
            n_live=config.n_live,
            dlogz=config.dlogz,
            dynamic=config.dynamic,
            bound=config.bound,
            sampling=config.sampling,
            precision=config.precision,
            min_ess=config.min_ess,
            max_calls=config.max_calls,
            fallback=config.fallback,
            neuralike=config.neuralike,
            vectorized=True,
            pool=run.threads if run.threads > 1 and _pool_wanted(config, chosen) else None,
            checkpoint=checkpoint,
            resume=run.resume and checkpoint.exists(),
            seed=run.seed,
            progress=reporter.update,
            stop_requested=stop_requested,
        )
    if len(result.samples) == 0:
        raise QualityError(
            f"{chosen.name}: {'; '.join(result.diagnostics.reasons)}. The {result.n_true_calls} likelihood calls are "
            f"kept in {checkpoint}: raise inference.sample.max_calls and --resume, or set inference.sample.method=exact"
            " or inference.sample.fallback=true"
        )
    return result


def _pool_wanted(config: SampleConfig, chosen: Problem) -> bool:
    """Return whether to use worker processes: as configured, or if a likelihood call is worth sending to one."""
    if config.pool != "auto":
        return config.pool == "always"
    points = chosen.prior.transform(np.full((1, len(chosen.prior)), 0.5))
    durations: list[float] = []
    # These calls are lost: of an expensive likelihood one is enough.
    while len(durations) < 5 and sum(durations) < 100 * _POOL_PAYS_ABOVE_S:
        start = time.perf_counter()
        chosen.log_likelihood(points)
        durations.append(time.perf_counter() - start)
    return statistics.median(durations) > _POOL_PAYS_ABOVE_S


def evaluate(inputs: Sequence[Path], output: Path, config: EvaluateConfig, run: Run) -> str:
    """Compare posteriors with published values, other runs and the truth, and write that as a ``metrics`` artifact.

    Parameters
    ----------
    inputs : sequence of Path
        ``posterior`` artifacts; and, of simulated data, artifacts that these were made from, in which the truth is
        looked for by their hashes.
    output : Path
        The artifact.
    config : EvaluateConfig
        What deviation is a failure.
    run : Run
        Seed of the record only: nothing here is random.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    QualityError
        If a deviation exceeds the one allowed; the artifact is written all the same.
    """
    published = data_file("published-constraints/constraints.ecsv")
    provenance = Provenance.of_run("inference.evaluate", config, run, inputs=inputs, sources=[published])
    table = compare(inputs, published)
    with create_artifact(output, "metrics", title="Posteriors against published values", provenance=provenance) as new:
        new.write_table(table)
    deviations = np.abs(table["deviation"])
    worst = int(np.nanargmax(deviations)) if np.any(np.isfinite(deviations)) else None
    if worst is not None and config.max_deviation is not None and deviations[worst] > config.max_deviation:
        row = table[worst]
        raise QualityError(
            f"{row['subject']}: {row['measure']} = {row['value']:.4g} is {deviations[worst]:.2f} standard errors from "
            f"{row['expected']:.4g} ({row['source']}); inference.evaluate.max_deviation allows {config.max_deviation}"
        )
    far = "" if worst is None else f", largest deviation {deviations[worst]:.2f} sigma"
    return f"{len(inputs)} files, {len(table)} rows{far}"
