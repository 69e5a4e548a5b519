"""What the verbs of the nbody stage do with boxes: make one, run it, measure its flow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy import units

from astropipe.artifacts import Provenance, create_artifact, open_artifact
from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig
from astropipe.nbody.flow.background import Background, LinearPower, named_cosmology
from astropipe.nbody.flow.boxes import Box, empty_book, read_box, write_box
from astropipe.nbody.flow.evolution import Evolution, Snapshot, schedule
from astropipe.nbody.flow.initial import initial_conditions
from astropipe.nbody.flow.statistics import PDF_EDGES, FlowStatistics, flow_statistics
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import InterruptedRunError, UsageError
from astropipe.runtime.interruption import stop_requested
from astropipe.runtime.progress import Progress
from astropipe.runtime.run import Run, checkpoint_path
from astropipe.runtime.seeds import stream

CITATIONS = {
    "box": ("EisensteinHu1998", "Diemer2018", "Bouchet1995"),
    "particle-mesh": ("HockneyEastwood1981", "Quinn1997"),
    "flow": ("Xu2022", "Xu2023", "Davis1985", "SchaapWeygaert2000"),
}
_SECONDS_BETWEEN_CHECKPOINTS = 60.0


def simulate(output: Path, config: SimulateConfig, run: Run) -> str:
    """Make a box at its start and write it as a ``box-snapshots`` artifact; see `astropipe.nbody.stage.simulate`."""
    settings = config.box
    cosmology = named_cosmology(settings.cosmology)
    known = {"sigma8": cosmology.meta.get("sigma8"), "spectral_index": cosmology.meta.get("n")}
    sigma8, slope = (getattr(settings, name) or value for name, value in known.items())
    for name, value in (("sigma8", sigma8), ("spectral_index", slope)):
        if value is None:
            raise UsageError(f"{settings.cosmology} does not say its {name}; set nbody.simulate.box.{name}")
    a = 1.0 / (1.0 + settings.redshift)
    background = Background(cosmology)
    positions, momenta = initial_conditions(
        settings.n_side,
        settings.size_mpc,
        background,
        LinearPower(cosmology, sigma8, slope),
        a,
        stream(run.seed, "nbody.box"),
        order=2 if settings.perturbations == "2lpt" else 1,
        threads=run.threads,
    )
    title = f"Box of {settings.n_side}^3 particles, {settings.size_mpc:g} Mpc, {settings.cosmology}"
    start = Snapshot(a, positions, momenta * (background.hubble(1.0) / a))
    box = Box(title, cosmology, settings.size_mpc, [start])
    provenance = Provenance.of_run("nbody.simulate", config, run, citations=CITATIONS["box"])
    write_box(output, box, empty_book(np.array([a])), provenance)
    return f"{len(positions)} particles at redshift {settings.redshift:g}"


def integrate(path: Path, output: Path, config: IntegrateConfig, run: Run) -> str:
    """Run a box from its last snapshot on and write ``box-snapshots``; see `astropipe.nbody.stage.integrate`."""
    if run.chunk.count > 1:
        raise UsageError(f"{path} is a box, which is run in one piece; leave out --chunk")
    with open_artifact(path, "box-snapshots") as artifact:
        box = read_box(artifact, len(artifact.table()) - 1)
        made_with = artifact.provenance.citations
    settings, start = config.box, box.snapshots[0]
    background = Background(box.cosmology)
    try:
        edges, saved = schedule(start.a, 1.0 / (1.0 + np.array(settings.redshifts)), settings.n_steps)
    except UsageError as error:
        raise UsageError(f"nbody.integrate.box.redshifts: {error}") from error
    evolution = Evolution(
        start.positions,
        start.velocities * (start.a / background.hubble(1.0)),
        box.size,
        background,
        edges,
        saved,
        settings.mesh or 2 * round(np.cbrt(len(start.positions))),
        run.threads,
    )
    provenance = Provenance.of_run(
        "nbody.integrate", config, run, inputs=[path], citations=(*made_with, *CITATIONS["particle-mesh"])
    )
    checkpoint = Checkpoint(checkpoint_path(output), provenance.run_key, anew=run.force)
    with run.progress(f"{path.name} particle mesh", evolution.n_steps, "steps") as reporter:
        _run_to_the_end(evolution, checkpoint, reporter)
    book = empty_book(edges[saved])
    book["steps"] = saved
    for name, column in zip(("kinetic_energy", "potential_energy"), evolution.energies[saved].T, strict=True):
        book[name] = column * units.km**2 / units.s**2
    book["layzer_irvine_error"] = evolution.layzer_irvine_error[saved]
    book["momentum_error"] = [_momentum_error(snapshot) for snapshot in evolution.snapshots]
    title = f"{config.label}: {box.title}" if config.label else box.title
    write_box(output, Box(title, box.cosmology, box.size, evolution.snapshots), book, provenance)
    run.discard_checkpoint(output)
    return (
        f"{len(saved)} snapshots after {evolution.n_steps} steps, energy book closed to "
        f"{abs(evolution.layzer_irvine_error[-1]):.2%}"
    )


def _momentum_error(snapshot: Snapshot) -> float:
    u = snapshot.velocities
    return float(np.linalg.norm(u.mean(axis=0)) / np.sqrt(np.mean(np.sum(u**2, axis=1))))


def _run_to_the_end(evolution: Evolution, checkpoint: Checkpoint, progress: Progress) -> None:
    """Step on; write a checkpoint every minute, and when a stop is requested."""
    arrays = checkpoint.load()
    if arrays is not None:
        evolution.restore(arrays)
    saved_at = time.monotonic()
    while not evolution.finished:
        progress.update(evolution.step, f"z = {1.0 / evolution.a - 1.0:.2f}")
        if stop_requested():
            checkpoint.save(evolution.arrays())
            raise InterruptedRunError(
                f"interrupted after step {evolution.step} of {evolution.n_steps}, which is kept in {checkpoint.path}; "
                "run again with --resume"
            )
        evolution.advance()
        if time.monotonic() - saved_at > _SECONDS_BETWEEN_CHECKPOINTS and not evolution.finished:
            checkpoint.save(evolution.arrays())
            saved_at = time.monotonic()
    progress.update(evolution.step)


def evaluate(inputs: Sequence[Path], output: Path, config: EvaluateConfig, run: Run) -> str:
    """Measure the flow of a box and write ``flow-statistics``; see `astropipe.nbody.stage.evaluate`."""
    if len(inputs) != 1:
        raise UsageError(f"the flow of one box is measured at a time, but {len(inputs)} files were given")
    provenance = Provenance.of_run("nbody.evaluate", config, run, inputs=inputs, citations=CITATIONS["flow"])
    with open_artifact(inputs[0], "box-snapshots") as artifact:
        numbers = range(len(artifact.table()))
        if config.box.snapshots == "last":
            numbers = numbers[-1:]
        title, parts = artifact.title, []
        with run.progress(f"{inputs[0].name} flow", len(numbers), "snapshots") as reporter:
            for number in numbers:
                box = read_box(artifact, number)
                (snapshot,), background = box.snapshots, Background(box.cosmology)
                parts.append(flow_statistics(number, snapshot, box.size, background, config.box, run.seed))
                reporter.update(len(parts))
    _write_statistics(output, title, FlowStatistics.joined(parts), provenance)
    return f"{len(parts)} snapshots, {config.box.n_bins} separations"


def _write_statistics(output: Path, title: str, found: FlowStatistics, provenance: Provenance) -> None:
    with create_artifact(output, "flow-statistics", title=title, provenance=provenance) as artifact:
        artifact.write_table(found.pairs)
        for name in ("laws", "fits", "one_point", "density"):
            if (table := getattr(found, name)).colnames:
                artifact.write_table(table, name)
        artifact.write_array("pdf/values", 0.5 * (PDF_EDGES[1:] + PDF_EDGES[:-1]))
        for name, densities in found.pdfs.items():
            artifact.write_array(f"pdf/{name}", densities)
