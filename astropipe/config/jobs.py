"""The settings of each job of the workflow, as the options of its command."""

from __future__ import annotations

from typing import Any, TypeVar

from astropipe.config.base import Section
from astropipe.config.inference import SampleConfig
from astropipe.config.loading import merge, validate_section
from astropipe.config.nbody import IntegrateConfig, SimulateConfig
from astropipe.config.root import Config
from astropipe.runtime.run import as_options

_S = TypeVar("_S", bound=Section)


def simulate_settings(config: Config, ensemble: str) -> SimulateConfig:
    """Return the settings by which an ensemble is simulated.

    Raises
    ------
    ConfigError
        If the changes of the ensemble name an unknown key or a value that does not fit.
    """
    changes = config.workflow.ensembles[ensemble].simulate
    return _changed(config.nbody.simulate, changes, f"workflow.ensembles.{ensemble}.simulate")


def integrate_settings(config: Config, ensemble: str) -> IntegrateConfig:
    """Return the settings by which an ensemble is integrated; raises as `simulate_settings`."""
    changes = config.workflow.ensembles[ensemble].integrate
    return _changed(config.nbody.integrate, changes, f"workflow.ensembles.{ensemble}.integrate")


def sample_settings(config: Config, posterior: str) -> SampleConfig:
    """Return the settings by which a posterior is sampled; raises as `simulate_settings`."""
    changes = config.workflow.posteriors[posterior].sample
    return _changed(config.inference.sample, changes, f"workflow.posteriors.{posterior}.sample")


def _changed(base: _S, changes: dict[str, Any], where: str) -> _S:
    return validate_section(type(base), merge(base.model_dump(), changes), "the configuration", f"{where}.")


def chunk_count(config: Config, ensemble: str) -> int:
    """Return the number of jobs that integrate an ensemble; trajectories stay in one piece."""
    if integrate_settings(config, ensemble).keep == "trajectories":
        return 1
    return config.workflow.chunks(simulate_settings(config, ensemble).n_systems)


def as_job_options(where: str, settings: Section) -> str:
    """Write what differs from the defaults as ``--set`` options for a shell; ``where`` is the path of the section."""
    return as_options(where, settings.model_dump(exclude_defaults=True))


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
    for posterior in config.workflow.posteriors:
        sample_settings(config, posterior)
