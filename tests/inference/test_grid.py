"""The grid against problems whose posterior is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from astropipe.inference.grid import posterior_on_grid
from astropipe.inference.priors import Normal, Prior, Uniform
from astropipe.inference.problems.base import Problem
from astropipe.runtime.errors import UsageError


def correlated(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A normalised Gaussian: means (1, -2), standard deviations (0.5, 2), correlation 0.6."""
    x, y = (points[:, 0] - 1.0) / 0.5, (points[:, 1] + 2.0) / 2.0
    norm = np.log(2.0 * np.pi * 0.5 * 2.0 * 0.8)
    return np.asarray(-0.5 * (x**2 - 1.2 * x * y + y**2) / 0.64 - norm)


def test_a_gaussian_has_its_moments_and_evidence() -> None:
    prior = Prior({"x": Uniform(-4.0, 6.0), "y": Uniform(-20.0, 16.0)})
    grid = posterior_on_grid(Problem("g", "Gaussian", prior, correlated), 301)
    np.testing.assert_allclose(grid.mean, [1.0, -2.0], atol=1e-8)
    np.testing.assert_allclose(grid.sd, [0.5, 2.0], rtol=1e-8)
    assert grid.correlation[0, 1] == pytest.approx(0.6, abs=1e-8)
    assert grid.log_evidence == pytest.approx(-np.log(10.0 * 36.0), abs=1e-8)
    np.testing.assert_allclose(grid.best, [1.0, -2.0], atol=0.06)


def test_unbounded_priors_need_limits() -> None:
    task = Problem("g", "Gaussian", Prior({"x": Uniform(-4.0, 6.0), "y": Normal(0.0, 50.0)}), correlated)
    with pytest.raises(UsageError, match="finite limits"):
        posterior_on_grid(task, 11)
    grid = posterior_on_grid(task, 301, [(-4.0, 6.0), (-20.0, 16.0)])
    # A Gaussian times a Gaussian: the mean of y moves by sd^2 / (sd^2 + 50^2) of the way to 0.
    assert grid.mean[1] == pytest.approx(-2.0 * 2500.0 / 2504.0, abs=1e-6)
