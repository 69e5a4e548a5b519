r"""What became of a few-body system: who is bound to whom, and who has left.

The most bound pair is the pair of lowest two-body energy. Bodies are then peeled off from the outside: the body
farthest from that pair's barycentre *escapes* when, with respect to the barycentre of all bodies still inside,

1. its two-body energy is positive,
2. it recedes, and
3. it is farther than ``escape_factor`` x a from the pair's barycentre and from every body outside the pair
   (a: semi-major axis of the pair).

For three bodies this is the usual test of escape from a binary (Standish 1971, Celest. Mech. 4, 44; Valtonen &
Karttunen 2006, The Three-Body Problem; Fregeau et al. 2004, MNRAS 352, 1, who take a tidal tolerance in place of the
distance). It is not a proof: the perturbation by the binary at distance f a is of relative order f^-2.

A triple that has not broken up is `hierarchical` when its outer orbit is bound and stable by the criterion of Mardling
& Aarseth (2001, MNRAS 321, 398, eq. 90),

.. math:: \frac{a_o (1 - e_o)}{a_i} > 2.8 \left[ (1 + q) \frac{1 + e_o}{\sqrt{1 - e_o}} \right]^{2/5}
          \left( 1 - 0.3 \frac{i}{180^\circ} \right), \quad q = \frac{m_3}{m_1 + m_2}.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astropipe.nbody.arrays import FloatArray, IntArray
from astropipe.nbody.compilation import kernel

# Vectors are tuples here: a few bodies in a few branches, where arrays would only cost compile time.
Vector: TypeAlias = tuple[float, float, float]

INTERPLAY = 0
BINARY = 1
BINARY_AND_ESCAPER = 2
HIERARCHICAL = 3
IONISED = 4
PARTIAL_ESCAPE = 5
OUTCOME_NAMES = ("interplay", "binary", "binary+escaper", "hierarchical", "ionised", "partial-escape")

DEFAULT_ESCAPE_FACTOR = 20.0


@dataclass(frozen=True)
class Outcome:
    """Configuration of one system, or of each system of a batch (then every field is an array over systems).

    Attributes
    ----------
    label : str or array of str
        ``interplay``: nothing is decided; ``binary``: two bodies, bound; ``binary+escaper``: all bodies outside the
        most bound pair escape; ``hierarchical``: a stable triple; ``ionised``: no pair is bound and all recede;
        ``partial-escape`` (N > 3): some bodies escape, three or more are left.
    members : array of int, shape (2,) or (n, 2)
        The most bound pair; -1 where no pair is bound.
    semi_major_axis, eccentricity, period : float or array
        Elements of that pair, in the units of the input; NaN where no pair is bound.
    escaper : int or array of int
        The outermost body that escapes; -1 where none does.
    """

    label: Any
    members: IntArray
    semi_major_axis: Any
    eccentricity: Any
    period: Any
    escaper: Any


@kernel
def _dot(a: Vector, b: Vector) -> float:
    """Return the scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@kernel
def _from_barycentre(body: int, masses: FloatArray, y: FloatArray, group: NDArray[np.bool_]) -> Vector:
    """Return position or velocity of a body with respect to the barycentre of a group of bodies."""
    total, cx, cy, cz = 0.0, 0.0, 0.0, 0.0
    for i in range(masses.size):
        if group[i]:
            total += masses[i]
            cx += masses[i] * y[i, 0]
            cy += masses[i] * y[i, 1]
            cz += masses[i] * y[i, 2]
    return y[body, 0] - cx / total, y[body, 1] - cy / total, y[body, 2] - cz / total


@kernel
def _between(y: FloatArray, i: int, j: int) -> Vector:
    """Return position or velocity of body j with respect to body i."""
    return y[j, 0] - y[i, 0], y[j, 1] - y[i, 1], y[j, 2] - y[i, 2]


@kernel
def pair_orbit(gm: float, dx: Vector, dv: Vector) -> tuple[float, float]:
    """Return semi-major axis and eccentricity of a bound relative orbit; (inf, NaN) where it is not bound.

    From e cos E = 1 - r/a and e sin E = r . v / sqrt(GM a).
    """
    r = math.sqrt(_dot(dx, dx))
    v2 = _dot(dv, dv)
    if not 0.5 * v2 < gm / r:
        return math.inf, math.nan
    a = 1.0 / (2.0 / r - v2 / gm)
    return a, math.hypot(1.0 - r / a, _dot(dx, dv) / math.sqrt(gm * a))


