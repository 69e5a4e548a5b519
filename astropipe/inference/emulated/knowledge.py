"""What a run knows: true values so far, and the emulator that has learned from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from astropipe.inference.emulated.annealing import Particles, anneal, moved
from astropipe.inference.emulated.emulator import Emulator
from astropipe.inference.priors import Prior
from astropipe.runtime.errors import InputError
from astropipe.runtime.seeds import stream

Array = NDArray[np.float64]

N_PARTICLES, N_MOVES_AGAIN = 1000, 12

REFIT = 1.07
"""Growth of the training set after which hyperparameters are fitted anew."""


class Knowledge:
    """The true values so far, the emulator that has learned from them, and what was counted."""

    def __init__(self, log_likelihood_of_many: Callable[[Array], Array], prior: Prior, seed: int) -> None:
        self.prior = prior
        self.n_emulated = 0
        self.emulator: Emulator | None = None
        self.rng = stream(seed, "inference.emulated")
        self._true = log_likelihood_of_many
        self.u = np.empty((0, len(prior)))
        self.values = np.empty(0)
        self._n_fitted = 0

    @property
    def highest(self) -> float:
        """The highest true ln L so far."""
        return float(np.max(self.values))

    def allowed(self, u: Array) -> NDArray[np.bool_]:
        """Return whether points [m, d] of the unit cube satisfy the constraints, [m]."""
        return self.prior.allowed(self.prior.transform(u))

    def evaluate(self, u: Array) -> Array:
        """Call the true likelihood at points [m, d] of the unit cube and remember the values [m]."""
        x = self.prior.transform(u)
        values = np.asarray(self._true(x), dtype=np.float64)
        if values.shape != (len(u),):
            raise InputError(f"the likelihood of {len(u)} points returned shape {values.shape}, not ({len(u)},)")
        wrong = np.isnan(values) | (values == np.inf)
        if np.any(wrong):
            i = int(np.argmax(wrong))
            point = ", ".join(f"{name}={float(value)!r}" for name, value in zip(self.prior.names, x[i], strict=True))
            raise InputError(f"the likelihood returned {values[i]} at {point}; it must be finite, or -inf")
        self.u, self.values = np.concatenate([self.u, u]), np.concatenate([self.values, values])
        return values

    def learn(self) -> Emulator:
        """Fit the emulator to all true values."""
        grown = len(self.u) > REFIT * self._n_fitted
        iterations = (30 if len(self.u) < 200 else 12) if grown else 0
        self._n_fitted = len(self.u) if grown else self._n_fitted
        self.emulator = Emulator(self.u, self.values, self.emulator, iterations)
        return self.emulator

    def emulate(self, emulator: Emulator, u: Array) -> Array:
        """Return the emulated ln L at points [m, d] of the unit cube, and count them."""
        self.n_emulated += len(u)
        return emulator.log_likelihood(u)

    def anneal(self, emulator: Emulator) -> list[Particles]:
        """Return particles of the emulated posterior at rising powers of the likelihood."""
        return anneal(partial(self.emulate, emulator), self.allowed, len(self.prior), N_PARTICLES, self.rng)

    def anneal_from(self, emulator: Emulator, u: Array) -> Particles:
        """Return particles of the emulated posterior that began at points [n, d] of the unit cube, n even."""
        return moved(u, partial(self.emulate, emulator), self.allowed, N_MOVES_AGAIN, self.rng)
