"""What the jobs of all stages have in common: the command, memory, wall time, and paths as Snakemake shows them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from astropipe.config.root import Config
from astropipe.runtime.errors import UsageError

# Bumped when the algorithm of a stage changes, so that Snakemake runs its rules again.
CODE = {"nbody": 3, "clusters": 2, "flow": 1, "spectra": 6, "grid": 1, "morphology": 7, "inference": 8, "plots": 6}
BASE_MB = 800
"""Memory in MB of a process with its libraries; Snakemake itself, which starts the job, is part of it."""


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


def relative(path: Path) -> str:
    """Return a path as Snakemake shows it best: from the working folder, where it lies below it."""
    folder = Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


class StageJobs:
    """What the rules of a stage ask for; every ``get_*`` takes the wildcards of a job.

    Parameters
    ----------
    config : Config
        The resolved configuration.

    Raises
    ------
    UsageError
        If the command ``astropipe`` cannot be found.
    """

    def __init__(self, config: Config) -> None:
        if shutil.which("astropipe") is None:
            raise UsageError(
                "the command astropipe is not on the PATH of the workflow's jobs; activate the environment first "
                "(source .venv/bin/activate), or start the workflow with make"
            )
        self.config = config
        self.results = config.workflow.results

    def get_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the memory of a job in MB: a process with its libraries, doubled after each failure."""
        return int(BASE_MB * 2 ** (attempt - 1))

    def get_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Return the wall time of a job in minutes; a job that runs out of it goes on from its checkpoint."""
        return int(self.config.workflow.minutes_per_job * attempt)