@kernel
def most_bound_pair(masses: FloatArray, x: FloatArray, v: FloatArray, G: float) -> tuple[int, int]:
    """Return the pair of lowest two-body energy (of lowest specific energy among massless ones), or (-1, -1)."""
    best, best_specific = 0.0, 0.0
    first, second = -1, -1
    for i in range(masses.size):
        for j in range(i + 1, masses.size):
            total = masses[i] + masses[j]
            if total == 0.0:
                continue
            dx, dv = _between(x, i, j), _between(v, i, j)
            specific = 0.5 * _dot(dv, dv) - G * total / math.sqrt(_dot(dx, dx))
            energy = specific * masses[i] * masses[j] / total
            if energy < best or (energy == best and specific < best_specific):
                best, best_specific = energy, specific
                first, second = i, j
    return first, second


@kernel
def _escapes(
    body: int,
    masses: FloatArray,
    x: FloatArray,
    v: FloatArray,
    G: float,
    inside: NDArray[np.bool_],
    pair: tuple[int, int],
    far: float,
) -> bool:
    """Return whether a body leaves the others inside, and is farther than `far` from all bodies outside the pair."""
    total = 0.0
    for i in range(masses.size):
        if inside[i]:
            total += masses[i]
        if i != body and i != pair[0] and i != pair[1]:
            separation = _between(x, i, body)
            if _dot(separation, separation) <= far * far:
                return False
    inside[body] = False
    dx, dv = _from_barycentre(body, masses, x, inside), _from_barycentre(body, masses, v, inside)
    inside[body] = True
    return _dot(dx, dv) > 0.0 and 0.5 * _dot(dv, dv) > G * total / math.sqrt(_dot(dx, dx))


@kernel
def _is_stable_triple(
    masses: FloatArray,
    x: FloatArray,
    v: FloatArray,
    G: float,
    pair: tuple[int, int],
    in_pair: NDArray[np.bool_],
) -> bool:
    """Apply the criterion of Mardling & Aarseth (2001) to three bodies."""
    outer = 3 - pair[0] - pair[1]
    m_in = masses[pair[0]] + masses[pair[1]]
    x_in, v_in = _between(x, pair[0], pair[1]), _between(v, pair[0], pair[1])
    x_out, v_out = _from_barycentre(outer, masses, x, in_pair), _from_barycentre(outer, masses, v, in_pair)
    a_in, _ = pair_orbit(G * m_in, x_in, v_in)
    a_out, e_out = pair_orbit(G * (m_in + masses[outer]), x_out, v_out)
    if not e_out < 1.0:
        return False
    shape = (1.0 + masses[outer] / m_in) * (1.0 + e_out) / math.sqrt(1.0 - e_out)
    tilt = _angle_between_orbits(x_in, v_in, x_out, v_out) / math.pi
    return a_out * (1.0 - e_out) > 2.8 * math.pow(shape, 0.4) * (1.0 - 0.3 * tilt) * a_in


@kernel
def _angle_between_orbits(x1: Vector, v1: Vector, x2: Vector, v2: Vector) -> float:
    """Return the angle between two orbital planes; 0 where a radial orbit has none.

    From (x1 x v1) . (x2 x v2) = (x1 . x2)(v1 . v2) - (x1 . v2)(v1 . x2).
    """
    product = _dot(x1, x2) * _dot(v1, v2) - _dot(x1, v2) * _dot(v1, x2)
    square1 = _dot(x1, x1) * _dot(v1, v1) - _dot(x1, v1) ** 2
    square2 = _dot(x2, x2) * _dot(v2, v2) - _dot(x2, v2) ** 2
    if square1 <= 0.0 or square2 <= 0.0:
        return 0.0
    return math.acos(min(1.0, max(-1.0, product / math.sqrt(square1 * square2))))


@kernel
def _flies_apart(masses: FloatArray, x: FloatArray, v: FloatArray, G: float) -> bool:
    """Return whether all pairs recede and the total energy about the barycentre is not negative."""
    energy, total = 0.0, 0.0
    for i in range(masses.size):
        total += masses[i]
    for i in range(masses.size):
        for j in range(i + 1, masses.size):
            dx, dv = _between(x, i, j), _between(v, i, j)
            if not _dot(dx, dv) > 0.0:
                return False
            energy += masses[i] * masses[j] * (0.5 * _dot(dv, dv) / total - G / math.sqrt(_dot(dx, dx)))
    return energy >= 0.0


@kernel
def _farthest(masses: FloatArray, x: FloatArray, inside: NDArray[np.bool_], in_pair: NDArray[np.bool_]) -> int:
    """Return the body inside, but not of the pair, that is farthest from the pair's barycentre."""
    farthest, greatest = -1, -1.0
    for body in range(masses.size):
        if inside[body] and not in_pair[body]:
            dx = _from_barycentre(body, masses, x, in_pair)
            if _dot(dx, dx) > greatest:
                farthest, greatest = body, _dot(dx, dx)
    return farthest


