"""The orbit of two bodies, bound or not, in universal variables, compiled; for G = 1."""

from __future__ import annotations

import math

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import inlined_kernel, kernel

_MOST_ITERATIONS = 60
# Below this square of the anomaly, differences of sines lose digits, and a series of so many terms has them all.
_SMALL = 0.25
_N_TERMS = 8


@inlined_kernel
def separation(orbit: FloatArray) -> float:
    """Return the distance of a relative orbit, (6,)."""
    return math.sqrt(orbit[0] ** 2 + orbit[1] ** 2 + orbit[2] ** 2)


@kernel
def inverse_axis(mass: float, orbit: FloatArray) -> float:
    """Return 1 / a of a relative orbit, (6,), of a pair of a mass; negative if it is not bound."""
    return float(2.0 / separation(orbit) - (orbit[3] ** 2 + orbit[4] ** 2 + orbit[5] ** 2) / mass)


@kernel
def apocentre(mass: float, orbit: FloatArray) -> float:
    """Return the apocentre of a relative orbit, (6,), of a pair of a mass; inf if it is not bound."""
    inverse_a = inverse_axis(mass, orbit)
    if not inverse_a > 0.0:
        return math.inf
    r = separation(orbit)
    along = orbit[0] * orbit[3] + orbit[1] * orbit[4] + orbit[2] * orbit[5]
    return float((1.0 + math.hypot(1.0 - r * inverse_a, along * math.sqrt(inverse_a / mass))) / inverse_a)


@inlined_kernel
def _universal(beta: float, s: float) -> tuple[float, float, float]:
    """Return the universal functions G1, G2, G3 of Stumpff for beta = G M / a."""
    z = beta * s * s
    if abs(z) < _SMALL:
        c2, c3 = 0.0, 0.0
        for k in range(_N_TERMS, 0, -1):
            c2 = (1.0 - z * c2) / (2 * k * (2 * k - 1))
            c3 = (1.0 - z * c3) / (2 * k * (2 * k + 1))
        c1 = 1.0 - z * c3
    else:
        x = math.sqrt(abs(z))
        half = math.sin(0.5 * x) if z > 0.0 else math.sinh(0.5 * x)
        c1 = (math.sin(x) if z > 0.0 else math.sinh(x)) / x
        c2, c3 = 2.0 * half * half / abs(z), (1.0 - c1) / z
    return s * c1, s * s * c2, s * s * s * c3


@kernel
def follow_orbit(mass: float, start: FloatArray, time: float, out: FloatArray) -> None:
    """Write relative position and velocity, (6,), of a pair a time >= 0 after the state `start`, (6,).

    By Kepler's equation in universal variables (Danby 1988, Fundamentals of Celestial Mechanics, ch. 6.9), with
    Newton's method inside a bracket.
    """
    r = separation(start)
    beta = mass * inverse_axis(mass, start)
    along = start[0] * start[3] + start[1] * start[4] + start[2] * start[5]
    low, high, s = 0.0, math.inf, min(time / r, (6.0 * time / mass) ** (1.0 / 3.0))
    if beta > 0.0:
        high = 2.0 * math.pi / math.sqrt(beta)
        period = high * mass / beta
        time -= period * math.floor(time / period)
        s = time * beta / mass
    for _ in range(_MOST_ITERATIONS):
        g1, g2, g3 = _universal(beta, s)
        excess = r * g1 + along * g2 + mass * g3 - time
        if excess > 0.0:
            high = s
        else:
            low = s
        step = excess / (r + along * g1 + (mass - beta * r) * g2)
        s -= step
        if abs(step) <= 1e-15 * s:
            break
        # On a hyperbola all grows with exp(s), and Newton's method comes back slowly from too far away.
        if high == math.inf:
            s = min(s, 2.0 * low)
        elif not low <= s <= high:
            s = 0.5 * (low + high)
    g1, g2, g3 = _universal(beta, s)
    later = r + along * g1 + (mass - beta * r) * g2
    f, g = 1.0 - mass / r * g2, time - mass * g3
    f_rate, g_rate = -mass / (later * r) * g1, 1.0 - mass / later * g2
    for k in range(3):
        out[k] = f * start[k] + g * start[3 + k]
        out[3 + k] = f_rate * start[k] + g_rate * start[3 + k]
