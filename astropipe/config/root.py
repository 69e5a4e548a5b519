"""The whole configuration."""

from __future__ import annotations

from pydantic import Field

from astropipe.config.base import Section
from astropipe.config.inference import InferenceConfig
from astropipe.config.morphology import MorphologyConfig
from astropipe.config.nbody import NbodyConfig
from astropipe.config.spectra import SpectraConfig
from astropipe.config.workflow import WorkflowConfig


class Config(Section):
    """Settings of all stages and of the workflow."""

    seed: int = Field(0, ge=0, description="root of all random streams; --seed takes precedence")
    nbody: NbodyConfig = Field(NbodyConfig(), description="stage 1, orbits")
    spectra: SpectraConfig = Field(SpectraConfig(), description="stage 2, stars")
    morphology: MorphologyConfig = Field(
        MorphologyConfig(), description="stage 3, galaxies: not part of this version, no settings"
    )
    inference: InferenceConfig = Field(InferenceConfig(), description="stage 4, posteriors")
    workflow: WorkflowConfig = Field(WorkflowConfig(), description="what snakemake makes")
