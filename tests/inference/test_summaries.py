"""Summaries of weighted samples against analytic values and unweighted numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from simulated_evidence import simulate_logz

from astropipe.inference import summaries
from astropipe.runtime.errors import InputError

RNG_SEED = 4


def weighted_normal(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw from N(0, 2^2) and weight to N(1, 1), by importance."""
    x = np.random.default_rng(RNG_SEED).normal(0.0, 2.0, n)
    return x, stats.norm.pdf(x, 1.0, 1.0) / stats.norm.pdf(x, 0.0, 2.0)


def test_integer_weights_are_repetitions() -> None:
    rng = np.random.default_rng(RNG_SEED)
    x, w = rng.normal(size=(40, 3)), rng.integers(0, 4, 40)
    repeated = np.repeat(x, w, axis=0)
    weights = w.astype(np.float64)
    np.testing.assert_allclose(summaries.weighted_mean(x, weights), repeated.mean(axis=0))
    np.testing.assert_allclose(summaries.correlation(x, weights), np.corrcoef(repeated.T))
    biased = np.cov(repeated.T, bias=True)
    factor = 1.0 - np.sum((w / w.sum()) ** 2)
    np.testing.assert_allclose(summaries.weighted_covariance(x, weights), biased / factor)


def test_equal_weights_give_the_usual_numbers() -> None:
    x = np.random.default_rng(RNG_SEED).normal(size=(500, 2))
    w = np.full(500, 0.3)
    np.testing.assert_allclose(summaries.weighted_covariance(x, w), np.cov(x.T))
    assert summaries.effective_sample_size(w) == pytest.approx(500.0)
    np.testing.assert_allclose(
        summaries.weighted_quantiles(x[:, 0], w, [0.1, 0.5, 0.8]),
        np.quantile(x[:, 0], [0.1, 0.5, 0.8], method="hazen"),
        rtol=1e-9,
    )


def test_importance_weights_recover_the_target() -> None:
    x, w = weighted_normal(200_000)
    (summary,) = summaries.summarise(("x",), x[:, None], w, -0.5 * (x - 1.0) ** 2)
    assert summary.mean == pytest.approx(1.0, abs=0.015)
    assert summary.sd == pytest.approx(1.0, abs=0.015)
    assert summary.median == pytest.approx(1.0, abs=0.015)
    np.testing.assert_allclose(summary.quantiles, stats.norm.ppf(summaries.QUANTILES, 1.0), atol=0.03)
    assert summary.best == pytest.approx(1.0, abs=1e-3)
    # The shortest 68 % and 95 % of a Gaussian are central; their position is known less well than their width.
    for interval, probability in ((summary.hpd68, 0.68), (summary.hpd95, 0.95)):
        half = stats.norm.ppf(0.5 + probability / 2)
        assert interval[1] - interval[0] == pytest.approx(2 * half, abs=0.04)
        assert np.mean(interval) == pytest.approx(1.0, abs=0.15)


def test_shortest_interval_of_an_exponential_starts_at_zero() -> None:
    x = stats.expon.ppf((np.arange(20_000) + 0.5) / 20_000)
    low, high = summaries.shortest_interval(x, np.ones_like(x), 0.95)
    assert low == pytest.approx(0.0, abs=1e-3)
    assert high == pytest.approx(-math.log(0.05), abs=2e-3)


def test_shortest_interval_holds_the_probability() -> None:
    x, w = weighted_normal(500)
    for probability in (0.1, 0.68, 0.95, 1.0):
        low, high = summaries.shortest_interval(x, w, probability)
        held = w[(x >= low) & (x <= high)].sum() / w.sum()
        assert held >= probability - 1e-9
        assert held <= probability + 2.0 * w.max() / w.sum()


def test_effective_sample_size_by_hand() -> None:
    assert summaries.effective_sample_size(np.array([1.0, 1.0, 2.0])) == pytest.approx(16.0 / 6.0)
    assert summaries.effective_sample_size(np.array([0.0, 5.0, 0.0])) == pytest.approx(1.0)


