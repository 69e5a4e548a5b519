"""The verbs of the nbody stage on star clusters: settings and artifacts in, artifacts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.table import Table

from astropipe.artifacts import Artifact, Provenance, create_artifact, open_artifact
from astropipe.config.clusters import ClusterRunConfig, TideConfig
from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig
from astropipe.nbody.clusters.accuracy import SHIPPED, EtaPolicy, read_eta_policy
from astropipe.nbody.clusters.artifact import read_cluster, write_cluster, write_result
from astropipe.nbody.clusters.initial import Cluster, make_cluster
from astropipe.nbody.clusters.integration import ClusterIntegration, ClusterOptions
from astropipe.nbody.clusters.run import Controls
from astropipe.nbody.clusters.scale import Scale, plain_number, plain_time
from astropipe.nbody.clusters.tides import NO_TIDE, Tide, oort_tide, point_mass_tide
from astropipe.nbody.pausing import run_in_spells
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.errors import QualityError, UsageError
from astropipe.runtime.run import Run, checkpoint_path
from astropipe.runtime.shipped import weights_file

_CITATIONS = {"plummer": ("Plummer1911", "Aarseth1974"), "king": ("King1966",), "kroupa": ("Kroupa2001",), "equal": ()}
_METHODS = ("Makino1992", "Kokubo1998", "Wisdom1991", "Casertano1985", "Spitzer1987", "Giersz1994")


def simulate(output: Path, config: SimulateConfig, run: Run) -> str:
    """Make a cluster and write it as a ``cluster-snapshots`` artifact of one snapshot; see `nbody.stage.simulate`."""
    start = config.cluster
    cluster = make_cluster(start, run.seed)
    cited = (*_CITATIONS[start.profile], *_CITATIONS[start.masses])
    provenance = Provenance.of_run("nbody.simulate", config, run, citations=cited)
    profile = "Plummer" if start.profile == "plummer" else f"King W0 = {start.w0:g}"
    title = f"{profile} cluster of {start.n_stars} stars and {start.n_massless} massless particles"
    write_cluster(output, title, cluster, provenance)
    return f"{start.n_stars} stars, {start.n_massless} massless particles"


def integrate(path: Path, output: Path, config: IntegrateConfig, run: Run) -> str:
    """Integrate a cluster from its last snapshot on; see `nbody.stage.integrate`."""
    if run.chunk.count > 1:
        raise UsageError(f"{path} is one cluster, which cannot be cut; leave out --chunk")
    with open_artifact(path, "cluster-snapshots") as source:
        cluster, title, made_with = read_cluster(source), source.title, source.provenance.citations
    if config.label is not None:
        title = f"{config.label}: {title}"
    inputs, eta_policy = [path], None
    if config.cluster.eta == "learned":
        inputs.append(weights_file(SHIPPED) if config.policy is None else Path(config.policy))
        eta_policy = EtaPolicy(read_eta_policy(inputs[1]), config.cluster.energy_target)
    options = cluster_options(config.cluster, cluster.scale, eta_policy)
    integration = ClusterIntegration(cluster, _snapshot_times(config, cluster), options)
    cited = (*made_with, *_METHODS, *(("FlamminiDotti2025",) if cluster.n_massless else ()))
    provenance = Provenance.of_run("nbody.integrate", config, run, inputs=inputs, citations=cited)
    checkpoint = Checkpoint(checkpoint_path(output), provenance.run_key, anew=run.force)
    with run.progress(f"{path.name}", 1.0, "clusters") as reporter:
        run_in_spells(integration, checkpoint, reporter)
    result = integration.result()
    if result.status == "ok" and not abs(result.energy_error) <= config.max_energy_error:
        result = replace(result, status="energy-error")
    write_result(output, title, cluster, result, provenance)
    run.discard_checkpoint(output)
    escaped = int(np.isfinite(result.escape_time).sum())
    return f"{result.status}, energy error {result.energy_error:.1e}, {escaped} escaped, {len(result.times)} snapshots"


def _snapshot_times(config: IntegrateConfig, cluster: Cluster) -> Any:
    settings, t_end = config.cluster, plain_time("nbody.integrate.t_end", config.t_end, cluster.scale)
    if settings.snapshot_times is not None:
        if cluster.scale is None:
            return np.array(settings.snapshot_times)
        unit = units.Quantity(config.t_end).unit
        return (settings.snapshot_times * unit / cluster.scale.time).to_value("")
    if not t_end > cluster.time:
        raise UsageError(
            f"nbody.integrate.t_end = {config.t_end!r} is not after the last snapshot, at {cluster.time:g} "
            "in N-body units; give a later time"
        )
    return np.linspace(cluster.time, t_end, settings.n_snapshots)[1:]


def cluster_options(config: ClusterRunConfig, scale: Scale | None, eta_policy: EtaPolicy | None) -> ClusterOptions:
    """Return the options of a run from its settings, for a cluster with a scale or without."""
    controls = Controls(
        **({} if config.eta == "learned" else {"eta": config.eta}),
        eta_policy=eta_policy,
        massless_eta=config.massless_eta,
        longest_step=config.longest_step,
        pair_disturbance=config.pair_disturbance,
        tide=_tide(config.tide, scale),
        n_twins=config.n_twins,
    )
    return ClusterOptions(controls, config.logs_per_snapshot, config.escape_radius, config.heavy_share)


def _tide(config: TideConfig, scale: Scale | None) -> Tide:
    if config.kind == "none":
        return NO_TIDE
    rate, density = (None, None) if scale is None else (1.0 / scale.time, scale.mass / scale.length**3)

    def number(key: str, unit: Any) -> float:
        return plain_number(f"nbody.integrate.cluster.tide.{key}", getattr(config, key), unit, scale)

    if config.kind == "point-mass":
        return point_mass_tide(number("angular_speed", rate))
    return oort_tide(number("a", rate), number("b", rate), number("density", density))


def evaluate(inputs: Sequence[Path], output: Path, config: EvaluateConfig, run: Run) -> str:
    """Measure errors, radii, escapes and cost of clusters; see `nbody.stage.evaluate`."""
    provenance = Provenance.of_run("nbody.evaluate", config, run, inputs=inputs)
    rows, failed = [], []
    for path in inputs:
        with open_artifact(path, "cluster-snapshots") as artifact:
            if "log" not in artifact.file:
                raise UsageError(f"{path} has not been integrated yet; give what astropipe nbody integrate makes of it")
            measures = dict(_measures(artifact))
            rows += [(artifact.title, name, *row, np.nan, np.nan, "") for name, row in measures.items()]
        if not measures["energy_error"][0] <= config.failure_energy_error:
            failed.append(path)
    names = ("subject", "measure", "value", "error", "unit", "expected", "expected_error", "source")
    with create_artifact(output, "metrics", title="Quality of the clusters", provenance=provenance) as new:
        new.write_table(Table(rows=rows, names=names))
    share = len(failed) / len(inputs)
    if config.max_failure_fraction is not None and share > config.max_failure_fraction:
        raise QualityError(
            f"{failed[0]}: the energy error is above {config.failure_energy_error:g}, and so is that of {share:.2%} of "
            f"the clusters; nbody.evaluate.max_failure_fraction allows {config.max_failure_fraction:.2%}: lower "
            "nbody.integrate.cluster.eta"
        )
    return f"{len(inputs)} clusters, {len(failed)} with an energy error above {config.failure_energy_error:g}"


def _measures(artifact: Artifact) -> Iterator[tuple[str, tuple[float, float, str]]]:
    """Yield name, and value, error and unit, of what is measured on a cluster."""
    table = artifact.table()
    log = {name: artifact.array(f"log/{name}") for name in artifact.file["log"]}
    fractions = np.asarray(log["fractions"])
    half, inner = (int(np.argmin(np.abs(fractions - share))) for share in (0.5, 0.1))
    yield "energy_error", (float(np.max(np.abs(log["energy_error"]))), np.nan, "")
    yield "angular_momentum_error", (float(np.max(np.abs(log["angular_momentum_error"]))), np.nan, "")
    yield "interactions", (float(artifact.attributes("log")["interactions"]), np.nan, "")
    for name in ("stars", "heavy", "massless"):
        radii = np.asarray(getattr(log[f"radii_{name}"], "value", log[f"radii_{name}"]))
        yield f"half-mass radius of {name}, end over start", (float(radii[-1, half] / radii[0, half]), np.nan, "")
        yield f"10 % radius of {name}, end over start", (float(radii[-1, inner] / radii[0, inner]), np.nan, "")
    kinds = np.asarray(table["class"])
    for kind in ("star", "massless"):
        chosen = kinds == kind
        n = int(chosen.sum())
        if not n:
            continue
        share = float(np.mean(np.asarray(table["bound"])[chosen]))
        yield f"bound fraction, {kind}", (share, float(np.sqrt(share * (1.0 - share) / n)), "")
        speed = table["escape_speed"][chosen]
        unit = str(getattr(speed, "unit", None) or "")
        speeds = np.asarray(getattr(speed, "value", speed))
        speeds = speeds[np.isfinite(speeds)]
        yield f"escaped, {kind}", (float(speeds.size), np.nan, "")
        if speeds.size:
            error = float(speeds.std() / np.sqrt(speeds.size))
            yield f"mean escape speed, {kind}", (float(speeds.mean()), error, unit)
