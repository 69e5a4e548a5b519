r"""Shared time steps: fixed, by hand-made rules, or by a learned policy.

With :math:`\tau` the shortest crossing or free-fall time of any pair,

.. math:: \tau = \min_{i<j} \min\left( \frac{r_{ij}}{v_{ij}}, \sqrt{\frac{r_{ij}^3}{G (m_i + m_j)}} \right)

(Hut, Makino & McMillan 1995, ApJ 443, L93; Portegies Zwart & McMillan 2018, Astrophysical Recipes), the rules are

``fixed``
    :math:`\Delta t` as given.
``shared``
    :math:`\Delta t = \mu \tau`, the rule of AMUSE's Hermite code, whose default is :math:`\mu = 0.03`.
``power``
    :math:`\Delta t = \mu h^{-1/8} \tau`, where the hardness :math:`h = G m_i m_j / (r_{ij} |E|)` of the fastest pair is
    its share of the energy. An encounter that holds more energy than the whole system must keep a smaller part of it,
    and the error of a scheme of order p falls as :math:`\mu^{p}` or faster.
``learned``
    The power rule times a factor that a small network chooses every `STEPS_BETWEEN_DECISIONS` steps from what the
    system is doing, how much of the tolerance is spent, and how much time is left (`features`).
"""

from __future__ import annotations

import math

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import inlined_kernel, kernel
from astropipe.nbody.forces import RADIAL, SEPARATION2, SPEED2

RULES = ("fixed", "shared", "power", "learned")
FIXED, SHARED, POWER, LEARNED = range(len(RULES))

STEPS_BETWEEN_DECISIONS = 8
# A pair of test particles, or a planet, holds no energy worth the name, and still wants its orbit resolved.
_LEAST_HARDNESS = 0.05

# The network sees these numbers; `features` says what they are.
N_FEATURES = 10
N_HIDDEN = 10
N_WEIGHTS = (N_FEATURES + 1) * N_HIDDEN + (N_HIDDEN + 1) * N_HIDDEN + N_HIDDEN + 1
# The factor of a decision lies between exp(-_WIDEST) and exp(_WIDEST).
_WIDEST = 1.5


@inlined_kernel
def step_size(rule: int, mu: float, fixed_step: float, rate2: float, binding: float, energy_scale: float) -> float:
    """Return the step that a rule gives.

    Parameters
    ----------
    rule : int
        Index into `RULES`.
    mu : float
        Dimensionless accuracy parameter.
    fixed_step : float
        Fixed step.
    rate2, binding : float
        Squared rate 1 / tau^2 and potential of the fastest pair (`astropipe.nbody.forces.evaluate`).
    energy_scale : float
        Energy of the system, in the units of `binding`.
    """
    if rule == FIXED:
        return fixed_step
    step = mu / math.sqrt(rate2)
    if rule >= POWER:
        step /= math.sqrt(math.sqrt(math.sqrt(max(binding / energy_scale, _LEAST_HARDNESS))))
    return step


