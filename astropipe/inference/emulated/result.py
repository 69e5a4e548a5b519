"""What a run with an emulated likelihood returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.results import PosteriorResult


@dataclass(frozen=True, slots=True)
class EmulatedDiagnostics:
    """Whether to believe a result.

    Attributes
    ----------
    reasons : tuple of str
        Why the run did not converge; empty if it did.
    ess : float
        Kish's effective sample size of the weighted samples.
    largest_weight : float
        Share of the evidence that the sample of largest weight has.
    disagreement : float
        Largest difference between one round's evidence and that of the others, in its standard errors.
    emulator_rmse : float
        Root mean square error of the emulated ln L at the last points that were drawn from the emulated posterior,
        before the emulator learned from them; differences above 10 count as 10.
    n_rounds : int
        Correction rounds, whose points make the result.
    n_training_calls : int
        True calls that served the emulator only.
    """

    reasons: tuple[str, ...]
    ess: float
    largest_weight: float
    disagreement: float
    emulator_rmse: float
    n_rounds: int
    n_training_calls: int


@dataclass(frozen=True, eq=False, kw_only=True)
class EmulatedResult(PosteriorResult):
    """What sampling with an emulated likelihood returns: the points of the correction rounds, none emulated.

    Attributes
    ----------
    emulated_log_likelihoods : ndarray [m]
        What the emulator said of ln L at each sample before it was told: by it the emulator is judged, nothing else.
    diagnostics : EmulatedDiagnostics
        Whether to believe it.
    """

    method: ClassVar[str] = "emulated"

    emulated_log_likelihoods: NDArray[np.float64]
    diagnostics: EmulatedDiagnostics
