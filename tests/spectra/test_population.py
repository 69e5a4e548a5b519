"""The distribution of stars: in its box, with the trends that it claims, and the same for grid and survey."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

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
    assert stats.ks_2samp(grid[:, column], DRAWN[:, column]).pvalue > 1e-3


def test_a_star_of_the_grid_depends_on_seed_and_index_only() -> None:
    np.testing.assert_array_equal(draw_star(7).labels, draw_star(7).labels)
    assert not np.array_equal(draw_star(7).labels, draw_star(7, seed=1).labels)
    # The first of the sequence, by the recipe of which this is a port.
    assert draw_star(3).labels[0] == pytest.approx(4722.395691168394, abs=1e-9)
    assert [index for index in range(30) if held_out(index)] == [9, 19, 29]


def _carbon_less_oxygen(fe_h: float) -> tuple[float, float]:
    """Return mean and standard deviation of [C/Fe] - [O/Fe] about its trend: C/O is below 0.85 (0.54 in the Sun)."""
    sigma = np.hypot(population.SCATTER_DEX["C"], population.SCATTER_DEX["O"])
    cut = np.log10(0.85) - (8.39 - 8.66) + 0.25 * min(max(-fe_h, 0.0), 1.0)
    cut_normal = stats.truncnorm(-np.inf, cut / sigma, scale=sigma)
    return float(cut_normal.mean()), float(cut_normal.std())


def _log_prior(labels: torch.Tensor, middle: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the prior, written out label by label; scatter is that at the middle."""
    t_eff, log_g, fe_h = labels[:3]
    total = -0.5 * (((t_eff - 5200.0) / 1000.0) ** 2 + ((log_g - 3.2) / 1.5) ** 2 + ((fe_h + 0.4) / 0.8) ** 2)
    deviations = {}
    for i, element in enumerate(ELEMENTS[1:]):
        mean = 0.25 * min(max(-float(fe_h), 0.0), 1.0) if element in population.ALPHA_ELEMENTS else 0.0
        deviations[element] = labels[3 + i] - fe_h - mean
    carbon, oxygen = deviations.pop("C"), deviations.pop("O")
    total -= (
        0.5 * ((carbon - oxygen - _carbon_less_oxygen(float(fe_h))[0]) / _carbon_less_oxygen(float(middle[2]))[1]) ** 2
    )
    total -= 0.5 * ((carbon + oxygen) / np.hypot(population.SCATTER_DEX["C"], population.SCATTER_DEX["O"])) ** 2
    for element, deviation in deviations.items():
        total -= 0.5 * (deviation / population.SCATTER_DEX[element]) ** 2
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
            difference = float(_log_prior(up, labels) - _log_prior(down, labels)) / (2.0 * step)
            assert float(term.gradient[0, column]) == pytest.approx(difference, rel=0.02, abs=0.02 / max(step, 0.1))


def test_the_prior_of_carbon_and_oxygen_is_the_mean_and_scatter_of_drawn_stars() -> None:
    stars = population.draw_labels(np.random.default_rng(3), 100_000)
    stars = stars[np.abs(stars[:, 2] + 0.5) < 0.05]
    two = [2 + ELEMENTS.index(element) for element in ("C", "O")]
    drawn = stars[:, two] - stars[:, 2:3]
    centre = torch.from_numpy(stars.mean(0)[None]).float()
    term = prior.prior_term(centre)
    covariance = torch.linalg.inv(term.precision[0, 3:-1, 3:-1].double())[np.ix_([0, 2], [0, 2])]
    # Cut at 2.5 standard deviations, drawn stars scatter by one per cent less.
    assert covariance.numpy() == pytest.approx(np.cov(drawn.T), rel=0.06)
    # No pull at the mean star.
    pull = (term.gradient[0, two] * prior.x_fe_sigma(centre)[0, [0, 2]]).abs()
    assert float(pull.max()) < 0.03


def test_the_precision_of_the_prior_gives_the_scatter_back() -> None:
    rich = torch.from_numpy(DRAWN[DRAWN[:, 2] > 0.05][:1]).float()
    covariance = torch.linalg.inv(prior.prior_term(rich).precision.double())[0]
    relative = covariance[6, 6] + covariance[2, 2] - 2.0 * covariance[2, 6]
    assert ELEMENTS[4] == "Mg"
    assert float(relative**0.5) == pytest.approx(0.20, rel=1e-3)
    assert float(covariance[0, 0] ** 0.5) == pytest.approx(1000.0, rel=1e-3)