@kernel
def classify_system(
    masses: FloatArray, x: FloatArray, v: FloatArray, G: float, escape_factor: float
) -> tuple[int, int, tuple[int, int], Vector]:
    """Classify one system.

    Returns
    -------
    outcome, escaper : int
        Index into `OUTCOME_NAMES`, and the outermost escaping body or -1.
    pair : tuple of two ints
        Most bound pair, or (-1, -1).
    elements : tuple of three floats
        Its semi-major axis, eccentricity and period, or NaN.
    """
    n = masses.size
    pair = most_bound_pair(masses, x, v, G)
    if pair[0] < 0:
        outcome = IONISED if _flies_apart(masses, x, v, G) else INTERPLAY
        return outcome, -1, pair, (math.nan, math.nan, math.nan)
    gm = G * (masses[pair[0]] + masses[pair[1]])
    a, e = pair_orbit(gm, _between(x, pair[0], pair[1]), _between(v, pair[0], pair[1]))
    far = escape_factor * a
    in_pair = np.zeros(n, dtype=np.bool_)
    in_pair[pair[0]] = in_pair[pair[1]] = True
    inside = np.ones(n, dtype=np.bool_)
    escaper, left = -1, n
    while left > 2:
        body = _farthest(masses, x, inside, in_pair)
        dx = _from_barycentre(body, masses, x, in_pair)
        if _dot(dx, dx) <= far * far or not _escapes(body, masses, x, v, G, inside, pair, far):
            break
        inside[body] = False
        left -= 1
        if escaper < 0:
            escaper = body
    if left == 2:
        outcome = BINARY if n == 2 else BINARY_AND_ESCAPER
    elif escaper >= 0:
        outcome = PARTIAL_ESCAPE
    elif n == 3 and _is_stable_triple(masses, x, v, G, pair, in_pair):
        outcome = HIERARCHICAL
    else:
        outcome = INTERPLAY
    return outcome, escaper, pair, (a, e, 2.0 * math.pi * math.sqrt(a * a * a / gm))


@kernel
def any_escape(masses: FloatArray, x: FloatArray, v: FloatArray, G: float, escape_factor: float) -> bool:
    """Return whether at least one body has left, or all fly apart."""
    outcome, escaper, _, _ = classify_system(masses, x, v, G, escape_factor)
    return escaper >= 0 or outcome == IONISED


@kernel
def _classify_batch(
    masses: FloatArray,
    x: FloatArray,
    v: FloatArray,
    G: float,
    escape_factor: float,
    whole: IntArray,
    elements: FloatArray,
) -> None:
    """Write outcome, escaper and members into `whole`, (n, 4), and a, e, P into `elements`, (n, 3)."""
    for system in range(masses.shape[0]):
        outcome, escaper, pair, orbit = classify_system(masses[system], x[system], v[system], G, escape_factor)
        whole[system, 0], whole[system, 1] = outcome, escaper
        whole[system, 2], whole[system, 3] = pair
        elements[system, 0], elements[system, 1], elements[system, 2] = orbit


def classify(
    masses: ArrayLike,
    positions: ArrayLike,
    velocities: ArrayLike,
    *,
    G: float = 1.0,
    escape_factor: float = DEFAULT_ESCAPE_FACTOR,
) -> Outcome:
    """Classify the configuration of one system or of a batch.

    Parameters
    ----------
    masses : array of shape (N,) or (n, N)
        Masses, N >= 2.
    positions, velocities : arrays of shape (N, 3) or (n, N, 3)
        States, in units consistent with `G`.
    G : float
        Gravitational constant.
    escape_factor : float
        Distance of an escaper in semi-major axes of the most bound pair.

    Returns
    -------
    Outcome
        Label, most bound pair with its elements, escaper.
    """
    m = np.ascontiguousarray(masses, dtype=np.float64)
    x = np.ascontiguousarray(positions, dtype=np.float64)
    v = np.ascontiguousarray(velocities, dtype=np.float64)
    batch = np.atleast_2d(m)
    n, bodies = batch.shape
    whole = np.empty((n, 4), dtype=np.int64)
    elements = np.empty((n, 3))
    shape = (n, bodies, 3)
    _classify_batch(batch, x.reshape(shape), v.reshape(shape), float(G), escape_factor, whole, elements)
    labels = np.array(OUTCOME_NAMES)[whole[:, 0]]
    if m.ndim == 1:
        a, e, period = (float(value) for value in elements[0])
        return Outcome(str(labels[0]), whole[0, 2:], a, e, period, int(whole[0, 1]))
    return Outcome(labels, whole[:, 2:], elements[:, 0], elements[:, 1], elements[:, 2], whole[:, 1])
