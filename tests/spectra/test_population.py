"""The distribution of stars: in its box, with the trends that it claims, and the same for grid and survey."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from astropipe.spectra import population, prior
from astropipe.spectra.labels import ELEMENTS
from astropipe.spectra.synthesis.grid_labels import draw_star, held_out

DRAWN = population.draw_labels(np.random.default_rng(1), 4000)


def test_labels_lie_in_the_box_where_there_are_atmospheres() -> None:
    t_eff, log_g, fe_h = DRAWN[:, :3].T
    for values, (low, high) in (
        (t_eff, population.T_EFF_RANGE_K),
        (log_g, population.LOG_G_RANGE),
        (fe_h, population.FE_H_RANGE),
        (DRAWN[:, -1], population.V_MICRO_RANGE_KM_S),
    ):
        assert low <= values.min()
        assert values.max() <= high
    assert np.all(log_g >= population.least_log_g(t_eff))


def test_no_star_is_a_carbon_star() -> None:
    carbon, oxygen = (DRAWN[:, 2 + ELEMENTS.index(element)] for element in ("C", "O"))
    # Grevesse, Asplund & Sauval (2007): 8.39 and 8.66.
    assert np.all(10.0 ** (carbon + 8.39 - oxygen - 8.66) < 0.85)


def test_alpha_elements_rise_to_a_quarter_of_a_dex_in_poor_stars() -> None:
    poor = DRAWN[:, 2] < -1.0
    magnesium, nickel = (DRAWN[poor, 2 + ELEMENTS.index(element)] - DRAWN[poor, 2] for element in ("Mg", "Ni"))
    assert magnesium.mean() == pytest.approx(0.25, abs=0.03)
    assert nickel.mean() == pytest.approx(0.0, abs=0.03)
    assert magnesium.std() == pytest.approx(0.20, abs=0.02)


@pytest.mark.parametrize("column", range(18))
def test_grid_and_survey_have_the_same_stars(column: int) -> None:
    grid = np.array([draw_star(index).labels for index in range(400)])
    assert ks_2samp(grid[:, column], DRAWN[:, column]).pvalue > 1e-3


def test_a_star_of_the_grid_depends_on_seed_and_index_only() -> None:
    np.testing.assert_array_equal(draw_star(7).labels, draw_star(7).labels)
    assert not np.array_equal(draw_star(7).labels, draw_star(7, seed=1).labels)
    # The first of the sequence, by the recipe of which this is a port.
    assert draw_star(3).labels[0] == pytest.approx(4722.395691168394, abs=1e-9)
    assert [index for index in range(30) if held_out(index)] == [9, 19, 29]


def _log_prior(labels: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the prior, written out label by label."""
    t_eff, log_g, fe_h = labels[:3]
    total = -0.5 * (((t_eff - 5200.0) / 1000.0) ** 2 + ((log_g - 3.2) / 1.5) ** 2 + ((fe_h + 0.4) / 0.8) ** 2)
    for i, element in enumerate(ELEMENTS[1:]):
        mean = 0.25 * min(max(-float(fe_h), 0.0), 1.0) if element in population.ALPHA_ELEMENTS else 0.0
        total -= 0.5 * ((labels[3 + i] - fe_h - mean) / population.SCATTER_DEX[element]) ** 2
    v_mean = float(population.mean_v_micro(float(t_eff), float(log_g)))
    return total - 0.5 * ((labels[-1] - v_mean) / 0.25) ** 2


def test_the_gradient_of_the_prior_is_that_of_differences() -> None:
    for row in DRAWN[:5]:
        labels = torch.from_numpy(row)
        term = prior.prior_term(labels[None].float())
        for column, step in enumerate([5.0, *[1e-3] * 17]):
            up, down = labels.clone(), labels.clone()
            up[column] += step
            down[column] -= step
            difference = float(_log_prior(up) - _log_prior(down)) / (2.0 * step)
            assert float(term.gradient[0, column]) == pytest.approx(difference, rel=0.02, abs=0.02 / max(step, 0.1))


def test_the_precision_of_the_prior_gives_the_scatter_back() -> None:
    rich = torch.from_numpy(DRAWN[DRAWN[:, 2] > 0.05][:1]).float()
    covariance = torch.linalg.inv(prior.prior_term(rich).precision.double())[0]
    relative = covariance[6, 6] + covariance[2, 2] - 2.0 * covariance[2, 6]
    assert ELEMENTS[4] == "Mg"
    assert float(relative**0.5) == pytest.approx(0.20, rel=1e-3)
    assert float(covariance[0, 0] ** 0.5) == pytest.approx(1000.0, rel=1e-3)
