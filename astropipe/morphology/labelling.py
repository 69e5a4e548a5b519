"""The second step: galaxies on which the votes did not agree get a class from those on which they did.

A linear classifier on the features of the frozen encoder learns from those of the best agreement. They are the easy
ones, so that its probabilities are too sure of themselves for the rest: a temperature (Guo et al. 2017) mends that on
rendered galaxies, whose class is known and of which none was picked for being easy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from astropipe.morphology.classes import CLASSES

_REGULARISATION = 0.05
_LEAST_PER_CLASS = 3


@dataclass(frozen=True)
class Head:
    """A linear classifier of features.

    Attributes
    ----------
    mean, std : ndarray, shape (n_features,)
        By which features are standardised.
    weights, bias : ndarray, shape (n_features, len(CLASSES)) and (len(CLASSES),)
        Logits; a class without examples has minus infinity.
    temperature : float
        By which logits are divided.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    temperature: float = 1.0

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return logits before the temperature, shape (n, len(CLASSES))."""
        return ((features - self.mean) / self.std) @ self.weights + self.bias

    def probabilities(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability of each class, shape (n, len(CLASSES))."""
        return np.asarray(softmax(self.logits(features) / self.temperature, axis=1))


def fit_head(features: NDArray[np.floating], classes: NDArray[np.str_]) -> Head | None:
    """Fit a classifier to galaxies of known class, all classes weighing the same.

    Returns
    -------
    Head or None
        None where fewer than two classes have enough examples.
    """
    known = [name for name in CLASSES if np.count_nonzero(classes == name) >= _LEAST_PER_CLASS]
    if len(known) < 2:
        return None
    used = np.isin(classes, known)
    values = np.asarray(features[used], dtype=np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0) + 1e-6
    model = LogisticRegression(C=_REGULARISATION, class_weight="balanced", max_iter=2000)
    model.fit((values - mean) / std, classes[used])
    weights, bias = np.zeros((values.shape[1], len(CLASSES))), np.full(len(CLASSES), -np.inf)
    rows, offsets = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        rows, offsets = np.concatenate((-rows, rows)) / 2, np.concatenate((-offsets, offsets)) / 2
    for name, row, offset in zip(model.classes_, rows, offsets, strict=True):
        weights[:, CLASSES.index(name)], bias[CLASSES.index(name)] = row, offset
    return Head(mean, std, weights, bias)


def calibrated(head: Head, features: NDArray[np.floating], classes: NDArray[np.str_]) -> Head:
    """Return a head with the temperature at which galaxies of known class are likeliest.

    Parameters
    ----------
    head : Head
        A fitted classifier.
    features, classes : ndarray, shape (n, n_features) and (n,)
        Galaxies that it was not fitted to.
    """
    places = np.array([CLASSES.index(name) for name in classes])
    told = np.isfinite(head.bias)[places]
    logits, places = head.logits(features[told]), places[told]

    def surprise(log_temperature: float) -> float:
        logs = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-np.mean(logs[np.arange(len(places)), places]))

    best = minimize_scalar(surprise, bounds=(-2.0, 3.0), method="bounded")
    return Head(head.mean, head.std, head.weights, head.bias, float(np.exp(best.x)))
