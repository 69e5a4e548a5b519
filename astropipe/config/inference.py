"""Settings of the inference stage."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from astropipe.config.base import Section


class NeuralikeConfig(Section):
    """Settings of the method neuralike, which is approximate: when the network is trained, and how."""

    n_train_start: int = Field(10_000, ge=1, description="train the network after so many replaced live points")
    dlogz_start: float = Field(
        5.0, ge=0, description="or as soon as the live points can raise ln Z by no more than this"
    )
    update_interval: int | None = Field(
        None, ge=1, description="replacements by the true likelihood after which it is trained again; null for n_live"
    )
    valid_loss: float = Field(
        0.01, gt=0, description="mean squared validation error, of ln L scaled to 0.1 ... 1, below which it is accepted"
    )
    epochs: int = Field(500, ge=1, description="how often a network sees its training points, at most")
    depths: tuple[int, ...] = Field((2, 3, 4), min_length=1, description="numbers of hidden layers to search among")
    widths: tuple[int, ...] = Field((50, 100, 200), min_length=1, description="widths of them")
    batch_sizes: tuple[int, ...] = Field((16, 32, 64), min_length=1, description="batch sizes")
    learning_rates: tuple[float, ...] = Field((1e-2, 1e-3, 1e-4), min_length=1, description="learning rates of Adam")
    population: int = Field(5, ge=2, description="individuals of the genetic search among these")
    generations: int = Field(2, ge=1, description="how often they are replaced")
    search_epochs: int = Field(50, ge=1, description="epochs of each candidate")
    genetic_start: bool = Field(
        False, description="breed the first live points by a genetic algorithm, as published; ln Z is then too high"
    )


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
    method: Literal["exact", "emulated", "neuralike"] = Field(
        "exact",
        description="exact: nested sampling; emulated: an emulator proposes and the true likelihood decides, for "
        "likelihoods whose calls are expensive; neuralike: a network replaces the likelihood, as published, for "
        "comparison, approximate and possibly wrong without a sign",
    )
    neuralike: NeuralikeConfig = Field(NeuralikeConfig(), description="for the method neuralike")
    precision: float = Field(0.05, gt=0, description="error of ln Z at which emulated sampling ends")
    min_ess: float = Field(300.0, ge=1, description="effective sample size that emulated sampling reaches as well")
    fallback: bool = Field(False, description="whether to sample exactly where emulated sampling does not converge")
    n_live: int = Field(
        500, ge=20, description="number of live points, unless emulated; the error of ln Z falls as its square root"
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
        description="end the run, not converged, after about so many likelihood calls; null for 2000 if emulated, else "
        "for no limit",
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
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="comparison with published values and each other")
