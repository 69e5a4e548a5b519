"""What ``astropipe nbody train`` calls for ``policy: paper``: settings in, the record of a trained policy out."""

from __future__ import annotations

from astropipe.config.nbody import TrainConfig
from astropipe.nbody.paper.agent import AgentConfig
from astropipe.nbody.paper.records import record
from astropipe.nbody.paper.task import Defects, TaskConfig
from astropipe.nbody.paper.training import train
from astropipe.nbody.policy_artifact import PolicyRecord
from astropipe.runtime.checkpoint import Checkpoint
from astropipe.runtime.progress import Progress


def agent_config(settings: TrainConfig) -> AgentConfig:
    """Return the settings of the published agent with the defects that are to be kept, and no others."""
    mended = dict.fromkeys(Defects.__dataclass_fields__, False)
    return AgentConfig(TaskConfig(defects=Defects(**mended | dict.fromkeys(settings.defects, True))))


def train_policy(
    settings: TrainConfig, seed: int, *, checkpoint: Checkpoint | None = None, progress: Progress | None = None
) -> PolicyRecord:
    """Train the published agent; see `astropipe.nbody.paper.training.train` for what it does and raises.

    Parameters
    ----------
    settings : TrainConfig
        ``episodes`` and ``defects``.
    seed : int
        Root seed.
    checkpoint : Checkpoint, optional
        Read at the start, written now and then, and when a stop is requested.
    progress : Progress, optional
        Told how many episodes are done.
    """
    config = agent_config(settings)
    learned = train(config, seed, settings.episodes, checkpoint=checkpoint, progress=progress)
    return record(config, learned, seed)
