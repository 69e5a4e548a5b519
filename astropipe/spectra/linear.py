"""A least-squares problem about a point, for a batch of spectra: its derivatives, steps, lengths and covariance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Added to a diagonal of 1: parameters that neither data nor prior know.
_JITTER = 1e-6


@dataclass(frozen=True)
class Linear:
    """The problem about a point.

    Attributes
    ----------
    rows : Tensor, shape (n, p, pixels)
        Derivatives of the model by the first p of k parameters; those by the others are polynomials.
    factor : Tensor, shape (n, k, k)
        Cholesky factor of the curvature of unit diagonal.
    size : Tensor, shape (n, k)
        What makes its diagonal 1.
    """

    rows: Tensor
    factor: Tensor
    size: Tensor

    @classmethod
    def of(cls, rows: Tensor, curvature: Tensor) -> Linear:
        """Factor the curvature."""
        size = torch.rsqrt(torch.diagonal(curvature, dim1=1, dim2=2))
        unit = curvature * size[:, :, None] * size[:, None] + _JITTER * torch.eye(curvature.shape[1])
        return cls(rows, torch.linalg.cholesky(unit), size)

    def put(self, rows: Tensor, other: Linear) -> Linear:
        """Replace some rows, in place."""
        for mine, new in zip(vars(self).values(), vars(other).values(), strict=True):
            mine[rows] = new
        return self

    def solve(self, gradient: Tensor) -> Tensor:
        """Return the step to where the gradient, shape (n, k), is 0."""
        return torch.cholesky_solve((gradient * self.size)[:, :, None], self.factor)[:, :, 0] * self.size

    def length(self, step: Tensor) -> Tensor:
        """Return the length of a step in standard errors of all parameters together, shape (n,)."""
        return (self.factor.transpose(1, 2) @ (step / self.size)[:, :, None]).norm(dim=1)[:, 0]

    def covariance(self) -> Tensor:
        """Return the inverse of the curvature."""
        return torch.cholesky_inverse(self.factor) * self.size[:, :, None] * self.size[:, None]
