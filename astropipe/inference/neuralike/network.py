"""The network that stands in for ln L: a perceptron trained on live points, all in min-max scaled units."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from astropipe.inference.neuralike.result import Architecture

Array = NDArray[np.float64]

LOW, HIGH = 0.1, 1.0
"""Range to which parameters and ln L are scaled."""

TRAINING_SHARE = 0.8
"""Share of the points that the network learns from; the others validate it."""

PATIENCE = 0.5
"""Share of the epochs after which training ends if the validation loss has not fallen."""


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """Linear map of each column from [low, low + span] to [LOW, HIGH]."""

    low: Array
    span: Array

    @classmethod
    def of(cls, values: Array) -> Scaler:
        """Return the scaler of the range of values [n, k]; a constant column has a span of 1."""
        span = np.ptp(values, axis=0)
        return cls(np.min(values, axis=0), np.where(span > 0.0, span, 1.0))

    def scaled(self, values: Array) -> Array:
        """Return values [n, k] in scaled units."""
        return np.asarray(LOW + (HIGH - LOW) * (values - self.low) / self.span)

    def unscaled(self, values: Array) -> Array:
        """Return scaled values [n, k] in their own units."""
        return np.asarray(self.low + (values - LOW) * self.span / (HIGH - LOW))


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A trained network.

    Attributes
    ----------
    layers : tuple of (ndarray [i, o], ndarray [o])
        Weights and biases.
    inputs, output : Scaler
        Of the parameters and of ln L.
    loss : float
        Mean squared error at the validation points, in scaled units: what the gate looks at.
    rmse : float
        Root mean square error at the same points in ln L, which the method does not look at.
    """

    layers: tuple[tuple[Array, Array], ...]
    inputs: Scaler
    output: Scaler
    loss: float
    rmse: float

    def __call__(self, x: Array) -> Array:
        """Return the emulated ln L of parameters [n, d] as [n]."""
        # In numpy: for one point at a time a call into torch costs several times as much.
        values = self.inputs.scaled(x)
        for weights, biases in self.layers[:-1]:
            values = np.maximum(values @ weights + biases, 0.0)
        weights, biases = self.layers[-1]
        return self.output.unscaled(values @ weights + biases)[:, 0]


def train(
    x: Array, log_likelihoods: Array, architecture: Architecture, *, epochs: int, rng: np.random.Generator
) -> Network:
    """Train a network on points of parameter space.

    Adam on the mean squared error of the scaled ln L, with ReLU and Xavier initialisation. A random 20 % of the
    points validate; the weights kept are those of the epoch with the least validation loss.

    Parameters
    ----------
    x
        Parameters [n, d].
    log_likelihoods
        Their ln L [n], finite.
    architecture
        Depth, width, batch size and learning rate.
    epochs
        How often all points are seen, at most.
    rng
        Splits the points, and seeds initialisation and order.
    """
    inputs, output = Scaler.of(x), Scaler.of(log_likelihoods[:, None])
    order = rng.permutation(len(x))
    n_training = int(TRAINING_SHARE * len(x))
    with _reproducible_torch(int(rng.integers(2**63))):
        features = torch.from_numpy(inputs.scaled(x)[order]).float()
        targets = torch.from_numpy(output.scaled(log_likelihoods[:, None])[order]).float()
        model = _perceptron(x.shape[1], architecture)
        optimiser = torch.optim.Adam(model.parameters(), lr=architecture.learning_rate, fused=True)
        best_loss, best_state, best_epoch = math.inf, copy.deepcopy(model.state_dict()), 0
        for epoch in range(epochs):
            for batch in torch.randperm(n_training).split(architecture.batch_size):
                optimiser.zero_grad()
                loss = torch.nn.functional.mse_loss(model(features[batch]), targets[batch])
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                predicted = model(features[n_training:])
                loss = float(torch.nn.functional.mse_loss(predicted, targets[n_training:]))
            if loss < best_loss:
                best_loss, best_state, best_epoch = loss, copy.deepcopy(model.state_dict()), epoch
            elif epoch - best_epoch >= PATIENCE * epochs:
                break
        model.load_state_dict(best_state)
        layers = tuple(
            (layer.weight.detach().double().numpy().T.copy(), layer.bias.detach().double().numpy().copy())
            for layer in model
            if isinstance(layer, torch.nn.Linear)
        )
    rmse = math.sqrt(best_loss) * float(output.span[0]) / (HIGH - LOW)
    return Network(layers, inputs, output, best_loss, rmse)


def _perceptron(n_inputs: int, architecture: Architecture) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    widths = [n_inputs, *[architecture.width] * architecture.depth]
    for before, after in pairwise(widths):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    layers.append(torch.nn.Linear(widths[-1], 1))
    for layer in layers[::2]:
        torch.nn.init.xavier_uniform_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return torch.nn.Sequential(*layers)


@contextmanager
def _reproducible_torch(seed: int) -> Iterator[None]:
    """Seed torch and give it one thread, on whose number its sums depend; leave it as it was."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
