"""The verbs of the inference stage: problems in, posterior artifacts out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from astropipe.artifacts import Provenance, create_artifact
from astropipe.config.inference import EvaluateConfig, SampleConfig
from astropipe.inference.comparison import compare
from astropipe.inference.nested import sample as run_nested
from astropipe.inference.posterior import write_posterior
from astropipe.inference.problems import Problem, problem
from astropipe.runtime.errors import QualityError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.progress import Progress
from astropipe.runtime.run import Run, checkpoint_path
from astropipe.runtime.seeds import stream
from astropipe.runtime.shipped import data_file

# Below this a call costs less than handing it to another process and back.
_POOL_PAYS_ABOVE_S = 1e-3

METHOD_CITATIONS = ("Skilling2006", "Speagle2020", "dynesty")


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
    InterruptedRunError
        If the run was interrupted; its evaluations are kept.
    """
    chosen = problem(config.problem, **config.options)
    cited = (*chosen.citations, *METHOD_CITATIONS)
    provenance = Provenance.of_run("inference.sample", config, run, sources=chosen.sources, citations=cited)
    checkpoint = checkpoint_path(output)
    with run.progress(chosen.name, None, "calls") as reporter:
        result = run_nested(
            chosen.log_likelihood,
            chosen.prior,
            n_live=config.n_live,
            dlogz=config.dlogz,
            dynamic=config.dynamic,
            bound=config.bound,
            sampling=config.sampling,
            vectorized=True,
            pool=run.threads if run.threads > 1 and _pool_pays(chosen) else None,
            checkpoint=checkpoint,
            resume=run.resume and checkpoint.exists(),
            seed=stream(run.seed, "inference.sample"),
            progress=_Reporter(reporter),
            stop_requested=stop_requested,
        )
    with create_artifact(output, "posterior", title=chosen.title, provenance=provenance) as artifact:
        write_posterior(artifact, chosen, result, stream(run.seed, "inference.draws"))
    run.discard_checkpoint(output)
    return f"ln Z = {result.logz:.3f} +- {result.logz_err:.3f}, {result.n_true_calls} likelihood calls"


def _pool_pays(chosen: Problem) -> bool:
    """Return whether a likelihood call is dear enough to be worth sending to another process."""
    points = chosen.prior.transform(np.full((1, len(chosen.prior)), 0.5))
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        chosen.log_likelihood(points)
        durations.append(time.perf_counter() - start)
    return sorted(durations)[2] > _POOL_PAYS_ABOVE_S


class _Reporter:
    """Turns the sampler's reports into progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, iteration: int, n_calls: int, logz: float, remaining: float, efficiency: float) -> None:
        note = f"iteration {iteration}, ln Z {logz:.2f}, remaining {remaining:.3g}, efficiency {efficiency:.1%}"
        self._progress.update(n_calls, note)


def evaluate(inputs: Sequence[Path], output: Path, config: EvaluateConfig, run: Run) -> str:
    """Compare posteriors with published values and write the comparison as a ``metrics`` artifact.

    Parameters
    ----------
    inputs : sequence of Path
        ``posterior`` artifacts.
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
    return f"{len(inputs)} posteriors, {len(table)} rows{far}"
