r"""Shared time steps: fixed, or the rule of AMUSE's Hermite code.

.. math:: \Delta t = \mu \min_{i<j} \min\left( \frac{r_{ij}}{v_{ij}}, \sqrt{\frac{r_{ij}^3}{G (m_i + m_j)}} \right)

a fraction of the shortest crossing or free-fall time of any pair (Hut, Makino & McMillan 1995, ApJ 443, L93;
Portegies Zwart & McMillan 2018, Astrophysical Recipes; AMUSE's default is mu = 0.03).
"""

from __future__ import annotations

import math

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import inlined_kernel
from astropipe.nbody.forces import survey_pairs


@inlined_kernel
def step_size(rate2: float, mu: float, fixed_step: float) -> float:
    """Return the step: `fixed_step` where that is positive, otherwise mu / sqrt(rate2).

    Parameters
    ----------
    rate2 : float
        Largest squared rate of all pairs, as the kernels of `astropipe.nbody.forces` return it.
    mu : float
        Dimensionless accuracy parameter.
    fixed_step : float
        Fixed step, or 0 for the rule.
    """
    if fixed_step > 0.0:
        return fixed_step
    return mu / math.sqrt(rate2)


def amuse_time_step(
    masses: FloatArray, positions: FloatArray, velocities: FloatArray, *, mu: float = 0.01, G: float = 1.0
) -> float:
    """Return the step that the AMUSE rule gives for one system at one instant.

    Parameters
    ----------
    masses : array of shape (N,)
        Masses.
    positions, velocities : arrays of shape (N, 3)
        State, in units consistent with `G`.
    mu : float
        Dimensionless accuracy parameter.
    G : float
        Gravitational constant.

    Returns
    -------
    float
        Time step; inf if no body has mass.
    """
    gm = G * np.ascontiguousarray(masses, dtype=np.float64)
    pairs = np.empty((2, gm.size * (gm.size - 1) // 2))
    rate2: float = survey_pairs(
        gm,
        np.ascontiguousarray(positions, dtype=np.float64),
        np.ascontiguousarray(velocities, dtype=np.float64),
        pairs,
    )
    return mu / math.sqrt(rate2) if rate2 > 0.0 else math.inf
