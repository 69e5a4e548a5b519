"""The verbs of the nbody stage: systems in, catalogs and trajectories out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.artifacts.provenance import package_versions
from astropipe.artifacts.reader import open_unchecked
from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig, TrainConfig
from astropipe.nbody.catalog import triples_catalog
from astropipe.nbody.checks import check_systems
from astropipe.nbody.ensembles import Ensemble, make_ensemble, time_quantity
from astropipe.nbody.evaluation import quality
from astropipe.nbody.integration import Integration, IntegrationResult, Options, Trajectory
from astropipe.nbody.pausing import run_in_spells
from astropipe.nbody.policy import SHIPPED, read_policy
from astropipe.nbody.policy_artifact import PolicyRecord, write_policy
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InputError, MissingDependencyError, QualityError, UsageError
from astropipe.runtime.run import Run, checkpoint_path
from astropipe.runtime.shipped import weights_file

CITATIONS = {
    "hermite4": ("Makino1992",),
    "hermite6": ("Nitadori2008",),
    "hermite8": ("Nitadori2008",),
    "leapfrog": ("Verlet1967",),
    "yoshida4": ("Yoshida1990",),
    "yoshida6": ("Yoshida1990",),
    "logh2": ("Mikkola1999", "Preto1999"),
    "logh4": ("Mikkola1999", "Preto1999", "Yoshida1990"),
    "logh6": ("Mikkola1999", "Preto1999", "Yoshida1990"),
    "learned": ("SazUlibarrena2025", "Ros2008"),
    "power": ("PortegiesZwart2018",),
    "shared": ("PortegiesZwart2018",),
    "fixed": (),
    "agekyan-anosova": ("Agekyan1967",),
    "saz-ulibarrena": ("SazUlibarrena2025",),
    "plummer": ("Plummer1911", "Aarseth1974"),
    "named": (),
}
# Of each policy: the module of its `train_policy`, the setting that counts the steps of its training, its citations.
_TRAININGS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "astropipe": ("astropipe.nbody.training", "generations", ("SazUlibarrena2025", "Ros2008", "Nitadori2008")),
    "cluster-eta": ("astropipe.nbody.clusters.eta_training", "generations", ("Ros2008", "Makino1992")),
    "paper": ("astropipe.nbody.paper.verb", "episodes", ("SazUlibarrena2025",)),
}

# Verbs of other things than systems, by family and by kind of the input.
_FAMILIES = {"cluster": "astropipe.nbody.clusters.verbs", "box": "astropipe.nbody.flow.verbs"}
_KINDS = {"cluster-snapshots": _FAMILIES["cluster"], "box-snapshots": _FAMILIES["box"]}


def _kind(path: Path) -> str:
    with open_unchecked(path) as artifact:
        return artifact.kind


def simulate(inputs: Sequence[Path], output: Path, config: SimulateConfig, run: Run) -> str:
    """Make the initial conditions of an ensemble, of a cluster, or of a periodic box, and write them.

    Parameters
    ----------
    inputs : sequence of Path
        None.
    output : Path
        The artifact.
    config : SimulateConfig
        Which ensemble.
    run : Run
        Gives the seed; each system has a random stream of its own.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    UsageError
        If the named system, or the cosmology of a box, does not exist.
    """
    if config.family in _FAMILIES:
        return str(importlib.import_module(_FAMILIES[config.family]).simulate(output, config, run))
    ensemble = make_ensemble(config, run.seed)
    provenance = Provenance.of_run("nbody.simulate", config, run, citations=CITATIONS[config.family])
    with create_artifact(output, "systems", title=ensemble.title, provenance=provenance) as artifact:
        artifact.write_table(ensemble.catalog)
        artifact.write_array("masses", ensemble.masses)
        artifact.write_array("positions", ensemble.positions)
        artifact.write_array("velocities", ensemble.velocities)
    n, bodies = np.shape(ensemble.masses)
    return f"{n} systems of {bodies} bodies"


def integrate(inputs: Sequence[Path], output: Path, config: IntegrateConfig, run: Run) -> str:
    """Integrate the systems of an artifact and write a ``triples-catalog`` or ``trajectories``; or a cluster, or a box.

    An interrupted run leaves a checkpoint beside the output; resumed, it ends with the same bytes as an
    uninterrupted one.

    Parameters
    ----------
    inputs : sequence of Path
        One ``systems`` artifact, or one of ``cluster-snapshots`` or ``box-snapshots``, whose last one is the start.
    output : Path
        The artifact.
    config : IntegrateConfig
        How, how long, and what is kept.
    run : Run
        Gives the chunk, threads, and what to do with a checkpoint.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    InputError
        If a system cannot be integrated; the message names it.
    UsageError
        If ``t_end`` or ``dt`` does not fit the units of the systems, or the chunk is empty.
    InterruptedRunError
        If the run was interrupted; a checkpoint is kept.
    """
    path = inputs[0]
    if (kind := _kind(path)) in _KINDS:
        return str(importlib.import_module(_KINDS[kind]).integrate(path, output, config, run))
    ensemble, made_with = _read_systems(path)
    total = len(ensemble.catalog)
    ensemble = ensemble.rows(run.chunk.rows(total))
    if not len(ensemble.catalog):
        raise UsageError(f"chunk {run.chunk.index}/{run.chunk.count} of {path} is empty: it has {total} systems only")
    if config.label is not None:
        ensemble = replace(ensemble, title=f"{config.label}: {ensemble.title}")
    t_end, options = _options(config, ensemble)
    integration = Integration(ensemble.masses, ensemble.positions, ensemble.velocities, t_end, options, single=False)
    cited = (*made_with, *CITATIONS[integration.method], *CITATIONS[integration.rule])
    provenance = Provenance.of_run("nbody.integrate", config, run, inputs=_inputs(path, config), citations=cited)
    checkpoint = Checkpoint(checkpoint_path(output), provenance.run_key, anew=run.force)
    with run.progress(f"{path.name} {integration.method}", len(ensemble.catalog), "systems") as reporter:
        run_in_spells(integration, checkpoint, reporter)
    result = integration.result()
    wrong = np.isin(result.status, ("ok", "escape")) & ~(np.abs(result.energy_error) <= config.max_energy_error)
    result = replace(result, status=np.where(wrong, "energy-error", result.status))
    if result.trajectory is None:
        _write_catalog(output, ensemble, result, provenance)
    else:
        _write_trajectories(output, ensemble, result, result.trajectory, provenance)
    run.discard_checkpoint(output)
    failed = int(np.sum((result.status != "ok") & (result.status != "escape")))
    return f"{len(ensemble.catalog)} systems, {failed} of them not to be used (column status)"


def _read_systems(path: Path) -> tuple[Ensemble, tuple[str, ...]]:
    with open_artifact(path, "systems") as source:
        parts = (source.table(), source.array("masses"), source.array("positions"), source.array("velocities"))
        ensemble, made_with = Ensemble(source.title, *parts), source.provenance.citations
    try:
        # All systems, whatever the chunk: a message names the row in the file.
        check_systems(*(np.asarray(getattr(part, "value", part)) for part in parts[1:]), single=False)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return ensemble, made_with


def _inputs(path: Path, config: IntegrateConfig) -> list[Path]:
    """Return the files that a run reads: the systems, and the policy, also the one that comes with astropipe."""
    if config.timestep != "learned" or config.dt is not None:
        return [path]
    return [path, weights_file(SHIPPED) if config.policy is None else Path(config.policy)]


def _options(config: IntegrateConfig, ensemble: Ensemble) -> tuple[Any, Options]:
    """Return t_end and the options of `integrate_batch`, in the units of the ensemble."""
    t_end = time_quantity("nbody.integrate.t_end", config.t_end, has_units=ensemble.has_units)
    read = config.policy is not None and config.timestep == "learned" and config.dt is None
    options = Options(
        tolerance=config.tolerance,
        method=config.method,
        timestep=config.timestep,
        mu=config.mu,
        dt=None if config.dt is None else config.dt * getattr(t_end, "unit", 1),
        policy=read_policy(str(config.policy)) if read else None,
        max_force_evaluations=config.max_force_evaluations,
        stop_on_escape=config.stop_on_escape,
        save_times=np.linspace(0, 1, config.n_saved) * t_end if config.keep == "trajectories" else None,
    )
    return t_end, options


def _write_catalog(output: Path, ensemble: Ensemble, result: IntegrationResult, provenance: Provenance) -> None:
    table = triples_catalog(ensemble.masses, result, ids=np.asarray(ensemble.catalog["id"]))
    table.add_column(ensemble.catalog["family"], index=1)
    with create_artifact(output, "triples-catalog", title=ensemble.title, provenance=provenance) as artifact:
        artifact.write_table(table)


def _write_trajectories(
    output: Path, ensemble: Ensemble, result: IntegrationResult, trajectory: Trajectory, provenance: Provenance
) -> None:
    table = Table(
        {
            "id": ensemble.catalog["id"],
            "family": ensemble.catalog["family"],
            "status": result.status,
            "energy_error": result.energy_error,
            "force_evaluations": result.force_evaluations,
        }
    )
    with create_artifact(output, "trajectories", title=ensemble.title, provenance=provenance) as artifact:
        artifact.write_table(table)
        artifact.write_array("times", trajectory.times)
        artifact.write_array("masses", ensemble.masses)
        artifact.write_array("positions", trajectory.positions)
        artifact.write_array("velocities", trajectory.velocities)


def train(inputs: Sequence[Path], output: Path, config: TrainConfig, run: Run) -> str:
    """Train a policy of the time step and write it as a ``policy`` artifact.

    An interrupted run leaves a checkpoint beside the output; resumed, it ends with the same bytes as an
    uninterrupted one.

    Parameters
    ----------
    inputs : sequence of Path
        None: the systems to learn from are made in the training.
    output : Path
        The artifact.
    config : TrainConfig
        Which policy, and how long it learns.
    run : Run
        Gives the seed, and what to do with a checkpoint.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    MissingDependencyError
        If a library of the training is not installed.
    InterruptedRunError
        If the run was interrupted; a checkpoint is kept.
    """
    module, steps, citations = _TRAININGS[config.policy]
    train_policy = _training_of(module)
    provenance = Provenance.of_run("nbody.train", config, run, citations=citations)
    provenance = replace(provenance, packages={**provenance.packages, **package_versions("training")})
    checkpoint = Checkpoint(checkpoint_path(output), provenance.run_key, anew=run.force)
    with run.progress(f"policy {config.policy}", getattr(config, steps), steps) as reporter:
        record = train_policy(config, run.seed, checkpoint=checkpoint, progress=reporter)
    write_policy(output, record, provenance)
    run.discard_checkpoint(output)
    return f"{record['title']}, {getattr(config, steps)} {steps}"


def _training_of(module: str) -> Callable[..., PolicyRecord]:
    """Return the function of a training, whose libraries only it needs."""
    try:
        return importlib.import_module(module).train_policy  # type: ignore[no-any-return]
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] == "astropipe":
            raise
        raise MissingDependencyError(
            f"nbody train needs {error.name}; install it with pip install 'astropipe[nbody,training]'"
        ) from error


def evaluate(inputs: Sequence[Path], output: Path, config: EvaluateConfig, run: Run) -> str:
    """Measure errors, failures, cost and outcomes of catalogs or clusters as ``metrics``; a box as ``flow-statistics``.

    Parameters
    ----------
    inputs : sequence of Path
        ``triples-catalog`` artifacts, ``cluster-snapshots`` that were integrated, or one of ``box-snapshots``.
    output : Path
        The artifact.
    config : EvaluateConfig
        What counts as a failure, and how many are too many.
    run : Run
        Gives the seed by which pairs in a box are chosen; nothing else here is random.

    Returns
    -------
    str
        One line on the result.

    Raises
    ------
    QualityError
        If more systems failed than allowed; the artifact is written all the same.
    """
    if others := [_KINDS[kind] for kind in map(_kind, inputs) if kind in _KINDS]:
        return str(importlib.import_module(others[0]).evaluate(inputs, output, config, run))
    provenance = Provenance.of_run("nbody.evaluate", config, run, inputs=inputs)
    rows, failed = [], {}
    for path in inputs:
        with open_artifact(path, "triples-catalog") as artifact:
            subject, table = artifact.title, artifact.table()
        rows += [(subject, *row) for row in quality(table, config.failure_energy_error)]
        failed[path] = float(np.mean(~(np.asarray(table["energy_error"]) <= config.failure_energy_error)))
    names = ("subject", "measure", "value", "error", "unit", "expected", "expected_error", "source")
    with create_artifact(output, "metrics", title="Quality of the few-body catalogs", provenance=provenance) as new:
        new.write_table(Table(rows=rows, names=names))
    worst = max(failed, key=lambda path: failed[path])
    if config.max_failure_fraction is not None and failed[worst] > config.max_failure_fraction:
        raise QualityError(
            f"{worst}: {failed[worst]:.2%} of the systems have an energy error above {config.failure_energy_error:g}; "
            f"nbody.evaluate.max_failure_fraction allows {config.max_failure_fraction:.2%}: lower "
            "nbody.integrate.tolerance"
        )
    return f"{len(inputs)} catalogs, at most {failed[worst]:.2%} failed systems"
