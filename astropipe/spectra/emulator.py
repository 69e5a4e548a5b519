"""Spectra from labels without a line in sight: a small network from 18 labels to the principal components of spectra.

A spectrum is ``mean + coefficients @ basis``, and the coefficients are a smooth function of the labels that the network
has learned from a grid of synthetic spectra (`emulator_training`), as in The Payne (Ting et al. 2019, ApJ 879, 69). In
float32 and in batches, with derivatives.
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
from astropipe.runtime.shipped import weights_file
from astropipe.spectra.labels import LABEL_NAMES
from astropipe.spectra.pixels import PixelRange

SHIPPED = "spectra-emulator.h5"
RESOLUTION = 12_000.0
"""Resolving power of emulated spectra: above that of any spectrum to be fitted, low enough for pixels of 1e-5."""
REST = (PixelRange("blue", 369_000, 4_260), PixelRange("red", 379_715, 4_065))
"""Pixels of emulated spectra in the frame of the star: as wide as the grid of synthetic spectra."""
INPUT_NAMES = (*LABEL_NAMES, "v_micro")
"""The labels that shape a spectrum, in order; t_eff in K, v_micro in km/s, the rest in dex."""
N_INPUTS = len(INPUT_NAMES)
TIO_T_EFF_K = 4_500.0
"""Below this the synthetic spectra have TiO, which a network cannot learn as a smooth function: it is told."""


# Stars are near within these in t_eff [K], log_g and fe_h, and the same within so much of it, squared: half precision
# rounds temperatures to 4 K.
_NEAR = (200.0, 0.5, 0.25)
_SAME = 1e-3
_CALIBRATED = ("inflation", "residual_basis", "residuals", "residual_stars")


def features(labels: Tensor) -> Tensor:
    """Map labels, shape (..., 18), to features in which spectra are smooth: 5040 K / Teff, log g, [Fe/H], [X/Fe], v."""
    return torch.cat(
        [5040.0 / labels[..., :1], labels[..., 1:3], labels[..., 3:-1] - labels[..., 2:3], labels[..., -1:]], dim=-1
    )


@dataclass(frozen=True, eq=False)
class Emulator:
    """Labels to spectra.

    Attributes
    ----------
    centre, scale : Tensor, shape (18,)
        Mean and standard deviation of the features of the training set.
    weights, biases : tuple of Tensor
        Layers of the network, shapes (out, in) and (out,); SiLU between them. Its inputs are the standardised features
        and whether there is TiO.
    mean : Tensor, shape (pixels of REST,)
        Mean spectrum at ``RESOLUTION``, in units of the continuum.
    basis : Tensor, shape (k, pixels of REST)
        Principal components.
    error_t_eff : Tensor, shape (t,)
        Effective temperatures in K at which the error is known.
    error_variance : Tensor, shape (t, pixels of REST)
        Mean square error of emulated spectra.
    inflation : Tensor, shape (3, t, 19)
        By which factor the variance that these errors cause in labels and radial velocity exceeds that of errors which
        are independent from pixel to pixel, at the same temperatures: with both arms, the blue and the red one alone.
    low, high : Tensor, shape (18,)
        The box of labels that the training set fills.
    residual_basis : Tensor, shape (m, pixels of REST)
        Principal components of what emulated spectra lack at stars that were not learned from; none if m is 0.
    residuals : Tensor, shape (c, m)
        Their coefficients at such stars.
    residual_stars : Tensor, shape (c, 4)
        t_eff in K, log_g and fe_h of these stars, and the mean square of all that they lack over that which is usual at
        their temperature.
    """

    centre: Tensor
    scale: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    mean: Tensor
    basis: Tensor
    error_t_eff: Tensor
    error_variance: Tensor
    inflation: Tensor
    low: Tensor
    high: Tensor
    residual_basis: Tensor
    residuals: Tensor
    residual_stars: Tensor

    @property
    def n_parameters(self) -> int:
        """Number of trained numbers: network, mean and basis."""
        return sum(part.numel() for part in (*self.weights, *self.biases, self.mean, self.basis))

    def coefficients(self, labels: Tensor) -> Tensor:
        """Return coefficients of the basis, shape (n, k), for labels of shape (n, 18)."""
        x = self.inputs(labels)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.nn.functional.silu(x @ weight.T + bias)
        return x @ self.weights[-1].T + self.biases[-1]

    def coefficients_and_gradient(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return coefficients, shape (n, k), and their derivatives by the labels, shape (n, 18, k)."""
        x = self.inputs(labels)
        # By each standardised feature; how TiO sets in is not followed.
        slope = self.weights[0][:, :N_INPUTS].T.expand(len(x), -1, -1)
        for i, (weight, bias) in enumerate(zip(self.weights[:-1], self.biases[:-1], strict=True)):
            y = x @ weight.T + bias
            gate = torch.sigmoid(y)
            x = y * gate
            slope = (slope if i == 0 else slope @ weight.T) * (gate + x * (1.0 - gate))[:, None]
        by_feature = slope @ self.weights[-1].T / self.scale[:, None]
        gradient = by_feature.clone()
        gradient[:, 0] *= (-5040.0 / labels[:, 0] ** 2)[:, None]
        # [X/Fe] falls as [Fe/H] rises with [X/H] held.
        gradient[:, 2] -= by_feature[:, 3:-1].sum(1)
        return x @ self.weights[-1].T + self.biases[-1], gradient

    def spectra(self, labels: Tensor) -> Tensor:
        """Return emulated spectra on `REST`, shape (n, pixels), in units of the continuum."""
        return self.mean + self.coefficients(labels) @ self.basis

    def error(self, t_eff_k: Tensor) -> Tensor:
        """Return the mean square error of emulated spectra at effective temperatures, shape (n, pixels)."""
        return self.interpolate_error(t_eff_k, self.error_variance)

    def interpolate_error(self, t_eff_k: Tensor, table: Tensor) -> Tensor:
        """Interpolate a table that has a row for each of ``error_t_eff``, shape (n, columns)."""
        row, share = self.between(t_eff_k)
        return torch.lerp(table[row], table[row + 1], share[:, None])

    def between(self, t_eff_k: Tensor) -> tuple[Tensor, Tensor]:
        """Return after which of ``error_t_eff`` temperatures lie, and which share of the way to the next one, (n,)."""
        row = (t_eff_k[:, None] >= self.error_t_eff[1:-1]).sum(1)
        low, high = self.error_t_eff[row], self.error_t_eff[row + 1]
        return row, ((t_eff_k - low) / (high - low)).clamp(0.0, 1.0)

    def error_factor(self, stellar: Tensor, *, others: bool = False) -> Tensor:
        """Return by how much the mean square error about a star exceeds that at its temperature, shape (n,).

        Parameters
        ----------
        stellar : Tensor, shape (n, 3)
            t_eff in K, log_g and fe_h.
        others : bool
            Leave out what is known of this very star.

        Returns
        -------
        Tensor
            The mean over stars of known error, weighted by their nearness, on the same side of the onset of TiO; drawn
            towards 1 where few are near.
        """
        known, ratio = self.residual_stars[:, :3], self.residual_stars[:, 3]
        if not len(known):
            return torch.ones(len(stellar))
        near = torch.tensor(_NEAR)
        exact = "donot_use_mm_for_euclid_dist"
        distance = torch.cdist(stellar / near, known / near, compute_mode=exact) ** 2
        same = (stellar[:, :1] < TIO_T_EFF_K) == (known[:, 0] < TIO_T_EFF_K)
        weight = torch.exp(-0.5 * distance) * same
        if others:
            weight = torch.where(distance < _SAME, torch.zeros_like(weight), weight)
        return (weight @ ratio + 1.0) / (weight.sum(1) + 1.0)

    def inputs(self, labels: Tensor) -> Tensor:
        """Return the inputs of the network, shape (n, 19)."""
        tio = (labels[:, :1] < TIO_T_EFF_K).to(labels.dtype)
        return torch.cat([(features(labels) - self.centre) / self.scale, tio], dim=1)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all numbers by name, as an artifact keeps them."""
        arrays: dict[str, NDArray[np.generic]] = {
            name: getattr(self, name).numpy().astype(np.float32)
            for name in ("centre", "scale", "error_t_eff", "inflation", "low", "high", "mean")
        }
        for name in ("basis", "residual_basis", "residuals", "residual_stars"):
            arrays[name] = getattr(self, name).numpy().astype(np.float16)
        # Of the order of 1e-5, where float16 has few digits: its root.
        arrays["error"] = np.sqrt(self.error_variance.numpy()).astype(np.float16)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays[f"weight-{i}"] = weight.numpy().astype(np.float16)
            arrays[f"bias-{i}"] = bias.numpy().astype(np.float32)
        return arrays

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> Emulator:
        """Make an emulator of the arrays that `arrays` gave."""
        tensors = {name: torch.from_numpy(np.array(values, dtype=np.float32)) for name, values in arrays.items()}
        n_layers = sum(name.startswith("weight-") for name in arrays)
        tensors = no_calibration(len(tensors["mean"]), len(tensors["error_t_eff"])) | tensors
        return cls(
            weights=tuple(tensors[f"weight-{i}"] for i in range(n_layers)),
            biases=tuple(tensors[f"bias-{i}"] for i in range(n_layers)),
            error_variance=tensors["error"] ** 2,
            **{
                name: tensors[name]
                for name in ("centre", "scale", "mean", "basis", "error_t_eff", "low", "high", *_CALIBRATED)
            },
        )


def rest_slices() -> tuple[slice, slice]:
    """Where the arms lie in an emulated spectrum: blue, red."""
    return slice(0, REST[0].size), slice(REST[0].size, REST[0].size + REST[1].size)


def no_calibration(n_pixels: int, n_temperatures: int) -> dict[str, Tensor]:
    """Return the fields of an emulator whose errors are independent from pixel to pixel."""
    return {
        "inflation": torch.ones(3, n_temperatures, N_INPUTS + 1),
        "residual_basis": torch.zeros(0, n_pixels),
        "residuals": torch.zeros(0, 0),
        "residual_stars": torch.zeros(0, 4),
    }


@lru_cache(maxsize=2)
def read_emulator(path: Path | None = None) -> Emulator:
    """Read a ``spectrum-emulator`` artifact; the shipped one where no path is given.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another kind.
    """
    with open_artifact(path or weights_file(SHIPPED), "spectrum-emulator") as artifact:
        names = artifact.record("architecture")["weights"]
        return Emulator.of_arrays({name: artifact.array(f"weights/{name}") for name in names})