def test_systematic_resampling_keeps_the_proportions() -> None:
    w = np.array([0.5, 0.0, 0.3, 0.2])
    indices = summaries.systematic_resample(w, 1000, np.random.default_rng(RNG_SEED))
    counts = np.bincount(indices, minlength=4)
    assert np.all(np.abs(counts - 1000 * w) <= 1)
    assert counts[1] == 0
    assert np.count_nonzero(np.diff(indices) < 0) > 100


def nested_gaussian(n_live: int, sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Ideal static run on L(X) = exp(-X^2 / 2 sd^2): expected volumes, last live points included."""
    n = int(n_live * 20)
    shrink = np.full(n, math.log1p(1.0 / n_live))
    final = np.log1p(1.0 / np.arange(n_live, 0, -1))
    log_x = -np.cumsum(np.concatenate([shrink, final]))
    return -0.5 * np.exp(2.0 * log_x) / sd**2, log_x


def test_simulated_evidence_of_an_ideal_run() -> None:
    n_live, sd = 100, 1e-3
    log_l, log_x = nested_gaussian(n_live, sd)
    # Z is half a Gaussian integral; H = -ln Z - 1/2 there.
    truth = math.log(sd * math.sqrt(math.pi / 2.0))
    information = -truth - 0.5
    simulated = simulate_logz(log_l, log_x, 0.0, 400, np.random.default_rng(RNG_SEED))
    expected_sd = math.sqrt(information / n_live)
    assert np.std(simulated) == pytest.approx(expected_sd, rel=0.2)
    # True ln L belong to random volumes, here to the expected ones: they agree to one error.
    assert np.mean(simulated) == pytest.approx(truth, abs=expected_sd)


def test_rank_test_accepts_uniform_and_finds_shifted_ranks() -> None:
    rng = np.random.default_rng(RNG_SEED)
    good = rng.integers(0, 100, 2000)
    bad = np.minimum(99, (100 * rng.random(2000) ** 1.2).astype(np.int64))
    assert summaries.insertion_rank_pvalue(good, 100) > 0.01
    assert summaries.insertion_rank_pvalue(bad, 100) < 1e-4
    with pytest.raises(InputError, match="no insertion ranks"):
        summaries.insertion_rank_pvalue(np.zeros(0, dtype=np.int64), 100)


def test_insertion_ranks_by_hand() -> None:
    # Three live points at 1, 2, 3; 1 is replaced by 2.5 (rank 1), 2 by 5 (rank 2), then 2.5 by 4 (rank 1).
    log_l = np.array([1.0, 2.0, 2.5, 3.0, 4.0, 5.0])
    slots = np.array([0, 1, 0, 2, 0, 1])
    np.testing.assert_array_equal(summaries.insertion_ranks(slots, log_l, 3), [1, 2, 1])


def test_insertion_ranks_leave_out_plateaus() -> None:
    log_l = np.array([1.0, 1.0, 2.0, 3.0, 4.0])
    slots = np.array([0, 1, 0, 1, 2])
    # Both live points at 1 are replaced: by 2 while they are two (left out), then by 3, above 2 and below 4.
    np.testing.assert_array_equal(summaries.insertion_ranks(slots, log_l, 3), [1])


@pytest.mark.parametrize("weights", [np.zeros(3), np.array([1.0, -1.0, 2.0]), np.array([1.0, np.nan, 2.0]), np.ones(4)])
def test_bad_weights_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(InputError, match="weights"):
        summaries.weighted_mean(np.zeros((3, 2)), weights)


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="disagree"):
        summaries.summarise(("a",), np.zeros((3, 2)), np.ones(3), np.zeros(3))
    with pytest.raises(InputError, match="column 1"):
        summaries.correlation(np.array([[0.0, 1.0], [1.0, 1.0], [3.0, 1.0]]), np.ones(3))
    with pytest.raises(InputError, match="all the weight"):
        summaries.weighted_covariance(np.zeros((2, 1)), np.array([1.0, 0.0]))
