"""Labels of the stars of the grid: a pure function of seed and index, so that a grid can grow and be made in parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astropipe.spectra import population
from astropipe.spectra.labels import ELEMENTS

SEED = 20_221


@dataclass(frozen=True)
class GridStar:
    """One star of the grid: which sequence it is from, and its 18 labels in the order of `emulator.INPUT_NAMES`."""

    kind: str
    labels: NDArray[np.float64]

    def abundances(self) -> dict[str, float]:
        """Return [X/H] by element, iron first."""
        return dict(zip(ELEMENTS, self.labels[2:17].tolist(), strict=True))


def held_out(index: int) -> bool:
    """Whether a star belongs to the tenth that no training may see."""
    return index % 10 == 9


def draw_star(index: int, seed: int = SEED) -> GridStar:
    """Draw a star; the distribution is that of `population.draw_labels`, one star at a time."""
    rng = np.random.default_rng([seed, index])
    kind, t_eff, log_g, fe_h = _draw_stellar(rng)
    while True:
        x_h = []
        for element, mean in zip(ELEMENTS[1:], population.mean_x_fe(fe_h), strict=True):
            scatter = np.clip(rng.standard_normal(), -population.SCATTER_LIMIT, population.SCATTER_LIMIT)
            x_h.append(fe_h + mean + population.SCATTER_DEX[element] * scatter)
        c_to_o = x_h[ELEMENTS.index("C") - 1] - x_h[ELEMENTS.index("O") - 1] + population.SOLAR_C_TO_O
        if c_to_o < np.log10(population.LARGEST_C_TO_O):
            break
    v_micro = population.mean_v_micro(t_eff, log_g) + rng.normal(0.0, population.V_MICRO_SCATTER_KM_S)
    v_micro = np.clip(v_micro, *population.V_MICRO_RANGE_KM_S)
    return GridStar(kind, np.array([t_eff, log_g, fe_h, *x_h, v_micro], dtype=np.float64))


def _draw_stellar(rng: np.random.Generator) -> tuple[str, float, float, float]:
    fe_low, fe_high = population.FE_H_RANGE
    while True:
        pick = rng.random()
        if pick < 0.30:
            kind = "box"
            t_eff, log_g = rng.uniform(*population.T_EFF_RANGE_K), rng.uniform(*population.LOG_G_RANGE)
            fe_h = rng.uniform(fe_low, fe_high)
        else:
            fe_h = rng.normal(-0.20, 0.30) if rng.random() < 0.75 else rng.uniform(fe_low, fe_high)
            if pick < 0.57:
                kind, log_g = "giant", rng.uniform(0.5, 3.6)
                t_eff = float(population.giant_t_eff(log_g, fe_h)) + rng.normal(0, 120)
            elif pick < 0.67:
                kind, log_g = "clump", rng.normal(2.45, 0.15)
                t_eff = 4780 - 180 * fe_h + rng.normal(0, 110)
            elif pick < 0.75:
                kind, log_g, t_eff = "subgiant", rng.uniform(3.4, 4.2), rng.uniform(4900, 6500)
            else:
                kind, t_eff = "dwarf", rng.uniform(*population.T_EFF_RANGE_K)
                log_g = float(population.dwarf_log_g(t_eff)) + rng.normal(0, 0.12)
        inside = all(
            low <= value <= high
            for value, (low, high) in (
                (t_eff, population.T_EFF_RANGE_K),
                (log_g, population.LOG_G_RANGE),
                (fe_h, population.FE_H_RANGE),
            )
        )
        if inside and log_g >= population.least_log_g(t_eff):
            return kind, float(t_eff), float(log_g), float(fe_h)
