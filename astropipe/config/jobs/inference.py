"""Jobs of the inference stage: posteriors and their repetitions."""

from __future__ import annotations

from astropipe.config.changes import as_job_options, changed
from astropipe.config.inference import SampleConfig
from astropipe.config.jobs.base import StageJobs, Wildcards, relative
from astropipe.config.root import Config
from astropipe.runtime.shipped import data_file


def sample_settings(config: Config, posterior: str) -> SampleConfig:
    """Return the settings by which a posterior is sampled; raises as `nbody.simulate_settings`.

    It is labelled by its name where that is not the name of the problem, which says as much.
    """
    changes = config.workflow.posteriors[posterior].sample
    settings = changed(config.inference.sample, changes, f"workflow.posteriors.{posterior}.sample")
    if "label" in changes:
        return settings
    return settings.model_copy(update={"label": None if settings.problem == posterior else posterior})


class InferenceJobs(StageJobs):
    """What the rules of the inference stage ask for."""

    def posteriors(self) -> list[str]:
        """Return the names of the posteriors."""
        return list(self.config.workflow.posteriors)

    def repeated_posteriors(self) -> list[str]:
        """Return the names of the posteriors of which there are several runs."""
        return [name for name, settings in self.config.workflow.posteriors.items() if settings.n_seeds > 1]

    def posterior_files(self, posterior: str) -> list[str]:
        """Return the files of the runs of a posterior: the first, then those with further seeds."""
        seeds = range(2, self.config.workflow.posteriors[posterior].n_seeds + 1)
        runs = ["posterior", *(f"seed-{k}" for k in seeds)]
        return [f"{self.results}/inference/{posterior}/{run}.h5" for run in runs]

    def get_posterior_seed(self, wildcards: Wildcards) -> int:
        """Return the seed of a run of a posterior."""
        return self.config.seed + (int(wildcards.run.removeprefix("seed-")) - 1 if wildcards.run != "posterior" else 0)

    def emulated_posteriors(self) -> list[str]:
        """Return the names of the posteriors that are sampled with an emulated likelihood and nothing else."""
        chosen = {name: sample_settings(self.config, name) for name in self.posteriors()}
        return [name for name, settings in chosen.items() if settings.method == "emulated" and not settings.fallback]

    def published_constraints(self) -> str:
        """Return the table of published values with which posteriors are compared."""
        return relative(data_file("published-constraints/constraints.ecsv"))

    def get_sample_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe inference sample``."""
        settings = sample_settings(self.config, wildcards.posterior)
        if wildcards.run != "posterior":
            settings = settings.model_copy(update={"label": f"{settings.label or wildcards.posterior} {wildcards.run}"})
        return as_job_options("inference.sample", settings)

    def get_inference_evaluate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe inference evaluate``."""
        return as_job_options("inference.evaluate", self.config.inference.evaluate)
