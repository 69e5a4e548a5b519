"""Settings of the inference stage."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from astropipe.config.base import Section


class SimulateConfig(Section):
    """Settings of ``astropipe inference simulate``: a survey of bright sirens, and the universe in which it is made."""

    h0: float = Field(67.36, gt=0, description="true expansion rate in km/s/Mpc; default: Planck 2018")
    omega_m: float = Field(0.3153, gt=0, lt=1, description="true matter density of the flat universe")
    w0: float = Field(-1.0, description="true equation of state of dark energy today")
    wa: float = Field(0.0, description="true linear term of it in 1 - a")
    wb: float = Field(0.0, description="true quadratic term of it in 1 - a")
    years: float = Field(5.0, gt=0, description="time of observation")
    duty_cycle: float = Field(0.75, gt=0, le=1, description="share of it in which the network listens")
    bns_rate: float = Field(
        130.0,
        ge=0,
        description="local rate of mergers of two neutron stars in 1/Gpc3/yr; default: geometric mean of the range of "
        "GWTC-3, 10 to 1700",
    )
    nsbh_rate: float = Field(
        33.0, ge=0, description="the same for a neutron star and a black hole; default: the same of GWTC-3, 7.8 to 140"
    )
    shortest_delay_gyr: float = Field(
        0.02, gt=0, lt=10, description="least time from star formation to merger; an assumption"
    )
    snr_threshold: float = Field(12.0, ge=5, description="signal-to-noise ratio of the network from which on it hears")
    kilonova_redshift: float = Field(
        0.27,
        gt=0,
        le=10,
        description="redshift up to which kilonovae are found; default: absolute magnitude -16, as after GW170817, at "
        "magnitude 24.7, a visit of the Rubin Observatory",
    )
    kilonova_fraction: float = Field(
        0.44, ge=0, le=1, description="share of those whose host is identified; default: the sky that Rubin surveys"
    )
    jet_half_angle_deg: float = Field(
        16.0, gt=0, lt=90, description="half opening angle of jets of gamma-ray bursts; default: Fong et al. 2015"
    )
    burst_fraction: float = Field(
        0.3, ge=0, le=1, description="share of bursts that point at us that get a redshift; an assumption"
    )
    burst_redshift: float = Field(2.0, gt=0, le=10, description="redshift up to which bursts are seen; an assumption")
    nsbh_disrupted: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of neutron stars that a black hole tears apart, which makes a jet; an assumption",
    )
    peculiar_velocity: float = Field(
        500.0, ge=0, description="dispersion of peculiar velocities in km/s; default: Tamanini et al. 2016"
    )


class SampleConfig(Section):
    """Settings of ``astropipe inference sample``: which problem, how precisely."""

    problem: str = Field(
        "lcdm-desi-dr2",
        description="name of a registered problem, cosmology to compose one by options, or path/to/file.py:function "
        "for one of your own",
    )
    options: dict[str, Any] = Field(
        {}, description="options of the problem; of cosmology: model, data (a list) and priors (a mapping)"
    )
    label: str | None = Field(
        None,
        min_length=1,
        description="name of the posterior, put before the title, by which metrics and figures tell it from others of "
        "its problem; the workflow gives the name of the posterior where that is not the name of the problem",
    )
    method: Literal["exact", "emulated"] = Field(
        "exact",
        description="exact: nested sampling; emulated: an emulator proposes and the true likelihood decides, for "
        "likelihoods whose calls are expensive",
    )
    precision: float = Field(0.05, gt=0, description="error of ln Z at which emulated sampling ends")
    min_ess: float = Field(300.0, ge=1, description="effective sample size that emulated sampling reaches as well")
    fallback: bool = Field(False, description="whether to sample exactly where emulated sampling does not converge")
    n_live: int = Field(
        500, ge=20, description="number of live points, if exact; the error of ln Z falls as its square root"
    )
    dlogz: float = Field(0.01, gt=0, description="stop when the live points could add less than this to ln Z")
    dynamic: bool = Field(False, description="dynamic nested sampling: spend further points on the posterior")
    bound: Literal["none", "single", "multi", "balls", "cubes"] = Field(
        "multi", description="how dynesty bounds the live points"
    )
    sampling: Literal["auto", "unif", "rwalk", "slice", "rslice"] = Field(
        "auto", description="how dynesty draws inside the bound"
    )
    max_calls: int | None = Field(
        None,
        ge=1,
        description="end the run, not converged, after about so many likelihood calls; null for no limit if exact, "
        "2000 if emulated",
    )
    pool: Literal["auto", "always", "never"] = Field(
        "auto",
        description="whether --threads above 1 means worker processes for the likelihood; auto: if a call takes over "
        "1 ms, below which handing it over costs more. Never changes a result",
    )


class EvaluateConfig(Section):
    """Settings of ``astropipe inference evaluate``: what counts as a failure."""

    max_deviation: float | None = Field(
        None,
        gt=0,
        description="fail, with exit code 4, when a value is further than so many standard errors from the published "
        "one; null to report only",
    )


class InferenceConfig(Section):
    """Posteriors: nested sampling, exact or with an emulated likelihood."""

    simulate: SimulateConfig = Field(SimulateConfig(), description="simulation of a survey of bright sirens")
    sample: SampleConfig = Field(SampleConfig(), description="sampling of a posterior")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="comparison with published values")
