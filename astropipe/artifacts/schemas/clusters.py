"""Artifacts of star clusters."""

from __future__ import annotations

from astropipe.artifacts.schemas.base import Field, Schema
from astropipe.artifacts.schemas.nbody import length, mass, time, velocity


def _log(name: str, description: str, *dims: str) -> Field:
    return Field(f"log/{name}", description, dims=("row", *dims), required=False)


def _log_length(name: str, description: str, *dims: str) -> Field:
    return length(f"log/{name}", description, "row", *dims, required=False)


SCHEMAS = (
    Schema(
        "cluster-snapshots",
        "1.0",
        "Snapshots of a star cluster with massless particles; dimensionless means N-body units, G = 1",
        columns=(
            Field("id", "number of the particle, from 0; stars come first", "int"),
            Field("class", "star, or massless", "text"),
            mass("mass", "mass of the particle"),
            Field("heavy", "whether it is among the heavy stars", "bool", required=False),
            Field("bound", "whether it is bound at the end", "bool", required=False),
            Field(
                "companion", "star to which a star is bound at the end as its nearest neighbour", "int", required=False
            ),
            time("escape_time", "time at which it was found to have escaped; NaN where it has not", required=False),
            Field(
                "escape_speed",
                "its speed then, from the mean of the stars that are left",
                unit="km/s",
                or_dimensionless=True,
                required=False,
            ),
            length(
                "step_error",
                "distance at the end from a twin that took steps of half the size; NaN for particles without one",
                required=False,
            ),
        ),
        datasets=(
            time("times", "times of the snapshots", "snapshot"),
            mass("masses", "masses of the particles; 0 for massless ones", "particle"),
            length("positions", "positions; with a tidal field, axes do not turn", "snapshot", "particle", "xyz"),
            velocity("velocities", "velocities", "snapshot", "particle", "xyz"),
            time("log/time", "times at which the cluster was looked at", "row", required=False),
            _log("energy_error", "relative error of the energy of the stars; with a tidal field of the Jacobi energy"),
            _log("angular_momentum_error", "relative error of the angular momentum; NaN with a tidal field"),
            _log("virial_ratio", "kinetic over absolute potential energy of single stars and of barycentres of pairs"),
            _log_length("core_radius", "density-weighted rms distance of the stars from their density centre"),
            time("log/relaxation_time", "half-mass relaxation time", "row", required=False),
            _log("bound_stars", "share of the stars that is bound"),
            _log("bound_massless", "share of the massless particles that is bound"),
            _log("pairs", "bound pairs of nearest neighbours"),
            _log("force_evaluations", "forces on stars that were summed"),
            _log("massless_force_evaluations", "forces on massless particles that were summed"),
            _log_length("massless_error", "median distance of massless particles from their twins"),
            Field("log/fractions", "shares of the weight within the radii", dims=("fraction",), required=False),
            _log_length("radii_stars", "radii that hold shares of the mass of the stars", "fraction"),
            _log_length("radii_heavy", "radii that hold shares of the mass of the heavy stars", "fraction"),
            _log_length("radii_massless", "radii that hold shares of the massless particles", "fraction"),
            _log_length("centre", "density centre of the stars", "xyz"),
        ),
        attributes=(
            Field("masses@nbody_unit", "the N-body unit of mass; empty where there is none", "text"),
            Field("positions@nbody_unit", "the N-body unit of length; empty where there is none", "text"),
            Field("log@status", "ok, energy-error, step-underflow or collision", "text", required=False),
            Field("log@interactions", "pulls of one star on one particle that were summed", "int", required=False),
        ),
        rows="particle",
    ),
)
