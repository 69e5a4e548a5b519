"""The jobs of the workflow: their settings as command-line options, their files, their resources.

The Snakefile asks this module instead of computing: helpers here have tests, those in a rule have none.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from astropipe.config.changes import as_job_options, changed
from astropipe.config.closure_galaxies_jobs import GalaxiesClosureJobs
from astropipe.config.closure_stars_jobs import StarsClosureJobs
from astropipe.config.inference import SampleConfig
from astropipe.config.loading import read_yaml
from astropipe.config.morphology import ClassifyConfig, CutConfig, EncodeConfig
from astropipe.config.morphology import SimulateConfig as GalaxySimulateConfig
from astropipe.config.nbody import EvaluateConfig, IntegrateConfig, SimulateConfig
from astropipe.config.root import Config
from astropipe.config.spectra import PredictConfig
from astropipe.config.spectra import SimulateConfig as SurveySimulateConfig
from astropipe.runtime.errors import UsageError
from astropipe.runtime.shipped import data_file, picture_file, weights_file

# Bumped when the algorithm of a stage changes, so that Snakemake runs its rules again.
CODE = {"nbody": 3, "clusters": 2, "flow": 1, "spectra": 5, "grid": 1, "morphology": 6, "inference": 7, "plots": 5}

# Memory in MB of a process with its libraries; Snakemake itself, which starts the job, is part of it.
_BASE_MB = 800
_SPECTRA_MB = 2000
_GALAXIES_MB = 2500
# Of a synthetic spectrum at full resolution in training: its points, and the copies of them in double precision.
_GRID_SPECTRUM_BYTES = 28_000 * 8 * 4
# Spectra in the figure of examples.
_EXAMPLES = 4
# As measured: arrays of the size of the result that a process holds at its peak (those of the run, the result, the
# checkpoint), what a run carries for each body, and what a system costs beside its bodies (its random stream, its row).
_COPIES = 4
_RUN_NUMBERS = 130
_SYSTEM_BYTES = 4000
# Of a box, as measured: what a run holds of each particle, of each in each snapshot (with copies for the file and the
# checkpoint), and of each node of the mesh; a process that counts pairs, and the tessellation of a particle.
_RUN_BYTES, _SNAPSHOT_BYTES, _CELL_BYTES = 400, 150, 80
_FLOW_MB, _TESSELLATION_BYTES = 1500, 5000
# Bodies of a family; that of Plummer spheres is a setting. Of named systems, more than any has.
_BODIES = {"agekyan-anosova": 3, "saz-ulibarrena": 3, "named": 16}


class Wildcards(Protocol):
    """The wildcards of a job, as Snakemake hands them to functions."""

    ensemble: str
    cluster: str
    box: str
    posterior: str
    run: str
    sample: str
    part: str
    chunk: str
    chunks: str


def simulate_settings(config: Config, ensemble: str) -> SimulateConfig:
    """Return the settings by which an ensemble is simulated.

    Raises
    ------
    ConfigError
        If the changes of the ensemble name an unknown key or a value that does not fit.
    """
    changes = config.workflow.ensembles[ensemble].simulate
    return changed(config.nbody.simulate, changes, f"workflow.ensembles.{ensemble}.simulate")


def integrate_settings(config: Config, ensemble: str) -> IntegrateConfig:
    """Return the settings by which an ensemble is integrated, labelled by its name; raises as `simulate_settings`."""
    changes = {"label": ensemble} | config.workflow.ensembles[ensemble].integrate
    return changed(config.nbody.integrate, changes, f"workflow.ensembles.{ensemble}.integrate")


def cluster_start_settings(config: Config, cluster: str) -> SimulateConfig:
    """Return the settings by which a star cluster is made; raises as `simulate_settings`."""
    changes = {"family": "cluster", "cluster": config.workflow.clusters[cluster].simulate}
    return changed(config.nbody.simulate, changes, f"workflow.clusters.{cluster}.simulate")


def cluster_run_settings(config: Config, cluster: str) -> IntegrateConfig:
    """Return the settings by which a cluster is integrated, labelled by its name; raises as `simulate_settings`."""
    changes = {"label": cluster} | config.workflow.clusters[cluster].integrate
    return changed(config.nbody.integrate, changes, f"workflow.clusters.{cluster}.integrate")


def box_settings(config: Config, box: str) -> tuple[SimulateConfig, IntegrateConfig, EvaluateConfig]:
    """Return the settings by which a periodic box is made, run, labelled by its name, and measured.

    Raises as `simulate_settings`.
    """
    nbody, changes, where = config.nbody, config.workflow.boxes[box], f"workflow.boxes.{box}"
    start = changed(nbody.simulate.box, changes.simulate, f"{where}.simulate")
    way = changed(nbody.integrate.box, changes.integrate, f"{where}.integrate")
    flow = changed(nbody.evaluate.box, changes.evaluate, f"{where}.evaluate")
    return (
        nbody.simulate.model_copy(update={"family": "box", "box": start}),
        nbody.integrate.model_copy(update={"label": box, "box": way}),
        nbody.evaluate.model_copy(update={"box": flow}),
    )


def sample_settings(config: Config, posterior: str) -> SampleConfig:
    """Return the settings by which a posterior is sampled; raises as `simulate_settings`.

    It is labelled by its name where that is not the name of the problem, which says as much.
    """
    changes = config.workflow.posteriors[posterior].sample
    settings = changed(config.inference.sample, changes, f"workflow.posteriors.{posterior}.sample")
    if "label" in changes:
        return settings
    return settings.model_copy(update={"label": None if settings.problem == posterior else posterior})


def survey_settings(config: Config, sample: str) -> SurveySimulateConfig:
    """Return the settings by which a survey is simulated; raises as `simulate_settings`."""
    changes = config.workflow.surveys[sample].simulate
    return changed(config.spectra.simulate, changes, f"workflow.surveys.{sample}.simulate")


def predict_settings(config: Config, sample: str) -> PredictConfig:
    """Return the settings by which spectra of a survey or of real stars are fitted; raises as `simulate_settings`."""
    group = "surveys" if sample in config.workflow.surveys else "observations"
    changes = getattr(config.workflow, group)[sample].predict
    return changed(config.spectra.predict, changes, f"workflow.{group}.{sample}.predict")


def galaxy_survey_settings(config: Config, sample: str) -> GalaxySimulateConfig:
    """Return the settings by which a survey of galaxies is simulated; raises as `simulate_settings`."""
    changes = config.workflow.galaxy_surveys[sample].simulate
    return changed(config.morphology.simulate, changes, f"workflow.galaxy_surveys.{sample}.simulate")


def cut_settings(config: Config, sample: str) -> CutConfig:
    """Return the settings by which galaxies are cut out of pictures; raises as `simulate_settings`."""
    changes = config.workflow.pictures[sample].cut
    return changed(config.morphology.cut, changes, f"workflow.pictures.{sample}.cut")


def encode_settings(config: Config, sample: str) -> EncodeConfig:
    """Return the settings by which galaxies are measured and encoded; raises as `simulate_settings`."""
    group = "galaxy_surveys" if sample in config.workflow.galaxy_surveys else "pictures"
    changes = getattr(config.workflow, group)[sample].encode
    return changed(config.morphology.encode, changes, f"workflow.{group}.{sample}.encode")


def classify_settings(config: Config, sample: str) -> ClassifyConfig:
    """Return the settings by which galaxies are classified; raises as `simulate_settings`.

    The encoder is that by which they were encoded.
    """
    group = "galaxy_surveys" if sample in config.workflow.galaxy_surveys else "pictures"
    changes = getattr(config.workflow, group)[sample].classify
    settings = changed(config.morphology.classify, changes, f"workflow.{group}.{sample}.classify")
    return settings.model_copy(update={"encode": encode_settings(config, sample)})


def check_jobs(config: Config) -> None:
    """Check the settings of every job of the workflow.

    Raises
    ------
    ConfigError
        Naming the ensemble or posterior and the key at fault.
    """
    for ensemble in config.workflow.ensembles:
        simulate_settings(config, ensemble)
        integrate_settings(config, ensemble)
    for cluster in config.workflow.clusters:
        cluster_start_settings(config, cluster)
        cluster_run_settings(config, cluster)
    for box in config.workflow.boxes:
        box_settings(config, box)
    for survey in config.workflow.surveys:
        survey_settings(config, survey)
        predict_settings(config, survey)
    for sample in config.workflow.observations:
        predict_settings(config, sample)
    for survey in config.workflow.galaxy_surveys:
        galaxy_survey_settings(config, survey)
    for sample in config.workflow.pictures:
        cut_settings(config, sample)
    for sample in (*config.workflow.galaxy_surveys, *config.workflow.pictures):
        classify_settings(config, sample)
    for posterior in config.workflow.posteriors:
        sample_settings(config, posterior)
    StarsClosureJobs(config)
    GalaxiesClosureJobs(config)


def check_files(paths: Iterable[str | Path]) -> None:
    """Check the configuration files that Snakemake has read, which takes the last of two values of a key.

    Raises
    ------
    ConfigError
        If a file is no valid YAML or gives a key twice; the message names file, line and key.
    """
    for path in paths:
        read_yaml(Path(path))


def relative(path: Path) -> str:
    """Return a path as Snakemake shows it best: from the working folder, where it lies below it."""
    folder = Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


class Jobs:
    """What the rules ask for; every ``get_*`` takes the wildcards of a job.

    Parameters
    ----------
    config : Config
        The resolved configuration.

    Raises
    ------
    ConfigError
        If the settings of any job are not valid; see `check_jobs`.
    UsageError
        If the command ``astropipe`` cannot be found.
    """

    def __init__(self, config: Config) -> None:
        if shutil.which("astropipe") is None:
            raise UsageError(
                "the command astropipe is not on the PATH of the workflow's jobs; activate the environment first "
                "(source .venv/bin/activate), or start the workflow with make"
            )
        check_jobs(config)
        self.config = config
        self.results = config.workflow.results

    def catalog_ensembles(self) -> list[str]:
        """Return the ensembles of which a catalog is made."""
        return [name for name in self.config.workflow.ensembles if self._keep(name) == "catalog"]

    def trajectory_ensembles(self) -> list[str]:
        """Return the ensembles whose trajectories are kept."""
        return [name for name in self.config.workflow.ensembles if self._keep(name) == "trajectories"]

    def cold_start_ensembles(self) -> list[str]:
        """Return the catalogs that have an Agekyan-Anosova map."""
        ensembles = self.catalog_ensembles()
        return [name for name in ensembles if simulate_settings(self.config, name).family == "agekyan-anosova"]

    def clusters(self) -> list[str]:
        """Return the names of the star clusters."""
        return list(self.config.workflow.clusters)

    def get_cluster_start_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody simulate`` for a star cluster."""
        return as_job_options("nbody.simulate", cluster_start_settings(self.config, wildcards.cluster))

    def get_cluster_run_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody integrate`` for a star cluster."""
        return as_job_options("nbody.integrate", cluster_run_settings(self.config, wildcards.cluster))

    def get_cluster_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that holds all snapshots of a cluster; doubled after each failure."""
        start = cluster_start_settings(self.config, wildcards.cluster).cluster
        run = cluster_run_settings(self.config, wildcards.cluster).cluster
        snapshots = run.n_snapshots if run.snapshot_times is None else 1 + len(run.snapshot_times)
        own = _COPIES * 8 * (start.n_stars + start.n_massless) * (6 * snapshots + _RUN_NUMBERS)
        return int((_BASE_MB + own / 1e6) * 2 ** (attempt - 1))

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
        return int(_SPECTRA_MB * 2 ** (attempt - 1))

    def get_grid_sources(self, wildcards: Wildcards) -> str:
        """Return the folder of the program that synthesises spectra, and of what it reads."""
        return self.config.workflow.grid.sources

    def get_grid_stars(self, wildcards: Wildcards) -> str:
        """Return the folder of the synthetic spectra, another one for each version of the recipe.

        Stars that are there are kept, so that those of an older recipe would get into the grid.
        """
        return f"{self.config.workflow.grid.folder}/stars-{CODE['grid']}"

    def grid_records(self) -> list[str]:
        """Return the records of all chunks of the grid: which stars each has made."""
        folder = f"{self.config.workflow.grid.folder}/chunks"
        counts = {part: self.config.workflow.grid_chunks(len(stars)) for part, stars in self._grid_parts().items()}
        return [f"{folder}/{part}-{i}-of-{n}.txt" for part, n in counts.items() for i in range(1, n + 1)]

    def get_grid_range(self, wildcards: Wildcards) -> str:
        """Return which stars a part of the grid is made of, as options of ``run``."""
        stars = self._grid_parts()[wildcards.part]
        limit = f" --below-k {self.config.workflow.grid.cool_below_k}" if wildcards.part == "cool" else ""
        return f"--start {stars.start} --count {len(stars)}{limit}"

    def _grid_parts(self) -> dict[str, range]:
        grid = self.config.workflow.grid
        return {
            "all": range(grid.n_spectra),
            "cool": range(grid.n_spectra, grid.n_spectra + grid.n_cool_candidates),
        }

    def get_spectra_train_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe spectra train``."""
        return as_job_options("spectra.train", self.config.spectra.train)

    def get_training_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of the training of the emulator, which holds the whole grid."""
        n_spectra = sum(len(stars) for stars in self._grid_parts().values())
        return int((_SPECTRA_MB + _GRID_SPECTRUM_BYTES * n_spectra / 1e6) * 2 ** (attempt - 1))

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

    def _keep(self, ensemble: str) -> str:
        return integrate_settings(self.config, ensemble).keep

    def chunk_count(self, ensemble: str) -> int:
        """Return the number of jobs that integrate an ensemble; trajectories stay in one piece."""
        if self._keep(ensemble) == "trajectories" or simulate_settings(self.config, ensemble).family == "named":
            return 1
        return self.config.workflow.chunks(simulate_settings(self.config, ensemble).n_systems)

    def get_chunk_files(self, wildcards: Wildcards) -> list[str]:
        """Return the catalogs of the chunks of an ensemble."""
        count = self.chunk_count(wildcards.ensemble)
        folder = f"{self.results}/nbody/{wildcards.ensemble}/chunks"
        return [f"{folder}/{index}-of-{count}.h5" for index in range(1, count + 1)]

    def get_simulate_files(self, wildcards: Wildcards) -> list[str]:
        """Return the shipped files from which an ensemble is made."""
        named = simulate_settings(self.config, wildcards.ensemble).family == "named"
        return [relative(data_file("orbits/named-systems.ecsv"))] if named else []

    def get_policy_files(self, wildcards: Wildcards) -> list[str]:
        """Return the policy of the time step by which an ensemble is integrated, where it is a learned one."""
        settings = integrate_settings(self.config, wildcards.ensemble)
        if settings.timestep != "learned" or settings.dt is not None:
            return []
        return [relative(weights_file("nbody-timestep.h5")) if settings.policy is None else settings.policy]

    def get_cluster_policy_files(self, wildcards: Wildcards) -> list[str]:
        """Return the policy that chooses eta in a cluster, where one does."""
        settings = cluster_run_settings(self.config, wildcards.cluster)
        if settings.cluster.eta != "learned":
            return []
        return [relative(weights_file("nbody-cluster-eta.h5")) if settings.policy is None else settings.policy]

    def published_constraints(self) -> str:
        """Return the table of published values with which posteriors are compared."""
        return relative(data_file("published-constraints/constraints.ecsv"))

    def get_simulate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody simulate``."""
        return as_job_options("nbody.simulate", simulate_settings(self.config, wildcards.ensemble))

    def get_integrate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody integrate``."""
        return as_job_options("nbody.integrate", integrate_settings(self.config, wildcards.ensemble))

    def boxes(self) -> list[str]:
        """Return the names of the periodic boxes."""
        return list(self.config.workflow.boxes)

    def get_box_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody simulate`` for a box."""
        return as_job_options("nbody.simulate", box_settings(self.config, wildcards.box)[0])

    def get_box_run_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody integrate`` for a box."""
        return as_job_options("nbody.integrate", box_settings(self.config, wildcards.box)[1])

    def get_flow_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody evaluate`` for a box."""
        return as_job_options("nbody.evaluate", box_settings(self.config, wildcards.box)[2])

    def get_box_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that makes, runs or draws a box."""
        start, way, _ = box_settings(self.config, wildcards.box)
        particles, cells = start.box.n_side**3, (way.box.mesh or 2 * start.box.n_side) ** 3
        own = particles * (_RUN_BYTES + _SNAPSHOT_BYTES * len(way.box.redshifts)) + cells * _CELL_BYTES
        return int((_BASE_MB + own / 1e6) * 2 ** (attempt - 1))

    def get_flow_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that measures the flow in a box."""
        start, _, flow = box_settings(self.config, wildcards.box)
        own = start.box.n_side**3 * (_TESSELLATION_BYTES if flow.box.density else _RUN_BYTES)
        return int((_FLOW_MB + own / 1e6) * 2 ** (attempt - 1))

    def get_sample_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe inference sample``."""
        settings = sample_settings(self.config, wildcards.posterior)
        if wildcards.run != "posterior":
            settings = settings.model_copy(update={"label": f"{settings.label or wildcards.posterior} {wildcards.run}"})
        return as_job_options("inference.sample", settings)

    def get_nbody_evaluate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe nbody evaluate``."""
        return as_job_options("nbody.evaluate", self.config.nbody.evaluate)

    def get_inference_evaluate_options(self, wildcards: Wildcards) -> str:
        """Return the settings of ``astropipe inference evaluate``."""
        return as_job_options("inference.evaluate", self.config.inference.evaluate)

    def get_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory of a job in MB: a process with its libraries, doubled after each failure."""
        return int(_BASE_MB * 2 ** (attempt - 1))

    def get_simulate_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that makes or reads a whole ensemble; doubled after each failure."""
        return _megabytes(simulate_settings(self.config, wildcards.ensemble), 0, attempt)

    def get_integrate_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory in MB of a job that integrates a chunk, or draws its trajectories.

        Every chunk reads the whole ensemble; trajectories, which grow with their saved times, are in one piece.
        """
        settings = simulate_settings(self.config, wildcards.ensemble)
        saved = 0
        if self._keep(wildcards.ensemble) == "trajectories":
            saved = integrate_settings(self.config, wildcards.ensemble).n_saved
        return _megabytes(settings, saved, attempt)

    def get_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the wall time of a job in minutes; a job that runs out of it goes on from its checkpoint."""
        return int(self.config.workflow.minutes_per_job * attempt)


def _megabytes(settings: SimulateConfig, n_saved: int, attempt: int) -> int:
    """Return the memory of a process that holds an ensemble and its states at `n_saved` times."""
    systems = 1 if settings.family == "named" else settings.n_systems
    bodies = _BODIES.get(settings.family, settings.n_bodies)
    # Masses, and 6 numbers a body at the start and at each saved time; what a run carries from step to step.
    numbers = bodies * (1 + 6 * (1 + n_saved)) + _RUN_NUMBERS * bodies
    own = systems * (_SYSTEM_BYTES + _COPIES * 8 * numbers)
    return int((_BASE_MB + own / 1e6) * 2 ** (attempt - 1))
