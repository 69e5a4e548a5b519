"""What a run with an emulated likelihood returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


@dataclass(frozen=True, eq=False)
class EmulatedResult:
    """Weighted posterior samples and evidence; every likelihood in it was evaluated, none is emulated.

    Attributes
    ----------
    names : tuple of str
        Parameters, in the order of the columns of `samples`.
    samples : ndarray [n, d]
        Parameters of the points of the correction rounds.
    log_weights : ndarray [n]
        Logarithms of weights that sum to Z.
    log_likelihoods : ndarray [n]
        True ln L.
    logz, logz_err : float
        ln Z with respect to the whole prior volume, and its standard error.
    n_true_calls, n_emulated_calls : int
        Points at which the likelihood and the emulator were evaluated.
    converged : bool
        Whether all checks passed; if not, `diagnostics.reasons` says which did not.
    """

    names: tuple[str, ...]
    samples: NDArray[np.float64]
    log_weights: NDArray[np.float64]
    log_likelihoods: NDArray[np.float64]
    logz: float
    logz_err: float
    n_true_calls: int
    n_emulated_calls: int
    converged: bool
    diagnostics: EmulatedDiagnostics
