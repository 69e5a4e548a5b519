"""Settings of the inference stage."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from astropipe.config.base import Section


class SampleConfig(Section):
    """Settings of ``astropipe inference sample``: which problem, how precisely."""

    problem: str = Field(
        "lcdm-desi-dr2", description="name of a registered problem, or cosmology to compose one by options"
    )
    options: dict[str, Any] = Field(
        {}, description="options of the problem; of cosmology: model, data (a list) and priors (a mapping)"
    )
    n_live: int = Field(500, ge=20, description="number of live points; the error of ln Z falls as its square root")
    dlogz: float = Field(0.01, gt=0, description="stop when the live points could add less than this to ln Z")
    dynamic: bool = Field(False, description="dynamic nested sampling: spend further points on the posterior")
    bound: Literal["none", "single", "multi", "balls", "cubes"] = Field(
        "multi", description="how dynesty bounds the live points"
    )
    sampling: Literal["auto", "unif", "rwalk", "slice", "rslice"] = Field(
        "auto", description="how dynesty draws inside the bound"
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
    """Posteriors: nested sampling."""

    sample: SampleConfig = Field(SampleConfig(), description="nested sampling")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="comparison with published values")
