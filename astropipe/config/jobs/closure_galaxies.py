"""The jobs of the closure of galaxies: their settings as command-line options, and their files."""

from __future__ import annotations

from typing import Any, Protocol

from astropipe.config.changes import as_job_options, changed
from astropipe.config.inference import SampleConfig
from astropipe.config.loading import merge
from astropipe.config.morphology import ClassifyConfig
from astropipe.config.morphology import SimulateConfig as SurveyConfig
from astropipe.config.root import Config

_WHERE = "workflow.closure_galaxies"


class SurveyWildcards(Protocol):
    """The wildcards of a job: which survey, and which selection of its galaxies."""

    number: str
    selection: str


class GalaxiesClosureJobs:
    """What the rules ask for; every ``get_*`` takes the wildcards of a job.

    Parameters
    ----------
    config : Config
        The resolved configuration.

    Raises
    ------
    ConfigError
        If the settings of any job are not valid.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.closure = config.workflow.closure_galaxies
        self.folder = f"{config.workflow.results}/closure-galaxies"
        self.survey(), self.classification()
        for selection in self.selections():
            self.sampling(1, selection)

    def numbers(self) -> list[int]:
        """Return the numbers of the surveys, from 1."""
        return list(range(1, self.closure.n_seeds + 1))

    def selections(self) -> dict[str, dict[str, Any]]:
        """Return the options of each selection by its name, ``mean-agreement-0.6`` or ``median-purity-0.8``."""
        chosen: dict[str, dict[str, Any]] = {}
        for name, options in self.closure.analyses.items():
            for score, lowest in self.closure.selections.items():
                chosen |= {
                    f"{name}-{score}-{least:g}": {**options, "score": score, "min_score": least} for least in lowest
                }
            chosen |= {f"{name}-purity-{purity:g}": {**options, "purity": purity} for purity in self.closure.purities}
        return chosen

    def survey(self) -> SurveyConfig:
        """Return the settings by which galaxies are simulated, always with ages."""
        changes = merge({"chronometers": {"enabled": True}}, self.closure.simulate)
        return changed(self.config.morphology.simulate, changes, f"{_WHERE}.simulate")

    def classification(self) -> ClassifyConfig:
        """Return the settings by which they are classified."""
        return changed(self.config.morphology.classify, self.closure.classify, f"{_WHERE}.classify")

    def sampling(self, number: int, selection: str) -> SampleConfig:
        """Return the settings by which the universe is inferred from a selection."""
        own = self.closure.sample
        files = {"catalog": self._file(number, "galaxies"), "truth": self._file(number, "stamps")}
        changes = {
            "problem": "chronometers-catalog",
            "label": selection.replace("-", " "),
            **own,
            "options": {**files, **own.get("options", {}), **self.selections()[selection]},
        }
        return changed(self.config.inference.sample, changes, f"{_WHERE}.sample")

    def _file(self, number: int, name: str) -> str:
        return f"{self.folder}/survey-{number}/{name}.h5"

    def posteriors(self) -> list[str]:
        """Return the posteriors of all surveys and selections."""
        return [self._file(number, selection) for number in self.numbers() for selection in self.selections()]

    def get_seed(self, wildcards: SurveyWildcards) -> int:
        """Return the seed of all jobs of a survey."""
        return self.config.seed + int(wildcards.number)

    def get_survey_options(self, wildcards: SurveyWildcards) -> str:
        """Return the settings of ``astropipe morphology simulate``."""
        return as_job_options("morphology.simulate", self.survey())

    def get_classify_options(self, wildcards: SurveyWildcards) -> str:
        """Return the settings of ``astropipe morphology classify``."""
        return as_job_options("morphology.classify", self.classification())

    def get_sample_options(self, wildcards: SurveyWildcards) -> str:
        """Return the settings of ``astropipe inference sample``."""
        return as_job_options("inference.sample", self.sampling(int(wildcards.number), wildcards.selection))
