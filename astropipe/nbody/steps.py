r"""One step of each integrator, in place, as compiled loops.

``hermite_step`` is the 4th-order Hermite scheme of Makino & Aarseth (1992, PASJ 44, 141) in the form of AMUSE:
predict, evaluate, correct once. The evaluation at the predicted state also serves as the start of the next step, so
a step costs one evaluation.

``composition_step`` runs a symmetric composition of kick-drift-kick leapfrogs with adjoining kicks merged: leapfrog
itself (order 2), or Yoshida's (1990, Phys. Lett. A 150, 262) schemes of order 4 (3 stages) and 6 (solution A,
7 stages). A step costs one evaluation a stage; the last force of a step is the first of the next.
Symplectic with a fixed step only.

Arrays are handed over one by one rather than as a record: taking an array out of a record counts a reference, which in
the loop over steps is not small against the forces of three bodies.
"""

from __future__ import annotations

import math

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.compilation import inlined_kernel, kernel
from astropipe.nbody.forces import acceleration, acceleration_and_jerk, survey_pairs

_CUBE_ROOT_2 = 2.0 ** (1.0 / 3.0)
_YOSHIDA4_OUTER = 1.0 / (2.0 - _CUBE_ROOT_2)
_YOSHIDA4 = (_YOSHIDA4_OUTER, -_CUBE_ROOT_2 * _YOSHIDA4_OUTER, _YOSHIDA4_OUTER)

# Yoshida (1990), table 1, solution A: w1, w2, w3; the middle stage follows from the sum being 1.
_W1, _W2, _W3 = -1.17767998417887, 0.235573213359357, 0.784513610477560
_YOSHIDA6 = (_W3, _W2, _W1, 1.0 - 2.0 * (_W1 + _W2 + _W3), _W1, _W2, _W3)

# Stage weights of each method; Hermite has none.
STAGES: dict[str, tuple[float, ...]] = {
    "hermite4": (),
    "leapfrog": (1.0,),
    "yoshida4": _YOSHIDA4,
    "yoshida6": _YOSHIDA6,
}


@kernel
def first_evaluation(
    stages: FloatArray,
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    a: FloatArray,
    jerk: FloatArray,
    pairs: FloatArray,
) -> float:
    """Fill forces and pair quantities at the initial state (one force evaluation); return the squared step rate."""
    if stages.size == 0:
        return acceleration_and_jerk(gm, x, v, a, jerk, pairs)
    acceleration(gm, x, a)
    return survey_pairs(gm, x, v, pairs)


@inlined_kernel
def hermite_step(
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    a: FloatArray,
    jerk: FloatArray,
    x_ahead: FloatArray,
    v_ahead: FloatArray,
    a_end: FloatArray,
    jerk_end: FloatArray,
    pairs: FloatArray,
    dt: float,
) -> float:
    """Advance by dt with 4th-order Hermite.

    Parameters
    ----------
    gm : array of shape (N,)
        Gravitational parameters G m.
    x, v, a, jerk : arrays of shape (N, 3)
        State and forces at the start of the step, changed in place to those at its end.
    x_ahead, v_ahead, a_end, jerk_end : arrays of shape (N, 3)
        Scratch: the predicted state and the forces there.
    pairs : array of shape (>= 2, N (N - 1) / 2)
        Output: pair quantities at the predicted state (`astropipe.nbody.forces`).
    dt : float
        Step.

    Returns
    -------
    float
        Squared step rate at the end. If it is not finite, two bodies met, and the state is left as it was.
    """
    half = 0.5 * dt
    third = dt / 3.0
    twelfth = dt * dt / 12.0
    for i in range(gm.size):
        for k in range(3):
            x_ahead[i, k] = x[i, k] + dt * (v[i, k] + half * (a[i, k] + third * jerk[i, k]))
            v_ahead[i, k] = v[i, k] + dt * (a[i, k] + half * jerk[i, k])
    rate2: float = acceleration_and_jerk(gm, x_ahead, v_ahead, a_end, jerk_end, pairs)
    if not rate2 < math.inf:
        return rate2
    for i in range(gm.size):
        for k in range(3):
            a_sum, a_drop = a[i, k] + a_end[i, k], a[i, k] - a_end[i, k]
            v_end = v[i, k] + half * a_sum + twelfth * (jerk[i, k] - jerk_end[i, k])
            x[i, k] += half * (v[i, k] + v_end) + twelfth * a_drop
            v[i, k] = v_end
            a[i, k] = a_end[i, k]
            jerk[i, k] = jerk_end[i, k]
    return rate2


@inlined_kernel
def composition_step(
    stages: FloatArray,
    gm: FloatArray,
    x: FloatArray,
    v: FloatArray,
    a: FloatArray,
    x_before: FloatArray,
    v_before: FloatArray,
    pairs: FloatArray,
    dt: float,
) -> float:
    """Advance by dt with a composition of leapfrogs.

    Parameters
    ----------
    stages : array of shape (n_stages,)
        Weights of the leapfrogs; their sum is 1.
    gm : array of shape (N,)
        Gravitational parameters G m.
    x, v, a : arrays of shape (N, 3)
        State and accelerations at the start of the step, changed in place to those at its end.
    x_before, v_before : arrays of shape (N, 3)
        Scratch: the state to return to.
    pairs : array of shape (>= 2, N (N - 1) / 2)
        Output: pair quantities at the end (`astropipe.nbody.forces`).
    dt : float
        Step.

    Returns
    -------
    float
        Squared step rate at the end. If it is not finite, two bodies met, and the state is left as it was.
    """
    n = gm.size
    for i in range(n):
        for k in range(3):
            x_before[i, k] = x[i, k]
            v_before[i, k] = v[i, k]
    kick = 0.5 * stages[0] * dt
    for s in range(stages.size):
        drift = stages[s] * dt
        for i in range(n):
            for k in range(3):
                v[i, k] += kick * a[i, k]
                x[i, k] += drift * v[i, k]
        acceleration(gm, x, a)
        following = stages[s + 1] if s + 1 < stages.size else 0.0
        kick = 0.5 * (stages[s] + following) * dt
    for i in range(n):
        for k in range(3):
            v[i, k] += kick * a[i, k]
    rate2: float = survey_pairs(gm, x, v, pairs)
    if rate2 < math.inf:
        return rate2
    for i in range(n):
        for k in range(3):
            x[i, k] = x_before[i, k]
            v[i, k] = v_before[i, k]
    return math.inf
