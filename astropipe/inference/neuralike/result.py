"""What a run of the published method returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.results import NestedResult

End = Literal["rejected", "range", "calls", "end"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """What the genetic search chooses: hidden layers, their width, batch size, learning rate of Adam."""

    depth: int
    width: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Training:
    """One training of the network, and what became of it.

    Attributes
    ----------
    iteration : int
        After how many replacements it was.
    architecture : Architecture
        With the learning rate of this training.
    loss : float
        Mean squared error at the validation points in scaled units, by which the network is accepted.
    rmse : float
        Root mean square error at these points in ln L. Nothing in the method depends on it.
    end : str
        ``"rejected"``: the loss was too high. ``"range"``, ``"calls"``: the guard that switched the network off.
        ``"end"``: on to the end of the run.
    """

    iteration: int
    architecture: Architecture
    loss: float
    rmse: float
    end: End


@dataclass(frozen=True, eq=False, kw_only=True)
class NeuralikeResult(NestedResult):
    """What nested sampling with the likelihood of a network returns; approximate.

    ln Z, its error and the weights take emulated values for true ones, and nothing in them tells what that did.

    Attributes
    ----------
    trainings : tuple of Training
        In their order; empty if none was due.
    emulated : ndarray [m] of bool
        Whether the ln L of each sample is the network's.
    genetic_start : bool
        Whether the first live points were bred, which by itself makes ln Z too high.
    """

    method: ClassVar[str] = "neuralike"
    approximate: ClassVar[bool] = True

    trainings: tuple[Training, ...]
    emulated: NDArray[np.bool_]
    genetic_start: bool

    @property
    def n_accepted(self) -> int:
        """Networks that were accepted, of ``len(trainings)``."""
        return len(self.trainings) - self.n_rejected

    @property
    def n_rejected(self) -> int:
        """Networks whose validation loss was too high."""
        return sum(training.end == "rejected" for training in self.trainings)

    @property
    def n_switched_off(self) -> int:
        """Accepted networks that a guard switched off."""
        return sum(training.end in ("range", "calls") for training in self.trainings)

    @property
    def emulated_weight(self) -> float:
        """Share of the posterior weight whose ln L is the network's."""
        return float(self.weights[self.emulated].sum())
