"""Jensen–Shannon divergence of weighted samples: against quadrature for two Gaussians, and 0 for equal densities."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import rel_entr
from scipy.stats import norm

from astropipe.inference.agreement import Agreement, agreement, jensen_shannon
from astropipe.runtime.errors import InputError

Array = NDArray[np.float64]
N_FEW, N_MANY = 300, 10_000


def truth(shift: float, width: float) -> float:
    """Return the divergence of N(0, 1) and N(shift, width²) by quadrature, nat."""

    def integrand(x: float) -> float:
        p, q = norm.pdf(x), norm.pdf(x, shift, width)
        return float(0.5 * (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)))

    return float(quad(integrand, -15.0, 15.0, points=[0.0, shift], limit=200)[0])


def repeated(n: int, shift: float, width: float, repeats: int) -> Array:
    """Return (divergence, its error, noise) of many pairs of samples, [repeats, 3]."""
    rng = np.random.default_rng(1)
    pairs = [(rng.normal(shift, width, n), rng.standard_normal(N_MANY)) for _ in range(repeats)]
    return np.array([jensen_shannon(x, np.ones(n), y, np.ones(N_MANY)) for x, y in pairs])


@pytest.mark.parametrize(("shift", "width", "seen"), [(0.3, 1.0, 0.98), (1.0, 1.0, 0.99), (0.0, 1.3, 0.86)])
def test_two_gaussians_against_quadrature(shift: float, width: float, seen: float) -> None:
    found = repeated(N_FEW, shift, width, 100)
    error = found[:, 0].std() / 10.0
    assert abs(found[:, 0].mean() - truth(shift, width)) < 4.0 * error + (1.0 - seen + 0.03) * truth(shift, width)
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.3), "the quoted error is the scatter"


def test_many_samples_need_no_correction() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(1.0, 1.0, 200_000), rng.standard_normal(200_000)
    divergence, _, noise = jensen_shannon(x, np.ones(len(x)), y, np.ones(len(y)))
    assert noise < 1e-4
    # 20 bins lose 1 % of it, and its standard error is 1 %.
    assert divergence == pytest.approx(truth(1.0, 1.0), rel=0.04)


def test_equal_densities_have_none_on_average_though_the_bins_differ() -> None:
    found = repeated(N_FEW, 0.0, 1.0, 200)
    assert abs(found[:, 0].mean()) < 4.0 * found[:, 0].std() / np.sqrt(200.0)
    # (K − 1) / 8 (1/n + 1/m): what an estimate that leaves the noise in would report.
    assert found[:, 2].mean() == pytest.approx(19.0 / 8.0 * (1.0 / N_FEW + 1.0 / N_MANY), rel=0.05)


def test_importance_weights_count_by_their_own_noise() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(150):
        x = rng.normal(0.0, 1.5, 600)
        weights = np.exp(norm.logpdf(x) - norm.logpdf(x, 0.0, 1.5))
        found.append(jensen_shannon(x, weights, rng.standard_normal(N_MANY), np.ones(N_MANY))[0])
    assert abs(np.mean(found)) < 4.0 * np.std(found) / np.sqrt(150.0)


def test_shift_and_width_are_those_of_the_reference() -> None:
    x, reference = np.array([1.0, 3.0, 5.0]), np.array([0.0, 2.0])
    found = agreement(x, np.array([1.0, 2.0, 1.0]), reference, np.ones(2))
    assert isinstance(found, Agreement)
    # Means 3 and 1, standard deviations √2 and 1.
    assert found.shift == pytest.approx(2.0) and found.width_ratio == pytest.approx(np.sqrt(2.0))


def test_distinct_samples_are_ln_two_apart() -> None:
    rng = np.random.default_rng(4)
    divergence, *_ = jensen_shannon(rng.random(5000), np.ones(5000), 2.0 + rng.random(5000), np.ones(5000))
    assert divergence == pytest.approx(np.log(2.0), abs=5e-3)


def test_weights_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="weights"):
        agreement(np.arange(3.0), np.array([1.0, -1.0, 1.0]), np.arange(3.0), np.ones(3))
