"""Jobs of the spectra stage: simulated surveys and real stars."""

from __future__ import annotations

from astropipe.config.changes import as_job_options, changed
from astropipe.config.jobs.base import StageJobs, Wildcards, relative
from astropipe.config.root import Config
from astropipe.config.spectra import PredictConfig, SimulateConfig
from astropipe.runtime.shipped import weights_file

SPECTRA_MB = 2000
"""Memory in MB of a job of this stage."""
# Spectra in the figure of examples.
_EXAMPLES = 4


def survey_settings(config: Config, sample: str) -> SimulateConfig:
    """Return the settings by which a survey is simulated; raises as `nbody.simulate_settings`."""
    changes = config.workflow.surveys[sample].simulate
    return changed(config.spectra.simulate, changes, f"workflow.surveys.{sample}.simulate")


def predict_settings(config: Config, sample: str) -> PredictConfig:
    """Return the settings by which spectra of a survey, or of real stars, are fitted.

    Raises as `nbody.simulate_settings`.
    """
    group = "surveys" if sample in config.workflow.surveys else "observations"
    changes = getattr(config.workflow, group)[sample].predict
    return changed(config.spectra.predict, changes, f"workflow.{group}.{sample}.predict")


class SpectraJobs(StageJobs):
    """What the rules of the spectra stage ask for."""

    def surveys(self) -> list[str]:
        """Return the names of the simulated surveys."""
        return list(self.config.workflow.surveys)

    def spectra_samples(self) -> list[str]:
        """Return the names of all sets of spectra, simulated and real."""
        return [*self.config.workflow.surveys, *self.config.workflow.observations]

    def get_spectra_files(self, wildcards: Wildcards) -> list[str]:
        """Return the spectra of a set: the artifact of a survey, or the files of real stars as they were given."""
        if wildcards.sample in self.config.workflow.surveys:
            return [f"{self.results}/spectra/{wildcards.sample}/spectra.h5"]
        return self.config.workflow.observations[wildcards.sample].files

    def get_spectra_chunk_files(self, wildcards: Wildcards) -> list[str]:
        """Return the catalogs of the chunks of a set of spectra."""
        if wildcards.sample in self.config.workflow.observations:
            count = self.config.workflow.observations[wildcards.sample].chunks
        else:
            count = self.config.workflow.spectra_chunks(survey_settings(self.config, wildcards.sample).n_spectra)
        folder = f"{self.results}/spectra/{wildcards.sample}/chunks"
        return [f"{folder}/{index}-of-{count}.h5" for index in range(1, count + 1)]

    def get_survey_emulator(self, wildcards: Wildcards) -> list[str]:
        """Return the emulator by which a survey is simulated."""
        return [self._emulator(survey_settings(self.config, wildcards.sample).emulator)]

    def get_predict_emulator(self, wildcards: Wildcards) -> list[str]:
        """Return the trained models with which spectra are read."""
        settings = predict_settings(self.config, wildcards.sample)
        return [self._emulator(settings.emulator), *([] if settings.network is None else [settings.network])]

    def _emulator(self, name: str | None) -> str:
        return relative(weights_file("spectra-emulator.h5")) if name is None else name

    def get_survey_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe spectra simulate``."""
        return as_job_options("spectra.simulate", survey_settings(self.config, wildcards.sample))

    def get_predict_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe spectra predict``."""
        return as_job_options("spectra.predict", predict_settings(self.config, wildcards.sample))

    def get_examples_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe spectra predict`` and the chunk for the figure of example spectra."""
        settings = predict_settings(self.config, wildcards.sample).model_copy(update={"models": True, "network": None})
        chunks = max(1, survey_settings(self.config, wildcards.sample).n_spectra // _EXAMPLES)
        return f"{as_job_options('spectra.predict', settings)} --chunk 1/{chunks}"

    def get_spectra_evaluate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe spectra evaluate``."""
        return as_job_options("spectra.evaluate", self.config.spectra.evaluate)

    def get_spectra_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that fits spectra; it does not grow with their number."""
        return int(SPECTRA_MB * 2 ** (attempt - 1))
