"""Simulation-based calibration: posteriors that are right pass, others are told from them, and both methods pass."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf
from scipy.stats import norm

from astropipe.inference.calibration import (
    Calibration,
    calibrate,
    chronometer_experiment,
    covered,
    gaussian_experiment,
    rank,
)
from astropipe.inference.datasets import dataset
from astropipe.runtime.errors import InputError, UsageError

Array = NDArray[np.float64]
N, N_DRAWS = 1000, 63


def simulated(width: float, shift: float) -> Calibration:
    """Return what posteriors N(x + shift, width²/2) of x ~ N(θ, 1), θ ~ N(0, 1) show, of which N(x/2, 1/2) is right."""
    rng = np.random.default_rng(1)
    ranks, inside = [], []
    for _ in range(N):
        truth = rng.standard_normal(1)
        right = rng.normal(truth, 1.0)[0] / 2.0
        # Importance samples from a wider density, in order of falling distance from the peak, as samplers give them.
        samples = rng.normal(right + shift, 1.4 * width * np.sqrt(0.5), (800, 1))
        samples = samples[np.argsort(-np.abs(samples[:, 0] - right - shift))]
        pulls = (samples[:, 0] - right - shift) / (width * np.sqrt(0.5))
        weights = np.exp(norm.logpdf(pulls) - norm.logpdf(pulls / 1.4))
        ranks.append(rank(truth, samples, weights, N_DRAWS, rng))
        inside.append(covered(truth, samples, weights))
    return Calibration(("theta",), N_DRAWS, np.array(ranks), np.array(inside), ())


def test_right_posteriors_have_uniform_ranks_and_cover() -> None:
    found = simulated(1.0, 0.0)
    assert found.chi_squared_pvalues()[0] > 0.01 and found.ks_pvalues()[0] > 0.01
    assert np.all(np.abs(found.coverage()[0] - (0.68, 0.95)) < 3.0 * found.coverage_errors())


def test_narrow_posteriors_are_told_and_cover_as_computed() -> None:
    found = simulated(0.7, 0.0)
    assert found.chi_squared_pvalues()[0] < 1e-6
    # Intervals of 0.994 and 1.960 standard deviations that are 0.7 of the true one.
    truth = erf(0.7 * norm.ppf([0.84, 0.975]) / np.sqrt(2.0))
    assert np.all(np.abs(found.coverage()[0] - truth) < 4.0 * np.sqrt(truth * (1.0 - truth) / N))


def test_shifted_posteriors_are_told_by_the_side() -> None:
    found = simulated(1.0, 0.2)
    assert found.ks_pvalues()[0] < 1e-4
    # Truths lie too often among the lowest draws.
    assert found.ranks.mean() < 0.45 * N_DRAWS


def test_ranks_are_uniform_at_the_ends_too() -> None:
    ranks = simulated(1.0, 0.0).ranks[:, 0]
    assert ranks.min() == 0 and ranks.max() == N_DRAWS
    expected = N / (N_DRAWS + 1.0)
    for end in (0, N_DRAWS):
        assert abs(np.count_nonzero(ranks == end) - expected) < 4.0 * np.sqrt(expected)


def test_gaussian_by_nested_sampling() -> None:
    found = calibrate(gaussian_experiment(2), range(12), seed=1, method="exact", n_live=40, dlogz=0.5)
    assert found.names == ("x1", "x2") and found.ranks.shape == (12, 2) and found.dropped == ()
    assert found.inside[:, :, 1].mean() > 0.7, "95 % intervals"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["exact", "emulated"])
def test_chronometers_are_calibrated(method: str) -> None:
    found = calibrate(chronometer_experiment(), range(64), seed=2, method=method, n_live=100, dlogz=0.1)
    assert len(found.dropped) < 4
    assert np.all(found.chi_squared_pvalues() > 1e-3) and np.all(found.ks_pvalues() > 1e-3)
    assert np.all(np.abs(found.coverage() - (0.68, 0.95)) < 3.5 * found.coverage_errors())


def test_simulations_can_be_shared_out() -> None:
    options = {"method": "exact", "n_live": 30, "dlogz": 1.0}
    together = calibrate(gaussian_experiment(), range(4), **options)
    apart = [calibrate(gaussian_experiment(), ids, **options) for ids in ([0, 1], [2, 3])]
    np.testing.assert_array_equal(together.ranks, np.concatenate([one.ranks for one in apart]))


def test_simulated_chronometers_have_the_covariance_of_the_real_ones() -> None:
    data, truth = dataset("chronometers-31"), np.array([70.0, 0.3])
    rng = np.random.default_rng(3)
    experiment = chronometer_experiment()
    # Of right data −2 ln L at the truth is χ² with 31 degrees of freedom plus a constant.
    values = np.array([experiment.simulate(truth, rng)(truth[None])[0] for _ in range(300)])
    constant = np.linalg.slogdet(2.0 * np.pi * data.covariance)[1]
    chi_squared = -2.0 * values - constant
    assert chi_squared.mean() == pytest.approx(31.0, abs=4.0 * np.sqrt(62.0 / 300.0))
    assert chi_squared.var() == pytest.approx(62.0, rel=0.4)


def test_nothing_converged_is_an_error() -> None:
    with pytest.raises(InputError, match="gaussian: none of 2 runs converged"):
        calibrate(gaussian_experiment(), range(2), method="exact", n_live=30, max_calls=60)


def test_bins_divide_the_ranks() -> None:
    found = Calibration(("x",), 60, np.zeros((4, 1), dtype=np.int64), np.ones((4, 1, 2), dtype=np.bool_), ())
    with pytest.raises(UsageError, match="61 ranks do not go into 8"):
        found.chi_squared_pvalues()