@inlined_kernel
def features(
    gm: FloatArray,
    pairs: FloatArray,
    energy_scale: float,
    dynamical_rate: float,
    time_left: float,
    tolerance: float,
    energy_error: float,
    out: FloatArray,
) -> None:
    r"""Write what the policy sees: numbers without units, the same after rotation, translation, permutation, scaling.

    0. Logarithm of the hardness of the fastest pair.
    1. Its radial velocity over its speed: -1 falling in, 0 at an apsis, 1 going out.
    2. Its kinetic over its potential energy, q, as q / (1 + q).
    3. Logarithm of the ratio of the second fastest rate to the fastest: how lonely the pair is.
    4. Its product of masses over the mean of all pairs, as a logarithm.
    5. Logarithm of the tolerance.
    6. Logarithm of the energy error so far over the tolerance.
    7. Logarithm of the time that is left, in units of the time scale of the whole system.
    8. Logarithm of the time that is left, in units of the time scale of the fastest pair: how many steps to go.
    9. Number of bodies, as a logarithm.

    Parameters
    ----------
    gm : array of shape (N,)
        Gravitational parameters, in chain order.
    pairs : array of shape (5, N (N - 1) / 2)
        As `astropipe.nbody.forces.evaluate` leaves it.
    energy_scale : float
        Energy of the system, times G.
    dynamical_rate : float
        Inverse of the time scale of the system, :math:`|2E|^{3/2} / (G M^{5/2})`.
    time_left : float
        Time until the end.
    tolerance : float
        Relative energy error that is asked for.
    energy_error : float
        Relative energy error so far.
    out : array of shape (N_FEATURES,)
        Output, all of order 1.
    """
    n = gm.size
    fastest, second, at, first_i, first_j = 0.0, 0.0, 0, 0, 1
    products = 0.0
    pair = 0
    for i in range(n):
        for j in range(i + 1, n):
            products += gm[i] * gm[j]
            r2 = pairs[SEPARATION2, pair]
            rate2 = max(pairs[SPEED2, pair], (gm[i] + gm[j]) / math.sqrt(r2)) / r2
            if rate2 > fastest:
                second, fastest = fastest, rate2
                at, first_i, first_j = pair, i, j
            elif rate2 > second:
                second = rate2
            pair += 1
    r2, v2 = pairs[SEPARATION2, at], pairs[SPEED2, at]
    r = math.sqrt(r2)
    product = gm[first_i] * gm[first_j]
    q = 0.5 * v2 * r / (gm[first_i] + gm[first_j])
    out[0] = 0.25 * math.log(max(product / (r * energy_scale), _LEAST_HARDNESS))
    out[1] = pairs[RADIAL, at] / (r * math.sqrt(v2)) if v2 > 0.0 else 0.0
    out[2] = 2.0 * q / (1.0 + q) - 1.0
    out[3] = 0.2 * math.log(max(second / fastest, 1e-12))
    out[4] = 0.2 * math.log(max(product * pair / products, 1e-6))
    out[5] = 0.1 * math.log(tolerance) + 1.4
    out[6] = 0.2 * math.log(min(max(energy_error / tolerance, 1e-6), 1e3)) + 1.0
    out[7] = 0.25 * math.log(max(time_left * dynamical_rate, 1e-3)) - 0.5
    out[8] = 0.2 * math.log(max(time_left * math.sqrt(fastest), 1e-3)) - 1.0
    out[9] = math.log(n / 3.0)


@inlined_kernel
def decide(weights: FloatArray, seen: FloatArray, hidden: FloatArray) -> float:
    """Return the factor on the step: a network with two hidden layers and softsign units.

    Parameters
    ----------
    weights : array of shape (N_WEIGHTS,)
        Layer by layer, the weights of each unit followed by its bias.
    seen : array of shape (N_FEATURES,)
        What `features` wrote.
    hidden : array of shape (2, N_HIDDEN)
        Scratch.
    """
    at = 0
    for unit in range(N_HIDDEN):
        total = weights[at + N_FEATURES]
        for k in range(N_FEATURES):
            total += weights[at + k] * seen[k]
        hidden[0, unit] = total / (1.0 + abs(total))
        at += N_FEATURES + 1
    for unit in range(N_HIDDEN):
        total = weights[at + N_HIDDEN]
        for k in range(N_HIDDEN):
            total += weights[at + k] * hidden[0, k]
        hidden[1, unit] = total / (1.0 + abs(total))
        at += N_HIDDEN + 1
    total = weights[at + N_HIDDEN]
    for k in range(N_HIDDEN):
        total += weights[at + k] * hidden[1, k]
    return math.exp(_WIDEST * total / (1.0 + abs(total)))


@kernel
def decide_once(weights: FloatArray, seen: FloatArray) -> float:
    """Return the factor for one set of features, as `decide` in the time loop."""
    return decide(weights, seen, np.empty((2, N_HIDDEN)))
