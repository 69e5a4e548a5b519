"""Settings of the nbody stage."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, field_validator

from astropipe.config.base import Section, nearest
from astropipe.config.clusters import ClusterRunConfig, ClusterStartConfig
from astropipe.config.flow import BoxRunConfig, BoxStartConfig, FlowConfig

Defect = Literal["epsilon_restarts", "seed_frozen", "seeds_overlap", "error_fades", "raw_state"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)


class SimulateConfig(Section):
    """Settings of ``astropipe nbody simulate``: which initial conditions."""

    family: Literal["agekyan-anosova", "saz-ulibarrena", "plummer", "named", "cluster", "box"] = Field(
        "agekyan-anosova",
        description="initial conditions: cold-start triples, the triples of Saz Ulibarrena & Portegies Zwart (2025), "
        "Plummer spheres, one published system by its name, a star cluster, or a periodic box of particles",
    )
    n_systems: int = Field(1000, ge=1, description="number of systems; 1 is made of a named one")
    n_bodies: int = Field(16, ge=2, description="bodies in a Plummer sphere")
    name: str = Field("figure-eight", description="which published system, for family named")
    cluster: ClusterStartConfig = Field(ClusterStartConfig(), description="the star cluster, for family cluster")
    box: BoxStartConfig = Field(BoxStartConfig(), description="the box, for family box")


class IntegrateConfig(Section):
    """Settings of ``astropipe nbody integrate``: how, how long, and what is kept."""

    method: Literal[
        "auto",
        "hermite4",
        "hermite6",
        "hermite8",
        "leapfrog",
        "yoshida4",
        "yoshida6",
        "logh2",
        "logh4",
        "logh6",
    ] = Field("auto", description="integrator; auto: the Hermite scheme that is cheapest for the tolerance")
    timestep: Literal["learned", "power", "shared", "fixed"] = Field(
        "learned",
        description="rule of the step: a learned policy, the rule from which it departs, AMUSE's rule (with mu), or "
        "one step for all (dt)",
    )
    tolerance: float = Field(
        1e-6, gt=0, lt=1, description="relative energy error to be held; for the rules learned and power"
    )
    policy: str | None = Field(
        None,
        description="file of a policy artifact for the rule learned, or for a learned eta of a cluster; null for the "
        "policy that comes with astropipe",
    )
    mu: float | None = Field(
        None,
        gt=0,
        le=1,
        description="accuracy parameter of the variable step, in units of the shortest pair time; null: from the "
        "tolerance (the rule shared needs a value)",
    )
    dt: float | None = Field(None, gt=0, description="the step of the rule fixed, in the time unit of t_end")
    t_end: float | str = Field(
        10.0, description="end time: a number in N-body units, or a text with a unit such as 30 yr"
    )
    stop_on_escape: bool = Field(False, description="end a system once a body has escaped for good")
    max_force_evaluations: int = Field(
        10_000_000, ge=1, description="end a system after so many force evaluations, with a status that says so"
    )
    max_energy_error: float = Field(
        0.1,
        gt=0,
        description="relative energy error above which the status of a system says energy-error and its outcome must "
        "not be used; 10 % after Boekholt & Portegies Zwart (2015)",
    )
    keep: Literal["catalog", "trajectories"] = Field(
        "catalog", description="what the artifact holds: one row for each system, or saved trajectories"
    )
    n_saved: int = Field(1000, ge=2, description="saved times of a trajectory, evenly spaced, both ends included")
    label: str | None = Field(
        None,
        min_length=1,
        description="name of the run, put before the title, by which metrics and figures tell it from others; the "
        "workflow gives the name of the ensemble",
    )
    cluster: ClusterRunConfig = Field(
        ClusterRunConfig(),
        description="integration of a star cluster; beside it, t_end, policy, max_energy_error and label hold, and "
        "nothing else of this section",
    )
    box: BoxRunConfig = Field(
        BoxRunConfig(), description="how a periodic box is run; of the above, only the label is its"
    )


class TrainConfig(Section):
    """Settings of ``astropipe nbody train``: which policy, and how long it learns."""

    policy: Literal["astropipe", "cluster-eta", "paper"] = Field(
        "astropipe",
        description="what is trained: the time step of few bodies, the accuracy parameter of clusters, or the agent of "
        "Saz Ulibarrena & Portegies Zwart (2025) with which the first is compared",
    )
    generations: int = Field(
        200, ge=1, description="generations of the evolution strategy, for all policies but that of the paper"
    )
    population: int = Field(24, ge=4, description="candidates of a generation, for the same")
    systems: int = Field(
        12,
        ge=1,
        description="systems of each kind (and tolerance, for policy astropipe) in a generation, for the same",
    )
    episodes: int = Field(2000, ge=1, description="episodes of training, for policy paper")
    defects: tuple[Defect, ...] = Field(
        DEFECTS,
        description="faults of the published code that are kept, for policy paper; [] mends all of them",
    )

    @field_validator("defects", mode="before")
    @classmethod
    def _defects_are_known(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        for name in value:
            if name not in DEFECTS:
                raise ValueError(f"there is no defect {name!r}; {nearest(str(name), DEFECTS)}")
        # Equal settings make equal files, whatever the order of the names.
        return tuple(name for name in DEFECTS if name in value)


class EvaluateConfig(Section):
    """Settings of ``astropipe nbody evaluate``: what counts as a failure."""

    failure_energy_error: float = Field(
        1e-3, gt=0, description="relative energy error above which a system counts as failed"
    )
    max_failure_fraction: float | None = Field(
        None, ge=0, le=1, description="fail, with exit code 4, when a larger share failed; null to report only"
    )
    box: FlowConfig = Field(FlowConfig(), description="statistics of the flow in a periodic box")


class NbodyConfig(Section):
    """Orbits: few-body integration."""

    simulate: SimulateConfig = Field(SimulateConfig(), description="initial conditions")
    integrate: IntegrateConfig = Field(IntegrateConfig(), description="integration")
    train: TrainConfig = Field(TrainConfig(), description="training of a policy of the time step")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="quality of a catalog")
