"""Which stars there are: the distribution of labels of the synthetic grid, the simulated survey, and the prior.

A fifth giants, a fifth dwarfs and so on is not the sky: the mixture covers what a network has to know. Abundances
scatter
about the trend of the Galaxy, alpha elements 0.25 dex above iron at [Fe/H] <= -1, three to five times as much as stars
do, so that an inherited abundance is told from a measured one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astropipe.spectra.labels import ELEMENTS

Floats = NDArray[np.float64]
Values = float | Floats

T_EFF_RANGE_K = (3_800.0, 7_000.0)
LOG_G_RANGE = (0.5, 5.0)
FE_H_RANGE = (-2.0, 0.5)
V_MICRO_RANGE_KM_S = (0.4, 3.0)
V_MICRO_SCATTER_KM_S = 0.25
ALPHA_ELEMENTS = ("O", "Mg", "Si", "S", "Ca", "Ti")
ALPHA_SLOPE = 0.25
SCATTER_DEX = {
    **dict.fromkeys(("Mg", "Si", "Ca", "Ti", "Ni"), 0.20),
    **dict.fromkeys(("C", "O", "Al", "Cr", "Mn"), 0.25),
    **dict.fromkeys(("N", "S", "K", "Cu"), 0.30),
}
"""Standard deviation of [X/Fe], cut at 2.5 of it."""
SCATTER_LIMIT = 2.5
# log10 of the solar number ratio C/O of Grevesse, Asplund & Sauval (2007, Space Sci. Rev. 130, 105), as MARCS has it.
SOLAR_C_TO_O = 8.39 - 8.66
LARGEST_C_TO_O = 0.85
"""Number ratio C/O; richer stars need atmospheres of carbon stars."""


def giant_t_eff(log_g: Values, fe_h: Values) -> Floats:
    """Ridge of the red-giant branch: effective temperature in K."""
    nodes = ([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5], [3750.0, 3980.0, 4220.0, 4460.0, 4700.0, 4870.0, 4990.0])
    return np.asarray(np.interp(log_g, *nodes) - 220.0 * np.asarray(fe_h))


def dwarf_log_g(t_eff_k: Values) -> Floats:
    """Ridge of the main sequence: log g."""
    nodes = ([3800, 4500, 5000, 5500, 6000, 6500, 7000], [4.68, 4.62, 4.57, 4.48, 4.36, 4.24, 4.18])
    return np.asarray(np.interp(t_eff_k, *nodes))


def least_log_g(t_eff_k: Values) -> Floats:
    """Lowest log g at a temperature: there are no MARCS models of hot supergiants."""
    return np.asarray(np.interp(t_eff_k, [5200.0, 7000.0], [0.5, 3.0]))


def mean_v_micro(t_eff_k: Values, log_g: Values) -> Floats:
    """Mean microturbulence in km/s: 1.05 for the Sun, 1.5 in the clump, 2 on the upper giant branch."""
    dwarf = 1.05 + 2.2e-4 * (np.asarray(t_eff_k) - 5750.0)
    giant = 2.10 - 0.24 * np.asarray(log_g)
    weight = 1.0 / (1.0 + np.exp((3.7 - np.asarray(log_g)) / 0.2))
    return np.asarray(weight * dwarf + (1.0 - weight) * giant)


def mean_x_fe(fe_h: Values) -> Floats:
    """Mean [X/Fe] of the 14 elements after iron, shape (..., 14), at [Fe/H] of shape (...)."""
    alpha = np.array([element in ALPHA_ELEMENTS for element in ELEMENTS[1:]])
    return np.asarray(ALPHA_SLOPE * np.clip(-np.asarray(fe_h), 0.0, 1.0)[..., None] * alpha)


def scatter_x_fe() -> Floats:
    """Return the standard deviation of [X/Fe] in dex, shape (14,)."""
    return np.array([SCATTER_DEX[element] for element in ELEMENTS[1:]])


def draw_labels(rng: np.random.Generator, n: int) -> Floats:
    """Draw labels of stars.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    n : int
        Number of stars.

    Returns
    -------
    ndarray, shape (n, 18)
        The 17 labels, then v_micro in km/s: 30 % over the whole box of t_eff, log_g and fe_h, 27 % giants, 10 % clump
        stars, 8 % subgiants, 25 % dwarfs.
    """
    t_eff, log_g, fe_h = _draw_stellar(rng, n)
    x_fe = mean_x_fe(fe_h)
    todo = np.arange(n)
    while todo.size:
        scatter = np.clip(rng.standard_normal((todo.size, len(ELEMENTS) - 1)), -SCATTER_LIMIT, SCATTER_LIMIT)
        x_fe[todo] = mean_x_fe(fe_h[todo]) + scatter_x_fe() * scatter
        c_to_o = x_fe[todo, ELEMENTS.index("C") - 1] - x_fe[todo, ELEMENTS.index("O") - 1] + SOLAR_C_TO_O
        todo = todo[c_to_o >= np.log10(LARGEST_C_TO_O)]
    v_micro = mean_v_micro(t_eff, log_g) + rng.normal(0.0, V_MICRO_SCATTER_KM_S, n)
    stellar = np.stack([t_eff, log_g, fe_h], axis=1)
    return np.hstack([stellar, fe_h[:, None] + x_fe, np.clip(v_micro, *V_MICRO_RANGE_KM_S)[:, None]])


def _draw_stellar(rng: np.random.Generator, n: int) -> Floats:
    """Draw effective temperatures, log g and [Fe/H], shape (3, n)."""
    drawn: list[Floats] = []
    while sum(part.shape[1] for part in drawn) < n:
        candidates = _candidates(rng, n)
        t_eff, log_g, fe_h = candidates
        inside = log_g >= least_log_g(t_eff)
        for values, (low, high) in ((t_eff, T_EFF_RANGE_K), (log_g, LOG_G_RANGE), (fe_h, FE_H_RANGE)):
            inside &= (values >= low) & (values <= high)
        drawn.append(candidates[:, inside])
    return np.concatenate(drawn, axis=1)[:, :n]


def _candidates(rng: np.random.Generator, n: int) -> Floats:
    pick = rng.random(n)
    box, giant, clump, subgiant = pick < 0.30, pick < 0.57, pick < 0.67, pick < 0.75
    thin = np.where(rng.random(n) < 0.75, rng.normal(-0.20, 0.30, n), rng.uniform(*FE_H_RANGE, n))
    fe_h = np.where(box, rng.uniform(*FE_H_RANGE, n), thin)
    branch_log_g = rng.uniform(0.5, 3.6, n)
    anywhere = rng.uniform(*T_EFF_RANGE_K, n)
    t_eff = np.select(
        [box, giant, clump, subgiant],
        [
            anywhere,
            giant_t_eff(branch_log_g, fe_h) + rng.normal(0.0, 120.0, n),
            4780.0 - 180.0 * fe_h + rng.normal(0.0, 110.0, n),
            rng.uniform(4900.0, 6500.0, n),
        ],
        anywhere,
    )
    log_g = np.select(
        [box, giant, clump, subgiant],
        [rng.uniform(*LOG_G_RANGE, n), branch_log_g, rng.normal(2.45, 0.15, n), rng.uniform(3.4, 4.2, n)],
        dwarf_log_g(t_eff) + rng.normal(0.0, 0.12, n),
    )
    return np.stack([t_eff, log_g, fe_h])
