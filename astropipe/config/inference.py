"""Settings of the inference stage."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from astropipe.config.base import Section


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

    sample: SampleConfig = Field(SampleConfig(), description="sampling of a posterior")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="comparison with published values")
