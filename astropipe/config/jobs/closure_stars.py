"""The jobs of the closure of stars: the truth of each cluster, and the settings of the verbs that follow from it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from astropipe.config.changes import as_job_options, changed
from astropipe.config.inference import SampleConfig
from astropipe.config.nbody import IntegrateConfig, SimulateConfig
from astropipe.config.root import Config
from astropipe.config.spectra import PredictConfig
from astropipe.config.spectra import SimulateConfig as SurveyConfig
from astropipe.runtime.seeds import stream

_WHERE = "workflow.closure_stars"
# Memory in MB of a process: of the nbody and inference stages, and of one that fits spectra.
_BASE_MB, _SPECTRA_MB = 1000, 2000


class ClusterWildcards(Protocol):
    """The wildcards of a job: which cluster, and for a posterior how it is sampled."""

    number: str
    posterior: str


class StarsClosureJobs:
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
        self.closure = config.workflow.closure_stars
        self.folder = f"{config.workflow.results}/closure-stars"
        # The clusters differ in numbers only, so that one stands for all.
        self.start(1)
        self.run()
        self.prediction()
        for exact in (False, True):
            self.sampling(1, exact=exact)

    def numbers(self) -> list[int]:
        """Return the numbers of the clusters, from 1."""
        return list(range(1, self.closure.n_clusters + 1))

    def compared(self) -> list[str]:
        """Return the files of posteriors, emulated and exact, of the clusters of which there are both."""
        numbers = self.numbers()[: self.closure.n_exact]
        return [self._file(number, name) for number in numbers for name in ("posterior", "exact")]

    def truth(self, number: int) -> dict[str, Any]:
        """Return the true values of a cluster, which do not depend on how many there are."""
        rng = stream(self.config.seed, "closure.stars", number)

        def even(low: float, high: float) -> float:
            # Six digits are enough to be true, and short enough for a command line.
            return float(f"{rng.uniform(low, high):.6g}")

        def even_in_log(low: float, high: float) -> float:
            return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.6g}")

        return {
            "n_stars": round(even_in_log(*self.closure.n_stars)),
            "virial_radius": f"{even_in_log(*self.closure.virial_radius_pc)} pc",
            "systemic_velocity_km_s": even(*self.closure.systemic_velocity_km_s),
            "fe_h": even(*self.closure.fe_h),
            "fe_h_scatter": even(*self.closure.fe_h_scatter),
            "field_fraction": even(*self.closure.field_fraction),
        }

    def start(self, number: int) -> SimulateConfig:
        """Return the settings by which a cluster is made."""
        truth = self.truth(number)
        cluster = {name: truth[name] for name in ("n_stars", "virial_radius")} | self.closure.simulate
        return changed(self.config.nbody.simulate, {"family": "cluster", "cluster": cluster}, f"{_WHERE}.simulate")

    def run(self) -> IntegrateConfig:
        """Return the settings by which clusters are integrated."""
        return changed(self.config.nbody.integrate, self.closure.integrate, f"{_WHERE}.integrate")

    def survey(self, number: int) -> SurveyConfig:
        """Return the settings by which the field of a cluster is observed."""
        names = ("systemic_velocity_km_s", "fe_h", "fe_h_scatter", "field_fraction")
        truth = {name: value for name, value in self.truth(number).items() if name in names}
        drawn = changed(self.config.spectra.simulate, {"cluster": truth}, f"{_WHERE}.observe")
        return changed(drawn, self.closure.observe, f"{_WHERE}.observe")

    def prediction(self) -> PredictConfig:
        """Return the settings by which labels are read from the spectra."""
        return changed(self.config.spectra.predict, self.closure.predict, f"{_WHERE}.predict")

    def sampling(self, number: int, *, exact: bool = False) -> SampleConfig:
        """Return the settings by which a cluster is inferred: place and field are known, as a survey knows them."""
        survey = self.survey(number).cluster
        known = {
            name: getattr(survey, name)
            for name in (
                "distance_pc",
                "ra_deg",
                "dec_deg",
                "field_radius_arcmin",
                "field_velocity_km_s",
                "field_dispersion_km_s",
                "field_fe_h",
                "field_fe_h_dispersion",
            )
        }
        own = self.closure.sample
        options = {"data": self._file(number, "stars"), **known, "priors": self.closure.priors}
        changes = {
            "problem": "plummer-cluster",
            "label": f"cluster {number}" + (", exact" if exact else ""),
            **own,
            **(self.closure.exact if exact else {}),
            "options": options | own.get("options", {}),
        }
        return changed(self.config.inference.sample, changes, f"{_WHERE}.sample")

    def _file(self, number: int, name: str) -> str:
        return f"{self.folder}/cluster-{number}/{name}.h5"

    def files(self, *names: str) -> list[str]:
        """Return the files of these names of all clusters."""
        return [self._file(number, name) for number in self.numbers() for name in names]

    def get_cluster_file(self, wildcards: ClusterWildcards) -> str:
        """Return the cluster that is observed: as it was drawn, or integrated."""
        return self._file(int(wildcards.number), "evolved" if self.closure.integrate else "start")

    def get_seed(self, wildcards: ClusterWildcards) -> int:
        """Return the seed of all jobs of a cluster."""
        return self.config.seed + int(wildcards.number)

    def get_start_options(self, wildcards: ClusterWildcards) -> str:
        """Return the settings of ``astropipe nbody simulate``."""
        return as_job_options("nbody.simulate", self.start(int(wildcards.number)))

    def get_run_options(self, wildcards: ClusterWildcards) -> str:
        """Return the settings of ``astropipe nbody integrate``."""
        return as_job_options("nbody.integrate", self.run())

    def get_survey_options(self, wildcards: ClusterWildcards) -> str:
        """Return the settings of ``astropipe spectra simulate``."""
        return as_job_options("spectra.simulate", self.survey(int(wildcards.number)))

    def get_predict_options(self, wildcards: ClusterWildcards) -> str:
        """Return the settings of ``astropipe spectra predict``."""
        return as_job_options("spectra.predict", self.prediction())

    def get_sample_options(self, wildcards: ClusterWildcards) -> str:
        """Return the settings of ``astropipe inference sample``."""
        settings = self.sampling(int(wildcards.number), exact=wildcards.posterior == "exact")
        return as_job_options("inference.sample", settings)

    def get_memory(self, wildcards: ClusterWildcards, attempt: int) -> int:
        """Return the memory in MB of a job without spectra; doubled after each failure."""
        return int(_BASE_MB * 2 ** (attempt - 1))

    def get_spectra_memory(self, wildcards: ClusterWildcards, attempt: int) -> int:
        """Return the memory in MB of a job with spectra."""
        return int(_SPECTRA_MB * 2 ** (attempt - 1))
