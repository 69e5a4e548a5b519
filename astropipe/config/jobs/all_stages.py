"""Jobs of all stages together, and the checks of their settings before any of them runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from astropipe.config.jobs.closure_galaxies import GalaxiesClosureJobs
from astropipe.config.jobs.closure_stars import StarsClosureJobs
from astropipe.config.jobs.grid import GridJobs
from astropipe.config.jobs.inference import InferenceJobs, sample_settings
from astropipe.config.jobs.morphology import MorphologyJobs, classify_settings, cut_settings, galaxy_survey_settings
from astropipe.config.jobs.nbody import (
    NbodyJobs,
    box_settings,
    cluster_run_settings,
    cluster_start_settings,
    integrate_settings,
    simulate_settings,
)
from astropipe.config.jobs.spectra import predict_settings, survey_settings
from astropipe.config.loading import read_yaml
from astropipe.config.root import Config


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


class Jobs(NbodyJobs, GridJobs, MorphologyJobs, InferenceJobs):
    """What the rules of all stages ask for.

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
        super().__init__(config)
        check_jobs(config)
