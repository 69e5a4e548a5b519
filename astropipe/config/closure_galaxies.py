"""Settings of the closure of galaxies: early types as chronometers, and what impure selections do to H0."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from astropipe.config.base import Section

Share = Annotated[float, Field(gt=0, le=1)]

_SIMULATE = {"n_galaxies": 600, "size": 64, "pixel_scale_arcsec": 0.05, "snr_low": 20.0, "snr_high": 100.0}


class GalaxiesClosureConfig(Section):
    """Surveys of galaxies with redshifts and ages in one universe, each inferred from several selections."""

    n_seeds: int = Field(3, ge=0, description="simulated surveys, all of the same universe")
    simulate: dict[str, Any] = Field(_SIMULATE, description="changes to morphology.simulate; ages are always given")
    classify: dict[str, Any] = Field({}, description="changes to morphology.classify")
    selections: dict[Literal["agreement", "probability"], list[Share]] = Field(
        {"agreement": [0.6], "probability": [0.9]},
        description="lowest scores from which on galaxies are taken as early types, by the kind of score",
    )
    purities: list[Share] = Field(
        [1.0, 0.8], description="purities of true early types among which others are mixed on purpose"
    )
    analyses: dict[str, dict[str, Any]] = Field(
        {"mean": {"statistic": "mean"}, "median": {"statistic": "median"}},
        description="options of chronometers-catalog by the name of the analysis, each for all selections",
    )
    sample: dict[str, Any] = Field(
        {"n_live": 100, "dlogz": 0.1},
        description="changes to inference.sample; its options are for all analyses",
    )

    @field_validator("analyses")
    @classmethod
    def _names_are_file_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
                raise ValueError(f"{name!r} becomes part of file names: use lower-case letters, digits and hyphens")
        return value
