"""Settings of the closure of stars: clusters of known mass and size, and what is inferred of them from spectra."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from astropipe.config.base import Section


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("must be the lowest and the highest value, in this order")
    return value


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
PositiveRange = Annotated[tuple[Annotated[float, Field(gt=0)], float], AfterValidator(_ordered)]

_PRIORS = {
    "log10_mass": "uniform(2.5, 4.5)",
    "log10_scale_radius": "uniform(-0.7, 1)",
    "systemic_velocity": "uniform(-35, -25)",
    "fe_h_mean": "uniform(-0.8, 0.3)",
    "fe_h_scatter": "uniform(0, 0.2)",
    "field_fraction": "uniform(0, 0.9)",
}


class StarsClosureConfig(Section):
    """Clusters, each with a truth of its own, drawn evenly from ranges; those of stars and radii in the logarithm."""

    n_clusters: int = Field(3, ge=0, description="simulated clusters, whose truths are compared with what is inferred")
    n_exact: int = Field(
        0, ge=0, description="how many of them, the first, are also sampled exactly, to see what emulation does"
    )
    n_stars: PositiveRange = Field((3000, 12000), description="stars of a cluster, lowest and highest number")
    virial_radius_pc: PositiveRange = Field((1.5, 4.5), description="virial radius in pc; Plummer's is 3 pi / 16 of it")
    systemic_velocity_km_s: Range = Field((-35.0, -25.0), description="radial velocity of a cluster in km/s")
    fe_h: Range = Field((-0.6, 0.1), description="mean [Fe/H] of its stars")
    fe_h_scatter: Range = Field((0.02, 0.1), description="standard deviation of [Fe/H] from star to star in dex")
    field_fraction: Range = Field((0.1, 0.6), description="chance that a star is of the field")
    simulate: dict[str, Any] = Field(
        {"lowest_mass": 0.1, "highest_mass": 1.3}, description="changes to nbody.simulate.cluster"
    )
    integrate: dict[str, Any] = Field(
        {}, description="changes to nbody.integrate; without any, stars are observed as they were drawn"
    )
    observe: dict[str, Any] = Field({"cluster": {"max_stars": 250}}, description="changes to spectra.simulate")
    predict: dict[str, Any] = Field({"covariance": False}, description="changes to spectra.predict")
    priors: dict[str, str] = Field(
        _PRIORS, description="priors of the problem plummer-cluster, which must hold the ranges"
    )
    sample: dict[str, Any] = Field(
        {"method": "emulated", "min_ess": 200},
        description="changes to inference.sample; place and field are those of the survey",
    )
    exact: dict[str, Any] = Field(
        {"method": "exact", "n_live": 100, "dlogz": 0.1}, description="changes to these for exact sampling"
    )
