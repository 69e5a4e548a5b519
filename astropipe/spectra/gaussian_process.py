"""Gaussian processes on the labels of stars: what a grid of two thousand synthetic spectra says of all others.

The mean of such a process follows the grid more closely than a network trained on the same spectra; the network of the
emulator learns from it (`emulator_training`). All in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from astropipe.spectra.carbon_monoxide import free_carbon_and_oxygen
from astropipe.spectra.emulator import INPUT_NAMES, N_INPUTS, features

N_FEATURES = N_INPUTS + 2
# Features: 5040 / Teff, log g, [Fe/H], then [X/Fe], v_micro, and [C/Fe] and [O/Fe] of atoms that are not in CO.
_STELLAR = (0, 1, 2, N_INPUTS - 1)
_FE_H = INPUT_NAMES.index("fe_h")
_FREE_C, _FREE_O = N_INPUTS, N_INPUTS + 1
_ELEMENTS = (*range(3, N_INPUTS - 1), _FREE_C, _FREE_O)
_MOLECULAR = (_FREE_C, INPUT_NAMES.index("n_h"), _FREE_O)
# Share of the variance that is noise, at least: less makes the matrix singular.
_LEAST_NOISE = 1e-6


def process_features(labels: Tensor) -> Tensor:
    """Map labels, shape (n, 18), to what spectra are smooth functions of, also of cool stars, shape (n, 20)."""
    free = torch.stack(free_carbon_and_oxygen(labels), dim=1)
    return torch.cat([features(labels), free - labels[:, _FE_H : _FE_H + 1]], dim=1)


@dataclass(frozen=True)
class Kernel:
    """Covariance of a block of coefficients over standardised features.

    ``a_s k_s(stellar) + k_r(stellar) (sum_e a_e k_e([e/Fe]) + a_m k_m([C, N, O / Fe])) + a_f k_f(all)``, where each k
    is a squared exponential with a length per feature. Free carbon and oxygen count as two elements more, and are those
    of k_m. Between a star with TiO and one without, all this is multiplied by
    ``across``; among stars with TiO, ``a_c k_c(all)`` is added.

    Attributes
    ----------
    stellar, response : Tensor, shape (4,)
        Lengths of k_s and k_r.
    element, molecule, full, cool : Tensor, shapes (16,), (3,), (20,), (20,)
        Lengths of k_e, k_m, k_f and k_c.
    a_stellar, a_element, a_molecule, a_full, a_cool : Tensor
        Variances; of elements 16, else one.
    across : Tensor
        Correlation between stars with and without TiO.
    edge : Tensor
        Standardised 5040 K / Teff at which TiO sets in.
    """

    stellar: Tensor
    response: Tensor
    element: Tensor
    molecule: Tensor
    full: Tensor
    cool: Tensor
    a_stellar: Tensor
    a_element: Tensor
    a_molecule: Tensor
    a_full: Tensor
    a_cool: Tensor
    across: Tensor
    edge: Tensor

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the covariance matrix of two sets of features, shape (len(a), len(b))."""
        parts, gate = self._parts(a, b), self._gate(a, b)
        return gate * (parts.stellar + parts.response * (parts.elements.sum(0) + parts.molecules) + parts.full) + (
            parts.cool
        )

    def _gate(self, a: Tensor, b: Tensor) -> Tensor:
        same = (a[:, :1] > self.edge) == (b[:, 0] > self.edge)
        return torch.where(same, 1.0, self.across)

    def _parts(self, a: Tensor, b: Tensor) -> _Parts:
        square = [(a[:, i : i + 1] - b[:, i]) ** 2 for i in range(N_FEATURES)]

        def squared_exponential(columns: Sequence[int], lengths: Tensor) -> Tensor:
            total = sum(square[column] / length**2 for column, length in zip(columns, lengths, strict=True))
            return torch.exp(-0.5 * total)

        tio = ((a[:, :1] > self.edge) & (b[:, 0] > self.edge)).to(a.dtype)
        return _Parts(
            stellar=self.a_stellar * squared_exponential(_STELLAR, self.stellar),
            response=squared_exponential(_STELLAR, self.response),
            elements=torch.stack(
                [
                    self.a_element[i] * squared_exponential((column,), self.element[i : i + 1])
                    for i, column in enumerate(_ELEMENTS)
                ]
            ),
            molecules=self.a_molecule * squared_exponential(_MOLECULAR, self.molecule),
            full=self.a_full * squared_exponential(range(N_FEATURES), self.full),
            cool=tio * self.a_cool * squared_exponential(range(N_FEATURES), self.cool),
        )


