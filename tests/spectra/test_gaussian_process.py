"""Gaussian processes: exact at their nodes, right between them, honest about what they leave out."""

from __future__ import annotations

import torch

from astropipe.spectra.gaussian_process import N_FEATURES, fit_process


def _data(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(n, N_FEATURES, generator=generator, dtype=torch.float64)
    # Depends on temperature and iron together, and on one element through temperature, as lines do.
    y = torch.stack([torch.sin(z[:, 0]) * z[:, 2], z[:, 6] * torch.exp(-0.3 * z[:, 0])], dim=1)
    return z, y - y.mean(0)


def test_a_smooth_function_is_learned() -> None:
    z, y = _data(150)
    train = torch.arange(100)
    process = fit_process(z[train], y[train], train, edge=10.0, iterations=15)
    error = (process.mean(z[100:]) - y[100:]).std(0) / y.std(0)
    assert float(error.max()) < 0.5
    # What the process says of its own error is what new points meet.
    missed = (process.mean(z[100:]) - y[100:]).abs().median(0).values
    ratio = process.left_out.abs().median(0).values / missed
    assert bool(((ratio > 0.5) & (ratio < 2.0)).all())


def test_leaving_out_by_formula_is_leaving_out() -> None:
    z, y = _data(60)
    process = fit_process(z, y, torch.arange(60), edge=0.5, iterations=5)
    kernel = process.kernel(z, z)
    noise = torch.linalg.lstsq(process.weights, (y - kernel @ process.weights)).solution.diagonal().mean()
    for row in (0, 17):
        others = torch.arange(60) != row
        matrix = kernel[others][:, others] + noise * torch.eye(59, dtype=torch.float64)
        prediction = kernel[row, others] @ torch.linalg.solve(matrix, y[others])
        torch.testing.assert_close(process.left_out[row], y[row] - prediction, rtol=1e-4, atol=1e-7)


def test_stars_on_both_sides_of_the_edge_are_less_alike() -> None:
    z, y = _data(60)
    process = fit_process(z, y, torch.arange(60), edge=0.0, iterations=3)
    pair = torch.zeros(2, N_FEATURES, dtype=torch.float64)
    pair[:, 0] = torch.tensor([1e-6, -1e-6])
    same = pair.clone()
    same[:, 0] = torch.tensor([-1e-6, -2e-6])
    assert float(process.kernel(pair[:1], pair[1:])) < float(process.kernel(same[:1], same[1:]))
