"""Where a fit begins: a network that reads labels, rotation and velocity off a noisy spectrum with holes.

It sees no pixels. Noise and masks are dealt with before, by the most probable coefficients of a few principal
components given the pixels that are there (a Wiener filter), so that a masked pixel is one about which nothing is
known rather than one that is black. The network then needs to know the curve of labels against components only; the fit
goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from astropipe.artifacts import open_artifact
from astropipe.runtime.errors import InputError
from astropipe.runtime.shipped import weights_file
from astropipe.spectra.emulator import N_INPUTS, SHIPPED
from astropipe.spectra.pairs import SIZES
from astropipe.spectra.search import Aligned

N_OUTPUTS = N_INPUTS + 4
"""The 18 labels, v_sin_i, by how much the velocity of the search is too low, both in km/s, and the variance of the line
spread of each arm in (km/s)²."""
N_EXTRA = 3
"""Inputs beside the components: information of each arm, and the fraction of a pair that lines are off."""
# What components leave out, as a share of the continuum: at high S/N they are not to be believed beyond.
_COMPONENT_ERROR = 0.005
_PREFIX = "start-"


@dataclass(frozen=True)
class Start:
    """Where to begin, per spectrum.

    Attributes
    ----------
    labels : Tensor, shape (n, 18)
        Labels.
    rv_km_s, v_sin_i_km_s : Tensor, shape (n,)
        Velocity and rotation.
    spread_km2_s2 : Tensor, shape (n, 2)
        Variance of the line spread of each arm beyond the resolution of the emulator.
    peak, second : Tensor, shape (n,)
        See `Aligned`.
    """

    labels: Tensor
    rv_km_s: Tensor
    v_sin_i_km_s: Tensor
    spread_km2_s2: Tensor
    peak: Tensor
    second: Tensor


@dataclass(frozen=True, eq=False)
class StartNetwork:
    """Spectra to labels, roughly.

    Attributes
    ----------
    mean : Tensor, shape (N_PAIRS,)
        Mean lines.
    basis : Tensor, shape (k, N_PAIRS)
        Principal components of lines, orthonormal.
    variance : Tensor, shape (k,)
        Their variance among stars.
    weights, biases : tuple of Tensor
        Layers of the network, SiLU between them. The outputs are `N_OUTPUTS` standardised values and the logarithms of
        their standard deviations.
    centre, scale : Tensor, shape (N_OUTPUTS,)
        Mean and standard deviation of the outputs among stars.
    """

    mean: Tensor
    basis: Tensor
    variance: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    centre: Tensor
    scale: Tensor

    def __post_init__(self) -> None:
        rows, columns = torch.triu_indices(len(self.basis), len(self.basis))
        # Not a field: what is derived is not stored.
        object.__setattr__(self, "_products", (self.basis[rows] * self.basis[columns]).T.contiguous())
        object.__setattr__(self, "_place", (rows, columns))

    @property
    def n_parameters(self) -> int:
        """Number of trained numbers."""
        parts = (*self.weights, *self.biases, self.mean, self.basis, self.variance)
        return sum(part.numel() for part in parts)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all numbers by name, as an artifact keeps them."""
        arrays: dict[str, NDArray[np.generic]] = {
            name: getattr(self, name).numpy().astype(np.float32) for name in ("mean", "variance", "centre", "scale")
        }
        arrays["basis"] = self.basis.numpy().astype(np.float16)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays[f"weight-{i}"] = weight.numpy().astype(np.float16)
            arrays[f"bias-{i}"] = bias.numpy().astype(np.float32)
        return {_PREFIX + name: values for name, values in arrays.items()}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> StartNetwork:
        """Make a network of the arrays that `arrays` gave."""
        tensors = {
            name.removeprefix(_PREFIX): torch.from_numpy(np.array(values, dtype=np.float32))
            for name, values in arrays.items()
        }
        n_layers = sum(name.startswith("weight-") for name in tensors)
        return cls(
            weights=tuple(tensors[f"weight-{i}"] for i in range(n_layers)),
            biases=tuple(tensors[f"bias-{i}"] for i in range(n_layers)),
            **{name: tensors[name] for name in ("mean", "basis", "variance", "centre", "scale")},
        )

    def components(self, lines: Tensor, weights: Tensor) -> Tensor:
        """Return the most probable coefficients of the components, shape (n, k), in units of their spread."""
        known = weights / (1.0 + _COMPONENT_ERROR**2 * weights)
        rows, columns = self._place  # type: ignore[attr-defined]
        curvature = torch.diag(1.0 / self.variance).repeat(len(lines), 1, 1)
        upper = known @ self._products  # type: ignore[attr-defined]
        curvature[:, rows, columns] += upper
        off = rows != columns
        curvature[:, columns[off], rows[off]] += upper[:, off]
        right = (known * (lines - self.mean)) @ self.basis.T
        spread = self.variance.sqrt()
        factor = torch.linalg.cholesky(curvature * spread[:, None] * spread)
        return torch.cholesky_solve((right * spread)[:, :, None], factor)[:, :, 0]

    def inputs(self, aligned: Aligned) -> Tensor:
        """Return what the network sees, shape (n, k + N_EXTRA)."""
        found = self.components(aligned.lines, aligned.weights)
        total = torch.stack([part.sum(1) for part in aligned.weights.split(SIZES, dim=1)], dim=1)
        # From S/N 3 to 300 per pair over a whole arm: about -1 to 1.
        information = torch.log10(1.0 + total) / 2.0 - 2.6
        return torch.cat([found, information, aligned.fraction[:, None]], dim=1)

    def outputs(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return standardised outputs and the logarithms of their standard deviations, shape (n, N_OUTPUTS)."""
        x = inputs
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.nn.functional.silu(x @ weight.T + bias)
        both = x @ self.weights[-1].T + self.biases[-1]
        return both[:, :N_OUTPUTS], both[:, N_OUTPUTS:]

    def __call__(self, aligned: Aligned) -> Start:
        """Return where fits begin."""
        values = self.outputs(self.inputs(aligned))[0] * self.scale + self.centre
        return Start(
            labels=values[:, :N_INPUTS],
            rv_km_s=aligned.rv_km_s + values[:, N_INPUTS + 1],
            v_sin_i_km_s=values[:, N_INPUTS].clamp_min(0.0),
            spread_km2_s2=values[:, N_INPUTS + 2 :].clamp_min(20.0),
            peak=aligned.peak,
            second=aligned.second,
        )


@lru_cache(maxsize=2)
def read_start(path: Path | None = None) -> StartNetwork:
    """Read the network that comes with an emulator, in the same artifact; the shipped one where no path is given.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind or of an earlier version.
    """
    path = path or weights_file(SHIPPED)
    with open_artifact(path, "spectrum-emulator") as artifact:
        names = artifact.record("architecture").get("start")
        if not names:
            raise InputError(
                f"{path}: this emulator has no network that begins fits; train it again with astropipe spectra train"
            )
        return StartNetwork.of_arrays({name: artifact.array(f"weights/{name}") for name in names})