class _Parts(NamedTuple):
    stellar: Tensor
    response: Tensor
    elements: Tensor
    molecules: Tensor
    full: Tensor
    cool: Tensor


@dataclass(frozen=True)
class Process:
    """A fitted process: mean of y at new features, and how far it is from each y when that is left out.

    Attributes
    ----------
    kernel : Kernel
        Covariance.
    nodes : Tensor, shape (m, 20)
        Standardised features of the training set.
    weights : Tensor, shape (m, k)
        The mean at features z is ``kernel(z, nodes) @ weights``.
    left_out : Tensor, shape (m, k)
        y less its mean from all others (Rasmussen & Williams 2006, equation 5.12).
    """

    kernel: Kernel
    nodes: Tensor
    weights: Tensor
    left_out: Tensor

    def mean(self, z: Tensor) -> Tensor:
        """Return the mean at standardised features, shape (n, k)."""
        return self.kernel(z, self.nodes) @ self.weights


def fit_process(
    z: Tensor,
    y: Tensor,
    subset: Tensor,
    edge: float,
    *,
    iterations: int,
    learning_rate: float = 0.1,
    report: Callable[[int], None] = lambda done: None,
) -> Process:
    """Fit a process to several outputs that share its kernel.

    Parameters
    ----------
    z : Tensor, shape (m, 20)
        Standardised features.
    y : Tensor, shape (m, k)
        Outputs of mean 0.
    subset : Tensor
        Rows on which the parameters of the kernel are fitted, by the marginal likelihood.
    edge : float
        See `Kernel`.
    iterations, learning_rate : int, float
        Steps of Adam, and its rate, which falls linearly.
    report : callable
        Told after each step how many are done.
    """
    kernel, noise = _fit_kernel(z[subset], y[subset], y.std(0), torch.tensor(edge), iterations, learning_rate, report)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(kernel(z, z) + noise * torch.eye(len(z), dtype=z.dtype)))
    weights = inverse @ y
    return Process(kernel, z, weights, weights / torch.diagonal(inverse)[:, None])


def _start() -> dict[str, Tensor]:
    """Logarithms of the parameters of a kernel before the fit."""
    return {
        "stellar": torch.full((4,), 0.8),
        "response": torch.full((4,), 0.8),
        "element": torch.full((len(_ELEMENTS),), 1.0),
        "molecule": torch.full((3,), 1.5),
        "full": torch.full((N_FEATURES,), 1.5),
        "cool": torch.full((N_FEATURES,), 1.0),
        "a_stellar": torch.tensor(0.0),
        "a_element": torch.full((len(_ELEMENTS),), -1.0),
        "a_molecule": torch.tensor(-2.0),
        "a_full": torch.tensor(-3.0),
        "a_cool": torch.tensor(-3.0),
        "across": torch.tensor(2.0),
    }


def _fit_kernel(
    z: Tensor,
    y: Tensor,
    spread: Tensor,
    edge: Tensor,
    iterations: int,
    learning_rate: float,
    report: Callable[[int], None],
) -> tuple[Kernel, float]:
    """Fit kernel and noise by the marginal likelihood, with the variance of each coefficient profiled out."""
    logs = {name: value.double().requires_grad_(True) for name, value in _start().items()}
    log_noise = torch.tensor(-9.0, dtype=torch.float64, requires_grad=True)
    # Large coefficients matter more to the spectrum, but not in proportion: all share one kernel.
    weight = torch.sqrt(spread)
    optimiser = torch.optim.Adam([*logs.values(), log_noise], lr=learning_rate)
    unit = torch.eye(len(z), dtype=z.dtype)
    for n in range(iterations):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * (1.05 - n / iterations)
        kernel = _kernel(logs, edge)
        factor = torch.linalg.cholesky(kernel(z, z) + (torch.exp(log_noise) + _LEAST_NOISE) * unit)
        variance = (torch.linalg.solve_triangular(factor, y, upper=False) ** 2).mean(0)
        log_det = torch.log(torch.diagonal(factor)).sum()
        loss = (weight * (0.5 * torch.log(variance) + log_det / len(z))).sum() / weight.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        report(n + 1)
    kernel = _kernel({name: value.detach() for name, value in logs.items()}, edge)
    return kernel, float(torch.exp(log_noise.detach())) + _LEAST_NOISE


def _kernel(logs: dict[str, Tensor], edge: Tensor) -> Kernel:
    """Return the kernel of free parameters: logarithms, and the logit of a correlation."""
    positive = {name: torch.exp(value) for name, value in logs.items() if name != "across"}
    return Kernel(**positive, across=torch.sigmoid(logs["across"]), edge=edge)
