"""Jobs of the morphology stage: simulated galaxies and real pictures."""

from __future__ import annotations

from pathlib import Path

from astropipe.config.changes import as_job_options, changed
from astropipe.config.jobs.base import StageJobs, Wildcards, relative
from astropipe.config.morphology import ClassifyConfig, CutConfig, EncodeConfig, SimulateConfig
from astropipe.config.root import Config
from astropipe.runtime.shipped import picture_file, weights_file

_GALAXIES_MB = 2500


def galaxy_survey_settings(config: Config, sample: str) -> SimulateConfig:
    """Return the settings by which a survey of galaxies is simulated; raises as `nbody.simulate_settings`."""
    changes = config.workflow.galaxy_surveys[sample].simulate
    return changed(config.morphology.simulate, changes, f"workflow.galaxy_surveys.{sample}.simulate")


def cut_settings(config: Config, sample: str) -> CutConfig:
    """Return the settings by which galaxies are cut out of pictures; raises as `nbody.simulate_settings`."""
    changes = config.workflow.pictures[sample].cut
    return changed(config.morphology.cut, changes, f"workflow.pictures.{sample}.cut")


def encode_settings(config: Config, sample: str) -> EncodeConfig:
    """Return the settings by which galaxies are measured and encoded; raises as `nbody.simulate_settings`."""
    group = "galaxy_surveys" if sample in config.workflow.galaxy_surveys else "pictures"
    changes = getattr(config.workflow, group)[sample].encode
    return changed(config.morphology.encode, changes, f"workflow.{group}.{sample}.encode")


def classify_settings(config: Config, sample: str) -> ClassifyConfig:
    """Return the settings by which galaxies are classified; raises as `nbody.simulate_settings`.

    The encoder is that by which they were encoded.
    """
    group = "galaxy_surveys" if sample in config.workflow.galaxy_surveys else "pictures"
    changes = getattr(config.workflow, group)[sample].classify
    settings = changed(config.morphology.classify, changes, f"workflow.{group}.{sample}.classify")
    return settings.model_copy(update={"encode": encode_settings(config, sample)})


class MorphologyJobs(StageJobs):
    """What the rules of the morphology stage ask for."""

    def galaxy_surveys(self) -> list[str]:
        """Return the names of the simulated surveys of galaxies."""
        return list(self.config.workflow.galaxy_surveys)

    def pictures(self) -> list[str]:
        """Return the names of the sets of real galaxies."""
        return list(self.config.workflow.pictures)

    def galaxy_samples(self) -> list[str]:
        """Return the names of all sets of galaxies, simulated and real."""
        return [*self.galaxy_surveys(), *self.pictures()]

    def get_picture_files(self, wildcards: Wildcards) -> list[str]:
        """Return the pictures of a set, and the catalog of positions where there is one."""
        catalog = cut_settings(self.config, wildcards.sample).catalog
        files = self.config.workflow.pictures[wildcards.sample].files
        return [relative(picture_file(name)) for name in files] + ([] if catalog is None else [catalog])

    def get_picture_names(self, wildcards: Wildcards) -> list[str]:
        """Return the pictures of a set as they were named, which is the same on every machine."""
        return self.config.workflow.pictures[wildcards.sample].files

    def get_encoder_files(self, wildcards: Wildcards) -> list[str]:
        """Return the trained model by which galaxies are encoded."""
        name = encode_settings(self.config, wildcards.sample).encoder
        path = relative(weights_file("galaxy-encoder.h5")) if name is None else name
        return [path] if Path(path).is_file() else []

    def get_feature_chunk_files(self, wildcards: Wildcards) -> list[str]:
        """Return the features of the chunks of a set of galaxies."""
        if wildcards.sample in self.config.workflow.galaxy_surveys:
            n_galaxies = galaxy_survey_settings(self.config, wildcards.sample).n_galaxies
            count = self.config.workflow.galaxy_chunks(n_galaxies)
        else:
            count = self.config.workflow.pictures[wildcards.sample].chunks
        folder = f"{self.results}/morphology/{wildcards.sample}/chunks"
        return [f"{folder}/{index}-of-{count}.h5" for index in range(1, count + 1)]

    def get_galaxy_survey_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe morphology simulate``."""
        return as_job_options("morphology.simulate", galaxy_survey_settings(self.config, wildcards.sample))

    def get_cut_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe morphology cut``."""
        return as_job_options("morphology.cut", cut_settings(self.config, wildcards.sample))

    def get_encode_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe morphology encode``."""
        return as_job_options("morphology.encode", encode_settings(self.config, wildcards.sample))

    def get_classify_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe morphology classify``."""
        return as_job_options("morphology.classify", classify_settings(self.config, wildcards.sample))

    def get_morphology_evaluate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe morphology evaluate``."""
        return as_job_options("morphology.evaluate", self.config.morphology.evaluate)

    def get_galaxy_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job of the morphology stage; it hardly grows with the galaxies."""
        return int(_GALAXIES_MB * 2 ** (attempt - 1))
