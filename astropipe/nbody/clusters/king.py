r"""King's models (King 1966, AJ 71, 64): isothermal spheres with a lowered distribution function, of finite size.

With :math:`W = -\phi / \sigma^2` and radii in King's core radius :math:`r_0 = \sqrt{9 \sigma^2 / 4 \pi G \rho_0}`,

.. math:: \frac{d^2 W}{dr^2} + \frac{2}{r} \frac{dW}{dr} = -9 \frac{\rho(W)}{\rho(W_0)}, \quad
          \rho(W) = e^W \mathrm{erf} \sqrt{W} - \sqrt{\frac{4 W}{\pi}} \left( 1 + \frac{2 W}{3} \right)

(Binney & Tremaine 2008, eqs. 4.111, 4.112), up to the radius where W is 0, the tidal radius.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.integrate import cumulative_simpson, solve_ivp
from scipy.special import erf

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.systems import isotropic

_POINTS = 4000
_FIRST_RADIUS = 1e-4
_BISECTIONS = 50


class KingModel(NamedTuple):
    """One model, at radii (n,) from the centre to the tidal radius, in units of the core radius, G and sigma.

    Attributes
    ----------
    radius, depth : arrays of shape (n,)
        Radii, and W there.
    mass : array of shape (n,)
        Mass within.
    virial_radius : float
        G M^2 / 2 |U|.
    """

    radius: FloatArray
    depth: FloatArray
    mass: FloatArray
    virial_radius: float

    @property
    def concentration(self) -> float:
        """log10 of the tidal radius over the core radius."""
        return math.log10(self.radius[-1])


def _density(depth: FloatArray) -> FloatArray:
    w = np.maximum(depth, 0.0)
    return np.asarray(np.exp(w) * erf(np.sqrt(w)) - np.sqrt(4.0 * w / np.pi) * (1.0 + 2.0 * w / 3.0))


@cache
def king_model(w0: float) -> KingModel:
    """Solve King's equation for a central W."""
    central = float(_density(np.array(w0)))

    def slope(r: float, state: FloatArray) -> tuple[float, float]:
        return state[1], -2.0 * state[1] / r - 9.0 * float(_density(state[0])) / central

    def edge(_: float, state: FloatArray) -> float:
        return float(state[0])

    edge.terminal = True  # type: ignore[attr-defined]
    # Near the centre W = W0 - 3/2 r^2.
    start = (w0 - 1.5 * _FIRST_RADIUS**2, -3.0 * _FIRST_RADIUS)
    solution = solve_ivp(
        slope, (_FIRST_RADIUS, 1e5), start, "DOP853", dense_output=True, events=edge, rtol=1e-11, atol=1e-12
    )
    radius = np.geomspace(_FIRST_RADIUS, solution.t_events[0][0], _POINTS)
    depth, gradient = solution.sol(radius)
    depth[-1] = 0.0
    mass = -(radius**2) * gradient
    # U = - int G M dM / r, over ln r.
    density = 9.0 / (4.0 * math.pi) * _density(depth) / central
    binding = cumulative_simpson(mass * 4.0 * math.pi * radius**2 * density, x=np.log(radius))[-1]
    return KingModel(radius, depth, mass, float(mass[-1] ** 2 / (2.0 * binding)))


def king_state(rng: np.random.Generator, n: int, w0: float) -> tuple[FloatArray, FloatArray]:
    """Return positions and velocities (n, 3) of a King model in Henon units (G = M = 1, virial radius 1)."""
    model = king_model(w0)
    radius = np.interp(rng.uniform(0.0, 1.0, n), model.mass / model.mass[-1], model.radius)
    depth = np.interp(radius, model.radius, model.depth)
    speed = math.sqrt(2.0) * _speeds(depth, rng.uniform(0.0, 1.0, n))
    unit = math.sqrt(model.virial_radius / model.mass[-1])
    return (
        (radius / model.virial_radius)[:, None] * isotropic(rng, n),
        (unit * speed)[:, None] * isotropic(rng, n),
    )


def _speeds(depth: FloatArray, share: FloatArray) -> FloatArray:
    """Return v / sqrt(2) sigma below which a share of the stars at W moves: the inverse of int x^2 (e^(W-x^2) - 1)."""

    def cumulative(x: FloatArray) -> FloatArray:
        below = np.exp(depth) * (0.25 * math.sqrt(math.pi) * erf(x) - 0.5 * x * np.exp(-(x**2))) - x**3 / 3.0
        return np.asarray(below)

    low, high = np.zeros_like(depth), np.sqrt(depth)
    wanted = share * cumulative(high)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        beyond = cumulative(middle) > wanted
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return 0.5 * (low + high)
