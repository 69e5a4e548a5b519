"""Which files a run reads beside its settings, so that a workflow can see when they change."""

from __future__ import annotations

from pathlib import Path

from astropipe.config.inference import SampleConfig
from astropipe.inference.problems import problem


def data_files(config: SampleConfig) -> tuple[Path, ...]:
    """Return the files of measurements that `astropipe inference sample` reads, their companions included.

    They are those that the provenance of the posterior records, because the problem itself names them.

    Raises
    ------
    UsageError
        If the problem or one of its options is unknown.
    InputError
        If a data file is missing or cannot be used.
    """
    return problem(config.problem, **config.options).sources
