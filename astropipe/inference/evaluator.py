"""One process's view of a likelihood: masked, checked, counted, and served from the log where it is known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.evaluations import EvaluationLog
from astropipe.inference.fingerprint import Identity
from astropipe.inference.priors import Prior
from astropipe.runtime.errors import ArtifactError, InputError, InterruptedRunError

PROBE_RTOL = 1e-9
"""Relative agreement asked of a recomputed value; room for another BLAS or processor, none for other data."""


@dataclass(frozen=True)
class Specification:
    """All that a worker process needs to evaluate a likelihood.

    Attributes
    ----------
    log_likelihood
        ln L of one point [d] as a number or, if `vectorized`, of points [n, d] as [n].
    log_folder, identity
        Log of evaluations, if there is to be one, and whose values it holds.
    """

    log_likelihood: Callable[[NDArray[np.float64]], object]
    prior: Prior
    vectorized: bool
    log_folder: Path | None
    identity: Identity


@dataclass(slots=True)
class Counts:
    """Evaluations asked for: excluded by a constraint, computed now (and for how long), read from an earlier log."""

    masked: int = 0
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """Points at which ln L was asked for."""
        return self.masked + self.computed + self.reused

    def add(self, other: Counts) -> None:
        """Add the counts of another process or task."""
        self.masked += other.masked
        self.computed += other.computed
        self.reused += other.reused
        self.seconds += other.seconds

    def take(self) -> Counts:
        """Return the counts so far and begin anew."""
        taken = replace(self)
        self.masked = self.computed = self.reused = 0
        self.seconds = 0.0
        return taken


class Evaluator:
    """ln L(θ) as a sampler may call it.

    A failure (NaN, an exception, a request to stop) does not raise inside the sampler, which would print
    it: it is kept in `failure`, and from then on every call returns +inf at once, so that whatever loop the
    sampler is in ends. The pool raises the failure as soon as the sampler's task has returned.
    """

    def __init__(self, specification: Specification, stop_requested: Callable[[], bool] | None) -> None:
        self.specification = specification
        self.counts = Counts()
        self.failure: BaseException | None = None
        folder = specification.log_folder
        self.log = EvaluationLog(folder, specification.identity) if folder is not None else None
        self._stop_requested = stop_requested

    def __call__(self, x: NDArray[np.float64]) -> float:
        """Return ln L at `x`, shape [d]; +inf after a failure."""
        if self.failure is None:
            try:
                return self._value(x)
            except BaseException as error:
                self.failure = error
        return math.inf

    def raise_failure(self) -> None:
        """Raise the failure of an earlier call, if there was one, and forget it."""
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    def probe(self) -> None:
        """Recompute the last logged value, to find out whether the likelihood is still the same.

        Raises
        ------
        ArtifactError
            If the values differ.
        """
        known = self.log.last() if self.log is not None else None
        if self.log is None or known is None:
            return
        x, logged = known
        now = self._compute(x)
        if not (now == logged or math.isclose(now, logged, rel_tol=PROBE_RTOL, abs_tol=PROBE_RTOL)):
            raise ArtifactError(
                f"the log in {self.log.folder} says ln L = {logged!r} at {self._point(x)}, but the likelihood"
                f" now gives {now!r}: its code or data have changed, or it is not deterministic;"
                " begin anew in another checkpoint folder"
            )

    def _value(self, x: NDArray[np.float64]) -> float:
        if self._stop_requested is not None and self._stop_requested():
            raise InterruptedRunError("stop requested")
        if self.specification.prior.constraints and not self.specification.prior.allowed(x[None])[0]:
            self.counts.masked += 1
            return -math.inf
        known = self.log.lookup(x) if self.log is not None else None
        if known is not None:
            self.counts.reused += 1
            return known
        begin = time.perf_counter()
        value = self._compute(x)
        self.counts.seconds += time.perf_counter() - begin
        self.counts.computed += 1
        if self.log is not None:
            self.log.append(x, value)
        return value

    def _compute(self, x: NDArray[np.float64]) -> float:
        """Return the true ln L, refusing what is no log-likelihood."""
        vectorized = self.specification.vectorized
        # A copy: the likelihood may change its argument, and `x` is the key under which the value is logged.
        argument = x[None].copy() if vectorized else x.copy()
        try:
            values = np.asarray(self.specification.log_likelihood(argument), dtype=np.float64)
        except Exception as error:
            raise InputError(
                f"the likelihood raised {type(error).__name__}: {error}; at {self._point(x)}."
                " Return -inf where the model has no value"
            ) from error
        if values.shape != ((1,) if vectorized else ()):
            wanted = "one value a point, shape (1,)" if vectorized else "one number"
            raise InputError(
                f"the likelihood returned shape {values.shape}, expected {wanted}; at {self._point(x)}."
                " A likelihood of arrays [n, d] needs vectorized=True, one of single points vectorized=False"
            )
        value = float(values.reshape(()))
        if math.isnan(value) or value == math.inf:
            raise InputError(
                f"the likelihood returned {value} at {self._point(x)}; it must be finite, or -inf where the"
                " model has no value"
            )
        return value

    def _point(self, x: NDArray[np.float64]) -> str:
        names = self.specification.prior.names
        return ", ".join(f"{name}={float(value)!r}" for name, value in zip(names, x, strict=True))
