"""Artifacts of the nbody stage."""

from __future__ import annotations

from dataclasses import replace

from astropipe.artifacts.schemas import flow
from astropipe.artifacts.schemas.base import Field, Schema, trained_model


def _length(name: str, description: str, *dims: str, required: bool = True) -> Field:
    return Field(name, description, unit="au", or_dimensionless=True, dims=dims, required=required)


def _time(name: str, description: str, *dims: str) -> Field:
    return Field(name, description, unit="yr", or_dimensionless=True, dims=dims)


def _velocity(name: str, description: str, *dims: str) -> Field:
    return Field(name, description, unit="km/s", or_dimensionless=True, dims=dims)


def _mass(name: str, description: str, *dims: str) -> Field:
    return Field(name, description, unit="Msun", or_dimensionless=True, dims=dims)


_POLICY = trained_model("policy", "1.1", "Trained policy that chooses the time step of an integrator")
_POLICY = replace(
    _POLICY,
    datasets=(
        *_POLICY.datasets,
        Field(
            "curve/*",
            "learning curve, one dataset a column: one number for each step of the training",
            dims=("step",),
            required=False,
        ),
        Field(
            "tests/*",
            "tests between the steps, on which the weights were chosen, one dataset a column",
            dims=("test",),
            required=False,
        ),
    ),
)

SCHEMAS = (
    Schema(
        "systems",
        "1.0",
        "Initial conditions of systems that have one number of bodies; dimensionless means N-body units, G = 1",
        columns=(
            Field("id", "number of the system in its ensemble, from 0", "int"),
            Field("family", "how the initial conditions were made", "text"),
            Field("map_x", "first coordinate of a cold start on the Agekyan-Anosova map", required=False),
            Field("map_y", "second coordinate of a cold start on the Agekyan-Anosova map", required=False),
        ),
        datasets=(
            _mass("masses", "masses of the bodies", "system", "body"),
            _length("positions", "barycentric positions", "system", "body", "xyz"),
            _velocity("velocities", "barycentric velocities", "system", "body", "xyz"),
        ),
        rows="system",
    ),
    _POLICY,
    Schema(
        "trajectories",
        "1.0",
        "Positions and velocities of systems at saved times",
        columns=(
            Field("id", "number of the system in its ensemble", "int"),
            Field("family", "how the initial conditions were made", "text"),
            Field("status", "how the integration ended", "text"),
            Field("energy_error", "relative error of the total energy at the end"),
            Field("force_evaluations", "number of evaluations of all forces", "int"),
        ),
        datasets=(
            _time("times", "saved times", "time"),
            _mass("masses", "masses of the bodies", "system", "body"),
            _length("positions", "barycentric positions", "system", "time", "body", "xyz"),
            _velocity("velocities", "barycentric velocities", "system", "time", "body", "xyz"),
        ),
        rows="system",
    ),
    Schema(
        "triples-catalog",
        "1.1",
        "Outcome of each integrated few-body system: binary, escaper, closest approach, errors and cost",
        columns=(
            Field("id", "number of the system in its ensemble", "int"),
            Field("family", "how the initial conditions were made", "text"),
            Field("outcome", "interplay, binary, binary+escaper, hierarchical, ionised or partial-escape", "text"),
            Field("status", "ok, escape (stopped there), or why the outcome must not be used", "text"),
            _time("time", "time at which the run ended"),
            _time("lifetime", "time at which the run was stopped because a body had escaped; NaN where none had"),
            Field("escaper", "index of the outermost escaping body; masked where none escapes", "int"),
            Field("binary_primary", "index of one member of the most bound pair; masked where none is bound", "int"),
            Field("binary_secondary", "index of the other member of the most bound pair", "int"),
            _length("semi_major_axis", "semi-major axis of the most bound pair; NaN where none is bound"),
            Field("eccentricity", "eccentricity of the most bound pair; NaN where none is bound"),
            _time("period", "orbital period of the most bound pair; NaN where none is bound"),
            _length("closest_approach", "smallest distance of any two bodies during the run"),
            Field("closest_primary", "index of one body of the closest approach", "int"),
            Field("closest_secondary", "index of the other body of the closest approach", "int"),
            _time("closest_time", "time of the closest approach"),
            Field("energy_error", "relative error of the total energy at the end"),
            Field("angular_momentum_error", "relative error of the total angular momentum at the end"),
            Field("force_evaluations", "number of evaluations of all forces, with those thrown away", "int"),
            Field("redone_evaluations", "those that guard and repetitions threw away", "int", required=False),
            Field("restarts", "how often the run started again with smaller steps", "int", required=False),
        ),
    ),
    Schema(
        "cluster-snapshots",
        "1.0",
        "Snapshots of a star cluster",
        datasets=(
            _time("times", "times of the snapshots", "snapshot"),
            _mass("masses", "masses of the particles; 0 for massless ones", "particle"),
            _length("positions", "barycentric positions", "snapshot", "particle", "xyz"),
            _velocity("velocities", "barycentric velocities", "snapshot", "particle", "xyz"),
        ),
    ),
    *flow.SCHEMAS,
)
