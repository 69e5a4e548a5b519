"""The analytic two-body orbit that the tests compare with."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq


def kepler_state(
    m1: float, m2: float, a: float, e: float, time: float, *, G: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masses [2], barycentric positions and velocities [2, 3] a given time after pericentre (planar orbit)."""
    gm = G * (m1 + m2)
    n = math.sqrt(gm / a**3)
    mean = math.remainder(n * time, 2.0 * math.pi)
    E = brentq(lambda E: E - e * math.sin(E) - mean, -math.pi - 1e-9, math.pi + 1e-9, xtol=1e-15, rtol=1e-15)
    b = a * math.sqrt(1.0 - e * e)
    rate = n / (1.0 - e * math.cos(E))
    x = np.array([a * (math.cos(E) - e), b * math.sin(E), 0.0])
    v = np.array([-a * math.sin(E) * rate, b * math.cos(E) * rate, 0.0])
    shares = np.array([[-m2], [m1]]) / (m1 + m2)
    return np.array([m1, m2]), shares * x, shares * v


def period(m1: float, m2: float, a: float, *, G: float = 1.0) -> float:
    """Orbital period."""
    return 2.0 * math.pi * math.sqrt(a**3 / (G * (m1 + m2)))


def hierarchical_triple(
    inner: tuple[float, float], outer: tuple[float, float], *, phase: float = 0.3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit masses: an inner pair with (a, e) and a third body with outer elements (a, e), both planar."""
    m, x_in, v_in = kepler_state(1.0, 1.0, *inner, phase)
    _, x_out, v_out = kepler_state(2.0, 1.0, *outer, phase)
    return (
        np.append(m, 1.0),
        np.vstack([x_in + x_out[0], x_out[1]]),
        np.vstack([v_in + v_out[0], v_out[1]]),
    )
